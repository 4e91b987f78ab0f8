#!/usr/bin/perl
# The process that saves is killed, with Redis there and with Redis away: what it had
# acknowledged is in Redis or in the spool. MW_LONG=1: 200 times.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use RedisServer;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{MW_LONG} ? 200 : 24;
my $redis = RedisServer->new;
my $config = $redis->config('command_time = "300ms"; connect_time = "300ms";');
my (%all, $torn, $in_spool);
srand 11;
for my $round (1 .. $rounds) {
    # Every other round Redis is paused for a part of it, so that both ways are met.
    kill 'STOP', $redis->{pid} if $round % 4 == 0;
    my ($kept) = feed_while($config, [100000, 4, 100], sub {
        my ($pid) = @_;
        sleep 0.05 + rand 0.35;
        kill 'STOP', $redis->{pid} if $round % 4 == 2;
        sleep rand 0.5;
        kill 'KILL', $pid;
    });
    kill 'CONT', $redis->{pid};
    $in_spool += grep { $_ eq 'spool' } values %{$kept};
    %all = (%all, %{$kept});
}
my (undef, $said) = feed($config, 0, 1, 0, 60000);
note scalar(keys %all), " messages acknowledged in $rounds rounds, ", $in_spool // 0, ' by the spool';
cmp_ok(scalar keys %all, '>', 10 * $rounds, 'a writer is killed in the middle of its work');
ok($in_spool, '... some of it with the spool');
like($said, qr/failed=0 refused=0 .*entries=0 /, 'what waits is brought to Redis by the next one') or diag($said);
is_deeply([missing($redis, \%all)], [], 'no acknowledged message is lost');
done_testing();
