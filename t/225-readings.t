#!/usr/bin/perl
# Property: what some mail client finds in an ambiguous message is found, or the message is
# not called clean. Each way to contradict oneself is combined with each form of what is
# hidden; what has no contradiction stays clean. MW_SEED repeats a run; MW_LONG=1: 100,000.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use IO::Compress::Gzip qw(gzip $GzipError);
use IO::Compress::Zip qw(zip $ZipError);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use MIME::QuotedPrint qw(encode_qp);
use Scan qw(scratch write_file);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
plan skip_all => 'built without YARA' if scalar(qx($mailwitness --version)) !~ /YARA/;
my $wanted = $ENV{MW_COMBINATIONS} || ($ENV{MW_LONG} ? 100_000 : 5_000);
my $seed = $ENV{MW_SEED} // 20261125;
srand $seed;
diag("seed $seed");
my $dir = scratch();
my $needle = 'hidden-thing-5b1f';
my $rule = write_file('needle.yar', "rule needle { meta: severity = \"malicious\" strings: \$a = \"$needle\" condition: \$a }");
my $config = write_file('test.conf', "yara: { rules = [\"$rule\"]; body_rules = [\"$rule\"]; };\n");

sub pick { return $_[int rand @_] }
sub word { return join q{}, map { pick('a' .. 'z') } 1 .. 6 }

# --- what is hidden ------------------------------------------------------------------------

# Bytes of random length before the needle shift it against all groups and lines.
sub plain { return 'x' x int(rand 40) . " $needle " . 'y' x int(rand 90) . "\n" }

my %forms = (
    text => sub { return plain() },
    zip => sub { my $in = plain() x 3; zip(\$in => \my $out, Name => 'a.txt') or die $ZipError; return $out },
    gzip => sub { my $in = plain() x 3; gzip(\$in => \my $out) or die $GzipError; return $out },
    binary => sub { return "\0\1\2MZ\xff" . plain() . join q{}, map { chr int rand 256 } 1 .. 60 },
    message => sub {
        return "From: b\@example.com\nSubject: inner\nDate: Tue, 3 Nov 2026 08:15:02 +0000\nMIME-Version: 1.0\n"
            . "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n" . encode_base64(plain());
    },
);

# --- how it is encoded: fields of a part, and its body ----------------------------------------

sub base64 { return encode_base64($_[0]) }
sub quoted {
    my ($bytes) = @_;
    $bytes =~ s/([^a-z0-9])/sprintf '=%02X', ord $1/gse;
    $bytes =~ s/((?:=..|[^=]){1,20})/$1=\n/g;
    return "$bytes\n";
}
sub uu { return 'begin 644 a.bin' . "\n" . (pack 'u', $_[0]) . "`\nend\n" }
sub yenc {
    my ($bytes) = @_;
    my $size = length $bytes;
    $bytes =~ s/(.)/chr((ord($1) + 42) % 256)/gse;
    $bytes =~ s/([\0\r\n=])/'=' . chr((ord($1) + 64) % 256)/ge;
    $bytes =~ s/^-/=\x6d/gm;
    return "=ybegin line=128 size=$size name=a.bin\n$bytes\n=yend size=$size\n";
}

sub binhex {
    my ($bytes) = @_;
    my $file = pack('C', 5) . 'a.bin' . pack('C a4 a4 n N N n', 0, 'BINA', 'mdos', 0, length $bytes, 0, 0) . $bytes . "\0\0\0\0";
    $file =~ s/\x90/\x90\0/g;
    my @digits = split //, q{!"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr};
    my $bits = unpack 'B*', $file;
    $bits .= '0' x (-length($bits) % 6);
    my $text = join q{}, map { $digits[oct "0b$_"] } $bits =~ /(.{6})/g;
    $text = ":$text:";
    $text =~ s/(.{64})/$1\n/g;
    return "(This file must be converted with BinHex 4.0)\n\n$text\n";
}

my $cte = 'Content-Transfer-Encoding';
my %codes = ('base64' => \&base64, 'quoted-printable' => \&quoted);

# Two encodings of which the content has one.
sub two { my ($bytes) = @_; my @two = sort { rand() <=> 0.5 } keys %codes; return ($codes{ pick(@two) }->($bytes), @two) }

my %encodings = (
    'two fields' => sub { my ($body, @two) = two(@_); return ("$cte: $two[0]\n$cte: $two[1]\n", $body) },
    'two words' => sub { my ($body, @two) = two(@_); return ("$cte: $two[0]" . pick(q{ }, ', ', '; ', "\n ") . "$two[1]\n", $body) },
    'a field of nothing known' => sub { return (pick("$cte: xxx\n$cte: base64\n", "$cte: base64\n$cte: xxx\n"), base64(@_)) },
    'a decorated word' => sub {
        return ("$cte: " . pick('"base64"', "'base64'", 'base\64', '(c) base64', 'base64 (c)', '<base64>', '=?us-ascii?Q?base64?=', "base\x0164", 'base64;', 'BASE64 ') . "\n", base64(@_));
    },
    'a word that resembles one' => sub { return ("$cte: " . pick(qw(x-base64 base64xx base-64 base6 bas mime-base64)) . "\n", base64(@_)) },
    'half of quoted-printable' => sub { return ("$cte: " . pick(qw(quoted quoted-printabl quotedprintable x-quoted-printable)) . "\n", quoted(@_)) },
    'an unknown word' => sub {
        my ($bytes) = @_;
        return ("$cte: x-" . word() . "\n", pick(\&base64, \&quoted, \&uu, \&yenc, \&binhex)->($bytes));
    },
    'uuencode' => sub { return ("$cte: " . pick(qw(x-uuencode x-uue uuencode x-uu)) . "\n", uu(@_)) },
    'uuencode without a beginning' => sub { return ("$cte: x-uuencode\n", uu(@_) =~ s/^begin.*\n//r) },
    'two blocks of uuencode' => sub { return ("$cte: x-uuencode\n", uu('nothing') . uu(@_)) },
    'yenc' => sub { return ("$cte: " . pick(qw(x-yenc x-yencode)) . "\n", yenc(@_)) },
    'binhex' => sub { return ("$cte: " . pick(qw(mac-binhex40 binhex x-binhex40)) . "\n", binhex(@_)) },
    'base64 in the middle of padding' => sub { return ("$cte: base64\n", base64('abcd') . base64(@_)) },
    'base64 that ends and goes on' => sub { return ("$cte: base64\n", base64(@_) . pick(q{}, "\n") . base64('PK' . word() x 30)) },
    'a second paragraph of base64' => sub { return ("$cte: base64\n", pick('A', 'AB', 'ABC') . "\n\n" . base64(@_)) },
    'base64 with junk' => sub { my $body = base64(@_); $body =~ s/(.{9})/$1 . pick('.', '#', '!', "\xff", q{-}, q{})/ge; return ("$cte: base64\n", $body) },
    'base64 with comments' => sub { my $body = encode_base64($_[0], q{}); $body =~ s/(.{1,4})/$1#abcd\n/g; return ("$cte: base64\n", $body) },
    'base64 with a digit too many in each line' => sub { my $body = encode_base64($_[0], q{}); my $x = pick(qw(X XX XXX)); $body =~ s/(.{1,4})/$1$x\n/g; return ("$cte: base64\n", $body) },
    'base64 of URLs' => sub { return ("$cte: base64\n", base64("\xfb\xff\xbf" x 9 . $_[0]) =~ tr{+/}{-_}r) },
    'uuencode that is base64' => sub { return ("$cte: x-uuencode\n", base64(@_)) },
    'base64 without padding' => sub { return ("$cte: base64\n", base64(@_) =~ s/=//gr) },
    'base64 with "=" for "A"' => sub { return ("$cte: base64\n", base64("\0\0\0$_[0]") =~ s/^AAAA/pick('A=AA', '==AA', 'AA=A')/er) },
    'quoted-printable with broken escapes' => sub {
        my $broken = pick('=', '=Z', '=ZZ', '= ');
        return ("$cte: quoted-printable\n", join q{}, map { $broken . sprintf "=%02X=\n", ord } split //, $_[0]);
    },
    'base64 that is none' => sub { return ("$cte: base64\n", $_[0]) },
    'quoted-printable that is none' => sub { return ("$cte: quoted-printable\n", $_[0]) },
    'a field behind a carriage return' => sub { return ("X-A: b\r$cte: base64\n", base64(@_)) },
    'a field in a fold' => sub { return (pick('X-A: b', 'X-A : b', 'X-A') . "\n $cte: base64\n", base64(@_)) },
    'a comment in the name' => sub { return ("$cte(c): base64\n", base64(@_)) },
    'a name and a blank' => sub { return (pick("$cte : base64", "$cte\t: base64", "${cte}:: base64", uc($cte) . ': base64') . "\n", base64(@_)) },
    'a name behind a control character' => sub { return (pick("\x0b", "\x01", "\r") . "$cte: base64\n", base64(@_)) },
    'junk in the header' => sub { return ("$cte: base64\n" . pick('ABCD', 'AB', '--', 'no field') . "\n", base64(@_)) },
    'a line of blanks in the header' => sub { return ("$cte: base64\n" . pick(q{ }, "\t", q{  }) . "\n" . pick(q{}, "X-A: b\n"), base64(@_)) },
);

# --- where it stands: a part, with its header, to a message -----------------------------------

my $hello = "Content-Type: text/plain\n\nDear Bob\n";
sub parts { my ($boundary, @parts) = @_; return join(q{}, map { "--$boundary\n$_" } @parts) . "--$boundary--\n" }
sub top { my ($type, $body) = @_; return "Content-Type: $type\n\n$body" }
sub mixed { my ($value, $boundary, @parts) = @_; return top("multipart/mixed; $value", parts($boundary, @parts)) }

# One boundary around the other, each of which the header names.
sub around { my ($good, $bad, $part) = @_; return "--$bad\nContent-Type: text/plain\n\n" . parts($good, $hello, $part) . "--$bad--\n" }

my %structures = (
    'a multipart' => sub { return mixed('boundary=bnd', 'bnd', $hello, @_) },
    'two boundaries in a field' => sub { return top('multipart/mixed; ' . pick('boundary=good; boundary=bad', 'boundary=bad; boundary=good'), around(qw(good bad), @_)) },
    'a boundary of each kind' => sub {
        return top('multipart/mixed; ' . pick("boundary*=''good; boundary=bad", "boundary*=''bad; boundary=good", "boundary=bad; boundary*0=go; boundary*1=od", "boundary=good; boundary*0*=''bad"),
            around(qw(good bad), @_));
    },
    'two types with boundaries' => sub {
        my @types = sort { rand() <=> 0.5 } 'good', 'bad';
        return join(q{}, map { "Content-Type: multipart/mixed; boundary=$_\n" } @types) . "\n" . around(qw(good bad), @_);
    },
    'a text and a multipart' => sub { return join(q{}, sort { rand() <=> 0.5 } "Content-Type: text/plain\n", "Content-Type: multipart/mixed; boundary=bnd\n") . "\n" . parts('bnd', $hello, @_) },
    'a part behind the end' => sub { return mixed('boundary=bnd', 'bnd', $hello) . "\n" . pick("--bnd\n$_[0]--bnd--\n", "--bnd\n$_[0]", parts('other', @_)) },
    'a part before the first' => sub { return top('multipart/mixed; boundary=bnd', pick("--other\n$_[0]\n", "--bn\n$_[0]\n", "--bnd-\n$_[0]\n") . parts('bnd', $hello)) },
    'text behind the boundary' => sub {
        my $behind = pick(' junk', 'X', "\x0b", "\x0c\x0b", '-', ' --', "\t.");
        return top('multipart/mixed; boundary=bnd', "--bnd\n$hello--bnd$behind\n$_[0]--bnd--\n");
    },
    'a carriage return before the boundary' => sub { return top('multipart/mixed; boundary=bnd', "--bnd\n$hello\n" . pick(q{}, 'text') . "\r--bnd\n$_[0]--bnd--\n") },
    'no boundary' => sub { return top(pick('multipart/mixed', 'multipart/mixed; boundary', 'multipart/mixed; oundary=bnd', 'multipart/mixed; boundary='), parts('bnd', $hello, @_)) },
    'a wrong boundary' => sub { return top('multipart/mixed; boundary=' . pick('foo', 'bn', '"bnd XXX"'), parts(pick('bnd', 'bnd YYY', 'foobar'), $hello, @_)) },
    'a broken type' => sub { return top(pick('multi\part/mixed', 'multipart', 'x-multipart/mixed', '"multipart/mixed"', 'ultipart/mixed', '=?utf-8?B?bXVsdGlwYXJ0?=/mixed', '/mixed') . '; boundary=bnd', parts('bnd', $hello, @_)) },
    'only a boundary' => sub { return top('boundary=bnd', parts('bnd', $hello, @_)) },
    'a comment in the name of the type' => sub { return "Content-Type(c): multipart/mixed; boundary=bnd\n\n" . parts('bnd', $hello, @_) },
    'a type in a fold' => sub { return pick('X-A: b', 'X-A : b') . "\n Content-Type: multipart/mixed; boundary=bnd\n\n" . parts('bnd', $hello, @_) },
    'a type behind a carriage return' => sub { return "X-A: b\rContent-Type: multipart/mixed; boundary=bnd\n\n" . parts('bnd', $hello, @_) },
    'a boundary in odd quotes' => sub { return top('multipart/mixed; boundary=' . pick('"bn"d', '"bnd', q{'bnd'}, '"=?us-ascii?Q?bnd?="', '"bnd "', 'b\nd', '(c)bnd', 'bnd(c)', '"b\nd"'), parts('bnd', $hello, @_)) },
    'a boundary in a disposition' => sub { return "Content-Type: multipart/mixed; boundary=one\nContent-Disposition: attachment; boundary=two\n\n" . parts('one', $hello) . parts('two', @_) },
    'an encoded multipart' => sub { return "Content-Type: multipart/mixed; boundary=bnd\n$cte: base64\n\n" . base64(parts('bnd', $hello, @_)) },
    'an encoded multipart within' => sub { return mixed('boundary=bnd', 'bnd', $hello, "Content-Type: multipart/mixed; boundary=in\n$cte: " . (pick(0, 1) ? "base64\n\n" . base64(parts('in', @_)) : "quoted-printable\n\n" . quoted(parts('in', @_)))) },
    'a multipart that says it is encoded' => sub { return "Content-Type: multipart/mixed; boundary=bnd\n$cte: base64\n\n" . parts('bnd', $hello, @_) },
    'an encoded multipart before a plain one' => sub { return "Content-Type: multipart/mixed; boundary=bnd\n$cte: base64\n\n" . base64("\n" . parts('bnd', @_)) . "\n" . parts('bnd', $hello) },
    'one boundary for two levels' => sub { return mixed('boundary=bnd', 'bnd', "Content-Type: multipart/mixed; boundary=bnd\n\n" . parts('bnd', $hello, @_)) },
    'boundaries that begin alike' => sub { my @two = pick([qw(bnd bndx)], [qw(bndx bnd)]); return mixed("boundary=$two[0][0]", $two[0][0], $hello, "Content-Type: multipart/mixed; boundary=$two[0][1]\n\n" . parts($two[0][1], @_)) },
    'an end in a header' => sub { return "Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: multipart/mixed; boundary=bnd\n--out--\n\n" . parts('bnd', $hello, @_) . "--out--\n" },
    'a blank line before the header' => sub { return mixed('boundary=bnd', 'bnd', $hello, "\n$_[0]") },
    'blanks before all' => sub { return pick(" \n", "\n", "\t\n\n") . mixed('boundary=bnd', 'bnd', $hello, @_) },
    'an attached message' => sub { return mixed('boundary=bnd', 'bnd', $hello, "Content-Type: message/rfc822\n" . (pick(0, 1) ? "\nFrom: c\@example.com\n$_[0]" : "$cte: " . (pick(0, 1) ? "base64\n\n" . base64("From: c\@example.com\n$_[0]") : "quoted-printable\n\n" . quoted("From: c\@example.com\n$_[0]")))) },
    'a message in a text' => sub { return top('text/plain', "see below\n\n" . parts('bnd', $hello, @_)) },
    'two carriage returns a line' => sub { return mixed('boundary=bnd', 'bnd', $hello, @_) =~ s/\n/\r\r\n/gr },
    'the part alone' => sub { return $_[0] },
);

# A file that says it is a multipart or has two types, whatever it is encoded in.
my @types = ("Content-Type: application/octet-stream\n") x 4;
push @types, "Content-Type: application/zip\nContent-Type: multipart/mixed; boundary=foo\n", "Content-Type: multipart/mixed; boundary=foo\n",
    "Content-Type: text/plain\nContent-Type: application/octet-stream\n", "Content-Type: application/pdf; name=a.pdf\nContent-Disposition: attachment; filename*=''b.exe\n";

sub message {
    my ($structure, $encoding, $form) = @_;
    my ($fields, $body) = $encodings{$encoding}->($forms{$form}->());
    my $part = pick(@types) . $fields . "\n$body";
    # Two types of the part itself, where the structure leaves that to it.
    my $message = "Received: by mail.example.org; Tue, 3 Nov 2026 08:15:02 +0000\nFrom: a\@example.com\nSubject: x\n";
    my $made = $structures{$structure}->($part);
    # One contradiction within another: the boundaries within get other names.
    if ($structure !~ /encoded|blanks/ && rand() < 0.4) {
        my $within = $made =~ s/\b(bnd|good|bad|out|other|one|two|in)\b/in-$1/gr;
        $made = $structures{ pick(grep { !/blanks/ } sort keys %structures) }->($within);
    }
    $message = ($made =~ /^\s+\n/ ? $& : q{}) . $message . ($made =~ s/^\s+\n//r);
    $message =~ s/\n/\r\n/g if $form ne 'binary' && $encoding !~ /none|yenc|unknown/ && rand() < 0.5;
    return $message;
}

# --- running ----------------------------------------------------------------------------------

my (%missed, %count, %told, @batch);

sub run_batch {
    my @files = map { write_file("m$_.eml", $batch[$_]{message}) } 0 .. $#batch;
    open my $out, '-|', $mailwitness, 'scan', '--jsonl', '--config', $config, @files or die $!;
    my %reports = map { my $report = decode_json($_); ($report->{source} => $report) } <$out>;
    close $out;
    for my $i (0 .. $#batch) {
        my ($one, $report) = ($batch[$i], $reports{ $files[$i] });
        my $verdict = $report ? $report->{verdict} : 'none';
        my $how = $verdict eq 'malicious' ? 'found' : $verdict =~ /^(?:suspicious|unscanned)$/ ? 'told' : 'missed';
        $count{$how}++;
        $told{$_}++ for $how eq 'told' ? @{$one}{qw(structure encoding form)} : ();
        next if $how ne 'missed';
        my $what = "$one->{structure} / $one->{encoding} / $one->{form}";
        $missed{$what} //= "$verdict\n$one->{message}";
    }
    @batch = ();
    return;
}

my @all;
for my $structure (sort keys %structures) {
    for my $encoding (sort keys %encodings) {
        push @all, map { { structure => $structure, encoding => $encoding, form => $_ } } sort keys %forms;
    }
}
diag(scalar(@all) . ' pairs and forms');
for my $i (0 .. $wanted - 1) {
    my %one = %{ $i < @all ? $all[$i] : pick(@all) };
    push @batch, { %one, message => message(@one{qw(structure encoding form)}) };
    run_batch() if @batch == 1000 || $i == $wanted - 1;
}
my @names = sort keys %missed;
is(scalar @names, 0, "of $wanted ambiguous messages each has what it hides found, or is told")
    or diag(join "\n", @names[0 .. ($#names < 20 ? $#names : 20)], $ENV{MW_SHOW} ? @missed{@names} : ());
diag("$count{found} found, " . ($count{told} // 0) . ' told');
diag(map { "$told{$_} $_\n" } sort { $told{$b} <=> $told{$a} } keys %told) if $ENV{MW_SHOW};
cmp_ok($count{found} // 0, '>', $wanted * 0.9, 'in most what is hidden is found');
done_testing();
