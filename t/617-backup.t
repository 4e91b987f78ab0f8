#!/usr/bin/perl
# mailwitness backup while mail flows, and restore to an empty machine: what was acknowledged
# before the backup began is there again, in Redis, in the spool, in the filters.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use JSON::PP;
use Rig qw(folder slurp spew wait_until);
use RedisServer;
use Test::More;
use Time::HiRes qw(sleep);

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $redis = RedisServer->new;
my $dir = $redis->{dir};

sub run_it {
    my (@words) = @_;
    my $pid = open my $out, '-|';
    if (!$pid) {
        open STDERR, '>&', \*STDOUT or die $!;
        exec @words or die $!;
    }
    my $text = do { local $/; <$out> } // q{};
    close $out;
    return ($text, $? >> 8);
}
sub run { return run_it($mailwitness, @_) }

my $config = $redis->config;
open my $more, '>>', $config or die $!;
# A part of the configuration stands in a file of its own, beside.
print {$more} "\@include \"filters.conf\"\n";
close $more or die $!;
open $more, '>', "$dir/filters.conf" or die $!;
print {$more} "filter: { people: { source = \"from\"; file = \"$dir/people.bloom\"; capacity = 10000; }; };\n";
close $more or die $!;
run('bloom', 'create', '--capacity', 10_000, "$dir/people.bloom");
my ($text, $status) = run(qw(config check), $config);
is($status, 0, 'the configuration is one') or diag($text);
spew("$dir/list", join "\n", map {"person$_\@example.com"} 1 .. 500);
($text, $status) = run_it('sh', '-c', "$mailwitness bloom add $dir/people.bloom < $dir/list");

# Some wait in the spool, some are in Redis, and more come while it is copied.
my ($kept) = feed($config, 120, 4, 0, 5000);
my $flow = open my $flowing, '-|', "exec $ENV{top_builddir}/store_feed $config 2000 2 3000 2>/dev/null" or die $!;
my %before = %{$kept};
while (keys %before < 220) {
    my $line = <$flowing> // BAIL_OUT('nothing is fed');
    my ($id, $where) = split q{ }, $line;
    $before{$id} = $where;
}
($text, $status) = run('backup', '--config', $config, "$dir/backup");
kill 'TERM', $flow;
close $flowing;
is($status, 0, 'a backup is made while mail flows') or diag($text);
($text, $status) = run_it('sh', '-c', "cd $dir/backup && sha256sum -c SHA256SUMS");
is($status, 0, '... and sha256sum finds it whole') or diag($text);
($text, $status) = run('backup', '--config', $config, "$dir/backup");
ok($status == 2 && $text =~ /must be new/, 'a folder that is there is not written into');
unlike($text, qr/remove it/, '... nor to be removed');
is((stat "$dir/backup")[2] & 0777, 0700, '... and nobody else may read one');

# Messages that wait: the backup of a host whose Redis is away.
$redis->stop;
my ($waiting) = feed($config, 20, 2);
($text, $status) = run('backup', '--config', $config, "$dir/without");
ok($status == 2 && $text =~ /Redis|connect/, 'without Redis there is no whole backup, and that is told');
like($text, qr{; \Q$dir\E/without holds a part of a backup: remove it$}, '... with what to do about what was copied');
($text, $status) = run('restore', '--config', $config, "$dir/without");
ok($status == 2 && $text =~ /no whole backup/, '... and a part of one is not brought back');
($text, $status) = run('backup', '--no-redis', '--config', $config, "$dir/spool-only");
is($status, 0, '... but one of the rest, when asked for') or diag($text);

# Another machine: an empty Redis, no spool, no filters.
my $other = RedisServer->new;
$other->ask('SET', 'somebody:else', 'stays');
my $place = "$other->{dir}/conf";
my $moved = slurp("$dir/backup/mailwitness.conf");
like($moved, qr/people[.]bloom/, 'the configuration of the backup has in it what it included');
unlike($moved, qr/include/, '... and needs no other file');
$moved =~ s/\Q$dir\E/$other->{dir}/g;
spew($place, $moved);
($text, $status) = run('restore', '--config', $place, "$dir/backup");
is($status, 0, 'on another machine it is brought back') or diag($text);
is_deeply([missing($other, \%before)], [], '... every message that was acknowledged before');
is($other->ask('GET', 'somebody:else'), 'stays', "... and what is not ours is left alone");
ok(!$other->ask('EXISTS', 'mw:marker'), '... and a daemon sees that this Redis is another');
my ($some) = keys %{$kept};
cmp_ok($other->ask('TTL', "mw:message:$some"), '>', 86400 * 80, '... each with the time it is to be kept');
($text, $status) = run(qw(store check --json --config), $place);
is($status, 0, '... and all fits together') or diag($text);
for my $who ('person7@example.com', 'person499@example.com') {
    ($text, $status) = run('seen', '--filter', "$other->{dir}/people.bloom", $who);
    is($status, 0, "... the filter knows $who") or diag($text);
}
($text, $status) = run('restore', '--config', $place, "$dir/spool-only");
is($status, 0, 'the spool of the other backup too') or diag($text);
like($text, qr/1 filters and 0 keys were there and stay/, '... while what is there stays');
my (undef, $said) = feed($place, 0, 1, 0, 20000);
is_deeply([missing($other, $waiting)], [], '... and what waited comes to Redis');

# Damage, and a daemon.
my ($file) = glob "$dir/backup/spool/*.spool";
open my $bytes, '+<:raw', $file or die $!;
seek $bytes, 60, 0;
print {$bytes} "\0\1\2";
close $bytes or die $!;
($text, $status) = run('restore', '--config', $place, "$dir/backup");
ok($status == 2 && $text =~ /is not as it was when it was copied/, 'a backup that changed is not brought back') or diag($text);
my $feed = open my $daemon, '-|', "exec $ENV{top_builddir}/store_feed $place 1000 1 50000 2>/dev/null" or die $!;
scalar <$daemon>;
($text, $status) = run('restore', '--config', $place, "$dir/spool-only");
ok($status == 2 && $text =~ /in use by another process/, 'beside a daemon nothing is brought back') or diag($text);
kill 'TERM', $feed;
close $daemon;
done_testing();
