#!/usr/bin/perl
# What mailwitnessd decides is what postfix does: every action, through a real mail server.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use JSON::PP;
use Rig qw(wait_until run spew);
use Rig::Daemon;
use Rig::Mail qw(message eicar zipped);
use Rig::Postfix;
use Rig::Redis;
use Test::More;

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }
if (!Rig::Daemon::engines()->{clamav}) { plan skip_all => 'built without ClamAV' }

# The recipient says which rule is tried.
my @rules = map { { name => $_->[0], when => { recipient => "$_->[0]\@*" }, %{ $_->[1] } } } (
    ['accept', { action => 'accept' }],
    ['tag', { action => 'tag' }],
    ['hold', { action => 'quarantine', reason => 'held for ${verdict} ${id}' }],
    ['later', { action => 'tempfail', text => '451 4.7.5 come back (${id})' }],
    ['no', { action => 'reject', text => '554 5.7.9 no: ${signature} (${id})' }],
    ['gone', { action => 'discard' }],
    ['redirect', { action => 'accept', redirect => 'elsewhere@example.org' }],
    ['copy', { action => 'accept', add_recipient => 'second@example.org' }],
    ['edit', { action => 'accept', add_header => ['X-Added: by ${id}'], set_header => ['X-Set: ours'] }],
    ['subject', { action => 'accept', subject_prefix => '[caution]' }],
);
my $redis = Rig::Redis->new;
my $daemon = Rig::Daemon->new(redis => $redis, settings => { policy => \@rules });
my $postfix = Rig::Postfix->new(milters => [$daemon->address]);
my $bad = message(subject => 'bad', attachments => [['eicar.zip', 'application/zip', zipped('eicar.com', eicar())]]);

sub recipients_in_log {
    my ($id) = @_;
    wait_until(20, sub { $postfix->log_text($id) =~ /removed/ });
    return join q{ }, sort $postfix->log_text($id) =~ /to=<([^>]+)>.*status=sent/g;
}

# The facts that Redis holds of the message with this id.
sub stored {
    my ($id) = @_;
    my $fields;
    wait_until(10, sub { $fields = $redis->hash("mw:message:$id"); return %{$fields} });
    return $fields;
}

# our id, out of a header, an answer or the log
my $uuid = qr/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/;

{
    my $answer = $postfix->send(message(subject => 'plain'), to => 'accept@example.org');
    my $mail = $postfix->delivered($answer->{queue_id});
    like($mail, qr/^Subject: plain$/m, 'accept: the mail is delivered');
    unlike($mail, qr/^X-Mailwitness/m, '... without a mark');
    my $id = $daemon->wait_log(qr/\b$answer->{queue_id}: id=$uuid/);
    is(stored($id)->{action}, 'accept', '... and stands in Redis with its action');
    is(stored($id)->{'queue_id'}, $answer->{queue_id}, '... under the queue id of postfix');
}
{
    my $forged = "X-Mailwitness-Verdict: clean\nx-mailwitness-ID: 1\nX-MAILWITNESS-findings: none\nX-Other: stays\n";
    my $answer = $postfix->send(message(headers => $forged), to => 'tag@example.org');
    my $mail = $postfix->delivered($answer->{queue_id});
    my ($id) = $mail =~ /^X-Mailwitness-Id: $uuid$/m;
    ok($id, 'tag: the mail is delivered with the id of its report');
    is(stored($id)->{action}, 'tag', '... under which Redis has it');
    my @verdicts = $mail =~ /^X-Mailwitness-Verdict: (.*)$/mgi;
    is("@verdicts", 'clean', '... one verdict');
    is(scalar(() = $mail =~ /^X-Mailwitness-Id:/mgi), 1, '... and forged headers are gone');
    like($mail, qr/^X-Other: stays$/m, '... the others are not');
    like($mail, qr/^X-Mailwitness-Sender-New: no$/m, '... the sender of a mail before is not new');
    $answer = $postfix->send(message(from => 'new@example.net', headers => $forged), to => 'accept@example.org');
    unlike($postfix->delivered($answer->{queue_id}), qr/^X-Mailwitness-Verdict/mi, 'forged headers go from accepted mail too');
    $answer = $postfix->send(message(from => 'newer@example.net'), to => 'tag@example.org');
    like($postfix->delivered($answer->{queue_id}), qr/^X-Mailwitness-Sender-New: yes$/m, 'a new sender is told');
    my ($said, $status) = run(q{}, $ENV{MAILWITNESS}, 'seen', '--filter', "$daemon->{dir}/from.filter", 'newer@example.net');
    is($status, 0, '... and known to mailwitness seen from then on') or diag($said);
}
{
    my $answer = $postfix->send($bad, to => 'tag@example.org');
    my $mail = $postfix->delivered($answer->{queue_id});
    like($mail, qr/^X-Mailwitness-Verdict: malicious$/m, 'tag: a malicious mail is called so');
    like($mail, qr/^X-Mailwitness-Findings: (?:.*\n[ \t])*.*Mailwitness[.]Test[.]EICAR/m, '... with what was found');
}
{
    my $answer = $postfix->send($bad, to => 'hold@example.org');
    is($answer->{code}, 250, 'quarantine: postfix takes the mail');
    ok(wait_until(10, sub { grep { $_ eq $answer->{queue_id} } $postfix->queued('hold') }), '... into its hold queue');
    like($postfix->log_text($answer->{queue_id}), qr/milter triggers HOLD action/, '... and says so in its log');
    my ($held) = run(q{}, 'postcat', '-c', "$postfix->{dir}/etc", '-hq', $answer->{queue_id});
    like($held, qr/^X-Mailwitness-Quarantine-Reason: held for malicious\s+$uuid$/m, '... with the reason in a header, as postfix keeps none');
    my @none = $postfix->deliveries($answer->{queue_id}, 1, 1);
    is(scalar @none, 0, '... and does not deliver it');
}
for my $case (['later', 451, qr/4[.]7[.]5 come back \($uuid\)/], ['no', 554, qr/5[.]7[.]9 no: (?:eicar_test_file|Mailwitness[.]Test[.]EICAR\S*) \($uuid\)/]) {
    my ($to, $code, $text) = @{$case};
    my $answer = $postfix->send($bad, to => "$to\@example.org");
    is($answer->{code}, $code, "$to: the client gets the code of the rule");
    like($answer->{text}, $text, '... and its words');
    my ($id) = $answer->{text} =~ $uuid;
    is(stored($id)->{action}, $to eq 'no' ? 'reject' : 'tempfail', '... and the id finds the report of what was not taken');
}
{
    my $answer = $postfix->send($bad, to => 'unnamed@example.org');
    like("$answer->{code} $answer->{text}", qr/^550 5[.]7[.]1 refused: malicious: \S+ in eicar[.]com \($uuid\)/, 'a malicious mail without a rule is refused, with what was found');
}
{
    my $answer = $postfix->send(message(subject => 'thrown away'), to => 'gone@example.org');
    is($answer->{code}, 250, 'discard: the client is told that the mail was taken');
    ok($postfix->wait_log(qr/$answer->{queue_id}: milter-discard/), '... postfix throws it away');
    my $id = $daemon->wait_log(qr/\b$answer->{queue_id}: id=$uuid/);
    is(stored($id)->{action}, 'discard', '... and Redis still has it');
}
{
    my $answer = $postfix->send(message(), to => 'redirect@example.org');
    is(recipients_in_log($answer->{queue_id}), 'elsewhere@example.org', 'redirect: another one gets it instead');
    $answer = $postfix->send(message(), to => 'copy@example.org');
    is(recipients_in_log($answer->{queue_id}), 'copy@example.org second@example.org', 'add_recipient: another one gets it too');
}
{
    my $answer = $postfix->send(message(headers => "X-Set: theirs\nX-Set: theirs too\n"), to => 'edit@example.org');
    my $mail = $postfix->delivered($answer->{queue_id});
    like($mail, qr/^X-Added: by $uuid$/m, 'a header is added');
    is(join(q{ }, $mail =~ /^X-Set: (.*)$/mg), 'ours', '... and one set in the place of all of its name');
    $answer = $postfix->send(message(subject => 'hello'), to => 'subject@example.org');
    is(join(q{|}, $postfix->delivered($answer->{queue_id}) =~ /^Subject: (.*)$/mg), '[caution] hello', 'a subject gets its prefix');
    my $encoded = '=?utf-8?q?gr=C3=BC=C3=9Fe?=';
    $answer = $postfix->send(message(subject => $encoded), to => 'subject@example.org');
    like($postfix->delivered($answer->{queue_id}), qr/^Subject: \[caution\]\s+\Q$encoded\E$/m, '... an encoded one stays encoded behind it');
}
{
    my $evil = message(attachments => [["a\x{0d}b.com", 'application/octet-stream', eicar()]]);
    $evil =~ s/filename="a\rb.com"/filename*=utf-8''a%0d%0aX-Injected:%20yes.com/;
    my $answer = $postfix->send($evil, to => 'tag@example.org');
    my $mail = $postfix->delivered($answer->{queue_id}) // q{};
    my ($head) = $mail =~ /\A(.*?)\n\n/s;
    unlike($head, qr/^X-Injected/m, 'a file name cannot put a header into the mail');
    unlike($head, qr/\r(?!\n)/, '... nor a bare carriage return');
    like($head, qr/^X-Mailwitness-Findings:/m, '... though it is told');
}
{
    $daemon->configure(milter => { mode => 'observe' });
    $daemon->reload;
    ok($daemon->wait_log(qr/were read again/), 'a reload is told in the log');
    my $answer;
    ok(wait_until(20, sub { ($answer = $postfix->send($bad, to => 'unnamed@example.org'))->{code} == 250 }),
        'observe: a malicious mail passes');
    my $mail = $postfix->delivered($answer->{queue_id});
    unlike($mail, qr/^X-Mailwitness/m, '... untouched');
    my $id = $daemon->wait_log(qr/\b$answer->{queue_id}: id=$uuid/);
    my $facts = stored($id);
    is("$facts->{verdict} $facts->{action}", 'malicious accept', '... and Redis tells what it was, and what was done');
}
{
    my $metrics = $daemon->metrics;
    is($metrics->{'mailwitness_messages_total{action="quarantine",verdict="malicious"}'}, 1, 'metrics count by action and verdict');
    open my $in, '<', "$ENV{top_srcdir}/contrib/grafana/mailwitness.json" or die $!;
    my $board = decode_json(do { local $/; <$in> });
    my %asked = map { $_ => 1 } map { map { $_->{expr} =~ /\b(mailwitness_\w+)/g } @{ $_->{targets} } } @{ $board->{panels} };
    my %given = map { /^(\w+)/ ? ($1 => 1) : () } keys %{$metrics};
    is_deeply([grep { !$given{$_} } sort keys %asked], [], 'every metric that the dashboard asks for is there');
}
done_testing();
