#!/usr/bin/perl
# What one message may take in Redis (unit_spool: and in the spool), and that its files can be had all the same.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Digest::SHA qw(sha256_hex);
use IO::Compress::Zip qw(:all);
use JSON::PP;
use MIME::Base64;
use RedisServer;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $redis = RedisServer->new;
my $dir = $redis->{dir};
my $times = 'keep_messages = "0"; keep_attachments = "0"; keep_data = "0";';
srand 14;

sub run {
    my (@words) = @_;
    my $pid = open my $out, '-|';
    if (!$pid) {
        open STDERR, '>', "$dir/stderr" or die $!;
        exec $mailwitness, @words or die $!;
    }
    my $text = do { local $/; <$out> } // q{};
    close $out;
    return ($text, $? >> 8);
}
sub spew { my ($name, $text) = @_; open my $out, '>:raw', "$dir/$name" or die $!; print {$out} $text; close $out or die $!; return "$dir/$name" }
sub random { my ($size) = @_; return join q{}, map { pack 'L', int rand 4294967296 } 1 .. $size / 4 }
sub zipped {
    my (%files) = @_;
    my ($zip, $writer) = (q{});
    for my $name (sort keys %files) {
        if ($writer) { $writer->newStream(Name => $name, Method => ZIP_CM_STORE) }
        else { $writer = IO::Compress::Zip->new(\$zip, Name => $name, Method => ZIP_CM_STORE) }
        $writer->print($files{$name});
    }
    $writer->close;
    return $zip;
}
sub mail {
    my ($subject, $name, $type, $bytes) = @_;
    my $part = $type eq 'message/rfc822' ? "\r\n$bytes" : "Content-Transfer-Encoding: base64\r\n\r\n" . encode_base64($bytes, "\r\n");
    return "From: a\@example.com\r\nTo: b\@example.org\r\nSubject: $subject\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <$subject\@example.com>\r\n"
        . "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=$subject\r\n\r\n--$subject\r\nContent-Type: text/plain\r\n\r\nx\r\n"
        . "--$subject\r\nContent-Type: $type; name=\"$name\"\r\nContent-Disposition: attachment; filename=\"$name\"\r\n$part\r\n--$subject--\r\n";
}
sub stored_bytes { my $all = 0; $all += $redis->ask('STRLEN', $_) for $redis->ask('KEYS', 'mw:data:*'); return $all }

# A zip in a zip, of files that do not compress.
my %inner = map { ("inner$_.bin" => random(60_000)) } 1 .. 10;
my %outer = ((map { ("outer$_.bin" => random(60_000)) } 1 .. 10), 'z.zip' => zipped(%inner));
my $zip = zipped(%outer);
my $nested = mail('zips', 'all.zip', 'application/zip', $zip);
my $config = $redis->config("message_data_max = \"1500k\"; compression = 0; $times");
my ($text, $status) = run('scan', '--store', '--config', $config, spew('zips.eml', $nested));
cmp_ok($status, '<=', 1, 'a message with a zip in a zip is stored') or diag($text);
my $limit = 1500 * 1024;
my $stored = stored_bytes();
cmp_ok($stored, '<=', $limit, '... with no more bytes than the limit');
cmp_ok($stored, '>', length $zip, '... of which there are some');
is($redis->ask('EXISTS', 'mw:data:' . sha256_hex($zip)), 1, '... the file that was attached among them');
my (%form, @wrong);
for my $bytes (values %inner, values %outer, $zip) {
    my $hash = sha256_hex($bytes);
    my $data = $redis->ask('HGET', "mw:attachment:$hash", 'data') // 'none';
    $form{$data =~ s/ .*//r}++;
    push @wrong, "$hash is $data" if $data =~ /^in (.*)/ && $redis->ask('EXISTS', "mw:data:$1") != 1;
    my ($got, $code) = run('attachment', 'get', '-o', q{-}, '--config', $config, $hash);
    push @wrong, "$hash ($data): exit $code" if $code != 0 || $got ne $bytes;
}
is_deeply(\@wrong, [], 'every file can be had, kept or not');
cmp_ok($form{in} // 0, '>', 5, '... some of them by unpacking what holds them') or diag(explain(\%form));
cmp_ok($form{plain}, '>', 5, '... some as they are');
my ($kept_as_is) = grep { $redis->ask('HGET', 'mw:attachment:' . sha256_hex($_), 'data') =~ /^in / } values %inner;
run('scan', '--store', '--config', $config, spew('alone.eml', mail('alone', 'alone.bin', 'application/octet-stream', $kept_as_is)));
is($redis->ask('HGET', 'mw:attachment:' . sha256_hex($kept_as_is), 'data'), 'plain', 'one that comes attached as it is is kept');
run('scan', '--store', '--config', $config, "$dir/zips.eml");
is($redis->ask('HGET', 'mw:attachment:' . sha256_hex($kept_as_is), 'data'), 'plain', '... also when the other comes again');
($text, $status) = run('store', 'check', '--json', '--config', $config);
is($status, 0, '... and all that fits together') or diag($text);

# Mails within mails: each holds all that is within.
$redis->ask('FLUSHALL');
my $innermost = random(300_000);
my $mail = mail('m0', 'deep.bin', 'application/octet-stream', $innermost);
$mail = mail("m$_", "m$_.eml", 'message/rfc822', $mail) for 1 .. 8;
$config = $redis->config("compression = 0; $times");
run('scan', '--store', '--config', $config, spew('mails.eml', $mail));
cmp_ok(stored_bytes(), '<=', 2 * length($mail) + 1_048_576, 'mails within mails take twice the message and 1 MB, no more');
my ($got) = run('attachment', 'get', '-o', q{-}, '--config', $config, sha256_hex($innermost));
ok($got eq $innermost, '... and the innermost file can be had');

# Keys.
my $many = "From: " . join(', ', map {"f$_\@d$_.example.com"} 1 .. 3000) . "\r\nTo: " . join(",\r\n ", map {"r$_\@example.org"} 1 .. 3000)
    . "\r\nSubject: many\r\nMessage-ID: <many\@example.com>\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n\r\n" . join("\r\n", map {"https://h$_.example.net/"} 1 .. 3000) . "\r\n";
$redis->ask('FLUSHALL');
run('scan', '--store', '--config', $config, spew('many.eml', $many));
my @keys = $redis->ask('KEYS', 'mw:*');
cmp_ok(scalar(@keys), '<', 2150, 'a message of thousands of addresses and links makes a bounded number of keys');
is($redis->ask('ZCARD', 'mw:index:message-id:many@example.com'), 1, '... those that there is one of among them');

# Two names, of which one client shows the one and another the other.
my $two = mail('two', 'shown.txt', 'application/octet-stream', 'two names') =~ s/filename="shown.txt"/filename="Hidden.exe"/r;
run('scan', '--store', '--config', $config, spew('two.eml', $two));
is_deeply([map { $redis->ask('ZCARD', "mw:index:filename:$_") } 'shown.txt', 'hidden.exe'], [1, 1], 'a file is found by every name that clients may show');
is_deeply([sort $redis->ask('SMEMBERS', 'mw:attachment:' . sha256_hex('two names') . ':names')], ['Hidden.exe', 'shown.txt'], '... and has them all');
done_testing();
