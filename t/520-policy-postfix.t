#!/usr/bin/perl
# Decisions as a real mail server carries them out: a rule for each recipient's name.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder spew);
use Rig::Milter;
use Rig::Postfix;
use Test::More;

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }

sub rule {
    my ($name, $what) = @_;
    return qq({ name = "$name"; when: { recipient = "$name\@*"; }; $what });
}
my $rules = join ",\n",
    rule('refused', 'action = "reject"; text = "554 5.7.9 no: 100% sure, %s ${sender}\nsecond ${id}";'),
    rule('foreign', 'action = "reject"; text = "für ${recipient}";'),
    rule('later', 'action = "tempfail"; text = "450 4.3.9 later";'),
    rule('held', 'action = "quarantine"; reason = "100% ${verdict}";'),
    rule('thrown', 'action = "discard";'),
    rule('moved', 'action = "accept"; redirect = "elsewhere@example.org";'),
    rule('copied', 'action = "accept"; add_recipient = "watch@example.org";'),
    rule('noted', 'action = "accept"; add_header = "X-Note: Grüße an ${recipient}"; set_header = "X-Spam: yes";'),
    rule('marked', 'action = "accept"; subject_prefix = "[fällt auf]";'),
    rule('plain', 'action = "accept";'),
    rule('tagged', 'action = "tag";');
# With a rule that finds nothing: without any, all mail is unscanned and never accepted untagged.
my @yara = (yara => { rules => spew(folder() . '/none.yar', 'rule nothing { condition: false }') });
my $milter = Rig::Milter->daemon(@yara, more => "filter: { };\npolicy: (\n$rules\n);\n");
my $postfix = Rig::Postfix->new(milters => ["unix:$milter->{socket}"]);

my $message = "X-Mailwitness-Verdict: clean\nSubject: =?utf-8?q?h=C3=A9?=\n llo\nx-mailwitness-ID: 1\n"
    . "X-Mailwitness-Verdict : sneaky\nX-Spam: no\nX-Mailwitness-Verdict: clean\nx-spam: never\n\nbody\n";

# What comes of the message for these recipients: the answer, and the mail as delivered.
sub send_to {
    my (@to) = @_;
    my $answer = $postfix->send($message, to => [map {"$_\@example.org"} @to]);
    $answer->{mail} = $answer->{code} == 250 ? $postfix->delivered($answer->{queue_id}, 10) : undef;
    return $answer;
}

# Addresses that a message was delivered to, from the log.
sub reached {
    my ($answer) = @_;
    $postfix->wait_log(qr/\b$answer->{queue_id}: removed/);
    my %to = map { $_ => 1 } $postfix->log_text($answer->{queue_id}) =~ /to=<(\S+?)\@example[.]org>/g;
    return join q{ }, sort keys %to;
}

my $answer = send_to('refused');
is($answer->{code}, 554, 'a refused message has the code of its rule');
like($answer->{text}, qr/\A5[.]7[.]9 no: 100% sure, %s ana\@example[.]com\n5[.]7[.]9 second [0-9a-f-]{36}\z/,
    '... and its lines, with per cent signs as they are');
$answer = send_to('foreign');
is($answer->{text}, '5.7.1 f?r foreign@example.org', 'words are ASCII for a client without SMTPUTF8');
$answer = $postfix->send($message, to => 'foreign@example.org', mail => 'SMTPUTF8');
is($answer->{text}, "5.7.1 f\xc3\xbcr foreign\@example.org", '... and UTF-8 for one with it');
$answer = send_to('later');
is("$answer->{code} $answer->{text}", '450 4.3.9 later', 'a message that is to come again is told so');

$answer = $postfix->send($message, to => 'held@example.org');
is($answer->{code}, 250, 'a message for quarantine is taken');
ok($postfix->wait_log(qr/\b$answer->{queue_id}: milter-hold/), '... which the log says')
    or diag($postfix->log_text($answer->{queue_id}));
is_deeply([$postfix->queued('hold')], [$answer->{queue_id}], '... and lies in the hold queue');

$answer = $postfix->send($message, to => 'thrown@example.org');
is($answer->{code}, 250, 'a discarded message is taken');
ok($postfix->wait_log(qr/milter-discard/), '... and thrown away') or diag($postfix->log_text);

$answer = send_to('plain');
unlike($answer->{mail}, qr/x-mailwitness/i, 'accepted mail has no header of ours, and no forged one');
like($answer->{mail}, qr/^Subject: =\?utf-8\?q\?h=C3=A9\?=\n llo\n(?:.+\n)*\nbody\n\z/m, '... and is the same otherwise');

$answer = send_to('tagged');
my @ours = $answer->{mail} =~ /^(x-mailwitness[^:]*: .*)$/mig;
is(scalar @ours, 2, 'tagged mail has our headers and no forged one') or diag($answer->{mail});
like($ours[0], qr/^X-Mailwitness-Id: [0-9a-f-]{36}$/, '... its id');
like($ours[1], qr/^X-Mailwitness-Verdict: \w+/, '... and its verdict');
like($answer->{mail}, qr/^X-Mailwitness-Verdict: .*\n(?:.+\n)*?Subject:/m, '... above the headers that came');

$answer = send_to('moved');
is(reached($answer), 'elsewhere', 'redirected mail goes there alone');
$answer = send_to('moved', 'plain');
is(reached($answer), 'elsewhere plain', '... and other recipients keep theirs');
$answer = send_to('copied');
is(reached($answer), 'copied watch', 'a recipient is added');
$answer = send_to('thrown', 'plain');
is(reached($answer), 'plain', 'a discard for one of two is for that one');
$answer = send_to('refused', 'plain');
is($answer->{code}, 554, 'a refusal for one of two is for both');

$answer = send_to('noted');
like($answer->{mail}, qr/^X-Note: =\?UTF-8\?Q\?Gr=C3=BC=C3=9Fe\?= an noted\@example[.]org$/m, 'a header is added, encoded');
is(join(q{|}, $answer->{mail} =~ /^(x-spam: .*)$/mig), 'X-Spam: yes', 'a header is set in the place of all of its name');
$answer = send_to('marked');
like($answer->{mail}, qr/^Subject: =\?UTF-8\?Q\?=5Bf=C3=A4llt\?= auf\] =\?utf-8\?q\?h=C3=A9\?=\n llo\n/m, 'a subject is marked and kept')
    or diag($answer->{mail});

$milter->stop;
$milter->configure(@yara, more => "filter: { };\npolicy: (\n$rules\n);\n", milter => { recipients => 'each', removed => 'quarantine', removed_to => 'watch@example.org' });
$milter->start;
$answer = $postfix->send($message, to => ['refused@example.org', 'plain@example.org']);
is($answer->{code}, 250, 'with "each" a refusal for one of two lets the other through');
is_deeply([grep { $_ eq ($answer->{queue_id} // q{}) } $postfix->queued('hold')], [$answer->{queue_id}], '... or holds it, by setting');
$milter->stop;
$milter->configure(@yara, more => "filter: { };\npolicy: (\n$rules\n);\n", milter => { mode => 'observe' });
$milter->start;
for my $to (qw(refused later held thrown moved marked tagged)) {
    $answer = send_to($to);
    is($answer->{code}, 250, "observing, mail to '$to' is accepted");
    (my $got = $answer->{mail} // q{}) =~ s/\AReceived:.*\n(?:[ \t].*\n)*//;
    $got =~ s/^(?:Message-Id|Date|From): .*\n//mig;
    (my $same = $message) =~ s/Verdict :/Verdict:/;
    is($got =~ s/Verdict :/Verdict:/r, $same, '... and delivered as it came');
    is(reached($answer), $to, '... to whom it was sent');
}
done_testing();
