#!/usr/bin/perl
# The command line: what `mailwitness scan` promises to people and programs.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use JSON::PP;
use Scan qw(scratch write_file);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $dir = scratch();

# Output, errors and exit status of the program; $input goes to its stdin.
sub run {
    my ($input, @arguments) = @_;
    my $in = write_file('stdin', $input);
    open my $stdin, '<:raw', $in or die $!;
    my $out = write_file('out', '');
    my $errors = write_file('errors', '');
    my $pid = fork // die $!;
    if (!$pid) {
        open STDIN, '<&', $stdin or die $!;
        open STDOUT, '>', $out or die $!;
        open STDERR, '>', $errors or die $!;
        exec $mailwitness, @arguments or die $!;
    }
    waitpid $pid, 0;
    my $status = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
    local $/;
    open my $o, '<:raw', $out or die $!;
    open my $e, '<:raw', $errors or die $!;
    return (scalar(<$o>) // q{}, scalar(<$e>) // q{}, $status);
}

my $plain = "From: Ana <ana\@example.com>\nTo: b\@example.org\nSubject: hello\n\nthe text\n";
my $message = write_file('plain.eml', $plain);

{
    my ($out, $errors, $status) = run('', 'scan', $message);
    my $report = eval { decode_json($out) };
    is($status, 3, 'a message that nothing has scanned exits 3');
    is(($out =~ tr/\n//), 1, 'away from a terminal a report is one line');
    is($report->{from}[0]{address}, 'ana@example.com', 'the sender is found');
    is($report->{body}, "the text\n", 'the body is found');
    is($report->{source}, $message, 'the report names its file');
    like($report->{id}, qr/^[0-9a-f]{8}-[0-9a-f]{4}-7/, 'the report has an id');
    is($errors, '', 'nothing is said on standard error');
}
{
    my ($out, $errors, $status) = run($plain, 'scan', '-');
    is(decode_json($out)->{subject}, 'hello', 'standard input is read when named');
    ($out) = run($plain, 'scan');
    is(decode_json($out)->{subject}, 'hello', 'standard input is read when nothing is named');
}
{
    my ($out, $errors, $status) = run('', 'scan', "$dir/absent", $message);
    is($status, 2, 'a missing file exits 2');
    like($errors, qr/absent: No such file/, 'a missing file is named');
    is(decode_json($out)->{subject}, 'hello', 'the rest is done all the same');
}
{
    my $mbox = write_file('box', "From a\@example.com Tue Nov  3 09:15:00 2026\nSubject: one\n\n"
            . ">From here on\nx\n\nFrom b\@example.com Tue Nov  3 09:16:00 2026\nSubject: two\n\ny\n");
    my ($out, $errors, $status) = run('', 'scan', $mbox);
    my @reports = map { decode_json($_) } split /\n/, $out;
    is(scalar @reports, 2, 'an mbox gives a report for each message');
    is($reports[0]{body}, "From here on\nx\n", 'a quoted From line is unquoted');
    is($reports[1]{source}, "$mbox:2", 'messages of an mbox are numbered');
}
{
    mkdir "$dir/maildir";
    mkdir "$dir/maildir/$_" for qw(cur new tmp);
    write_file('maildir/cur/1:2,S', $plain);
    write_file('maildir/new/2', $plain);
    write_file('maildir/tmp/3', $plain);
    my ($out) = run('', 'scan', "$dir/maildir");
    is(($out =~ tr/\n//), 2, 'a Maildir is read but for its tmp');
}
{
    my $attached = write_file('attached.eml', "From: a\@example.com\nContent-Type: multipart/mixed;"
            . " boundary=x\n\n--x\nContent-Type: application/pdf; name=\"../../a.pdf\"\n\nhello\n--x--\n");
    my ($out, $errors, $status) = run('', 'scan', '--extract', "$dir/files", $attached);
    my $sha = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
    is(-s "$dir/files/$sha", 5, 'an attachment is written under its SHA-256');
    is((stat "$dir/files/$sha")[2] & 0777, 0600, 'it is readable for its owner only');
    my ($line) = do { open my $i, '<', "$dir/files/index.jsonl" or die $!; <$i> };
    is(decode_json($line)->{filename}, "\x{FFFD}..\x{FFFD}a.pdf",
        'the index has the name, made safe');
    ($out, $errors, $status) = run('', 'scan', '--extract', "$dir/files", $attached);
    is("$status$errors", '3', 'extracting again changes nothing and is no error');
}
{
    # A terminal is what script(1) makes.
    my $seen = sub { return scalar qx(NO_COLOR=1 script -qec "$mailwitness scan @_" /dev/null 2>&1 </dev/null) };
    my $said = $seen->($message);
    like($said, qr/^  verdict +unscanned\s.*^Text/ms, 'on a terminal a report is laid out for people');
    like($said, qr/^1 message is unscanned.*\n  1: no scanner is configured\r?\n +set clamav[.]database or yara[.]rules in \S+, or name them with --clamav-db and --rules/m, '... with what is unscanned, and how to change that');
    like($seen->("--json $message"), qr/^\{\r?\n/, '... or is JSON, when asked for');
    my ($out) = run('', 'scan', '--summary', $message);
    like($out, qr/\n1 message is unscanned.*\n  1: no scanner is configured\n/, 'so says the summary');
    ($out) = run('', 'scan', $message);
    unlike($out, qr/message is unscanned/, '... and JSON is JSON');
}
SKIP: {
    # An installed configuration, where nobody else sees it.
    my ($installed) = map { qx(strings -n 8 $mailwitness) =~ m{^(/\S+/mailwitness/mailwitness[.]conf)$}m } 1;
    skip 'needs root and an own view of the file system', 3 if $> != 0 || !$installed || system('unshare -m true 2>/dev/null') != 0;
    my ($top) = $installed =~ m{^((?:/[^/]+){2,}?)/mailwitness/};
    my $in = sub {
        my ($text, @command) = @_;
        my $config = write_file('installed.conf', $text);
        my $script = "mkdir -p $top && mount -t tmpfs none $top && mkdir $top/mailwitness && cp $config $installed && exec @command";
        my $said = qx(unshare -m sh -c '$script' 2>&1);
        return ($said, $? >> 8);
    };
    my ($said, $status) = $in->('limits: { header_count = 2; };', "$mailwitness scan --jsonl $message");
    like($said, qr/limit[.]header_count/, 'scan takes what the installed configuration says');
    ($said, $status) = $in->('limits: { header_count = 2; };', "$mailwitness scan --jsonl --config /dev/null $message");
    unlike($said, qr/limit[.]header_count/, '... unless another one is named');
    ($said, $status) = $in->("filter: { from: { source = \"from\"; file = \"$dir/no-right/from\"; capacity = 100; }; };", "$mailwitness scan --jsonl $message");
    ok($status == 3 && $said =~ /filter 'from' has never seen is not shown: cannot read/, '... and without a right to its filters goes on without them') or diag($said);
}
for my $case (
    [['scna'], qr/did you mean 'scan'/, 'a mistyped command gets a suggestion'],
    [['scan', '--sumary', 'x'], qr/did you mean '--summary'/, 'so does a mistyped option'],
    [['scan', '--limit', 'deph=3', 'x'], qr/did you mean 'depth'/, 'so does a mistyped limit'],
    [['scan', '--limit', 'depth=no', 'x'], qr/depth: 'no' is not/, 'a wrong value is named'],
    [['scan', '--extract'], qr/'--extract' needs a value/, 'a missing value is named'],
) {
    my ($out, $errors, $status) = run('', @{ $case->[0] });
    like($errors, $case->[1], $case->[2]);
    is($status, 2, '... and exits 2');
}
{
    my ($out, $errors, $status) = run('', 'scan', '--summary', $message);
    like($out, qr/^VERDICT\s.*\nunscanned\s+ana\@example\.com\s+hello/, '--summary is a table');
    unlike($out, qr/\033/, 'without colours away from a terminal');
    ($out, $errors, $status) = run('', 'help', 'scan');
    like($out, qr/--extract DIR/, 'help explains scan');
    ($out, $errors, $status) = run('', '--version');
    like($out, qr/^mailwitness \d/, '--version tells the version');
}
{
    my ($out, $errors, $status) = run('', 'scan', '--limit', 'message_size=10', $message);
    my $report = decode_json($out);
    is($report->{errors}[0]{name}, 'limit.message_size', 'a message over the limit says so');
    is("$report->{verdict} @{$report->{unscanned}}", 'unscanned the message is too large', '... and is not called clean for that');
    is($report->{size}, length $plain, '... and its size and hashes are kept');
}
done_testing();
