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

run(q{}, qw(bloom create --capacity 1000), "$dir/b.filter");
run("carl\@example.com\n", qw(bloom add), "$dir/b.filter");
($text, $status) = run(q{}, qw(bloom merge), "$dir/all.filter", $file, "$dir/b.filter");
is($status, 0, 'filters of one shape merge') or diag($text);
($text, $status) = run(q{}, 'seen', '--filter', "$dir/all.filter", 'ana@example.com', 'carl@example.com');
is($status, 0, 'into one that knows what either knew');
run(q{}, qw(bloom create --capacity 2000), "$dir/c.filter");
($text, $status) = run(q{}, qw(bloom merge), "$dir/no.filter", $file, "$dir/c.filter");
ok($status == 2 && $text =~ /differ in capacity/ && !-e "$dir/no.filter", 'others do not, and nothing is left behind');
($text) = run(q{}, qw(bloom info --json), $file);
my $info = decode_json($text);
is_deeply([@{$info}{qw(values capacity layers damaged)}], [2, 1000, 1, JSON::PP::false], 'info tells what is in a filter');
($text, $status) = run(q{}, qw(bloom verify), $file);
ok($status == 0 && $text =~ /: sound$/, 'a sound filter verifies');
truncate $file, 13000;
($text, $status) = run(q{}, qw(bloom verify), $file);
ok($status == 1 && $text =~ /cut short/, 'one cut short does not');
done_testing();
