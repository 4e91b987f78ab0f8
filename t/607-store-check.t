#!/usr/bin/perl
# mailwitness store check: whatever is deleted at random, after --mend every message that still
# has its report is found by everything it was found by before, has its facts and lists, and no
# bytes were taken from it. What was there before is read from Redis, not told by the tool.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use JSON::PP;
use List::Util qw(shuffle);
use RedisServer qw(:DEFAULT run);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $rounds = $ENV{MW_LONG} ? 20 : 2;
my $messages = $ENV{MW_LONG} ? 1900 : 250;
my $redis = RedisServer->new;
my $config = $redis->config;

sub ask { return $redis->ask(@_) }

# All there is, by kind.
sub picture {
    my %all;
    for my $key (ask('KEYS', 'mw:*')) {
        my $type = ask('TYPE', $key);
        $all{$type}{$key} = $type eq 'zset' ? {map { $_ => 1 } ask('ZRANGE', $key, 0, -1)}
            : $type eq 'hash' ? {ask('HGETALL', $key)}
            : $type eq 'list' ? join(q{ }, ask('LRANGE', $key, 0, -1))
            : $type eq 'set' ? {map { $_ => 1 } ask('SMEMBERS', $key)} : 1;
    }
    return \%all;
}

sub id_of { return $_[0] =~ /^mw:message:([0-9a-f-]{36})$/ && $1 }

sub break_things {
    my ($all) = @_;
    my %bytes;    # taken by hand
    for my $type (sort keys %{$all}) {
        for my $key (sort keys %{$all->{$type}}) {
            next if $key =~ /^mw:(?:schema|marker|probe)$/;
            my $dice = rand;
            if ($dice < 0.12 && !(id_of($key) && $dice > 0.03)) {
                ask('DEL', $key);
                $bytes{$key} = 1;
            } elsif ($type eq 'zset') {
                rand() < 0.15 && ask('ZREM', $key, $_) for sort keys %{$all->{zset}{$key}};
            } elsif ($type eq 'hash' && $dice < 0.3) {
                rand() < 0.2 && $_ !~ /^(?:report|report_form|event)$/ && ask('HDEL', $key, $_) for sort keys %{$all->{hash}{$key}};
            } elsif ($type eq 'list' && $dice < 0.2) {
                ask('LPOP', $key);
            } elsif ($dice > 0.97) {
                ask('PERSIST', $key);
            }
        }
    }
    # A stub, bytes that nothing names, an entry of a message that never was.
    ask('HSET', 'mw:message:01900000-0000-7000-8000-000000000001', 'verdict', 'clean');
    ask('SET', 'mw:data:' . '0' x 64, 'nobody names these');
    ask('ZADD', 'mw:index:from:nobody@example.com', 5, '01900000-0000-7000-8000-000000000002');
    return \%bytes;
}

for my $round (1 .. $rounds) {
    srand 1400 + $round;
    ask('FLUSHALL');
    feed($config, $messages, 4, 0, 5000);
    ask('DEL', 'mw:probe');
    my $before = picture();
    my ($text, $status) = run(qw(store check --json --config), $config);
    is($status, 0, "round $round: what the store wrote fits together") or diag($text);
    my $taken = break_things($before);
    ($text, $status) = run(qw(store check --json --config), $config);
    my $found = decode_json($text);
    ok($status == 1 && !$found->{mended} && $found->{unindexed} > $messages / 4 && $found->{wrong} && $found->{dangling} && $found->{orphans}, '... what was broken is found, and left as it is') or diag($text);
    ($text, $status) = run(qw(store check --mend --json --config), $config);
    is($status, 0, '... and mended') or diag($text);
    my $after = picture();
    my @live = grep { $_ } map { id_of($_) } keys %{$after->{hash}};
    my %live = map { $_ => 1 } @live;
    my @unfound;
    for my $key (keys %{$before->{zset}}) {
        push @unfound, map {"$_ by $key"} grep { $live{$_} && !$after->{zset}{$key}{$_} } keys %{$before->{zset}{$key}};
    }
    cmp_ok(scalar(@live), '>', $messages * 0.9, '... most messages are there');
    is_deeply([@unfound[0 .. ($#unfound > 4 ? 4 : $#unfound)]], [], '... each is found by everything it was found by before');
    my @facts = grep { my $id = $_; my ($old, $new) = map { $_->{hash}{"mw:message:$id"} } $before, $after;
        grep { ($new->{$_} // q{}) ne $old->{$_} } grep { $_ !~ /^(?:event|report)$/ } keys %{$old} } @live;
    is_deeply(\@facts, [], '... and has the facts that it had');
    is(scalar(grep { my $key = "mw:message:$_:attachments"; ($before->{list}{$key} // q{}) ne ($after->{list}{$key} // q{}) } @live), 0, '... and the list of its attachments');
    my %named = map { $_ => 1 } map { split q{ }, $before->{list}{"mw:message:$_:attachments"} // q{} } @live;
    my @lost = grep { !$taken->{"mw:data:$_"} && (!$after->{string}{"mw:data:$_"} || ask('TTL', "mw:data:$_") < 86400) } keys %named;
    is_deeply(\@lost, [], '... and the bytes, where those were not deleted by hand');
    my @wrong = grep { my $hash = $_; my ($old, $new) = map { $_->{hash}{"mw:attachment:$hash"} } $before, $after;
        grep { ($new->{$_} // q{}) ne $old->{$_} } grep { $_ !~ /^(?:scanned|message|last_seen|first_seen|name)$/ && !($_ eq 'data' && $taken->{"mw:data:$hash"}) } keys %{$old} } keys %named;
    is_deeply(\@wrong, [], '... and the facts of what was attached');
    my @nameless = grep { !$after->{set}{"mw:attachment:$_:names"} } keys %named;
    is_deeply(\@nameless, [], '... with its names');
    my %ids = map { $_ => 1 } @live;
    my @dangling = map { my $key = $_; map {"$_ in $key"} grep { !$ids{$_} } keys %{$after->{zset}{$key}} } grep { $_ ne 'mw:attachments' } keys %{$after->{zset}};
    is_deeply(\@dangling, [], '... and no index speaks of what is gone');
    ok(!exists $after->{hash}{'mw:message:01900000-0000-7000-8000-000000000001'}, '... the stub is gone');
    my $left = ask('TTL', 'mw:data:' . '0' x 64);
    ok($left == -2 || ($left > 0 && $left <= 3600), '... and bytes that nothing names go');
    my @endless = grep { !/^mw:(?:schema|marker)$/ && ask('TTL', $_) == -1 } map { keys %{$_} } values %{$after};
    is_deeply(\@endless, [], '... and all has an end');
    ($text, $status) = run(qw(store check --json --config), $config);
    my $again = decode_json($text);
    is_deeply([$status, @{$again}{qw(unindexed wrong dangling orphans timeless unreadable)}], [(0) x 7], '... which is what a second look says') or diag($text);
}
done_testing();
