#!/usr/bin/perl
# mailwitness spool and mailwitness store check: what administrators can rely on.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use RedisServer qw(:DEFAULT run);
use JSON::PP;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $redis = RedisServer->new;
my $config = $redis->config;

my ($text, $status) = run(qw(spool list --config), $config);
ok($status == 2 && $text =~ m{/spool: No such file}, 'a spool that was never used is told');
my ($first) = feed($config, 40, 4, 0, 5000);
($text, $status) = run(qw(spool list --config), $config);
is("$text$status", '1', 'nothing waits while Redis takes messages: exit 1');
$redis->stop;
my ($kept) = feed($config, 30, 3);
($text, $status) = run(qw(spool list --json --config), $config);
my @lines = map { decode_json($_) } split /\n/, $text;
is_deeply([sort map { $_->{id} } @lines], [sort keys %{$kept}], 'what waits is listed, each once, exit 0');
# store_feed makes message N: its subject and sender follow from N.
sub subject { return "Invoice $_[0] for your order of last week" }
is_deeply([sort map { "$_->{subject} $_->{from}" } @lines], [sort map { subject($_) . " sender$_\@example.net" } 0 .. 29],
    '... with what it is');
is_deeply([grep { $_->{bytes} < 1000 } @lines], [], '... and how large');
($text, $status) = run(qw(spool list --config), $config);
is_deeply([sort $text =~ /(sender\d+\@example\.net)/g], [sort map { "sender$_\@example.net" } 0 .. 29], '... also as a table');
my $id = $lines[7]{id};
($text, $status) = run(qw(spool show), $id, '--config', $config);
my $shown = decode_json($text);
my ($number) = $shown->{subject} =~ /^Invoice (\d+) /;
is_deeply([@{$shown}{qw(id queue_id message_id)}, $shown->{envelope}{from}],
    [$id, sprintf('4XyZ%06dq', $number), "$number.20261102.abcdef\@mail.example.net", "sender$number\@example.net"], 'the report of one is shown');
is($shown->{subject}, $lines[7]{subject}, '... of the one that was asked for');
($text, $status) = run(qw(spool show none --config), $config);
ok($status == 2 && $text =~ /no message none waits in/, 'one that is not there is named');
($text, $status) = run(qw(spool flush --wait 1 --config), $config);
ok($status == 2 && $text =~ /^0 messages brought.*30 wait/m && $text =~ /takes no writes: /, 'without Redis nothing is flushed, and why is told');
$redis->start;
($text, $status) = run(qw(spool flush --config), $config);
is("$text$status", "30 messages brought to Redis, 0 wait, 0 are set aside as refused\n0", 'with Redis everything is');
is_deeply([missing($redis, $kept)], [], '... and there it is');
($text) = run(qw(spool list --recent --json --config), $config);
# A message that was under way when Redis went may be noted twice.
my %recent = map { $_->{id} => 1 } map { decode_json($_) } split /\n/, $text;
is_deeply([sort keys %recent], [sort keys %{$first}, keys %{$kept}], 'what Redis took is kept for a while');
($text, $status) = run(qw(spool lits));
ok($status == 2 && $text =~ /did you mean 'list'/, 'a mistyped subcommand gets a suggestion');

# A byte of the second message changes on the disk while it waits.
$redis->stop;
my ($three) = feed($config, 3, 1);
my ($file) = glob "$redis->{dir}/spool/wait-*.spool";
open my $spool, '+<:raw', $file or die $!;
read $spool, my $bytes, -s $spool;
my $second = index $bytes, 'MWSP', index($bytes, 'MWSP', 48) + 1;
seek $spool, $second + 100, 0;
print {$spool} chr(1 ^ ord substr $bytes, $second + 100, 1);
close $spool or die $!;
($text, $status) = run(qw(spool list --json --config), $config);
my ($sound, $damaged, $other_sound) = sort keys %{$three};    # ids rise
ok($status == 0 && $text =~ /1 damaged records were skipped/, 'of three messages that wait a damaged one is told') or diag($text);
is_deeply([sort $text =~ /"id":\s*"([^"]+)"/g], [$sound, $other_sound], '... the others are listed');
$redis->start;
($text, $status) = run(qw(spool flush --config), $config);
like($text, qr/^2 messages brought to Redis, 0 wait/, '... and brought to Redis');
is_deeply([missing($redis, $three)], [$damaged], '... where all but the damaged one are');
($text, $status) = run(qw(spool list --config), $config);
like($text, qr{/spool/wait-\d+\.spool\.damaged is kept}, '... and the file that has it is kept, and listed');
unlink "$file.damaged" or die $!;
feed($config, 1, 1, 0, 5000); # tells Redis again, which was started empty

# What Redis has in its sorted sets, read without the tool: "key member" => 1.
sub entries {
    return map { my $key = $_; map { ("$key $_" => 1) } $redis->ask('ZRANGE', $key, 0, -1) }
        grep { $redis->ask('TYPE', $_) eq 'zset' } $redis->ask('KEYS', 'mw:*');
}

# Redis was started empty: what it took before was told again, so all 73 are there.
($text, $status) = run(qw(store check --json --config), $config);
my $check = decode_json($text);
is($status, 0, 'what the store wrote fits together') or diag($text);
is_deeply([@{$check}{qw(messages dangling unindexed orphans timeless)}], [73, 0, 0, 0, 0], '... and is counted');
my ($some, $other) = sort keys %{$kept};
my %before = entries();
# Messages that were fed share queue ids; which these two have depends on the ids' random ends.
my $queue = 'mw:index:queue-id:' . $redis->cli('hget', "mw:message:$other", 'queue_id');
my $sharing = grep { /^\Q$queue\E / && !/ \Q$some\E$/ } keys %before;
$redis->cli('del', "mw:message:$some");
$redis->cli('zrem', 'mw:messages', $other);
$redis->cli('del', $queue);
my ($hash) = split /\n/, $redis->cli(qw(zrange mw:attachments 0 0));
$bytes = $redis->cli(qw(zrange mw:attachments -1 -1));
$redis->cli('del', "mw:attachment:$hash");
$redis->cli('del', "mw:data:$bytes");
$redis->cli(qw(persist mw:index:verdict:clean));
($text, $status) = run(qw(store check --json --config), $config);
$check = decode_json($text);
is($status, 1, 'what was broken by hand is found: exit 1');
my %broken = entries();
is($check->{dangling}, scalar(grep { / \Q$some\E$/ || $_ eq "mw:attachments $hash" } keys %broken),
    '... all entries of the message and the attachment that are gone');
is($check->{unindexed}, $sharing, '... messages that are not found, by anything or by their queue id');
is($check->{orphans}, scalar(grep { $redis->cli('exists', $_) } "mw:data:$hash", "mw:attachment:$hash:names", "mw:message:$some:attachments"),
    '... bytes and names without facts, and a list without its message');
is_deeply([@{$check}{qw(timeless without_bytes mended)}], [1, 1, 0], '... a key without an end, and nothing is touched');
($text, $status) = run(qw(store check --mend --config), $config);
is($status, 0, '--mend mends it') or diag($text);
($text, $status) = run(qw(store check --json --config), $config);
$check = decode_json($text);
is($status, 0, '... so that all fits together again') or diag($text);
is_deeply({ entries() }, { map { $_ => 1 } grep { !/ \Q$some\E$/ } keys %before },
    '... and each message that there is is found by everything as before, and no other one');
is($redis->cli('zscore', 'mw:messages', $other) > 1e12, 1, '... in its place');
is($redis->cli('exists', "mw:data:$hash", "mw:attachment:$hash"), 2, '... and the attachment has its bytes and facts');
is($redis->cli('zcard', $queue), $sharing, '... by its queue id too, as others that had the same');
cmp_ok($redis->cli(qw(ttl mw:index:verdict:clean)), '>', 1000, '... and the key has an end');
open my $empty, '>', "$redis->{dir}/empty" or die $!;
close $empty or die $!;
($text, $status) = run(qw(store check --config), "$redis->{dir}/empty");
ok($status == 2 && $text =~ /names no Redis/, 'without a Redis in the configuration that is told');
($text, $status) = run(qw(store));
ok($status == 2 && $text =~ /say check/, 'a subcommand is asked for');
$redis->stop;
($text, $status) = run(qw(store check --config), $config);
ok($status == 2 && $text =~ /cannot connect to unix:/, 'Redis away is told');
done_testing();
