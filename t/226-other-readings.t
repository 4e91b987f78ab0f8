#!/usr/bin/perl
# What other readings are told as, and what is no contradiction.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Scan qw(scratch write_file scan_with);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
plan skip_all => 'built without YARA' if scalar(qx($mailwitness --version)) !~ /YARA/;
my $from = "From: a\@example.com\nSubject: x\n";
my $rules = write_file('rules.yar', <<'RULES');
rule program_name { condition: filename matches /[.]exe$/ }
rule needle { meta: severity = "malicious" strings: $a = "needle-7c" condition: $a }
RULES
my $yara = "yara: { rules = [\"$rules\"]; };\n";

sub examine {
    my ($message, $config) = @_;
    my ($report, $status, $errors) = scan_with($config // $yara, $message);
    diag($errors) if !$report;
    return $report // {};
}

sub file {
    my ($head, $bytes) = @_;
    return "${from}Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\n$head\n\n" . ($bytes // encode_base64('content')) . "--b--\n";
}

sub ambiguous { my ($report) = @_; return grep { $_->{name} eq 'mime.ambiguous' } @{ $report->{findings} } }
sub rules_found { my ($report) = @_; return map { $_->{name} } grep { $_->{scanner} eq 'yara' } map { @{ $_->{findings} } } @{ $report->{attachments} } }

my $b64 = 'Content-Transfer-Encoding: base64';
my $octets = 'Content-Type: application/octet-stream';

# --- what is told --------------------------------------------------------------------------------
{
    my $message = file("$octets\n$b64\nContent-Transfer-Encoding: quoted-printable", "needle=2D7c\n");
    my $report = examine($message);
    my ($finding) = grep { $_->{message} =~ /encodings/ } ambiguous($report);
    is($finding->{severity}, 'suspicious', 'that a message can be read in several ways is suspicious');
    like($finding->{message}, qr/transfer encodings: quoted-printable/, '... and told in a sentence');
    is($finding->{path}, '2', '... of the part that it is about');
    my ($other) = grep { ($_->{reading} // q{}) eq 'encoding' } @{ $report->{attachments} };
    like($other->{path}, qr/^2[.]\d+$/, 'what the other reading yields hangs below that part');
    is_deeply([rules_found($report)], ['needle'], '... and is scanned');
    ok(!defined $report->{attachments}[0]{reading}, 'the first reading is not marked');
    for my $severity (qw(info malicious)) {
        my $again = examine(file("$octets\n$b64\nContent-Transfer-Encoding: quoted-printable", "=41=42=43\n"), "scan: { ambiguous = \"$severity\"; };\n$yara");
        is((ambiguous($again))[0]{severity}, $severity, "scan.ambiguous makes that $severity");
        is($again->{verdict}, $severity eq 'info' ? 'clean' : $severity, '... and the message');
    }
}

# --- names ------------------------------------------------------------------------------------------
for my $case (
    ['of RFC 2231 beside a plain one', qq($octets\nContent-Disposition: attachment; filename=photo.png; filename*=''invoice.exe\n$b64)],
    ['in pieces beside a plain one', qq($octets\nContent-Disposition: attachment; filename=photo.png; filename*1=.exe; filename*0=invoice\n$b64)],
    ['in a second disposition', qq($octets\nContent-Disposition: attachment; filename=photo.png\nContent-Disposition: attachment; filename=invoice.exe\n$b64)],
    ['of the type', qq($octets; name=invoice.exe\nContent-Disposition: attachment; filename=photo.png\n$b64)],
    ['twice in one field', qq($octets\nContent-Disposition: attachment; filename=photo.png; filename=invoice.exe\n$b64)],
    ) {
    my ($what, $head) = @{$case};
    my $report = examine(file($head));
    my ($file) = @{ $report->{attachments} };
    is_deeply([sort @{ $file->{names} // [] }], ['invoice.exe', 'photo.png'], "a name $what: all that may be shown are in the report");
    is_deeply([rules_found($report)], ['program_name'], '... rules see each');
    is(scalar(ambiguous($report)), 1, '... and that they are of different kinds is told');
    my $picked = examine(file($head), "condition: { yara: { names = [\"*.exe\"]; }; };\n$yara");
    is_deeply([rules_found($picked)], ['program_name'], '... a condition on names holds for each');
    my $skipped = examine(file($head), "condition: { yara: { skip_names = [\"*.png\"]; }; };\n$yara");
    is_deeply([rules_found($skipped)], ['program_name'], '... and one that excludes has to hold for all');
}
is((examine(file("$octets\nContent-Description: invoice.exe\n$b64")))->{attachments}[0]{filename}, 'invoice.exe',
    'a part without a name has that of its description');

# --- what is no contradiction ------------------------------------------------------------------------
my $quoted_mail = "see this source:\n--inner\nContent-Type: text/plain\n\nquoted\n--inner--\n";
my %harmless = (
    'a type that is said twice' => file("$octets\n$octets\n$b64"),
    'an encoding that is said twice' => file("$octets\n$b64\n$b64"),
    'comments where they may stand' => file("$octets (a comment)\nContent-Transfer-Encoding: base64 (another)"),
    'an encoding in capitals and a fold' => file("$octets\nContent-Transfer-Encoding:\n BASE64"),
    'a careless word for no encoding' => file("Content-Type: text/plain\nContent-Transfer-Encoding: 8-bit", "hello\n"),
    'eight bits under seven' => file("Content-Type: text/plain\nContent-Transfer-Encoding: 7bit", "h\xe4llo\n"),
    'base64 in odd lines' => file("$octets\n$b64", encode_base64('x' x 200, q{}) =~ s/(.{1,61})/$1\n/gr),
    'base64 in one line' => file("$octets\n$b64", encode_base64('x' x 2000, q{}) . "\n"),
    'base64 without padding' => file("$octets\n$b64", encode_base64('x' x 20) =~ s/=//gr),
    'a footer below base64 text' => file("Content-Type: text/plain\n$b64", encode_base64("hello\n") . "\n-- \na list\n"),
    'small letters in quoted-printable' => file("$octets\nContent-Transfer-Encoding: quoted-printable", "a=3db=e4\n"),
    'a bare "=" in quoted-printable text' => file("Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable", "<a href=3D\"http://x.example/?a=zz\">\n"),
    'an ASCII stand-in for a name' => file(qq($octets\nContent-Disposition: attachment; filename="resume.doc"; filename*=UTF-8''r%C3%A9sum%C3%A9.doc\n$b64)),
    'pieces of a name in any order' => file(qq($octets\nContent-Disposition: attachment; filename*1=.pdf; filename*0=a\n$b64)),
    'a preamble and an epilogue' => "${from}Content-Type: multipart/mixed; boundary=b\n\nThis is a multi-part message in MIME format.\n--b\n\ntext\n--b--\n\nThe list's footer.\n",
    'an attached message with an empty multipart' => file('Content-Type: message/rfc822', "From: c\nContent-Type: multipart/mixed; boundary=c\n\n--c--\n"),
    'no end of a multipart' => "${from}Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\n$octets\n$b64\n\n" . encode_base64('x'),
    'a quoted message' => "${from}Content-Type: text/plain\n\n$quoted_mail",
    'a boundary that another begins with' => "${from}Content-Type: multipart/mixed; boundary=b1\n\n--b1\nContent-Type: multipart/alternative; boundary=b10\n\n--b10\n\ntext\n--b10--\n--b1--\n",
    'dashes in a text' => file('Content-Type: text/plain', "-----Original Message-----\nFrom: b\n\n-- \nBob\n---\n--more\n"),
    'an attached message with the same boundary' => file('Content-Type: message/rfc822', "From: c\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--\n"),
    'a web page with its address' => file("Content-Type: text/html\nContent-Location: http://x.example/a.html", "<p>hello</p>\n"),
);
for my $what (sort keys %harmless) {
    for my $ends ("\n", "\r\n") {
        my $report = examine($harmless{$what} =~ s/\n/$ends/gr);
        is($report->{verdict}, 'clean', "$what is no contradiction") or diag(encode_json([$report->{findings}, $report->{errors}]));
    }
}

# --- whole ------------------------------------------------------------------------------------------------
{
    my $text = "a line of a text\n" x 100_000 . "http://far.example/\nneedle-7c\n";
    my $report = examine("${from}Content-Type: text/plain\n\n$text", "yara: { body_rules = [\"$rules\"]; };\n");
    is($report->{verdict}, 'malicious', 'a text is scanned beyond what the report keeps');
    is(length $report->{body}, 1 << 20, '... which keeps what limits.text_length says');
    ok((grep { $_ eq 'http://far.example/' } @{ $report->{indicators}{urls} }), '... and searched for links to its end');
    my $clean = examine("${from}Content-Type: text/plain\n\n" . $text =~ s/needle/noodle/r, "yara: { body_rules = [\"$rules\"]; };\n");
    is($clean->{verdict}, 'clean', '... so that its length hides nothing');
}

# --- texts --------------------------------------------------------------------------------------------------
binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);
sub text { my ($charset, $bytes) = @_; return examine("${from}Content-Type: text/plain; charset=$charset\nContent-Transfer-Encoding: base64\n\n" . encode_base64($bytes)) }
for my $case (
    ['the rows of NEC in ISO-2022-JP', 'iso-2022-jp', "\e\$B-!4A\e(B yen\n", "\x{2460}\x{6f22} yen\n"],
    ['half-width katakana in ISO-2022-JP', 'iso-2022-jp', "\e(I1\e(B\n", "\x{ff71}\n"],
    ['HZ', 'hz-gb-2312', "a ~~ ~{VPND~} b\n", "a ~ \x{4e2d}\x{6587} b\n"],
    ['UTF-7', 'utf-7', "+AGgAdAB0AHA-://x.example\n", "http://x.example\n"],
    ['UTF-16 without a mark', 'utf-16', "\0a\0b\0c\0\n", "abc\n"],
    ) {
    my ($what, $charset, $bytes, $wanted) = @{$case};
    is(text($charset, $bytes)->{body}, $wanted, "$what is read as it was meant");
}
is(examine("Subject: =?iso-8859-1?Q?Fr\xf6sche?= f\xfcr\n\nx\n")->{subject}, "Fr\x{f6}sche f\x{fc}r",
    'raw bytes in an encoded word are of its charset');
for my $case (['zero_width', "pay\xe2\x80\x8bpal\n", 1], ['direction', "gpj\xe2\x80\xaeexe\n", 1], ['zero_width', "a \xe2\x80\x8c b\n", 0]) {
    my ($name, $bytes, $wanted) = @{$case};
    my $report = text('utf-8', $bytes);
    is(scalar(grep { $_->{name} eq "text.$name" } @{ $report->{findings} }), $wanted, "characters that do not show are noted where they hide something ($name $wanted)");
    is($report->{verdict}, 'clean', '... and change no verdict');
}

# --- bounds ---------------------------------------------------------------------------------------------------
{
    my $many = "${from}Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b--\n" . join q{}, map { "--b x\n$octets\n\npart $_\n" } 1 .. 20;
    my $report = examine($many, "limits: { readings = 5; };\nscan: { ambiguous = \"info\"; };\n$yara");
    is(scalar(grep { $_->{reading} } @{ $report->{attachments} }), 5, 'there are at most limits.readings other readings');
    is($report->{verdict}, 'unscanned', '... and what that leaves out is no clean message');
    is(scalar(grep { $_->{name} eq 'limit.readings' } @{ $report->{errors} }), 1, '... for this reason, told once');
}
done_testing();
