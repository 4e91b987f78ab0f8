#!/usr/bin/perl
# Under load, with workers killed, configuration read again and Redis restarted all the
# while: every mail that postfix took is delivered and kept exactly once, with the header that
# it should have; its sender is known to the filter; the log tells of what happened and of
# nothing else; the heap does not grow. Then the daemon itself is killed, and clients whose
# mail is put off come again, as mail servers do. MW_LONG=1 for 20,000 mails.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder preloadable run spawn alive wait_until slurp spew);
use Rig::Daemon;
use Rig::Mail qw(eicar macro_document message on_the_wire random_bytes words zipped);
use Rig::Postfix;
use Rig::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }
my ($messages, $sessions, $reloads, $restarts) = $ENV{MW_LONG} ? (20_000, 50, 20, 5) : (1_500, 50, 4, 2);
my $kinds = 300;    # of mails: number N of a load is the mail N % 300
my $warm_up = 300;
# What each mail in six is, by what is in it.
my $engines = Rig::Daemon::engines();
my @verdicts = ('clean', 'clean', 'clean', 'clean', 'suspicious', 'malicious');
my $all_engines = $engines->{yara} && $engines->{clamav};

# Mails of many kinds, all different.
my $dir = folder();
mkdir "$dir/mails";
for my $n (0 .. $kinds - 1) {
    my @files = ([], [], [["a$n.zip", 'application/zip', zipped("a$n.txt", words(20_000, $n))]],
        [["b$n.pdf", 'application/pdf', '%PDF-1.4 ' . random_bytes(30_000)]], [["c$n.doc", 'application/msword', macro_document('autorun') . $n]],
        [["d$n.zip", 'application/zip', zipped('eicar.com', eicar(), "$n.txt", $n)]])[$n % 6];
    spew(sprintf("$dir/mails/%04d.eml", $n), on_the_wire(message(from => "s$n\@load.example", id => "load$n",
        text => words(500 + 50 * $n, $n), attachments => @files)));
}

my $redis = Rig::Redis->new(arguments => ['--appendfsync', 'always']);
# As a real one: without the rights of root, where its user may read the rules of this tree.
my $may_read = (run(q{}, 'setpriv', '--reuid=nobody', '--clear-groups', 'test', '-r', "$ENV{top_srcdir}/conf/rules/attachments"))[1] == 0;
# What it holds of the heap is counted.
my $counter = preloadable('heap_count', Rig::Daemon::program());
# Whatever fails is tagged, so that each mail has to be taken; so is all else, to be looked at.
my $daemon = Rig::Daemon->new(redis => $redis, $may_read ? (user => 'nobody') : (), settings => {
    milter => { map { ($_ => 'tag') } qw(clean suspicious malicious unscanned) },
    failure => { map { ($_ => 'tag') } qw(worker_crashed timed_out bad_report queue_full) },
}, $counter ? (prefix => ['env', "LD_PRELOAD=$counter", "HEAP_COUNT=$dir/heap"]) : ());
my $postfix = Rig::Postfix->new(milters => [$daemon->address], settings => { enable_long_queue_ids => 'yes' });
my @loaded;    # names of loads, which stand in their mails

sub start_load {
    my ($name, $count, @more) = @_;
    push @loaded, $name;
    return spawn({ out => "$dir/$name.summary" }, "$ENV{top_builddir}/smtp_load", $postfix->{port}, "$dir/mails",
        $sessions, $count, 20, "$dir/$name", @more);
}

# [code, queue id, tries] of each message, by its number.
sub outcomes {
    my ($name) = @_;
    return map { [(split)[1, 2, 4]] } split /\n/, slurp("$dir/$name");
}

sub counts {
    my %count;
    $count{ $_->[0] }++ for @_;
    return join q{ }, map { "$_: $count{$_}" } sort keys %count;
}

# What was delivered, by queue id: a list of { load => "first-12", verdict => [...], id => [...] }.
my %delivered;
sub harvest {
    for my $file (glob "$postfix->{dir}/mail/inbox/new/*") {
        my ($headers) = slurp($file) =~ /\A(.*?)\n\n/s;
        my ($load) = $headers =~ /^X-Load: (\S+)$/m;
        my ($queue_id) = $headers =~ /\bby mx[.]test [(]Postfix[)] with \w+ id (\w+)/;
        push @{ $delivered{ $queue_id // q{} } }, {
            load => $load // q{},
            verdict => [$headers =~ /^X-Mailwitness-Verdict: (.*)$/mg],
            id => [$headers =~ /^X-Mailwitness-Id: (\S+)$/mg],
        };
        unlink $file;
    }
    return scalar keys %delivered;
}

# The mails of a load that was taken, as they were delivered: by number, those of each.
sub deliveries_of {
    my ($name, @outcomes) = @_;
    my $wanted = grep { $_->[0] == 250 } @outcomes;
    my %of;
    wait_until(120, sub {
        harvest();
        %of = ();
        for my $mail (map { @{$_} } values %delivered) { push @{ $of{$1} }, $mail if $mail->{load} =~ /^\Q$name\E-(\d+)$/ }
        return $wanted <= grep { $of{$_} } keys %of;
    });
    return \%of;
}

# queue id => the messages that Redis has of it, each as { id, verdict, action }
sub kept {
    my %kept;
    my ($start, $step) = (0, 1000);
    while (my @ids = $redis->command('ZRANGE', 'mw:messages', $start, $start + $step - 1)) {
        for my $id (@ids) {
            my ($queue_id, $verdict, $action) = $redis->command('HMGET', "mw:message:$id", qw(queue_id verdict action));
            push @{ $kept{ $queue_id // q{} } }, { id => $id, verdict => $verdict, action => $action };
        }
        $start += $step;
    }
    return \%kept;
}

# What is wrong with the mails of a load: not delivered once, not kept once, without the one
# header and id, with another verdict than its contents have. Mails whose worker died are told
# so, by verdict and log; how many those are.
sub look_at_each {
    my ($name, @outcomes) = @_;
    my ($of, $kept, $crashed, %wrong) = (deliveries_of($name, @outcomes), kept(), 0);
    for my $number (0 .. $#outcomes) {
        my ($code, $queue_id) = @{ $outcomes[$number] };
        next if $code != 250;
        my @mails = @{ $of->{$number} || [] };
        my @records = @{ $kept->{$queue_id} || [] };
        push @{ $wrong{'delivered once'} }, "$number: " . @mails if @mails != 1 || !$delivered{$queue_id};
        push @{ $wrong{'kept once'} }, "$queue_id: " . @records if @records != 1;
        my ($mail, $record) = ($mails[0] || {}, $records[0] || {});
        my $verdict = join q{, }, @{ $mail->{verdict} || [] };
        my $ids = join q{, }, @{ $mail->{id} || [] };
        push @{ $wrong{'tagged once, as it is kept'} }, "$queue_id: $verdict, id $ids, kept as " . join q{ }, map { $_ // '-' } %{$record}
            if $ids ne ($record->{id} // q{}) || ($record->{action} // q{}) ne 'tag' || ($verdict =~ s/ \(\w+\)$//r) ne ($record->{verdict} // q{});
        if ($verdict eq 'unscanned (worker_crashed)') { $crashed++ }
        elsif ($all_engines && $verdict ne $verdicts[$number % $kinds % 6]) {
            push @{ $wrong{'judged by what is in it'} }, "$name-$number: $verdict, not " . $verdicts[$number % $kinds % 6];
        }
    }
    for my $promise ('delivered once', 'kept once', 'tagged once, as it is kept', 'judged by what is in it') {
        my @them = @{ $wrong{$promise} || [] };
        is(scalar @them, 0, "... each is $promise") or diag(map { "$_\n" } grep { defined } @them[0 .. 5]);
    }
    return $crashed;
}

# Lines of the log that nothing here accounts for, and kinds of lines of which there are too many.
sub unexplained {
    my (@may) = @_;    # [pattern, at most, at least]
    my (@strange, %met);
    LINE: for my $line (split /\n/, $daemon->log_text) {
        for my $may (@may) {
            next if $line !~ $may->[0];
            $met{ $may->[0] }++;
            next LINE;
        }
        push @strange, $line;
    }
    for my $may (@may) {
        my ($pattern, $most, $least) = @{$may};
        my $count = $met{$pattern} // 0;
        push @strange, "$count lines, not " . ($least // 0) . " to $most: $pattern" if $count > $most || $count < ($least // 0);
    }
    return @strange;
}

# Bytes and blocks that the daemon holds of the heap.
sub heap { return unpack 'q2', slurp("$dir/heap") }

sub spool_is_empty {
    return wait_until(120, sub { ($daemon->metrics->{mailwitness_spool_messages} // 1) == 0
        && $daemon->metrics->{mailwitness_redis_up} });
}

# How many mails were delivered in all.
sub removed { return scalar(() = slurp($postfix->{log}) =~ /: removed$/mg) }

# Open descriptors of the daemon but for connections to Redis, of which there are more or
# fewer (as many as were needed at once).
sub descriptors {
    my $clients = () = join("\n", $redis->command('CLIENT', 'LIST')) =~ /^id=/mg;
    return $daemon->descriptors - ($clients - 1);
}

# A load from its beginning to its end, and until the daemon has nothing to do.
sub whole_load {
    my ($name, $count) = @_;
    my $load = start_load($name, $count);
    wait_until(600, sub { harvest(); !alive($load) });
    wait_until(20, sub { ($daemon->metrics->{mailwitness_connections_open} // 1) == 0 });
    return outcomes($name);
}

my @before = whole_load('before', $warm_up);
is(counts(@before), "250: $warm_up", 'while nothing is wrong every mail is taken');
is(look_at_each('before', @before), 0, '... and scanned');
my ($descriptors, @descriptors) = (descriptors(), $daemon->descriptors);
my ($bytes, $blocks) = $counter ? heap() : ();

# --- everything goes wrong ------------------------------------------------------------
my $load = start_load('first', $messages);
my ($kills, $reloaded, $restarted) = (0, 0, 0);
while (alive($load)) {
    my $removed = removed() - $warm_up;
    my @workers = $daemon->workers;
    # Where mail takes long, as under a sanitizer, workers must live long enough for some.
    if (@workers && $kills < 5 + $removed / 20 && rand() < 0.6) { $kills += kill 'KILL', $workers[rand @workers] }
    if ($reloaded < $reloads && $removed > $messages * ($reloaded + 0.2) / $reloads) { $daemon->reload; $reloaded++ }
    if ($restarted < $restarts && $removed > $messages * ($restarted + 0.3) / $restarts) {
        $redis->stop('KILL');
        sleep 0.3;
        $redis->start;
        $restarted++;
    }
    harvest();
    sleep 0.1;
}
my @first = outcomes('first');
note("$kills workers killed, $reloaded reloads, $restarted restarts of Redis, ", counts(@first));
is(counts(@first), "250: $messages", 'every mail is taken while workers die, configurations change and Redis restarts')
    or diag(substr $daemon->log_text, -2000);
cmp_ok($kills, '>=', 5, 'many workers were killed');
is("$reloaded $restarted", "$reloads $restarts", 'reloads and restarts fell into that time');
ok(spool_is_empty(), 'what waited in the spool goes to Redis') or diag(substr $daemon->log_text, -2000);
my $crashed = look_at_each('first', @first);
# A mail is given up when two workers that had it died.
cmp_ok($crashed, '<=', $kills / 2, '... those whose workers died are called unscanned, and no others');
unlike(slurp($postfix->{log}), qr/status=(?:bounced|deferred)/, 'nothing bounced, nothing was deferred');
wait_until(20, sub { ($daemon->metrics->{mailwitness_connections_open} // 1) == 0 });
ok(wait_until(30, sub { descriptors() <= $descriptors }), 'no descriptor is left over')
    or diag("now:\n", map({ "  $_\n" } $daemon->descriptors), "before:\n", map { "  $_\n" } @descriptors);
ok(wait_until(30, sub { !grep { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) Z/ } $daemon->processes }), 'no process is left over');
SKIP: {
    skip 'the heap cannot be counted here', 2 if !$counter;
    # Connections, threads and generations have some, and there may be more of them now.
    ok(wait_until(30, sub { (heap())[1] - $blocks < 250 + $messages / 10 }), 'no block of the heap is left of a mail');
    ok(wait_until(30, sub { (heap())[0] - $bytes < 16 << 20 }), '... and what is kept for the next ones is bounded');
    note("heap: $bytes bytes in $blocks blocks before, ", join(' in ', heap()), ' after');
}
my $word = qr/[A-Za-z0-9]+/;
my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $died = qr/the worker that read the message died/;
is_deeply([unexplained(
    [qr/^mailwitnessd: notice: ready on unix:\S+$/, 1, 1],
    [qr/^mailwitnessd: warning: milter[.]user: the daemon keeps all rights of root: /, $may_read ? (0, 0) : (1, 1)],
    [qr/^mailwitnessd: info: $word: id=$uuid client=127[.]0[.]0[.]1 from=<sender\d+\@load[.]example> nrcpt=1 size=\d+ verdict=unscanned action=tag by=(?:failure[.]worker_crashed|milter[.]unscanned) failed=worker_crashed /, $crashed, $crashed],
    [qr/^mailwitnessd: info: $word: id=$uuid client=127[.]0[.]0[.]1 from=<sender\d+\@load[.]example> nrcpt=1 size=\d+ verdict=(?:clean|suspicious|malicious|unscanned) action=tag by=milter[.]\w+ (?!.*failed=)/, $warm_up + $messages - $crashed, $warm_up + $messages - $crashed],
    [qr/^mailwitnessd: warning: a worker was ended by signal 9 \(Killed\) and replaced$/, $kills, 1],
    [qr/^mailwitnessd: warning: $word: $uuid: $died; another one tries$/, $kills - $crashed],
    [qr/^mailwitnessd: error: $word: $uuid: not scanned: $died$/, $crashed, $crashed],
    [qr/^mailwitnessd: warning: message with SHA-256 [0-9a-f]{64}: $died$/, $kills],
    [qr/^mailwitnessd: warning: attachment with SHA-256 [0-9a-f]{64}: (?:$died|the process went before it read what it was sent)$/, $kills],
    [qr/^mailwitnessd: notice: configuration, rules and databases were read again, generation \d+$/, $reloads, $reloads],
    [qr/^mailwitnessd: warning: Redis at \S+ takes no writes \(down\): cannot (?:connect to|read from|write to) /, 3 * $restarts, 1],
    [qr/^mailwitnessd: notice: Redis at \S+ takes writes again after \d+ s; \d+ messages wait in the spool$/, 3 * $restarts, $restarts],
    [qr/^mailwitnessd: notice: Redis may have forgotten messages \(it is another run of the server\): it is told again what is kept on disk$/, $restarts, 1],
    [qr/^mailwitnessd: notice: Redis has been told again: \d+ messages were written anew$/, 2 * $restarts],
    [qr/^mailwitnessd: notice: Redis may have forgotten messages \(its data belongs to another history, as after a failover\): it is told again what is kept on disk$/, $restarts],
)], [], 'the log tells of each mail once, of all that was done, and of nothing else');

# --- the daemon itself is killed --------------------------------------------------------
my $second = int($messages / 3);
my $begun = removed();
$load = start_load('second', $second, 300);
wait_until(60, sub { removed() > $begun + $second / 20 });
my @processes = $daemon->processes;
$daemon->stop('KILL');
my @left;
wait_until(20, sub { @left = grep { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) [^ZX]/ } @processes; return !@left });
is("@left", q{}, 'workers end with a daemon that was killed');
# Its users come while it is gone.
ok(wait_until(60, sub { $postfix->log_text =~ /milter-reject|connect to Milter service/ }), 'mail comes while the daemon is gone');
unlink "$dir/heap";
$daemon->start;
wait_until(600, sub { harvest(); !alive($load) });
my @second = outcomes('second');
my $again = grep { $_->[2] > 1 } @second;
note("daemon killed: $again mails were sent again");
cmp_ok($again, '>', 0, '... and is put off');
is(counts(@second), "250: $second", '... all of which is taken when it comes again, none refused');
ok(spool_is_empty(), 'the spool of before is found again');
look_at_each('second', @second);
my $answer = $postfix->send(message());
is($answer->{code}, 250, 'all goes on') or diag($answer->{text});

# --- what is remembered -------------------------------------------------------------------
is($daemon->stop, 0, 'the daemon ends when told to');
sub knows { return (run(q{}, $ENV{MAILWITNESS}, 'seen', '--filter', "$daemon->{dir}/from.filter", $_[0]))[1] == 0 }
is_deeply([grep { !knows("s$_\@load.example") } 0 .. $kinds - 1], [], 'the filter knows each sender');
is_deeply([grep { knows("s$_\@load.example") } $kinds .. $kinds + 19], [], '... and nobody else');
done_testing();
