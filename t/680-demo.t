#!/usr/bin/perl
# What contrib/try shows is what it promises, and nothing stays behind.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder run wait_until);
use Rig::Daemon;
use Rig::Postfix;
use Test::More;

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }
my $engines = Rig::Daemon::engines();
if (!$engines->{yara} || !$engines->{clamav}) { plan skip_all => 'built without YARA or ClamAV' }

$ENV{MW_RIG_FOLDER} = folder();
my @demo = ($^X, "$ENV{top_srcdir}/contrib/demo/through-postfix");
my ($text, $status) = run(q{}, @demo);
is($status, 0, 'the demonstration runs') or diag($text);
my ($clean, $again, $virus, $macro, $torn) = $text =~ /^\d[.] .*?(?=^\d[.] |^What stays)/msg;
my ($rest) = $text =~ /^(What stays.*)/ms;
like($clean, qr/Verdict: clean.*Sender-New: yes/s, 'a clean mail is delivered, its sender is new');
like($again, qr/Verdict: clean.*Sender-New: no/s, 'the second time she is not');
like($virus, qr/answer +550 5[.]7[.]1 .*milter-reject/s, 'EICAR in a zip is refused, postfix says so in its log');
like($macro, qr/Verdict: suspicious.*office_macro_autorun/s, 'a macro is tagged with the rule that found it');
like($torn, qr/Verdict: unscanned/, 'what cannot be read is called unscanned');
# In whatever order Redis gives the fields of a hash.
like($rest, qr/^ +name +invoice[.]zip$/m, 'Redis tells of the refused file');
like($rest, qr/^ +findings +.*Mailwitness[.]Test[.]EICAR/m, '... and what was found in it');
like($rest, qr/ana\@example[.]com: seen.*2 messages stored\n.*eve\@example[.]net: not known to the filter; 1 message stored\n.*nobody\@example[.]net: never seen\n/s,
    'mailwitness seen knows whose mail was taken, and who else wrote');
is_deeply([glob "$ENV{MW_RIG_FOLDER}/*"], [], 'no folder stays');

($text, $status) = run(q{}, @demo, '--keep');
my ($pid) = $text =~ /kill (\d+)$/m;
ok($status == 0 && $pid && kill(0, $pid), 'with --keep it goes on after the command has ended') or diag($text);
my ($port) = $text =~ /--server 127[.]0[.]0[.]1:(\d+)/;
my $greeting = eval { (run(q{}, 'swaks', '--server', "127.0.0.1:$port", '--to', 'bob@example.org', '--quit-after', 'RCPT'))[0] };
like($greeting, qr/^<-  250 2[.]1[.]5 Ok/m, '... and can be sent mail to');
kill 'TERM', $pid if $pid;
ok(wait_until(30, sub { !glob "$ENV{MW_RIG_FOLDER}/*" }), '... until the command that it tells');
ok(wait_until(10, sub { !kill 0, $pid }), '... has ended all of it');
done_testing();
