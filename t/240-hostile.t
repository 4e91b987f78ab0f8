#!/usr/bin/perl
# Hostile input: always a report or a clear line of error, never a crash or hang.
# MW_SEED repeats a run of mutations, MW_MUTANTS makes it longer.
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $fixtures = "$ENV{top_srcdir}/t/fixtures/messages";
my $dir = tempdir(CLEANUP => 1);

sub slurp {
    my ($name) = @_;
    open my $in, '<:raw', $name or die "$name: $!";
    local $/;
    return scalar <$in> // q{};
}

sub write_file {
    my ($name, $text) = @_;
    open my $out, '>:raw', $name or die "$name: $!";
    print {$out} $text;
    close $out or die $!;
    return $name;
}

# The reports of a folder or file; what went wrong with the run is diagnosed.
sub scan {
    my ($path, @options) = @_;
    my $pid = open my $out, '-|';
    if (!$pid) {
        open STDERR, '>', "$dir.errors" or die $!;
        alarm 300;    # a guard against hanging for ever, no measure
        exec $mailwitness, 'scan', '--jsonl', @options, $path or die $!;
    }
    my @lines = <$out>;
    close $out;
    my $signal = $? & 127;
    my $status = $? >> 8;
    my @reports = map { eval { decode_json($_) } || () } @lines;
    # A worker that died of a message is no answer here.
    my @dead = map { $_->{detail} } grep { $_->{name} =~ /^worker[.]/ } map { @{ $_->{errors} } } @reports;
    my $sound = !$signal && $status <= 3 && @reports && @reports == @lines && !@dead;
    diag("signal $signal, status $status: ", slurp("$dir.errors")) if !$sound;
    return ($sound, @reports);
}

sub names { my ($report) = @_; return map { $_->{name} } @{ $report->{errors} } }

{
    my $whole = slurp("$fixtures/winmail-beside-text.eml") . slurp("$fixtures/message-attached-base64.eml");
    my $cut = "$dir/cut";
    mkdir $cut;
    my $count = 0;
    for (my $size = 0; $size < length $whole; $size += 37) {
        write_file(sprintf('%s/%05d.eml', $cut, $size), substr $whole, 0, $size);
        $count++;
    }
    my ($sound, @reports) = scan($cut);
    ok($sound && @reports == $count, "each of $count messages cut short gets a report");
}
{
    my $seed = $ENV{MW_SEED} // 1;
    my $mutants = $ENV{MW_MUTANTS} || 500;
    srand $seed;
    my @sources = map { slurp($_) } sort glob "$fixtures/*.eml";
    my @tokens = ("\n", "\r\n", "\0", '--', '=?', '?=', '=', '"', ';', "\n\n", 'boundary=', "\xff",
        'Content-Type: ', 'multipart/mixed', 'message/rfc822', '(' x 50, '<' x 50, 'begin 644 a' . "\n");
    my $folder = "$dir/mutants";
    mkdir $folder;
    for my $i (1 .. $mutants) {
        my $text = $sources[int rand @sources];
        for (1 .. 1 + int rand 8) {
            my ($at, $size) = (int rand(1 + length $text), int rand 40);
            $size = length($text) - $at if $at + $size > length $text;
            substr $text, $at, $size, rand() < 0.5 ? $tokens[int rand @tokens]
                : rand() < 0.5 ? chr int rand 256
                : substr $text, int rand(1 + length $text), 60;
        }
        write_file("$folder/" . sprintf('%05d.eml', $i), $text);
    }
    my ($sound, @reports) = scan($folder);
    ok($sound && @reports >= $mutants, "each of $mutants mutated messages gets a report (seed $seed)");
}

my $from = "From: a\@example.com\n";
my $deep = "Content-Type: text/plain\n\nbottom\n";
$deep = "Content-Type: multipart/mixed; boundary=b$_\n\n--b$_\n$deep\n--b$_--\n" for 1 .. 1000;
my $nested = "Subject: bottom\n\nx\n";
$nested = "Content-Type: message/rfc822\n\n$nested" for 1 .. 1000;
for my $case (
    ['100,000 header fields', $from . join(q{}, map { "X-$_: $_\n" } 1 .. 100_000) . "\nx\n", 'limit.header_count'],
    ['a header of one megabyte', $from . 'X: ' . 'y' x (1 << 20) . "\n\nx\n", 'limit.header_length'],
    ['a megabyte of encoded word openings', $from . 'Subject: ' . '=?a?q?' x 180_000 . "\n\nx\n", 'limit.header_length'],
    ['10,000 parts', "${from}Content-Type: multipart/mixed; boundary=b\n\n" . "--b\n\nx\n" x 10_000 . "--b--\n", 'limit.parts'],
    ['1,000 nested multiparts', $from . $deep, 'limit.depth'],
    ['1,000 nested messages', $from . $nested, 'limit.depth'],
    ['100,000 recipients', $from . 'To: ' . join(', ', map { "u$_\@example.com" } 1 .. 100_000) . "\n\nx\n", undef],
    ['groups of addresses in groups', 'From: ' . 'g:' x 30_000 . "a\@example.com;\n\nx\n", 'limit.address_count'],
    ['groups of addresses in a long field', 'From: ' . 'g:' x 200_000 . "a\@example.com;\n\nx\n", 'limit.header_length'],
    ['10,000 fields of addresses', $from . "To: a\@example.com\n" x 10_000 . "\nx\n", 'limit.address_count'],
    ['a million empty parts', "${from}Content-Type: multipart/mixed; boundary=b\n\n" . "--b\n\n" x 1_000_000, 'limit.parts'],
    ['10,000 parameters', "${from}Content-Type: application/pdf" . '; p=v' x 10_000 . "\n\nx\n", 'limit.content_field'],
    ['10,000 open quotes', $from . 'To: ' . '"<(' x 10_000 . "\n\nx\n", undef],
    ['a message of one line', 'x' x (4 << 20), undef],
    ['nothing but line ends', "\n" x (1 << 20), undef],
    ['nothing but NULs', "\0" x (1 << 20), undef],
    ['nothing but dashes', "--\n" x (1 << 19), undef],
    ['a uuencoded file that never ends', "$from\nbegin 644 x\n" . ('M' . 'x' x 60 . "\n") x 20_000, undef],
) {
    my ($promise, $message, $wanted) = @{$case};
    my ($sound, @reports) = scan(write_file("$dir/case.eml", $message));
    my $named = !$wanted || grep { $_ eq $wanted } map { names($_) } @reports;
    ok($sound && @reports == 1 && $named, "$promise: a report" . ($wanted ? " that names $wanted" : q{}))
        or diag(join q{ }, map { names($_) } @reports);
}
{
    my $data = encode_base64("\0" x (3 << 20));
    my $message = "${from}Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n$data";
    my ($sound, @reports) = scan(write_file("$dir/big.eml", $message), '--limit', 'unpacked_size=1m');
    ok($sound && (grep { $_ eq 'limit.unpacked_size' } names($reports[0])),
        'bytes beyond the bound on unpacking are not decoded, and that is said');
}
{
    my @inputs = sort glob "$ENV{top_srcdir}/t/fuzz/regress/message-*";
    for my $input (@inputs) {
        my ($name) = $input =~ m{([^/]+)$};
        my ($sound, @reports) = scan($input);
        ok($sound && @reports == 1, "an input that fuzzing found does no harm any more: $name");
    }
}
done_testing();
