#!/usr/bin/perl
# What comes in goes out: every kind of mail, byte for byte, through postfix and mailwitnessd.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use JSON::PP;
use Rig qw(folder spawn end_process wait_until run spew slurp free_port);
use Rig::Daemon;
use Rig::Mail qw(message on_the_wire words random_bytes);
use Rig::Postfix;
use Rig::Redis;
use Test::More;

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }

my $redis = Rig::Redis->new;
# Tagging what passes is the hardest: the mail is edited, and must stay what it was.
my $daemon = Rig::Daemon->new(redis => $redis, settings => { milter => { clean => 'tag' } });
my $postfix = Rig::Postfix->new(milters => [$daemon->address], settings => { header_size_limit => 1 << 20 });
my $uuid = qr/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/;

# The mail as it was delivered, without what we and postfix put on top.
sub through {
    my ($message, %options) = @_;
    my $answer = $postfix->send($message, %options);
    return ("$answer->{code} $answer->{text}", undef, q{}) if $answer->{code} != 250;
    my $mail = $postfix->delivered($answer->{queue_id}, 60) // 'was not delivered';
    my $id = ($mail =~ /^X-Mailwitness-Id: $uuid$/m)[0];
    1 while $mail =~ s/\A(?:X-Mailwitness-\w[\w-]*|Received):[^\n]*\n(?:[ \t][^\n]*\n)*//;
    return ($mail, $id, $answer->{queue_id});
}

sub stored {
    my ($id, $field) = @_;
    return wait_until(20, sub { ($redis->command('HGET', "mw:message:$id", $field))[0] }) // '(not stored)';
}

my $head = "From: ana\@example.com\nTo: bob\@example.org\nSubject: test\nDate: Tue, 24 Nov 2026 10:00:00 +0000\nMessage-ID: <1\@example.com>\n";
for my $case (
    ['plain text', "${head}\nGood day\n"],
    ['lines that begin with dots', "${head}\n.\n..\n...\n.x\n..x\n"],
    ['an empty body', "${head}\n"],
    ['blanks at line ends and around header values', "${head}X-A:  two before\nX-B:\ttab\nX-C:none\nX-D: after  \n\na  \n\t\nb\t\n\n\n"],
    ['folded header fields', "${head}X-Long: one\n two\n\tthree\n  four\n\nx\n"],
    ['empty header fields', "${head}X-Empty:\nX-Blank: \n\nx\n"],
    ['8 bit text', "${head}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\xc3\xbc\xc3\x9fe\n", mail => 'BODY=8BITMIME'],
    ['8 bit header fields', "${head}X-Raw: Gr\xfc\xdfe\n\nx\n"],
    ['long lines', "${head}\n" . join(q{}, map { ('x' x 900) . "\n" } 1 .. 50)],
    ['a thousand header fields', $head . join(q{}, map { "X-Field-$_: value $_\n" } 1 .. 1000) . "\nx\n"],
    ['the null sender', "${head}\nbounce\n", from => q{}],
) {
    my ($name, $message, %options) = @{$case};
    my ($mail, $id) = through($message, %options);
    is($mail, $message, "$name: what was sent is delivered");
    is($id ? stored($id, 'size') : undef, length($message) + ($message =~ tr/\n//), '... and examined whole') if $message =~ /\n\n/;
}
{
    my ($mail, $id) = through("From: ana\@example.com\nSubject: header only\nDate: Tue, 24 Nov 2026 10:00:00 +0000\nMessage-ID: <2\@example.com>\n");
    like($mail, qr/^Subject: header only\n.*\n?\z/ms, 'a mail of header fields only passes');
    is(stored($id, 'subject'), 'header only', '... and is examined');
}
{
    my $utf8 = "b\xc3\xbccher\@example.org";
    my ($mail, $id) = through("From: \xc3\xa4na\@example.com\nSubject: Gr\xc3\xbc\xc3\x9fe\nDate: Tue, 24 Nov 2026 10:00:00 +0000\nMessage-ID: <3\@example.com>\n\nx\n",
        mail => 'SMTPUTF8', from => "\xc3\xa4na\@example.com", to => $utf8);
    like($mail, qr/^Subject: Gr\xc3\xbc\xc3\x9fe$/m, 'SMTPUTF8: the mail passes as it is') or diag($mail);
    is($id ? stored($id, 'envelope_from') : undef, "\xc3\xa4na\@example.com", '... and its envelope is stored in UTF-8');
}
{
    my @to = map { "r$_\@example.org" } 1 .. 200;
    my $answer = $postfix->send(message(), to => \@to);
    is(scalar(my @copies = $postfix->deliveries($answer->{queue_id}, 200, 60)), 200, '200 recipients: each gets a copy');
    my $id = $daemon->wait_log(qr/\b$answer->{queue_id}: id=$uuid.*nrcpt=200/);
    my ($shown) = run(q{}, $ENV{MAILWITNESS}, 'show', '--config', $daemon->{config}, '--json', $id);
    my @shown = eval { @{ decode_json($shown)->{envelope}{to} } };
    is_deeply(\@shown, \@to, '... and the report has all of them') or diag($shown);
}
{
    my $big = message(text => q{}, attachments => [['big.bin', 'application/octet-stream', random_bytes(37 << 20)]]);
    my ($mail, $id) = through($big);
    ok($mail eq $big, '50 MB: what was sent is delivered');
    is($id ? stored($id, 'size') : undef, length($big) + ($big =~ tr/\n//), '... and examined whole');
}
{
    my $smtp = $postfix->connect_smtp;
    my @ids;
    for my $n (1 .. 5) {
        $smtp->command("MAIL FROM:<reset$n\@example.com>")->response;
        $smtp->command('RCPT TO:<wrong@example.org>')->response;
        $smtp->command('RSET')->response;
        my $answer = $postfix->send(message(subject => "message $n"), smtp => $smtp, from => "right$n\@example.com", to => "to$n\@example.org");
        push @ids, $daemon->wait_log(qr/\b$answer->{queue_id}: id=$uuid/);
    }
    $smtp->quit;
    is_deeply([map { join q{ }, stored($_, 'envelope_from'), stored($_, 'envelope_to'), stored($_, 'subject') } @ids],
        [map { "right$_\@example.com to$_\@example.org message $_" } 1 .. 5], 'RSET: nothing of one mail gets into the next on a connection');
}
{
    my $before = $daemon->metrics->{mailwitness_aborted_total};
    my $open = $daemon->metrics->{mailwitness_connections_open};
    for my $n (1 .. 10) {
        my $smtp = $postfix->connect_smtp;
        $smtp->command('MAIL FROM:<gone@example.com>')->response;
        $smtp->command('RCPT TO:<bob@example.org>')->response;
        $smtp->command('DATA')->response;
        print {$smtp} "Subject: never finished\r\n\r\n", 'half a line ' x 1000;
        $smtp->flush;
        close $smtp;
    }
    ok(wait_until(20, sub { $daemon->metrics->{mailwitness_connections_open} == 0 && $daemon->metrics->{mailwitness_messages_open} == 0 }),
        'clients that vanish in DATA leave nothing open');
    my ($mail) = through("${head}\nafterwards\n");
    like($mail, qr/afterwards/, '... and the next mail passes');
    unlike($postfix->log_text, qr/warning:.*milter/i, '... postfix never had to complain about its milter') or diag(grep { /milter/ } split /^/, $postfix->log_text);
}
{
    my ($said, $status) = run(q{}, 'smtp-source', '-s', 10, '-m', 200, '-l', 5000, '-d', '-f', 'source@example.com',
        '-t', 'sink@example.org', "127.0.0.1:$postfix->{port}");
    is($status, 0, 'smtp-source: 200 mails on 10 kept connections') or diag($said);
    ok(wait_until(30, sub { (() = $daemon->log_text =~ /from=<source\@example[.]com>/g) == 200 }), '... are all examined');
}
SKIP: {
    my ($opendkim) = grep { -x } qw(/usr/sbin/opendkim /usr/bin/opendkim);
    skip 'opendkim is not installed', 4 if !$opendkim || !-x '/usr/sbin/opendkim-genkey' && !-x '/usr/bin/opendkim-genkey';
    my $dir = folder();
    run(q{}, 'opendkim-genkey', '-D', $dir, '-d', 'example.com', '-s', 'test', '-b', 2048);
    my $public = join q{}, slurp("$dir/test.txt") =~ /"([^"]*)"/g;
    spew("$dir/keys", "test._domainkey.example.com $public\n");
    my $port = free_port();
    my @base = ('Syslog no', 'Canonicalization simple/simple', 'Domain example.com', 'Selector test', "KeyFile $dir/test.private",
        'RequireSafeKeys no', 'InternalHosts 0.0.0.0/0');
    spew("$dir/sign.conf", join "\n", @base, 'Mode s', "Socket inet:$port\@127.0.0.1", q{});
    spew("$dir/verify.conf", "Syslog no\nMode v\nTestPublicKeys $dir/keys\n");
    spawn({ out => "$dir/log", signal => 'KILL' }, $opendkim, '-f', '-x', "$dir/sign.conf");
    wait_until(10, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }) or diag(slurp("$dir/log"));
    my $signer = Rig::Postfix->new(milters => ["inet:127.0.0.1:$port"]);
    my $plain = "${head}X-Space:  kept \nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext  \n.dot\n\n--b\nContent-Type: application/x-test; name=a.bin\n"
        . "Content-Transfer-Encoding: base64\n\nAAECAw==\n--b--\n\n\n";
    my $signed = $signer->delivered($signer->send($plain)->{queue_id});
    $signed =~ s/\A(?:Received:[^\n]*\n(?:[ \t][^\n]*\n)*)+//;
    like($signed, qr/^DKIM-Signature:.*c=simple\/simple.*d=example[.]com/m, 'opendkim signs a mail, strictly (simple/simple)');
    my $answer = $postfix->send($signed);
    my $mail = $postfix->delivered($answer->{queue_id});
    like($mail, qr/^X-Mailwitness-Verdict:/m, '... mailwitnessd tags it');
    my $verify = sub {
        my ($text) = @_;
        my $file = spew("$dir/mail.eml", $text =~ s/\n/\r\n/gr);
        return join q{ }, run(q{}, $opendkim, '-t', $file, '-x', "$dir/verify.conf");
    };
    my $result = $verify->($mail);
    like($result, qr/verification \(s=test, d=example[.]com.*\) succeeded/, '... and the signature still verifies') or diag($result);
    $mail =~ s/text  /text /;
    unlike($verify->($mail), qr/succeeded/, '... as it would not with one blank less');
}
done_testing();
