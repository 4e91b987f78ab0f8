#!/usr/bin/perl
# What a client of the milter socket may send, whoever it is: the daemon lives, and the mail of
# others is examined as ever.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(free_port slurp wait_until);
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

# --- the socket within ------------------------------------------------------------------------------
{
    my $inner = Rig::Milter->daemon(milter => { listen => ["inet:@{[free_port()]}\@127.0.0.1"] });
    my %own = map { readlink($_) =~ /^socket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/$inner->{pid}/fd/*";
    my @named = map { (split)[7] } grep { my @field = split; $own{ $field[6] } && ($field[7] // q{}) =~ /^@/ && hex($field[3]) & 0x10000 } split /\n/, slurp('/proc/net/unix');
    is("@named", q{}, 'beside a port there is no socket that any user of the machine could reach by its name');
    is_deeply([grep { -e } map { (split)[7] // () } grep { my @field = split; $own{ $field[6] } && ($field[7] // q{}) =~ m{^/.*/mailwitness-} } split /\n/, slurp('/proc/net/unix')], [], '... nor by a file');
    is($inner->stop, 0, '... and it ends in order');
}

is($daemon->stop, 0, 'it ends when told to');
done_testing();
