#!/usr/bin/perl
# Property: for any tree of parts, every attachment's bytes and name come back.
# MW_SEED repeats a run, MW_TREES makes it longer.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Encode qw(decode_utf8 encode encode_utf8);
use File::Temp qw(tempdir);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use MIME::QuotedPrint qw(encode_qp);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $trees = $ENV{MW_TREES} || 200;
my $seed = $ENV{MW_SEED} // 20261103;
srand $seed;
diag("seed $seed");
my $dir = tempdir(CLEANUP => 1);
my @files;    # [name, bytes] of the message being made, in order

sub pick { return $_[int rand @_] }

sub random_bytes {
    my $size = pick(0, 1, 2, 3, 57, 58, 1000, int rand 20000);
    return join q{}, map { chr int rand 256 } 1 .. $size;
}

sub random_name {
    my @letters = (('a' .. 'z'), '0', '-', '_', ' ', "\x{e9}", "\x{df}", "\x{43f}", "\x{8acb}", "\x{1f4ce}");
    my $name = 'f' . join(q{}, map { pick(@letters) } 1 .. 1 + int rand 40) . 'x';
    return $name . pick('.pdf', '.docx', '.exe', '.tar.gz');
}

sub percent { my ($text) = @_; $text =~ s/([^A-Za-z0-9.-])/sprintf '%%%02X', ord $1/ge; return $text }

# A name in one of the ways mailers write them, as a parameter.
sub name_parameter {
    my ($key, $name) = @_;
    my $bytes = encode_utf8($name);
    my $way = $bytes =~ /[^\x20-\x7e]/ ? pick(qw(rfc2231 parts rfc2047 raw)) : pick(qw(quoted rfc2231));
    return qq(; $key="$bytes") if $way eq 'quoted' || $way eq 'raw';
    return ";\n $key*=utf-8''" . percent($bytes) if $way eq 'rfc2231';
    if ($way eq 'parts') {
        my @pieces = percent($bytes) =~ /((?:%..|.){1,20})/g;
        return join q{}, map { ";\n $key*$_*=" . ($_ ? q{} : "utf-8''") . $pieces[$_] } 0 .. $#pieces;
    }
    my @words = map { '=?utf-8?B?' . encode_base64(encode_utf8($_), q{}) . '?=' } $name =~ /(.{1,12})/gs;
    return ";\n $key=\"" . join("\n ", @words) . '"';
}

sub leaf {
    my ($end) = @_;
    my ($bytes, $name) = (random_bytes(), random_name());
    my $coding = pick('base64', 'base64', 'quoted-printable', 'x-uuencode', 'binary');
    # Lines of these would be taken for boundaries or lose their ends.
    $coding = 'base64' if $coding eq 'binary' && $bytes =~ /--|[\r\n]/;
    my $body = $coding eq 'base64' ? encode_base64($bytes, $end)
        : $coding eq 'quoted-printable' ? encode_qp($bytes, $end, 1)
        : $coding eq 'x-uuencode' ? uu($bytes, $end)
        : $bytes;
    push @files, [$name, $bytes];
    my $where = pick('Content-Disposition: attachment', 'Content-Type: application/octet-stream');
    my $head = $where . name_parameter($where =~ /^Content-D/ ? 'filename' : 'name', $name) . "\n";
    $head .= "Content-Type: image/png\n" if $where =~ /^Content-D/ && rand() < 0.7;
    $head .= "Content-Transfer-Encoding: $coding\n\n";
    $head =~ s/\n/$end/g;
    return $head . $body;
}

sub uu {
    my ($bytes, $end) = @_;
    my $lines = pack 'u', $bytes;
    $lines =~ s/\n/$end/g;
    return "begin 644 x$end$lines`${end}end$end";
}

my $boundaries = 0;
sub tree {
    my ($depth, $end) = @_;
    return leaf($end) if $depth <= 0 || rand() < 0.4;
    if (rand() < 0.2) {
        my $place = @files;
        my $inner = "From: in\@example.com${end}Subject: inner$end" . tree($depth - 1, $end);
        splice @files, $place, 0, [undef, $inner];
        return "Content-Type: message/rfc822$end$end$inner";
    }
    my $boundary = pick('=_b', '----=_Part_', 'x') . $boundaries++ . '.edge';
    my $parts = join q{}, map { "--$boundary$end" . tree($depth - 1, $end) . $end } 1 .. 1 + int rand 4;
    my $kind = pick(qw(mixed related alternative parallel));
    return "Content-Type: multipart/$kind; boundary=\"$boundary\"$end$end"
        . pick(q{}, "preamble$end") . "$parts--$boundary--$end";
}

my ($failures, $ambiguous) = (0, 0);
for my $i (1 .. $trees) {
    @files = ();
    my $end = pick("\n", "\r\n");
    my $message = "From: a\@example.com${end}Subject: tree $i$end" . tree(int rand 6, $end);
    open my $out, '>:raw', "$dir/m.eml" or die $!;
    print {$out} $message;
    close $out or die $!;
    my $report = eval { decode_json(scalar qx($mailwitness scan --jsonl $dir/m.eml)) };
    for my $finding (grep { $_->{scanner} eq 'mime' } @{ $report->{findings} || [] }) {
        diag("tree $i of seed $seed: $finding->{message} at part " . ($finding->{path} // 'top'));
        $ambiguous++;
    }
    my @got = map { [$_->{filename}, $_->{sha256}] } @{ $report->{attachments} || [] };
    # An attached message ends where the line end before the boundary begins.
    my @wanted = map { [$_->[0], sha256_hex($_->[1])] } @files;
    my $json = JSON::PP->new->canonical->allow_nonref;
    if ($json->encode(\@got) ne $json->encode(\@wanted)) {
        $failures++;
        diag("tree $i of seed $seed:\n got    ", $json->encode(\@got), "\n wanted ", $json->encode(\@wanted));
        last if $failures > 3;
    }
}
is($failures, 0, "of $trees random messages every attachment comes back with its bytes and name");
is($ambiguous, 0, '... and none is told to be ambiguous');
done_testing();
