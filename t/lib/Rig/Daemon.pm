# Rig::Daemon: a mailwitnessd of our own with a configuration made for the test.
package Rig::Daemon;
use strict;
use warnings;
use IO::Socket::INET;
use Rig qw(folder spawn alive end_process wait_until free_port slurp spew run);

# What this build can scan with: { yara => 1, clamav => 1 }.
sub engines {
    my ($version) = run(q{}, $ENV{MAILWITNESS}, '--version');
    return { yara => scalar $version =~ /YARA/, clamav => scalar $version =~ /ClamAV/ };
}

# Options: redis (a Rig::Redis), settings (a hash of sections, laid over the usual ones),
# prefix (a command in a list that runs the daemon in its own place), user (whom the daemon
# becomes: its folder is theirs).
# As it is here it acts, knows our rules and database, and remembers senders.
sub new {
    my ($class, %options) = @_;
    my $dir = folder();
    my $self = bless { dir => $dir, log => "$dir/log", config => "$dir/mailwitness.conf", milter => "$dir/milter",
        metrics_port => free_port(), %options }, $class;
    $self->configure(%{ $options{settings} || {} });
    chown +(getpwnam $options{user})[2, 3], $dir or die "$dir: $!" if $options{user};
    spew($self->{log}, q{});
    $self->start if !$options{stopped};
    return $self;
}

sub _usual {
    my ($self) = @_;
    my ($dir, $top, $engines) = ($self->{dir}, $ENV{top_srcdir}, engines());
    my %usual = (
        log => { target => 'stderr' },
        milter => { listen => "unix:$self->{milter}", socket_mode => '0666', control => "$dir/control", mode => 'act' },
        workers => { count => 2 },
        filter => { from => { source => 'from', file => "$dir/from.filter", capacity => 100_000 } },
        metrics => { listen => "127.0.0.1:$self->{metrics_port}" },
    );
    $usual{yara} = { rules => "$top/conf/rules/attachments", body_rules => "$top/conf/rules/bodies" } if $engines->{yara};
    $usual{clamav} = { database => "$top/t/fixtures/clamav", max_age => 0 } if $engines->{clamav};
    $usual{scan}{pe} = 'false' if !$engines->{yara};
    $usual{spool}{folder} = "$dir/spool";
    $usual{milter}{user} = $self->{user} if $self->{user};
    $usual{redis}{address} = $self->{redis}->address if $self->{redis};
    return \%usual;
}

# Writes the configuration; settings of before stay. A section set to undef goes.
sub configure {
    my ($self, %settings) = @_;
    my $all = $self->{sections} //= $self->_usual;
    for my $section (keys %settings) {
        if (!defined $settings{$section}) { delete $all->{$section} }
        elsif (ref $settings{$section} eq 'HASH') {
            $all->{$section} = { %{ $all->{$section} || {} }, %{ $settings{$section} } };
        }
        else { $all->{$section} = $settings{$section} }
    }
    spew($self->{config}, join q{}, map { "$_: " . _value($all->{$_}) . ";\n" } sort keys %{$all});
    return;
}

# In libconfig's syntax: groups, lists of groups, arrays, scalars.
sub _value {
    my ($value) = @_;
    return '{ ' . join(q{ }, map { "$_ = " . _value($value->{$_}) . q{;} } sort grep { defined $value->{$_} } keys %{$value}) . ' }'
        if ref $value eq 'HASH';
    if (ref $value eq 'ARRAY') {
        my $inner = join ', ', map { _value($_) } @{$value};
        return ref $value->[0] eq 'HASH' ? "( $inner )" : "[ $inner ]";
    }
    return $value if $value =~ /\A(?:\d+|true|false)\z/;
    $value =~ s/(["\\])/\\$1/g;
    return "\"$value\"";
}

sub program { return "$ENV{top_builddir}/mailwitnessd" }

sub start {
    my ($self) = @_;
    my $lines = () = slurp($self->{log}) =~ /\n/g;
    $self->{pid} = spawn({ out => $self->{log} }, @{ $self->{prefix} || [] }, program(), '-f', '-c', $self->{config});
    wait_until(60, sub {
        alive($self->{pid}) or return 1;
        return $self->answers;
    });
    alive($self->{pid}) && $self->answers or die 'mailwitnessd does not start: ', slurp($self->{log});
    return;
}

# Whether somebody listens on its socket.
sub answers {
    my ($self) = @_;
    require IO::Socket::UNIX;
    return defined IO::Socket::UNIX->new(Peer => $self->{milter});
}

sub stop {
    my ($self, $signal) = @_;
    return end_process($self->{pid}, $signal);
}

sub reload {
    my ($self) = @_;
    kill 'HUP', $self->{pid};
    return;
}

# What postfix is told.
sub address { my ($self) = @_; return "unix:$self->{milter}" }

sub log_text { my ($self) = @_; return slurp($self->{log}) }

# Waits for a line of its log; what the parentheses matched, or 1.
sub wait_log {
    my ($self, $pattern, $seconds) = @_;
    return wait_until($seconds || 20, sub {
        my ($match) = $self->log_text =~ $pattern or return;
        return $match // 1;
    });
}

# The daemon and all processes below it: [process id, how far below].
sub _tree { my ($self) = @_; return Rig::process_depths($self->{pid}) }

sub processes { my ($self) = @_; return map { $_->[0] } $self->_tree }

# Those that scan. Above them are the one that starts generations, and a generation's own.
sub workers { my ($self) = @_; return map { $_->[0] } grep { $_->[1] == 3 } $self->_tree }

# A generation's own processes, which keep workers.
sub generations { my ($self) = @_; return map { $_->[0] } grep { $_->[1] == 2 } $self->_tree }

# Metrics as { 'name{labels}' => value }.
sub metrics {
    my ($self) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{metrics_port}) or return {};
    print {$socket} "GET /metrics HTTP/1.0\r\n\r\n";
    local $/;
    my $text = <$socket> // q{};
    return { map { /^(\w\S*) (\S+)$/ ? ($1 => $2) : () } split /\r?\n/, $text };
}

# Open descriptors of the daemon itself: how many, or in a list what each of them is.
sub descriptors {
    my ($self) = @_;
    my @links = map { my $number = $_; map { "$number: $_" } grep { defined } readlink "/proc/$self->{pid}/fd/$number" }
        sort { $a <=> $b } map { m{/(\d+)$} } glob "/proc/$self->{pid}/fd/*";
    return @links;
}

# Resident memory of the daemon itself, in KiB.
sub memory {
    my ($self) = @_;
    my ($kib) = slurp("/proc/$self->{pid}/status") =~ /^VmRSS:\s+(\d+)/m;
    return $kib // 0;
}

1;
