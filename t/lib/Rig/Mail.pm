# Rig::Mail: messages for tests and benches, and what they are made of.
package Rig::Mail;
use strict;
use warnings;
use Exporter qw(import);
use IO::Compress::Zip qw(zip $ZipError);
use MIME::Base64 qw(encode_base64);

our @EXPORT_OK = qw(eicar zipped macro_document message on_the_wire words random_bytes);

# In pieces, so that nobody's scanner stumbles over this file.
sub eicar { return join q{}, 'X5O!P%@AP[4\PZX54(P^)7CC)7}$EIC', 'AR-STANDARD-ANTIVIRUS-', 'TEST-FILE!$H+H*' }

# name => bytes, ...: a zip of these files
sub zipped {
    my (@files) = @_;
    my ($out, $zip);
    while (my ($name, $bytes) = splice @files, 0, 2) {
        if ($zip) { $zip->newStream(Name => $name) or die $ZipError }
        else { $zip = IO::Compress::Zip->new(\$out, Name => $name) or die $ZipError }
        $zip->print($bytes);
    }
    $zip->close;
    return $out;
}

# What a rule takes for a document whose macro runs when it is opened; without "autorun"
# it also starts a program.
sub macro_document {
    my ($kind) = @_;
    return "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" . "\0" x 504 . 'Attribut VB_Name = "ThisDocument" _VBA_PROJECT Sub AutoOpen() '
        . ($kind ? 'MsgBox "Good day"' : 'CreateObject("WScript.Shell").Run "calc"') . ' End Sub' . "\0" x 400;
}

# A message with LF line ends. Options: from, to, subject, id, headers (raw lines), text,
# attachments ([name, type, bytes], ...).
sub message {
    my (%options) = @_;
    my $head = 'From: ' . ($options{from} // 'Ana <ana@example.com>') . "\nTo: " . ($options{to} // 'bob@example.org')
        . "\nSubject: " . ($options{subject} // 'test') . "\nDate: Tue, 24 Nov 2026 10:00:00 +0000\nMessage-ID: <"
        . ($options{id} // int(rand 1e15)) . "\@example.com>\nMIME-Version: 1.0\n" . ($options{headers} // q{});
    my $text = $options{text} // "Good day,\n\nsee you on Monday.\n";
    my @files = @{ $options{attachments} || [] };
    return "${head}Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n$text" if !@files;
    my $body = "--edge\nContent-Type: text/plain; charset=utf-8\n\n$text";
    for my $file (@files) {
        my ($name, $type, $bytes) = @{$file};
        $body .= "\n--edge\nContent-Type: $type; name=\"$name\"\nContent-Disposition: attachment; filename=\"$name\"\n"
            . "Content-Transfer-Encoding: base64\n\n" . encode_base64($bytes);
    }
    return "${head}Content-Type: multipart/mixed; boundary=edge\n\n$body--edge--\n";
}

# As it goes over SMTP, without the last dot.
sub on_the_wire {
    my ($message) = @_;
    $message =~ s/\r?\n/\r\n/g;
    $message =~ s/^[.]/../mg;
    $message .= "\r\n" if $message !~ /\n\z/;
    return $message;
}

my @syllables = qw(ba con de fir ga hol in jo ker lin mo na or pel qui ras sen tor un vel wim yes zon);

# Lines of made-up words, about so many bytes; the same seed gives the same text.
sub words {
    my ($bytes, $seed) = @_;
    my ($text, $line, $state) = (q{}, q{}, $seed * 2654435761 % 4294967296);
    while (length $text < $bytes) {
        $state = ($state * 1664525 + 1013904223) % 4294967296;
        my $part = $state >> 12;
        $line .= $syllables[$part % @syllables] . $syllables[($part >> 5) % @syllables] . q{ };
        next if length $line < 70;
        $text .= "$line\n";
        $line = q{};
    }
    return substr $text, 0, $bytes;
}

sub random_bytes {
    my ($count) = @_;
    open my $in, '<:raw', '/dev/urandom' or die "/dev/urandom: $!";
    read($in, my $bytes, $count) == $count or die "/dev/urandom: $!";
    return $bytes;
}

1;
