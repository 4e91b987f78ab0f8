#!/usr/bin/perl
# Chaos: clients that retry as mail servers do send mails, each with a sender, an id and a file of
# its own, while postfix, the daemon, its workers and Redis are killed, paused, emptied, filled and
# demoted, disks are full or read-only, clocks wrong and descriptors used up, by seed. Then all is
# reconciled: postfix's log and mailbox, Redis with every index, the spool, the filter. Nothing
# lost, doubled, untagged, unfindable, immortal; a sender is known when its mail was taken, and new
# when it was refused or put off.
# MW_LONG=1: 3,000 mails; MW_CHAOS="mails seed" for any other number.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Digest::SHA qw(sha256_hex);
use JSON::PP;
use List::Util qw(shuffle min max);
use POSIX ();
use Rig qw(folder run wait_until slurp spew alive end_process preloadable process_tree);
use Rig::Daemon;
use Rig::Mail qw(message eicar);
use Rig::Postfix;
use Rig::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }
if (!$ENV{MW_OWN_MOUNTS} && system(qw(unshare -m --propagation private true)) == 0) {
    # Disks of our own, which go with us whatever happens.
    $ENV{MW_OWN_MOUNTS} = 1;
    exec qw(unshare -m --propagation private), $^X, $0 or die $!;
}
my ($mails, $seed) = split q{ }, $ENV{MW_CHAOS} // ($ENV{MW_LONG} ? '3000 1' : '120 1');
my $short = $mails < 1000;
my $clients = 4;
note "$mails mails, seed $seed";
my $dir = folder();

# --- disks and clock -----------------------------------------------------------------------
my @mounted;
sub mounted {
    my ($place, $size) = @_;
    mkdir $place;
    system('mount', '-t', 'tmpfs', '-o', "size=$size,mode=755", 'none', $place) == 0 or return 0;
    unshift @mounted, $place;
    return 1;
}
my @pids;    # of the clients
END { if ($$ == $Rig::owner) { my $status = $?; kill 'TERM', @pids; system 'umount', '-l', $_ for @mounted; $? = $status } }
my %disk = (spool => "$dir/spool", filter => "$dir/filter");
my $disks = $ENV{MW_OWN_MOUNTS} && mounted($disk{spool}, '256m') && mounted($disk{filter}, '16m');
mkdir $_ for values %disk;

# postfix holds the lock of its master, which alone is written all the time, on another one.
sub queue_disk {
    my ($postfix) = @_;
    $disk{queue} = "$postfix/spool";
    $disks &&= mounted($disk{queue}, '64m') && mounted("$disk{queue}/pid", '1m');
    return;
}

sub full {
    my ($name, $seconds) = @_;
    my $block = "\0" x 65536;
    open my $out, '>', "$disk{$name}/filler" or return;
    my $until = time + $seconds;
    while (time < $until) { defined syswrite $out, $block or sleep 0.05 }
    close $out;
    unlink "$disk{$name}/filler";
    return;
}

# A disk that something writes to cannot be made read-only: the next moment, then.
sub read_only {
    my ($name, $seconds) = @_;
    wait_until(3, sub { system("mount -o remount,ro $disk{$name} 2>/dev/null") == 0 }) or return 0;
    sleep $seconds;
    system("mount -o remount,rw $disk{$name}") == 0 or die "$disk{$name} stays read-only\n";
    return 1;
}

my $shift = preloadable('clock_shift', "$ENV{top_builddir}/mailwitnessd");
my $clocks = defined $shift;
sub clock_off {
    my ($seconds) = @_;
    open my $out, '+<', "$dir/clock" or die $!;
    syswrite $out, pack 'q', $seconds;
    return;
}
sub wrong_clock { my ($seconds) = @_; clock_off($seconds); sleep 1.5 + rand; clock_off(0); return }
spew("$dir/clock", pack 'q', 0);

# --- servers -------------------------------------------------------------------------------
my $redis = Rig::Redis->new(arguments => ['--enable-debug-command', 'yes', '--lua-time-limit', '100']);
my $daemon = Rig::Daemon->new(redis => $redis, prefix => ['env', $clocks ? ("LD_PRELOAD=$shift", "CLOCK_SHIFT_FILE=$dir/clock") : ()], settings => {
    milter => { clean => 'tag', suspicious => 'tag', unscanned => 'tag' },
    failure => { map { $_ => 'tempfail' } qw(worker_crashed timed_out queue_full store_unavailable internal_error engine_missing out_of_resources) },
    redis => { command_time => '500ms', connect_time => '500ms', keep_messages => '2d', keep_attachments => '3d', keep_data => '1d' },
    spool => { folder => "$disk{spool}/spool" },
    # So small that it grows, so sure that none is taken for another.
    filter => { from => { source => 'from', file => "$disk{filter}/from.filter", capacity => 100, fp_rate => '1e-7' } },
});
my $postfix = Rig::Postfix->new(milters => [$daemon->address], settings => { milter_default_action => 'tempfail', message_size_limit => 10 << 20, notify_classes => q{} }, place => \&queue_disk);

# --- clients -------------------------------------------------------------------------------
# The bytes of a mail's file follow from its number: the oracle makes them again.
sub file_of { my ($n) = @_; my $block = sha256_hex("chaos $seed $n"); return join q{}, map { sha256_hex("$block $_") } 1 .. 20 + $n % 300 }
# One in twenty is malicious, and tried until it is refused; one in ten gives up when put off.
sub bad { return $_[0] % 20 == 3 && Rig::Daemon::engines()->{clamav} }
sub gives_up { return $_[0] % 10 == 7 }
sub mail {
    my ($n) = @_;
    my @file = bad($n) ? ("file$n.com", 'application/octet-stream', eicar()) : ("file$n.bin", 'application/octet-stream', file_of($n));
    return message(from => "Writer $n <writer$n\@chaos.example>", subject => "chaos $n.", id => "chaos$n", attachments => [\@file]);
}

# What a try came to: taken, refused, put off (by us), away (nobody heard of it), or unclear: the
# mail server may have taken the mail, or we may have told it to.
sub try_once {
    my ($n) = @_;
    my $answer = eval {
        local $SIG{ALRM} = sub { die "no answer\n" };
        alarm 60;
        my $got = $postfix->send(mail($n), from => "writer$n\@chaos.example", timeout => 50);
        alarm 0;
        $got;
    };
    my $error = $@;
    alarm 0;
    return ($error =~ /^no connection/ ? 'away' : 'unclear', q{-}, $error =~ s/\n.*//sr) if !$answer;
    my ($code, $id, $text) = ($answer->{code} // 0, $answer->{queue_id}, ($answer->{text} // q{}) =~ s/\s+/ /gr);
    return ('taken', $id, $text) if $code == 250 && $id;
    return ('refused', q{-}, $text) if $code == 550 && $text =~ /refused: /;
    return ('put-off', q{-}, $text) if $code =~ /^4/ && $text =~ /try again later \([\w-]{36}\)/;
    return ('failed', q{-}, "$code $text") if $code =~ /^5/;
    return ('unclear', q{-}, "$code $text");
}

sub client {
    my ($client) = @_;
    open my $log, '>', "$dir/client$client" or die $!;
    $log->autoflush(1);
    for (my $n = $client; $n < $mails; $n += $clients) {
        # Mails are under way until the last kind of fault was met.
        wait_until(3600, sub { -e "$dir/met" }) if $n + $clients >= $mails;
        while (1) {
            my ($outcome, $id, $text) = try_once($n);
            print {$log} "$n $outcome $id $text\n";
            last if $outcome =~ /^(?:taken|refused|failed)$/ || $outcome eq 'put-off' && gives_up($n);
            sleep 0.3 + rand 0.7;
        }
        sleep rand($short ? 1.4 : 0.3);
    }
    return;
}
for my $client (0 .. $clients - 1) {
    my $pid = fork // die "fork: $!";
    if (!$pid) { $SIG{TERM} = 'DEFAULT'; srand $seed * 100 + $client; eval { client($client); 1 } or warn $@; POSIX::_exit(0) }
    push @pids, $pid;
}

sub metric { return $daemon->metrics->{"mailwitness_$_[0]"} // -1 }
sub settled { return metric('redis_up') == 1 && metric('spool_messages') == 0 }

# --- faults --------------------------------------------------------------------------------
sub redis_again { $redis->stop('KILL'); sleep rand 1.5; $redis->start }
sub daemon_again { $daemon->stop('KILL'); $daemon->start }
sub postfix_again { my ($signal) = @_; my @all = process_tree($postfix->{pid}); kill 'KILL', @all if $signal eq 'KILL'; $postfix->stop($signal); $postfix->start }
sub one_of { return @_ ? $_[rand @_] : () }
sub paused { my (@who) = @_; kill 'STOP', @who; sleep 1 + rand; kill 'CONT', @who }
sub named { my ($name) = @_; return grep { slurp("/proc/$_/comm") eq "$name\n" } process_tree($postfix->{pid}) }
# Redis in another state until it is as before; a connection that is cut is made anew.
sub in_redis { my (@first) = @_; my $last = pop @first; eval { $redis->command(@{$_}) for @first }; sleep 1 + rand; eval { $redis->command(@{$last}) } or delete $redis->{connection} }

# Sends a command whose answer may wait.
sub busy_redis {
    my (@words) = @_;
    my $link = IO::Socket::UNIX->new(Peer => $redis->{socket}) or return;
    print {$link} '*', scalar @words, "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $link->flush;
    sleep 1 + rand;
    return $link;
}

# As few descriptors as are open, for a while; some are in use by then, more are not to be had.
sub few_descriptors {
    my ($pid, $more) = @_;
    my @open = glob "/proc/$pid/fd/*";
    my ($hard) = slurp("/proc/$pid/limits") =~ /^Max open files\s+(\d+)\s+(\d+)/m ? "$1:$2" : return;
    system 'prlimit', '--pid', $pid, '--nofile=' . (@open + $more) . q{:};
    sleep 1.5;
    system 'prlimit', '--pid', $pid, "--nofile=$hard";
    return;
}

sub zygote { return map { $_->[0] } grep { $_->[1] == 1 } Rig::process_depths($daemon->{pid}) }
my %faults = (
    'daemon killed' => \&daemon_again,
    'daemon ended and started' => sub { $daemon->stop; $daemon->start },
    'daemon reloaded' => sub { $daemon->reload },
    'daemon killed while Redis is away' => sub { $redis->stop('KILL'); sleep 1; daemon_again(); sleep 0.5; $redis->start },
    'daemon paused' => sub { paused($daemon->{pid}) },
    'daemon has no descriptors left' => sub { few_descriptors($daemon->{pid}, int rand 4) },
    'a worker killed' => sub { kill 'KILL', one_of($daemon->workers) },
    'a worker paused' => sub { paused(one_of($daemon->workers)) },
    'a generation killed' => sub { kill 'KILL', one_of($daemon->generations) },
    'a generation paused' => sub { paused(one_of($daemon->generations)) },
    'what starts generations killed' => sub { kill 'KILL', zygote() },
    'what starts generations paused' => sub { paused(zygote()) },
    'Redis killed' => \&redis_again,
    'Redis paused' => sub { paused($redis->{pid}) },
    'Redis emptied' => sub { eval { $redis->command('FLUSHALL') } },
    'Redis full' => sub { in_redis([qw(CONFIG SET maxmemory-policy noeviction)], [qw(CONFIG SET maxmemory 1)], [qw(CONFIG SET maxmemory 0)]) },
    'Redis demoted and promoted' => sub { in_redis([qw(REPLICAOF 127.0.0.1 1)], [qw(REPLICAOF NO ONE)]) },
    'Redis busy with a script' => sub { my $link = busy_redis('EVAL', 'while true do end', 0); eval { $redis->command(qw(SCRIPT KILL)) }; <$link> if $link },
    'Redis slow' => sub { my $link = busy_redis(qw(DEBUG SLEEP), 0.7 + rand 2); <$link> if $link },
    'Redis asks for a password' => sub { in_redis([qw(CONFIG SET requirepass other)], [qw(CLIENT KILL TYPE normal SKIPME yes)], [qw(CONFIG SET requirepass), q{}]) },
    'a key of the wrong type' => sub {
        my $key = one_of(qw(mw:messages mw:events mw:index:to:bob@example.org));
        in_redis([EVAL => q{if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], 'aside') redis.call('SET', KEYS[1], 'wrong') end return 1}, 1, $key],
            [EVAL => q{if redis.call('EXISTS', 'aside') == 1 then redis.call('DEL', KEYS[1]) redis.call('RENAME', 'aside', KEYS[1]) end return 1}, 1, $key]);
    },
    'connections cut' => sub { eval { $redis->command(qw(CLIENT KILL TYPE normal)) }; delete $redis->{connection} },
    'Redis forgets its scripts' => sub { eval { $redis->command(qw(SCRIPT FLUSH)) } },
    'postfix killed' => sub { postfix_again('KILL') },
    'postfix ended and started' => sub { postfix_again('TERM') },
    'postfix reloaded' => sub { kill 'HUP', $postfix->{pid} },
    (map { my $name = $_; ("postfix: $name killed" => sub { kill 'KILL', one_of(named($name)) }, "postfix: $name paused" => sub { paused(one_of(named($name))) }) } qw(smtpd cleanup qmgr)),
);
# Two things that nobody can mend together: what only Redis has, as the spool's disk took nothing,
# and a Redis that forgets. So Redis forgets in the first half, and that disk fails in the second.
# A daemon without descriptors writes no file either, and says so.
my %half = ('Redis emptied' => 1, 'daemon has no descriptors left' => 2);
if ($disks) {
    for my $name (sort keys %disk) {
        $faults{"$name: disk full"} = sub { full($name, 1.5 + rand) };
        $faults{"$name: disk read-only"} = sub { read_only($name, 1 + rand) };
    }
    $faults{'Redis away, spool: disk full'} = sub { $redis->stop('KILL'); full('spool', 1.5); $redis->start };
    $faults{'daemon killed, disks read-only'} = sub {
        $daemon->stop('KILL');
        system "mount -o remount,ro $disk{$_}" for qw(spool filter);
        eval { $daemon->start };
        sleep 1;
        system "mount -o remount,rw $disk{$_}" for qw(spool filter);
    };
    $half{$_} = 2 for grep {/spool|disks/} keys %faults;
}
if ($clocks) {
    $faults{'clock hours ahead'} = sub { wrong_clock(3600 * (1 + int rand 20)) };
    $faults{'clock hours behind'} = sub { wrong_clock(-3600 * (1 + int rand 20)) };
    $faults{'clock weeks ahead'} = sub { wrong_clock(86400 * (3 + int rand 20)) };
    # What a clock that is behind wrote to disk is that old for the next process.
    $half{'clock hours behind'} = 2;
}
srand $seed;
my @kinds = shuffle(sort keys %faults);
splice @kinds, 20 if $short && !$ENV{MW_CHAOS};
my $times = $mails >= 3000 ? 3 : 1;
my (%met, @busy, %kept_off);
sub outcomes { my $count = 0; for my $client (0 .. $clients - 1) { my %n = map { (split)[0] => 1 } split /\n/, slurp("$dir/client$client"); $count += keys %n } return $count }
my $end = time + ($ENV{MW_LONG} || $ENV{MW_CHAOS} ? 3600 : 300);
my $forgotten = 0;
while (time < $end && (@busy = grep { waitpid($_, POSIX::WNOHANG()) == 0 } @pids)) {
    my $half = outcomes() * 2 < $mails ? 1 : 2;
    if ($half == 2 && !$forgotten++) {
        # What no restart mends: a Redis that is emptied while it runs. Afterwards it is told all.
        note sprintf '%.1f half of it', time - $^T;
        wait_until(60, sub { alive($daemon->{pid}) or $daemon->start; settled() });
        $faults{'Redis emptied'}->();
        $met{'Redis emptied'}++;
        sleep 5;
    }
    # Each once before any a second time.
    my @now = grep { ($half{$_} // $half) == $half } @kinds;
    my $fewest = min map { $met{$_} // 0 } @now;
    my @next = grep { ($met{$_} // 0) == $fewest } @now;
    my $kind = $next[rand @next];
    $met{$kind}++;
    note sprintf '%.1f %s', time - $^T, $kind;
    eval { $faults{$kind}->(); 1 } or note "  $@";
    alive($daemon->{pid}) or eval { $daemon->start; 1 } or note "  $@";    # the supervisor
    alive($redis->{pid}) or $redis->start;
    alive($postfix->{pid}) or eval { $postfix->start; 1 } or note "  $@";
    spew("$dir/met", q{}) if !grep { ($met{$_} // 0) < (($half{$_} // 2) == 1 ? 1 : $times) } @kinds;
    sleep 0.3 + rand 1;
}
kill 'TERM', @busy;
waitpid $_, 0 for @pids;
is_deeply([grep { !$met{$_} } @kinds], [], 'every kind of fault was met');
note join ', ', map {"$_: " . ($met{$_} // 0)} sort @kinds;

# --- what there is afterwards ------------------------------------------------------------------
ok(wait_until(60, \&settled), 'Redis is back and nothing waits in the spool');
# What Redis refused while its keys were wrong was set aside, and is tried again when told to.
my ($again_told, $flushed) = run(q{}, $ENV{MAILWITNESS}, qw(spool flush --refused --config), $daemon->{config});
note "spool flush --refused: $flushed: $again_told";
my ($aside, $nothing);
ok(wait_until(60, sub { ($aside, $nothing) = run(q{}, $ENV{MAILWITNESS}, qw(spool list --refused --config), $daemon->{config}); return settled() && $nothing == 1 }), '... nor was anything set aside for good') or diag($aside);

my (%taken, %tries, @failed);
for my $client (0 .. $clients - 1) {
    for my $line (split /\n/, slurp("$dir/client$client")) {
        my ($n, $outcome, $queue_id, $text) = split q{ }, $line, 4;
        push @{ $tries{$n} }, $outcome;
        $taken{$n} = $queue_id if $outcome eq 'taken';
        push @failed, $line if $outcome eq 'failed' || $outcome eq 'refused' && !bad($n) || $outcome eq 'taken' && bad($n);
    }
}
my $tries_text = sub { my ($n) = @_; return "$n (@{ $tries{$n} })" };
my %unclear = map { my $n = $_; ($n => scalar grep { $_ eq 'unclear' } @{ $tries{$n} }) } keys %tries;
my @due = grep { !bad($_) && !(gives_up($_) && $tries{$_}[-1] eq 'put-off') } 0 .. $mails - 1;
my %outcomes;
$outcomes{$_}++ for map { @{$_} } values %tries;
note join ', ', map {"$_: $outcomes{$_}"} sort keys %outcomes;
is_deeply([grep { !$taken{$_} } @due], [], 'every mail was taken in the end');
is_deeply([grep { bad($_) && $tries{$_}[-1] ne 'refused' } 0 .. $mails - 1], [], '... but the malicious ones');
is_deeply(\@failed, [], '... and none ended otherwise');

# postfix's log and mailbox.
kill 'ALRM', named('qmgr');    # what was put off is delivered now
my (%copies, %by_queue_id);
wait_until(90, sub {
    %copies = %by_queue_id = ();
    for my $file (glob "$postfix->{dir}/mail/inbox/new/*") {
        my ($head) = split /\n\n/, slurp($file), 2;
        my ($n) = $head =~ /^Subject: chaos (\d+)[.]$/m;
        my ($queue_id) = $head =~ /\bby mx[.]test [(]Postfix[)] with \w+ id (\w+)/;
        push @{ $copies{$n // -1} }, $head;
        push @{ $by_queue_id{$queue_id // q{-}} }, $n // -1;
    }
    run(q{}, 'postqueue', '-c', "$postfix->{dir}/etc", '-f') if keys %copies < @due;
    sleep 0.5;
    return !grep { !$copies{$_} } @due;
});
my $log = $postfix->log_text;
my %sent = map { $_ => 1 } $log =~ /\b(\w+): to=<[^>]*>,.*status=sent/g;
is_deeply([map { $tries_text->($_) } grep { !$copies{$_} } sort { $a <=> $b } keys %taken], [], 'no mail is lost');
is_deeply([grep { !$by_queue_id{$_} } sort keys %sent], [], '... nor one that the log of postfix calls sent');
is_deeply([$log =~ /^(.*status=bounced.*)$/mg], [], '... and none came back');
# Who heard no answer sends again; a mail server that is killed delivers again what it had delivered.
my (@doubled, $again);
for my $n (sort { $a <=> $b } keys %copies) {
    my %ids = map { (/\bby mx[.]test [(]Postfix[)] with \w+ id (\w+)/)[0] => 1 } @{ $copies{$n} };
    push @doubled, $tries_text->($n) if keys %ids > 1 + $unclear{$n};
    $again += @{ $copies{$n} } - keys %ids;
}
is_deeply(\@doubled, [], '... nor doubled');
note "delivered again by postfix: $again";
cmp_ok($again, '<=', 4 * (($met{'postfix killed'} // 0) + ($met{'queue: disk read-only'} // 0) + ($met{'queue: disk full'} // 0) + 1), '... but by a mail server that was killed at that moment');
my (%ids_of, @untagged, @known);
for my $n (sort { $a <=> $b } keys %copies) {
    for my $head (@{ $copies{$n} }) {
        my @verdicts = $head =~ /^X-Mailwitness-Verdict: (.*)/mg;
        my @ids = $head =~ /^X-Mailwitness-Id: (\S+)/mg;
        push @untagged, "$n: @verdicts" if @verdicts != 1 || @ids != 1 || $verdicts[0] ne 'clean';
        $ids_of{$n}{ $ids[0] // q{} } = 1;
        push @known, $tries_text->($n) if !$unclear{$n} && $head !~ /^X-Mailwitness-Sender-New: yes/m;
    }
}
is_deeply(\@untagged, [], '... and each has one verdict and one id, and was scanned');
is_deeply(\@known, [], '... and says that its sender is new, however often it was put off before');

# Redis is asked for what the mail itself says: who, to whom, when, which file.
my (@unfound, @factless, @wrong, @endless);
sub check_message {
    my ($n, $id) = @_;
    my $hash = sha256_hex(file_of($n));
    my $facts = $redis->hash("mw:message:$id");
    push @factless, "$n $id" if !$facts->{report} || ($facts->{subject} // q{}) ne "chaos $n." || ($facts->{from} // q{}) ne "writer$n\@chaos.example" || $facts->{action} ne 'tag';
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
    return;
}
for my $n (sort { $a <=> $b } keys %ids_of) { check_message($n, $_) for sort keys %{ $ids_of{$n} } }
sub few { my (@list) = @_; return [@list > 8 ? (@list[0 .. 7], scalar(@list) . ' in all') : @list] }
is_deeply(few(@factless), [], 'every mail that was delivered is in Redis, with its report and what was done');
is_deeply(few(@unfound), [], '... and found by everything');
is_deeply(few(@wrong), [], '... with its file and its sender');
for my $key ($redis->command('KEYS', 'mw:*')) {
    push @endless, $key if $key !~ /^mw:(?:schema|marker)$/ && ($redis->command('TTL', $key))[0] == -1;
}
is_deeply(few(@endless), [], 'nothing is there for ever');
my ($said, $status) = run(q{}, $ENV{MAILWITNESS}, qw(store check --json --config), $daemon->{config});
is($status, 0, 'store check finds no more') or diag($said);

# A file asked for at random, by the tool.
my $any = one_of(grep { $copies{$_} } @due);
my $out = "$dir/file";
run(q{}, $ENV{MAILWITNESS}, qw(attachment get -o), $out, '--config', $daemon->{config}, sha256_hex(file_of($any)));
ok(slurp($out) eq file_of($any), 'a file can be had');
is($daemon->stop, 0, 'the daemon ends when told to');

# The filter, of all senders.
my ($seen) = run(q{}, $ENV{MAILWITNESS}, 'seen', '--json', '--filter', "$disk{filter}/from.filter", 'nobody@chaos.example', map {"writer$_\@chaos.example"} 0 .. $mails - 1);
my %seen = map { my $value = decode_json($_); ($value->{value} => $value->{seen} ? 1 : 0) } grep {/^\{/} split /\n/, $seen;
my @strangers = grep { !$taken{$_} && !$unclear{$_} && $tries{$_} } 0 .. $mails - 1;
note scalar(@strangers), ' senders were only refused or put off';
is_deeply(few(map { $tries_text->($_) } grep { !$seen{"writer$_\@chaos.example"} } sort { $a <=> $b } keys %taken), [], 'the filter knows every sender whose mail was taken');
is_deeply(few(map { $tries_text->($_) } grep { $seen{"writer$_\@chaos.example"} // 1 } @strangers), [], '... none whose mail was only refused or put off');
is($seen{'nobody@chaos.example'}, 0, '... and nobody else');
is_deeply([glob "$disk{spool}/spool/*.damaged"], [], 'no file of the spool was damaged');
if (my $place = $ENV{MW_CHAOS_LOGS}) { spew("$place/daemon.$seed", $daemon->log_text); spew("$place/postfix.$seed", $log) }
done_testing();
