#!/usr/bin/perl
# Under load, with workers killed, configuration read again and Redis restarted all the
# while: every mail that postfix took is kept exactly once. MW_LONG=1 for 20,000 mails.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder spawn alive wait_until slurp spew);
use Rig::Daemon;
use Rig::Mail qw(eicar macro_document message on_the_wire random_bytes words zipped);
use Rig::Postfix;
use Rig::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }
my ($messages, $sessions, $reloads, $restarts) = $ENV{MW_LONG} ? (20_000, 50, 20, 5) : (1_500, 50, 4, 2);

# Mails of many kinds, all different.
my $dir = folder();
mkdir "$dir/mails";
for my $n (0 .. 299) {
    my @files = ([], [], [["a$n.zip", 'application/zip', zipped("a$n.txt", words(20_000, $n))]],
        [["b$n.pdf", 'application/pdf', '%PDF-1.4 ' . random_bytes(30_000)]], [["c$n.doc", 'application/msword', macro_document('autorun') . $n]],
        [["d$n.zip", 'application/zip', zipped('eicar.com', eicar(), "$n.txt", $n)]])[$n % 6];
    spew(sprintf("$dir/mails/%04d.eml", $n), on_the_wire(message(from => "s$n\@load.example", id => "load$n",
        text => words(500 + 50 * $n, $n), attachments => @files)));
}

my $redis = Rig::Redis->new(arguments => ['--appendfsync', 'always']);
# Whatever fails is tagged, so that each mail has to be taken.
my $daemon = Rig::Daemon->new(redis => $redis, settings => {
    milter => { malicious => 'tag' },
    failure => { map { ($_ => 'tag') } qw(worker_crashed timed_out bad_report queue_full) },
});
my $postfix = Rig::Postfix->new(milters => [$daemon->address], transport => 'discard',
    settings => { enable_long_queue_ids => 'yes' });
sub start_load {
    my ($count, $out) = @_;
    return spawn({ out => "$out.summary" }, "$ENV{top_builddir}/smtp_load", $postfix->{port}, "$dir/mails",
        $sessions, $count, 20, $out);
}

# [code, queue id] of each message
sub outcomes {
    my ($out) = @_;
    return map { [(split)[1, 2]] } split /\n/, slurp($out);
}

sub counts {
    my %count;
    $count{ $_->[0] }++ for @_;
    return join q{ }, map { "$_: $count{$_}" } sort keys %count;
}

# queue id => how often Redis has it
sub kept {
    my %kept;
    my ($start, $step) = (0, 1000);
    while (my @ids = $redis->command('ZRANGE', 'mw:messages', $start, $start + $step - 1)) {
        $kept{ ($redis->command('HGET', "mw:message:$_", 'queue_id'))[0] // q{} }++ for @ids;
        $start += $step;
    }
    return \%kept;
}

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

my $load = start_load(300, "$dir/before");
wait_until(120, sub { !alive($load) });
wait_until(10, sub { $daemon->metrics->{mailwitness_connections_open} == 0 });
my ($descriptors, @before) = (descriptors(), $daemon->descriptors);

# --- everything goes wrong ------------------------------------------------------------
$load = start_load($messages, "$dir/first");
my ($kills, $reloaded, $restarted, $early_memory) = (0, 0, 0, 0);
while (alive($load)) {
    my $removed = removed() - 300;
    $early_memory ||= $daemon->memory if $removed > $messages / 4;
    my @workers = $daemon->workers;
    # Where mail takes long, as under a sanitizer, workers must live long enough for some.
    if (@workers && $kills < 5 + $removed / 20 && rand() < 0.6) { kill 'KILL', $workers[rand @workers]; $kills++ }
    if ($reloaded < $reloads && $removed > $messages * ($reloaded + 0.2) / $reloads) { $daemon->reload; $reloaded++ }
    if ($restarted < $restarts && $removed > $messages * ($restarted + 0.3) / $restarts) {
        $redis->stop('KILL');
        sleep 0.3;
        $redis->start;
        $restarted++;
    }
    sleep 0.1;
}
my @first = outcomes("$dir/first");
note("$kills workers killed, $reloaded reloads, $restarted restarts of Redis, ", counts(@first));
is(scalar(grep { $_->[0] == 250 } @first), $messages, 'every mail is taken while workers die, configurations change and Redis restarts')
    or diag(counts(@first), "\n", substr $daemon->log_text, -2000);
cmp_ok($kills, '>=', 5, 'many workers were killed');
is("$reloaded $restarted", "$reloads $restarts", 'reloads and restarts fell into that time');
ok(spool_is_empty(), 'what waited in the spool goes to Redis') or diag(substr $daemon->log_text, -2000);
my $kept = kept();
my @missing = grep { !$kept->{$_} } map { $_->[1] } grep { $_->[0] == 250 } @first;
my @doubled = grep { $kept->{$_} > 1 } keys %{$kept};
is("@missing", q{}, 'every queue id that postfix gave is in Redis');
is("@doubled", q{}, '... once');
unlike(slurp($postfix->{log}), qr/status=(?:bounced|deferred)/, 'nothing bounced, nothing was deferred');
ok(wait_until(30, sub { descriptors() <= $descriptors }), 'no descriptor is left over')
    or diag("now:\n", map({ "  $_\n" } $daemon->descriptors), "before:\n", map { "  $_\n" } @before);
my $zombies = grep { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) Z/ } $daemon->processes;
is($zombies, 0, 'no process is left over');
cmp_ok($daemon->memory, '<', $early_memory * 1.5 + 32_768, 'memory stays flat')
    or diag($daemon->memory, " KiB now, $early_memory after a quarter");
is_deeply([grep { !/ready|generation|worker|Redis|redis|spool|id=|configuration/ } split /\n/, $daemon->log_text], [],
    'the log tells of nothing else');

# --- the daemon itself is killed --------------------------------------------------------
my $second = $messages / 3;
my $begun = removed();
$load = start_load($second, "$dir/second");
wait_until(60, sub { removed() > $begun + $second / 20 });
my @processes = $daemon->processes;
$daemon->stop('KILL');
sleep 0.5;
my @left = grep { -e "/proc/$_" && slurp("/proc/$_/stat") !~ /^\d+ \(.*\) Z/ } @processes;
wait_until(20, sub { @left = grep { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) [^Z]/ } @processes; return !@left });
is("@left", q{}, 'workers end with a daemon that was killed');
$daemon->start;
wait_until(300, sub { !alive($load) });
my @second = outcomes("$dir/second");
note('daemon killed: ', counts(@second));
is(scalar(grep { $_->[0] != 250 && int($_->[0] / 100) != 4 } @second), 0,
    'while the daemon is gone mail is put off by postfix, none refused') or diag(counts(@second));
cmp_ok(scalar(grep { $_->[0] == 250 } @second), '<', $second, '... and it was killed in the middle');
$load = start_load(200, "$dir/third");
wait_until(300, sub { !alive($load) });
my @third = outcomes("$dir/third");
is(counts(@third), '250: 200', 'after its restart all mail is taken again');
ok(spool_is_empty(), 'the spool of before is found again');
$kept = kept();
@missing = grep { !$kept->{$_} } map { $_->[1] } grep { $_->[0] == 250 } @second, @third;
is("@missing", q{}, 'of the mail that was taken nothing is missing');
is(join(q{ }, grep { $kept->{$_} > 1 } keys %{$kept}), q{}, '... or there twice');
my $answer = $postfix->send(message());
is($answer->{code}, 250, 'all goes on') or diag($answer->{text});
done_testing();
