#!/usr/bin/perl
# scan --config: what a configuration says about limits, scanners and workers holds.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Scan qw(scratch write_file scan_with);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $dir = scratch();
my $yara = scalar(qx($mailwitness --version)) =~ /YARA/;

my $text = "From: a\@example.com\nX-A: 1\nX-B: 2\nX-C: 3\n"
    . "Content-Type: application/octet-stream; name=a.bin\n\nneedle\n";
my $mail = write_file('mail.eml', $text);

# Of the one message.
sub scan { my ($config, @options) = @_; return scan_with($config, $text, @options) }


my ($report, $status, $errors) = scan('limits: { header_count = 2; };');
ok((grep { $_->{name} eq 'limit.header_count' } @{ $report->{errors} }), 'a limit of the file holds');
($report) = scan('limits: { header_count = 2; };', '--limit', 'header_count=100');
ok(!(grep { $_->{name} eq 'limit.header_count' } @{ $report->{errors} }), 'one on the command line wins');
($report) = scan('scan: { types = false; };');
ok(!exists $report->{attachments}[0]{file_type}, 'a scanner can be left out');
($report) = scan('workers: { count = 1; recycle_messages = 1; };');
is($report->{attachments}[0]{size}, 7, 'workers are set up as it says');

(undef, $status, $errors) = scan("limits: { header_count = 0; };\nyara: { rule = \"x\"; };\n");
is($status, 2, 'a mistake in the file is an error');
like($errors, qr{test[.]conf:1: limits[.]header_count: .*\n.*test[.]conf:2: yara[.]rule: .*'rules'}, '... and all are told');
$errors = qx($mailwitness scan --config $dir/absent $mail 2>&1);
like($errors, qr{absent: No such file}, 'a missing file is named');

SKIP: {
    skip 'built without YARA', 3 if !$yara;
    my $one = write_file('one.yar', 'rule one { strings: $a = "needle" condition: $a }');
    my $two = write_file('two.yar', 'rule two { strings: $a = "needle" condition: $a }');
    my $rules = "yara: { rules = [\"$one\"]; severity = \"malicious\"; };";
    ($report, $status) = scan($rules);
    is("$report->{attachments}[0]{findings}[0]{name} $report->{verdict} $status", 'one malicious 1',
        'rules and their severity come from the file');
    ($report) = scan($rules, '--rules', $two);
    is_deeply([map { $_->{name} } @{ $report->{attachments}[0]{findings} }], ['two'],
        'rules on the command line take the place of those in the file');
    is($report->{verdict}, 'malicious', '... and the rest of the file still holds');
}

SKIP: {
    skip 'built without YARA', 4 if !$yara;
    my $rule = write_file('new.yar', 'rule stranger { condition: sender_new }');
    my $filter = "$dir/from.filter";
    my $ask = "yara: { rules = [\"$rule\"]; }; filter: { from: { source = \"from\"; file = \"$filter\"; capacity = 1000; }; };";
    my $strangers = sub { my ($report) = scan($ask, @_); return scalar @{ $report->{attachments}[0]{findings} } };
    is($strangers->(), 0, 'where there is no memory of senders yet, no rule is told that one is new');
    system("$mailwitness bloom create --capacity 1000 $filter >/dev/null 2>&1 && echo b\@example.com | $mailwitness bloom add $filter - >/dev/null 2>&1");
    is($strangers->(), 1, 'a rule can ask whether the sender was never seen before');
    is($strangers->('--no-sandbox'), 1, '... without workers too');
    system("echo A\@Example.com | $mailwitness bloom add $filter - >/dev/null 2>&1");
    is($strangers->(), 0, '... and one that was is not new, however it is written');
}
done_testing();
