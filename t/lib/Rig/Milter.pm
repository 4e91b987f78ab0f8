# Rig::Milter: a mail server's side of the milter protocol (version 6), byte by byte,
# and a mailwitnessd to speak it with.
package Rig::Milter;
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Rig qw(folder spawn end_process wait_until slurp spew);

use constant {
    ADDHDRS => 0x1, CHGBODY => 0x2, ADDRCPT => 0x4, DELRCPT => 0x8, CHGHDRS => 0x10,
    QUARANTINE => 0x20, SETSYMLIST => 0x100,
    LEADSPC => 0x100000,
    ALL_ACTIONS => 0x1ff, ALL_STEPS => 0x1fffff,
    NO_REPLIES => 0xff080 | 0x80,
};

# Starts mailwitnessd in a fresh folder. Options: milter, limits, ... (a hash each: more
# options of that section), more (text added to the configuration), environment, folder.
# Returns { dir, pid, conf, socket, log }.
sub daemon {
    my ($class, %options) = @_;
    my $dir = $options{folder} || folder();
    my $self = bless { dir => $dir, conf => "$dir/conf", log => "$dir/log", socket => "$dir/milter",
        control => "$dir/control" }, $class;
    $self->configure(%options);
    $self->start(%options);
    return $self;
}

sub configure {
    my ($self, %options) = @_;
    my %sections = (
        log => { level => 'debug' },
        milter => { listen => "unix:$self->{socket}", socket_mode => '0666', control => $self->{control}, mode => 'act' },
        workers => { count => 2 },
    );
    for my $section (grep { ref $options{$_} eq 'HASH' && $_ ne 'environment' } keys %options) {
        $sections{$section} = { %{ $sections{$section} || {} }, %{ $options{$section} } };
    }
    my $text = q{};
    for my $section (sort keys %sections) {
        my %values = %{ $sections{$section} };
        my $lines = join q{ }, map {
            my $value = $values{$_};
            $value = ref $value ? '[' . join(', ', map {"\"$_\""} @{$value}) . ']'
                : $value =~ /^(?:\d+|true|false)$/ && $_ ne 'socket_mode' ? $value : "\"$value\"";
            "$_ = $value;"
        } sort keys %values;
        $text .= "$section: { $lines };\n";
    }
    $text .= $options{more} // "filter: { };\n";
    spew($self->{conf}, $text);
    return;
}

sub start {
    my ($self, %options) = @_;
    my $before = length slurp($self->{log});
    $self->{pid} = spawn({ out => $self->{log}, environment => $options{environment} || {} },
        @{ $options{wrapper} || [] }, "$ENV{top_builddir}/mailwitnessd", '-c', $self->{conf});
    wait_until(60, sub { !Rig::alive($self->{pid}) || substr(slurp($self->{log}), $before) =~ /ready on/ });
    return if $options{may_fail};
    Rig::alive($self->{pid}) or die 'mailwitnessd does not start: ', slurp($self->{log});
    return;
}

sub stop { my ($self, $signal) = @_; return end_process($self->{pid}, $signal) }
sub log_text { return slurp($_[0]{log}) }

sub wait_log {
    my ($self, $pattern, $seconds) = @_;
    return wait_until($seconds || 20, sub { $self->log_text =~ $pattern });
}

# --- a connection -----------------------------------------------------------------

# Connects and negotiates. Options: socket (unix path or HOST:PORT), actions, steps (what
# we offer), raw (no negotiation).
sub connect_to {
    my ($class, $address, %options) = @_;
    my $socket = $address =~ m{^/} ? IO::Socket::UNIX->new(Peer => $address)
        : IO::Socket::INET->new(PeerAddr => $address);
    $socket or die "no connection to $address: $!";
    my $self = bless { socket => $socket, steps => 0, buffer => q{} }, "${class}::Connection";
    return $self if $options{raw};
    $self->command('O', pack 'N3', 6, $options{actions} // ALL_ACTIONS, $options{steps} // ALL_STEPS);
    my ($letter, $data) = $self->answer;
    ($self->{version}, $self->{actions}, $self->{steps}) = unpack 'N3', $data;
    $self->{macros} = substr $data, 12;
    return $self;
}

sub connection { my ($self, %options) = @_; return Rig::Milter->connect_to($self->{socket}, %options) }

package Rig::Milter::Connection;

# Whether the milter wanted no answer to a command (letter), or not to see it.
my %no_answer = (C => 0x1000, H => 0x2000, M => 0x4000, R => 0x8000, T => 0x10000, U => 0x20000,
    N => 0x40000, B => 0x80000, L => 0x80);
my %unwanted = (C => 0x1, H => 0x2, M => 0x4, R => 0x8, B => 0x10, L => 0x20, N => 0x40, U => 0x100, T => 0x200);

sub command {
    my ($self, $letter, $data) = @_;
    $data //= q{};
    my $packet = pack('N', 1 + length $data) . $letter . $data;
    my $sent = 0;
    while ($sent < length $packet) {
        my $n = syswrite($self->{socket}, $packet, length($packet) - $sent, $sent) // return 0;
        $sent += $n;
    }
    return 1;
}

# The next packet: letter and data; nothing when the connection has ended. Answers that
# only say "still at it" are counted.
sub answer {
    my ($self) = @_;
    while (1) {
        if (length $self->{buffer} >= 4) {
            my $size = unpack 'N', $self->{buffer};
            if (length $self->{buffer} >= 4 + $size) {
                my $packet = substr $self->{buffer}, 4, $size;
                substr $self->{buffer}, 0, 4 + $size, q{};
                my $letter = substr $packet, 0, 1;
                if ($letter eq 'p') { $self->{progress}++; next }
                return ($letter, substr $packet, 1);
            }
        }
        sysread($self->{socket}, $self->{buffer}, 65536, length $self->{buffer}) or return;
    }
}

# A command, and its answer where one is due ("c" where none is).
sub step {
    my ($self, $letter, $data) = @_;
    return 'c' if ($unwanted{$letter} || 0) & $self->{steps};
    $self->command($letter, $data) or return q{};
    return 'c' if ($no_answer{$letter} || 0) & $self->{steps};
    return ($self->answer)[0] // q{};
}

sub macros { my ($self, $for, %macros) = @_; return $self->command('D', $for . join q{}, map {"$_\0"} %macros) }

sub hello {
    my ($self, %options) = @_;
    $self->macros('C', j => 'mx.test', '{daemon_name}' => 'smtpd');
    $self->step('C', ($options{name} // 'client.test') . "\0" . '4' . pack('n', 4711) . ($options{address} // '192.0.2.7') . "\0");
    return $self->step('H', ($options{helo} // 'client.test') . "\0");
}

sub envelope {
    my ($self, %options) = @_;
    $self->macros('M', %{ $options{macros} || {} });
    $self->step('M', join q{}, map {"$_\0"} '<' . ($options{from} // 'ana@example.com') . '>', @{ $options{arguments} || [] });
    $self->step('R', "<$_>\0") for @{ $options{to} || ['bob@example.org'] };
    return $self->step('T');
}

# All of a message up to its end, without waiting for the answer at the end. Text has CRLF
# line ends or LF ones; the header ends with the first empty line.
sub content {
    my ($self, $text, %options) = @_;
    $text =~ s/\r?\n/\r\n/g if !$options{verbatim};
    my ($header, $body) = $text =~ /\A(.*?\r\n)\r\n(.*)\z/s ? ($1, $2) : ($text, q{});
    while ($header =~ /\G([^:\r\n]+):((?:[^\r\n]|\r\n[ \t])*)\r\n/gc) {
        my ($name, $value) = ($1, $2);
        $value =~ s/\r\n/\n/g;
        $value =~ s/^ // if !($self->{steps} & Rig::Milter::LEADSPC);
        $self->step('L', "$name\0$value\0");
    }
    $self->step('N');
    $self->step('B', $1) while $body =~ /\G(.{1,65000})/gs;
    return;
}

# The answer to the end of a message: { end => letter, text, edits => [[letter, data]] }.
sub end {
    my ($self, %options) = @_;
    $self->macros('E', i => $options{queue_id} // 'QUEUE1');
    $self->command('E');
    return $self->result;
}

sub result {
    my ($self) = @_;
    my @edits;
    while (my ($letter, $data) = $self->answer) {
        return { end => $letter, text => $data, edits => \@edits } if $letter =~ /^[acdrty]$/;
        push @edits, [$letter, $data];
    }
    return { end => q{}, edits => \@edits };
}

# A whole message.
sub message {
    my ($self, $text, %options) = @_;
    $self->envelope(%options);
    $self->content($text, %options);
    return $self->end(%options);
}

sub quit { my ($self) = @_; $self->command('Q'); return close $self->{socket} }

# Values of the headers that a result adds, by name.
sub Rig::Milter::added {
    my ($class, $result) = @_;
    my %headers;
    for my $edit (@{ $result->{edits} }) {
        my ($letter, $data) = @{$edit};
        next if $letter !~ /^[hi]$/;
        $data = substr $data, 4 if $letter eq 'i';
        my ($name, $value) = split /\0/, $data;
        $value =~ s/^ //;
        push @{ $headers{$name} }, $value;
    }
    return \%headers;
}

1;
