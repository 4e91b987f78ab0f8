#!/usr/bin/perl
# The list policy in the configuration: mistakes, what is shipped, what dump writes.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $top = $ENV{top_srcdir} or BAIL_OUT('top_srcdir names the sources');
my $dir = tempdir(CLEANUP => 1);

sub run {
    my ($command, $text) = @_;
    open my $out, '>', "$dir/p.conf" or die $!;
    print {$out} $text;
    close $out or die $!;
    my $said = qx($mailwitness config $command $dir/p.conf 2>&1);
    my $status = $? >> 8;
    $said =~ s{\Q$dir\E/}{}g;
    return ($said, $status);
}

# One mistake each: the text of a rule, and what is said of it.
my @rules = (
    ['', "policy.rule-1: has no action"],
    ['acton = "tag";', "policy.acton: is no option; did you mean 'action'?", 'has no action'],
    ['action = "bounce";', "policy.action: 'bounce' is none of accept, tag, quarantine, tempfail, reject, discard", 'has no action'],
    ['action = "none";', "policy.action: 'none' is none of accept, tag, quarantine, tempfail, reject, discard", 'has no action'],
    ['action = "tag"; when: { verdit = "clean"; };', "policy.when.verdit: is no option; did you mean 'verdict'?"],
    ['action = "tag"; when: { verdict = "bad"; };', "policy.when.verdict: 'bad' is none of clean, suspicious, malicious, unscanned"],
    ['action = "tag"; when: { verdict = ["clean", "!evil"]; };', "policy.when.verdict: 'evil' is none of clean, suspicious, malicious, unscanned"],
    ['action = "tag"; when: { severity = "high"; };', "policy.when.severity: 'high' is none of info, suspicious, malicious"],
    ['action = "tag"; when: { failure = "crash"; };', "policy.when.failure: 'crash' is none of any, worker_crashed, timed_out, bad_report, queue_full, out_of_resources, too_large, limits, unreadable, not_opened, engine_missing, store_unavailable, refusal_unrecorded, internal_error"],
    ['action = "tag"; when: { client = "10.0.0.0/33"; };', "policy.when.client: '10.0.0.0/33' is not a network such as 10.0.0.0/8 or 2001:db8::/32: the prefix is from 0 to 32"],
    ['action = "tag"; when: { client = "10.0.0.1/8"; };', "policy.when.client: '10.0.0.1/8' has bits set behind its prefix; say 10.0.0.0/8"],
    ['action = "tag"; when: { client = "2001:db8::1/32"; };', "policy.when.client: '2001:db8::1/32' has bits set behind its prefix; say 2001:db8::/32"],
    ['action = "tag"; when: { client = "mail.example.org"; };', "policy.when.client: 'mail.example.org' is not a network such as 10.0.0.0/8 or 2001:db8::/32"],
    ['action = "tag"; when: { authenticated = "perhaps"; };', "policy.when.authenticated: 'perhaps' is none of any, true, false"],
    ['action = "tag"; when: { tls = "TLSv1.3"; };', "policy.when.tls: 'TLSv1.3' is none of any, true, false"],
    ['action = "tag"; when: { direction = "sideways"; };', "policy.when.direction: 'sideways' is none of any, inbound, outbound"],
    ['action = "tag"; when: { size_above = "big"; };', "policy.when.size_above: 'big' is not a size such as 25m"],
    ['action = "tag"; when: { attachment_extension = ".exe"; };', "policy.when.attachment_extension: '.exe' is to be written without its dot"],
    ['action = "tag"; when = "always";', 'policy.when: must be a section, as in: when: { ... };'],
    ['action = "reject"; text = "250 2.0.0 ok";', 'policy.text: cannot use the code 250; say one like 550 5.7.1 or 451 4.7.1'],
    ['action = "reject"; text = "590 no";', 'policy.text: cannot use the code 590; say one like 550 5.7.1 or 451 4.7.1'],
    ['action = "tempfail"; text = "421 4.7.0 later";', 'policy.text: cannot use 421, which ends the connection'],
    ['action = "reject"; text = "550 4.7.1 no";', 'policy.text: cannot use the enhanced code 4.7.1; say one like 550 5.7.1 or 451 4.7.1'],
    ['action = "reject"; text = "550 5.7 no";', 'policy.text: must be words, as in 550 5.7.1 refused (${id})'],
    ['action = "reject"; text = "550 5.7.1";', 'policy.text: must be words, as in 550 5.7.1 refused (${id})'],
    ['action = "reject"; text = "no: ${verdit}";', 'policy.text: knows no ${verdit}; did you mean ${verdict}?'],
    ['action = "reject"; text = "no: ${id";', 'policy.text: has a ${ without its }'],
    ['action = "reject"; text = "no\\r\\n250 ok";', 'policy.text: has a control character'],
    ['action = "reject"; text = "451 4.7.1 later";', 'policy.rule-1: has a text whose code is that of the other of reject and tempfail'],
    ['action = "tempfail"; text = "5.7.1 never";', 'policy.rule-1: has a text whose code is that of the other of reject and tempfail'],
    ['action = "tag"; text = "550 no";', 'policy.rule-1: has a text, which only reject and tempfail use'],
    ['action = "tag"; reason = "because";', 'policy.rule-1: has a reason, which only quarantine uses'],
    ['action = "reject"; redirect = "a@x";', 'policy.rule-1: changes a message that its action does not let pass'],
    ['action = "discard"; subject_prefix = "[x]";', 'policy.rule-1: changes a message that its action does not let pass'],
    ['action = "tag"; redirect = "nobody";', "policy.redirect: 'nobody' is no address such as user\@example.org"],
    ['action = "tag"; add_recipient = "a@x, b@x";', "policy.add_recipient: 'a\@x, b\@x' is no address such as user\@example.org"],
    ['action = "tag"; add_header = "no colon";', "policy.add_header: 'no colon' is not of the form Name: value"],
    ['action = "tag"; add_header = "X-A: ";', "policy.add_header: 'X-A: ' is not of the form Name: value"],
    ['action = "tag"; add_header = "X A: b";', "policy.add_header: 'X A: b' is not of the form Name: value"],
    ['action = "tag"; set_header = "X-A: ${nme}";', 'policy.set_header: knows no ${nme}'],
    ['action = "tag"; name = "two words";', "policy.name: 'two words' must be from 1 to 64 letters, digits, dashes and dots"],
);
for my $case (@rules) {
    my ($rule, $wanted, $too) = @$case;
    my ($said, $status) = run('check', "# a line\npolicy: (\n  { $rule }\n);\n");
    my @lines = split /\n/, $said;
    is($lines[0], "p.conf:3: $wanted", "said of: $rule");
    ok($status == 1 && @lines == ($too ? 2 : 1), '... and nothing else') or diag($said);
}

my ($said, $status) = run('check', 'milter: { header_prefix = "X-"; authserv_id = "my host"; internal_networks = [ "10.0.0.0/8", "x" ];
  reject_text = "450 later"; tempfail_text = "550 no"; quarantine_text = "${x}"; recipients = "all"; removed_to = "me"; unscanned = "accept"; };
failure: { worker_crashed = "accept"; };
policy: { x = 1; };
');
is_deeply([split /\n/, $said], [
    "p.conf:1: milter.header_prefix: 'X-' is no beginning of a header such as X-Mailwitness-, from 4 to 40 letters, digits and dashes with a dash at its end",
    "p.conf:1: milter.authserv_id: 'my host' is no host name such as mx.example.org",
    "p.conf:1: milter.internal_networks: 'x' is not a network such as 10.0.0.0/8 or 2001:db8::/32",
    'p.conf:2: milter.reject_text: cannot use the code 450; say one like 550 5.7.1',
    'p.conf:2: milter.tempfail_text: cannot use the code 550; say one like 451 4.7.1',
    'p.conf:2: milter.quarantine_text: knows no ${x}',
    "p.conf:2: milter.recipients: 'all' is none of strictest, lenient, each",
    "p.conf:2: milter.removed_to: 'me' is no address such as user\@example.org",
    "p.conf:2: milter.unscanned: 'accept' is none of tag, quarantine, tempfail, reject, discard",
    "p.conf:3: failure.worker_crashed: 'accept' is none of tag, quarantine, tempfail, reject, discard",
    'p.conf:4: policy: must be a list, as in: policy: ( { ... } );',
], 'all mistakes around the policy are told at once');
for my $prefix ('Rece-', 'List-', 'DKIM-', 'arc-', 'Content-') {
    ($said, $status) = run('check', "milter: { header_prefix = \"$prefix\"; };\n");
    $prefix eq 'Rece-'
        ? is($status, 0, 'a prefix that removes nothing others need is taken')
        : like($said, qr/would remove headers such as/, "the prefix $prefix is not");
}
($said) = run('check', "policy: ( { name = \"a\"; action = \"tag\"; },\n { name = \"A\"; action = \"tag\"; } );\n");
is($said, "p.conf:2: policy.A: is there twice\n", 'two rules of one name are a mistake');
($said) = run('check', "polcy: ( );\n");
like($said, qr/is no section; did you mean 'policy'\?/, 'a mistyped policy is recognised');
($said, $status) = run('check', "policy: ( 5 );\n");
like($said, qr/p[.]conf:1: policy: must hold rules/, 'a policy of something else than rules is a mistake');

my $rules = <<'END';
policy: (
  { name = "a"; action = "reject"; text = "550 5.7.1 \"no\" \\ way\nsecond line ${id}";
    when: { client = [ "10.0.0.0/8", "!10.1.0.0/16" ]; direction = "outbound"; size_above = "1m"; }; },
  { action = "tag"; add_header = "X-A: b"; subject_prefix = "[x]"; when: { authenticated = true; new = "!from"; }; },
  { name = "c"; action = "quarantine"; reason = "why not"; redirect = [ "a@x", "b@x" ]; }
);
END
my ($dump) = run('dump', $rules);
like($dump, qr/text = "550 5[.]7[.]1 \\"no\\" \\\\ way\\nsecond line \$\{id\}";/, 'dump writes texts so that they can be read again');
my ($again) = run('dump', $dump);
is($again, $dump, 'what dump writes of a policy means the same');

for my $name (qw(observe tag strict)) {
    my $file = "$top/conf/policies/$name.conf";
    is(scalar qx($mailwitness config check $file 2>&1), "$file: no mistakes\n", "the shipped policy $name is sound");
    my $mode = $name eq 'observe' ? 'observe' : 'act';
    like(scalar qx($mailwitness config dump $file), qr/^    mode = "$mode";/m, "... and its mode is $mode");
}
open my $page, '<', "$top/doc/policy.md" or die $!;
my @blocks = do { local $/; <$page> } =~ /^```conf\n(.*?)^```$/msg;
is(scalar @blocks, 12, 'the page on policy has its examples');
for my $block (@blocks) {
    ($said, $status) = run('check', $block);
    my ($line) = $block =~ /^ *(?:\{ )?name = "(.*?)"/m;
    is($status, 0, 'an example is sound: ' . ($line || (split /\n/, $block)[0])) or diag($said);
}
my $sample = qx($mailwitness config sample);
my ($policy) = $sample =~ /^(# policy: \(.*)/ms;
$policy =~ s/^# ?//mg;
$policy =~ s/^ +# .*\n//mg;
($said, $status) = run('check', $policy);
unlike($said, qr/is no option|syntax/, 'every option of the rule in the sample is one');
$policy =~ s/= "";/= "x";/g;
for my $option (split ' ', 'name action text reason redirect add_recipient add_header set_header subject_prefix verdict failure scanner signature severity tag attachment_name attachment_extension attachment_type new sender sender_domain from from_domain recipient recipient_domain client client_name authenticated login tls daemon direction size_above size_below') {
    like($policy, qr/^ +$option = /m, "the sample has $option");
}
done_testing();
