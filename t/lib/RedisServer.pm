# A redis-server of its own for a test, on a unix socket in a temporary folder; and what
# tests of the store ask of it. Servers are ended, by their process id, with the test.
package RedisServer;
use strict;
use warnings;
use Exporter qw(import);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::UNIX;
use Time::HiRes qw(sleep);

our @EXPORT = qw(acknowledged feed feed_while free_port missing start_process wrong_events);
our @EXPORT_OK = qw(run);
my %running;

# What `mailwitness` prints with these words, on both of its streams, and its exit status.
sub run {
    my (@words) = @_;
    my $pid = open my $out, '-|';
    if (!$pid) {
        open STDERR, '>&', \*STDOUT or die $!;
        exec $ENV{MAILWITNESS}, @words or die $!;
    }
    my $text = do { local $/; <$out> } // q{};
    close $out;
    return ($text, $? >> 8);
}

# Options are words for redis-server's command line.
sub new {
    my ($class, @options) = @_;
    my $self = bless {dir => tempdir('mwr-XXXXXX', TMPDIR => 1, CLEANUP => 1), options => \@options}, $class;
    $self->{socket} = "$self->{dir}/s";
    $self->start;
    return $self;
}

sub start {
    my ($self) = @_;
    my @command = ('redis-server', '--port', 0, '--unixsocket', $self->{socket}, '--dir', $self->{dir},
        '--save', q{}, '--appendonly', 'no', '--enable-debug-command', 'yes', @{$self->{options}});
    $self->{pid} = start_process("$self->{dir}/log", @command);
    for (1 .. 200) {
        return if -S $self->{socket} && $self->cli('ping') =~ /PONG|NOAUTH|LOADING|DENIED/;
        sleep 0.05;
    }
    die "redis-server does not start: see $self->{dir}/log";
}

# Ends it; with KILL as a crash would.
sub stop {
    my ($self, $signal) = @_;
    return if !$self->{pid};
    kill 'CONT', $self->{pid};
    kill $signal // 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $running{delete $self->{pid}};
    unlink $self->{socket};
    delete $self->{connection};
    return;
}

sub cli {
    my ($self, @words) = @_;
    open my $out, '-|', 'timeout', 20, 'redis-cli', '-s', $self->{socket}, @{$self->{login} // []}, @words or die $!;
    my $text = do { local $/; <$out> } // q{};
    close $out;
    chomp $text;
    return $text;
}

# One command by our own connection: a text, undef, or a list flattened.
sub ask {
    my ($self, @words) = @_;
    my $socket = $self->{connection} //= IO::Socket::UNIX->new(Peer => $self->{socket}) or die $!;
    print {$socket} '*', scalar @words, "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $socket->flush;
    return reply_from($socket);
}

sub reply_from {
    my ($socket) = @_;
    local $/ = "\r\n";
    my $line = <$socket> // die 'redis-server is gone';
    chomp $line;
    my ($kind, $rest) = $line =~ /^(.)(.*)/s;
    die "redis: $rest" if $kind eq q{-};
    return $rest if $kind =~ /[+:]/;
    return (undef) if $rest < 0;
    return map { reply_from($socket) } 1 .. $rest if $kind eq q{*};
    read $socket, my $value, $rest + 2;
    return substr $value, 0, $rest;
}

# A configuration file that leads here, with a spool of its own; more lines may be given
# for both sections.
sub config {
    my ($self, $redis, $spool) = @_;
    my $path = "$self->{dir}/conf";
    open my $file, '>', $path or die $!;
    print {$file} "redis: { address = \"unix:$self->{socket}\"; ", $redis // q{command_time = "1s";}, " };\n",
        "spool: { folder = \"$self->{dir}/spool\"; ", $spool // q{}, " };\n";
    close $file or die $!;
    return $path;
}

# All keys but the probe and what tells times of writing, with a digest of each.
sub dump {
    my ($self) = @_;
    my @keys = sort grep { !/:probe$/ } split /\n/, $self->cli('--scan');
    open my $file, '>', "$self->{dir}/keys" or die $!;
    print {$file} map { my $key = $_; $key =~ s/(["\\])/\\$1/g; "debug digest-value \"$key\"\n" } @keys;
    close $file or die $!;
    my @digests = grep { /\S/ } split /\n/, qx(redis-cli -s $self->{socket} < $self->{dir}/keys);
    die "not a digest for each key: @digests[0 .. 2]" if @digests != @keys || grep { !/^[0-9a-f]{40}$/ } @digests;
    return map { "$keys[$_] $digests[$_]" } 0 .. $#keys;
}

END {
    my $status = $?;
    kill 'CONT', keys %running;
    kill 'KILL', keys %running;
    waitpid $_, 0 for keys %running;
    $? = $status;
}

# A process that ends with the test; its output goes to a file.
sub start_process {
    my ($log, @command) = @_;
    my $pid = fork // die $!;
    if (!$pid) {
        open STDOUT, '>>', $log or die $!;
        open STDERR, '>&', \*STDOUT or die $!;
        exec @command or die $!;
    }
    $running{$pid} = 1;
    return $pid;
}

# A TCP port nobody uses right now.
sub free_port {
    my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
    return $socket->sockport;
}

# Saves made-up messages: id => where for those acknowledged, and what was said.
sub feed {
    my ($config, @arguments) = @_;
    my $said = "$config.said";
    open my $out, '-|', "exec $ENV{top_builddir}/store_feed $config @arguments 2>$said" or die $!;
    my %kept;
    while (my $line = <$out>) {
        my ($id, $where) = split q{ }, $line;
        $kept{$id} = $where if $where;
    }
    close $out;
    open my $in, '<', $said or die $!;
    my $text = do { local $/; <$in> };
    return (\%kept, $text);
}

# The same while something is done to Redis: id => where, what was said, and how many failed.
sub feed_while {
    my ($config, $arguments, $do) = @_;
    my $pid = fork // die $!;
    if (!$pid) {
        open STDOUT, '>', "$config.out" or die $!;
        open STDERR, '>', "$config.said" or die $!;
        exec "$ENV{top_builddir}/store_feed", $config, @{$arguments} or die $!;
    }
    $do->($pid);
    waitpid $pid, 0;
    my ($kept, $failed) = acknowledged("$config.out");
    open my $in, '<', "$config.said" or die $!;
    my $text = do { local $/; <$in> };
    return ($kept, $text, $failed);
}

# What a feed's output says: a line that was cut short is no acknowledgement.
sub acknowledged {
    my ($path) = @_;
    open my $in, '<', $path or die $!;
    my (%kept, $failed);
    $failed = 0;
    while (my $line = <$in>) {
        if ($line =~ /^([0-9a-f-]{36}) (\w+)\n/) { $kept{$1} = $2 }
        elsif ($line =~ /^failed/) { $failed++; Test::More::diag($line) }
    }
    return (\%kept, $failed);
}

# Ids that are events more than once, or not at all.
sub wrong_events {
    my ($redis, $kept) = @_;
    my @words = split /\n/, $redis->cli('xrange', 'mw:events', '-', '+');
    my %times;
    for my $i (0 .. $#words - 1) { $times{$words[$i + 1]}++ if $words[$i] eq 'id' }
    return grep { ($times{$_} // 0) != 1 } keys %{$kept};
}

# Ids that Redis does not have.
sub missing {
    my ($redis, $kept) = @_;
    my %there = map { $_ => 1 } split /\n/, $redis->cli('zrange', 'mw:messages', 0, -1);
    return grep { !$there{$_} } keys %{$kept};
}

1;
