#!/usr/bin/perl
# Everything that should go goes, and nothing sooner: all kinds of keys that the code writes,
# with seconds as retention, while mail comes and after it.
use strict;
use warnings;
no warnings qw(portable);
use lib "$ENV{top_srcdir}/t/lib";
use RedisServer;
use Test::More;
use Time::HiRes qw(sleep time);

my $redis = RedisServer->new;
my %keep = (messages => 4, attachments => 5, data => 3);
my $config = $redis->config(join(q{ }, map {"keep_$_ = \"$keep{$_}s\";"} sort keys %keep), 'recent = "0";');

# What a key is, as doc/redis-schema.md writes it.
sub kind {
    local $_ = $_[0];
    s/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/<id>/;
    s/\b[0-9a-f]{64}\b/<sha256>/;
    s/^(mw:sender:).*/$1<address>/s;
    s/^(mw:index:)[a-z-]+:.*/$1<field>:<value>/s;
    return $_;
}

open my $doc, '<', "$ENV{top_srcdir}/doc/redis-schema.md" or die $!;
my %documented = map { $_ => 1 } map { /^\| `(mw:[^`]+)` \|/ ? $1 : () } <$doc>;
close $doc;

# How many entries of each sorted set are older than they are to be kept.
sub entries {
    my ($redis_asked) = @_;
    my %old;
    my $oldest = (time - $keep{messages}) * 1000;
    for my $key ($redis_asked->ask('KEYS', 'mw:*')) {
        next if $redis_asked->ask('TYPE', $key) ne 'zset' || $key eq 'mw:attachments';
        my $old = $redis_asked->ask('ZCOUNT', $key, '-inf', $oldest);
        $old{$key} = $old if $old;
    }
    return \%old;
}

# Whether a message has been there for as long as it is kept: its id has the time.
sub is_old { my ($id) = @_; return hex(substr($id, 0, 8) . substr $id, 9, 4) <= (time - $keep{messages}) * 1000 }

# Mail that goes on for longer than anything is kept.
my (%seen, @dead, %most);
my ($kept) = feed_while($config, [1200, 4, 40000], sub {
    for my $second (1 .. 11) {
        sleep 1;
        my @keys = $redis->ask('KEYS', 'mw:*');
        $seen{kind($_)} = 1 for @keys;
        # What is missing must have been there for as long as it is kept when that is seen.
        for my $id ($redis->ask('ZRANGE', 'mw:messages', 0, -1)) {
            push @dead, $id if !$redis->ask('HEXISTS', "mw:message:$id", 'report') && !is_old($id);
        }
        for my $id (map { /^mw:message:([0-9a-f-]{36})$/ } @keys) {
            push @dead, $id if !defined $redis->ask('ZSCORE', 'mw:index:verdict:clean', $id) && !is_old($id);
        }
        $most{messages} = $redis->ask('ZCARD', 'mw:messages') if $second > 8;
        $most{clean} = $redis->ask('ZCARD', 'mw:index:verdict:clean') if $second > 8;
        $most{hashes} = grep { /^mw:message:[0-9a-f-]{36}$/ } @keys if $second > 8;
    }
});
is(scalar keys %{$kept}, 1200, 'mail goes on for longer than anything is kept');
is_deeply([grep { !$documented{$_} } keys %seen], [], 'every kind of key that is written is documented');
is_deeply([grep { !$seen{$_} && !/upgrade|probe/ } keys %documented], [], '... and every kind that is documented was written here');
is_deeply(\@dead, [], 'nothing is gone that is to be kept, and all of it is found');
# 100 messages a second, each trims one time in 32.
cmp_ok($most{hashes}, '<', 100 * ($keep{messages} + 3), 'messages go while others come');
cmp_ok($most{messages}, '<', 100 * ($keep{messages} + 4), '... from the index of all');
cmp_ok($most{clean}, '<', 100 * ($keep{messages} + 4), '... and from that of their verdict');
my $old = entries($redis);
my @many = grep { $old->{$_} > 150 } keys %{$old};
is_deeply(\@many, [], '... and no index keeps more than some old entries');
sleep 7;
my @left = grep { !/^mw:(?:schema|marker|probe)$/ } $redis->ask('KEYS', 'mw:*');
is_deeply(\@left, [], 'some seconds after the last mail nothing is left') or diag("$_ ttl ", $redis->ask('TTL', $_)) for @left[0 .. ($#left > 5 ? 5 : $#left)];

# An attachment under ever new names.
$redis = RedisServer->new;
$config = $redis->config;
feed($config, 1, 1, 0, 3000);
my ($hash) = $redis->ask(qw(ZRANGE mw:attachments 0 0));
$redis->ask('SADD', "mw:attachment:$hash:names", map {"name $_"} 1 .. 999);
feed($config, 400, 4, 0, 3000);
cmp_ok($redis->ask('SCARD', "mw:attachment:$hash:names"), '<=', 1000, 'the names of an attachment are bounded');
done_testing();
