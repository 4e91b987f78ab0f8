# Archives: files that hold others, byte by byte, so that a test can break each byte.
package Archives;
use strict;
use warnings;
use Compress::Raw::Zlib qw(crc32 Z_OK Z_STREAM_END MAX_WBITS);
use Exporter qw(import);

our @EXPORT_OK = qw(deflated zip_of local_part end_of gz_of tar_of rar4_of rar5_of seven_of cab_of iso_of
    tnef_of ole_of fat_of);

sub deflated {
    my ($bytes) = @_;
    my ($stream) = Compress::Raw::Zlib::Deflate->new(-WindowBits => -MAX_WBITS(), -AppendOutput => 1);
    my $out = q{};
    $stream->deflate($bytes, $out);
    $stream->flush($out);
    return $out;
}

sub packed_file {
    my ($file) = @_;
    my %file = (name => 'a.bin', data => q{}, flags => 0, attributes => 0, made_by => 20, extra => q{}, %{$file});
    $file{method} //= 8;
    $file{packed} //= $file{method} == 8 ? deflated($file{data}) : $file{data};
    $file{crc} //= crc32($file{data});
    return \%file;
}

# What stands before a file, and the file; local => { ... } changes what it says, alone => 1 tells
# sizes behind the file only.
sub local_part {
    my ($file) = @_;
    my %f = (%{ packed_file($file) }, %{ $file->{local} // {} });
    my $open = $f{alone};
    return pack('a4 v v v v v V V V v v', "PK\3\4", 20, $f{flags} | ($open ? 8 : 0), $f{method}, 0, 0x5000,
        ($open ? (0, 0, 0) : ($f{crc}, length $f{packed}, $f{size} // length $f{data})),
        length $f{name}, length $f{extra}) . "$f{name}$f{extra}$f{packed}"
        . ($open ? pack('a4 V V V', "PK\7\10", $f{crc}, length $f{packed}, length $f{data}) : q{});
}

sub central_part {
    my ($file, $offset) = @_;
    my %f = %{ packed_file($file) };
    return pack('a4 v v v v v v V V V v v v v v V V', "PK\1\2", $f{made_by}, 20, $f{flags}, $f{method}, 0, 0x5000,
        $f{crc}, length $f{packed}, $f{size} // length $f{data}, length $f{name}, 0, 0, 0, 0, $f{attributes}, $offset)
        . $f{name};
}

# The record at a directory's end.
sub end_of {
    my ($count, $size, $offset) = @_;
    return pack('a4 v v v v V V v', "PK\5\6", 0, 0, $count, $count, $size, $offset, 0);
}

# A zip of files; those with hidden => 1 are in no directory. Offsets count from $base.
sub zip_of {
    my ($base, @files) = @_;
    my ($out, $directory, $count) = (q{}, q{}, 0);
    for my $file (@files) {
        if (!$file->{hidden}) {
            $directory .= central_part($file, $base + length $out);
            $count++;
        }
        $out .= local_part($file);
    }
    return $out . $directory . end_of($count, length $directory, $base + length $out);
}

sub gz_of {
    my ($bytes) = @_;
    return pack('a2 C C V C C', "\x1f\x8b", 8, 0, 0, 0, 3) . deflated($bytes) . pack 'V V', crc32($bytes), length $bytes;
}

# type: of the entry; magic: "ustar" or nothing, as version 7 has it.
sub tar_of {
    my ($magic, @files) = @_;
    my $out = q{};
    for (@files) {
        my ($name, $data, $type) = @{$_};
        my $head = pack 'a100 a8 a8 a8 a12 a12 a8 a1 a100 a6 a2 x247', $name, '0000644', '0000000', '0000000',
            sprintf('%011o', length $data), '00000000000', ' ' x 8, $type // '0', q{}, $magic ? ("ustar\0", '00') : (q{}, q{});
        substr $head, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $head;
        $out .= $head . $data . "\0" x (-length($data) % 512);
    }
    return $out . "\0" x 1024;
}

sub rar4_block {
    my ($type, $flags, $rest, $data) = @_;
    my $head = pack('C v v', $type, $flags, 7 + length $rest) . $rest;
    return pack('v', crc32($head) & 0xffff) . $head . ($data // q{});
}

# locked: the file's data is said to be encrypted; hidden: all headers are.
sub rar4_of {
    my ($data, %how) = @_;
    my $name = 'a.bin';
    return "Rar!\x1a\7\0" . rar4_block(0x73, $how{hidden} ? 0x80 : 0, "\0" x 6)
        . ($how{hidden} ? $data : rar4_block(0x74, 0x8000 | ($how{locked} ? 4 : 0),
            pack('V V C V V C C v V', length $data, length $data, 2, crc32($data), 0x50000000, 20, 0x30, length $name, 32)
                . $name, $data) . rar4_block(0x7b, 0x4000, q{}));
}

sub vint {
    my ($n) = @_;
    my $out = q{};
    while ($n > 127) {
        $out .= chr(128 | $n & 127);
        $n >>= 7;
    }
    return $out . chr $n;
}

sub rar5_block {
    my ($rest, $data) = @_;
    my $head = vint(length $rest) . $rest;
    return pack('V', crc32($head)) . $head . ($data // q{});
}

sub rar5_of {
    my ($data, %how) = @_;
    my $name = 'a.bin';
    my $lock = $how{locked} ? vint(1) . vint(0) . vint(1) . chr(15) . 'salt' x 4 . 'iv..' x 4 . 'check.......' : q{};
    my $extra = length $lock ? vint(length $lock) . $lock : q{};
    my $file = vint(2) . vint(2 | (length $extra ? 1 : 0)) . (length $extra ? vint(length $extra) : q{})
        . vint(length $data) . vint(4) . vint(length $data) . vint(32) . pack('V', crc32($data)) . vint(0) . vint(1)
        . vint(length $name) . $name . $extra;
    return "Rar!\x1a\7\1\0"
        . ($how{hidden} ? rar5_block(vint(4) . vint(0) . vint(0) . vint(0) . chr(15) . 'salt' x 4, $data)
        : rar5_block(vint(1) . vint(0) . vint(0)) . rar5_block($file, $data) . rar5_block(vint(5) . vint(0) . vint(0)));
}

# One stored file.
sub seven_of {
    my ($data) = @_;
    my $number = sub { pack 'C V', 0xf0, $_[0] };    # of four bytes
    my $name = join(q{}, map { "$_\0" } split //, 'a.bin') . "\0\0";
    my $head = "\1\4\6\0\1\x09" . $number->(length $data) . "\0" . "\7\x0b\1\0" . "\1\1\0" . "\x0c"
        . $number->(length $data) . "\0" . "\x08\x0a\1" . pack('V', crc32($data)) . "\0\0" . "\5\1\x11" . chr(1 + length $name) . "\0$name" . "\0\0";
    my $start = pack 'Q< Q< V', length $data, length $head, crc32($head);
    return "7z\xbc\xaf\x27\x1c\0\4" . pack('V', crc32($start)) . $start . $data . $head;
}

# One stored file.
sub cab_of {
    my ($data) = @_;
    my $entry = pack('V V v v v v', length $data, 0, 0, 0x5000, 0, 32) . "a.bin\0";
    my $block = pack('V v v', 0, length $data, length $data) . $data;
    my $size = 36 + 8 + length($entry) + length $block;
    return pack('a4 V V V V V C C v v v v v', 'MSCF', 0, $size, 0, 44, 0, 3, 1, 1, 1, 0, 0, 0)
        . pack('V v v', 44 + length $entry, 1, 0) . $entry . $block;
}

sub both { my ($n, $size) = @_; return $size == 2 ? pack('v n', $n, $n) : pack 'V N', $n, $n }

sub iso_record {
    my ($name, $sector, $size, $flags) = @_;
    my $rest = pack('C', 0) . both($sector, 4) . both($size, 4) . "\x7e\1\1\0\0\0\0" . pack('C C C', $flags, 0, 0)
        . both(1, 2) . chr(length $name) . $name . (length($name) % 2 ? q{} : "\0");
    return chr(1 + length $rest) . $rest;
}

# udf: a second file system is said to be there.
sub iso_of {
    my ($data, %how) = @_;
    my $root = iso_record("\0", 19, 2048, 2);
    my $sectors = 20 + int((length($data) + 2047) / 2048);
    my $descriptor = "\1CD001\1\0" . ' ' x 64 . "\0" x 8 . both($sectors, 4) . "\0" x 32 . both(1, 2) . both(1, 2)
        . both(2048, 2) . both(10, 4) . pack('V x4 N x4', 19, 0) . $root . ' ' x 623 . "\0" x 69;
    $descriptor .= "\0" x (2048 - length $descriptor);
    substr $descriptor, 881, 1, "\1";
    my $directory = $root . iso_record("\1", 19, 2048, 2) . iso_record('A.BIN;1', 20, length $data, 0);
    my $end = "\xffCD001\1" . "\0" x 2041;
    my $udf = ($how{udf} ? "\0NSR02\1" : "\0" x 7) . "\0" x 2041;
    return "\0" x 0x8000 . $descriptor . $end . $udf . $directory . "\0" x (2048 - length $directory)
        . $data . "\0" x (-length($data) % 2048) . "\0" x 16384;    # some readers want so much
}

sub tnef_attribute {
    my ($level, $id, $data, $sum) = @_;
    return pack('C V V', $level, $id, length $data) . $data . pack 'v', $sum // unpack '%16C*', $data;
}

# A winmail.dat with a file; sum: what it says the file's bytes add up to.
sub tnef_of {
    my ($data, $sum) = @_;
    return pack('V v', 0x223e9f78, 1) . tnef_attribute(1, 0x00089006, pack 'V', 0x10000)
        . tnef_attribute(1, 0x00069007, pack 'V V', 1252, 0)
        . tnef_attribute(2, 0x00069002, "\1\0" . "\xff" x 4 . "\0" x 8)
        . tnef_attribute(2, 0x00018010, "a.bin\0") . tnef_attribute(2, 0x0006800f, $data, $sum);
}

# A compound file with streams of these names, empty but for what stands in $content, by name.
sub ole_of {
    my ($content, @names) = @_;
    my ($sectors, $entries) = (q{}, q{});
    for my $name ('Root Entry', @names) {
        my $wide = join q{}, map { "$_\0" } split //, $name;
        my $data = $content->{$name} // q{};
        my $kind = $name eq 'Root Entry' ? 5 : $name =~ /^_\d/ ? 1 : 2;
        my $start = length $data ? 2 + length($sectors) / 512 : 0xfffffffe;
        $sectors .= $data . "\0" x (-length($data) % 512);
        $entries .= pack('a64 v C C', $wide, length($wide) + 2, $kind, 1) . "\xff" x 12 . "\0" x 36
            . pack('V Q<', $start, length $data);
    }
    $entries .= "\0" x (-length($entries) % 512);
    my $head = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" . "\0" x 16
        . pack('v v v v v x6 V V V V V V V V V', 0x3e, 3, 0xfffe, 9, 6, 0, 1, 1, 0, 4096, 0xfffffffe, 0, 0xfffffffe, 0);
    $head .= pack('V', 0) . "\xff" x (512 - length($head) - 4);
    my $fat = pack('V V', 0xfffffffd, 0xfffffffe) . "\xff" x 504;
    return $head . $fat . (length $sectors ? $sectors : q{}) . $entries if !%{$content};
    return $head . $fat . "\0" x 512 . $sectors . $entries;
}

# The beginning of a disk image.
sub fat_of {
    my ($data) = @_;
    return "\xeb\x3c\x90MSDOS5.0" . pack('v C v C v v C v v v', 512, 1, 1, 2, 224, 2880, 0xf0, 9, 18, 2)
        . "\0" x (510 - 28) . "\x55\xaa" . "\0" x 8192 . $data;
}

1;
