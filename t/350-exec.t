#!/usr/bin/perl
# External programs as scanners: what they tell, how they fail, and what they cannot do.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Rig qw(process_tree slurp wait_until);
use Scan qw(scratch write_file scan_with);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $top = $ENV{top_srcdir};
my $dir = scratch();
# Folders for programs are made here, so that whatever is left is ours.
mkdir "$dir/scratch" or die $!;
chmod 0755, "$dir/scratch";
my $workers = "workers: { scratch = \"$dir/scratch\"; };\n";

sub message {
    my ($bytes, $name) = @_;
    return "From: a\@example.com\nSubject: s\nContent-Type: application/octet-stream; name=\"$name\"\n"
        . "Content-Disposition: attachment\nContent-Transfer-Encoding: base64\n\n" . encode_base64($bytes);
}

# A scan with one program, a Perl script, called tool.
sub tool {
    my ($script, $options, $bytes, @more) = @_;
    my $path = write_file('tool', "#!/usr/bin/perl\n$script", 0755);
    return scan_with("${workers}exec: { tool: { command = \"$path\"; $options }; };", message($bytes // 'some bytes', 'a.txt'), @more);
}

sub findings {
    my ($report) = @_;
    return map { @{ $_->{findings} } } @{ $report->{attachments} };
}
sub finding { my ($report) = @_; return (grep { $_->{scanner} eq 'exec' } findings($report))[0] }
sub why { my ($report) = @_; return $report->{attachments}[0]{unscanned} // q{} }

my ($report, $status, $errors);

# --- the configurations we ship ----------------------------------------------------
SKIP: {
    skip 'exiftool is not installed', 5 if !-x '/usr/bin/exiftool';
    my $pdf = "%PDF-1.4\n1 0 obj\n<< /Title (Quarterly figures) /Author (Mallory) >>\nendobj\n"
        . "2 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 2 0 R /Info 1 0 R >>\n";
    my $offset1 = index $pdf, '1 0 obj';
    my $offset2 = index $pdf, '2 0 obj';
    my $xref = index $pdf, 'trailer';
    substr $pdf, $xref, 0, sprintf "xref\n0 3\n0000000000 65535 f \n%010d 00000 n \n%010d 00000 n \n", $offset1, $offset2;
    $pdf .= "startxref\n$xref\n%%EOF\n";
    my $config = qq(\@include "$top/conf/exec/exiftool.conf"\n);
    ($report, $status) = scan_with($config, message($pdf, 'a.pdf'));
    my $found = finding($report);
    is("$found->{name} $found->{severity}", 'exiftool info', 'exiftool tells facts');
    is_deeply([@{ $found->{details} }{qw(Author Title)}], ['Mallory', 'Quarterly figures'], '... about a PDF, as JSON');
    unlike(encode_json($found->{details}), qr{/(?:dev/shm|tmp)/}, '... without a path of this host');
    is($report->{verdict}, 'unscanned', '... which make nothing clean');
    ($report) = scan_with($config, message($pdf, 'a.pdf'), '--no-sandbox');
    is(finding($report)->{details}{Author}, 'Mallory', 'it runs without workers too');
}
{
    my $config = qq(\@include "$top/conf/exec/grep.conf"\n);
    ($report, $status) = scan_with($config, message("hello\nthe Password is 1234\n", 'a.txt'));
    my $found = finding($report);
    is("$found->{name} $found->{severity} $report->{verdict} $status", 'passwords suspicious suspicious 1',
        'a text tool judges by its exit code');
    is($found->{message}, 'passwords says: the Password is 1234', '... and its words are kept');
    ($report, $status) = scan_with($config, message("hello\n", 'a.txt'));
    is("$report->{verdict} $status", 'clean 0', '... and what it passes is clean');
}

# --- what comes back ------------------------------------------------------------------
($report) = tool('print q({"a": [1, "b"]})', 'output = "json";');
is_deeply(finding($report)->{details}, { a => [1, 'b'] }, 'JSON becomes details');
($report) = tool('print q({"findings": [{"name": "bad", "severity": "malicious", "message": "it is"}]})', 'output = "json";');
my ($own) = grep { $_->{name} eq 'tool.bad' } findings($report);
is("$own->{severity} $own->{message} $report->{verdict}", 'malicious it is malicious', "a program's own findings count");
($report) = tool('print q({"a": )', 'output = "json";');
like(why($report), qr/exec[.]tool: what it printed is no JSON/, 'what is no JSON leaves the part unscanned');
($report) = tool('print qq(caf\xe9 \0 x)', q{});
is(finding($report)->{details}{output}, "caf\x{FFFD} \x{FFFD} x", 'bytes that are no UTF-8 are shown as such');
for my $case ([3, 'malicious'], [5, 'malicious'], [6, 'info'], [0, undef]) {
    ($report) = tool("exit $case->[0]", 'exit_codes = ["0=clean", "3-5=malicious", "6=info", "*=failed"];');
    is((finding($report) // {})->{severity}, $case->[1], "exit code $case->[0] means what the table says");
}
($report) = tool('print STDERR "no such thing\nmore\n"; exit 9', q{});
is(why($report), 'exec.tool: ended with exit code 9: no such thing', 'a code that stands nowhere is a failure, with its words');
($report) = tool('exit 0', 'judges = true;');
is($report->{verdict}, 'clean', 'a program that judges can call a part clean');

# --- how it is asked --------------------------------------------------------------------
($report) = tool('local $/; print <STDIN>', 'input = "stdin";', 'the bytes');
is(finding($report)->{details}{output}, 'the bytes', 'a part comes on standard input');
($report) = tool('open F, q(<), $ARGV[0]; local $/; print <F>, q( ), $ARGV[0] =~ m{/part[.]txt$}, -w $ARGV[0] ? q(w) : q()',
    'arguments = ["${file}"];', 'the bytes');
is(finding($report)->{details}{output}, 'the bytes 1', '... or as a file with its extension that cannot be written');
($report) = tool('print join q(|), @ARGV', 'arguments = ["-x", "${filename}", "n=${size}", "${file_type}", "${path}", "$${nothing}"];', '12345');
is(finding($report)->{details}{output}, '-x|a.txt|n=5|text/plain|1|$${nothing}', 'arguments are filled in');
{
    my $path = write_file('tool', "#!/usr/bin/perl\nprint join q(|), \@ARGV", 0755);
    ($report) = scan_with("exec: { tool: { command = \"$path\"; arguments = [\"\${filename}\"]; }; };", message('x', '--evil=1'));
    is(finding($report)->{details}{output}, '_--evil=1', 'a name cannot pass for an option');
    ($report) = scan_with("exec: { tool: { command = \"$path\"; names = [\"*.pdf\"]; }; };", message('x', 'a.txt'));
    is(scalar(grep { $_->{scanner} eq 'exec' } findings($report)), 0, 'a condition holds it back');
}
($report) = tool('print join q(|), map { "$_=$ENV{$_}" } grep { !/^(?:HOME|TMPDIR)$/ } sort keys %ENV', 'environment = ["MINE=1"];');
is(finding($report)->{details}{output}, 'LC_ALL=C.UTF-8|MINE=1|PATH=/usr/local/bin:/usr/bin:/bin', 'its environment is clean');
($report) = tool('opendir D, q(/proc/self/fd) or die $!; print scalar grep { /^\d+$/ } readdir D', 'paths = ["/proc"];');
cmp_ok(finding($report)->{details}{output}, '<=', 5, 'it inherits no descriptors'); # with those of the script and the folder

# --- how it fails -----------------------------------------------------------------------
($report) = tool('sleep 60', 'time = "200ms";');
is(why($report), 'exec.tool: took too long and was ended', 'one that hangs is ended');
($report) = tool('close STDOUT; close STDERR; sleep 60', 'time = "200ms";');
is(why($report), 'exec.tool: took too long and was ended', '... although it closed its streams');
($report) = tool('sleep 60', 'time = "60s";', 'x', '--limit', 'time_ms=300ms');
like(why($report), qr/exec[.]tool: took too long/, "... when the message's time is up");
($report) = tool('use POSIX; abort()', q{});
like(why($report), qr/exec[.]tool: was ended by signal 6/, 'one that crashes is told with its signal');
($report) = tool('my $x = q(x) x (1 << 30); print length $x', 'memory_max = "128m";');
like(why($report), qr/exec[.]tool: ended with exit code 12: Out of memory/, 'one that wants too much memory does not get it');
($report) = tool('print q(x) x 4096 while 1', 'output_max = "64k";');
is(why($report), 'exec.tool: printed more than 65536 bytes and was ended', 'one that prints without end is ended');
($report) = tool('exit 0', 'command2 = 1;');
is($report, undef, 'an unknown option is a mistake');
(undef, $status, $errors) = scan_with('exec: { tool: { command = "/nowhere/tool"; }; };', message('x', 'a'));
ok($status == 2 && $errors =~ m{exec[.]tool: cannot run /nowhere/tool: No such file}, 'a program that is not there is named at once');
{
    my $path = write_file('tool', "#!/nowhere/interpreter\n", 0755);
    ($report) = scan_with("exec: { tool: { command = \"$path\"; }; };", message('x', 'a'));
    like(why($report), qr/exec[.]tool: cannot be run: No such file/, '... or when it is tried');
}

# --- what it cannot do ------------------------------------------------------------------
my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die $!;
my $port = $server->sockport;
my $connect = "use Socket; socket(S, PF_INET, SOCK_STREAM, 0) or do { print qq(no: \$!); exit }; connect(S, pack_sockaddr_in($port, inet_aton(q(127.0.0.1)))) or die \$!; print q(connected)";
my $secret = write_file('secret', 'secret', 0644);
my %denied = (
    'use the network' => [$connect, qr/^no: Operation not permitted/],
    'make a local socket' => ['use Socket; print socket(S, PF_UNIX, SOCK_STREAM, 0) ? q(made) : $!', qr/^Operation not permitted/],
    'read files elsewhere' => ["print open(F, q(<), q($secret)) ? q(read) : \$!", qr/^Permission denied/],
    'write files elsewhere' => ['print open(F, q(>), q(/tmp/mailwitness-350-exec)) ? q(made) : $!', qr/^Permission denied/],
    'look at other processes' => ['print opendir(D, q(/proc)) ? q(read) : $!', qr/^Permission denied/],
    'end another process' => ['print kill(0, getppid()) ? q(can) : $!', qr/^Operation not permitted/],
    'run what it wrote' => ['open F, q(>), qq($ENV{HOME}/x) or die $!; print F qq(#!/bin/sh\necho ran\n); close F; chmod 0755, qq($ENV{HOME}/x); print qx($ENV{HOME}/x 2>&1) || $!', qr/ermission denied/],
);
for my $what (sort keys %denied) {
    my ($script, $pattern) = @{ $denied{$what} };
    ($report) = tool($script, q{});
    my $output = (finding($report) // {})->{details}{output} // why($report);
    like($output, $pattern, "it cannot $what");
}
($report) = tool($connect, 'network = true;');
is((finding($report) // {})->{details}{output} // why($report), 'connected', 'with network = true it can connect');
($report) = tool('use Socket; print socket(S, PF_UNIX, SOCK_STREAM, 0) ? q(made) : $!', 'network = true;');
like(finding($report)->{details}{output}, qr/^Operation not permitted/, '... but not to local sockets');
($report) = tool("open F, q(<), q($secret) or die \$!; print <F>", "paths = [\"$secret\"];");
is(finding($report)->{details}{output}, 'secret', 'what paths name can be read');
($report) = tool('open F, q(>), qq($ENV{TMPDIR}/x) or die $!; print q(wrote)', q{});
is(finding($report)->{details}{output}, 'wrote', 'its own folder can be written');

# --- what it leaves behind -----------------------------------------------------------------
# Programs of this test sleep for a time that nobody else on this machine asks for.
sub nap { my ($seconds) = @_; return "$seconds.$$" . int rand 1e6 }

# Processes that sleep for this long, as [process id, the one above it]; those that have
# ended have no words any more.
sub asleep {
    my ($nap, @among) = @_;
    my @found;
    for my $pid (@among ? @among : map { m{(\d+)} } glob '/proc/[0-9]*') {
        next if slurp("/proc/$pid/cmdline") ne "/bin/sleep\0$nap\0";
        push @found, [$pid, slurp("/proc/$pid/stat") =~ /^\d+ \(.*\) \S (\d+)/s];
    }
    return @found;
}
# Far shorter than they would sleep.
sub all_wake { my ($nap) = @_; return wait_until(20, sub { !asleep($nap) }) }
{
    my $nap = nap(98);
    ($report) = tool("use POSIX; pipe R, W; if (!fork) { setsid(); if (!fork) { setsid(); close STDOUT; close STDERR; exec q(/bin/sleep), q($nap) } exit } close W; readline R; print q(left)", q{});
    is((finding($report) // {})->{details}{output}, 'left', 'a program can start others');
    ok(all_wake($nap), '... and all end with it');
}
{
    my $nap = nap(97);
    my $path = write_file('tool', "#!/bin/sh\nexec /bin/sleep $nap", 0755);
    my $file = write_file('test.conf', "${workers}exec: { tool: { command = \"$path\"; time = \"60s\"; }; };");
    my $mail = write_file('mail.eml', message('x', 'a'));
    my $scan = open(my $pipe, '-|', $mailwitness, qw(scan --jsonl --jobs 1 --config), $file, $mail, $mail) // die $!;
    my $before = 0;    # who runs, until it ends, below somebody else when its runner is gone
    for my $which (qw(first second)) {
        my $found = wait_until(60, sub { return (grep { $_->[0] != $before } asleep($nap, process_tree($scan)))[0] });
        ok($found && kill(KILL => $found->[1]), "what runs programs is killed during the $which message");
        $before = $found ? $found->[0] : 0;
    }
    is(why(decode_json(scalar <$pipe>)), 'exec: what runs programs has ended or does not answer',
        "$_, when what runs programs is killed") for 'a message is told so', 'the next one has a new one, and is told its own';
    close $pipe;
    ok(all_wake($nap), '... and the program ends too');
}
is(join(q{ }, glob "$dir/scratch/*"), q{}, 'no file is left behind');
{
    # Without workers there is no folder of ours: others may come and go beside it.
    ($report) = tool('print $ENV{HOME}', q{}, 'x', '--no-sandbox');
    my $home = (finding($report) // {})->{details}{output} // q{};
    like($home, qr{^/tmp/mailwitness-run-}, 'without workers a program has a folder in /tmp');
    ok(!-e $home, '... which is gone with it');
}
done_testing();
