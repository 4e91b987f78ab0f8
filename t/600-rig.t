#!/usr/bin/perl
# The rig on which the tests through a mail server stand: postfix, a milter, redis.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder spawn wait_until);
use Rig::Postfix;
use Rig::Redis;
use Test::More;

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }

my $dir = folder();
spawn({ out => "$dir/log", signal => 'KILL' }, "$ENV{top_builddir}/accept_all", "unix:$dir/milter");
wait_until(10, sub { -S "$dir/milter" }) or BAIL_OUT('accept_all does not start');
chmod 0777, "$dir/milter";
my $postfix = Rig::Postfix->new(milters => ["unix:$dir/milter"]);

my $message = "Subject: rig\n\nfirst line\n.dot\n..dots\n";
my $answer = $postfix->send($message);
is($answer->{code}, 250, 'a mail is taken through a milter') or diag($answer->{text}, $postfix->log_text);
my $delivered = $postfix->delivered($answer->{queue_id});
like($delivered, qr/^Subject: rig\n(?:\w.*\n)*\nfirst line\n[.]dot\n[.][.]dots\n\z/m, '... and delivered as it was sent');
ok($postfix->wait_log(qr/\b$answer->{queue_id}: .*status=sent/), 'its way stands in the log');
my @copies = $postfix->deliveries($postfix->send($message, to => [map { "r$_\@example.org" } 1 .. 5])->{queue_id}, 5);
is(scalar @copies, 5, 'each recipient gets a copy');

my $redis = Rig::Redis->new;
$redis->command(qw(HSET key field value other), "two\r\nlines");
is_deeply($redis->hash('key'), { field => 'value', other => "two\r\nlines" }, 'redis keeps what it is told');
$redis->stop('KILL');
$redis->start;
is($redis->command(qw(HGET key field)), 'value', '... also over its death');
done_testing();
