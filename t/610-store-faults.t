#!/usr/bin/perl
# Redis killed, paused, emptied, full, made a replica, its password changed, its socket gone,
# each while messages flow: every message is kept once, and none waited too long.
# MW_LONG=1: 2,000 messages each, and pauses of 20 seconds.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use RedisServer;
use Test::More;
use Time::HiRes qw(sleep);

my $long = $ENV{MW_LONG};
my $count = $long ? 2000 : 300;
my $away = $long ? 20 : 1;
# Eight threads, each with a pause after each message: the flow outlasts the fault.
my $pause = int(8 * ($away + 2.5) / $count * 1e6);
# Shorter than Redis is away.
my $limit_ms = $long ? 1000 : 400;

sub password {
    my ($redis, $word) = @_;
    open my $file, '>', "$redis->{dir}/password" or die $!;
    print {$file} "$word\n";
    close $file or die $!;
    return;
}

sub drop_clients {
    my ($redis) = @_;
    return $redis->cli(qw(client kill type normal));
}

my @faults = (
    ['killed -9 and started again', sub { $_[0]->stop('KILL') }, sub { $_[0]->start }, ['--appendonly', 'yes']],
    ['killed -9 and started empty', sub { $_[0]->stop('KILL') }, sub { $_[0]->start }],
    ['paused', sub { kill 'STOP', $_[0]{pid} }, sub { kill 'CONT', $_[0]{pid} }],
    ['full, without eviction',
        sub { $_[0]->cli(qw(config set maxmemory 1)) }, sub { $_[0]->cli(qw(config set maxmemory 0)) }],
    ['made a replica',
        sub { $_[0]->cli(qw(replicaof 127.0.0.1 1)) }, sub { $_[0]->cli(qw(replicaof no one)) }],
    ['given another password',
        sub { $_[0]->cli(qw(config set requirepass other)); $_[0]{login} = ['--no-auth-warning', '-a', 'other']; drop_clients($_[0]) },
        sub { password($_[0], 'other') },
        ['--requirepass', 'first']],
    ['without its socket',
        sub { rename $_[0]{socket}, "$_[0]{socket}.away"; kill 'STOP', $_[0]{pid}; kill 'CONT', $_[0]{pid};
            qx(redis-cli -s $_[0]{socket}.away client kill type normal) },
        sub { rename "$_[0]{socket}.away", $_[0]{socket} }],
);

for my $fault (@faults) {
    my ($name, $break, $mend, $options) = @{$fault};
    my $redis = RedisServer->new(@{$options // []});
    my $login = q{};
    if ($name =~ /password/) {
        password($redis, 'first');
        $redis->{login} = ['--no-auth-warning', '-a', 'first'];
        $login = "password_file = \"$redis->{dir}/password\";";
    }
    my $config = $redis->config("command_time = \"${limit_ms}ms\"; $login");
    my ($kept, $said, $failed) = feed_while($config, [$count, 8, $pause, 60000], sub {
        sleep 1;
        $break->($redis);
        sleep $away;
        $mend->($redis);
    });
    my %where;
    $where{$_}++ for values %{$kept};
    my ($slowest) = $said =~ /slowest_ms=(\d+)/;
    note "Redis $name: ", join(q{, }, map { "$where{$_} $_" } sort keys %where), ", slowest $slowest ms";
    is(keys(%{$kept}) + $failed, $count, "Redis $name: all messages got an answer");
    is($failed, 0, '... none failed');
    ok($where{spool}, '... some went to the spool');
    like($said, qr/entries=0 /, '... from which all were brought') or diag($said);
    is_deeply([missing($redis, $kept)], [], '... every one is in Redis');
    is($redis->cli('zcard', 'mw:messages'), $count, '... once');
    is_deeply([wrong_events($redis, $kept)], [], '... and is an event once');
    cmp_ok($slowest, '<', $limit_ms + 1000, '... no save waited much longer than for Redis');
    cmp_ok(scalar(() = $said =~ /^notice warning/mg), '<=', 3, '... and the log has few lines about it') or diag($said);
    $redis->stop;
}
done_testing();
