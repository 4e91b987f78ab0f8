# A redis-server of its own for a test, on a unix socket in a temporary folder; and what
# tests of the store ask of it. Servers are ended, by their process id, with the test.
package RedisServer;
use strict;
use warnings;
use Exporter qw(import);
use File::Temp qw(tempdir);
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep);

our @EXPORT = qw(feed missing spooled);
my %running;

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
        '--save', q{}, '--appendonly', 'no', @{$self->{options}});
    my $pid = fork // die $!;
    if (!$pid) {
        open STDOUT, '>>', "$self->{dir}/log" or die $!;
        open STDERR, '>&', \*STDOUT or die $!;
        exec @command or die $!;
    }
    $self->{pid} = $pid;
    $running{$pid} = 1;
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

# A configuration file that leads here, with a spool of its own; more lines may be given
# for both sections.
sub config {
    my ($self, $redis, $spool) = @_;
    my $path = "$self->{dir}/conf";
    open my $file, '>', $path or die $!;
    print {$file} "redis: { address = \"unix:$self->{socket}\"; command_time = \"1s\"; ", $redis // q{}, " };\n",
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
    my @digests = split /\n/, qx(redis-cli -s $self->{socket} < $self->{dir}/keys);
    return map { "$keys[$_] $digests[$_]" } 0 .. $#keys;
}

END {
    my $status = $?;
    kill 'CONT', keys %running;
    kill 'KILL', keys %running;
    waitpid $_, 0 for keys %running;
    $? = $status;
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

# Ids that Redis does not have.
sub missing {
    my ($redis, $kept) = @_;
    my %there = map { $_ => 1 } split /\n/, $redis->cli('zrange', 'mw:messages', 0, -1);
    return grep { !$there{$_} } keys %{$kept};
}

1;
