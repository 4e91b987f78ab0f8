#!/usr/bin/perl
# Reports in the forms people and other programs take: text, CSV, ECS.
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $dir = tempdir(CLEANUP => 1);
$ENV{TZ} = 'UTC';
$ENV{LC_ALL} = 'C.UTF-8';

sub message {
    my ($name, $text) = @_;
    open my $out, '>:raw', "$dir/$name" or die $!;
    print {$out} $text;
    close $out or die $!;
    return "$dir/$name";
}

my $mail = message('a.eml', <<"END");
From: "=cmd|' /C calc'!A0" <ana\@example.com>
To: bob\@example.org, carl\@example.org
Subject: =1+1, "quoted" \x1b]0;title\x07
Date: Tue, 24 Nov 2026 14:30:20 +0100
Message-ID: <one\@example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

first line
\x1b[31mred
see http://evil.example/path
--b
Content-Type: application/pdf; name="a, b.pdf"
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--b--
END
my $second = message('b.eml', "From: eve\@example.net\nSubject: two\n\n" . "line\n" x 40);

my $text = qx($mailwitness scan --text $mail $second 2>/dev/null);
like($text, qr/^  From +=cmd.*<ana\@example[.]com>$/m, 'text shows the sender');
like($text, qr/^Attachments\n  2 +a, b[.]pdf  unscanned, 9B, application\/pdf$/m, '... and attachments');
like($text, qr/^Text\n  first line\n  [?]\[31mred$/m, '... and the body');
unlike($text, qr/[\x00-\x08\x0b-\x1f\x7f]/, 'nothing in it can command a terminal');
like($text, qr/^  [.]{3} and 25 more lines \(--body\)$/m, 'a long body is cut, and the rest counted');

my $csv = qx($mailwitness scan --csv $mail $second 2>/dev/null);
message('out.csv', $csv);
my $read = qx(python3 -c '
import csv, json, sys
print(json.dumps(list(csv.DictReader(open(sys.argv[1], newline="", encoding="utf-8")))))' $dir/out.csv);
my $rows = decode_json($read);
is(scalar @$rows, 2, 'CSV has a row a message, as another reader reads it');
is($rows->[0]{to}, 'bob@example.org; carl@example.org', 'several values share a cell');
like($rows->[0]{subject}, qr/^'=1[+]1, "quoted" /, 'a formula is defused, quotes and commas come through');
is($rows->[0]{filenames}, 'a, b.pdf', 'names of attachments are there');
is($rows->[1]{from}, 'eve@example.net', 'the second row is the second message');
is(() = $csv =~ /\r\n/g, 3, 'lines end in CRLF');

my @ecs = map { decode_json($_) } split /\n/, qx($mailwitness scan --ecs $mail $second 2>/dev/null);
is(scalar @ecs, 2, 'ECS has a document a message');
is_deeply($ecs[0]{email}{to}{address}, ['bob@example.org', 'carl@example.org'], 'recipients are an array');
is($ecs[0]{email}{attachments}[0]{file}{extension}, 'pdf', 'attachments are files');
is($ecs[0]{event}{kind}, 'event', 'mail that nobody judged is no alert');
is($ecs[0]{email}{origination_timestamp}, '2026-11-24T14:30:20+01:00', 'the date keeps its zone');
like($ecs[0]{'@timestamp'}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'the time of receipt is UTC');
is_deeply($ecs[0]{mailwitness}{urls}, ['http://evil.example/path'], 'what ECS has no field for is under mailwitness');

{
    my $turned = message('turned.eml', "From: \xe2\x80\xaea\@example.com\nSubject: a\xe2\x80\xae\xe2\x80\x8bb\n"
        . "Content-Type: application/pdf; name=\"x\xe2\x80\xaey.pdf\"\n\nx\n");
    for my $form ('--text', '--summary', '--json', '--jsonl', '--ecs') {
        my $shown = qx($mailwitness scan $form $turned 2>&1);
        ok(length $shown && $shown !~ /\xe2\x80\xae|\xe2\x80\x8b/, "$form turns nothing around and hides nothing");
    }
    is(decode_json(scalar qx($mailwitness scan --jsonl $turned))->{subject}, "a\x{202e}\x{200b}b", '... and JSON still means it');
    like(scalar qx($mailwitness scan --text $turned), qr/^  Subject +a<U[+]202E><U[+]200B>b$/m, '... while text spells it out');
    my $missing = "$dir/gone\xe2\x80\xae\e[31m";
    like(scalar qx($mailwitness scan '$missing' 2>&1), qr/gone<U[+]202E>\xef\xbf\xbd\[31m/, 'so do errors');
}

# In Turkish I is not the capital of i, and strcasecmp(3) knows.
SKIP: {
    mkdir "$dir/locale";
    system("localedef -i tr_TR -f UTF-8 '$dir/locale/tr_TR.UTF-8' >'$dir/localedef' 2>&1");
    skip 'no Turkish locale can be made here', 1 if !-d "$dir/locale/tr_TR.UTF-8";
    local @ENV{qw(LOCPATH LC_ALL)} = ("$dir/locale", 'tr_TR.UTF-8');
    my $low = message('tr.eml', "from: a\@example.com\nmessage-id: <one\@example.com>\nin-reply-to: <two\@example.com>\n\nx\n");
    my $report = decode_json(scalar qx($mailwitness scan --jsonl $low));
    is_deeply([@{$report}{qw(message_id in_reply_to)}], ['one@example.com', ['two@example.com']],
        'letters are the same whatever the language of the terminal');
}
{
    # Readers that have enough; lists for programs.
    my $many = "$dir/many.mbox";
    open my $box, '>', $many or die $!;
    print {$box} "From ana\@example.com Tue Nov 24 10:00:00 2026\nFrom: ana\@example.com\nSubject: a\tb $_\n\n" . ('text ' x 40) . "\n\n" for 1 .. 400;
    close $box;
    for my $command ("scan --jsonl $many", "scan --summary $many", "scan --csv $many", 'config sample', 'config man', 'help scan') {
        is(scalar qx({ $mailwitness $command | true; } 2>&1), q{}, "'$command' ends silently when its reader does");
    }
    like(scalar qx($mailwitness config sample 2>&1 >/dev/full), qr/cannot write the output/, '... and names an output that is full');
    my @rows = map { [split /\t/] } split /\n/, qx($mailwitness scan --summary $many);
    is(join(q{ }, @{$rows[0]}), 'VERDICT FROM SUBJECT SIZE FILES', 'off a terminal a list begins with its heading');
    is(join(q{|}, @{$rows[1]}[0 .. 1, 4]), 'unscanned|ana@example.com|0', '... and has a tab between two cells, and none in a cell');
}
done_testing();
