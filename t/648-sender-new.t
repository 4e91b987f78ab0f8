#!/usr/bin/perl
# Rules that ask whether a sender is new are told so from the first message of a first start on.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder run spew wait_until);
use Rig::Milter;
use Test::More;

plan skip_all => 'built without YARA' if (run(q{}, $ENV{MAILWITNESS}, '--version'))[0] !~ /YARA/;
my $rules = spew(folder() . '/sender.yar', 'rule stranger { condition: sender_new }');
my $folder = folder();
my %settings = (yara => { rules => $rules }, milter => { clean => 'tag', suspicious => 'tag' }, workers => { count => 1 });
my $message = "From: Ana <%s>\r\nContent-Type: application/octet-stream; name=a.bin\r\n\r\nbytes\r\n";

# Whether the rule matched a message of this sender.
sub stranger {
    my ($daemon, $sender) = @_;
    my $link = $daemon->connection;
    $link->hello;
    my $result = $link->message(sprintf($message, $sender), verbatim => 1);
    $link->quit;
    return "@{ Rig::Milter->added($result)->{'X-Mailwitness-Findings'} || ['nothing'] }" =~ /stranger/ ? 'new' : 'known';
}

my $filter = sub { return "filter: { from: { file = \"$folder/$_[0]\"; capacity = 1000; }; };\n" };
my $daemon = Rig::Milter->daemon(%settings, more => $filter->('one'));
is(stranger($daemon, 'ana@example.com'), 'new', 'on an empty folder the first sender is new');
is(stranger($daemon, 'ana@example.com'), 'known', '... and known from then on');
is(stranger($daemon, 'bob@example.com'), 'new', '... while another one is new');

$daemon->configure(%settings, more => $filter->('two'));
is((run(q{}, $ENV{MAILWITNESS}, 'reload', '--socket', $daemon->{control}))[1], 0, 'a reload names another file');
is(stranger($daemon, 'ana@example.com'), 'new', '... which is made: its first sender is new');
is(stranger($daemon, 'ana@example.com'), 'known', '... and known from then on');
$daemon->stop;
$daemon->start;
is(stranger($daemon, 'ana@example.com'), 'known', 'a start finds what was there');
$daemon->stop;

# New for a while, and what passes in that time.
my $lasting = sub { return "filter: { from: { file = \"$folder/lasting\"; capacity = 1000; new_for = \"$_[0]\"; }; };\n" };
sub header_new {
    my ($address) = @_;
    my $link = $daemon->connection;
    $link->hello;
    my $result = $link->message(sprintf($message, $address), verbatim => 1);
    $link->quit;
    return (Rig::Milter->added($result)->{'X-Mailwitness-Sender-New'} || ['nothing'])->[0];
}
$daemon->configure(%settings, more => $lasting->('1d'));
$daemon->start;
is(stranger($daemon, 'ana@example.com'), 'new', 'with new_for a stranger is new');
is(stranger($daemon, 'ana@example.com'), 'new', '... and stays it for rules, a second later');
is(header_new('ana@example.com'), 'yes', '... and in the header');
$daemon->stop;
$daemon->start;
is(stranger($daemon, 'ana@example.com'), 'new', '... also after a start');
$daemon->configure(%settings, more => $lasting->('1s'));
is((run(q{}, $ENV{MAILWITNESS}, 'reload', '--socket', $daemon->{control}))[1], 0, 'a reload says how long');
ok(wait_until(20, sub { stranger($daemon, 'ana@example.com') eq 'known' }), '... and when the time has passed, the stranger is known to rules');
is(header_new('ana@example.com'), 'no', '... and in the header');
is(stranger($daemon, 'bob@example.com'), 'new', '... while another one is new');
$daemon->stop;
spew("$folder/lasting.recent", 'something else');
my ($mistake, $failed) = run(q{}, "$ENV{top_builddir}/mailwitnessd", '-t', '-c', $daemon->{conf});
ok($failed == 1 && $mistake =~ m{filter 'from'.*\Q$folder\E/lasting[.]recent.*remove it}s, 'a damaged table of recent senders is named by the check') or diag("$failed: $mistake");

my $away = spew("$folder/away.conf", "milter: { listen = \"unix:$folder/s\"; control = \"\"; };\nfilter: { from: { file = \"$folder/no/where\"; }; };\n");
my ($said, $status) = run(q{}, "$ENV{top_builddir}/mailwitnessd", '-f', '-c', $away);
ok($status == 1 && $said =~ m{filter 'from': .*\Q$folder\E/no}, 'a folder that is missing is named') or diag($said);
done_testing();
