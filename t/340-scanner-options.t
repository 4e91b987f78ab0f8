#!/usr/bin/perl
# What the configuration can ask of scanners: order, conditions, bounds, severities.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha1_hex sha256_hex sha512_hex);
use IO::Compress::Zip qw(zip $ZipError);
use MIME::Base64 qw(encode_base64);
use Scan qw(scratch write_file scan_with);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $top = $ENV{top_srcdir};
my $dir = scratch();
my ($version) = scalar qx($mailwitness --version);
my ($yara, $clamav) = ($version =~ /YARA/, $version =~ /ClamAV/);

sub message {
    my ($bytes, $name, $type, $text) = @_;
    return "From: a\@example.com\nSubject: s\nContent-Type: multipart/mixed; boundary=edge\n\n--edge\n"
        . 'Content-Type: text/plain' . "\n\n" . ($text || 'text') . "\n--edge\nContent-Type: "
        . ($type || 'application/octet-stream') . "; name=\"$name\"\nContent-Disposition: attachment\n"
        . "Content-Transfer-Encoding: base64\n\n" . encode_base64($bytes) . "--edge--\n";
}

sub findings {
    my ($report) = @_;
    return map { "$_->{scanner}:$_->{name}" }
        @{ $report->{findings} }, map { @{ $_->{findings} } } @{ $report->{attachments} };
}
sub found { my ($report, $name) = @_; return scalar grep { $_ eq $name } findings($report) }
sub problem { my ($report, $name) = @_; return scalar grep { $_->{name} eq $name } @{ $report->{errors} } }

my ($report, $status, $errors) = scan_with('scan: { order = ["fuzzy"]; };', message('x' x 2000, 'a.pdf.exe'));
ok(!defined $report->{attachments}[0]{file_type} && defined $report->{attachments}[0]{fuzzy},
    'only the scanners in scan.order run');
($report) = scan_with(q{}, message("\x89PNG\r\n\x1a\n\0\0\0\rIHDR" . 'x' x 2000, 'a.png'));
ok($report->{attachments}[0]{file_type} eq 'image/png' && !defined $report->{attachments}[0]{fuzzy},
    'a picture has no fuzzy hash');
($report) = scan_with(q{}, my $mail = message('x', 'a'));
ok(!(grep { defined $report->{$_} } qw(md5 sha1 sha512)) && $report->{sha256} eq sha256_hex($mail),
    'the raw message has its SHA-256');
($report) = scan_with('scan: { message_hashes = true; };', $mail);
is_deeply([@{$report}{qw(md5 sha1 sha256 sha512)}], [md5_hex($mail), sha1_hex($mail), sha256_hex($mail), sha512_hex($mail)],
    '... and with scan.message_hashes the other three as well');
(undef, $status, $errors) = scan_with('scan: { order = ["type", "fuzy"]; };', message('x', 'a'));
ok($status == 2 && $errors =~ /scan[.]order: 'fuzy' is no scanner; did you mean 'fuzzy'/, 'an unknown one is named');
(undef, $status, $errors) = scan_with('scan: { order = ["type", "type"]; };', message('x', 'a'));
ok($status == 2 && $errors =~ /'type' stands there twice/, 'so is one that stands there twice');
(undef, $status, $errors) = scan_with('condition: { clamv: { size_max = 1; }; };', message('x', 'a'));
ok($status == 2 && $errors =~ /condition: 'clamv' is no scanner/, 'so is a condition for none');

SKIP: {
    skip 'built without YARA', 12 if !$yara;
    my $rule = write_file('all.yar', 'rule found { strings: $a = "needle" condition: $a }');
    my $config = "yara: { rules = [\"$rule\"]; }; condition: { yara: { %s }; };";
    for my $case (
        ['names = ["*.PDF"]', 'a.pdf', 'b.txt', 'name'],
        ['names = ["*.pdf"]', 'a.pdf. ', 'b.txt', 'name as the system takes it'],
        ['skip_names = ["*.txt"]', 'a.pdf', 'b.txt', 'name not wanted'],
    ) {
        ($report) = scan_with(sprintf($config, "$case->[0];"), message('needle', $case->[1]));
        ok(found($report, 'yara:found'), "a condition on the $case->[3] lets a part through");
        ($report) = scan_with(sprintf($config, "$case->[0];"), message('needle', $case->[2]));
        ok(!found($report, 'yara:found'), '... and holds others back');
    }
    is("$report->{verdict} $report->{attachments}[0]{unscanned}", 'unscanned no scanner looks at such parts',
        'what no scanner looks at is not called clean');
    ($report) = scan_with(sprintf($config, 'types = ["text/*"];'), message('needle', 'a'));
    ok(found($report, 'yara:found'), 'a condition on types looks at the detected type');
    ($report) = scan_with(sprintf($config, 'skip_types = ["text/*"];'), message('needle', 'a'));
    ok(!found($report, 'yara:found'), '... as one on types not wanted');
    ($report) = scan_with(sprintf($config, 'size_min = 7;'), message('needle', 'a'));
    ok(!found($report, 'yara:found'), 'a part that is too small is left out');
    ($report) = scan_with(sprintf($config, 'size_max = 5;'), message('needle', 'a'));
    ok(!found($report, 'yara:found'), 'so is one that is too large');
    my ($engine) = grep { $_->{name} eq 'yara' } @{ $report->{engines} };
    ok($engine->{version} =~ /^\d+[.]/ && $engine->{signatures} == 1, 'the report tells version and number of rules');
}

SKIP: {
    skip 'built without ClamAV', 18 if !$clamav;
    mkdir "$dir/db";
    system('cp', glob("$top/t/fixtures/clamav/*"), "$dir/db") == 0 or die;
    my $marker = 'mailwitness-malware-marker';
    my $config = "clamav: { database = \"$dir/db\"; %s }; %s";
    my $zip;
    zip(\('x' x 300000) => \$zip, Name => 'a') or die $ZipError;

    my $day = 86400;
    utime time - 30 * $day, time - 30 * $day, glob "$dir/db/*";
    ($report, $status, $errors) = scan_with(sprintf($config, q{}, q{}), message('x', 'a'));
    my ($engine) = grep { $_->{name} eq 'clamav' } @{ $report->{engines} };
    ok($engine->{version} && $engine->{signatures} > 0, 'the report tells the version of ClamAV and its signatures');
    like($engine->{date}, qr/^\d{4}-\d\d-\d\dT/, '... and when its database was made');
    like($errors, qr/database .* is 30 days old/, 'an old database is warned of');
    (undef, undef, $errors) = scan_with(sprintf($config, 'max_age = 31;', q{}), message('x', 'a'));
    is($errors, q{}, '... from the configured age on');

    ($report) = scan_with(sprintf($config, q{}, q{}), message('x', 'a', undef, $marker));
    ok(found($report, 'clamav:Mailwitness.Test.Marker.UNOFFICIAL'), 'texts are scanned');
    ($report) = scan_with(sprintf($config, 'scan_texts = false;', q{}), message('x', 'a', undef, $marker));
    ok(!found($report, 'clamav:Mailwitness.Test.Marker.UNOFFICIAL'), '... unless that is switched off');
    my $hidden = message('x', 'a') . "after the last part: $marker\n";
    ($report) = scan_with(sprintf($config, q{}, q{}), $hidden);
    ok(!found($report, 'clamav:Mailwitness.Test.Marker.UNOFFICIAL'), 'the raw message is not scanned');
    ($report) = scan_with(sprintf($config, 'scan_message = true;', q{}), $hidden);
    ok(found($report, 'clamav:Mailwitness.Test.Marker.UNOFFICIAL'), '... unless that is switched on');

    for my $case (
        ['max_file_size = "1k";', 'clamav.max_file_size', message('x' x 2000, 'a')],
        ['max_scan_size = "1k";', 'clamav.max_scan_size', message($zip, 'a.zip')],
        ['max_files = 1;', 'clamav.max_files', message($zip, 'a.zip')],
        ['max_recursion = 1;', 'clamav.max_recursion', message($zip, 'a.zip')],
        ['max_scan_time = "1ms";', 'clamav.max_scan_time', undef],
    ) {
        my ($option, $name, $mail) = @{$case};
        $mail //= message(join(q{}, map { chr int rand 256 } 1 .. 3_000_000), 'a.bin');
        ($report) = scan_with(sprintf($config, $option, q{}), $mail);
        ok(problem($report, $name) && $report->{verdict} eq 'unscanned', "$name reached has its name, and is not clean")
            or diag(encode_json($report->{errors}), $report->{verdict}, findings($report));
    }

    my $locked;
    zip(\'secret' => \$locked, Name => 'secret.txt') or die $ZipError;
    substr $locked, 6, 1, chr(1 | ord substr $locked, 6, 1);
    my $central = index $locked, "PK\1\2";
    substr $locked, $central + 8, 1, chr(1 | ord substr $locked, $central + 8, 1);
    my $name = 'Heuristics.Encrypted.Zip';
    ($report) = scan_with(sprintf($config, 'heuristic_severity = "malicious";', q{}), message($locked, 'a.zip'));
    ok(found($report, "clamav:$name") && $report->{verdict} eq 'malicious', 'Heuristics.* have the configured severity')
        or diag(join q{ }, findings($report));
    ($report) = scan_with(sprintf($config, 'encrypted = false;', q{}), message($locked, 'a.zip'));
    ok(!found($report, "clamav:$name"), 'a kind of heuristics can be switched off');

    # Two blocks with one MD5 (Wang and others, 2004), and the same behind both.
    my $blocks = 'd131dd02c5e6eec4693d9a0698aff95c2fcab5%s712467eab4004583eb8fb7f8955ad340609f4b30283e4888325%s1415a085125e8f7cdc99fd91dbd%s280373c5b'
        . 'd8823e3156348f5bae6dacd436c919c6dd53e2%s487da03fd02396306d248cda0e99f33420f577ee8ce54b67080%s80d1ec69821bcb6a8839396f965%sb6ff72a70';
    my ($twin, $bad) = map { pack('H*', sprintf $blocks, @{$_}) . 'x' x 2000 } ['8', '7', 'f', 'b', 'a', '2'], ['0', 'f', '7', '3', '2', 'a'];
    is(md5_hex($twin), md5_hex($bad), 'two files have one MD5');
    write_file('db/twin.hsb', sha256_hex($bad) . ':' . length($bad) . ":Mailwitness.Test.Twin\n");
    my $first = message($twin, 'a.bin');
    (my $both = message($bad, 'b.bin')) =~ s/\A.*?(?=--edge)//s;
    $first =~ s/--edge--\n\z/$both/;
    ($report) = scan_with(sprintf($config, q{}, q{}), $first);
    is(join(q{ }, map { $_->{verdict} } @{ $report->{attachments} }), 'clean malicious',
        'a clean file does not vouch for another of the same MD5');
    unlink scratch() . '/db/twin.hsb';

    write_file('db/pua.ndu', 'PUA.Mailwitness.Test:0:*:' . unpack('H*', 'unwanted-toolbar') . "\n");
    ($report) = scan_with(sprintf($config, q{}, q{}), message('unwanted-toolbar', 'a'));
    is(join(q{ }, grep { /^clamav/ } findings($report)), q{}, 'unwanted applications are not looked for');
    ($report) = scan_with(sprintf($config, 'pua = true; pua_severity = "info";', q{}), message('unwanted-toolbar', 'a'));
    ok(found($report, 'clamav:PUA.Mailwitness.Test.UNOFFICIAL') && $report->{verdict} eq 'clean',
        '... unless switched on, and then with the configured severity') or diag(join q{ }, findings($report));
    (undef, $status, $errors) = scan_with(sprintf($config, 'official_only = true;', q{}), message('x', 'a'));
    ok($status == 2 && $errors =~ /cannot load the ClamAV database/, 'unsigned databases can be refused');
}
done_testing();
