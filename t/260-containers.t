#!/usr/bin/perl
# What nobody opened is not clean: each way to pack a file, whole, joined, behind something else and
# broken; either what is in it is found, or the report says that it was not opened.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Archives qw(deflated zip_of local_part end_of gz_of tar_of rar4_of rar5_of seven_of cab_of iso_of tnef_of ole_of
    fat_of);
use IO::Compress::Bzip2 qw(bzip2);
use MIME::Base64 qw(decode_base64 encode_base64);
use Scan qw(scratch scan scan_with write_file);
use Test::More;

$ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $top = $ENV{top_srcdir};
qx($ENV{MAILWITNESS} --version) =~ /YARA/ or plan skip_all => 'built without YARA';

# What is packed. The rule asks for a whole file, as that is what has to come out.
my $evil = 'the needle in the haystack' . "\n" x 10;
my $tame = "nothing to see here\n";
my @rules = ('--rules', write_file('needle.yar',
    'rule needle : malicious { meta: severity = "malicious" strings: $a = "the needle in the haystack" condition: $a at 0 }'));

sub message {
    my ($bytes, $name, $type) = @_;
    $type //= 'application/octet-stream';
    return "From: Ana <ana\@example.com>\nSubject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=edge\n"
        . "\n--edge\nContent-Type: text/plain\n\nsee attachment\n--edge\nContent-Type: $type"
        . (defined $name ? "; name=\"$name\"" : q{}) . "\nContent-Transfer-Encoding: base64\n\n" . encode_base64($bytes)
        . "--edge--\n";
}

sub names { my ($report) = @_; return map { $_->{name} } @{ $report->{findings} }, map { @{ $_->{findings} } } @{ $report->{attachments} } }
sub errors { my ($report) = @_; return map { $_->{name} } @{ $report->{errors} } }
sub file { my ($report) = @_; return (grep { $_->{path} eq '2' } @{ $report->{attachments} })[0] }
sub told { my ($report) = @_; return join ', ', "$report->{verdict}", map { "$_->{name}: $_->{detail}" } @{ $report->{errors} } }
sub has { my ($name, @list) = @_; return scalar grep { $_ eq $name } @list }

my %bad = (name => 'evil.bin', data => $evil);
my %good = (name => 'tame.txt', data => $tame);
my $zip = zip_of(0, \%bad);
my $stub = 'MZ' . join q{}, map { chr($_ * 7 % 251) } 1 .. 3000;
my $gif = "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";

# --- found: a file comes out whole ------------------------------------------------------------------
my %wrong = (%bad, crc => 12345);
my @found = (
    ['a zip', $zip],
    ['a stored file in a zip', zip_of(0, { %bad, method => 0 })],
    ['a zip behind a program', $stub . zip_of(0, \%bad)],
    ['a zip behind a program, with its offsets changed', $stub . zip_of(length $stub, \%bad)],
    ['a zip behind a picture', $gif . $zip],
    ['a zip behind a PDF', "%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF\n" . $zip],
    ['the first of two joined zips', $zip . zip_of(0, \%good)],
    ['the second of two joined zips', zip_of(0, \%good) . $zip],
    ['the second of three joined zips', zip_of(0, \%good) . $zip . zip_of(0, \%good)],
    ['a zip with a second, empty record at its end', $zip . end_of(0, 0, 0)],
    ['a zip with a comment that is a record', substr($zip, 0, -2) . pack('v', 22) . end_of(0, 0, 0)],
    ['a zip with the mark of one volume', "PK00$zip"],
    ['a zip with the mark of many volumes', "PK\7\10$zip"],
    ['a file that is in no directory', zip_of(0, \%good, { %bad, hidden => 1 })],
    ['a file that is in no directory, behind the end', zip_of(0, \%good) . local_part(\%bad)],
    ['a zip without a directory', local_part(\%good) . local_part(\%bad)],
    ['a zip without a directory, with sizes behind each file', local_part({ %good, alone => 1 }) . local_part({ %bad, alone => 1 })],
    ['a stored file whose size stands behind it', local_part({ %bad, method => 0, alone => 1 })],
    ['a file that is called otherwise before it', zip_of(0, { %bad, local => { name => 'tame.txt' } })],
    ['a file whose method is another before it', zip_of(0, { %bad, local => { method => 71 } })],
    ['a file whose method is another in the directory', zip_of(0, { %bad, method => 0, packed => deflated($evil), local => { method => 8 } })],
    ['a file that is said to be encrypted before it alone', zip_of(0, { %bad, local => { flags => 1 } })],
    ['a file that is said to be encrypted in the directory alone', zip_of(0, { %bad, flags => 1, local => { flags => 0 } })],
    ['a file whose size is 0 in the directory', zip_of(0, { %bad, method => 0, packed => q{}, local => { packed => $evil } })],
    ['a file with a wrong checksum', zip_of(0, \%wrong), 'archive.damaged'],
    ['a stored file with a wrong checksum', zip_of(0, { %wrong, method => 0 }), 'archive.damaged'],
    ['a file with a wrong checksum that is in no directory', zip_of(0, \%good, { %wrong, hidden => 1 }), 'archive.damaged'],
    ['a file with a wrong size', zip_of(0, { %bad, size => 3 }), 'archive.damaged'],
    ['a symbolic link with a file in it', zip_of(0, { %bad, made_by => 0x314, attributes => 0xa1ff0000 })],
    ['a folder by its mode with a file in it', zip_of(0, { %bad, made_by => 0x314, attributes => 0x41ed0010 })],
    ['a device by its mode with a file in it', zip_of(0, { %bad, made_by => 0x314, attributes => 0x21ed0000 })],
    ['a folder by its name with a file in it', zip_of(0, { %bad, name => 'folder/' })],
    ['the plain file beside an encrypted one', zip_of(0, { %good, flags => 1 }, \%bad), 'container.not_opened'],
    ['a zip in a zip', zip_of(0, { name => 'a.zip', data => $zip, method => 0 })],
    ['a joined zip in a zip', zip_of(0, { name => 'a.zip', data => $zip . zip_of(0, \%good), method => 0 })],
    ['a tar', tar_of(1, ['a', $evil])],
    ['a tar of version 7', tar_of(0, ['a', $evil])],
    ['the second of two joined tars', tar_of(1, ['b', $tame]) . tar_of(1, ['a', $evil])],
    ['a zip behind a tar', tar_of(1, ['b', $tame]) . $zip],
    ['gzip', gz_of($evil)],
    ['the second member of gzip', gz_of(q{}) . gz_of($evil)],
    ['gzip behind zeros behind gzip', gz_of('x') . "\0" x 100 . gz_of($evil)],
    ['a zip behind gzip', gz_of($tame) . $zip],
    ['gzip with junk behind it', gz_of($evil) . 'junk'],
    ['bzip2', do { bzip2(\$evil => \my $out); $out }],
    ['lzma, which has no magic', decode_base64('XQAAgAD//////////wA6GgjOdqyKgJvd1LWZ0kuOU45//3jZJF/VlHmPfv///IZwAA==')],
    ['RAR 4', rar4_of($evil)],
    ['RAR 4 behind a program', $stub . rar4_of($evil)],
    ['RAR 5', rar5_of($evil)],
    ['RAR 5 behind a program', $stub . rar5_of($evil)],
    ['a RAR and a zip in one', rar5_of($tame) . $zip],
    ['7z', seven_of($evil)],
    ['7z behind a program', $stub . seven_of($evil)],
    ['a cabinet', cab_of($evil)],
    ['a cabinet behind a program', $stub . cab_of($evil)],
    ['an ISO', iso_of($evil)],
    ['an ISO behind something', 'x' x 3000 . iso_of($evil)],
    ['winmail.dat', tnef_of($evil)],
    ['winmail.dat with a wrong checksum', tnef_of($evil, 1), 'tnef.damaged'],
    ['winmail.dat that is cut short', substr(tnef_of($evil), 0, -4), 'tnef.damaged'],
    ['a file in uuencode that is attached', "begin 644 a.bin\n" . pack('u', $evil) . "`\nend\n"],
    ['a document\'s file that is not what its ending says, behind a real type',
        zip_of(0, { name => 'mimetype', data => 'application/vnd.oasis.opendocument.text', method => 0 },
            { %bad, name => 'Pictures/a.png' })],
    ['a document\'s part called .bin',
        zip_of(0, { name => '[Content_Types].xml', data => '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>' },
            { %bad, name => 'word/a.bin' })],
    ['a zip\'s picture behind a file called mimetype', zip_of(0, { name => 'mimetype', data => 'x' }, { %bad, name => 'a.png' })],
    ['a zip\'s .xml behind a folder of a document', zip_of(0, { name => '_rels/.rels', data => '<x/>' }, { %bad, name => 'a.xml' })],
    ['a zip inside a document of before 2007', ole_of({ "\1Ole10Native" => "xx$zip" }, 'WordDocument', "\1Ole10Native")],
);
for (@found) {
    my ($what, $bytes, $problem) = @{$_};
    my ($report) = scan(message($bytes, 'a.dat'), @rules);
    ok(has('needle', names($report)), "$what: what is in it is scanned") or diag(told($report));
    ok(has($problem, errors($report)), "... and $problem is told") or diag(told($report)) if $problem;
}

# --- told: nobody opens it ----------------------------------------------------------------------------
my $armor = "-----BEGIN PGP MESSAGE-----\n\n" . encode_base64("\x85\x01\x0c\3" . 'keyid---' . "\1" . 'x' x 258 . "\xd2\x60\1" . 'y' x 99)
    . "=abcd\n-----END PGP MESSAGE-----\n";
my @closed = (
    ['an encrypted zip', zip_of(0, { %bad, flags => 1 }), 'archive.encrypted', 'suspicious'],
    ['a zip encrypted with AES', zip_of(0, { %bad, method => 99, packed => $evil }), 'archive.encrypted', 'suspicious'],
    ['an encrypted file that is in no directory', zip_of(0, \%good, { %bad, hidden => 1, flags => 1 }), 'archive.encrypted', 'suspicious'],
    ['a zip with a method that nobody knows', zip_of(0, { %bad, method => 6, packed => 'x' })],
    ['a zip that is cut short', substr(zip_of(0, { data => join q{}, map { chr rand 256 } 1 .. 9000 }), 0, 4000)],
    ['a zip that is cut short, with sizes behind its files', substr(local_part({ data => join(q{}, map { chr 65 + rand 26 } 1 .. 9000), alone => 1 }), 0, 4000)],
    ['a zip whose directory points elsewhere', zip_of(9000, \%good)],
    ['RAR 4 with an encrypted file', rar4_of($evil, locked => 1), 'archive.encrypted', 'suspicious'],
    ['RAR 4 with encrypted names', rar4_of('x' x 99, hidden => 1), 'archive.encrypted', 'suspicious'],
    ['RAR 5 with an encrypted, stored file', rar5_of($evil, locked => 1), 'archive.encrypted', 'suspicious'],
    ['RAR 5 with encrypted names', rar5_of('x' x 99, hidden => 1), 'archive.encrypted', 'suspicious'],
    ['encrypted RAR 5 behind a program', $stub . rar5_of($evil, locked => 1), 'archive.encrypted', 'suspicious'],
    ['a RAR that nobody can read', "Rar!\x1a\7\1\0" . 'x' x 100],
    ['ARJ', "\x60\xea" . pack('v C C C C C C C', 40, 30, 11, 1, 0, 16, 0, 2) . "\0" x 100],
    ['ACE', 'xxxxxxx**ACE**' . "\0" x 100],
    ['ACE behind a program', $stub . 'xxxxxxx**ACE**' . "\0" x 100],
    ['WIM', "MSWIM\0\0\0" . "\0" x 300],
    ['a disk image', fat_of($evil)],
    ['a virtual disk', 'x' x 4096 . 'conectix' . "\0" x 504],
    ['an ISO with UDF', iso_of($tame, udf => 1)],
    ['a message of Outlook', ole_of({}, '__nameid_version1.0', '__properties_version1.0')],
    ['a document with an object', ole_of({}, 'WordDocument', "\1Ole10Native")],
    ['a document with an object in a folder', ole_of({}, 'WordDocument', '_1234567890')],
    ['an encrypted package of a document', ole_of({}, 'EncryptionInfo', 'EncryptedPackage'), 'office.encrypted', 'suspicious'],
    ['an encrypted document of Word', ole_of({ WordDocument => "\xec\xa5\xc1\0" . "\0" x 7 . "\1" . "\0" x 4084 }, 'WordDocument'), 'office.encrypted', 'suspicious'],
    ['an encrypted workbook', ole_of({ Workbook => pack('v v', 0x809, 16) . "\0" x 16 . pack('v v', 0x2f, 6) . "\0" x 4070 }, 'Workbook'), 'office.encrypted', 'suspicious'],
    ['an encrypted OpenDocument', zip_of(0, { name => 'mimetype', data => 'application/vnd.oasis.opendocument.text', method => 0 },
        { name => 'META-INF/manifest.xml', data => '<manifest:encryption-data/>' }), 'office.encrypted', 'suspicious'],
    ['an encrypted PDF', "%PDF-1.6\ntrailer\n<< /Encrypt 3 0 R >>\n%%EOF\n", 'pdf.encrypted', 'suspicious'],
    ['a PDF with a file', "%PDF-1.6\n1 0 obj\n<< /Type /EmbeddedFile >>\nstream\nx\nendstream\n%%EOF\n"],
    ['an RTF with an object', '{\rtf1{\object\objemb{\*\objdata 0105}}}'],
    ['an encrypted PGP message', $armor, 'pgp.encrypted', 'unscanned'],
    ['an encrypted PGP message in bytes', "\x85\x01\x0c\3" . 'keyid---' . "\1" . 'x' x 258 . "\xd2\x60\1" . 'y' x 99, 'pgp.encrypted', 'unscanned'],
    ['a folder of a tar with a file in it', tar_of(1, ['a', $evil, '5'])],
    ['gzip that is damaged', substr(gz_of(join q{}, map { chr rand 256 } 1 .. 5000), 0, 3000)],
    ['gzip that is no more than a head', substr(gz_of($evil), 0, 12)],
);
for (@closed) {
    my ($what, $bytes, $finding, $verdict) = @{$_};
    my ($report) = scan(message($bytes, 'a.dat'), @rules);
    my $file = file($report);
    like($file->{opened} // q{}, qr/^(?:no|partly)$/, "$what: the report says that it was not opened") or diag(told($report));
    ok($file->{not_opened} && has('container.not_opened', errors($report))
            && grep({ /^part 2: not opened: / } @{ $report->{unscanned} }), '... and why');
    is($report->{verdict}, $verdict // 'unscanned', '... and it is not clean') or diag(told($report));
    ok(has($finding, names($report)), "... and has the finding $finding") or diag(join q{ }, names($report)) if $finding;
    ok(!has('needle', names($report)), '... nor is what was encrypted taken for the file') if $finding;
}
{
    my ($report) = scan("From: a\@example.com\nSubject: s\n\nhello\n$armor", @rules);
    ok(has('pgp.encrypted', names($report)) && $report->{verdict} eq 'unscanned', 'a PGP message in a text is told');
    ($report) = scan(message('a piece', undef, 'message/partial; id=a; number=1; total=2'), @rules);
    is(file($report)->{opened}, 'no', 'a piece of a message is told');
}

# --- trusted -------------------------------------------------------------------------------------------
sub config { my ($scan) = @_; return "yara: { rules = [\"$rules[1]\"]; };\nscan: { $scan };\n" }
for my $case (['"pgp"', $armor], ['"application/pgp*"', $armor], ['"arj"', $closed[13][1]], ['"smime", "P*"', $armor]) {
    my ($report) = scan_with(config("may_stay_closed = [$case->[0]];"), message($case->[1], 'a.dat'));
    is($report->{verdict}, 'clean', "$case->[0] in scan.may_stay_closed: such a part is trusted")
        or diag(told($report), file($report)->{file_type});
    is(file($report)->{opened}, 'no', '... and still said to be closed');
}
{
    my ($report) = scan_with(config('may_stay_closed = ["zip"];'), message($zip, 'a.zip'));
    is($report->{verdict}, 'malicious', 'what is trusted is opened all the same where somebody can');
    for my $severity ('info', 'malicious') {
        ($report) = scan_with(config("encrypted_archive = \"$severity\";"), message($closed[0][1], 'a.zip'));
        is($report->{verdict}, $severity eq 'info' ? 'unscanned' : $severity,
            "an encrypted archive is as bad as scan.encrypted_archive = $severity says, and not opened at least");
    }
}

# --- S/MIME --------------------------------------------------------------------------------------------
my $dir = scratch();
my $inner = write_file('inner.eml', "Content-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: text/plain\n\nsigned words\n"
        . "--i\nContent-Type: application/octet-stream; name=evil.bin\nContent-Transfer-Encoding: base64\n\n"
        . encode_base64($evil) . "--i--\n");
sub openssl {
    my $command = join q{ }, 'openssl', map { "'$_'" } @_;
    system("$command >$dir/openssl.out 2>&1") == 0 or die "$command: ", qx(cat $dir/openssl.out);
    return;
}
sub slurp { my ($name) = @_; open my $in, '<:raw', "$dir/$name" or die $!; local $/; return scalar <$in> }
openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ana -keyout), "$dir/key.pem", '-out', "$dir/cert.pem");
for my $form ('DER', 'PEM') {
    for my $stream ([], ['-stream']) {
        openssl(qw(cms -sign -nodetach -binary -in), $inner, '-signer', "$dir/cert.pem", '-inkey', "$dir/key.pem",
            '-outform', $form, '-out', "$dir/signed", @{$stream});
        my ($report) = scan(message(slurp('signed'), 'smime.p7m', 'application/pkcs7-mime'), @rules);
        ok(has('needle', names($report)), "signed S/MIME is opened as a message ($form @{$stream})") or diag(told($report));
        is(file($report)->{opened}, 'yes', '... and said to be opened');
    }
}
{
    my $head = "From: ana\@example.com\nSubject: s\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\nContent-Type: ";
    openssl(qw(cms -sign -nodetach -binary -in), $inner, '-signer', "$dir/cert.pem", '-inkey', "$dir/key.pem", qw(-outform DER -out), "$dir/signed");
    my ($report) = scan($head . "application/x-pkcs7-mime; smime-type=signed-data\n\n" . encode_base64(slurp('signed')), @rules);
    is($report->{body} // q{}, "signed words", 'what was signed is the body of the mail');
    ok(has('needle', names($report)), '... and its files are scanned');
    write_file('plain', $evil);
    openssl(qw(cms -sign -nodetach -binary -in), "$dir/plain", '-signer', "$dir/cert.pem", '-inkey', "$dir/key.pem", qw(-outform DER -out), "$dir/signed");
    ($report) = scan(message(slurp('signed'), 'invoice.pdf.p7m'), @rules);
    my ($file) = grep { ($_->{encoding} // q{}) eq 'smime' } @{ $report->{attachments} };
    is($file->{filename}, 'invoice.pdf', 'a signed file has its own name');
    ok(has('needle', names($report)), '... and is scanned');
    openssl(qw(cms -sign -binary -in), "$dir/plain", '-signer', "$dir/cert.pem", '-inkey', "$dir/key.pem", qw(-outform DER -out), "$dir/signature");
    ($report) = scan(message(slurp('signature'), 'smime.p7s', 'application/pkcs7-signature'), @rules);
    is($report->{verdict}, 'clean', 'a signature alone holds nothing') or diag(told($report));
    openssl(qw(cms -encrypt -binary -aes128 -in), "$dir/plain", qw(-outform DER -out), "$dir/locked", "$dir/cert.pem");
    ($report) = scan(message(slurp('locked'), 'smime.p7m', 'application/pkcs7-mime'), @rules);
    is("$report->{verdict} @{[ names($report) ]}", 'unscanned smime.encrypted', 'encrypted S/MIME is told, and no worse');
    ($report) = scan(message(substr(slurp('signed'), 0, 200), 'smime.p7m', 'application/pkcs7-mime'), @rules);
    is(file($report)->{opened}, 'no', 'damaged S/MIME is told');
}

# --- calendars -----------------------------------------------------------------------------------------
for my $end ("\r\n", "\n") {
    my $value = encode_base64($evil, q{});
    $value =~ s/(.{20})/$1$end /g;
    my ($report) = scan(message(join($end, 'BEGIN:VCALENDAR', 'BEGIN:VEVENT',
        "ATTACH;VALUE=BINARY;ENCODING=BASE$end 64;FILENAME=\"a:b.bin\":$value", 'END:VEVENT', 'END:VCALENDAR', q{}),
        'a.ics', 'text/calendar'), @rules);
    ok(has('needle', names($report)), 'a file in an invitation is scanned') or diag(told($report));
}

# --- harmless -------------------------------------------------------------------------------------------
my $types = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>';
my $png = "\x89PNG\r\n\x1a\n" . 'x' x 5000;
for (
    ['a zip with a folder', zip_of(0, { name => 'folder/', data => q{} }, \%good)],
    ['an empty zip', end_of(0, 0, 0)],
    ['a zip behind a program', $stub . zip_of(0, \%good)],
    ['a zip with sizes behind its files', zip_of(0, { %good, alone => 1, flags => 8 })],
    ['a picture with something behind it', $gif . 'trailer' x 100],
    ['a program that knows how archives begin', $stub . "PK\3\4PK\1\2PK\5\6Rar!\x1a\7\1\0\0\x007z\xbc\xaf\x27\x1c\0\0MSCF\0\1CD001" . $stub],
    ['a document', zip_of(0, { name => '[Content_Types].xml', data => $types }, { name => 'word/document.xml', data => '<x/>' },
        { name => 'word/media/a.png', data => $png })],
    ['a document of before 2007', ole_of({ WordDocument => "\xec\xa5\xc1\0" . "\0" x 4088 }, 'WordDocument', "\5SummaryInformation")],
    ['a PDF', "%PDF-1.6\ntrailer\n<< /EncryptMetadata true >>\n%%EOF\n"],
    ['a key', "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF\n-----END PGP PUBLIC KEY BLOCK-----\n"],
    ['two members of gzip', gz_of("one\n") . gz_of("two\n")],
    ['an invitation', "BEGIN:VCALENDAR\nATTACH:https://example.com/a\nEND:VCALENDAR\n"],
    ['a text that begins as a box would', "StuffIt was a program.\n070701 is a number.\n"],
    ['winmail.dat', tnef_of($tame)],
) {
    my ($what, $bytes) = @{$_};
    my ($report) = scan(message($bytes, 'a.dat'), @rules);
    is($report->{verdict}, 'clean', "$what is clean") or diag(told($report));
}
{
    my ($report) = scan(message($found[-4][1], 'a.odt'), @rules);
    ($report) = scan(message(zip_of(0, { name => '[Content_Types].xml', data => $types }, { name => 'word/media/a.png', data => $png },
        { name => 'word/vbaProject.bin', data => $tame }), 'a.docx'), @rules);
    is_deeply([map { $_->{filename} } grep { ($_->{parent} // q{}) eq '2' } @{ $report->{attachments} }], ["word\x{fffd}vbaProject.bin"],
        'of a document, pictures and XML that are what they claim are left out');
}

# --- ClamAV as the one who opens ---------------------------------------------------------------------------
my $clamav = "clamav: { database = \"$top/t/fixtures/clamav\"; max_age = 100000; };\n";
SKIP: {
    skip 'built without ClamAV', 5 if !scan_with($clamav, message('x', 'a'));
    my $rtf = '{\rtf1{\object\objemb{\*\objdata 010500000200000008000000' . unpack('H*', "Package\0") . '0000000000000000'
        . unpack('H*', pack('V', 400) . "\2\0a.bin\0a.bin\0\0\0\3\0\6\0\0\0a.bin\0" . pack('V', 300) . 'x' x 300 . 'y' x 70) . '}}}';
    my ($report) = scan_with($clamav, message($rtf, 'a.rtf'));
    my $file = file($report);
    is(join(q{ }, $file->{opened}, $file->{opened_by} // q{}), 'yes clamav', 'what ClamAV handed out of a part was opened, and that is told')
        or diag(told($report));
    is($report->{verdict}, 'clean', '... and so it is clean');
    ($report) = scan_with($clamav, message($closed[14][1], 'a.ace'));
    is("@{[ file($report)->{opened} ]} $report->{verdict}", 'no unscanned', 'what ClamAV calls clean and has not opened is not clean');
    ($report) = scan_with("clamav: { database = \"$top/t/fixtures/clamav\"; max_age = 100000; encrypted = false; };\n",
        message($closed[0][1], 'a.zip'));
    is(file($report)->{opened}, 'no', 'nor is what it met encrypted, also where that is to be no finding of its own');
    ok(!grep({ /Encrypted/ } names($report)), '... which then it is not');
}
done_testing();
