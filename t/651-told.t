#!/usr/bin/perl
# What the log says of a message: all that was found and done, for people and for programs.
use strict;
use warnings;
use JSON::PP;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder);
use Rig::Daemon;
use Rig::Mail qw(message eicar zipped);
use Rig::Milter;
use Test::More;

if (!Rig::Daemon::engines()->{clamav}) { plan skip_all => 'built without ClamAV' }

my %clamav = (clamav => { database => "$ENV{top_srcdir}/t/fixtures/clamav", max_age => 0 });
my $bad = message(subject => 'bad', attachments => [['eicar.zip', 'application/zip', zipped('eicar.com', eicar())]]);

sub one_line {
    my ($daemon, $text, %options) = @_;
    my $connection = $daemon->connection;
    $connection->hello;
    my $result = $connection->message($text, %options);
    $connection->quit;
    $daemon->wait_log(qr/verdict\W.*stages/) or diag($daemon->log_text);
    my ($line) = grep {/stages/} split /\n/, $daemon->log_text;
    return ($line // q{}, $result);
}

# --- as text ---------------------------------------------------------------------------
my $daemon = Rig::Milter->daemon(%clamav, milter => { malicious => 'quarantine' });
my ($line, $result) = one_line($daemon, $bad, to => ['bob@example.org', 'ann@example.org', 'cid@example.org'], from => 'x> verdict=clean <y@example.com');
my $name = qr/Mailwitness[.]Test[.]EICAR\S*/;
like($line, qr/QUEUE1: id=\S+ client=192[.]0[.]2[.]7 from=<[^>]*> nrcpt=3 size=\d+ verdict=malicious action=quarantine by=milter[.]malicious ms=\d+ /,
    'the words of a line keep their order') or diag($line);
like($line, qr/ ms=\d+ to=<bob\@example[.]org>,\+2 message_id=<\S+\@\S+> findings="/, '... the recipients and the Message-ID follow');
like($line, qr/ findings="clamav\/$name in eicar[.]com","clamav\/$name in eicar[.]zip"/, '... and what was found, with the files, the one within first');
like($line, qr/ reason="mailwitness: malicious: $name in eicar[.]com \([-0-9a-f]+\)" /, '... and why the message is held');
like($line, qr/ stages=receive:\d+,examine:\d+,decide:\d+,store:\d+,answer:\d+,learn:\d+$/, '... and where the time went');
is(() = $line =~ /\bverdict=/g, 1, 'an address cannot look like another word');
my $headers = Rig::Milter->added($result);
like("@{ $headers->{'X-Mailwitness-Quarantine-Reason'} || [] }", qr/^mailwitness: malicious:\s+$name in eicar[.]com/, 'a held message has the reason in a header');
$daemon->stop;

$daemon = Rig::Milter->daemon(milter => { unscanned => 'tag' });
($line) = one_line($daemon, $bad);
like($line, qr/ verdict=unscanned .* unscanned="[^"]*no scanner[^"]*"/, 'what was not scanned, and why, is in the line') or diag($line);
$daemon->stop;

# --- as JSON ---------------------------------------------------------------------------
$daemon = Rig::Milter->daemon(%clamav, milter => { malicious => 'reject' }, log => { form => 'json' });
($line, $result) = one_line($daemon, $bad, to => ['bob@example.org', 'ann@example.org']);
my $json = eval { decode_json($line) } || {};
is(join(q{ }, map { $json->{$_} // 'none' } qw(queue_id client from nrcpt verdict action by)), 'QUEUE1 192.0.2.7 ana@example.com 2 malicious reject milter.malicious',
    'as JSON each word is a member') or diag($line);
is_deeply([$json->{to}, $json->{observed}], [['bob@example.org', 'ann@example.org'], JSON::PP::false], '... recipients are a list');
is_deeply([map {"$_->{scanner} $_->{severity} $_->{file}"} @{ $json->{findings} || [] }], ['clamav malicious eicar.com', 'clamav malicious eicar.zip'], '... findings have members of their own');
is_deeply([sort keys %{ $json->{stages} || {} }], [map {"${_}_us"} qw(answer decide examine learn receive store)], '... and so have the times');
is($json->{message}, 'malicious: reject by milter.malicious', '... and the message is short');
like($result->{text}, qr/^550 5[.]7[.]1 refused: malicious: $name in eicar[.]com \(/, 'the usual refusal names what was found');
$daemon->stop;
done_testing();
