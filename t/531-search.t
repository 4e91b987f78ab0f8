#!/usr/bin/perl
# Finding stored messages and attachments again: search, show, attachment, export, tail.
use strict;
use warnings;
no warnings 'portable'; # times of ids are hexadecimal numbers of 48 bits
use lib "$ENV{top_srcdir}/t/lib";
use Digest::SHA qw(sha256_hex);
use JSON::PP;
use RedisServer;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
$ENV{LC_ALL} = 'C.UTF-8';
$ENV{TZ} = 'UTC';
my $redis = RedisServer->new;
my $config = $redis->config;
my $dir = $redis->{dir};
my $count = 1200;
my ($stored) = feed($config, $count, 1, 0, 5000);
my @all = sort keys %{$stored};
is(scalar @all, $count, 'the messages to look for are stored');

# Standard output, standard error, exit status.
sub run {
    my (@words) = @_;
    my ($command, @rest) = @words;
    my $pid = open my $out, '-|';
    if (!$pid) {
        open STDERR, '>', "$dir/stderr" or die $!;
        exec $mailwitness, $command, @rest or die $!;
    }
    my $text = do { local $/; <$out> } // q{};
    close $out;
    my $status = $? >> 8;
    open my $errors, '<', "$dir/stderr" or die $!;
    return ($text, $status, do { local $/; <$errors> } // q{});
}

sub ids {
    my ($text) = run('search', '--config', $config, '--ids', '--limit', 0, @_);
    return [sort split /\n/, $text];
}

# --- search: each condition against what the generator says of each message -----------------

my @by_number = @all; # ids rise with the numbers of the messages: one thread made them
my %numbers = map { $by_number[$_] => $_ } 0 .. $#by_number;
sub expected { my ($which) = @_; return [grep { local $_ = $numbers{$_}; $which->() } @all] }
my @cases = (
    [['--from', 'Sender7@Example.NET'], sub { $_ % 50 == 7 }, 'an exact sender, in any case'],
    [['--from', '*er7@example.net'], sub { $_ % 50 == 7 }, 'a pattern of senders'],
    [['--from', 'example.net'], sub { 1 }, 'a domain of senders'],
    [['--from', 'xample.net'], sub { 0 }, '... all of the domain, not a part'],
    [['--envelope-from', 'sender7@example.net'], sub { $_ % 50 == 7 }, 'the sender in the envelope'],
    [['--to', 'user3@example.org'], sub { $_ % 30 == 3 }, 'a recipient'],
    [['--to', 'user1?@example.org'], sub { $_ % 30 >= 10 && $_ % 30 < 20 }, 'a pattern of recipients'],
    [['--subject', 'INVOICE 77 for'], sub { $_ == 77 }, 'a part of the subject, in any case'],
    [['--subject', 'Invoice 1?? *'], sub { $_ >= 100 && $_ < 200 }, 'a pattern for all of the subject'],
    [['--filename', 'report-12.PDF'], sub { $_ % 1000 == 12 }, 'a file name'],
    [['--filename', 'report-1?2.pdf'], sub { $_ % 2 == 0 && $_ % 10 != 0 && $_ % 1000 >= 100 && $_ % 1000 < 200 && $_ % 10 == 2 }, 'a pattern of file names'],
    [['--type', 'pdf'], sub { $_ % 2 == 0 }, 'a part of the file type'],
    [['--type', 'application/zip'], sub { 0 }, 'a type that never came'],
    [['--client', '192.0.2.9'], sub { $_ % 200 == 9 }, 'the address of the client'],
    [['--client', '192.0.2.0/30'], sub { $_ % 200 < 4 }, 'a network of clients'],
    [['--client', 'mail3.*'], sub { $_ % 9 == 3 }, 'a pattern of client names'],
    [['--url-host', 'www.example.com'], sub { 1 }, 'the host of a link'],
    [['--url-host', '*.example.com'], sub { 1 }, 'a pattern of hosts'],
    [['--verdict', 'clean'], sub { 1 }, 'a verdict'],
    [['--verdict', 'malicious'], sub { 0 }, 'another one'],
    [['--queue-id', '4XyZ000042q'], sub { $_ == 42 }, 'a queue id'],
    [['--message-id', '<42.20261102.abcdef@mail.example.net>'], sub { $_ == 42 }, 'a Message-ID with its brackets'],
    [['--from', 'sender7@example.net', '--to', 'user27@example.org'], sub { $_ % 50 == 7 && $_ % 30 == 27 }, 'two exact conditions'],
    [['--from', 'sender2@example.net', '--filename', 'report-*', '--subject', '2'], sub { $_ % 50 == 2 && /2/ }, 'exact ones, patterns and parts together'],
);
for my $case (@cases) {
    my ($words, $which, $name) = @{$case};
    is_deeply(ids(@{$words}), expected($which), "search finds $name");
    my ($text) = run('search', '--config', $config, '--count', @{$words});
    is($text + 0, scalar @{expected($which)}, '... and counts as many') if @{$words} <= 2;
}

my ($text, $status, $errors) = run('search', '--config', $config, '--from', 'sender7@example.net');
is($status, 0, 'something found is exit 0');
is(() = $text =~ /sender7\@example[.]net/g, 20, 'a page has 20');
like($errors, qr/there are more \(--limit\)/, '... and says that there are more');
my ($first) = $text =~ /(\S+)\n\z/m;
like((split /\n/, $text)[1], qr/\Q@{[(grep { $numbers{$_} % 50 == 7 } @all)[-1]]}\E$/, 'the newest comes first');
(undef, $status) = run('search', '--config', $config, '--from', 'nobody@example.com');
is($status, 1, 'nothing found is exit 1');
($text) = run('search', '--config', $config, '--json', '--queue-id', '4XyZ000042q');
my $found = decode_json($text);
is_deeply([@{$found}{qw(id subject attachments verdict)}], [$by_number[42], 'Invoice 42 for your order of last week', 1, 'clean'], '--json has the facts');

my $middle = $by_number[$count / 2];
my $ms = hex(substr($middle =~ tr/-//dr, 0, 12));
my $until = sprintf '@%.3f', $ms / 1000;
is(scalar @{ids('--until', $until)}, scalar(grep { hex(substr(tr/-//dr, 0, 12)) <= $ms } @all), '--until bounds the walk to the millisecond');
is_deeply(ids('--since', '1 hour ago'), \@all, '--since takes times as people write them');
is_deeply(ids('--until', 'yesterday'), [], '... and --until');

for my $case (
    [['--sha256', 'abc'], qr/--sha256: 'abc' is not 64 hexadecimal digits/],
    [['--md5', 'x' x 32], qr/--md5: .* is not 32 hex/],
    [['--verdict', 'bad'], qr/none of clean, suspicious, malicious, unscanned/],
    [['--since', 'tomorow'], qr/--since: 'tomorow' is no time; write/],
    [['--since', 'today', '--until', 'yesterday'], qr/nothing can match/],
    [['--client', '192.0.2.1/24'], qr/192[.]0[.]2[.]0\/24/],
    [['--form', 'x'], qr/did you mean '--from'/],
    [['ana@example.com'], qr/as in --from ana\@example.com/],
    [['--limit', 'many'], qr/--limit: 'many' is no number/],
    ) {
    ($text, $status, $errors) = run('search', '--config', $config, @{$case->[0]});
    ok($status == 2 && $errors =~ $case->[1], "search @{$case->[0]} is refused with a reason") or diag($errors);
}
($text, $status, $errors) = run('search', '--redis', "unix:$dir/nowhere");
ok($status == 2 && $errors =~ m{unix:\Q$dir\E/nowhere} && $errors =~ /--redis says/, 'a Redis that is not there is named, with the option');
open my $empty, '>', "$dir/empty.conf" or die $!;
close $empty;
($text, $status, $errors) = run('search', '--config', "$dir/empty.conf");
ok($status == 2 && $errors =~ m{set redis[.]address in \Q$dir\E/empty[.]conf, or name one with --redis}, 'so is a configuration without one');

# --- show ------------------------------------------------------------------------------------------

($text, $status) = run('show', '--config', $config, '--json', $by_number[42]);
my $report = decode_json($text);
is($report->{queue_id}, '4XyZ000042q', 'show finds a message by its id');
for my $name ('4XyZ000042q', '42.20261102.abcdef@mail.example.net', '<42.20261102.abcdef@mail.example.net>') {
    ($text, $status) = run('show', '--config', $config, $name);
    ok($status == 0 && $text =~ /^  id +$by_number[42]$/m && $text =~ /^  Subject +Invoice 42/m, "... and by $name, for people");
}
($text) = run('show', '--config', $config, '--headers', '4XyZ000042q');
like($text, qr/^Headers\n  Received: from mail6/m, '--headers shows them');
($text, $status, $errors) = run('show', '--config', $config, '4XyZ000042q', 'nosuch');
ok($status == 1 && $text =~ /Invoice 42/ && $errors =~ /no message 'nosuch' is stored/, 'one that is not there is named, exit 1, and the others shown');

# --- attachments ---------------------------------------------------------------------------------------

my $hash = $report->{attachments}[0]{sha256};
my $md5 = $report->{attachments}[0]{md5};
is_deeply(ids('--sha256', uc $hash), [$by_number[42]], 'search finds a message by the hash of an attachment');
is_deeply(ids('--md5', $md5), [$by_number[42]], '... and by its MD5');
($text, $status) = run('attachment', 'list', '--config', $config, '--json', '--limit', 0);
my @listed = split /\n/, $text;
is(scalar @listed, $redis->cli('zcard', 'mw:attachments'), 'attachment list lists all');
($text) = run('attachment', 'list', '--config', $config, '4XyZ000042q');
like($text, qr/Report-42[.]pdf\s+$hash$/m, '... or those of a message');
($text) = run('attachment', 'show', '--config', $config, $hash);
like($text, qr/^  names +Report-42[.]pdf$/m, 'attachment show tells its names');
like($text, qr/user12\@example[.]org.*$by_number[42]$/m, '... and who received it');
my $shared = decode_json((grep { /"size":100000/ } @listed)[0])->{sha256};
($text) = run('attachment', 'show', '--config', $config, '--json', '--limit', 0, $shared);
my $shown = decode_json($text);
is(scalar @{$shown->{messages}}, $redis->cli('zcard', "mw:attachment:$shared:messages"), '... all of them');

chdir $dir or die $!;
($text, $status) = run('attachment', 'get', '--config', $config, $hash);
is($text, "$hash\n", 'attachment get says where it wrote to');
open my $file, '<:raw', "$dir/$hash" or die $!;
is(sha256_hex(do { local $/; <$file> }), $hash, 'the bytes are those of the hash');
is((stat "$dir/$hash")[2] & oct 7777, oct 600, 'the file is private, and not executable');
($text, $status, $errors) = run('attachment', 'get', '--config', $config, $hash);
ok($status == 2 && $errors =~ /File exists/, 'no file is written over') or diag($errors);
($text) = run('attachment', 'get', '--config', $config, '-o', '-', $hash);
is(sha256_hex($text), $hash, 'to standard output too');
run('attachment', 'get', '--config', $config, '--zip', '-o', "$dir/a.zip", $hash);
is(sha256_hex(scalar qx(unzip -P infected -p $dir/a.zip)), $hash, 'a zip archive opens with its password in unzip');
is(scalar qx(python3 -c 'import zipfile,hashlib,sys
z = zipfile.ZipFile(sys.argv[1])
print(hashlib.sha256(z.read(z.namelist()[0], pwd=b"infected")).hexdigest())' $dir/a.zip), "$hash\n", '... and in Python');
isnt(system("unzip -P wrong -p $dir/a.zip >/dev/null 2>&1"), 0, '... and not with another');
is((stat "$dir/a.zip")[2] & oct 7777, oct 600, '... and is private');
$redis->cli('set', "mw:data:$hash", 'other bytes');
$redis->cli('hset', "mw:attachment:$hash", 'data', 'plain');
($text, $status, $errors) = run('attachment', 'get', '--config', $config, '-o', "$dir/b", $hash);
ok($status == 2 && $errors =~ /were changed, and are not written/ && !-e "$dir/b", 'bytes that are not those of the hash are not written');
$redis->cli('del', "mw:data:$hash");
($text, $status, $errors) = run('attachment', 'get', '--config', $config, '-o', "$dir/b", $hash);
ok($status == 1 && $errors =~ /only the facts are stored/, 'bytes that are no longer kept: exit 1, and why');
($text, $status, $errors) = run('attachment', 'show', '--config', $config, '0' x 64);
is($status, 1, 'an attachment that is not there: exit 1');

# --- export and tail --------------------------------------------------------------------------------------

($text, $status) = run('export', '--config', $config, '--format', 'jsonl', '--from', 'sender7@example.net');
my @reports = map { decode_json($_) } split /\n/, $text;
is_deeply([sort map { $_->{id} } @reports], expected(sub { $_ % 50 == 7 }), 'export writes the reports that fulfil the conditions');
($text) = run('export', '--config', $config, '--format', 'csv', '--limit', 5);
is(() = $text =~ /\r\n/g, 6, '... as CSV with a heading');
run('export', '--config', $config, '--format', 'ecs', '-o', "$dir/all.ecs");
open my $ecs, '<', "$dir/all.ecs" or die $!;
is(scalar(my @lines = <$ecs>), $count, '... or all, to a file');
($text, $status, $errors) = run('export', '--config', $config, '--format', 'xml');
ok($status == 2 && $errors =~ /'xml' is none of jsonl, csv, ecs/, 'another format is refused');

($text) = run('tail', '--config', $config, '--last', 3, '--no-follow', '--json');
is_deeply([map { decode_json($_)->{id} } split /\n/, $text], [@all[-3 .. -1]], 'tail begins with the latest');
my $event = decode_json((split /\n/, $text)[0])->{event};
($text) = run('tail', '--config', $config, '--after', $event, '--no-follow', '--json');
is_deeply([map { decode_json($_)->{id} } split /\n/, $text], [@all[-2 .. -1]], '... or behind an event');
($text) = run('tail', '--config', $config, '--last', 1, '--no-follow', '--json');
my $tail = open my $follow, '-|', $mailwitness, 'tail', '--config', $config, '--json', '--after', decode_json($text)->{event} or die $!;
alarm 60; # a tail that shows nothing must not hang the test
feed($config, 3, 1, 0, 5000);
my @new = map { decode_json(scalar <$follow>)->{subject} } 1 .. 3;
is_deeply(\@new, [map { "Invoice $_ for your order of last week" } 0 .. 2], 'tail shows messages as they come');
$redis->stop;
$redis->start;
feed($config, 1, 1, 0, 5000);
like(decode_json(scalar <$follow>)->{subject}, qr/^Invoice/, '... also after Redis was away');
kill 'TERM', $tail;
close $follow;

# --- hosts of links that are addresses -------------------------------------------------------
open my $linked, '>', "$dir/linked.eml" or die $!;
print {$linked} "From: a\@example.com\nSubject: linked\n\nhttp://[2001:DB8:0:0::77]:8080/x http://www.dotted.example.com./y\n";
close $linked or die $!;
run('scan', '--store', '--config', $config, "$dir/linked.eml");
for my $host ('2001:db8::77', '[2001:db8::77]', '2001:0DB8::0077', 'www.dotted.example.com', 'WWW.dotted.example.com.') {
    is(scalar @{ ids('--url-host', $host) }, 1, "search finds the host $host of a link");
}
done_testing();
