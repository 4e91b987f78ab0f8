#!/usr/bin/perl
# Old mail stored by scan; hunt and rescan over what is stored; stats.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Digest::SHA qw(sha256_hex);
use JSON::PP;
use MIME::Base64;
use RedisServer;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
$ENV{LC_ALL} = 'C.UTF-8';
$ENV{TZ} = 'UTC';
my $redis = RedisServer->new;
my $dir = $redis->{dir};
my $forever = 'keep_messages = "0"; keep_attachments = "0"; keep_data = "0";';
my $config = $redis->config($forever);

sub write_file {
    my ($name, $text) = @_;
    open my $out, '>:raw', "$dir/$name" or die $!;
    print {$out} $text;
    close $out or die $!;
    return "$dir/$name";
}

sub run {
    my (@words) = @_;
    my $pid = open my $out, '-|';
    if (!$pid) {
        open STDERR, '>', "$dir/stderr" or die $!;
        exec $mailwitness, @words or die $!;
    }
    my $text = do { local $/; <$out> } // q{};
    close $out;
    my $status = $? >> 8;
    open my $errors, '<', "$dir/stderr" or die $!;
    return ($text, $status, do { local $/; <$errors> } // q{});
}

sub message {
    my ($name, $from, $to, $day, @files) = @_;
    my $parts = join q{}, map { "--b\nContent-Type: application/octet-stream\n"
            . "Content-Disposition: attachment; filename=\"$_->[0]\"\nContent-Transfer-Encoding: base64\n\n"
            . encode_base64($_->[1]) } @files;
    return write_file("mail/$name.eml", "From: $from\nTo: $to\nSubject: about $name\n"
            . "Date: Tue, $day Nov 2026 12:00:00 +0000\nMessage-ID: <$name\@example.com>\n"
            . "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
            . "--b\nContent-Type: text/plain\n\nhello\n$parts--b--\n");
}

mkdir "$dir/mail" or die $!;
my $dropper = "MZ dropper-one \0\xff\r\n.\r\n";
my $tool = 'a harmless tool';
message('one', 'ana@example.com', 'bob@example.org', '03', ['invoice.exe', $dropper], ['tool.txt', $tool]);
message('two', 'eve@example.net', 'carl@example.org', '10', ['scan.bin', $dropper]);
message('three', 'eve@example.net', 'bob@example.org', '17', ['tool.txt', $tool], ['empty.dat', q{}]);
my ($hash, $tool_hash) = (sha256_hex($dropper), sha256_hex($tool));

# --- scan --store ------------------------------------------------------------------------------

my ($text, $status, $errors) = run('scan', '--store', '--config', $config, "$dir/mail");
like($errors, qr/^3 messages stored$/m, 'scan --store says how many it stored') or diag($errors);
is($text, q{}, '... and prints no reports that nobody asked for');
# All keys with a digest of each; but reports have timings, so of messages the names only.
sub keys_now { return map { /^(mw:message:\S{36}) / ? $1 : $_ } $redis->dump }
my @before = keys_now();
run('scan', '--store', '--config', $config, "$dir/mail");
is_deeply([keys_now()], \@before, 'a message is stored once, however often it is scanned');
($text) = run('search', '--config', $config, '--since', '2026-11-10', '--until', '2026-11-10', '--json');
is(decode_json($text)->{subject}, 'about two', 'a message has the time at which it came, not at which it was scanned');
is(decode_json($text)->{verdict}, 'unscanned', 'without a scanner it is unscanned');
my $short = write_file('short.conf', qq{redis: { address = "unix:$redis->{socket}"; prefix = "short:"; keep_messages = "1d"; };\n});
($text, $status, $errors) = run('scan', '--store', '--config', $short, "$dir/mail");
like($errors, qr/^0 messages stored\n3 are older than redis[.]keep_messages keeps/m, 'what is older than it would be kept is counted and told');
($text, $status, $errors) = run('scan', '--store', '--redis', "unix:$dir/nowhere", '--config', $config, "$dir/mail");
is($status, 2, 'a store that cannot be reached is an error');
like($errors, qr/nowhere/, '... that names it');

# --- hunt ------------------------------------------------------------------------------------------

@before = $redis->dump;
my $rules = write_file('new.yar', <<'END');
rule Dropper_one { meta: severity = "malicious" strings: $a = "dropper-one" condition: $a at 3 }
rule Named_exe { meta: severity = "suspicious" condition: extension == "exe" and sender == "ana@example.com" and subject contains "one" }
END
($text, $status, $errors) = run('hunt', '--config', $config, '--json', $rules);
is($status, 0, 'a hunt that finds something is exit 0') or diag($errors);
my @matches = map { decode_json($_) } split /\n/, $text;
is(scalar @matches, 1, 'one attachment matches, though it came twice');
my $match = $matches[0];
is($match->{sha256}, $hash, '... the right one');
is_deeply([sort map { $_->{subject} } @{$match->{messages}}], ['about one', 'about two'], '... with who received it');
is_deeply([sort map { $_->{envelope_to} // $_->{to} } @{$match->{messages}}], ['bob@example.org', 'carl@example.org'], '... by address');
is_deeply([map { $_->{name} } @{$match->{findings}}], ['Dropper_one'], 'rules look at the bytes as they were');
like($errors, qr/^3 attachments scanned, 1 match$/m, 'it says how many it scanned') or diag($errors);
is($redis->cli('hget', "mw:attachment:$hash", 'verdict'), 'unscanned', 'a hunt writes nothing by itself');
is_deeply([$redis->dump], \@before, '... nothing at all');

my $by_facts = write_file('facts.yar', <<'END');
rule By_sender { condition: sender == "eve@example.net" and subject contains "two" and filename == "scan.bin" }
END
($text, $status) = run('hunt', '--config', $config, '--json', $by_facts);
is($status, 0, 'rules can ask for name, sender and subject of the message it came in last');
my $none = write_file('none.yar', "rule None { strings: \$a = \"nowhere to be found\" condition: \$a }\n");
($text, $status) = run('hunt', '--config', $config, $none);
ok($status == 1 && $text eq q{}, 'a hunt that finds nothing is exit 1');
my $broken = write_file('broken.yar', "rule Broken {\n condition: nonsense }\n");
($text, $status, $errors) = run('hunt', '--config', $config, $broken);
ok($status == 2 && $errors =~ /broken[.]yar.*2/, 'a rule that does not compile is named with its line') or diag($errors);
($text, $status) = run('hunt', '--config', $config, '--since', '2026-11-15', '--json', $rules);
is($status, 1, '--since leaves out what was not seen since');
($text, $status) = run('hunt', '--config', $config, '--since', '2026-11-10', '--until', '2026-11-10', '--json', $rules);
is($status, 0, '... and keeps what was');

($text, $status, $errors) = run('hunt', '--config', $config, '--write', $rules);
like($text, qr/^$hash  scan[.]bin  was unscanned, is malicious\n  malicious +yara: Dropper_one\n/m, 'for people: hash, name, verdicts, findings') or diag($text);
like($errors, qr/the verdicts of 2 messages raised/, '--write raises verdicts');
is($redis->cli('hget', "mw:attachment:$hash", 'verdict'), 'malicious', '... of the attachment');
($text) = run('search', '--config', $config, '--verdict', 'malicious', '--rule', 'Dropper_one', '--json');
is_deeply([sort map { decode_json($_)->{subject} } split /\n/, $text], ['about one', 'about two'], '... and of its messages, which the new rule finds');
($text) = run('show', '--config', $config, '--json', 'one@example.com');
my $shown = decode_json($text);
is($shown->{verdict}, 'malicious', 'show has the new verdict');
is($shown->{attachments}[0]{findings}[0]{name}, 'Dropper_one', '... and the new finding');
($text) = run('export', '--config', $config, '--format', 'csv', '--verdict', 'malicious');
like($text, qr/malicious.*yara:Dropper_one/, '... as has export');
my $mild = write_file('mild.yar', "rule Mild { meta: severity = \"info\" strings: \$a = \"dropper\" condition: \$a }\n");
run('hunt', '--config', $config, '--write', $mild);
is($redis->cli('hget', "mw:attachment:$hash", 'verdict'), 'malicious', 'a milder rule lowers no verdict');
like($redis->cli('hget', "mw:attachment:$hash", 'findings'), qr{yara/Dropper_one=malicious}, '... and takes no finding away');
like($redis->cli('hget', "mw:attachment:$hash", 'findings'), qr{yara/Mild=info}, '... but adds its own');
run('scan', '--store', '--config', $config, "$dir/mail");
($text) = run('search', '--config', $config, '--verdict', 'malicious', '--count');
is($text + 0, 2, 'storing the old mail again does not undo it');

# --- rescan --------------------------------------------------------------------------------------------

my $today = $redis->config($forever);
open my $more, '>>', $today or die $!;
print {$more} "yara: { rules = \"", write_file('today.yar', "rule Tool { meta: severity = \"suspicious\" strings: \$a = \"harmless tool\" condition: \$a }\n"), "\"; };\n";
close $more or die $!;
($text, $status, $errors) = run('rescan', '--config', $today, '--json', $tool_hash);
my $new = decode_json($text);
is_deeply([$status, $new->{was}, $new->{verdict}, $new->{findings}[0]{name}], [0, 'unscanned', 'suspicious', 'Tool'], 'rescan tells what is known now and was not');
is($redis->cli('hget', "mw:attachment:$tool_hash", 'verdict'), 'unscanned', '... and writes nothing by itself');
($text, $status, $errors) = run('rescan', '--config', $today, '--write', '--since', '2026-11-01');
like($errors, qr/^3 attachments scanned/m, 'rescan --since scans all of that time') or diag($errors);
is($redis->cli('hget', "mw:attachment:$tool_hash", 'verdict'), 'suspicious', '... and --write writes');
($text) = run('search', '--config', $config, '--verdict', 'suspicious', '--json');
is(decode_json($text)->{subject}, 'about three', 'a message rises with its attachment; one that was worse stays');
($text, $status) = run('rescan', '--config', $today, $tool_hash);
is($status, 1, 'when nothing new is known it is exit 1');
($text, $status, $errors) = run('rescan', '--config', $today, 'abc');
ok($status == 2 && $errors =~ /'abc' is no SHA-256/, 'what is no hash is refused');
$redis->cli('del', "mw:data:$hash");
($text, $status, $errors) = run('rescan', '--config', $today, $hash);
like($errors, qr/only the facts are stored.*the bytes of 1 are not kept/s, 'bytes that are no longer kept are told');
$redis->cli('set', "mw:data:$hash", 'other bytes than these');
$redis->cli('hset', "mw:attachment:$hash", 'data', 'plain');
($text, $status, $errors) = run('rescan', '--config', $today, $hash);
ok($status == 2 && $errors =~ /not those of its hash/, 'changed bytes are no scan of the attachment') or diag("$text$errors");

# --- seen ------------------------------------------------------------------------------------------------

system($mailwitness, 'bloom', 'create', '--capacity', 100, "$dir/from.filter") == 0 or die;
my $list = write_file('list', "eve\@example.net\nold\@example.net\n");
qx($mailwitness bloom add $dir/from.filter $list);
($text, $status) = run('seen', '--filter', "$dir/from.filter", '--facts', '--config', $config, 'Eve@Example.net', 'old@example.net');
like($text, qr/^Eve\@Example[.]net: seen.*; first 2026-11-10T12:00:00[.]000Z, last 2026-11-17T12:00:00[.]000Z, 2 messages stored$/m, 'seen --facts tells when a sender wrote and how often');
like($text, qr/^old\@example[.]net: seen.*; no message of it is stored$/m, '... or that nothing is stored any more');
is($status, 0, '... with the same exit status');
($text, $status) = run('seen', '--json', '--filter', "$dir/from.filter", '--redis', "unix:$redis->{socket}", 'eve@example.net');
is(decode_json($text)->{messages}, 2, '... as JSON as well');
($text, $status, $errors) = run('seen', '--filter', "$dir/from.filter", '--redis', "unix:$dir/nowhere", 'eve@example.net');
ok($status == 2 && $errors =~ /nowhere/, '... and a Redis that is away is named');

# --- stats ------------------------------------------------------------------------------------------------

($text, $status) = run('stats', '--config', $config, '--json');
my $stats = decode_json($text);
is($status, 0, 'stats answers without a daemon');
is($stats->{store}{messages}, 3, '... how many messages there are');
is($stats->{store}{verdicts}{malicious}, 2, '... of each verdict');
is_deeply($stats->{latest}{senders}[0], {value => 'eve@example.net', count => 2}, '... who sent most');
like($stats->{daemon}{error}, qr/no mailwitnessd answers/, '... and what it could not ask');
($text) = run('stats', '--config', $config);
like($text, qr/^  messages +3$/m, 'for people too');
($text, $status, $errors) = run('stats', '--redis', "unix:$dir/nowhere", '--config', $config);
is($status, 2, 'when nothing answers it is exit 2');
done_testing();
