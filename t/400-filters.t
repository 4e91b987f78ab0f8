#!/usr/bin/perl
# mailwitness seen and mailwitness bloom: what people and scripts can rely on.
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $dir = tempdir(CLEANUP => 1);

# Output and errors together, and the exit status.
sub run {
    my ($input, @arguments) = @_;
    open my $in, '>', "$dir/in" or die $!;
    print {$in} $input;
    close $in or die $!;
    my $pid = open my $out, '-|';
    if (!$pid) {
        open STDIN, '<', "$dir/in" or die $!;
        open STDERR, '>&', \*STDOUT or die $!;
        exec $mailwitness, @arguments or die $!;
    }
    my $text = do { local $/; <$out> } // q{};
    close $out;
    return ($text, $? >> 8);
}

my $file = "$dir/from.filter";
my ($text, $status) = run(q{}, qw(bloom create --capacity 1000 --fp-rate 0.001), $file);
is("$text$status", '0', 'a filter is made without a word');
($text, $status) = run(q{}, qw(bloom create), $file);
ok($status == 2 && $text =~ /exists already/, 'and never made over another');
($text, $status) = run("Ana\@Example.COM\nBob <bob\@b\xc3\xbccher.example>\n\nana\@example.com\n", qw(bloom add), $file);
is($text, "2 values added, 1 were there already\n", 'values are taught, in their normal form');
($text, $status) = run(q{}, 'seen', '--filter', $file, 'ANA@example.com', '<bob@xn--bcher-kva.example>');
ok($status == 0 && $text =~ /^ANA\@example[.]com: seen .*\n.*bob.*: seen/, 'what was seen is told, exit 0');
($text, $status) = run(q{}, 'seen', '--folder', $dir, 'ana@example.com', 'eve@example.com');
ok($status == 1 && $text =~ /^eve\@example[.]com: never seen$/m, 'what was never seen is told, exit 1');
($text, $status) = run("ana\@example.com\n", qw(seen --json --file -), '--filter', $file);
my $line = decode_json($text);
ok($line->{seen} && $line->{looked_up} eq 'ana@example.com' && $status == 0, 'values come from a list, answers as JSON');
($text, $status) = run(q{}, qw(seen --filter /nonexistent/x a));
ok($status == 2 && $text =~ m{/nonexistent/x: No such file}, 'a missing filter is named, exit 2');
($text, $status) = run(q{}, qw(seen --as adress a));
ok($status == 2 && $text =~ /'adress' is none of/, 'a wrong kind is named');
($text, $status) = run(q{}, qw(bloom creat x));
ok($status == 2 && $text =~ /did you mean 'create'/, 'a mistyped subcommand gets a suggestion');
($text, $status) = run(q{}, qw(bloom create --capacity many), "$dir/x");
ok($status == 2 && $text =~ /--capacity: 'many' is no number/, 'a wrong number is named');

my $said = qx(sh -c 'ulimit -f 8; exec $ENV{MAILWITNESS} bloom create --capacity 50m $dir/large.filter' 2>&1);
ok($? >> 8 == 2 && $said =~ /large[.]filter.*: File too large/ && !-e "$dir/large.filter", '... and a file that may not be so large')
    or diag("$?: $said");
run(q{}, qw(bloom create --capacity 1000), "$dir/b.filter");
run("carl\@example.com\n", qw(bloom add), "$dir/b.filter");
($text, $status) = run(q{}, qw(bloom merge), "$dir/all.filter", $file, "$dir/b.filter");
is($status, 0, 'filters of one shape merge') or diag($text);
($text, $status) = run(q{}, 'seen', '--filter', "$dir/all.filter", 'ana@example.com', 'carl@example.com');
is($status, 0, 'into one that knows what either knew');
run(q{}, qw(bloom create --capacity 2000), "$dir/c.filter");
($text, $status) = run(q{}, qw(bloom merge), "$dir/no.filter", $file, "$dir/c.filter");
ok($status == 2 && $text =~ /differ in capacity/ && !-e "$dir/no.filter", 'others do not, and nothing is left behind');
{
    for my $n (1, 2) {
        run(q{}, qw(bloom create --capacity 20k), "$dir/full$n.filter");
        run(join(q{}, map {"value$n-$_\n"} 1 .. 20_000), qw(bloom add --as text), "$dir/full$n.filter");
    }
    ($text, $status) = run(q{}, qw(bloom merge), "$dir/full.filter", "$dir/full1.filter", "$dir/full2.filter");
    my ($told) = $text =~ /full[.]filter: (\S+) of the values never seen are taken for seen, not 0[.]001: rates add up/;
    my ($answers) = run(join(q{}, map {"other$_\n"} 1 .. 200_000), qw(seen --as text --file -), '--filter', "$dir/full.filter");
    my $wrong = 200_000 - (() = $answers =~ /never seen$/mg);
    ok($status == 0 && $told && $told < 0.002, 'full filters merge, and what that costs is told') or diag($text);
    cmp_ok($wrong, '<', 200_000 * 0.002, '... which is true: the rates add up');
    ($text) = run(q{}, qw(bloom info --json), "$dir/full.filter");
    ok(abs(decode_json($text)->{expected_rate} * 200_000 - $wrong) < 80, '... and the same as info tells') or diag("$wrong: $text");
}
($text) = run(q{}, qw(bloom info --json), $file);
my $info = decode_json($text);
is_deeply([@{$info}{qw(values capacity layers damaged)}], [2, 1000, 1, JSON::PP::false], 'info tells what is in a filter');
ok($info->{size_on_disk} > 0 && $info->{synced} =~ /^\d{4}-\d\d-\d\dT/, 'its size on disk and when it was flushed last');
($text) = run(q{}, qw(bloom info), $file);
like($text, qr/values +2 .*\n.*expected now.*\n.*\n +size .*1 layer\n.*\n +last flush +20/, 'and people are told the same');
($text, $status) = run(q{}, qw(bloom verify), "$dir/all.filter");
ok($status == 0 && $text =~ /: sound$/, 'what was merged verifies');
($text) = run(q{}, qw(bloom info --json), "$dir/all.filter");
is(decode_json($text)->{values}, 3, '... and counts values that both knew once');
($text, $status) = run(q{}, qw(bloom info), $file, '/nonexistent/x');
ok($status == 2 && $text =~ /values/ && $text =~ m{/nonexistent/x}, 'a file that is not there is named, the others told, exit 2');
($text, $status) = run(q{}, qw(bloom verify /nonexistent/x));
is($status, 2, '... also when verifying');

# A filter of the configuration, by its name.
sub write_file {
    my ($path, $content) = @_;
    open my $out, '>', $path or die $!;
    print {$out} $content;
    close $out or die $!;
    return $path;
}
my $conf = write_file("$dir/test.conf", <<"END");
filter: {
  people: { source = "from"; file = "$dir/people.filter"; capacity = 5000; strip_plus_tag = true; };
  files: { source = "filename"; file = "$dir/files.filter"; capacity = 5000; };
};
END
sub message {
    my ($from, $name) = @_;
    return "From: $from\nTo: office\@example.org\nSubject: x\nMIME-Version: 1.0\n"
        . "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nText of From: nobody\@example.org\n--b\n"
        . "Content-Type: application/pdf; name=\"$name\"\nContent-Disposition: attachment\n\nx\n--b--\n";
}
my $maildir = "$dir/Maildir";
mkdir $_ for $maildir, map { "$maildir/$_" } qw(cur new tmp);
write_file("$maildir/cur/1:2,S", message('Ana <ANA+list@Example.com>', 'Invoice.PDF'));
write_file("$maildir/new/2", message('=?utf-8?q?B=C3=B6b?= <bob@example.com>', 'other.pdf'));
write_file("$maildir/tmp/3", message('unfinished@example.com', 'x.pdf'));
my $mbox = write_file("$dir/box", join "\n", map { "From x\@example.net Tue Nov  3 09:15:00 2026\n" . message("writer$_\@example.net", 'invoice.pdf') } 1 .. 40);
($text, $status) = run(q{}, qw(bloom add --config), $conf, qw(--filter people), $maildir, $mbox);
is("$status $text", "0 42 messages read: 42 values added, 0 were there already\n", 'old mail teaches a filter of the configuration, which is made for it');
($text, $status) = run(q{}, qw(seen --config), $conf, qw(--filter people ana@example.com BOB@example.com Writer40@EXAMPLE.net));
is($status, 0, 'senders in a Maildir and an mbox are known by its name') or diag($text);
($text, $status) = run(q{}, qw(seen --config), $conf, qw(--filter people unfinished@example.com nobody@example.org office@example.org));
is(scalar(() = $text =~ /never seen/g), 3, 'mail not delivered yet, texts and recipients are not') or diag($text);
($text, $status) = run(q{}, qw(bloom add --config), $conf, qw(--filter files), $maildir, $mbox);
is("$status $text", "0 42 messages read: 2 values added, 40 were there already\n", 'a source in attachments is taken from them');
($text, $status) = run(q{}, qw(seen --config), $conf, qw(--filter files INVOICE.pdf other.PDF));
is($status, 0, 'its values are looked up in its form');
($text, $status) = run(q{}, qw(seen --config), $conf, qw(--filter poeple x));
ok($status == 2 && $text =~ /no filter 'poeple'; did you mean 'people'/, 'a filter that is not configured gets the nearest name');
($text, $status) = run(q{}, qw(seen --config /nonexistent/c x));
ok($status == 2 && $text =~ m{/nonexistent/c: No such file}, 'a configuration that is not there is named');
run(q{}, qw(bloom create --capacity 5k), "$dir/d.filter");
($text, $status) = run(q{}, qw(bloom add --source sender-domain), "$dir/d.filter", $mbox, "$dir/absent", write_file("$dir/list", "b\xc3\xbccher.example\n"));
ok($status == 2 && $text =~ m{/absent} && $text =~ /^40 messages read: 2 values added, 39 were/m, 'what cannot be read is named, the rest is done') or diag($text);
($text, $status) = run(message('carol@example.net', 'x'), qw(bloom add), "$dir/d.filter");
ok($status == 2 && $text =~ /begins as mail does: say --mail/, 'mail is not taken for a list of its lines');
($text, $status) = run(message('carol@example.net', 'x'), qw(bloom add --mail), "$dir/d.filter", '-');
is($text, "1 messages read: 1 values added, 0 were there already\n", 'but for mail, when that is said');
($text, $status) = run(q{}, qw(bloom add --source form), "$dir/d.filter");
ok($status == 2 && $text =~ /--source: 'form' is no source; did you mean 'from'/, 'a wrong source gets the nearest');

($text, $status) = run(q{}, qw(bloom info --json --config), $conf, 'people');
ok($status == 0 && decode_json($text)->{values} == 42, 'info takes the name of a filter of the configuration');
($text, $status) = run(q{}, qw(bloom verify --config), $conf, 'people', 'files');
is("$status $text", "0 $dir/people.filter: sound\n$dir/files.filter: sound\n", 'so does verify');
($text, $status) = run(q{}, qw(bloom info --config), $conf, 'poeple');
ok($status == 2 && $text =~ /no filter 'poeple'; did you mean 'people'/, 'another name gets the nearest');

# Rebuilding.
my $list = write_file("$dir/many", join q{}, map { "value$_\@example.com\n" } 1 .. 3000);
($text, $status) = run(q{}, qw(bloom rebuild --capacity 100), "$dir/r.filter", $list);
is($status, 0, 'a filter is rebuilt from a list');
($text, $status) = run(q{}, qw(seen --filter), "$dir/r.filter", '--file', $list);
is($status, 0, '... and knows all of it, layers and all');
($text, $status) = run(q{}, qw(bloom rebuild --capacity 100), "$dir/s.filter");
ok($status == 2 && $text =~ /name lists or mail to make it from, or say --store/, 'not from nothing');
($text, $status) = run(q{}, qw(bloom create --capacity 20000g), "$dir/s.filter");
ok($status == 2 && $text =~ /capacity must be from 1 to/, 'a capacity beyond all bounds is an error');
($text, $status) = run(q{}, qw(bloom rebuild), "$dir/s.filter", $list, "$dir/absent");
ok($status == 2 && !-e "$dir/s.filter", 'nothing that lacks a list is left behind');
# A file that a program of before wrote.
{
    my $old = "$dir/old.filter";
    open my $in, '<:raw', "$ENV{top_srcdir}/t/fixtures/filters/version-1.filter" or die $!;
    write_file($old, do { local $/; <$in> });
    my @senders = map {"sender$_\@example.com"} 1 .. 60;
    ($text, $status) = run(q{}, qw(bloom verify), $old);
    ok($status == 0 && $text =~ /: sound, but without checksums: it gets them when it is next written to$/, 'a file of version 1 is sound, though without checksums');
    ($text, $status) = run(q{}, 'seen', '--filter', $old, @senders);
    is($status, 0, '... it is read as it is') or diag($text);
    ($text, $status) = run("another\@example.com\n", qw(bloom add), $old);
    is($text, "1 values added, 0 were there already\n", '... and takes values');
    ($text, $status) = run(q{}, qw(bloom verify), $old);
    ok($status == 0 && $text =~ /: sound$/, '... it has checksums then');
    ($text, $status) = run(q{}, 'seen', '--filter', $old, @senders, 'another@example.com');
    is($status, 0, '... and knows what it knew, and more') or diag($text);
}
SKIP: {
    open my $full, '>', '/dev/full' or skip 'no /dev/full here', 1;
    close $full;
    my $said = qx($mailwitness seen --filter $dir/r.filter --file $list 2>&1 >/dev/full);
    is($? >> 8, 2, 'answers that cannot be written are an error') or diag($said);
}
($text, $status) = run(q{}, qw(bloom verify), $file);
ok($status == 0 && $text =~ /: sound$/, 'a sound filter verifies');
{
    # One bit of a value's eight, in a copy.
    my $copy = "$dir/flipped.filter";
    open my $in, '<:raw', $file or die $!;
    my $bytes = do { local $/; <$in> };
    my ($at) = grep { substr($bytes, $_, 1) ne "\0" } 12_288 .. 16_383;
    substr($bytes, $at, 1) = chr(ord(substr $bytes, $at, 1) & (ord(substr $bytes, $at, 1) - 1));
    write_file($copy, $bytes);
    my $known = join "\n", map { (run(q{}, qw(seen --json --filter), $copy, $_))[0] } qw(ana@example.com bob@xn--bcher-kva.example);
    ($text, $status) = run(q{}, qw(bloom verify), $copy);
    ok($known =~ /"seen":false/ && $status == 1, 'a flipped bit that makes a filter forget is found');
    like($text, qr/1 of 1 pages are not what their checksums say, the first at byte 12288: .*restore it.*rebuild/, '... told with its place and the remedy');
}
truncate $file, 13000;
($text, $status) = run(q{}, qw(bloom verify), $file);
ok($status == 1 && $text =~ /cut short/, 'one cut short does not');
done_testing();
