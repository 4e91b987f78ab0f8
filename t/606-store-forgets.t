#!/usr/bin/perl
# A Redis that forgot without being started anew, clocks that are wrong, messages that are too
# old, and stores of other versions. What is there is always asked of Redis itself.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use File::Copy qw(copy);
use JSON::PP;
use Rig qw(preloadable wait_until);
use RedisServer qw(:DEFAULT run);
use Test::More;
use Time::HiRes qw(sleep);

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');

sub keys_like {
    my ($redis, $pattern) = @_;
    return grep { length } split /\n/, $redis->cli('--scan', '--pattern', $pattern);
}

# Waits until a server has all that its master has.
sub is_replica {
    my ($redis) = @_;
    return ok(wait_until(20, sub { $redis->cli(qw(info replication)) =~ /master_link_status:up/ }), '... it is filled');
}

# One value by our own connection: a program for each is slow.
sub value { my ($redis, @words) = @_; return ($redis->ask(@words))[0] // q{} }

# A feed that outlasts the look at Redis, every two seconds, and what is missing after it.
sub flow {
    my ($redis, $fault, $count) = @_;
    $count ||= 240;
    my $config = $redis->config('command_time = "1s";');
    my ($kept, $said, $failed) = feed_while($config, [$count, 4, 70000, 20000], sub { sleep 0.8; $fault->() });
    is(scalar(keys %{$kept}) + $failed, $count, '... all messages got an answer');
    is_deeply([missing($redis, $kept)], [], '... and every one of them is in Redis at the end') or diag($said);
    is_deeply([wrong_events($redis, $kept)], [], '... and an event once');
    return $said;
}

{
    my $redis = RedisServer->new;
    note 'FLUSHALL while messages come';
    my $said = flow($redis, sub { $redis->cli('flushall') });
    like($said, qr/notice notice: Redis may have forgotten messages \(the marker/, '... which is told');
    like($redis->cli(qw(get mw:marker)), qr/^[0-9a-f]{32}$/, '... and a new marker is left');

    my $config = $redis->config;
    my ($before) = feed($config, 30, 2, 0, 5000);
    sleep 1.1;
    my $now = time;
    my ($after) = feed($config, 20, 2, 0, 5000);
    $redis->cli('flushall');
    my ($text, $status) = run(qw(store refill --json --since), "\@$now", '--config', $config);
    is($status, 0, 'store refill tells by hand') or diag($text);
    is_deeply([missing($redis, $after)], [], '... what came since a time');
    is(scalar(missing($redis, $before)), 30, '... and only that');
    ($text, $status) = run(qw(store refill --config), $config);
    is_deeply([missing($redis, {%{$before}, %{$after}})], [], '... or all there is');
    my @once = $redis->dump;
    run(qw(store refill --config), $config);
    is_deeply([$redis->dump], \@once, '... and twice is as good as once');
    ($text, $status) = run(qw(store refill --since tomorrow-ish --config), $config);
    ok($status == 2 && $text =~ /--since: /, 'a time that is none is told');
    $redis->stop;
}

# Demoted, filled from elsewhere, promoted: the run stays the same.
{
    my $redis = RedisServer->new('--port', my $port = free_port());
    my $other = RedisServer->new('--port', my $from = free_port(), '--repl-diskless-sync-delay', 0);
    note 'demoted, filled from another, promoted';
    my $run = $redis->cli(qw(info server)) =~ /run_id:(\w+)/ && $1;
    flow($redis, sub {
        $redis->cli('replicaof', '127.0.0.1', $from);
        is_replica($redis);
        $redis->cli(qw(replicaof no one));
    });
    ok($redis->cli(qw(info server)) =~ /run_id:$run/, '... by a server that was never started anew');
    $_->stop for $redis, $other;
}

# A former replica that is behind has our marker too: its history tells.
{
    my $redis = RedisServer->new('--port', my $port = free_port(), '--repl-diskless-sync-delay', 0);
    my $replica = RedisServer->new('--port', my $from = free_port(), '--repl-diskless-sync-delay', 0);
    note 'demoted to a replica that was behind, and promoted';
    flow($redis, sub {
        ok(wait_until(20, sub { $redis->cli(qw(get mw:marker)) }), '... when there is a marker');
        $replica->cli('replicaof', '127.0.0.1', $port);
        is_replica($replica);
        $replica->cli(qw(replicaof no one));
        my $had = $replica->cli(qw(zcard mw:messages));
        ok(wait_until(20, sub { $redis->cli(qw(zcard mw:messages)) > $had + 5 }), '... messages come that it does not have') or diag("it has $had");
        $redis->cli('replicaof', '127.0.0.1', $from);
        is_replica($redis);
        $redis->cli(qw(replicaof no one));
    }, 900);    # messages still come when it is promoted
    $_->stop for $redis, $replica;
}

# What is too old is not begun anew: a hash without report and without an end.
{
    my $redis = RedisServer->new;
    my $config = $redis->config('keep_messages = "3s"; keep_attachments = "3s"; keep_data = "3s";', 'recent = "0";');
    $redis->stop;
    my ($kept) = feed($config, 40, 4);
    sleep 4;
    $redis->start;
    my (undef, $said) = feed($config, 0, 1, 0, 10000);
    is_deeply([keys_like($redis, 'mw:message:*')], [], 'messages older than they are kept leave no stubs');
    like($said, qr/entries=0 .*past=40/, '... and are counted') or diag($said);
    $redis->stop;
}

# Clocks.
my $shift = preloadable('clock_shift', "$ENV{top_builddir}/store_feed");
SKIP: {
    skip 'the clock cannot be shifted here', 1 if !$shift;
    my $redis = RedisServer->new;
    my $config = $redis->config('keep_messages = "10d";');
    local $ENV{CLOCK_SHIFT} = -100 * 86400;
    local $ENV{LD_PRELOAD} = $shift;
    my ($kept, $said) = feed($config, 20, 2, 0, 5000);
    delete $ENV{LD_PRELOAD};
    my @stubs = grep { !$redis->cli('hexists', "mw:message:$_", 'report') } keys %{$kept};
    is_deeply(\@stubs, [], 'mails of a daemon whose clock is 100 days behind are whole');
    my @ttls = map { $redis->cli('ttl', "mw:message:$_") } keys %{$kept};
    is_deeply([grep { $_ < 860000 || $_ > 864000 } @ttls], [], '... and are kept as long as others');
    like($said, qr/^notice warning: our clock is 86(?:39|40)\d\d\d s behind that of Redis/m, '... and the clock is told') or diag($said);

    $redis->cli('flushall');
    my ($live) = feed($config, 100, 4);
    $ENV{CLOCK_SHIFT} = 20 * 86400;
    $ENV{LD_PRELOAD} = $shift;
    my ($ahead) = feed($config, 200, 4);
    delete $ENV{LD_PRELOAD};
    is_deeply([missing($redis, $live)], [], 'a clock that is 20 days ahead trims nothing that lives');
    my ($some) = keys %{$live};
    is($redis->cli('zcard', 'mw:index:from:' . $redis->cli('hget', "mw:message:$some", 'from')), 6,
        '... from no index') ;
    $redis->cli('flushall');
    run(qw(store refill --config), $config);
    is_deeply([missing($redis, $live)], [], '... nor what is kept on disk in case Redis forgets');
    $redis->stop;
}

# Versions.
{
    my $redis = RedisServer->new;
    my $config = $redis->config;
    my ($kept) = feed($config, 3, 1, 0, 5000);
    is($redis->cli(qw(get mw:schema)), 4, 'a store that begins tells its version');
    $redis->cli(qw(set mw:schema 5));
    my ($later, $said) = feed($config, 5, 1);
    is_deeply([grep { $_ ne 'spool' } values %{$later}], [], 'a newer one is not written: messages go to the spool');
    like($said, qr/takes no writes \(newer\): what Redis keeps is of version '5', .* up to 4/, '... which is told') or diag($said);
    my ($text, $status) = run(qw(search --config), $config);
    ok($status == 2 && $text =~ /of version '5'/, '... nor read') or diag($text);
    $redis->cli(qw(set mw:schema 4));
    feed($config, 0, 1, 0, 10000);
    is_deeply([missing($redis, $later)], [], '... until it is one that is known');
    $redis->stop;
}
{
    my $redis = RedisServer->new;
    $redis->stop;
    copy("$ENV{top_srcdir}/t/fixtures/store/version-1.rdb", "$redis->{dir}/dump.rdb") or die $!;
    $redis->start;
    my $config = $redis->config('keep_messages = "0"; keep_attachments = "0"; keep_data = "0";');
    my @old = $redis->dump;
    is(scalar(keys_like($redis, 'mw:message:*-*')) > 12 && $redis->cli(qw(exists mw:schema)), 0, 'a store of version 1 has no version');
    my ($kept) = feed($config, 4, 1, 0, 5000);
    is_deeply([missing($redis, $kept)], [], '... is written');
    is($redis->cli(qw(exists mw:schema)), 0, '... as it is');
    my %now = map { $_ => 1 } $redis->dump;
    my @gone = grep { !$now{$_} && !/attachment|:messages|events|index|sender/ } @old;
    is_deeply(\@gone, [], '... and what was there stays as it was');
    my @with = grep { value($redis, "HEXISTS", $_, "findings_json") } grep { !/:attachments$/ } keys_like($redis, 'mw:message:*');
    is_deeply(\@with, [], '... new messages too');
    my ($text, $status) = run(qw(show --json fixture0@example.net --config), $config);
    like($text, qr/Fixture_marker/, '... and is read');
    my %was = map { my $id = $_; $id => {map { $_ => value($redis, 'HGET', $id, $_) } qw(verdict findings rescanned subject)} }
        grep { !/:attachments$/ } keys_like($redis, 'mw:message:*');
    my $pid = open my $feeding, '-|', "$ENV{top_builddir}/store_feed $config 150 1 40000" or die $!;
    sleep 0.5;
    ($text, $status) = run(qw(store upgrade --json --config), $config);
    my $counts = eval { decode_json($text) };
    is($status, 0, 'store upgrade runs beside a daemon') or diag($text);
    is("$counts->{from} $counts->{to}", '1 4', '... from one version to the other');
    my @ids = map { (split)[0] } <$feeding>;
    close $feeding;
    is($redis->cli(qw(get mw:schema)), 4, '... which the store tells then');
    is($redis->cli(qw(exists mw:schema:upgrade)), 0, '... and that it is done');
    my @lost = grep { my $id = $_; grep { $was{$id}{$_} ne value($redis, 'HGET', $id, $_) } keys %{$was{$id}} } keys %was;
    is_deeply(\@lost, [], '... with all that was there');
    my @unlike;
    for my $key (grep { !/:(attachments|names|messages)$/ } keys_like($redis, 'mw:message:*'), keys_like($redis, 'mw:attachment:*')) {
        my $findings = value($redis, 'HGET', $key, 'findings');
        my $json = value($redis, 'HGET', $key, 'findings_json') || '[]';
        my $as_text = join q{, }, map { "$_->{scanner}/$_->{name}=$_->{severity}" } @{decode_json($json)};
        push @unlike, "$key: $findings / $json" if $findings ne $as_text;
    }
    is_deeply(\@unlike, [], '... and the findings of all messages and attachments are data');
    my ($with) = grep { value($redis, 'HGET', $_, 'findings') =~ /Fixture_marker/ } keys %was;
    is(decode_json(value($redis, 'HGET', $with, 'findings_json'))->[0]{details}{strings}[0]{excerpt}, 'delivery', '... with all there is to a finding');
    is(scalar(@ids), 150, '... while messages go on');
    my @upgraded = $redis->dump;
    ($text, $status) = run(qw(store upgrade --json --config), $config);
    is(decode_json($text)->{changed}, 0, 'done again it changes nothing');
    is_deeply([$redis->dump], \@upgraded, '... at all');
    # Cut short in the middle: the mark is there, some have been done.
    $redis->cli(qw(set mw:schema:upgrade 1));
    $redis->cli('hdel', $with, 'findings_json');
    ($text, $status) = run(qw(store upgrade --json --config), $config);
    is(decode_json($text)->{changed}, 1, 'one that was cut short is gone on with');
    is_deeply([$redis->dump], \@upgraded, '... to the same end');
    $redis->stop;
}
done_testing();
