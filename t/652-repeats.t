#!/usr/bin/perl
# A message that ends workers, or takes them too long, does so once: when it comes again it
# meets the same condition at once, and is not put off for ever.
use strict;
use warnings;
use IO::Select;
use JSON::PP;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder slurp spew wait_until);
use Rig::Milter;
use Test::More;
use Time::HiRes qw(sleep);

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
plan skip_all => 'built without YARA' if scalar(qx($mailwitness --version)) !~ /YARA/;
my $files = folder();
# Over messages that ask for it a worker sits until it is ended.
spew("$files/slow.yar", 'rule slow { strings: $a = "slowly please" condition: $a and for all i in (0..200000000000) : (uint8(i % 10) != 256) }');
my %usual = (yara => { message_rules => "$files/slow.yar" }, limits => { time => '100s' }, milter => { clean => 'tag' });
my $daemon = Rig::Milter->daemon(%usual);
my $link = $daemon->connection;
$link->hello(address => '192.0.2.9');
my $header = "From: Ana <ana\@example.com>\r\nSubject: again\r\n";

sub ask { return decode_json(scalar qx($mailwitness $_[0] --json --socket $daemon->{control})) }

sub below {
    my ($pid) = @_;
    my @children = map { split ' ', slurp($_) } glob "/proc/$pid/task/*/children";
    return (@children, map { below($_) } @children);
}
sub workers { return grep { my @under = below($_); !@under } below($daemon->{pid}) }

# What becomes of a message over which each worker is killed until it is answered.
sub die_over {
    my ($text) = @_;
    $link->envelope;
    $link->content("$header\r\n$text\r\n");
    $link->command('E');
    my $select = IO::Select->new($link->{socket});
    for (1 .. 300) {
        last if $select->can_read(0.2);
        kill 'KILL', workers();
    }
    return $link->result;
}

# The same message when nobody does anything to it.
sub again { my ($text) = @_; return $link->message("$header\r\n$text\r\n") }
sub verdict { my ($result) = @_; return Rig::Milter->added($result)->{'X-Mailwitness-Verdict'}[0] // q{} }
sub read_by_workers { my $workers = ask('status')->{workers}; return $workers->{done} + $workers->{failed} }

my $deadly = 'slowly please, and deadly';
is(die_over($deadly)->{end}, 'y', 'a message over which workers die is put off');
my $read = read_by_workers();
is(again($deadly)->{end}, 'y', '... again when it comes a second time');
is(again($deadly)->{end}, 'y', '... and a third time');
my $result = again($deadly);
is($result->{end}, 'a', '... but not a fourth time');
like(verdict($result), qr/^unscanned \(worker_crashed\)/, '... when it is tagged with what it does');
is(verdict(again($deadly)), verdict($result), '... and so it is from then on');
is(read_by_workers(), $read, '... of all of which no worker saw anything');
like($daemon->log_text, qr/not scanned: .*died; not tried again/, '... as the log tells');
is(verdict(again('another one')), 'clean', 'another message is scanned');

$daemon->configure(%usual, milter => { repeat_most => 1, repeated => 'quarantine', clean => 'tag' }, limits => { time => '1s' });
qx($mailwitness reload --socket $daemon->{control});
is($? >> 8, 0, 'rules and options are read again');
$result = again($deadly);
like(verdict($result), qr/^unscanned \(timed_out\)/, '... after which it is scanned again, within its time');
cmp_ok(read_by_workers(), '>', $read, '... by a worker');
$read = read_by_workers();
like(verdict(again($deadly)), qr/^unscanned \(timed_out\)/, 'what took too long is not scanned again either');
is(read_by_workers(), $read, '... but meets its condition at once');

is(die_over("$deadly too")->{end}, 'y', 'of others how often they are put off is as it is configured');
again("$deadly too");
ok($daemon->wait_log(qr/action=quarantine .*failed=worker_crashed/), '... and so is what is done then');

$daemon->configure(%usual, workers => { remember_crashes => '0' });
qx($mailwitness reload --socket $daemon->{control});
is(die_over($deadly)->{end}, 'y', 'where nothing is to be remembered it is put off');
$read = read_by_workers();
is(die_over($deadly)->{end}, 'y', '... each time');
cmp_ok(read_by_workers(), '>', $read, '... by workers who read it');
$link->quit;
done_testing();
