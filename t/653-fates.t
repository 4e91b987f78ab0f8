#!/usr/bin/perl
# What became of each recipient: in the log, the report, Redis, and whatever is made of these.
use strict;
use warnings;
use JSON::PP;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder run);
use Rig::Mail qw(message);
use Rig::Milter;
use Rig::Redis;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $redis = Rig::Redis->new;
my $policy = <<'END';
filter: { };
policy: (
  { name = "no"; when: { recipient = "bob@*"; }; action = "reject"; },
  { name = "there"; when: { recipient = "cid@*"; }; action = "accept"; redirect = "watch@example.org"; }
);
END
my $daemon = Rig::Milter->daemon(milter => { recipients => 'each', removed_to => 'kept@example.org' },
    redis => { address => $redis->address }, spool => { folder => folder() }, more => $policy);

sub deliver {
    my (%options) = @_;
    my $connection = $daemon->connection;
    $connection->hello;
    my $result = $connection->message(message(subject => 'hello', %options), %options);
    $connection->quit;
    return $result;
}
sub from_store { my @words = @_; return run(q{}, $mailwitness, @words, '--config', $daemon->{conf}) }

my @all = map {"$_\@example.org"} qw(ann bob cid);
deliver(to => \@all, queue_id => 'FIRST');
ok($daemon->wait_log(qr/FIRST: id=\S+ recipient=<bob/), 'a recipient that is removed has a line in the log') or diag($daemon->log_text);
my ($id) = $daemon->log_text =~ /FIRST: id=(\S+)/;
my $log = join "\n", grep {/recipient=/} split /\n/, $daemon->log_text;
like($log, qr/recipient=<bob\@example[.]org> action=reject by=policy[.]no moved_to=<kept\@example[.]org>$/m, '... with what decided and who gets it instead');
like($log, qr/recipient=<cid\@example[.]org> action=tag by=policy[.]there moved_to=<watch\@example[.]org>$/m, '... and so has one that is redirected');
like($log, qr/recipient=<kept\@example[.]org> action=tag by=policy[.]no added_for=<bob\@example[.]org>$/m, '... and one that was added');
unlike($log, qr/recipient=<ann/, 'who fares as the message does has none');
is(scalar(() = $log =~ /recipient=/g), 4, '... and nobody is told twice');

my $facts = $redis->hash("mw:message:$id");
like($facts->{recipients} // q{}, qr/bob\@example[.]org=reject by policy[.]no, moved to kept\@example[.]org/, 'Redis has it as a fact');
my ($text, $status) = from_store('show', '--json', $id);
my %fates = map { $_->{address} => $_ } @{ (eval { decode_json($text) } || {})->{recipients} || [] };
is_deeply($fates{'bob@example.org'}, { address => 'bob@example.org', action => 'reject', by => 'policy.no', moved_to => 'kept@example.org' }, 'the report says what became of each');
is_deeply($fates{'ann@example.org'}, { address => 'ann@example.org', action => 'tag', by => 'milter.unscanned' }, '... of those that got it, too') or diag($text);
is($fates{'watch@example.org'}{added_for}, 'cid@example.org', '... and of those that were added');
($text) = from_store('show', $id);
like($text, qr/but for\s+bob\@example[.]org=reject by policy[.]no, moved to kept\@example[.]org/, 'show tells it to people');
like($text, qr/verdict\s+unscanned, tag by milter[.]unscanned/, '... and what decided about the message');
($text) = from_store('search', '--json', '--to', 'bob@example.org');
like((eval { decode_json($text) } || {})->{recipients} // q{}, qr/bob\@example[.]org=reject/, 'search has it as JSON') or diag($text);
($text) = from_store('export', '--format', 'csv', '--to', 'bob@example.org');
like($text, qr/^id,.*,recipients\r?\n.*bob\@example[.]org=reject by policy[.]no/, 'the CSV has a column for it') or diag($text);
($text) = from_store('export', '--format', 'ecs', '--to', 'bob@example.org');
my ($bob) = grep { $_->{address} =~ /bob/ } @{ (eval { decode_json($text) } || {})->{mailwitness}{recipients} || [] };
is("$bob->{action} $bob->{moved_to}", 'reject kept@example.org', '... and so has ECS') or diag($text);

deliver(to => ['ann@example.org'], queue_id => 'SECOND');
my ($second) = $daemon->log_text =~ /SECOND: id=(\S+)/;
$facts = $redis->hash("mw:message:$second");
ok($facts->{action} && !$facts->{recipients}, 'where all fare alike there is no such fact');
$daemon->stop;
$redis->stop;
done_testing();
