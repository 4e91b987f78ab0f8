#!/usr/bin/perl
# Rules that ask whether a sender is new are told so from the first message of a first start on.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder run spew);
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

my $away = spew("$folder/away.conf", "milter: { listen = \"unix:$folder/s\"; control = \"\"; };\nfilter: { from: { file = \"$folder/no/where\"; }; };\n");
my ($said, $status) = run(q{}, "$ENV{top_builddir}/mailwitnessd", '-f', '-c', $away);
ok($status == 1 && $said =~ m{filter 'from': .*\Q$folder\E/no}, 'a folder that is missing is named') or diag($said);
done_testing();
