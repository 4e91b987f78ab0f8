#!/usr/bin/perl
# The configuration: every mistake told at once, with its line and what is allowed.
use strict;
use warnings;
use File::Temp qw(tempdir);
use POSIX ();
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $dir = tempdir(CLEANUP => 1);

sub check {
    my ($text, $name) = @_;
    $name ||= 'test.conf';
    open my $out, '>', "$dir/$name" or die $!;
    print {$out} $text;
    close $out or die $!;
    my $said = qx($mailwitness config check $dir/$name 2>&1);
    my $status = $? >> 8;
    $said =~ s{\Q$dir\E/}{}g;
    return ($said, $status);
}

my ($said, $status) = check(<<'END');
milter: { mod = "act"; clean = "nope"; };
limits: { time = "5 parsecs"; parts = 0;
  depth = [1, 2]; };
filter: { from: { capacity = "lots"; }; };
yarra: { x = 1; };
log = 1;
clamav: { pua = "maybe"; max_scan_size = "25 mb"; };
END
is($status, 1, 'a file with mistakes is refused');
is_deeply([split /\n/, $said], [
    "test.conf:1: milter.mod: is no option; did you mean 'mode'?",
    "test.conf:1: milter.clean: 'nope' is none of accept, tag, quarantine, tempfail, reject, discard",
    "test.conf:2: limits.time: '5 parsecs' is not a time such as 30s or 500ms",
    "test.conf:2: limits.parts: '0' is out of bounds: from 1 to 1000000",
    'test.conf:3: limits.depth: must be one value, not a section or list',
    "test.conf:4: filter.capacity: 'lots' is not a number such as 50m",
    "test.conf:5: yarra: is no section; did you mean 'yara'?",
    'test.conf:6: log: must be a section, as in: name: { ... };',
    "test.conf:7: clamav.pua: 'maybe' is neither true nor false",
    "test.conf:7: clamav.max_scan_size: '25 mb' is not a size such as 25m",
], '... each with file, line, option, what is allowed and the nearest name');
($said, $status) = check("milter: { mode = \"act\"\n  clean };\n");
ok($status == 1 && $said =~ /^test[.]conf:2: syntax error/, 'a syntax error has its line');
$said = qx($mailwitness config check $dir/absent 2>&1);
like($said, qr{absent: No such file}, 'a missing file is named');
$said = qx($mailwitness config check $dir 2>&1);
like($said, qr{is no file}, 'so is a folder');
for my $case (['1k', 1024], ['2m', 2 << 20], ['4096', 4096], ['1g', 1 << 30]) {
    check("limits: { text_length = \"1m\"; unpacked_size = \"$case->[0]\"; };\n", 'sizes.conf');
    like(scalar qx($mailwitness config dump $dir/sizes.conf), qr/unpacked_size = "?$case->[1]"?;/, "$case->[0] is $case->[1] bytes");
}
check("filter: { from: { capacity = \"5m\"; }; };\n", 'filter.conf');
like(scalar qx($mailwitness config dump $dir/filter.conf), qr{file = "/.*/mailwitness/from[.]filter";}, 'a filter without a file lies in the state folder');
($said, $status) = check(<<'END');
filter: { a: { source = "form"; };
  b: { sync = "sometimes"; file = "/x/y"; };
  c: { source = "header:"; file = "/x/y"; }; };
END
is_deeply([$status, split /\n/, $said], [1,
    "test.conf:1: filter.a: source: 'form' is no source; did you mean 'from'?",
    "test.conf:2: filter.b: sync: 'sometimes' is none of always, everysec, or seconds from 0.01 to 3600",
    "test.conf:3: filter.c: source: 'header:' names no header field; it is written as in header:List-Id",
    "test.conf: filter.c: has the same file as 'b': /x/y",
], 'what a filter is told is checked too');
for my $number (qw(nan -nan +nan NaN inf -inf +inf infinity 0x10 1e999 . - e5 1.2.3)) {
    ($said, $status) = check("limits: { unpacked_size = \"$number\"; };\n", 'test.conf');
    ok($status == 1 && $said =~ /'\Q$number\E' is not a size/, "$number is no number");
}
($said, $status) = check("filter: { a: { rate = \"-nan\"; promised_rate = \"nan\"; sync = \"nan\"; }; };\n", 'test.conf');
unlike($said, qr/no mistakes/, '... nor for a filter');
for my $number (qw(2k +2k 2048 2.5k .5m 2e3 2E+3)) {
    ($said, $status) = check("limits: { unpacked_size = \"$number\"; };\n", 'test.conf');
    is($status, 0, "$number is one") or diag($said);
}
my $sockets = join ', ', map { "\"unix:/s$_\"" } 1 .. 33;
($said, $status) = check("milter: { listen = [$sockets]; };\n", 'test.conf');
is($said, "test.conf:1: milter.listen: names 33, 32 are the most\n", 'more sockets than can be served are a mistake');
$sockets =~ s/, "unix:.s33"//;
($said, $status) = check("milter: { listen = [$sockets]; };\n", 'test.conf');
is($status, 0, '... and as many as can be are none') or diag($said);
($said, $status) = check("metrics: { listen = \"9197\"; };\n", 'test.conf');
is($said, "test.conf:1: metrics.listen: '9197' is not HOST:PORT such as 127.0.0.1:9197\n", 'where metrics are is checked before the daemon starts');
my $dump = qx($mailwitness config dump);
like($dump, qr{^filter: \{\nfrom: \{\n    source = "from";\n    file = "/.*/from[.]filter";}m, 'senders are remembered without being asked for');
check("filter: { };\n", 'none.conf');
unlike(scalar qx($mailwitness config dump $dir/none.conf), qr{from: \{}, 'unless the section filter is empty');
($said, $status) = check($dump, 'dump.conf');
is($status, 0, 'what dump writes is a sound file') or diag($said);
is(scalar qx($mailwitness config dump $dir/dump.conf), $dump, '... that means the same');
my $sample = qx($mailwitness config sample);
($said, $status) = check($sample, 'sample.conf');
is($status, 0, 'so is the sample');
is(scalar qx($mailwitness config dump $dir/sample.conf), $dump, '... and it changes nothing');
$sample =~ s/^(\s*)# (\w+ = [^;]*[^"; ]"?;)$/$1$2/mg;
$sample =~ s{# command = "";}{command = "/bin/true";};
$sample =~ s/^# (\w+: \{|  \w+: \{|  \};|\};)/$1/mg;
($said, $status) = check($sample, 'all.conf');
is($status, 0, 'with every option with a default taken in, it is still sound') or diag($said);
open my $shipped, '<', "$ENV{top_srcdir}/conf/mailwitness.conf" or die $!;
is(do { local $/; <$shipped> }, scalar qx($mailwitness config sample), 'the file we ship is the sample');
open my $manual, '<', "$ENV{top_srcdir}/doc/mailwitness.conf.5" or die $!;
my $page = do { local $/; <$manual> };
is($page, scalar qx($mailwitness config man), 'the manual page is what the table of options makes');
SKIP: {
    skip 'groff is not installed', 1 if !-x '/usr/bin/groff';
    is(scalar qx(groff -mdoc -ww -z $ENV{top_srcdir}/doc/mailwitness.conf.5 2>&1), q{}, '... and is sound');
}
for my $case (
    ['', q{has no command}],
    ['command = "exiftool";', q{command: 'exiftool' must be a whole path}],
    ['command = "/bin/true"; exit_codes = ["0=fine"];', q{exit_codes: '0=fine' must be}],
    ['command = "/bin/true"; exit_codes = ["5-3=clean"];', q{exit_codes: '5-3=clean' must be}],
    ['command = "/bin/true"; environment = ["PATH"];', q{environment: 'PATH' must be NAME=value}],
) {
    ($said) = check("exec: { tool: { $case->[0] }; };\n");
    like($said, qr/test[.]conf:1: exec[.]tool: \Q$case->[1]/, "a program's mistake is told: $case->[1]");
}

# --- what is no file, and files taken in --------------------------------------------------
sub put { my ($name, $text) = @_; open my $out, '>', "$dir/$name" or die $!; print {$out} $text; close $out or die $!; return "$dir/$name" }
sub told { my ($command) = @_; my $text = qx(timeout 20 $command 2>&1); my $ended = $? >> 8; $text =~ s{\Q$dir\E/}{}g; return "$ended $text" }
mkdir "$dir/sub" or die $!;
POSIX::mkfifo("$dir/fifo", 0600) or die $!;
symlink '/dev/zero', "$dir/zero" or die $!;
put('sub/part.conf', "log: { form = \"json\"; };\n\@include \"inner.conf\"");
put('sub/inner.conf', "limits: { parts = 7; };");
put('main.conf', "# \@include \"no\"\n/* \@include \"fifo\"\n\@include \"no\" */\nmilter: { removed_to = \"a\@b.c\";\n};\n\t\@include \t\"sub/part.conf\" metrics: { listn = \"\"; };\nscan: { pe = false; };\n");
like(told("env -C / $mailwitness config check main.conf"), qr/^1 main[.]conf: No such file/, 'a file is looked for where one is');
is(told("env -C / $mailwitness config check $dir/main.conf"), "1 main.conf:6: metrics.listn: is no option; did you mean 'listen'?\n", 'a file is taken in by @include, beside the one that names it; in comments it is none');
put('sub/inner.conf', "\nlimits: { parts = 0; };\nlimits_ = 1;\ncache: { };");
($said) = told("$mailwitness config check $dir/main.conf") =~ /^\d+ (.*)/s;
like($said, qr/^sub\/inner[.]conf:2: limits[.]parts: .*^sub\/inner[.]conf:3: limits_: is no section/ms, 'mistakes in it have its name and line');
like($said, qr/^main[.]conf:6: metrics[.]listn: /m, '... and those behind it their own');
put('sub/inner.conf', "limits: { parts = 7;\n");
like(told("$mailwitness config check $dir/main.conf"), qr/^1 (?:sub\/inner|sub\/part|main)[.]conf:\d+: syntax error/, 'so has what libconfig cannot read');
for my $case (
    ['fifo', 'a FIFO'], ['sub', 'a folder'], ['zero', 'a device'],
) {
    like(told("$mailwitness config check $dir/$case->[0]"), qr/^1 $case->[0]: is no file but $case->[1]$/, "$case->[1] as configuration is refused at once");
    put('takes.conf', "log: { };\n\@include \"$case->[0]\"\n");
    is(told("$mailwitness config check $dir/takes.conf"), "1 takes.conf:2: \@include: $case->[0]: is no file but $case->[1]\n", '... and in an @include, with its line');
}
put('round.conf', "\@include \"round.conf\"\n");
like(told("$mailwitness config check $dir/round.conf"), qr/^1 round[.]conf:1: \@include: round[.]conf: one file within the other, more than 10 deep$/, 'a file that takes itself in is refused');
put('many.conf', "\@include \"empty.conf\"\n" x 300);
put('empty.conf', q{});
like(told("$mailwitness config check $dir/many.conf"), qr/^1 many[.]conf:256: .*more than 256 files$/, 'so are very many');
put('nul.conf', "log: { };\nlog: {\0};\n");
like(told("$mailwitness config check $dir/nul.conf"), qr/^1 nul[.]conf:2: has a NUL byte/, 'a NUL has its line');
open my $large, '>', "$dir/large.conf" or die $!;
truncate $large, 1 << 40;
like(told("$mailwitness config check $dir/large.conf"), qr/^1 large[.]conf: has more than the 16777216 bytes allowed$/, 'a file without bound is not read');
for my $case (['log: { form = "', 'text', ': is a quote missing[?]'], ['/* *', 'comment', q{}]) {
    put('open.conf', "\n$case->[0]");
    like(told("$mailwitness config check $dir/open.conf"), qr/^1 open[.]conf:2: the $case->[1] that begins here has no end$case->[2]$/, "a $case->[1] without end has the line of its beginning");
}
for my $case ("log: { }; \@include \"empty.conf\"", '@include empty.conf', '@include ""', "\@include \"empty\n.conf\"", '@', '@includes "empty.conf"') {
    put('odd.conf', "\n$case\n");
    like(told("$mailwitness config check $dir/odd.conf"), qr/^1 odd[.]conf:2: syntax error: an \@ .* can only be a line \@include "FILE"$/, 'an @include that is none is told: ' . ($case =~ s/\n/ /r));
}
my $daemon = "$ENV{top_builddir}/mailwitnessd";
my $usual = "filter: { };\nspool: { folder = \"$dir/spool\"; };\n";
for my $case (
    ['redis: { address = "127.0.0.1:1"; password_file = "%s"; };', 'the password file'],
    ['redis: { address = "127.0.0.1:1"; tls = true; tls_ca = "%s"; };', 'certificates'],
    ['redis: { address = "127.0.0.1:1"; tls = true; tls_cert = "%s"; };', 'a certificate'],
    ['yara: { rules = "%s"; };', 'rules'], ['clamav: { database = "%s"; };', 'a database'],
    ['clamav: { database = "' . "$dir/sub" . '"; };', 'a file of a database'],
) {
    SKIP: {
        my $needs = $case->[0] =~ /yara/ ? 'YARA' : $case->[0] =~ /clamav/ ? 'ClamAV' : 'mailwitness';
        skip "built without $needs", 1 if qx($mailwitness --version) !~ /$needs/;
        POSIX::mkfifo("$dir/sub/x.ndb", 0600) if $case->[1] eq 'a file of a database';
        put('named.conf', $usual . ($case->[0] =~ s{%s}{$dir/fifo}r) . "\n");
        like(told("$daemon -t -c $dir/named.conf"), qr/^[01] .*(?:fifo|x[.]ndb): is no file but a FIFO/s, "$case->[1] may be no FIFO, which would wait for ever");
    }
}
POSIX::mkfifo("$dir/seen", 0600);
put('named.conf', "filter: { from: { file = \"$dir/seen\"; }; };\n");
like(told("$daemon -t -c $dir/named.conf"), qr/^1 .*seen/s, 'nor may a filter');

# --- the commonest slips -------------------------------------------------------------------
for my $case (
    ["milter: {\n  memory_max = 100m;\n};\n", '2: syntax error: memory_max: write the value in quotes: memory_max = "100m";', 'a size without quotes'],
    ["milter: {\n  mode = act;\n  clean = \"tag\";\n};\n", '2: syntax error: mode: write the value in quotes: mode = "act";', 'a text without quotes'],
    ["milter: {\n  sender_new_header = no;\n};\n", '2: syntax error: sender_new_header: write false, not no', 'no for false'],
    ["milter: {\n  sender_new_header = Yes\n};\n", '2: syntax error: sender_new_header: write true, not Yes', 'yes for true'],
    ["milter: {\n  mode = ;\n};\n", '2: syntax error: mode has no value', 'a value that is left out'],
    ["milter: {\n  internal_networks = [\n    \"10.0.0.0/8\", # ours\n  ];\n};\n", '3: syntax error: remove the comma before the ]', 'a comma too many'],
    ["milter: {\n  mode = \"act\";\n\nyara: { rules = \"/x\"; };\n", '1: syntax error: the { on this line is never closed', 'a brace that is missing'],
    ["milter: {\n  mode = \"act\"; }\n};\n", '3: syntax error: this } closes nothing: one } too many, or a { is missing before', 'a brace too many'],
    ["milter: {\n  internal_networks = [ \"10.0.0.0/8\" };\n", '2: syntax error: this } stands where the [ of line 2 is to be closed', 'another bracket'],
    ["policy: (\n  { action = \"tag\"; }\n  { action = \"tag\"; }\n);\n", '2: syntax error: a comma is missing behind this }', 'a comma between rules that is missing'],
    ["milter: {\n  mode = \"act;\n  clean = \"tag\";\n};\n", '2: the text that begins here has no end: is a quote missing?', 'a quote that is missing'],
    ["milter: {\n  mode = \"act;\n  clean = \"tag;\n};\n", '2: syntax error: the text that begins on this line goes over its end: is a quote missing?', '... and a second one'],
    ["milter: {\n  internal_networks = [ localhost ];\n};\n", '2: syntax error: write "localhost" in quotes', 'a text in a list without quotes'],
    ["milter: {\n  sender_new_header;\n};\n", '2: syntax error: sender_new_header has no value: write sender_new_header = ...;', 'an option alone'],
    ["mode = \"act\"\n", '1: mode: options stand in sections, as in: milter: { mode = ...; };', 'an option without its section, as in postfix'],
    ["smtpd_thing = \"act\"\n", '1: smtpd_thing: is no section, and options stand in one, as in: milter: { mode = "act"; };', '... and one that is none'],
    ["listen = unix:/x\n", '1: syntax error: listen: write the value in quotes: listen = "unix:/x";', '... without quotes, too'],
) {
    my ($text, $wanted, $what) = @{$case};
    ($said, $status) = check($text);
    is("$status $said", "1 test.conf:$wanted\n", "$what is named, on its line, with what to do");
}
{
    open my $part, '>', "$dir/part.inc" or die $!;
    print {$part} "yara: {\n  rules = /x;\n};\n";
    close $part;
    ($said) = check("milter: { mode = \"act\"; };\n\@include \"part.inc\"\n");
    is($said, "part.inc:2: syntax error: rules: write the value in quotes: rules = \"/x\";\n", '... in a file that is included, too');
    my $deep = 'a: ' . ('( ' x 5000);
    ($said, $status) = check($deep);
    ok($status == 1 && $said =~ /^test[.]conf:1: /, 'brackets without end are a mistake like others');
}

# --- rules against all of the file -----------------------------------------------------------
my $rules = sub { return check("$_[0]policy: (\n  $_[1],\n  $_[2]\n);\n") };
($said, $status) = $rules->(q{}, '{ name = "all"; action = "tag"; }', '{ name = "b"; when: { sender = "x@*"; }; action = "reject"; }');
is("$status $said", "1 test.conf:3: policy.b: is never reached: 'all' before it has no conditions and decides about every message\n", 'a rule that is never reached is a mistake');
($said, $status) = $rules->(q{}, '{ name = "b"; when: { sender = "x@*"; }; action = "reject"; }', '{ name = "all"; action = "tag"; }');
is($status, 0, '... and one without conditions at the end is none') or diag($said);
my $filters = 'filter: { senders: { source = "from"; file = "/x"; capacity = 10; }; };' . "\n";
($said, $status) = $rules->($filters, '{ name = "n"; when: { new = "sender"; }; action = "tag"; }', '{ name = "o"; when: { new = "!senders"; }; action = "tag"; }');
is("$status $said", "1 test.conf:3: policy.n: new: the section filter has no 'sender'; did you mean 'senders'?\n", 'a filter that is not there is named');
($said, $status) = $rules->(q{}, '{ name = "n"; when: { new = "from"; }; action = "tag"; }', '{ name = "o"; action = "tag"; }');
is($status, 0, '... and the usual one is there without a section') or diag($said);

# --- the installed one -----------------------------------------------------------------------
SKIP: {
    my ($installed) = qx(strings -n 8 $mailwitness) =~ m{^(/\S+/mailwitness/mailwitness[.]conf)$}m;
    skip 'needs root and an own view of the file system', 3 if $> != 0 || !$installed || system('unshare -m true 2>/dev/null') != 0;
    my ($top) = $installed =~ m{^((?:/[^/]+){2,}?)/mailwitness/};
    my $in = sub {
        open my $out, '>', "$dir/installed.conf" or die $!;
        print {$out} @_;
        close $out;
        my $text = qx(unshare -m sh -c 'mkdir -p $top && mount -t tmpfs none $top && mkdir $top/mailwitness && cp $dir/installed.conf $installed && exec $mailwitness config check' 2>&1);
        return ($text, $? >> 8);
    };
    ($said, $status) = $in->("filter: { };\n");
    ok($status == 0 && $said =~ /^\Q$installed\E: no mistakes$/m, 'without a file the installed one is checked') or diag($said);
    ($said, $status) = $in->("milter: { user = \"nobody-here\"; listen = \"unix:relative\"; };\nfilter: { };\n");
    ok($status == 1 && $said =~ /there is no user 'nobody-here'/ && $said =~ /'unix:relative'/, '... with all that mailwitnessd -t finds') or diag($said);
    ($said, $status) = $in->("yara: { rules = \"/nowhere\"; };\nfilter: { };\n");
    ok($status == 1 && $said =~ m{/nowhere}, '... rules that do not load among it') or diag($said);
}
done_testing();
