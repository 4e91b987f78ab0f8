#!/usr/bin/perl
# What a client of the milter socket may send, whoever it is: the daemon lives, and the mail of
# others is examined as ever.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(wait_until);
use Rig::Milter;
use Test::More;

$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { BAIL_OUT('an answer does not come') };
alarm 120;
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
$link = negotiated(raw($daemon));
$link->command('K');
$link->command('H', "h\0");
$link->command('M', "<a\@b.test>\0");
close $link->{socket};
ok(serves($daemon), 'a new connection within one (QUIT_NC) is a connection like others');

is($daemon->stop, 0, 'it ends when told to');
done_testing();
