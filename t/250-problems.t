#!/usr/bin/perl
# The table of problems: of each row a message, or a fault, that raises it, and the verdict
# that follows. doc/problems.md is the table (unit_problem compares it with the code).
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use IO::Compress::Zip qw(zip $ZipError);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Scan qw(scratch write_file scan_with);
use Test::More;
use Time::HiRes qw(sleep);

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $top = $ENV{top_srcdir};
my $dir = scratch();
plan skip_all => 'built without ClamAV or YARA'
    if scalar(qx($mailwitness --version)) !~ /YARA/ || scalar(qx($mailwitness --version)) !~ /ClamAV/;
my $from = "From: a\@example.com\n";

sub slurp {
    my ($name) = @_;
    open my $in, '<:raw', $name or die "$name: $!";
    local $/;
    return scalar <$in>;
}

sub message {
    my ($bytes, $name) = @_;
    return "${from}Content-Type: multipart/mixed; boundary=edge\n\n--edge\n\ntext\n--edge\n"
        . "Content-Type: application/octet-stream; name=\"$name\"\nContent-Disposition: attachment\n"
        . "Content-Transfer-Encoding: base64\n\n" . encode_base64($bytes) . "--edge--\n";
}

sub zipped {
    my ($bytes) = @_;
    zip(\$bytes => \my $out, Name => 'a') or die $ZipError;
    return $out;
}

sub children {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/task/$pid/children" or return;
    return split q{ }, <$in> // q{};
}

# Sends a signal to the one worker of a scan while an external program looks at the message.
sub strike {
    my ($signal, $limits) = @_;
    my $tool = write_file('slow', "#!/bin/sh\nexec /bin/sleep 30", 0755);
    my $config = write_file('strike.conf', "exec: { slow: { command = \"$tool\"; time = \"60s\"; }; };\n"
            . "workers: { count = 1; scratch = \"$dir\"; }; limits: { $limits };");
    my $mail = write_file('strike.eml', message('x', 'a'));
    my $pid = open(my $out, '-|', $mailwitness, 'scan', '--jsonl', '--config', $config, $mail) // die $!;
    for (1 .. 1000) {
        my ($zygote) = children($pid);
        my ($generation) = $zygote ? children($zygote) : ();
        my @pair = $generation ? children($generation) : ();
        # The worker is the one of the pair that has no child, the other runs the program.
        my ($worker) = grep { !children($_) } @pair;
        last if @pair == 2 && grep({ children($_) } @pair) && $worker && kill $signal => $worker;
        sleep 0.02;
    }
    my $report = eval { decode_json(do { local $/; <$out> } // q{}) };
    close $out;
    return $report;
}

# Whoever adds a row adds here how it comes about: a message, and the limits or options that
# it meets; or a sub that gives a report; or the name of the test that shows it.
my %broken = map { $_ => slurp("$top/t/fixtures/messages/$_.eml") }
    qw(boundary-missing boundary-two-types header-bad-date header-junk-line header-no-blank-line header-nul
    body-charset-not-utf8 winmail-cut-off);
my $zip = zipped('x' x 300_000);
my $urls = join "\n", map { "http://host$_.example.com/" } 1 .. 20;
my $slow = write_file('slower', "#!/bin/sh\nexec /bin/sleep 9", 0755);
my %raised = (
    'archive.damaged' => [message(substr(zipped(join q{}, map { chr int rand 256 } 1 .. 5000), 0, 3000), 'a.zip')],
    'clamav.limit' => ["${from}MIME-Version: 1.0\nX: y\n" . " z\n" x 300_000 . "\nx\n", 'clamav.scan_message = true;'],
    'clamav.max_file_size' => [message('x' x 2000, 'a'), 'clamav.max_file_size = "1k";'],
    'clamav.max_files' => [message($zip, 'a.zip'), 'clamav.max_files = 1;'],
    'clamav.max_recursion' => [message($zip, 'a.zip'), 'clamav.max_recursion = 1;'],
    'clamav.max_scan_size' => [message($zip, 'a.zip'), 'clamav.max_scan_size = "1k";'],
    'clamav.max_scan_time' =>
        [message(join(q{}, map { chr int rand 256 } 1 .. 3_000_000), 'a.bin'), 'clamav.max_scan_time = "1ms";'],
    'container.not_opened' => [message("\x60\xea" . pack('v C C C C C C C', 40, 30, 11, 1, 0, 16, 0, 2) . "\0" x 100, 'a.arj')],
    'header.date' => [$broken{'header-bad-date'}],
    'header.duplicate' => [$broken{'boundary-two-types'}],
    'header.junk' => [$broken{'header-junk-line'}],
    'header.no_blank_line' => [$broken{'header-no-blank-line'}],
    'header.undecodable' => [$broken{'header-nul'}],
    'indicators.incomplete' => ["$from\nhttp://" . '@' x 1_000_000],
    'limit.address_count' => ["${from}To: a\@example.com, b\@example.com\n\nx\n", 'limits.address_count = 1;'],
    'limit.content_field' => ["${from}Content-Type: text/plain" . '; p=v' x 1000 . "\n\nx\n"],
    'limit.depth' => ["${from}Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\n$from\nx\n", 'limits.depth = 1;'],
    'limit.errors' => ["${from}Date: x\nX-A: " . 'y' x 600 . "\nX-B: " . 'y' x 600 . "\n\nx\n", 'limits.errors = 1; limits.header_length = 256;'],
    'limit.findings_per_part' => [message('needle', 'a'), 'limits.findings_per_part = 1;'],
    'limit.header_count' => [$from . "X: y\n" x 9 . "\nx\n", 'limits.header_count = 5;'],
    'limit.header_length' => ["${from}X: " . 'y' x 300 . "\n\nx\n", 'limits.header_length = 256;'],
    'limit.indicators' => ["$from\n$urls\n", 'limits.indicators = 5;'],
    'limit.message_size' => ["$from\n" . 'x' x 3000, 'limits.message_size = "2k";'],
    'limit.parts' => [message('x', 'a'), 'limits.parts = 2;'],
    'limit.readings' => [$broken{'boundary-two-types'}, 'limits.readings = 0;'],
    'limit.recipients' => 't/unit/unit_milter.c',
    'limit.text_length' => ["$from\n" . "a text\n" x 500, 'limits.text_length = "1k";'],
    'limit.unpack_ratio' => [message(zipped('x' x 20_000_000), 'a.zip'), 'limits.unpack_ratio = 100;'],
    'limit.unpacked_size' => [message($zip, 'a.zip'), 'limits.unpacked_size = "2k";'],
    'limit.time' => [message(zipped('x' x 100_000_000), 'a.zip'), 'limits.time = "100ms"; limits.unpack_ratio = 1000000;'],
    'message.empty' => [q{}],
    'mime.boundary' => [$broken{'boundary-missing'}],
    'mime.encoding' => ["${from}Content-Type: application/zip\nContent-Transfer-Encoding: x-own\n\nPK\1\2\xff\n"],
    'mime.no_header' => ["this is no header\n\nContent-Type: text/plain\n"],
    'scanner.failed' => [message('x', 'a'), 'exec.fails = { command = "/bin/false"; };'],
    'scanner.time' => [message('x', 'a'), "limits.time = \"1s\"; exec.slow = { command = \"$slow\"; time = \"10s\"; };"],
    'text.charset' => [$broken{'body-charset-not-utf8'}],
    'text.undecodable' => [$broken{'header-nul'}],
    'tnef.damaged' => [$broken{'winmail-cut-off'}],
    'worker.crashed' => sub { return strike('KILL', q{}) },
    'worker.timeout' => sub { return strike('STOP', 'time = "1s";') },
    'worker.report' => 't/unit/unit_hostile.c',
    'worker.busy' => 't/unit/unit_hostile.c',
    'worker.resources' => 't/unit/unit_hostile.c',
);

# A configuration out of "section.option = value;" and the engines of all cases.
sub configuration {
    my ($options) = @_;
    my $rule = write_file('all.yar', join "\n", map { "rule r$_ { strings: \$a = \"needle\" condition: \$a }" } 1, 2);
    my %sections = (
        scan => 'ambiguous = "info";',
        clamav => "database = \"$top/t/fixtures/clamav\"; max_age = 100000;",
        yara => "rules = [\"$rule\"]; severity = \"info\";",
    );
    $sections{$1} .= " $2" while $options =~ /(\w+)[.](\w+ = (?:\{.*?\}|[^;]*);)/g;
    return join q{}, map { "$_: { $sections{$_} };\n" } sort keys %sections;
}

for my $line (split /\n/, slurp("$top/doc/problems.md")) {
    my ($name, $verdict) = $line =~ /^\| `([^`]+)` .* (\w+) \|$/ or next;
    my $raised = delete $raised{$name};
    if (!ok($raised, "$name: this test knows what raises it")) {
        next;
    }
    if (!ref $raised) {
        ok(slurp("$top/$raised") =~ /"\Q$name\E"/, "... $raised does");
        next;
    }
    my ($report, $status, $errors) = ref $raised eq 'CODE' ? $raised->() : scan_with(configuration($raised->[1] // q{}), $raised->[0]);
    my ($problem) = grep { $_->{name} eq $name } @{ $report->{errors} };
    ok($problem, '... it is raised') or diag($errors // q{}, encode_json($report->{errors} // []));
    is($report->{verdict}, $verdict, "... the message is $verdict") or diag(encode_json($report->{errors} // []));
    my ($file) = grep { defined $problem->{place} && $_->{path} eq $problem->{place} } @{ $report->{attachments} };
    isnt($file->{verdict}, 'clean', '... and so is the attachment not clean') if $file && $verdict ne 'clean';
}
is(join(q{ }, sort keys %raised), q{}, 'doc/problems.md has all problems that this test knows');
done_testing();
