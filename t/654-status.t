#!/usr/bin/perl
# mailwitness status and reload for people: what is wrong first, and nothing from memory.
use strict;
use warnings;
use JSON::PP;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder run spew slurp);
use Rig::Mail qw(message);
use Rig::Milter;
use Rig::Redis;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $redis = Rig::Redis->new;
my $spool = folder();
my @usual = (redis => { address => $redis->address }, spool => { folder => $spool },
    more => "filter: { from: { source = \"from\"; file = \"$spool/from\"; capacity = 1000; }; };\n");
my $daemon = Rig::Milter->daemon(@usual);

sub ask { my ($what, @more) = @_; return run(q{}, $mailwitness, $what, @more, '--socket', $daemon->{control}) }

my ($said, $status) = ask('status');
is($status, 0, 'status answers');
like($said, qr/^mailwitnessd\s+\S+, process \d+, up .*\nconfiguration\s+\S+\nmode\s+act\nmail\s+0 connections/m, '... a line a thing, with the mode');
like($said, qr/^workers\s+2, 0 busy, generation 1$/m, '... workers and their generation');
like($said, qr/^engines\s+none: nothing that knows malware/m, '... that nothing looks for malware');
like($said, qr/^last reload\s+none since the start$/m, '... that there was no reload');
like($said, qr/^Redis\s+unix:\S+, takes writes$/m, '... how Redis is');
like($said, qr/^spool\s+0 messages wait\nfilters\s+from: 0 values$/m, '... what waits, and the filters');

# --- reload ------------------------------------------------------------------------------
my $log = length $daemon->log_text;
$daemon->configure(@usual, milter => { listen => "unix:$daemon->{dir}/other", user => 'nobody', control => "$daemon->{dir}/third" });
($said, $status) = ask('reload');
is($status, 0, 'a reload with another socket and user works');
like($said, qr/cannot change milter[.]listen, milter[.]user, milter[.]control: restart mailwitnessd/, '... and says that they need a restart');
like($said, qr/generation 2 is in force/, '... and which generation is in force');
like(substr($daemon->log_text, $log), qr/warning: a reload cannot change milter[.]listen, milter[.]user, milter[.]control: /, '... as does the log');
is(decode_json((ask('reload', '--json'))[0])->{needs_restart}, 'milter.listen, milter.user, milter.control', '... and the answer as JSON');
($said) = ask('status');
like($said, qr/\Awarning: the configuration has another milter[.]listen.*\n\n?mailwitnessd/, 'status warns of it before all else');
like($said, qr/^last reload\s+\d{4}-\S+, worked$/m, '... and says how the reload went');
$daemon->configure(@usual);
ask('reload');
unlike((ask('status'))[0], qr/^warning/m, '... until the file is as it was');
spew($daemon->{conf}, "milter: { nonsense = 1; };\n");
ask('reload');
like((ask('status'))[0], qr/\Awarning: the last reload failed, what was before is still in force: .*nonsense/, 'a reload that failed is a warning, with the reason');
$daemon->configure(@usual);
ask('reload');

# --- Redis -------------------------------------------------------------------------------
$redis->stop;
($said, $status) = ask('status');
is($status, 1, 'status asks Redis, and does not remember: it exits 1 at once when Redis is gone');
like($said, qr/\Awarning: Redis at unix:\S+ takes no writes: .*No such file.*; 0 messages wait/, '... with a warning');
like($said, qr/^Redis\s+unix:\S+, is away$/m, '... and where Redis stands');
my $answer = decode_json((ask('status', '--json'))[0]);
is_deeply([@{$answer->{store}}{qw(up answers trouble)}, scalar @{$answer->{warnings}}], [JSON::PP::false, JSON::PP::false, 'down', 1], '... as JSON, too');
$redis->start;
ok(Rig::wait_until(20, sub { (ask('status'))[1] == 0 }), '... until it is back');

my $connection = $daemon->connection;
$connection->hello;
$connection->message(message());
$connection->quit;
$redis->command('FLUSHALL');
ok($daemon->wait_log(qr/Redis may have forgotten messages/), 'a Redis that forgot is told') or diag($daemon->log_text);
ok($daemon->wait_log(qr/Redis has been told again: 1 messages were written anew/), '... and what was written anew') or diag($daemon->log_text);

# --- who may -----------------------------------------------------------------------------
SKIP: {
    skip 'only root can be another user', 3 if $> != 0;
    my @as = ('setpriv', '--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups');
    my $refused = sub { return run(q{}, @as, $mailwitness, 'status', '--socket', $daemon->{control}) };
    chmod 0755, $daemon->{dir};
    chown 0, (getgrnam 'adm')[2], $daemon->{control};
    ($said, $status) = $refused->();
    ok($status == 2 && $said =~ /you may not ask mailwitnessd: \S+control is for members of the group 'adm'/, 'who may not ask is told which group may') or diag($said);
    chmod 0600, $daemon->{control};
    like(($refused->())[0], qr/is for the user 'root' alone/, '... or that nobody else may');
    chown 0, (getgrnam 'adm')[2], $daemon->{dir};
    chmod 0750, $daemon->{dir};
    like(($refused->())[0], qr/\Q$daemon->{dir}\E is for members of the group 'adm'/, '... of the folder, where that keeps them out');
}
$daemon->stop;
$redis->stop;
done_testing();
