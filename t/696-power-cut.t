#!/usr/bin/perl
# The power goes while messages are written to the spool, are set aside as refused, or values to a
# filter, on a file system of our own on a loop device: what the disk has at that moment, and no
# more, is mounted again. What was acknowledged is there. With MW_LONG=1, as root.
# MW_POWER_CUT=nosync takes the writers' flushes away: then the test must fail.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use File::Temp qw(tempdir);
use RedisServer;
use Test::More;
use Time::HiRes qw(sleep);

plan skip_all => 'MW_LONG is not set' if !$ENV{MW_LONG};
plan skip_all => 'only root may mount' if $> != 0;
if (!$ENV{MW_OWN_MOUNTS}) {
    # Mounts that go with us, whatever happens.
    $ENV{MW_OWN_MOUNTS} = 1;
    exec 'unshare', '-m', '--propagation', 'private', $^X, $0 or plan skip_all => 'no mounts of our own can be made';
}
my $mailwitness = $ENV{MAILWITNESS};
# In memory: a copy is taken at once.
my $dir = tempdir('mwp-XXXXXX', DIR => -w '/dev/shm' ? '/dev/shm' : '/tmp', CLEANUP => 1);
my $rounds = $ENV{MW_POWER_CUTS} // 8;
mkdir "$dir/$_" for qw(disk after);
sub sh { my ($command) = @_; my $text = qx(($command) 2>&1); return $? == 0 ? $text : die "$command: $text" }
sub fresh_disk {
    sh("umount $dir/disk 2>/dev/null; rm -f $dir/image; truncate -s 96M $dir/image; mkfs.ext4 -q -F $dir/image; mount -o loop $dir/image $dir/disk");
    return;
}
plan skip_all => "no loop device can be mounted: $@" if !eval { fresh_disk(); 1 };

# What is on the disk now, without what is only in memory; the writer stands still meanwhile.
sub cut_power {
    my ($pid) = @_;
    kill 'STOP', $pid if $pid;
    sh("cp $dir/image $dir/copy");
    kill 'KILL', $pid if $pid;
    sh("umount -l $dir/after 2>/dev/null; true");
    sh("mount -o loop $dir/copy $dir/after");
    return;
}

my $redis = RedisServer->new;
sub config_for {
    my ($place) = @_;
    my $config = $redis->config('command_time = "300ms"; connect_time = "300ms";');
    my $text = do { open my $in, '<', $config or die $!; local $/; <$in> };
    $text =~ s{folder = "[^"]*"}{folder = "$place/spool"};
    open my $out, '>', "$dir/$_[1]" or die $!;
    print {$out} $text;
    close $out or die $!;
    return "$dir/$_[1]";
}

# A writer that flushes nothing: the test of the test.
if (($ENV{MW_POWER_CUT} // q{}) eq 'nosync') {
    open my $out, '>', "$dir/nosync.c" or die $!;
    print {$out} "int fsync(int fd) { (void)fd; return 0; }\nint fdatasync(int fd) { (void)fd; return 0; }\n";
    close $out or die $!;
    sh("cc -shared -fPIC -o $dir/nosync.so $dir/nosync.c");
}

# Acknowledged messages of a writer that the power is taken from.
sub written_until_the_cut {
    my ($round) = @_;
    my $config = config_for("$dir/disk", 'writing');
    local $ENV{LD_PRELOAD} = -e "$dir/nosync.so" ? "$dir/nosync.so" : q{};
    my ($kept) = feed_while($config, [1_000_000, 4, 300], sub { my ($pid) = @_; sleep 0.4 + rand 1.2; cut_power($pid) });
    return $kept;
}

srand 77;
my ($spooled, $aside) = (0, 0);
my (@lost, @lost_aside, @damaged);
for my $round (1 .. $rounds) {
    fresh_disk();
    $redis->stop;
    my $kept = written_until_the_cut($round);
    $spooled += keys %{$kept};
    $redis->start;
    my (undef, $said) = feed(config_for("$dir/after", 'reading'), 0, 1, 0, 60000);
    push @lost, missing($redis, $kept);
    push @damaged, glob "$dir/after/spool/*.damaged";
    sh("umount -l $dir/after");

    # The same with a Redis that refuses all.
    fresh_disk();
    $redis->ask('FLUSHALL');
    $redis->ask(qw(SET mw:messages foreign));
    $kept = written_until_the_cut($round);
    $aside += keys %{$kept};
    $redis->ask(qw(DEL mw:messages));
    $said = qx($mailwitness spool flush --refused --config @{[config_for("$dir/after", 'reading')]} 2>&1);
    push @lost_aside, missing($redis, $kept);
    push @damaged, glob "$dir/after/spool/*.damaged";
    sh("umount -l $dir/after");
}
cmp_ok($spooled, '>', 20 * $rounds, "messages were acknowledged by the spool ($spooled)");
is_deeply([@lost[0 .. ($#lost > 4 ? 4 : $#lost)]], [], '... and every one is there after the power cut');
cmp_ok($aside, '>', 20 * $rounds, "messages were set aside as refused ($aside)");
is_deeply([@lost_aside[0 .. ($#lost_aside > 4 ? 4 : $#lost_aside)]], [], '... and every one is there, too');
is_deeply(\@damaged, [], 'what the cut left unfinished is not taken for damage');

# A filter: what the command said was added.
fresh_disk();
sh("$mailwitness bloom create --capacity 20000 $dir/disk/f.filter");
my @unknown;
for my $round (1 .. $rounds) {
    open my $list, '>', "$dir/list" or die $!;
    print {$list} map {"r$round-$_\@example.com\n"} 1 .. 300;
    close $list or die $!;
    sh("$mailwitness bloom add $dir/disk/f.filter < $dir/list");
    cut_power();
    for my $value (map { "r$_-" . (1 + int rand 300) . '@example.com' } 1 .. $round) {
        system("$mailwitness seen --filter $dir/after/f.filter $value > /dev/null 2>&1") == 0 or push @unknown, $value;
    }
    sh("umount -l $dir/after");
}
is_deeply(\@unknown, [], 'a filter knows after a power cut what it was taught');
sh("umount -l $dir/disk");
done_testing();
