# Scan: `mailwitness scan` over a message that a test makes up.
package Scan;
use strict;
use warnings;
use Exporter qw(import);
use File::Temp qw(tempdir);
use JSON::PP;

our @EXPORT_OK = qw(scratch write_file scan scan_with);

my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;

# A folder of the test's own.
sub scratch { return $dir }

# Writes a file in it and gives back its path.
sub write_file {
    my ($name, $text, $mode) = @_;
    open my $out, '>:raw', "$dir/$name" or die "$name: $!";
    print {$out} $text;
    close $out or die "$name: $!";
    chmod $mode, "$dir/$name" if $mode;
    return "$dir/$name";
}

# The report of one message (undef when what was printed is none), the exit status, and
# what was said on standard error.
sub scan {
    my ($message, @options) = @_;
    my $mail = write_file('mail.eml', $message);
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        open STDERR, '>', "$dir/errors" or die $!;
        exec $ENV{MAILWITNESS}, 'scan', '--jsonl', @options, $mail or die $!;
    }
    my $text = do { local $/; <$out> } // q{};
    close $out;
    my $status = $? >> 8;
    open my $in, '<', "$dir/errors" or die $!;
    my $errors = do { local $/; <$in> } // q{};
    return (scalar(eval { decode_json($text) }), $status, $errors);
}

# The same under a configuration, given as text.
sub scan_with {
    my ($config, $message, @options) = @_;
    return scan($message, '--config', write_file('test.conf', $config), '--jobs', 1, @options);
}

1;
