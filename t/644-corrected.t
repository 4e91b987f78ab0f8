#!/usr/bin/perl
# What is stored of a message whose reply the mail server does not take: what was done after
# all, in whatever order the two records reach Redis.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use JSON::PP;
use Rig qw(folder run wait_until slurp);
use Rig::Daemon;
use Rig::Mail qw(message);
use Rig::Milter;
use Rig::Redis;
use Test::More;

$SIG{ALRM} = sub { BAIL_OUT('an answer does not come') };
alarm 150;
my $redis = Rig::Redis->new;
my $daemon = Rig::Daemon->new(redis => $redis, settings => {milter => {clean => 'tag', unscanned => 'tag', suspicious => 'tag'}});

# Sends a mail over a connection that never said what it lets us do: no edit can be made.
sub refused {
    my ($subject) = @_;
    my $link = Rig::Milter->connect_to($daemon->{milter}, raw => 1);
    my @steps = (['H', "h\0"], ['M', "<a\@example.com>\0"], ['R', "<c\@example.org>\0"],
        map({ ['L', $_] } "From\0a\@example.com\0", "Subject\0$subject\0"), ['B', "hello\r\n"], ['E', q{}]);
    my $end;
    for my $step (@steps) { $link->command(@{$step}); ($end) = $link->answer }
    return $end;
}

sub stored {
    my ($subject) = @_;
    for my $id ($redis->command('ZREVRANGE', 'mw:messages', 0, -1)) {
        my $facts = $redis->hash("mw:message:$id");
        return $facts if ($facts->{subject} // q{}) eq $subject;
    }
    return;
}
sub decided { my ($facts) = @_; return join q{ }, map { $facts->{$_} // 'none' } qw(action decided_by corrected intended) }

my $link = Rig::Milter->connect_to($daemon->{milter});
$link->hello;
is($link->message(message(from => 'a@example.com', subject => 'taken'))->{end}, 'a', 'a server that takes our edits');
is(stored('taken')->{action}, 'tag', '... and what is stored of that mail');
$redis->command('DEL', 'mw:events');
is(refused('one'), 't', 'a mail whose edits are not taken is to come again');
is(decided(stored('one')), 'tempfail reply.refused 1 none', '... and that is what is stored');
my $id = (grep { ($redis->hash("mw:message:$_")->{subject} // q{}) eq 'one' } $redis->command('ZREVRANGE', 'mw:messages', 0, -1))[0];
my ($text) = run(q{}, $ENV{MAILWITNESS}, 'show', '--json', $id, '--config', $daemon->{config});
my $report = decode_json($text);
is("$report->{action} $report->{decided_by}", 'tempfail reply.refused', '... and shown');
is(scalar(grep { ($_ // q{}) eq $id } $redis->command('XRANGE', 'mw:events', '-', '+')), 1, '... with one event');

# Both records wait in the spool, and come to a Redis that has neither.
$redis->stop;
ok(wait_until(20, sub { refused('two') eq 't' }), 'the same while Redis is away');
$redis->start;
ok(wait_until(30, sub { my $facts = eval { stored('two') }; $facts && $facts->{corrected} }), '... comes to Redis');
is(decided(stored('two')), 'tempfail reply.refused 1 none', '... as what was done');

# Redis forgets, and is told again; whichever comes last.
$redis->command('FLUSHALL');
ok(wait_until(30, sub { my ($one, $two) = eval { (stored('one'), stored('two')) }; $one && $two && $one->{corrected} && $two->{corrected} }), 'a Redis that forgot is told both again');
is(decided(stored('one')), 'tempfail reply.refused 1 none', '... as what was done');
is(stored('taken')->{action}, 'tag', '... and other mail as before');
is($daemon->stop, 0, 'the daemon ends when told to');
done_testing();
