#!/usr/bin/perl
# A kernel without Landlock: workers do without and that is told, or a required sandbox
# refuses to run. The kernel is made to say that it has none.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Config;
use Rig qw(folder run spawn spew slurp alive wait_until end_process);
use Rig::Mail qw(message);
use Test::More;

my $dir = folder();
my %prctl = (x86_64 => 157, aarch64 => 167);
my ($machine) = $Config{archname} =~ /^([^-]+)/;
if (!$prctl{$machine}) { plan skip_all => "system calls of $machine are not known here" }

# Runs the rest of the command under a filter by which landlock_create_ruleset is no
# system call (number 444 everywhere): PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, exec.
my $without = spew("$dir/without-landlock", <<"END");
my \@filter = ([0x20, 0, 0, 0], [0x15, 0, 1, 444], [0x06, 0, 0, 0x50000 + 38], [0x06, 0, 0, 0x7fff0000]);
my \$code = join '', map { pack 'SCCL', \@{\$_} } \@filter;
my \$program = pack 'Sx![J]P', scalar \@filter, \$code;
syscall($prctl{$machine}, 38, 1, 0, 0, 0) == 0 && syscall($prctl{$machine}, 22, 2, \$program) == 0 or die "prctl: \$!";
exec \@ARGV or die "\$ARGV[0]: \$!";
END
my @without = ($^X, $without);
my (undef, $status) = run(q{}, @without, 'true');
if ($status != 0) { plan skip_all => 'no seccomp filter can be set here' }

my $missing = qr/this kernel has no Landlock: files are guarded by the user workers run as only/;
my $mail = spew("$dir/mail", message());
my ($said, $done);
for my $mode (qw(required best)) {
    spew("$dir/$mode.conf", "workers: { count = 1; sandbox = \"$mode\"; };\nlog: { target = \"stderr\"; };\n"
        . "filter: { };\nmilter: { listen = \"unix:$dir/$mode.milter\"; control = \"\"; };\n");
}
($said, $done) = run(q{}, @without, $ENV{MAILWITNESS}, 'scan', '--config', "$dir/required.conf", $mail);
is($done, 2, 'a scan whose sandbox is required refuses to run without Landlock');
like($said, qr/the sandbox is required, but $missing/, '... and says what is missing');
($said, $done) = run(q{}, @without, $ENV{MAILWITNESS}, 'scan', '--config', "$dir/best.conf", $mail);
like($said, qr/"verdict": ?"unscanned"/, 'with the best there is mail is read');
like($said, $missing, '... and what is missing is told');

sub daemon {
    my ($mode) = @_;
    return spawn({ out => "$dir/$mode.log" }, @without, "$ENV{top_builddir}/mailwitnessd", '-f', '-c', "$dir/$mode.conf");
}

my $pid = daemon('required');
ok(wait_until(60, sub { !alive($pid) }), 'a daemon whose sandbox is required does not start without Landlock');
like(slurp("$dir/required.log"), qr/the sandbox is required, but $missing/, '... and says what is missing');
ok(!-e "$dir/required.milter", '... there is no socket');
$pid = daemon('best');
ok(wait_until(60, sub { slurp("$dir/best.log") =~ /ready on/ }), 'with the best there is it starts') or diag(slurp("$dir/best.log"));
like(slurp("$dir/best.log"), $missing, '... and what is missing is logged');
end_process($pid);
done_testing();
