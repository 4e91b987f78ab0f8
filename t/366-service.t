#!/usr/bin/perl
# The daemon with the rights that the packaged service gives it: nobody who reads mail runs as
# the user of the daemon, and nobody keeps a right that is not needed.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(run slurp wait_until);
use Rig::Daemon;
use Test::More;

my $top = $ENV{top_srcdir};
my $unit = slurp("$top/contrib/systemd/mailwitnessd.service.in");
my $packaged = slurp("$top/contrib/debian/mailwitness.conf");
my $users = slurp("$top/contrib/systemd/mailwitness.sysusers");

# --- what is packaged ----------------------------------------------------------------------
my ($service_user) = $unit =~ /^User=(\S+)$/m;
my ($workers_user) = $packaged =~ /^workers: \{.*\buser = "([^"]+)"/m;
is($service_user, 'mailwitness', 'the service runs as a user of its own');
ok($workers_user && $workers_user ne $service_user, 'workers of the packaged configuration are another user');
like($users, qr/^u\s+\Q$_\E\s/m, "... and the package makes the user $_") for $service_user, $workers_user // q{};
like($packaged, qr/^workers: \{.*\bsandbox = "required"/m, 'they never run with less than all of the sandbox');
my ($given) = $unit =~ /^AmbientCapabilities=(.*)$/m;
my ($bound) = $unit =~ /^CapabilityBoundingSet=(.*)$/m;
is($given, 'CAP_SETUID CAP_SETGID CAP_CHOWN CAP_KILL', 'the service may make workers another user, and little else');
is($bound, $given, '... and can never have more');
unlike($unit, qr/^PrivateUsers=/m, 'both users are known to it');
like($unit, qr/^OOMPolicy=continue$/m, 'a worker that goes when memory is short does not end the service');
like($unit, qr/^$_=\S+$/m, "$_ is set") for qw(MemoryMax TasksMax);

# --- what becomes of it ----------------------------------------------------------------------
if ($> != 0) { done_testing(); exit }
# Under a sanitizer workers have no filter of system calls.
my ($libraries) = run(q{}, 'ldd', "$ENV{top_builddir}/mailwitnessd");
if ($libraries =~ /lib[a-z]+san[.]/) { done_testing(); exit }
# Two users that every Debian system has.
my ($as, $reader) = qw(daemon games);
my (undef, undef, $uid, $gid) = getpwnam $as;
my (undef, undef, $reader_uid) = getpwnam $reader;
my @names = map { lc s/^CAP_//r } split ' ', $given;
my %bit = (chown => 0, kill => 5, setgid => 6, setuid => 7);
my $mask = 0;
$mask |= 1 << $bit{$_} for @names;
my $plus = join ',', map {"+$_"} @names;
my $daemon = Rig::Daemon->new(
    stopped => 1,
    prefix => ['setpriv', '--reuid', $uid, '--regid', $gid, '--clear-groups', '--bounding-set', "-all,$plus",
        '--inh-caps', $plus, '--ambient-caps', $plus, '--no-new-privs', '--'],
    settings => { milter => { mode => 'observe' }, workers => { count => 1, user => $reader } },
);
chown $uid, $gid, $daemon->{dir}, $daemon->{log};
mkdir "$daemon->{dir}/scratch";
chown $uid, $gid, "$daemon->{dir}/scratch";
$daemon->configure(workers => { scratch => "$daemon->{dir}/scratch" },
    exec => { tool => { command => '/bin/true' } });
$daemon->start;

sub status { my ($pid, $what) = @_; return slurp("/proc/$pid/status") =~ /^$what:\s+(\S+)/m ? $1 : q{} }
sub depth { my ($want) = @_; return map { $_->[0] } grep { $_->[1] == $want } $daemon->_tree }
sub rights { my ($pid) = @_; return join ' ', status($pid, 'Uid'), map { hex status($pid, $_) } qw(CapPrm CapEff CapAmb) }
ok(wait_until(20, sub { my @readers = depth(3); @readers >= 2 && @readers == grep { status($_, 'Uid') == $reader_uid && status($_, 'Seccomp') == 2 } @readers }),
    'workers, and what starts programs for them, are there');
is(join(q{ }, map { scalar(() = depth($_)) } 1, 2), '1 1', '... below a process for a generation, below the one that makes those');
is(rights($daemon->{pid}), "$uid 0 0 0", 'the daemon has no capability once it takes mail');
is(rights($_), "$uid $mask $mask $mask", '... those that make workers have theirs, as the same user') for depth(1), depth(2);
for my $pid (depth(3)) {
    is(rights($pid), "$reader_uid 0 0 0", 'a worker, and what starts programs for it, is another user, without capabilities');
    is(join(q{ }, map { status($pid, $_) } qw(NoNewPrivs Seccomp)), '1 2', '... confined');
    is(slurp("/proc/$pid/oom_score_adj"), "1000\n", '... and goes first when memory is short');
}
isnt(slurp("/proc/$_/oom_score_adj"), "1000\n", '... others do not') for $daemon->{pid}, depth(1), depth(2);

my @first = depth(3);
# What starts programs is made first.
my ($worker) = sort { $b <=> $a } @first;
kill 'KILL', $worker;
my @folders;
ok(wait_until(20, sub { my @now = depth(3); @folders = glob "$daemon->{dir}/scratch/*/*"; @now && @folders == @now && !grep { $_ == $worker } @now }),
    'each process has a folder of its own, and that of one that died goes');
is((stat $_)[4], $reader_uid, '... that are its user\'s') for @folders;
is($daemon->stop('TERM'), 0, 'it ends in order');
is(join(q{ }, glob "$daemon->{dir}/scratch/*"), q{}, '... and nothing is left');
unlike($daemon->log_text, qr/cannot|denied/i, '... and nothing failed');
done_testing();
