#!/usr/bin/perl
# A reload changes all or nothing, wherever it fails.
use strict;
use warnings;
use JSON::PP;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder run slurp spew wait_until);
use Rig::Milter;
use Rig::Redis;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $dir = folder();
my $redis = Rig::Redis->new;
my $has_yara = (run(q{}, $mailwitness, '--version'))[0] =~ /YARA/;
my $message = "From: ana\@example.com\nSubject: x\n\nhello\n";

spew("$dir/damaged", 'x' x 9000);
spew("$dir/password", "wrong\n");
spew("$dir/file", q{});
spew("$dir/broken.yar", "rule broken { condition: }\n");
run(q{}, $mailwitness, 'bloom', 'create', '--capacity', 1000, "$dir/first");

sub filter { my ($name, $file, $more) = @_; return "filter: { $name: { source = \"from\"; file = \"$file\"; capacity = 1000; " . ($more // q{}) . " }; };\n" }
sub settings {
    my ($prefix, %more) = @_;
    return (redis => { address => $redis->address, prefix => $prefix, %{ delete $more{redis} || {} } },
        spool => { folder => "$dir/spool", %{ delete $more{spool} || {} } }, %more);
}

my $daemon = Rig::Milter->daemon(settings('one:'), milter => { clean => 'tag' }, more => filter('senders', "$dir/first"));
my $link = $daemon->connection;
$link->hello;
sub ask { my ($what) = @_; return decode_json(scalar qx($mailwitness $what --json --socket $daemon->{control})) }
sub reload { return run(q{}, $mailwitness, 'reload', '--socket', $daemon->{control}) }

# What can be seen of a configuration: how a message is treated, where it is kept, who knows its
# sender, which files are open.
sub seen {
    my $added = Rig::Milter->added($link->message($message));
    my $state = ask('status');
    my @keys = $redis->command('KEYS', '*');
    return {
        tagged => 0 + keys %{$added},
        new => "@{ $added->{'X-Mailwitness-Sender-New'} || ['-'] }",
        generation => $state->{workers}{generation},
        filters => join(q{ }, sort keys %{ $state->{filters} }),
        up => $state->{store}{up} ? 1 : 0,
        waiting => $state->{store}{waiting},
        one => scalar grep({ /^one:message:/ } @keys) > 0 ? 1 : 0,
        others => join(q{ }, grep { !/^one:/ } @keys),
        files => join(q{ }, map { s{.*/}{}r } grep { !/spool/ } glob "$dir/*"),
        open => join(q{ }, sort grep { m{^\Q$dir\E/\w+$} } map { readlink($_) // q{} } glob "/proc/$daemon->{pid}/fd/*"),
    };
}
seen();
my $before = seen();
is("$before->{filters} $before->{up} $before->{one}", 'senders 1 1', 'a daemon that remembers and stores');

my @wrong = (
    ['a rule that cannot be', qr/policy[.]action: .dance./, {}, "policy: ( { action = \"dance\"; } );\n"],
    ['a filter without a folder', qr/filter 'from': .*\Q$dir\E\/no\/where/, {}, filter('from', "$dir/no/where")],
    ['a filter that is damaged', qr/filter 'from': \Q$dir\E\/damaged/, {}, filter('from', "$dir/damaged")],
    ['a filter that is made, before one that cannot be', qr/filter 'worse': .*\Q$dir\E\/no\/where/, {},
        "filter: { better: { source = \"from\"; file = \"$dir/better\"; capacity = 1000; }; worse: { source = \"from\"; file = \"$dir/no/where\"; }; };\n"],
    ['another capacity for a file that stays', qr/filter 'senders': .*\Q$dir\E\/first/, {}, filter('senders', "$dir/first") =~ s/1000/2000/r],
    ['a password that Redis refuses', qr/redis: .*AUTH/, { redis => { password_file => "$dir/password" } }],
    ['a password file that is missing', qr/cannot read the password file \Q$dir\E\/nothing/, { redis => { password_file => "$dir/nothing" } }],
    ['a database that Redis does not have', qr/redis: .*DB index/, { redis => { database => 9999 } }],
    ['a certificate that is missing', qr/\Q$dir\E\/nothing/, { redis => { tls => 'true', tls_ca => "$dir/nothing" } }],
    ['an address that is none', qr/'localhost' is neither/, { redis => { address => 'localhost' } }],
    ['a spool that cannot be', qr/\Q$dir\E\/file\/spool/, { spool => { folder => "$dir/file/spool" } }],
    ['a database of signatures that is missing', qr/\Q$dir\E\/nothing/, { clamav => { database => "$dir/nothing" } }, undef, 'ClamAV'],
    ['rules that do not compile', qr/broken[.]yar/, { yara => { rules => "$dir/broken.yar" } }, undef, 'YARA'],
    ['a program that is missing', qr/\Q$dir\E\/nothing/, {}, "exec: { tool: { command = \"$dir/nothing\"; }; };\n"],
);
for my $case (@wrong) {
    my ($what, $says, $settings, $more, $needs) = @{$case};
    SKIP: {
        skip "built without $needs", 3 if $needs && (run(q{}, $mailwitness, '--version'))[0] !~ /$needs/;
        my @other = $more && $more =~ /^filter/ ? () : filter('from', "$dir/second");
        $daemon->configure(settings('two:', %{$settings}), milter => { mode => 'observe' }, workers => { count => 2, reuse_verdicts => 'false' },
            more => join q{}, @other, $more // q{});
        my ($said, $status) = reload();
        ok($status == 2 && $said =~ $says, "$what fails a reload, which names it") or diag($said);
        is_deeply(seen(), $before, '... and everything stays as it was');
    }
}

$daemon->configure(settings('two:'), milter => { clean => 'tag' }, more => "filter: { senders: { source = \"from\"; file = \"$dir/first\"; capacity = 1000; sync = \"always\"; }; second: { source = \"from\"; file = \"$dir/second\"; capacity = 1000; }; };\n");
my ($said, $status) = reload();
is($status, 0, 'what is right is taken') or diag($said);
my $after = seen();
is("$after->{generation} $after->{filters}", ($before->{generation} + 1) . ' second senders', '... by the workers and all filters');
like($after->{others}, qr/two:message:/, '... and the store');
like($after->{new}, $before->{new} eq '-' ? qr/-/ : qr/\S/, '... the tag tells of senders');
($said) = run(q{}, $mailwitness, 'status', '--json', '--socket', $daemon->{control});
is(decode_json($said)->{filters}{senders}, 1, '... a filter whose file stays knows what it knew');

# Redis away is no mistake, nor does the spool lose anything when its bounds change.
$redis->stop;
$link->message($message) for 1 .. 3;
ok(wait_until(20, sub { ask('status')->{store}{waiting} >= 3 }), 'messages wait in the spool while Redis is away');
my $waiting = ask('status')->{store}{waiting};
$daemon->configure(settings('three:', spool => { size => "300m" }), milter => { clean => 'tag' }, more => filter('senders', "$dir/first"));
($said, $status) = reload();
is($status, 0, 'a Redis that is away fails no reload') or diag($said);
is(ask('status')->{store}{waiting}, $waiting, '... what waits in the spool goes on waiting');
$redis->start;
ok(wait_until(30, sub { ask('status')->{store}{waiting} == 0 }), '... and goes to Redis when that is back');
ok(scalar(grep { /^three:message:/ } $redis->command('KEYS', '*')) >= 3, '... under the new prefix');

# What was read is what all have, also those who come later.
sub at_depth { my ($depth) = @_; return map { $_->[0] } grep { $_->[1] == $depth } Rig::process_depths($daemon->{pid}) }
sub is_gone { my ($pid) = @_; return !-e "/proc/$pid" || slurp("/proc/$pid/stat") =~ /[)] Z/ }
sub kill_generations {
    my @workers = at_depth(3);
    kill 'KILL', at_depth(2);
    return wait_until(20, sub { !grep { !is_gone($_) } @workers });
}
my ($number, $count) = @{ ask('status')->{workers} }{qw(generation count)};
sub lose {
    my ($text) = @_;
    spew($daemon->{conf}, $text);
    kill_generations();
    ok(wait_until(20, sub { $link->message($message); return ask('status')->{workers}{generation} > $number }), 'a generation that was lost is replaced');
    $number = ask('status')->{workers}{generation};
    is(ask('status')->{workers}{count}, $count, '... from the configuration of the daemon, not from what stands in the file by now');
}
lose(slurp($daemon->{conf}) =~ s/count = 2/count = 1/r);
lose("milter: { mode = \"dream\"; };\n");
is((reload())[1], 2, '... and the file is read at a reload');
is($daemon->stop, 0, 'it ends in order');
unlike($daemon->log_text, qr/lost until a reload/, 'nothing was lost on the way');

# --- a generation that does not come ----------------------------------------------------------
$daemon = Rig::Milter->daemon(milter => { queue_time => '11s', grace => '100ms' });
$link = $daemon->connection;
$link->hello;
kill 'STOP', at_depth(1);
kill_generations();
my $late = $link->message($message);
ok($late->{end} && $link->{progress}, 'a message that waits for workers that do not come tells the mail server so');
like($daemon->log_text, qr/failed=queue_full/, '... and waits no longer than milter.queue_time, though loading may take longer');
kill 'CONT', at_depth(1);
ok(wait_until(30, sub { $link->message($message)->{end} eq 'a' }), 'when they come it goes on');
$daemon->stop;
done_testing();
