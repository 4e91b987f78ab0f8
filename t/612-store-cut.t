#!/usr/bin/perl
# Redis goes away in the middle of an answer, and stays away: the message under way is kept,
# and the daemon with it.
use strict;
use warnings;
use JSON::PP;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder spew spawn wait_until);
use Rig::Milter;
use Rig::Redis;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my ($dir, $redis) = (folder(), Rig::Redis->new);

# Stands between the two. When it is asked for large attachments, which begins with EXPIRE, it
# passes the first answer on and is gone, as a server is that was killed just then.
my $between = spew("$dir/between", <<'END');
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
my ($from, $to) = @ARGV;
my $listener = IO::Socket::UNIX->new(Local => $from, Listen => 5) or die "$from: $!";
my $all = IO::Select->new($listener);
my (%other, %is_client);
while (1) {
    for my $ready ($all->can_read) {
        if ($ready == $listener) {
            my ($client, $server) = (scalar $listener->accept, IO::Socket::UNIX->new(Peer => $to));
            $other{$client} = $server;
            $other{$server} = $client;
            $is_client{$client} = 1;
            $all->add($client, $server);
            next;
        }
        if (!sysread $ready, my $bytes, 65536) {
            $all->remove($ready, $other{$ready});
            next;
        }
        else {
            syswrite $other{$ready}, $bytes;
            next if !$is_client{$ready} || $bytes !~ /\A[*]3\r\n[\$]6\r\nEXPIRE\r\n/;
            sysread $other{$ready}, my $answer, 65536;
            unlink $from;
            syswrite $ready, $1 if $answer =~ /\A([^\r]*\r\n)/;
            exit;
        }
    }
}
END
my $proxy = spawn({}, 'perl', $between, "$dir/redis", $redis->{socket});
wait_until(10, sub { -S "$dir/redis" }) or die 'nothing listens';
my $daemon = Rig::Milter->daemon(redis => { address => "unix:$dir/redis" }, spool => { folder => "$dir/spool" });
my $small = "From: ana\@example.com\nSubject: x\n\nhello\n";
my $large = "From: ana\@example.com\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    . join(q{}, map { "--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename=$_.bin\n\n" . ("$_ is its content\n" x 4000) . "\n" } qw(one two)) . "--b--\n";

sub kept { return decode_json(scalar qx($mailwitness status --json --socket $daemon->{control}))->{store} }

my $link = $daemon->connection;
$link->hello;
is($link->message($small)->{end}, 'a', 'a message is kept in Redis');
is($link->message($large)->{end}, 'a', 'one that Redis goes away from, with one of two answers given, passes');
ok(wait_until(10, sub { !Rig::alive($proxy) }), '... Redis is gone indeed');
ok(Rig::alive($daemon->{pid}), '... the daemon lives');
is($link->message($small)->{end}, 'a', '... and goes on');
ok(wait_until(10, sub { $daemon->log_text =~ /takes no writes/ }), '... having told that Redis is away');
is($redis->command('XLEN', 'mw:events'), 1, 'one message is in Redis');
is(scalar(grep {/^mw:message:/} @{ [$redis->command('KEYS', 'mw:message:*')] }), 1, '... and no part of another');
my $status = eval { kept() };
is($status->{waiting}, 2, 'the two others wait in the spool') or diag(explain($status));
is($daemon->stop, 0, 'it ends in order');
done_testing();
