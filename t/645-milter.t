#!/usr/bin/perl
# mailwitnessd spoken to by the milter protocol: every byte arrives, nothing of one
# message is left in the next, nobody waits for another's scan.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use JSON::PP;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder slurp spew wait_until);
use Rig::Milter;
use Rig::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $redis = Rig::Redis->new;
my ($spool, $files) = (folder(), folder());
# A rule that takes its time over messages that ask for it.
spew("$files/slow.yar", 'rule slow { strings: $a = "slowly please" condition: $a and for all i in (0..2000000000) : (uint8(i % 10) != 256) }');
my $daemon = Rig::Milter->daemon(
    yara => { message_rules => "$files/slow.yar" },
    redis => { address => $redis->address }, spool => { folder => $spool },
    limits => { message_size => '4m', time => '1s' }, milter => { memory_max => '16m', clean => 'tag' },
);

sub ask { return decode_json(scalar qx($mailwitness $_[0] --json --socket $daemon->{control})) }

# What was stored of the message that a result is about.
sub report {
    my ($result) = @_;
    my $id = Rig::Milter->added($result)->{'X-Mailwitness-Id'}[0] or return {};
    my $bytes = $redis->command('HGET', "mw:message:$id", 'report') // '{}';
    return decode_json($bytes) if $bytes =~ /^[{]/;
    return decode_json(scalar qx(zstd -dc < @{[ spew("$files/report", $bytes) ]}));
}

# All processes below the daemon.
sub below {
    my ($pid) = @_;
    my @children = map { split ' ', slurp($_) } glob "/proc/$pid/task/*/children";
    return (@children, map { below($_) } @children);
}

# The workers: those without children of their own.
sub workers { return grep { my @under = below($_); !@under } below($daemon->{pid}) }

sub parent_of { return (slurp("/proc/$_[0]/status") =~ /^PPid:\s*(\d+)/m)[0] }

# --- what is asked for -----------------------------------------------------------------
my $link = $daemon->connection;
is($link->{steps} & 0x8f080, 0x8f080, 'no answer is wanted for connect, helo, mail, rcpt, header and body');
is($link->{steps} & 0x340, 0x340, 'DATA, end of header and unknown commands are not sent at all');
ok($link->{steps} & Rig::Milter::LEADSPC, 'blanks before header values come along');
is($link->{actions} & Rig::Milter::CHGBODY, 0, 'no right to change bodies is taken');
like($link->{macros}, qr/[{]auth_authen[}]/, 'macros are asked for by name');

# --- every byte ---------------------------------------------------------------------------
$link->hello(address => '192.0.2.9', helo => 'mail.client.test');
my $header = "From: Ana <ana\@example.com>\r\nSubject: bytes\r\n";
my %exact = (
    'a plain message' => "$header\r\nhello\r\n",
    'a folded header with blanks and tabs' => "From: a\@example.com\r\nX-Odd:no blank\r\nX-Two:  two\r\nX-Tab:\ttab \t\r\nX-Fold: one\r\n\ttwo\r\n  three \r\n\r\nbody\r\n",
    'a header alone' => "$header\r\n",
    'an empty header value' => "From: a\@example.com\r\nX-Empty:\r\nX-Blank: \r\n\r\nbody\r\n",
    '8-bit bytes in header and body' => "From: a\@example.com\r\nSubject: gr\xfc\xdfe \xe2\x82\xac\r\n\r\n\xff\xfe\x80\r\n",
    'a body of dots, NULs and bare CRs' => "$header\r\n.\r\n..\r\na\0b\rc\nd\r\n",
    'a body without a line end' => "$header\r\nno end",
    'a thousand header fields' => join(q{}, map {"X-Field-$_: value of $_\r\n"} 1 .. 1000) . "\r\nbody\r\n",
    'a long header field' => 'X-Long: ' . join("\r\n ", map { 'x' x 70 } 1 .. 800) . "\r\n\r\nbody\r\n",
    'a body of three megabytes' => "$header\r\n" . ("0123456789abcdef" x 4 . "\r\n") x 47000,
);
for my $what (sort keys %exact) {
    my $result = $link->message($exact{$what}, verbatim => 1);
    my $report = report($result);
    is("$result->{end} " . ($report->{sha256} // q{}), 'a ' . sha256_hex($exact{$what}), "$what is examined byte for byte")
        or diag(length $exact{$what}, ' bytes sent, ', $report->{size} // 'none', ' examined');
}

# --- frames, however they come ---------------------------------------------------------------
{
    my $body = join q{}, map {"line $_ of the body\r\n"} 1 .. 3000;
    my $whole = "${header}X-Long: " . 'y' x 15000 . "\r\n\r\n$body";
    my $frame = sub { my ($letter, $data) = @_; return pack('N', 1 + length $data) . $letter . $data };
    my $sent = $frame->('M', "<a\@example.com>\0") . $frame->('R', "<b\@example.org>\0")
        . join(q{}, map { my ($name, $value) = /^([^:]+):(.*)/s; $frame->('L', "$name\0$value\0") } split /\r\n/, $header . 'X-Long: ' . 'y' x 15000)
        . join(q{}, map { $frame->('B', $_) } $body =~ /\G(.{1,9000})/gs) . $frame->('D', "Ei\0ONE\0") . $frame->('E', q{});
    for my $size (1, 5, 4096, 16383, 16384, 16385, 2 * length $sent) {
        my $all = $sent x ($size == 1 ? 1 : 2);
        $link->{socket}->syswrite(substr $all, 0, $size, q{}) while length $all;
        my @hashes = map { report($link->result)->{sha256} // q{} } 1 .. ($size == 1 ? 1 : 2);
        is("@hashes", join(q{ }, map { sha256_hex($whole) } @hashes), "messages that come in pieces of $size bytes are read as they are");
    }
}

# --- facts, and no leaks -----------------------------------------------------------------
my $result = $link->message("$header\r\nx\r\n", from => 'first@example.com', to => ['one@example.org', 'two@example.org'],
    arguments => ['SIZE=1000', 'BODY=8BITMIME', 'SMTPUTF8'], macros => { '{auth_authen}' => 'ana', '{auth_type}' => 'PLAIN' }, queue_id => 'ABC1');
my $report = report($result);
is_deeply([@{$report}{qw(queue_id helo client)}, $report->{envelope}],
    ['ABC1', 'mail.client.test', { name => 'client.test', address => '192.0.2.9', port => 4711 },
        { from => 'first@example.com', from_arguments => ['SIZE=1000', 'BODY=8BITMIME', 'SMTPUTF8'], to => ['one@example.org', 'two@example.org'] }],
    'client, helo, queue id and envelope are told');
$link->envelope(from => 'aborted@example.com', to => ['gone@example.org']);
$link->content("$header\r\n" . 'y' x 100_000, verbatim => 1);
$link->command('A');
$report = report($link->message("$header\r\nz\r\n", from => q{}, to => ['three@example.org']));
is_deeply($report->{envelope}, { from => q{}, to => ['three@example.org'] }, 'nothing of a message that was reset is left in the next');
is($report->{size}, length "$header\r\nz\r\n", '... not a byte');
$link->command('A') for 1 .. 3;
is($link->message("$header\r\nz\r\n")->{end}, 'a', 'resets without a message do no harm');
$link->envelope(from => 'one@example.com');
$link->envelope(from => 'two@example.com');
$link->content("$header\r\n2\r\n", verbatim => 1);
is(report($link->end)->{envelope}{from}, 'two@example.com', 'a second MAIL begins anew');
my $vanished = $daemon->connection;
$vanished->hello;
$vanished->envelope;
$vanished->content("$header\r\n" . 'y' x 1_000_000, verbatim => 1);
ok(wait_until(10, sub { ask('status')->{held_bytes} > 900_000 }), 'what comes in is counted as it comes');
close $vanished->{socket};
ok(wait_until(10, sub { my $s = ask('status'); $s->{held_bytes} == 0 && $s->{messages} == 0 }), 'a client that vanishes in DATA leaves nothing behind');
cmp_ok(ask('stats')->{aborted}, '>=', 2, '... and is counted as aborted, as resets are');

# --- servers that can do less ------------------------------------------------------------------
my $old = $daemon->connection(steps => 0, actions => 0x3f);
is($old->hello, 'c', 'a server that knows nothing of missing answers is answered at each step');
is(report($old->message("$header\r\nold\r\n", verbatim => 1))->{sha256}, sha256_hex("$header\r\nold\r\n"), '... and its messages are whole too');
$old->quit;

# --- limits and failures ---------------------------------------------------------------------------
$result = $link->message("$header\r\n" . 'e' x 5_000_000, verbatim => 1, from => 'big@example.com');
$report = report($result);
is("$result->{end} $report->{verdict} $report->{size}", 'a unscanned ' . length("$header\r\n" . 'e' x 5_000_000), 'what is too large passes as unscanned, with its size');
like(Rig::Milter->added($result)->{'X-Mailwitness-Verdict'}[0], qr/unscanned.*too_large/, '... tagged as such');
is_deeply([$report->{from}[0]{address}, $report->{subject}, scalar @{ $report->{attachments} }], ['ana@example.com', 'bytes', 0], '... its header is known, nothing else was looked at');
is($link->message("$header\r\nsmall\r\n")->{end}, 'a', '... and the next message is none the worse');

my @hogs = map { my $c = $daemon->connection; $c->hello; $c->envelope; $c->content("$header\r\n" . 'h' x 3_900_000, verbatim => 1); $c } 1 .. 5;
$result = $_->end, push @{ $_->{ends} }, $result for @hogs;
my %ends;
$ends{ $_->{ends}[0]{end} eq 'y' ? 'tempfail' : 'taken' }++ for @hogs;
ok($ends{tempfail} && $ends{taken}, 'beyond the memory allowed mail is asked to come again, the rest is taken');
is(ask('stats')->{failures}{queue_full}, $ends{tempfail}, '... and the condition is counted');
like($daemon->log_text, qr/QUEUE1: .*milter[.]memory_max is reached/, '... and told in the log with the queue id');
$_->quit for @hogs;

# Sends a message that is scanned for a while.
sub send_slow {
    my ($queue_id) = @_;
    $link->envelope;
    $link->content("$header\r\nslowly please, $queue_id\r\n");    # one of its own, or it is known to take too long
    $link->macros('E', i => $queue_id);
    $link->command('E');
    wait_until(20, sub { ask('status')->{workers}{busy} }) or diag('no worker has the message');
    return;
}

my $deaths = ask('status')->{workers}{deaths};
send_slow('KILLED');
kill 'KILL', workers();
is($link->result->{end}, 'a', 'a message whose worker is killed is examined by another');
cmp_ok(ask('status')->{workers}{deaths}, '>', $deaths, '... and the death is counted');
send_slow('GENERATION');
kill 'KILL', parent_of((workers())[0]);
is($link->result->{end}, 'a', '... and so is one whose workers lost their parent');
# One more than workers.count, for other clients.
ok(wait_until(20, sub { workers() == 3 }), '... while others take their place');
send_slow('LATE');
kill 'STOP', workers();
$result = $link->result;
is($result->{end}, 'a', 'a message that takes too long is taken');
like(Rig::Milter->added($result)->{'X-Mailwitness-Verdict'}[0], qr/^unscanned \(timed_out\)/, '... and tagged with the reason');
like($daemon->log_text, qr/LATE: .*verdict=unscanned action=tag .*failed=timed_out/, '... which the log tells, too');

# --- nobody waits for another's scan ------------------------------------------------------------------
is($link->message("$header\r\nnext\r\n")->{end}, 'a', '... and the next message is scanned');
$daemon->stop;
my $rounds = $ENV{MW_LONG} ? 250 : 60;
$daemon = Rig::Milter->daemon(limits => { time => '60s' });
ok(wait_until(10, sub { workers() == 3 }), 'workers are there at the start');
my $generation = parent_of((workers())[0]);
kill 'STOP', $generation, workers();    # none is replaced
my @waiting = map { my $c = $daemon->connection; $c->hello; $c->envelope; $c->content("$header\r\n$_\r\n"); $c->macros('E', i => "W$_"); $c } 1 .. $rounds;
my $other = $daemon->connection(steps => 0);
$other->hello;
my $answered = 0;
for my $waiting (@waiting) {
    sleep 0.003;    # all threads of the library rest
    $waiting->command('E');
    $other->command('H', "helo\0");
    $answered++ if wait_until(20, sub { IO::Select->new($other->{socket})->can_read(0) }) && ($other->answer)[0] eq 'c';
}
is($answered, $rounds, 'while all scans hang, each command of others is answered');
my @late = map { my $c = $daemon->connection; $c->hello; $c } 1 .. $rounds;
is(scalar @late, $rounds, '... as many more connections are taken');
kill 'CONT', $generation, workers();
is(scalar(grep { $_->result->{end} eq 'a' } @waiting), $rounds, '... and every scan is answered when it is done');
$_->quit for @waiting, @late, $other;
ok(wait_until(20, sub { ask('status')->{connections} == 0 }), 'no connection is left over');
ok(wait_until(20, sub { my @threads = glob "/proc/$daemon->{pid}/task/*"; @threads < 20 }), '... nor are their threads');
my @open = glob "/proc/$daemon->{pid}/fd/*";
ok(@open < 40, '... nor descriptors') or diag(scalar @open, ' are open');

# --- the end -------------------------------------------------------------------------------------------
my @hung = workers();
kill 'STOP', @hung;
$daemon->stop('KILL');
ok(wait_until(10, sub { !grep { -e "/proc/$_" } @hung }), 'a daemon that is killed takes along workers that hang');
done_testing();
