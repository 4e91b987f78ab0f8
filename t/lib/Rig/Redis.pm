# Rig::Redis: a redis-server of our own on a unix socket.
package Rig::Redis;
use strict;
use warnings;
use IO::Socket::UNIX;
use Rig qw(folder spawn end_process wait_until slurp);

# Options: arguments (more of redis-server's).
sub new {
    my ($class, %options) = @_;
    my $dir = folder();
    my $self = bless { dir => $dir, socket => "$dir/redis", %options }, $class;
    $self->start;
    return $self;
}

# address as the configuration of mailwitness has it
sub address { my ($self) = @_; return "unix:$self->{socket}" }

# What it holds is written down at the end and read again at the start.
sub start {
    my ($self) = @_;
    $self->{pid} = spawn({ out => "$self->{dir}/log" }, 'redis-server', '--port', 0, '--unixsocket', $self->{socket},
        '--unixsocketperm', 777, '--dir', $self->{dir}, '--save', '3600 1', '--appendonly', 'yes',
        @{ $self->{arguments} || [] });
    wait_until(20, sub { my ($pong) = eval { $self->command('PING') }; return ($pong // q{}) eq 'PONG' })
        or die 'redis-server does not start: ', slurp("$self->{dir}/log");
    return;
}

sub stop {
    my ($self, $signal) = @_;
    delete $self->{connection};
    end_process($self->{pid}, $signal);
    return;
}

# Sends one command and gives back its answer: a text, undef, or a list flattened.
sub command {
    my ($self, @words) = @_;
    my $socket = $self->{connection} //= IO::Socket::UNIX->new(Peer => $self->{socket})
        or die "$self->{socket}: $!\n";
    print {$socket} '*', scalar @words, "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $socket->flush;
    return _answer($socket);
}

sub _answer {
    my ($socket) = @_;
    local $/ = "\r\n";
    my $line = <$socket> // die "redis-server is gone\n";
    chomp $line;
    my ($kind, $rest) = $line =~ /^(.)(.*)/s;
    die "redis: $rest\n" if $kind eq q{-};
    return $rest if $kind =~ /[+:]/;
    return (undef) if $rest < 0;
    return map { _answer($socket) } 1 .. $rest if $kind eq q{*};
    read $socket, my $value, $rest + 2;
    return substr $value, 0, $rest;
}

sub hash { my ($self, $key) = @_; return { $self->command('HGETALL', $key) } }

1;
