#!/usr/bin/perl
# Chaos: clients that retry as mail servers do send mails, each with a sender, an id and a file of
# its own, while the daemon, its workers and Redis are killed, paused, emptied, filled and
# demoted, by seed. Then all is reconciled: postfix's log and mailbox, Redis with every index,
# the spool, the filter. Nothing lost, doubled, untagged, unfindable, immortal.
# MW_LONG=1: 3,000 mails; MW_CHAOS="mails seed" for any other number.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Digest::SHA qw(sha256_hex);
use JSON::PP;
use POSIX ();
use Rig qw(folder run wait_until slurp spew alive);
use Rig::Daemon;
use Rig::Mail qw(message random_bytes);
use Rig::Postfix;
use Rig::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }
my ($mails, $seed) = split q{ }, $ENV{MW_CHAOS} // ($ENV{MW_LONG} ? '3000 1' : '120 1');
my $clients = 4;
note "$mails mails, seed $seed";
my $dir = folder();
my $redis = Rig::Redis->new(arguments => ['--enable-debug-command', 'yes']);
my $other = Rig::Redis->new;    # for Redis to be a replica of
my $daemon = Rig::Daemon->new(redis => $redis, settings => {
    milter => { clean => 'tag', suspicious => 'tag', unscanned => 'tag' },
    failure => { map { $_ => 'tempfail' } qw(worker_crashed timed_out queue_full store_unavailable internal_error) },
    redis => { command_time => '500ms', connect_time => '500ms', keep_messages => '2d', keep_attachments => '3d', keep_data => '1d' },
});
my $postfix = Rig::Postfix->new(milters => [$daemon->address], settings => { milter_default_action => 'tempfail' });

# --- clients -------------------------------------------------------------------------------
# The bytes of a mail's file follow from its number: the oracle makes them again.
sub file_of { my ($n) = @_; my $block = sha256_hex("chaos $seed $n"); return join q{}, map { sha256_hex("$block $_") } 1 .. 20 + $n % 300 }

# Sends one mail until it is taken; what is written down when it is: number, queue id, tries, and
# whether an answer was ever missing, after which nobody knows whether the mail was taken.
sub client {
    my ($client) = @_;
    open my $log, '>', "$dir/client$client" or die $!;
    $log->autoflush(1);
    for (my $n = $client; $n < $mails; $n += $clients) {
        my $text = message(from => "Writer $n <writer$n\@chaos.example>", subject => "chaos $n.", id => "chaos$n",
            attachments => [["file$n.bin", 'application/octet-stream', file_of($n)]]);
        my ($tries, $unanswered, $answer) = (0, 0);
        while (1) {
            $tries++;
            $answer = eval { local $SIG{ALRM} = sub { die "no answer\n" }; alarm 60; my $got = $postfix->send($text, from => "writer$n\@chaos.example", timeout => 50); alarm 0; $got };
            alarm 0;
            $unanswered++ if !$answer || $answer->{code} !~ /^[245]/ || $answer->{code} == 0;
            last if $answer && $answer->{code} == 250 && $answer->{queue_id};
            print {$log} "refused $n $answer->{code} $answer->{text}\n" if $answer && $answer->{code} =~ /^5/;
            sleep 0.3 + rand 0.7;
        }
        print {$log} "taken $n $answer->{queue_id} $tries $unanswered\n";
        sleep rand($mails > 1000 ? 0.3 : 1.4);
    }
    return;
}
my @pids;
for my $client (0 .. $clients - 1) {
    my $pid = fork // die "fork: $!";
    if (!$pid) { srand $seed * 100 + $client; eval { client($client); 1 } or warn $@; POSIX::_exit(0) }
    push @pids, $pid;
}

# --- faults --------------------------------------------------------------------------------
sub redis_again { $redis->stop('KILL'); sleep rand 1.5; $redis->start }
sub daemon_again { $daemon->stop('KILL'); $daemon->start }
my %faults = (
    'daemon killed' => \&daemon_again,
    'daemon ended and started' => sub { $daemon->stop; $daemon->start },
    'daemon reloaded' => sub { $daemon->reload },
    'daemon killed while Redis is away' => sub { $redis->stop('KILL'); sleep 1; daemon_again(); sleep 0.5; $redis->start },
    'a worker killed' => sub { my @workers = $daemon->workers; kill 'KILL', $workers[rand @workers] if @workers },
    'a generation killed' => sub { my @generations = $daemon->generations; kill 'KILL', $generations[0] if @generations },
    'Redis killed' => \&redis_again,
    'Redis paused' => sub { kill 'STOP', $redis->{pid}; sleep 1 + rand; kill 'CONT', $redis->{pid} },
    'Redis emptied' => sub { eval { $redis->command('FLUSHALL') } },
    'Redis full' => sub { eval { $redis->command(qw(CONFIG SET maxmemory 1)); sleep 1; $redis->command(qw(CONFIG SET maxmemory 0)) } },
    'Redis demoted and promoted' => sub { eval { $redis->command(qw(REPLICAOF 127.0.0.1 1)); sleep 1; $redis->command(qw(REPLICAOF NO ONE)) } },
    'connections cut' => sub { eval { $redis->command(qw(CLIENT KILL TYPE normal)) }; delete $redis->{connection} },
    'Redis forgets its scripts' => sub { eval { $redis->command(qw(SCRIPT FLUSH)) } },
);
srand $seed;
my @kinds = sort keys %faults;
my (%met, @busy);
my $end = time + ($ENV{MW_LONG} || $ENV{MW_CHAOS} ? 3600 : 150);
while (time < $end && (@busy = grep { waitpid($_, POSIX::WNOHANG()) == 0 } @pids)) {
    # Each once before any a second time.
    my ($fewest) = sort { $a <=> $b } map { $met{$_} // 0 } @kinds;
    my @next = grep { ($met{$_} // 0) == $fewest } @kinds;
    my $kind = $next[rand @next];
    $met{$kind}++;
    note sprintf '%.1f %s', time - $^T, $kind;
    $faults{$kind}->();
    alive($daemon->{pid}) or $daemon->start;    # the supervisor
    alive($redis->{pid}) or $redis->start;
    sleep 0.3 + rand 1;
}
waitpid $_, 0 for @pids;
is_deeply([grep { !$met{$_} } @kinds], [], 'every kind of fault was met');
note join ', ', map {"$_: " . ($met{$_} // 0)} @kinds;

# The last fault is one that no restart mends: a Redis that is emptied while it runs.
wait_until(30, sub { ($daemon->metrics->{mailwitness_redis_up} // 0) == 1 && ($daemon->metrics->{mailwitness_spool_messages} // 1) == 0 });
$faults{'Redis emptied'}->() if $mails <= 3000;

# --- what there is afterwards ------------------------------------------------------------------
sub metric { return $daemon->metrics->{"mailwitness_$_[0]"} // -1 }
ok(wait_until(60, sub { metric('redis_up') == 1 && metric('spool_messages') == 0 }), 'Redis is back and nothing waits in the spool');
# A Redis that forgot is noticed within two seconds, and told again: until nothing comes any more.
sleep 3;
my $told = -1;
wait_until(60, sub { my ($now) = $redis->command('ZCARD', 'mw:messages'); my $same = $now == $told; $told = $now; sleep 1.5 if !$same; return $same && $now > 0 });
my (%taken, %unanswered, @refused);
for my $client (0 .. $clients - 1) {
    for my $line (split /\n/, slurp("$dir/client$client")) {
        my ($what, $n, $queue_id, $tries, $lost) = split q{ }, $line;
        if ($what eq 'taken') { $taken{$n} = $queue_id; $unanswered{$n} = $lost if $lost } else { push @refused, $line }
    }
}
is(scalar keys %taken, $mails, 'every mail was taken in the end');
is_deeply(\@refused, [], '... and none refused for good');
my %copies;
wait_until(60, sub { %copies = (); for my $file (glob "$postfix->{dir}/mail/inbox/new/*") { my ($n) = slurp($file) =~ /^Subject: chaos (\d+)[.]$/m; push @{ $copies{$n // -1} }, $file } return $mails == grep { $copies{$_} } keys %taken });
is_deeply([grep { !$copies{$_} } sort { $a <=> $b } keys %taken], [], 'no mail is lost');
is_deeply([grep { @{ $copies{$_} || [] } > 1 + ($unanswered{$_} // 0) } sort { $a <=> $b } keys %taken], [], '... nor doubled');
my (%id_of, @untagged);
for my $n (sort { $a <=> $b } keys %copies) {
    for my $file (@{ $copies{$n} }) {
        my ($head) = split /\n\n/, slurp($file), 2;
        my @verdicts = $head =~ /^X-Mailwitness-Verdict:/mg;
        my @ids = $head =~ /^X-Mailwitness-Id: (\S+)/mg;
        push @untagged, $n if @verdicts != 1 || @ids != 1;
        $id_of{$n} = $ids[0];
    }
}
is_deeply(\@untagged, [], '... and each has one verdict and one id');

# Redis is asked for what the mail itself says: who, to whom, when, which file.
my (@unfound, @factless, @wrong, @endless);
for my $n (sort { $a <=> $b } keys %id_of) {
    my $id = $id_of{$n} or next;
    my $hash = sha256_hex(file_of($n));
    my $facts = $redis->hash("mw:message:$id");
    push @factless, $n if !$facts->{report} || ($facts->{subject} // q{}) ne "chaos $n." || ($facts->{from} // q{}) ne "writer$n\@chaos.example" || $facts->{action} ne 'tag';
    my $verdict = $facts->{verdict} // q{};
    my @indexes = ("from:writer$n\@chaos.example", 'to:bob@example.org', "envelope-from:writer$n\@chaos.example", 'domain:chaos.example',
        "filename:file$n.bin", "verdict:$verdict", "message-id:chaos$n\@example.com", 'client:127.0.0.1', "queue-id:" . ($facts->{queue_id} // q{}));
    for my $key ('mw:messages', "mw:attachment:$hash:messages", map {"mw:index:$_"} @indexes) {
        push @unfound, "$n by $key" if !defined(($redis->command('ZSCORE', $key, $id))[0]);
    }
    push @wrong, $n if (join q{ }, $redis->command('LRANGE', "mw:message:$id:attachments", 0, -1)) ne $hash;
    my $file = $redis->hash("mw:attachment:$hash");
    push @wrong, "$n: file" if ($file->{size} // -1) != length file_of($n) || !$file->{data} || !($redis->command('EXISTS', "mw:data:$hash"))[0]
        || !($redis->command('SISMEMBER', "mw:attachment:$hash:names", "file$n.bin"))[0];
    push @wrong, "$n: sender" if !$redis->hash("mw:sender:writer$n\@chaos.example")->{first_seen};
}
is_deeply(\@factless, [], 'every mail that was delivered is in Redis, with its report and what was done');
is_deeply([@unfound[0 .. ($#unfound > 5 ? 5 : $#unfound)]], [], '... and found by everything');
is_deeply(\@wrong, [], '... with its file and its sender');
for my $key ($redis->command('KEYS', 'mw:*')) {
    push @endless, $key if $key !~ /^mw:(?:schema|marker)$/ && ($redis->command('TTL', $key))[0] == -1;
}
is_deeply(\@endless, [], 'nothing is there for ever');
my ($said, $status) = run(q{}, $ENV{MAILWITNESS}, qw(store check --json --config), $daemon->{config});
is($status, 0, 'store check finds no more') or diag($said);

# A file asked for at random, by the tool.
my $any = int rand $mails;
my $out = "$dir/file";
run(q{}, $ENV{MAILWITNESS}, qw(attachment get -o), $out, '--config', $daemon->{config}, sha256_hex(file_of($any)));
ok(slurp($out) eq file_of($any), 'a file can be had');
is($daemon->stop, 0, 'the daemon ends when told to');
my @unknown = grep { (run(q{}, $ENV{MAILWITNESS}, 'seen', '--filter', "$daemon->{dir}/from.filter", "writer$_\@chaos.example"))[1] != 0 } $mails > 300 ? map { int rand $mails } 1 .. 300 : keys %taken;
is_deeply(\@unknown, [], 'the filter knows every sender whose mail was taken');
is((run(q{}, $ENV{MAILWITNESS}, 'seen', '--filter', "$daemon->{dir}/from.filter", 'nobody@chaos.example'))[1], 1, '... and nobody else');
is_deeply([glob "$daemon->{dir}/spool/*.damaged"], [], 'no file of the spool was damaged');
done_testing();
