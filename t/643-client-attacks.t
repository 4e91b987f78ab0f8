#!/usr/bin/perl
# What a client of the milter socket may send, whoever it is: the daemon lives, and the mail of
# others is examined as ever.
use strict;
use warnings;
use IO::Select;
use File::Temp;
use JSON::PP;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(free_port slurp spew wait_until);
use Rig::Milter;
use Test::More;

$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { BAIL_OUT('an answer does not come') };
alarm 120;
my $port = free_port();
my $daemon = Rig::Milter->daemon();
my $message = "From: ana\@example.com\nSubject: x\n\nhello\n";

# A connection that sends frames ([letter, bytes]) as they are, without having negotiated.
sub raw {
    my ($daemon_asked, @frames) = @_;
    my $link = Rig::Milter->connect_to($daemon_asked->{socket}, raw => 1);
    $link->command(@{$_}) for @frames;
    return $link;
}

sub negotiated { my ($link) = @_; $link->command('O', pack 'N3', 6, Rig::Milter::ALL_ACTIONS, Rig::Milter::ALL_STEPS); $link->answer; return $link }

# Whether the daemon still does what it is for.
sub serves {
    my ($daemon_asked) = @_;
    return if !Rig::alive($daemon_asked->{pid});
    my $link = eval { $daemon_asked->connection } or return;
    $link->hello;
    return $link->message($message)->{end} eq 'a' && Rig::alive($daemon_asked->{pid});
}

# --- without negotiation ---------------------------------------------------------------
my %first = (
    C => "client.test\0004" . pack('n', 25) . "192.0.2.7\0", H => "h\0", M => "<a\@b.test>\0", R => "<c\@d.test>\0",
    T => q{}, L => "From\0a\@b.test\0", N => q{}, B => 'x', E => q{}, A => q{}, U => "NOOP\0", D => "Mi\0Q\0", K => q{}, Q => q{});
for my $letter (sort keys %first) {
    my $link = raw($daemon, [$letter, $first{$letter}]);
    close $link->{socket};
    ok(serves($daemon), "a connection that begins with $letter ends nothing but itself") or last;
}
my $link = raw($daemon);
is(join(q{ }, map { $link->command($_, $first{$_}); ($link->answer)[0] // 'none' } qw(H M R L B E)), 'c c c c c t',
    'who has not negotiated is answered at each step, and is to come again at the end, as nothing could be added to the mail');

$daemon->stop;
$daemon = Rig::Milter->daemon(milter => { listen => ["unix:$daemon->{dir}/milter", "inet:$port\@127.0.0.1"] }, folder => $daemon->{dir});

# --- frames that are none ----------------------------------------------------------------------
my %wrong = (
    'a macro without a value' => ['D', "Mi\0"],
    'macros of which the last has no value' => ['D', "Mi\0Q\0j\0"],
    'a macro without an end' => ['D', "Mi\0Q"],
    'macros for no command' => ['D', "\xffi\0Q\0"],
    'macros for nothing at all' => ['D', q{}],
    'a greeting without an end' => ['H', 'client'],
    'a greeting of two texts' => ['H', "client\0test\0"],
    'a sender without an end' => ['M', '<a@b.test>'],
    'a sender of nothing' => ['M', q{}],
    'a recipient without an end' => ['R', '<a@b.test>'],
    'a header field without a value' => ['L', "From\0"],
    'a header field without an end' => ['L', "From\0a\@b.test"],
    'a header field of three texts' => ['L', "From\0a\@b.test\0c\0"],
    'a header field without a name' => ['L', "\0a\@b.test\0"],
    'a client without an address' => ['C', "client.test\0"],
    'a client without an end' => ['C', 'client.test'],
    'a client with an address cut short' => ['C', "client.test\0004\0"],
    'a client with an address of another kind' => ['C', "client.test\0X\0\x00192.0.2.1\0"],
    'a negotiation of four bytes' => ['O', "\0\0\0\6"],
    'an unknown letter' => ['Z', q{}],
    'a letter that is no text' => ["\x01", 'x'],
    'a new connection within one (QUIT_NC), which libmilter would take for the old one' => ['K', q{}],
    'data behind the end of a message' => ['E', 'x'],
    'an empty piece of a body' => ['B', q{}],
);
for my $where ($daemon->{socket}, "127.0.0.1:$port") {
    my $kept = 0;
    for my $what (sort keys %wrong) {
        my $before = () = $daemon->log_text =~ /no frame of the protocol/g;
        $link = Rig::Milter->connect_to($where);
        $link->hello;
        $link->envelope;
        $link->command(@{ $wrong{$what} });
        $link->content($message);
        my $answer = $link->end->{end};
        my $told = wait_until(5, sub { my $now = () = $daemon->log_text =~ /no frame of the protocol/g; $now > $before });
        ok($answer eq q{} && $told, "$what ends the connection and is told ($where)") or $kept++;
    }
    for my $head ("\0\0\0\0M", "\0\1\0\1B", "\xff\xff\xff\xffB", "\x80\0\0\0B") {
        $link = Rig::Milter->connect_to($where);
        $link->{socket}->syswrite($head . 'x' x 100);
        is(($link->answer)[0], undef, 'so does a length of ' . unpack('H*', substr $head, 0, 4) . " ($where)");
    }
    ok(serves($daemon), '... and nothing else');
}
for my $cut (1 .. 9) {
    $link = $daemon->connection;
    $link->{socket}->syswrite(substr pack('N', 8) . "Habcdef\0", 0, $cut);
    close $link->{socket};
}
ok(serves($daemon), 'connections that end within a frame end nothing else');

# --- a great many recipients ------------------------------------------------------------------
{
    my $few = Rig::Milter->daemon(limits => { recipients => 100 }, failure => { limits => 'tag' });
    my $many = $few->connection;
    $many->hello;
    my $result = $many->message($message, to => [map {"r$_\@example.org"} 1 .. 5000]);
    like(join(q{ }, @{ Rig::Milter->added($result)->{'X-Mailwitness-Verdict'} || [] }), qr/unscanned.*limit/s, 'a message with more recipients than are kept is unscanned, and says so');
    ok($few->wait_log(qr/nrcpt=5000 .*verdict=unscanned .*failed=limits/), '... the log counts all of them');
    $many->quit;
    is($few->stop, 0, '... and the daemon ends in order');
}

# --- the socket within ------------------------------------------------------------------------------
{
    my $inner = Rig::Milter->daemon(milter => { listen => ["inet:@{[free_port()]}\@127.0.0.1"] });
    my %own = map { readlink($_) =~ /^socket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/$inner->{pid}/fd/*";
    my @named = map { (split)[7] } grep { my @field = split; $own{ $field[6] } && ($field[7] // q{}) =~ /^@/ && hex($field[3]) & 0x10000 } split /\n/, slurp('/proc/net/unix');
    is("@named", q{}, 'beside a port there is no socket that any user of the machine could reach by its name');
    is_deeply([grep { -e } map { (split)[7] // () } grep { my @field = split; $own{ $field[6] } && ($field[7] // q{}) =~ m{^/.*/mailwitness-} } split /\n/, slurp('/proc/net/unix')], [], '... nor by a file');
    is($inner->stop, 0, '... and it ends in order');
}

# --- connections, and nothing on them -------------------------------------------------------------
sub value_of { my ($file, $name) = @_; my ($value) = slurp("/proc/$file") =~ /^$name:\s+(\d+)/m; return $value }
sub descriptors { my @all = glob "/proc/$daemon->{pid}/fd/*"; return scalar @all }
{
    my $before = descriptors();
    my $crowd = sub { my ($count) = @_; return map { Rig::Milter->connect_to("127.0.0.1:$port", raw => 1) } 1 .. $count };
    for (1 .. 2) {
        my @idle = $crowd->(300);
        wait_until(20, sub { descriptors() >= $before + 600 });
        close $_->{socket} for @idle;
        wait_until(20, sub { descriptors() <= $before + 10 });
    }
    my $memory = value_of("$daemon->{pid}/status", 'VmRSS');
    my @idle = $crowd->(300);
    wait_until(20, sub { descriptors() >= $before + 600 });
    my $more = value_of("$daemon->{pid}/status", 'VmRSS') - $memory;
    cmp_ok($more, '<', 15_000, "300 idle connections cost little memory ($more KB), though there were others before");
    close $_->{socket} for @idle;
    ok(serves($daemon), '... and nobody else anything');
}

# --- no descriptor is left ------------------------------------------------------------------------
{
    wait_until(20, sub { descriptors() < 60 });
    my $limit = descriptors() + 10;
    system 'prlimit', "--pid=$daemon->{pid}", "--nofile=$limit:";
    my @held = map { Rig::Milter->connect_to($_, raw => 1) } ($daemon->{socket}) x 40, $daemon->{control};
    wait_until(20, sub { descriptors() >= $limit });
    my $ticks = sub { my @stat = split q{ }, slurp("/proc/$daemon->{pid}/stat") =~ s/^.*\)//rs; return $stat[11] + $stat[12] };
    my $before = $ticks->();
    sleep 3;
    my $used = $ticks->() - $before;
    cmp_ok($used, '<', 50, "a daemon without a descriptor left waits for one, and takes no processor meanwhile ($used ticks in 3 s)");
    close $_->{socket} for @held;
    system 'prlimit', "--pid=$daemon->{pid}", '--nofile=1024:';
    ok(wait_until(20, sub { serves($daemon) }), '... and goes on when there are some again');
}

# --- who does not read ----------------------------------------------------------------------------
# Answers fill the socket, then comes a message that takes longer than until the first word of
# progress: three of them, of different networks, for two workers and the one kept for others.
{
    my $folder = File::Temp->newdir;
    chmod 0755, "$folder";
    spew("$folder/slow", "#!/bin/sh\nsleep 12\n");
    chmod 0755, "$folder/slow";
    my $slow = Rig::Milter->daemon(workers => { count => 2, per_client => 1 }, milter => { queue_time => '5s' },
        more => "filter: { };\nexec: { slow: { command = \"$folder/slow\"; time = \"20s\"; }; };\n");
    my $deaf = sub { return Rig::Milter->connect_to($slow->{socket}, steps => 0) };
    my $unread = sub { my ($one) = @_; my $bytes = pack 'i', 0; ioctl $one->{socket}, 0x541b, $bytes; return unpack 'i', $bytes };
    my $probe = $deaf->();
    $probe->{socket}->blocking(0);
    for (1 .. 2000) { $probe->command('H', "h\0") or last }
    my ($last, $room) = (-1, 0);
    ($last, $room) = ($room, $unread->($probe) / 5) while sleep(1) && $last != $unread->($probe) / 5;
    close $probe->{socket};
    my @deaf = map { $deaf->() } 1 .. 3;
    my $rest = 8; # commands that are answered beside these
    for my $i (0 .. $#deaf) {
        my $one = $deaf[$i];
        $one->command('C', "h\0" . '4' . pack('n', 25) . "203.0.$i.1\0");
        $one->command('H', "h\0") for $rest .. $room - 1;
        $one->command(@{$_}) for ['H', "h\0"], ['M', "<a\@b.test>\0"], ['R', "<c\@d.test>\0"], ['L', "From\0 a\@b.test\0"],
            ['L', "Content-Type\0 application/pdf\0"], ['N', q{}], ['B', "%PDF $i"], ['E', q{}];
    }
    ok(wait_until(20, sub { my $now = decode_json(scalar qx($ENV{MAILWITNESS} status --json --socket $slow->{control})); $now->{workers}{busy} == 3 }),
        "three clients have workers, and read none of $room answers");
    sleep 13;
    alarm 120;
    my $link_beside = $slow->connection;
    $link_beside->hello(address => '198.51.100.1');
    $link_beside->message($message);
    ok($slow->wait_log(qr/client=198\.51\.100\.1 .*verdict=clean/), 'who does not read what it is told keeps no worker');
    my @ends = map { $_->result->{end} } @deaf;
    is("@ends", 'c c c', '... and is answered when it reads');
    $link_beside->quit;
    $slow->stop;
}

# --- anything at all ----------------------------------------------------------------------------
# Commands in any order, with and without negotiation, sound and unsound, on both sockets; MW_LONG=1
# for more of them. A connection waits for no answer: the daemon has them while the next come.
my %data = (
    O => [pack('N3', 6, 0x1ff, 0x1fffff), pack('N3', 2, 0, 0), pack('N3', 0xffffffff, 0x1ff, 0), 'x'],
    C => ["h\0" . '4' . "\0\x01192.0.2.1\0", "h\0" . '6' . "\0\x01IPv6:::1\0", "h\0U", "h\0L\0\0/x\0", "h\0" . '4', q{}],
    H => ["h\0", "\0", 'h', q{}], M => ["<a\@b>\0", "<>\0X=1\0\0", "\0", q{}], R => ["<a\@b>\0", "\0", q{}],
    L => ["From\0a\@b.c\0", "A\0\0", 'A', "\0\0", "From\0x\0extra\0"], B => ['x', 'y' x 20000, q{}],
    D => ["Mi\0Q\0", "C{client_ptr}\0x\0", "Ei\0\0", "Mi\0", 'M', q{}], U => ["NOOP\0", q{}], Z => [q{}, 'x'], map { $_ => [q{}] } qw(T N E A Q K));
my @letters = sort keys %data;
my $rounds = $ENV{MW_LONG} ? 30_000 : 1000;
my ($seed, @died) = ($ENV{MW_SEED} || 20261125);
for my $round ($seed .. $seed + $rounds - 1) {
    srand $round;
    my $one = eval { Rig::Milter->connect_to(rand() < 0.5 ? $daemon->{socket} : "127.0.0.1:$port", raw => 1) } or push @died, $round and last;
    $one->command('O', $data{O}[0]) if rand() < 0.6;
    for (1 .. 1 + int rand 14) {
        my $letter = $letters[rand @letters];
        my @choice = @{ $data{$letter} };
        $one->command($letter, $choice[rand() < 0.7 ? 0 : rand @choice]) or last;
    }
    $one->{socket}->sysread(my $answer, 4096) if rand() < 0.1 && IO::Select->new($one->{socket})->can_read(0.02);
    close $one->{socket};
    Rig::alive($daemon->{pid}) or push @died, $round and last;
    alarm 120;
}
is("@died", q{}, "$rounds random sequences of commands end nothing but themselves (MW_SEED=ROUND repeats one)");
ok(serves($daemon), '... and the mail of others is examined');
sub status { return decode_json(scalar qx($ENV{MAILWITNESS} status --json --socket $daemon->{control})) }
ok(wait_until(30, sub { my $now = status(); !$now->{connections} && !$now->{messages} && !$now->{held_bytes} }), '... and nothing is left of them');
is($daemon->stop, 0, 'it ends when told to');
done_testing();
