# Rig: what the tests with real servers share: a private folder, processes that end
# with the test whatever happens to it, and waiting without guessing.
package Rig;
use strict;
use warnings;
use Exporter qw(import);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(preloadable folder spawn alive end_process process_tree wait_until free_port slurp spew run);

my %running;    # process id => [name, signal that ends it]
my @folders;
our $owner = $$;    # the process whose end ends all the others

# Ends by signals still run END, so that nothing stays behind.
$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);

# A fresh folder, in memory where there is room, removed at the end. Its name is short:
# paths of unix sockets may have 107 bytes.
sub folder {
    my $parent = -d '/dev/shm' && -w _ ? '/dev/shm' : '/tmp';
    my $folder = tempdir('mw.XXXXXX', DIR => $ENV{MW_RIG_FOLDER} || $parent);
    chmod 0755, $folder;
    push @folders, $folder;
    return $folder;
}

# Starts a program; options: out (file for its output, both streams), signal (that ends
# it, TERM without), environment (hash), user. The kernel ends it should we be killed.
sub spawn {
    my ($options, @command) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
        my $out = $options->{out} || '/dev/null';
        open STDIN, '<', '/dev/null' or POSIX::_exit(126);
        open STDOUT, '>>', $out or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
        %ENV = (%ENV, %{ $options->{environment} || {} });
        exec 'setpriv', '--pdeathsig', $options->{signal} || 'TERM', '--', @command
            or POSIX::_exit(127);
    }
    $running{$pid} = [$command[0], $options->{signal} || 'TERM'];
    return $pid;
}

# Whether a process of ours still runs; reaps it when not.
sub alive {
    my ($pid) = @_;
    return 0 if !$running{$pid};
    return 1 if waitpid($pid, WNOHANG) == 0;
    delete $running{$pid};
    return 0;
}

# Ends one process and waits for it: its own signal, then KILL after 20 seconds.
# Returns its wait status, undef when it had ended already.
sub end_process {
    my ($pid, $signal) = @_;
    my $entry = delete $running{$pid} or return;
    kill $signal || $entry->[1], $pid;
    my $late = time + 20;
    while (waitpid($pid, WNOHANG) == 0) {
        if (time > $late) {
            warn "$entry->[0] ($pid) does not end, killed\n";
            kill 'KILL', $pid;
            waitpid $pid, 0;
        }
        sleep 0.01;
    }
    return $?;
}

# Builds t/lib/NAME.c to be preloaded into a program; its path, or undef where there is no
# compiler, or the program has a sanitizer, which must be loaded first.
sub preloadable {
    my ($name, $program) = @_;
    my $built = folder() . "/$name.so";
    my ($libraries) = run(q{}, 'ldd', $program);
    return if $libraries =~ /lib[a-z]+san[.]/;
    my (undef, $status) = run(q{}, qw(cc -shared -fPIC -O1 -o), $built, "$ENV{top_srcdir}/t/lib/$name.c", '-ldl');
    return $status == 0 ? $built : undef;
}

# A process and all below it, as [process id, how far below] in a list, or only the ids.
sub process_depths {
    my ($root) = @_;
    my %below;
    for my $stat (glob '/proc/[0-9]*/stat') {
        my ($pid, $up) = slurp($stat) =~ /^(\d+) \(.*\) \S (\d+)/s or next;
        push @{ $below{$up} }, $pid;
    }
    my @tree = ([$root, 0]);
    for (my $i = 0; $i < @tree; $i++) {
        my ($pid, $depth) = @{ $tree[$i] };
        push @tree, map { [$_, $depth + 1] } @{ $below{$pid} || [] };
    }
    return @tree;
}

sub process_tree { return map { $_->[0] } process_depths(@_) }

# Waits until the condition holds; false after so many seconds.
sub wait_until {
    my ($seconds, $condition) = @_;
    my $late = time + $seconds;
    my $value;
    until ($value = $condition->()) {
        return if time > $late;
        sleep 0.02;
    }
    return $value;
}

sub free_port {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no port is free: $!";
    return $socket->sockport;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or return q{};
    local $/;
    return <$in> // q{};
}

sub spew {
    my ($file, $text) = @_;
    open my $out, '>:raw', $file or die "$file: $!";
    print {$out} $text;
    close $out or die "$file: $!";
    return $file;
}

# Output (both streams) and exit status of a command.
sub run {
    my ($input, @command) = @_;
    my $file = File::Temp->new;
    print {$file} $input // q{};
    close $file;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
        open STDIN, '<', $file->filename or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
        exec @command or POSIX::_exit(127);
    }
    local $/;
    my $text = <$out> // q{};
    close $out;
    return ($text, $? >> 8);
}

END {
    if ($$ == $owner) {
        my $status = $?;
        end_process($_) for sort { $b <=> $a } keys %running;
        remove_tree(@folders) if !$ENV{MW_RIG_KEEP};
        $? = $status;
    }
}

1;
