#!/usr/bin/perl
# The engines, for real: ClamAV with a database of our own, YARA, libmagic, archives.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use IO::Compress::Gzip qw(gzip);
use IO::Compress::Zip qw(zip $ZipError);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Scan qw(scratch scan write_file);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $top = $ENV{top_srcdir};
my $dir = scratch();
my ($version) = scalar qx($mailwitness --version);
my $yara = $version =~ /YARA/;
my $clamav = $version =~ /ClamAV/;
# In pieces, so that nobody's scanner stumbles over this file.
my $eicar = join q{}, 'X5O!P%@AP[4\PZX54(P^)7CC)7}$EIC', 'AR-STANDARD-ANTIVIRUS-', 'TEST-FILE!$H+H*';

# A message with one attachment; bytes is all of it when name is undef.
sub message {
    my ($bytes, $name, %more) = @_;
    my $type = $more{type} || 'application/octet-stream';
    my $body = $more{plain} ? $bytes : encode_base64($bytes);
    my $coding = $more{plain} ? '8bit' : 'base64';
    return "From: Ana <ana\@Example.com>\nSubject: " . ($more{subject} || 'test')
        . "\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=edge\n\n--edge\n"
        . "Content-Type: text/plain; charset=utf-8\n\n" . ($more{text} || 'see attachment')
        . "\n--edge\nContent-Type: $type" . ($name ? "; name=\"$name\"" : q{})
        . "\nContent-Disposition: attachment\nContent-Transfer-Encoding: $coding\n\n$body\n--edge--\n";
}

sub findings {
    my ($report) = @_;
    return map { "$_->{scanner}:$_->{name}" }
        @{ $report->{findings} }, map { @{ $_->{findings} } } @{ $report->{attachments} };
}

sub zipped {
    my ($bytes, $name) = @_;
    my $out;
    zip(\$bytes => \$out, Name => $name) or die $ZipError;
    return $out;
}

sub found { my ($name, $report) = @_; return scalar grep { $_ eq $name } findings($report) }

SKIP: {
    skip 'built without ClamAV', 11 if !$clamav;
    my @db = ('--clamav-db', "$top/t/fixtures/clamav");
    my $name = 'clamav:Mailwitness.Test.EICAR.UNOFFICIAL';
    my $zip = zipped($eicar, 'eicar.com');
    for my $case (
        ['plain', message($eicar, 'a.txt', plain => 1)],
        ['in base64', message($eicar, 'a.txt')],
        ['in a zip', message($zip, 'a.zip')],
        ['in a zip in an attached message', message(message($zip, 'a.zip'), undef, plain => 1, type => 'message/rfc822')],
        ['in a message in a zip', message(zipped(message($zip, 'a.zip'), 'mail.eml'), 'mails.zip')],
    ) {
        my ($report, $status) = scan($case->[1], @db);
        ok(found($name, $report) && $report->{verdict} eq 'malicious' && $status == 1,
            "ClamAV finds EICAR $case->[0], and scan exits 1") or diag(join q{ }, findings($report));
    }
    my ($report, $status) = scan(message('nothing bad', 'a.txt'), @db);
    is("$report->{verdict} $status", 'clean 0', 'a harmless file is clean, and scan exits 0');
    ($report) = scan(message("a file known by its hash\n", 'a.bin'), @db);
    ok(found('clamav:Mailwitness.Test.Hash.UNOFFICIAL', $report), 'ClamAV knows files by their hash');
    ($report) = scan(message('x', 'a.txt', text => 'mailwitness-malware-marker'), @db);
    ok(found('clamav:Mailwitness.Test.Marker.UNOFFICIAL', $report), 'ClamAV scans body texts too');
    {
        local $ENV{TMPDIR} = "$dir/absent";
        ($report) = scan(message('x', 'a'), '--no-sandbox', @db);
    }
    is($report->{verdict}, 'unscanned', 'nothing is clean when ClamAV has nowhere to work');
    like($report->{unscanned}[0], qr{^part 2: clamav: .*cannot write to its folder \Q$dir\E/absent}, '... and the folder is named');
    (undef, $status, my $errors) = scan(message('x', 'a'), '--clamav-db', "$dir/absent");
    ok($status == 2 && $errors =~ m{ClamAV database .*/absent: No such file}, 'a missing database is named');
}

SKIP: {
    skip 'built without YARA', 12 if !$yara;
    my $rule = write_file('facts.yar', <<'END');
rule all_facts : demo {
    meta: severity = "malicious" description = "knows its facts" number = 7
    strings: $a = "needle"
    condition: $a and filename == "Report.TXT" and extension == "txt" and size == 13 and path == "2"
        and content_type == "application/x-test" and file_type == "text/plain"
        and sender == "ana@Example.com" and sender_domain == "example.com" and subject == "facts"
}
END
    my ($report) = scan(message('a needle here', 'Report.TXT', type => 'application/x-test', subject => 'facts'),
        '--rules', $rule);
    my ($finding) = grep { $_->{scanner} eq 'yara' } map { @{ $_->{findings} } } @{ $report->{attachments} };
    is($finding->{name}, 'all_facts', 'a rule can ask for every fact of a part');
    is($finding->{severity}, 'malicious', 'its metadata tell the severity');
    is($finding->{message}, 'knows its facts', '... and the sentence');
    is_deeply($finding->{details}{strings},
        [{ id => '$a', offset => 2, length => 6, excerpt => 'needle' }], 'matched strings have their place');
    is_deeply([$finding->{details}{namespace}, $finding->{details}{tags}, $finding->{details}{meta}{number}],
        ['facts', ['demo'], 7], 'namespace, tags and metadata are kept');

    my $body = write_file('body.yar', 'rule b { strings: $a = "needle" condition: $a }');
    ($report) = scan(message('x', 'a.txt', text => 'needle'), '--body-rules', $body);
    ok(found('yara:b', $report) && $report->{findings}[0]{path} eq '1', 'body rules look at texts');
    ($report) = scan(message('needle', 'a.txt', plain => 1), '--body-rules', $body);
    ok(!found('yara:b', $report), '... and not at attachments');
    ($report) = scan(message('x', 'a.txt', subject => 'needle'), '--message-rules', $body);
    ok(found('yara:b', $report), 'message rules look at the raw message');

    mkdir "$dir/broken";
    write_file('broken/good.yar', 'rule good { condition: true }');
    write_file('broken/one.yar', "rule one {\n condition: nonsense }\n");
    write_file('broken/two.yar', 'rule two { strings: $a = "x" condition: true }');
    my (undef, $status, $errors) = scan(message('x', 'a'), '--rules', "$dir/broken");
    ok($status == 2 && $errors =~ m{2 mistakes .*one[.]yar:2: .*two[.]yar:1: }, 'every mistake is told with file and line');
    mkdir "$dir/inside";
    write_file('secret.yar', 'rule outside { condition: true }');
    write_file('inside/part.inc', 'rule inside { condition: true }');
    write_file('inside/main.yar', 'include "part.inc"');
    ($report) = scan(message('x', 'a'), '--rules', "$dir/inside");
    ok(found('yara:inside', $report), 'a rule file can include one of its folder');
    write_file('inside/main.yar', 'include "../secret.yar"');
    (undef, $status, $errors) = scan(message('x', 'a'), '--rules', "$dir/inside");
    is($status, 2, '... and none from outside');
    mkdir "$dir/empty";
    (undef, $status, $errors) = scan(message('x', 'a'), '--rules', "$dir/empty");
    ok($status == 2 && $errors =~ /no YARA rules could be loaded/, 'a folder without rules is a mistake');
}

SKIP: {
    skip 'built without YARA', 3 if !$yara;
    my $pe = 'MZ' . "\0" x 58 . pack('V', 64) . "PE\0\0" . pack('v v V V V v v', 0x14c, 1, 1700000000, 0, 0, 224, 0x102)
        . pack('v C C V V V V V V V V V v v v v v v V V V V v v V V V V V V', 0x10b, 1, 0, 512, 0, 0, 0x1000, 0x1000,
        0x2000, 0x400000, 0x1000, 0x200, 4, 0, 0, 0, 4, 0, 0, 0x3000, 0x200, 0, 2, 0, 0x100000, 0x1000, 0x100000, 0x1000, 0, 16)
        . "\0" x 128 . pack('a8 V V V V V V v v V', '.text', 0x1000, 0x1000, 0x200, 0x200, 0, 0, 0, 0, 0x60000020);
    $pe .= "\0" x (512 - length $pe) . "\x90" x 256 . join q{}, map { chr } 0 .. 255;
    my @rules = ('--rules', "$top/conf/rules/attachments");
    my ($report) = scan(message($pe, 'invoice.pdf'), @rules);
    my ($facts) = map { $_->{details} } grep { $_->{name} eq 'pe.info' } @{ $report->{attachments}[0]{findings} };
    is_deeply([@{$facts}{qw(machine timestamp subsystem)}, $facts->{sections}[0]{name}],
        [0x14c, 1700000000, 2, '.text'], 'facts about a Windows program are told');
    ok($facts->{sections}[0]{entropy} > 4 && $facts->{sections}[0]{entropy} < 7, '... with the entropy of its sections');
    ok(found('yara:program_in_disguise', $report) && found('type:type.disguised', $report),
        'a program named as a PDF is found by its content');
}

for my $case (
    ['invoice.pdf.exe', 'type:type.double_extension', 'a harmless extension before one that runs'],
    (map { ["invoice.pdf.exe$_", 'type:type.double_extension', 'one that runs, as the system takes the name,'] }
        '.', q{ }, '. .', '::$DATA', "\xe2\x80\x8b", "\xe2\x80\xac"),
    ["invoice\xe2\x80\xaefdp.exe", 'type:type.direction_override', 'a name that reads backwards'],
) {
    my ($report) = scan(message('x' x 100, $case->[0]));
    ok(found($case->[1], $report), "$case->[2] is a finding");
}
{
    my ($report) = scan(message("#!/bin/sh\necho\n", 'photo.jpg', type => 'image/jpeg'));
    ok(found('type:type.disguised', $report), 'a script declared as a picture is a finding');
    is($report->{attachments}[0]{file_type}, 'text/x-shellscript', 'the detected type is told');
}
{
    my ($report) = scan(message(zipped('inner bytes', 'dir/inner.txt'), 'a.zip'));
    my ($inner) = grep { ($_->{parent} // q{}) eq '2' } @{ $report->{attachments} };
    is_deeply([@{$inner}{qw(path filename filename_raw size encoding)}],
        ['2.1', "dir\x{FFFD}inner.txt", 'dir/inner.txt', 11, 'archive'], 'files in an archive are attachments too');
    my ($bytes, $packed) = ('x' x 5000);
    gzip(\$bytes => \$packed);
    ($report) = scan(message($packed, 'notes.txt.gz'));
    ($inner) = grep { ($_->{parent} // q{}) eq '2' } @{ $report->{attachments} };
    is_deeply([@{$inner}{qw(filename size)}], ['notes.txt', 5000], 'so is what a single compressed file holds');
    my $locked = zipped('secret', 'secret.txt');
    substr $locked, 6, 1, chr(1 | ord substr $locked, 6, 1);
    my $central = index $locked, "PK\1\2";
    substr $locked, $central + 8, 1, chr(1 | ord substr $locked, $central + 8, 1);
    ($report) = scan(message($locked, 'a.zip'));
    ok(found('archive:archive.encrypted', $report) && $report->{verdict} eq 'suspicious',
        'an encrypted archive is suspicious');
    my $bomb = zipped("\0" x (20 << 20), 'zeros');
    ($report) = scan(message($bomb, 'bomb.zip'), '--limit', 'unpacked_size=1m');
    ok((grep { $_->{name} eq 'limit.unpacked_size' } @{ $report->{errors} }), 'an archive that unpacks to too much is told');
    # Without a scanner nothing is clean anyhow.
    SKIP: {
        skip 'built without ClamAV', 3 if !$clamav;
        my @db = ('--clamav-db', "$top/t/fixtures/clamav");
        ($report) = scan(message($bomb, 'bomb.zip'), '--limit', 'unpacked_size=1m', @db);
        is($report->{verdict}, 'unscanned', '... and not called clean');
        my $whole = zipped(join(q{}, map { chr($_ * 7 % 251) } 1 .. 5000), 'a.txt');
        ($report) = scan(message($whole, 'a.zip'), @db);
        is($report->{verdict}, 'clean', 'a sound archive is clean');
        ($report) = scan(message(substr($whole, 0, 60), 'a.zip'), @db);
        is($report->{verdict}, 'unscanned', 'a damaged archive is not called clean') or diag(explain($report->{errors}));
    }
}
{
    my $text = 'See hxxps://evil[.]example.com/x?y=1. Mail bad@phish.example.org, host 203.0.113.9 or '
        . '2001:db8::17 (www.example.net), 44d88612fea8a8f36de82e1278abb02f, 00:1a:2b:3c:4d:5e, version 1.2.3.4.5.';
    my ($report) = scan(message('x', 'a.txt', text => $text));
    my $found = $report->{indicators};
    is_deeply($found->{urls}, ['https://evil.example.com/x?y=1'], 'a disguised URL is found and undone');
    is_deeply($found->{emails}, ['bad@phish.example.org'], 'so are addresses of people');
    is_deeply([sort @{ $found->{domains} }], ['evil.example.com', 'www.example.net'], '... and of hosts');
    is_deeply([@{$found}{qw(ipv4 ipv6)}], [['203.0.113.9'], ['2001:db8::17']], '... and IP addresses');
    is_deeply([@{$found}{qw(md5 mac)}], [['44d88612fea8a8f36de82e1278abb02f'], ['00:1a:2b:3c:4d:5e']],
        '... and hashes and hardware addresses');
}
{
    my ($report) = scan(message('x', 'a.txt'));
    is("$report->{verdict} @{$report->{unscanned}}", 'unscanned no scanner is configured',
        'without scanners nothing is called clean');
}
done_testing();
