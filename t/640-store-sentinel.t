#!/usr/bin/perl
# Three Sentinels, a master, two replicas: the master is killed, and another time paused,
# while messages flow; every message is on the master that follows. MW_LONG=1: more of them.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use RedisServer;
use Test::More;
use Time::HiRes qw(sleep);

my $count = $ENV{MW_LONG} ? 2000 : 500;
my %at = map { my $port = free_port(); $port => RedisServer->new('--port', $port, '--repl-diskless-sync-delay', 0) } 1 .. 3;
my ($master, @replicas) = sort keys %at;
$at{$_}->cli('replicaof', '127.0.0.1', $master) for @replicas;
my @sentinels = map { sentinel($_) } 1 .. 3;

sub sentinel {
    my ($number) = @_;
    my $port = free_port();
    my $folder = $at{$master}{dir};
    my $path = "$folder/sentinel$number.conf";
    open my $file, '>', $path or die $!;
    print {$file} "port $port\nsentinel monitor mail 127.0.0.1 $master 2\n",
        "sentinel down-after-milliseconds mail 700\nsentinel failover-timeout mail 3000\n";
    close $file or die $!;
    start_process("$folder/sentinel$number.log", 'redis-server', $path, '--sentinel', '--dir', $folder);
    return $port;
}

sub master_now {
    for my $port (@sentinels) {
        my @words = split /\n/, qx(timeout 5 redis-cli -p $port sentinel get-master-addr-by-name mail 2>/dev/null);
        return $words[1] if @words > 1;
    }
    return q{};
}

sub ready {
    for (1 .. 150) {
        my ($replicas) = $at{$_[0]}->cli('info', 'replication') =~ /connected_slaves:(\d+)/;
        my @known = map { qx(timeout 5 redis-cli -p $_ sentinel sentinels mail) =~ /127\.0\.0\.1/ ? 1 : () } @sentinels;
        return 1 if $replicas >= $_[1] && @known == 3;
        sleep 0.1;
    }
    return 0;
}

ok(ready($master, 2), 'three Sentinels watch a master with two replicas');
my $config = "$at{$master}{dir}/conf";
open my $file, '>', $config or die $!;
print {$file} 'redis: { sentinels = [', join(', ', map { "\"127.0.0.1:$_\"" } 9, @sentinels), "];\n",
    "master = \"mail\"; command_time = \"500ms\"; };\nspool: { folder = \"$at{$master}{dir}/spool\"; };\n";
close $file or die $!;

my %all;
for my $way ('KILL', 'STOP') {
    my $old = master_now();
    my $pause = int(8 * 5 / $count * 1e6);
    my ($kept, $said, $failed) = feed_while($config, [$count, 8, $pause, 60000], sub {
        sleep 0.8;
        kill $way, $at{$old}{pid};
    });
    %all = (%all, %{$kept});
    my $new = master_now();
    my %where;
    $where{$_}++ for values %{$kept};
    note "after SIG$way: ", join(q{, }, map { "$where{$_} $_" } sort keys %where), '; ', $said =~ /(state .*)/;
    isnt($new, $old, "SIG$way of the master under load: another takes its place");
    is(keys(%{$kept}) + 0, $count, '... every message is acknowledged') or diag("$failed failed: $said");
    like($said, qr/entries=0 /, '... none is left in the spool') or diag($said);
    is_deeply([missing($at{$new}, \%all)], [], '... and the new master has all');
    is_deeply([wrong_events($at{$new}, \%all)], [], '... as an event once');
    last if $way eq 'STOP';
    $at{$old}->stop('KILL');
    $at{$old}->start;
    $at{$old}->cli('replicaof', '127.0.0.1', $new);
    ok(ready($new, 2), 'the old one comes back as a replica');
}
done_testing();
