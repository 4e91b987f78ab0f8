#!/usr/bin/perl
# From which mail memory learns: a sender is new until a mail of theirs was taken, whatever
# became of those before; and no sender whose mail was taken is forgotten.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder run wait_until slurp);
use Rig::Daemon;
use Rig::Mail qw(message random_bytes words);
use Rig::Milter;
use Rig::Redis;
use Test::More;

my $dir = folder();
my $redis = Rig::Redis->new;
my %usual = (
    milter => { clean => 'tag', suspicious => 'tag', unscanned => 'tag', queue_time => '1s', internal_networks => ['10.0.0.0/8'] },
    limits => { time => '100s' },
    workers => { count => 1 },
    failure => { map { $_ => 'tempfail' } qw(worker_crashed timed_out queue_full store_unavailable) },
    # Over a part called *.slow a worker sits until it is ended.
    exec => { slow => { command => '/bin/sleep', arguments => ['60'], time => '100s', names => ['*.slow'] } },
    policy => [map { { name => $_->[0], when => { recipient => "$_->[0]\@*" }, action => $_->[1] } }
        ['accept', 'accept'], ['hold', 'quarantine'], ['gone', 'discard'], ['later', 'tempfail'], ['no', 'reject']],
);
my $daemon = Rig::Daemon->new(redis => $redis, settings => \%usual);
my $senders = 0;
sub stranger { return 'stranger' . $senders++ . '@example.com' }

sub link_to { my ($to, %options) = @_; my $link = Rig::Milter->connect_to($to->{milter}, %options); $link->hello(%options); return $link }

# Sends a mail; the answer: 4, 5 (put off, refused), a (taken), d (thrown away).
sub send_mail {
    my ($from, %options) = @_;
    my $link = link_to($options{daemon} || $daemon, %options);
    my $result = $link->message(message(from => $options{raw_from} // "Somebody <$from>", %options), from => $from, to => [$options{recipient} || 'tag@example.org']);
    $link->quit;
    my $end = $result->{end} eq 'y' ? substr $result->{text}, 0, 1 : $result->{end};
    $end = { t => 4, r => 5 }->{$end} // $end;
    return wantarray ? ($end, (Rig::Milter->added($result)->{'X-Mailwitness-Sender-New'} || ['nothing'])->[0]) : $end;
}

# What the next two mails of a sender are told.
sub told { return join q{ }, map { (send_mail($_[0], daemon => $_[1]))[1] } 1, 2 }

sub is_stored_sender { my ($address) = @_; return scalar %{ $redis->hash("mw:sender:$address") } }

# --- what is done with a mail decides --------------------------------------------------------
for my $case (['hold', 'a', 'held'], ['gone', 'd', 'thrown away'], ['later', 4, 'put off'], ['no', 5, 'refused']) {
    my ($recipient, $end, $what) = @{$case};
    my $from = stranger();
    is((send_mail($from, recipient => "$recipient\@example.org"))[0], $end, "a mail is $what") for 1, 2;
    ok(wait_until(10, sub { $redis->command('ZCARD', "mw:index:from:$from") == 2 }), '... and kept, twice');
    ok(!is_stored_sender($from), '... Redis does not call its sender seen');
    is(told($from), 'yes no', '... and its sender is new when a mail is taken, and known after that');
    ok(wait_until(10, sub { is_stored_sender($from) }), '... to Redis, too');
}
for my $case (['accept@example.org', '192.0.2.7', 'accepted without a mark'], ['tag@example.org', '10.1.2.3', 'sent from inside']) {
    my ($recipient, $client, $what) = @{$case};
    my $from = stranger();
    is((send_mail($from, recipient => $recipient, address => $client))[0], 'a', "a mail is $what");
    is((send_mail($from))[1], 'no', '... its sender is known then');
}
sub reload_with {
    my (%settings) = @_;
    my $before = () = $daemon->log_text =~ /were read again/g;
    $daemon->configure(%settings);
    $daemon->reload;
    return wait_until(60, sub { (() = $daemon->log_text =~ /were read again/g) > $before });
}
reload_with(milter => { mode => 'observe' });
my $observed = stranger();
is((send_mail($observed, recipient => 'no@example.org'))[0], 'a', 'in mode observe a mail is accepted that would be refused');
reload_with(milter => { mode => 'act' });
is((send_mail($observed))[1], 'no', '... so its sender is known');

my ($end, $new) = send_mail('somebody@example.com', raw_from => 'undisclosed:;');
is("$end $new", 'a unknown', 'a mail whose From has no address is told as unknown');

for (1, 2) {
    ($end, $new) = send_mail('somebody', raw_from => 'Just a name');
    is("$end $new", 'a unknown', '... so is one that has a name alone');
}
my $unedited = stranger();
is((send_mail($unedited, actions => Rig::Milter::ALL_ACTIONS & ~Rig::Milter::ADDHDRS))[0], 4, 'a mail whose edits the server does not take is put off')
    for 1, 2;
is(told($unedited), 'yes no', '... its sender is new when a mail is taken');

# --- one mail teaches a bounded number ----------------------------------------------------------
{
    my @crowd = map {"crowd$_\@example.com"} 1 .. 1500;
    my ($before) = run(q{}, $ENV{MAILWITNESS}, qw(bloom info --json), "$daemon->{dir}/from.filter");
    my $link = link_to($daemon);
    $link->message(message(from => join(",\n ", @crowd)));
    $link->quit;
    my ($after) = run(q{}, $ENV{MAILWITNESS}, qw(bloom info --json), "$daemon->{dir}/from.filter");
    my ($values) = map { $_->[1] - $_->[0] } [map { /"values":(\d+)/ } $before, $after];
    is($values, 100, 'a mail with 1,500 addresses in From teaches 100');
    is(scalar(() = $redis->command('KEYS', 'mw:sender:crowd*')), 100, '... and Redis as many');
}

# --- what failed for a time ---------------------------------------------------------------------
sub is_busy { return scalar grep { slurp("/proc/$_/cmdline") =~ m{^/bin/sleep} } $daemon->processes }
sub the_worker {
    my %has_child = map { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) \S (\d+)/ ? ($1 => 1) : () } $daemon->processes;
    return grep { !$has_child{$_} } $daemon->workers;
}
sub slow_mail { return message(from => $_[0], attachments => [['a.slow', 'application/x-slow', "slow $_[0] " . rand]]) }

my $from = stranger();
my $link = link_to($daemon);
$link->envelope(from => $from);
$link->content(slow_mail($from));
$link->command('E');
for (1, 2) {
    wait_until(30, \&is_busy);
    kill 'KILL', the_worker();
    wait_until(10, sub { !is_busy() });
}
like($link->result->{end} . $daemon->wait_log(qr/(failed=worker_crashed)/), qr/^[yt]failed/, 'a mail over which workers die is put off');
is(told($from), 'yes no', '... its sender is new when the mail is taken');

reload_with(limits => { time => '2s' });
$from = stranger();
is((send_mail($from, attachments => [['b.slow', 'application/x-slow', "slow $from"]]))[0], 4, 'a mail that takes too long is put off');
is(told($from), 'yes no', '... its sender is new when the mail is taken');

reload_with(limits => { time => '30s' });
$from = stranger();
# Whoever has been sent a signal may do something yet, as to fork.
sub stop_all {
    my (@processes) = @_;
    kill 'STOP', @processes;
    return wait_until(10, sub { !grep { slurp("/proc/$_/stat") !~ /^\d+ \(.*\) [TZX]/s } @processes });
}
stop_all($daemon->generations);
stop_all($daemon->workers);
is((send_mail($from))[0], 4, 'a mail for which no worker is free is put off');
kill 'CONT', $daemon->generations, $daemon->workers;
wait_until(30, sub { (send_mail('somebody@example.com'))[0] eq 'a' });
is(told($from), 'yes no', '... its sender is new when the mail is taken');
$daemon->stop;

$daemon->configure(milter => { memory_max => '1m' });
$daemon->start;
$from = stranger();
is((send_mail($from, text => words(2_000_000, 1)))[0], 4, 'a mail for which there is no memory is put off');
is(told($from), 'yes no', '... its sender is new when the mail is taken');

# --- kills ------------------------------------------------------------------------------------------
{
    my $forgotten = 0;
    for (1 .. 5) {
        my $accepted = stranger();
        send_mail($accepted);
        kill 'KILL', $daemon->{pid};
        $daemon->stop;
        $daemon->start;
        $forgotten += (send_mail($accepted))[1] ne 'no';
    }
    is($forgotten, 0, 'a daemon killed as soon as it has taken a mail knows the sender when it starts again');
    $daemon->stop;
}

# --- a stranger stays one for a while -----------------------------------------------------------------
{
    my $careful = { name => 'stranger-macros', when => { new => 'from', attachment_extension => 'docm' }, action => 'quarantine' };
    my $macros = [['offer.docm', 'application/x-docm', 'macros']];
    for my $new_for ('0', '1d') {
        $daemon->configure(milter => { memory_max => undef }, policy => [$careful, @{ $usual{policy} }],
            filter => { from => { source => 'from', file => "$dir/lasting.filter", capacity => 1000, new_for => $new_for } });
        $daemon->start;
        my $from = stranger();
        send_mail($from, attachments => $macros);
        send_mail($from, attachments => $macros);
        send_mail($from);
        send_mail($from, attachments => $macros);
        $daemon->wait_log(qr/from=<$from>.*(?:from=<$from>.*){3}/s);
        my @done = $daemon->log_text =~ /from=<$from>.* action=(\w+)/g;
        is("@done", 'quarantine quarantine tag ' . ($new_for ? 'quarantine' : 'tag'),
            "with new_for = $new_for macros of a stranger are held, again, and after a harmless mail " . ($new_for ? 'still' : 'not any more'));
        $daemon->stop;
    }
    $daemon->configure(policy => $usual{policy}, filter => { from => { source => 'from', file => "$daemon->{dir}/from.filter", capacity => 100_000 } });
}

# --- made anew from what is stored --------------------------------------------------------------------
{
    $daemon->configure(milter => { memory_max => undef });
    $daemon->start;
    my $never = stranger();
    send_mail($never, recipient => 'no@example.org');
    ok(wait_until(10, sub { $redis->command('ZCARD', "mw:index:from:$never") }), 'a mail that is refused is kept');
    $daemon->stop;
    my @accepted = grep { $_ ne $never } map {"stranger$_\@example.com"} 0 .. $senders - 1;
    for my $source ('from', 'envelope-from') {
        my $out = "$dir/$source.filter";
        my ($text, $status) = run(q{}, $ENV{MAILWITNESS}, qw(bloom rebuild --store --config), $daemon->{config}, qw(--filter from --source), $source, $out);
        is($status, 0, "a filter of $source is made anew from the store") or diag($text);
        ($text, $status) = run(q{}, $ENV{MAILWITNESS}, 'seen', '--filter', $out, @accepted);
        is($status, 0, '... it knows all whose mail was accepted') or diag($text);
        ($text, $status) = run(q{}, $ENV{MAILWITNESS}, 'seen', '--filter', $out, $never);
        is($status, 1, '... and nobody else') or diag($text);
    }
    my ($info) = run(q{}, $ENV{MAILWITNESS}, qw(bloom info --json), "$dir/from.filter");
    like($info, qr/"capacity":100000\b/, '... of the capacity that the configuration says');
    my ($text, $status) = run(q{}, $ENV{MAILWITNESS}, qw(bloom rebuild --redis unix:/nonexistent/redis), "$dir/none.filter");
    ok($status == 2 && $text =~ m{/nonexistent/redis} && !-e "$dir/none.filter", 'without Redis that is an error, and leaves nothing behind');
}

# --- neither Redis nor the disk ---------------------------------------------------------------------
SKIP: {
    skip 'no file system of our own can be mounted', 3 if $> != 0 || system('unshare', '-m', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', $dir) != 0;
    mkdir "$dir/small";
    my $small = Rig::Daemon->new(redis => $redis, prefix => ['unshare', '-m', '--', 'sh', '-c',
        qq(mount -t tmpfs -o size=1m,mode=777 none "$dir/small" && exec "\$@"), 'sh'],
        settings => { %usual, spool => { folder => "$dir/small/spool" } });
    $redis->stop;
    my $refused;
    for (1 .. 40) {
        $from = stranger();
        $refused = send_mail($from, daemon => $small, attachments => [['a.bin', 'application/x-a', random_bytes(100_000)]]);
        last if $refused eq '4';
    }
    is($refused, 4, 'a mail that neither Redis nor the spool can take is put off');
    $redis->start;
    wait_until(60, sub { ($small->metrics->{mailwitness_spool_messages} // 1) == 0 && $small->metrics->{mailwitness_redis_up} });
    is(told($from, $small), 'yes no', '... its sender is new when the mail is taken');
    ok(wait_until(10, sub { is_stored_sender($from) }), '... and then known to Redis');
    $small->stop;
}
done_testing();
