#!/usr/bin/perl
# What one message may cost is bounded as a whole, and what reached a bound is never clean.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Compress::Gzip qw(gzip);
use IO::Compress::Zip qw(zip);
use List::Util qw(sum0);
use MIME::Base64 qw(encode_base64);
use Scan qw(scan scan_with write_file);
use Test::More;

$ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $top = $ENV{top_srcdir};
my $from = "From: a\@example.com\nSubject: s\n";

# A mail with files: name, bytes.
sub message {
    my (@files) = @_;
    return "${from}Content-Type: multipart/mixed; boundary=b\n\n" . join(q{}, map {
        "--b\nContent-Type: application/octet-stream; name=\"$_->[0]\"\n"
            . "Content-Transfer-Encoding: base64\n\n" . encode_base64($_->[1])
    } @files) . "--b--\n";
}

# A zip of files, as before.
sub zipped {
    my (@files) = @_;
    my $out = q{};
    my $zip = IO::Compress::Zip->new(\$out, Name => $files[0][0]);
    for my $i (0 .. $#files) {
        $zip->newStream(Name => $files[$i][0]) if $i > 0;
        $zip->print($files[$i][1]);
    }
    $zip->close;
    return $out;
}

sub problem {
    my ($report, $name) = @_;
    return scalar grep { $_->{name} eq $name } @{ $report->{errors} };
}
sub bytes_of { my ($report) = @_; return sum0(map { $_->{size} } @{ $report->{attachments} }) }

# --- zips in zips ---------------------------------------------------------------------------
my $clamav = "clamav: { database = \"$top/t/fixtures/clamav\"; max_age = 100000; };\n";
my $with_clamav = scan_with($clamav, message(['a', 'x'])) ? $clamav : q{};
{
    my $bomb = 'x' x 4_000_000;
    $bomb = zipped(map { ["$_.zip", $bomb] } 1 .. 8) for 1 .. 3;
    my $mail = message(['bomb.zip', $bomb]);
    cmp_ok(length $mail, '<', 20_000, 'a small mail that unpacks to 2 GB');
    my ($report) = scan_with($with_clamav, $mail);
    ok($report && problem($report, 'limit.unpack_ratio'), '... reaches the bound on the ratio of the whole message');
    isnt($report->{verdict}, 'clean', '... and is not clean') if $with_clamav;
    cmp_ok(bytes_of($report), '<=', (17 << 20), '... which leaves no more than 16 MB of it');
    my %reused = map { $_ => 1 } map { @{ $_->{reused} // [] } } @{ $report->{attachments} };
    ok($reused{fuzzy}, '... of which what is the same was looked at once');
    ok($reused{clamav}, '... by ClamAV as well') if $with_clamav;
}
{
    my ($large, $small) = ('x' x 20_000_000, 'MZ' . 'y' x 500);
    my ($report) = scan(message(['a.zip', zipped(['large.bin', $large], ['small.exe', $small])]));
    ok((grep { ($_->{filename} // q{}) eq 'small.exe' } @{ $report->{attachments} }), 'a file that is too large to be unpacked hides none behind it');
    ok(problem($report, 'limit.unpack_ratio'), '... and its absence is told');
}
{
    my @files = map { ["$_.bin", $_ x 3_000_000] } qw(a b c d e f g h);
    my ($report) = scan(message(['a.zip', zipped(@files)]), '--limit', 'unpacked_size=8m');
    my $unpacked = grep { $_->{size} == 3_000_000 } @{ $report->{attachments} };
    is($unpacked, 2, 'files are unpacked until the bound for the message');
    ok(problem($report, 'limit.unpacked_size'), '... which is told');
    my $gz = q{};
    gzip(\('x' x 3_000_000), \$gz);
    ($report) = scan(message(map { ["$_.gz", $gz] } 1 .. 8), '--limit', 'unpacked_size=8m');
    $unpacked = grep { $_->{size} == 3_000_000 } @{ $report->{attachments} };
    is($unpacked, 2, '... also when they lie in files of their own');
}

# A compressed tar of files: name, character, size. Nothing in it can be passed over unread.
sub tarred {
    my (@files) = @_;
    my $out = q{};
    my $gz = IO::Compress::Gzip->new(\$out);
    for (@files) {
        my ($name, $char, $size) = @{$_};
        my $head = pack 'a100 a8 a8 a8 a12 a12 a8 a1 a100 a6 a2 x247', $name, '0000644', '0000000', '0000000',
            sprintf('%011o', $size), '00000000000', ' ' x 8, '0', q{}, "ustar\0", '00';
        substr $head, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $head;
        $gz->print($head);
        $gz->print($char x (1 << 20)) for 1 .. $size >> 20;
    }
    $gz->print("\0" x 1024);
    $gz->close;
    return $out;
}
for my $case (
    ['a file that is too large', ['large.bin', 'x', 100 << 20], ['b.exe', 'y', 1 << 20]],
    ['a document\'s picture, which nobody wants', ['_rels/x.xml', 'x', 0], ['a.png', 'x', 100 << 20], ['b.exe', 'y', 1 << 20]],
) {
    my ($promise, @files) = @{$case};
    my ($report) = scan_with($with_clamav, message(['a.tgz', tarred(@files)]));
    ok((grep { $_->{name} eq 'limit.unpacked_size' && $_->{detail} =~ /in vain/ } @{ $report->{errors} }),
        "$promise is not unpacked to its end only to be passed over");
    isnt($report->{verdict}, 'clean', '... and the message is not clean') if $with_clamav;
}

# --- what libarchive would keep without asking ------------------------------------------------
{
    my $gz = q{};
    my $tar = sub {
        my ($type, $size) = @_;
        my $head = pack 'a100 a8 a8 a8 a12 a12 a8 a1 a100 a6 a2 x247', 'a', '0000644', '0000000', '0000000',
            sprintf('%011o', $size), '00000000000', ' ' x 8, $type, q{}, "ustar\0", '00';
        substr $head, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $head;
        return $head;
    };
    gzip(\($tar->('5', 0) x 40_000), \$gz);
    my ($report) = scan(message(['a.tgz', $gz]));
    ok((grep { $_->{name} eq 'limit.unpacked_size' && $_->{detail} =~ /headers/ } @{ $report->{errors} }), 'an archive that is all headers is not unpacked into memory');
    ok(!problem($report, 'archive.damaged'), '... and is not called damaged for that');
    isnt($report->{verdict}, 'clean', '... and the message is not clean');

    gzip(\("#mtree\n" . "f type=file\n" x 500_000), \$gz);
    ($report) = scan(message(['a.gz', $gz]));
    is(join(q{ }, map { $_->{size} } @{ $report->{attachments} }), length($gz) . ' ' . (7 + 12 * 500_000), 'a text that lists files is a text, and no archive of as many files');

    my $list = pack('a4 n n N N N N N', 'xar!', 28, 1, 0, 20, 0, 300_000_000, 0) . 'x' x 20;
    ($report) = scan(message(['a.xar', $list]));
    ok((grep { $_->{name} eq 'limit.unpacked_size' && $_->{detail} =~ /list of files takes 300000000 bytes/ } @{ $report->{errors} }), 'an xar whose list of files is too large is not opened');

    my $behind = "\0" x 1024 . 'MZ and what a program is made of';
    gzip(\$behind, \$gz);
    ($report) = scan(message(['a.img.gz', $gz]));
    ok((grep { $_->{size} == length $behind } @{ $report->{attachments} }), 'a compressed file that begins with zeros is no empty tar: all of it is there');
}

# --- bytes that decoders make ------------------------------------------------------------------
{
    my $mail = "${from}Content-Type: application/octet-stream\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n" . "_\n" x 50_000;
    my ($report) = scan($mail, '--limit', 'unpacked_size=1m');
    ok(problem($report, 'limit.unpacked_size'), 'uuencoded lines count by what they say they hold');
    cmp_ok(bytes_of($report), '<=', 1 << 20, '... and are not decoded beyond the bound');
    ($report) = scan($mail);
    is(bytes_of($report), 63 * 50_000, '... within it they are');
}

# --- messages in messages --------------------------------------------------------------------
{
    my $mail = "${from}\n" . "text\n" x 200_000;
    $mail = "${from}Content-Type: message/rfc822\n\n$mail" for 1 .. 20;
    my ($report) = scan($mail, '--limit', 'unpacked_size=8m');
    ok(problem($report, 'limit.unpacked_size'), 'a message in messages counts once for each that it is shown in');
    cmp_ok(bytes_of($report), '<=', 10 << 20, '... and is not opened beyond the bound');
}

# --- the same file many times -------------------------------------------------------------------
{
    my $rule = write_file('needle.yar', "rule needle { strings: \$a = \"needle\" condition: \$a }\nrule named { condition: filename == \"3.bin\" }\n");
    my $file = 'needle' . join q{}, map { chr($_ * 7 % 251) } 1 .. 5000;
    my ($report) = scan(message(map { ["$_.bin", $file] } 1 .. 5), '--rules', $rule);
    my @files = @{ $report->{attachments} };
    is(scalar(grep { @{ $_->{reused} // [] } } @files), 4, 'of five files with the same bytes four are not looked at again');
    my %same;
    $same{ join q{ }, @{$_}{qw(md5 sha1 sha256 sha512 file_type fuzzy verdict)} }++ for @files;
    is(scalar keys %same, 1, '... and all have what was found in the first');
    my @found = map { join q{,}, sort map { $_->{name} } grep { $_->{scanner} eq 'yara' } @{ $_->{findings} } } @files;
    is("@found", 'needle needle named,needle needle needle', '... but what depends on more than the bytes is found for each') if @found && $found[0];
    is(join(q{ }, map { $_->{path} } map { @{ $_->{findings} } } @files), join(q{ }, map { ($_->{path}) x @{ $_->{findings} } } @files), '... each under its own path');
}
done_testing();
