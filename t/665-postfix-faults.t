#!/usr/bin/perl
# Workers that die or hang over a mail, a full disk, memory or rules that cannot be loaded:
# through postfix each meets its action, and no mail is lost or called clean for it.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder spawn alive wait_until slurp spew);
use Rig::Daemon;
use Rig::Mail qw(message on_the_wire words zipped);
use Rig::Postfix;
use Rig::Redis;
use Test::More;
use Time::HiRes qw(sleep);

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }
my $uuid = qr/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/;
my $dir = folder();
my $redis = Rig::Redis->new;
mkdir "$dir/rules";
spew("$dir/rules/one.yar", "rule Lure { meta: severity = \"suspicious\" strings: \$a = \"lure-text\" condition: \$a }\n");
# Over a part called *.slow a worker sits until it is ended.
my $yara = Rig::Daemon::engines()->{yara};
my $daemon = Rig::Daemon->new(redis => $redis, settings => {
    workers => { count => 1 },
    limits => { time => '100s' },
    exec => { slow => { command => '/bin/sleep', arguments => ['60'], time => '100s', names => ['*.slow'] } },
    $yara ? (yara => { rules => "$dir/rules" }) : (),
});
my $postfix = Rig::Postfix->new(milters => [$daemon->address]);

# A mail on its way in another process; answer waits for it.
sub sending {
    my ($mail) = @_;
    pipe my $in, my $out or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $answer = eval { $postfix->send($mail) } || {};
        syswrite $out, join "\n", map { $_ // q{} } @{$answer}{qw(code queue_id text)};
        POSIX::_exit(0);
    }
    return { in => $in, pid => $pid };
}

sub answer {
    my ($sending) = @_;
    my $in = $sending->{in};
    my ($code, $queue_id, $text) = split /\n/, do { local $/; <$in> }, 3;
    waitpid $sending->{pid}, 0;
    return { code => $code, queue_id => $queue_id, text => $text };
}

my $slow_count = 0;
sub slow { return message(subject => 'slow', attachments => [['a.slow', 'application/x-slow', 'slow ' . $slow_count++]]) }

# Whether, and once, a worker has the program under way.
sub is_busy { return scalar grep { slurp("/proc/$_/cmdline") =~ m{^/bin/sleep} } $daemon->processes }
sub busy { return wait_until(30, \&is_busy) || diag('no worker is busy') }

# The worker itself; beside it is what runs programs for it, and has one below it.
sub the_worker {
    my %has_child = map { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) \S (\d+)/ ? ($1 => 1) : () } $daemon->processes;
    return grep { !$has_child{$_} } $daemon->workers;
}

# The mail as delivered, and its id.
sub delivered {
    my ($answer) = @_;
    my $mail = $answer->{queue_id} ? $postfix->delivered($answer->{queue_id}) // q{} : q{};
    my ($id) = $mail =~ /^X-Mailwitness-Id: $uuid$/m;
    return ($mail, $id);
}

# Reads the configuration again and waits until that is done.
sub reloaded {
    my ($pattern, %settings) = @_;
    $daemon->configure(%settings);
    my $before = () = $daemon->log_text =~ /$pattern/g;
    $daemon->reload;
    return ok(wait_until(60, sub { (() = $daemon->log_text =~ /$pattern/g) > $before }), '... the configuration is read again')
        || diag($daemon->log_text);
}

my $read_again = qr/were read again/;

# Ends the workers of a slow mail whenever one has it, until the mail is answered.
sub send_to_death {
    my $sending = sending(slow());
    for (1 .. 2) {
        busy();
        kill 'KILL', the_worker();
        wait_until(10, sub { !is_busy() });
    }
    return answer($sending);
}

# --- a worker is killed in the middle -----------------------------------------------------
my $got = send_to_death();
is($got->{code}, 451, 'a mail over which workers die is put off, as it comes');
ok($daemon->wait_log(qr/action=tempfail .*failed=worker_crashed/), '... the log names the condition');
is($postfix->send(message())->{code}, 250, '... the next mail is taken');

reloaded($read_again, failure => { worker_crashed => 'tag', timed_out => 'quarantine' });
$got = send_to_death();
my ($mail, $id) = delivered($got);
like($mail, qr/^X-Mailwitness-Verdict: unscanned \(worker_crashed\)$/m, '... or delivered with the reason in its header, where that is configured');
ok(wait_until(10, sub { ($redis->hash("mw:message:$id")->{verdict} // q{}) eq 'unscanned' }), '... and kept as not scanned') if ok($id, '... it has an id');

# --- time is up ---------------------------------------------------------------------------
reloaded($read_again, limits => { time => '2s' });
$got = $postfix->send(slow());
is($got->{code}, 250, 'a mail that takes longer than limits.time meets its action');
ok(wait_until(10, sub { grep { $_ eq $got->{queue_id} } $postfix->queued('hold') }), '... here: it is held');
ok($daemon->wait_log(qr/\b$got->{queue_id}: .*verdict=unscanned action=quarantine .*failed=timed_out/), '... and called unscanned');
reloaded($read_again, failure => { timed_out => 'tag' });
($mail) = delivered($postfix->send(slow()));
like($mail, qr/^X-Mailwitness-Verdict: unscanned \(timed_out\)$/m, '... or delivered with the reason in its header');
my $sending = sending(slow());
busy();
kill 'STOP', $daemon->workers;
($mail) = delivered(answer($sending));
like($mail, qr/^X-Mailwitness-Verdict: unscanned \(timed_out\)$/m, 'a worker that hangs is ended, and its mail treated alike');
is($postfix->send(message())->{code}, 250, '... the next mail is taken') or diag($daemon->log_text);

# --- the process of a generation is killed -------------------------------------------------
mkdir "$dir/mails";
spew(sprintf("$dir/mails/%03d.eml", $_), on_the_wire(message(id => "generation$_", text => words(2000, $_)))) for 0 .. 49;
my $generation_killed = 0;
my $begun = () = $postfix->log_text =~ /: removed$/mg;
my $load = spawn({ out => "$dir/load.summary" }, "$ENV{top_builddir}/smtp_load", $postfix->{port}, "$dir/mails", 20, 400, 10, "$dir/load");
while (alive($load)) {
    my $done = (() = $postfix->log_text =~ /: removed$/mg) - $begun;
    if ($generation_killed < 3 && $done > 20 + 100 * $generation_killed) { $generation_killed += kill 'KILL', $daemon->generations }
    sleep 0.05;
}
my %codes;
$codes{ (split)[1] }++ for split /\n/, slurp("$dir/load");
is(join(q{ }, map {"$_: $codes{$_}"} sort keys %codes), '250: 400', 'no mail suffers when the process that keeps workers is killed');
is($generation_killed, 3, '... which it was');
unlike($daemon->log_text, qr/failed=[\w,]*internal_error/, '... and no mistake of ours is told');

# --- no memory for more ---------------------------------------------------------------------
reloaded($read_again, milter => { memory_max => '1m' }, limits => { message_size => '20m' }, failure => { queue_full => 'tag' });
($mail, $id) = delivered($postfix->send(message(text => words(2_000_000, 1))));
like($mail, qr/^X-Mailwitness-Verdict: unscanned \(queue_full\)$/m, 'a mail beyond milter.memory_max meets its action, called unscanned');
ok(length $mail > 1_900_000, '... whole');
is($postfix->send(message())->{code}, 250, '... a smaller one is taken');

# --- a damaged archive ------------------------------------------------------------------------
my $torn = substr zipped('a.txt', words(50_000, 3)), 0, -3000;
($mail) = delivered($postfix->send(message(attachments => [['torn.zip', 'application/zip', $torn]])));
like($mail, qr/^X-Mailwitness-Verdict: unscanned \(unreadable, not_opened\)$/m, 'a torn archive is called unscanned, and the header says why');

# --- rules that cannot be loaded -----------------------------------------------------------------
SKIP: {
    skip 'built without YARA', 4 if !$yara;
    spew("$dir/rules/two.yar", "rule Broken { condition: nothing_known }\n");
    reloaded(qr/reading again failed, all stays as it was: .*two\.yar/);
    ($mail) = delivered($postfix->send(message(attachments => [['a.txt', 'text/plain', 'a lure-text']])));
    like($mail, qr/^X-Mailwitness-Findings: .*Lure/m, 'with rules that cannot be loaded the ones before go on finding');
    kill 'KILL', $daemon->generations;
    $got = $postfix->send(message(subject => 'nobody to scan'));
    is(int($got->{code} / 100), 2, 'without any workers a mail meets failure.queue_full');
    ($mail) = delivered($got);
    like($mail, qr/^X-Mailwitness-Verdict: unscanned \(queue_full\)$/m, '... and is not called clean');
    unlink "$dir/rules/two.yar";
    ok(wait_until(30, sub { (delivered($postfix->send(message(attachments => [['a.txt', 'text/plain', 'a lure-text']]))))[0] =~ /Findings: .*Lure/ }),
        'with sound rules all is as before');
}
$daemon->stop;

# --- neither Redis nor the disk ---------------------------------------------------------------------
SKIP: {
    skip 'no file system of our own can be mounted', 9 if system('unshare', '-m', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', $dir) != 0;
    mkdir "$dir/small";
    # Only the daemon sees it, and it goes with the daemon.
    my $small = Rig::Daemon->new(redis => $redis, prefix => ['unshare', '-m', '--', 'sh', '-c',
        qq(mount -t tmpfs -o size=1m,mode=777 none "$dir/small" && exec "\$@"), 'sh'],
        settings => { spool => { folder => "$dir/small/spool" }, failure => { store_unavailable => 'tempfail' } });
    $postfix->reconfigure(smtpd_milters => $small->address);
    is($postfix->send(message(subject => 'before'))->{code}, 250, 'with Redis a small disk is enough');
    $redis->stop;
    my ($taken, $refused) = (0, undef);
    for my $n (1 .. 40) {
        my $answer = $postfix->send(message(subject => "n$n", attachments => [['a.bin', 'application/x-a', Rig::Mail::random_bytes(100_000)]]));
        if ($answer->{code} == 250) { $taken++ } else { $refused = $answer; last }
    }
    cmp_ok($taken, '>', 0, 'without Redis mail is taken');
    is($refused && $refused->{code}, 451, '... until the disk is full: then it is put off');
    ok($small->wait_log(qr/action=tempfail .*failed=store_unavailable/), '... the log names the condition');
    $small->configure(failure => { store_unavailable => 'tag' });
    my $before = () = $small->log_text =~ /$read_again/g;
    $small->reload;
    wait_until(30, sub { (() = $small->log_text =~ /$read_again/g) > $before });
    ($mail) = delivered($postfix->send(message(subject => 'full', attachments => [['a.bin', 'application/x-a', Rig::Mail::random_bytes(100_000)]])));
    like($mail, qr/^X-Mailwitness-Verdict: \S+ \(store_unavailable\)$/m, '... or delivered with the reason in its header');
    $redis->start;
    ok(wait_until(60, sub { ($small->metrics->{mailwitness_spool_messages} // 1) == 0 && $small->metrics->{mailwitness_redis_up} }),
        'when Redis is back it gets what was kept');
    my %subjects = map { (($redis->command('HGET', "mw:message:$_", 'subject'))[0] // q{} => 1) } $redis->command('ZRANGE', 'mw:messages', 0, -1);
    is(scalar(grep { $subjects{"n$_"} } 1 .. $taken), $taken, '... all of it');
    is($postfix->send(message())->{code}, 250, '... and all goes on');
    $small->stop;
}
done_testing();
