#!/usr/bin/perl
# What cannot be scanned or stored meets the action that is configured for it, through postfix.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(wait_until);
use Rig::Daemon;
use Rig::Mail qw(message words);
use Rig::Postfix;
use Rig::Redis;
use Test::More;

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }
my $redis = Rig::Redis->new;
my $daemon = Rig::Daemon->new(redis => $redis, settings => {
    workers => { count => 1 },
    milter => { queue_time => '2s' },
    limits => { message_size => '100k' },
    failure => { queue_full => 'tempfail', too_large => 'tag' },
});
my $postfix = Rig::Postfix->new(milters => [$daemon->address]);
my $uuid = qr/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/;

my $large = message(text => words(200_000, 1));
my $answer = $postfix->send($large);
my $mail = $postfix->delivered($answer->{queue_id}) // q{};
like($mail, qr/^X-Mailwitness-Verdict: unscanned \(too_large\)$/m, 'a mail above the limit is delivered, called unscanned and why');
my ($id) = $mail =~ /^X-Mailwitness-Id: $uuid$/m;
ok(wait_until(10, sub { %{ $redis->hash("mw:message:$id") } }), '... and its facts are stored');

kill 'STOP', $daemon->generations, $daemon->workers; # none is replaced

$answer = $postfix->send(message());
is($answer->{code}, 451, 'a mail for which no worker is free in time is put off');
ok($daemon->wait_log(qr/failed=queue_full/), '... the log names the condition');
cmp_ok($daemon->metrics->{'mailwitness_failures_total{condition="queue_full"}'}, '>=', 1, '... metrics count it');
kill 'CONT', $daemon->generations;
ok(wait_until(30, sub { $postfix->send(message())->{code} == 250 }), '... and the next is taken when one is free again');

$redis->stop;
$answer = $postfix->send(message(subject => 'while away'));
is($answer->{code}, 250, 'without Redis mail is taken');
$id = $daemon->wait_log(qr/\b$answer->{queue_id}: id=$uuid/);
$redis->start;
ok(wait_until(60, sub { ($redis->command('HGET', "mw:message:$id", 'subject'))[0] }), '... and stored when Redis is back');

$daemon->stop;
$answer = $postfix->send(message());
is(int($answer->{code} / 100), 4, 'without a daemon postfix does what milter_default_action says');
$daemon->start;
ok(wait_until(30, sub { $postfix->send(message())->{code} == 250 }), '... and after its start all goes on');
done_testing();
