#!/usr/bin/perl
# The store: what Redis confirms is there, what it cannot take waits in the spool.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use RedisServer;
use Test::More;

my $feed = "$ENV{top_builddir}/store_feed";
my $redis = RedisServer->new;
my $config = $redis->config;

my ($acknowledged, $said) = feed($config, 200, 4, 0, 5000);
is(scalar(keys %{$acknowledged}), 200, 'every message is acknowledged');
is_deeply([grep { $_ ne 'redis' } values %{$acknowledged}], [], '... as kept in Redis');
is_deeply([missing($redis, $acknowledged)], [], '... and there it is');

# Another id of Redis' last run makes a store tell all again that it keeps for that.
my @once = $redis->dump;
open my $run, '>', "$redis->{dir}/spool/run" or die $!;
print {$run} "of another server\n";
close $run or die $!;
my (undef, $told) = feed($config, 0, 1, 0, 10000);
like($told, qr/repeated=200 /, 'a store that finds another Redis tells it again what it kept') or diag($told);
is_deeply([$redis->dump], \@once, '... and telling a message twice changes no key');
$redis->stop;

($acknowledged, $said) = feed($config, 100, 4);
is_deeply([grep { $_ ne 'spool' } values %{$acknowledged}], [], 'without Redis all messages wait in the spool');
is(scalar(grep { /^notice/ } split /\n/, $said), 1, '... which is told in one line') or diag($said);
$redis->start;
my (undef, $said_then) = feed($config, 0, 1, 0, 10000);
like($said_then, qr/replayed=100 .*entries=0/, 'they come to Redis when it is back');
is_deeply([missing($redis, $acknowledged)], [], '... all of them');
is($redis->cli('xlen', 'mw:events'), 300, '... and each is an event once');

# A key of somebody else's in our place: that message is Redis' to refuse, others are not.
$redis->cli(qw(set mw:index:client:192.0.2.3 foreign));
($acknowledged, $said) = feed($config, 20, 2);
my %where;
$where{$_}++ for values %{$acknowledged};
is_deeply(\%where, {redis => 19, spool => 1}, 'a message that Redis refuses is set aside, the others are saved');
like($said, qr/refused=1 .*entries=0/, '... and stops nothing');
is(scalar(() = $said =~ /^notice error: Redis refused message .* WRONGTYPE/mg), 1, '... which is told with the reason');
$redis->cli(qw(del mw:index:client:192.0.2.3));
qx($ENV{MAILWITNESS} spool flush --refused --config $config);
is_deeply([missing($redis, $acknowledged)], [], 'it can be tried again when the reason is gone');

# A process that has the spool, as a daemon, is asked for it.
$redis->cli(qw(set mw:index:client:192.0.2.3 foreign));
feed($config, 20, 2);
$redis->cli(qw(del mw:index:client:192.0.2.3));
my ($text);
($acknowledged) = feed_while($config, [100, 1, 60000], sub {
    sleep 1;
    $text = qx($ENV{MAILWITNESS} spool flush --refused --config $config 2>&1);
});
is($text, "1 messages tried again by the daemon, 0 wait, 0 are set aside as refused\n", 'beside a daemon, the daemon is asked to try again');
is($redis->cli('zcard', 'mw:index:client:192.0.2.3'), 2, '... and the message is there');
done_testing();
