#!/usr/bin/perl
# Workers that are killed in the middle of a scan, and mail that tries to break them:
# nothing is lost, mixed up or left behind. MW_LONG=1: 1,000 kills, 20,000 messages.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep);

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $top = $ENV{top_srcdir};
my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;
my ($wanted_kills, $wanted_mutants) = $ENV{MW_LONG} ? (1000, 20_000) : (24, 600);
my $version = scalar qx($mailwitness --version);
my @fixtures = glob "$top/t/fixtures/messages/*";
my @scanners;
push @scanners, '--rules', "$top/conf/rules/attachments", '--body-rules', "$top/conf/rules/bodies" if $version =~ /YARA/;
push @scanners, '--clamav-db', "$top/t/fixtures/clamav" if $version =~ /ClamAV/;
srand 360;

sub slurp {
    my ($name) = @_;
    open my $in, '<:raw', $name or die "$name: $!";
    local $/;
    return scalar <$in>;
}

sub write_file {
    my ($name, $text, $mode) = @_;
    open my $out, '>:raw', $name or die "$name: $!";
    print {$out} $text;
    close $out or die $!;
    chmod $mode, $name if $mode;
    return $name;
}

# Children of a process.
sub children {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/task/$pid/children" or return;
    return split q{ }, <$in> // q{};
}

mkdir "$dir/scratch";
my $plain = write_file("$dir/plain.conf", "workers: { scratch = \"$dir/scratch\"; };");
sub leftovers { return glob "$dir/scratch/*" }

# Starts a scan; its process id and the file its reports go to.
sub start {
    my (@arguments) = @_;
    my $pid = fork // die $!;
    if (!$pid) {
        open STDOUT, '>', "$dir/out" or die $!;
        open STDERR, '>', "$dir/errors" or die $!;
        exec $mailwitness, 'scan', '--jsonl', @arguments or die $!;
    }
    return $pid;
}

# Kills workers of a scan until it ends, at most so many; how many that were.
sub murder {
    my ($pid, $most) = @_;
    my ($kills, $loaded) = (0, 0);
    while (waitpid($pid, 1) == 0) {
        my ($zygote) = children($pid);
        my ($generation) = $zygote ? children($zygote) : ();
        my @workers = $generation ? children($generation) : ();
        # Before that a child of the generation only tries the sandbox.
        $loaded ||= @workers == 3;
        $kills += kill KILL => $workers[rand @workers] if $loaded && @workers && $kills < $most;
        sleep 0.002 + rand 0.02;
    }
    return $kills;
}

my %sums = map { $_ => sha256_hex(slurp($_)) } @fixtures;
my ($kills, $failed, $runs) = (0, 0, 0);
my %seen = (lost => 0, mixed => 0, unnamed => 0);
while ($kills < $wanted_kills && $runs < $wanted_kills) {
    $runs++;
    $kills += murder(start('--jobs', 3, '--config', $plain, @scanners, @fixtures), 8);
    my %reports;
    for my $line (split /\n/, slurp("$dir/out")) {
        my $report = decode_json($line);
        push @{ $reports{ $report->{source} } }, $report;
        my @named = grep { $_->{name} =~ /^worker[.]/ } @{ $report->{errors} };
        $failed += @named;
        $seen{unnamed}++ if @named && $report->{verdict} ne 'unscanned';
    }
    for my $file (@fixtures) {
        my $count = grep { /^\Q$file\E/ } keys %reports;
        $seen{lost}++ if !$count;
        next if $file =~ /mbox|smtp/ || !$reports{$file};
        $seen{mixed}++ if @{ $reports{$file} } != 1;
        next if slurp($file) =~ /^From |^DATA\r?$/m;
        $seen{mixed}++ if $reports{$file}[0]{sha256} ne $sums{$file};
    }
}
diag("$kills workers killed in $runs scans, $failed messages were told so");
cmp_ok($kills, '>=', $wanted_kills, "workers are killed in the middle of scans");
cmp_ok($failed, '>', 0, '... and messages are told so');
cmp_ok($failed, '<=', $kills, '... no more than there were workers killed');
is($seen{lost}, 0, 'every message gets a report or a named failure');
is($seen{mixed}, 0, "... and never another one's");
is($seen{unnamed}, 0, '... and none that failed has a verdict');
is(join(q{ }, leftovers()), q{}, 'no temporary file or folder is left behind');
is(join(q{ }, children($$)), q{}, 'no process is left behind');

# --- what ended a worker is kept for study ---------------------------------------------
{
    my $nap = "96.$$";
    my $tool = write_file("$dir/tool", "#!/bin/sh\n(setsid /bin/sleep $nap &)\nexec /bin/sleep $nap", 0755);
    mkdir "$dir/kept";
    my $config = write_file("$dir/test.conf", "exec: { tool: { command = \"$tool\"; time = \"60s\"; }; };\n"
        . "workers: { count = 1; scratch = \"$dir/scratch\"; keep_folder = \"$dir/kept\"; keep_most = 1; };");
    my $attachment = "Content-Type: application/pdf\n\n";
    my @mails = map { write_file("$dir/mail$_", "Subject: $_\n${attachment}x$_") } 1, 2;
    my $pid = start('--config', $config, @mails);
    my $killed = 0;
    for (1 .. 1000) {
        last if waitpid($pid, 1) != 0;
        my ($zygote) = children($pid);
        my ($generation) = $zygote ? children($zygote) : ();
        my @pair = $generation ? children($generation) : ();
        my @busy = map { children($_) } @pair;
        # The worker is the one of the pair that has no child.
        my ($worker) = grep { !children($_) } @pair;
        if (@busy && $worker && $worker != $killed && kill KILL => $worker) {
            $killed = $worker;
        }
        sleep 0.02;
    }
    my @reports = map { decode_json($_) } split /\n/, slurp("$dir/out");
    is(scalar(grep { $_->{errors}[0]{name} eq 'worker.crashed' } @reports), 2, 'messages whose worker died are told so');
    my @kept = glob "$dir/kept/*";
    is_deeply([map { m{([^/]+)$} } @kept], [sha256_hex(slurp($mails[0])) . '.eml'],
        'the message that ended a worker is kept under its SHA-256, and no more of them than wanted');
    is(slurp($kept[0]), slurp($mails[0]), '... byte for byte') if @kept;
    is(join(q{ }, leftovers()), q{}, '... and nothing else is left');
    my @asleep = grep { my $line = -r $_ ? qx(cat $_ 2>/dev/null) : q{}; $line =~ /\Q$nap\E/ } glob '/proc/[0-9]*/cmdline';
    is(scalar @asleep, 0, '... nor a process of the programs that worked for it');
}

# --- mutated messages --------------------------------------------------------------------
sub mutate {
    my ($text) = @_;
    for (1 .. 1 + rand 8) {
        my $length = length $text or last;
        my $at = int rand $length;
        my $kind = int rand 6;
        if ($kind == 0) { substr $text, $at, 1, chr int rand 256 }
        elsif ($kind == 1) { substr $text, $at, int rand 64, q{} }
        elsif ($kind == 2) { substr $text, $at, 0, substr $text, int rand $length, int rand 200 }
        elsif ($kind == 3) { $text = substr $text, 0, $at }
        elsif ($kind == 4) { substr $text, $at, 0, ("\n", "\r", "\0", "\n\n", '--', '=?', '(', '"')[rand 8] }
        else { substr $text, $at, 4, pack 'N', int rand 2**32 }
    }
    return $text;
}
my @small = grep { -s $_ < 200_000 } @fixtures;
my ($done, $told, $crashed) = (0, 0, 0);
while ($done < $wanted_mutants) {
    my @names = map { sprintf '%s/mutant-%04d', $dir, $_ } 1 .. 500;
    for my $name (@names) {
        my $text = mutate(slurp($small[rand @small]));
        # One file, one message: no mbox.
        $text =~ s/^From /from /mg;
        write_file($name, "Subject: mutant\n$text");
    }
    my $pid = start('--jobs', 2, @scanners, @names);
    waitpid $pid, 0;
    $done += @names;
    my %sources;
    for my $line (split /\n/, slurp("$dir/out")) {
        my $report = decode_json($line);
        $sources{ $report->{source} }++;
        if (my @bad = grep { $_->{name} =~ /^worker[.]/ } @{ $report->{errors} }) {
            $crashed++;
            diag("$report->{source}: $bad[0]{name}: $bad[0]{detail}");
            rename $report->{source}, "/tmp/mailwitness-mutant-$report->{sha256}" if $ENV{MW_KEEP};
        }
    }
    $told += grep { ($sources{$_} // 0) == 1 } @names;
}
is($told, $done, "$done mutated messages: every one has its report");
is($crashed, 0, '... and no worker died of one');
done_testing();
