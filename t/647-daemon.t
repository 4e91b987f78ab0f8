#!/usr/bin/perl
# mailwitnessd from its start to its end: sockets, reload, what is told and to whom.
use strict;
use warnings;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX ();
use Socket qw(SOCK_DGRAM);
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder slurp spew wait_until free_port spawn end_process run);
use Rig::Milter;
use Test::More;
use Time::HiRes qw(sleep time);

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $program = "$ENV{top_builddir}/mailwitnessd";
my $message = "From: ana\@example.com\nSubject: x\n\nhello\n";

sub processes { my ($pid) = @_; return map { ($_, processes($_)) } map { split ' ', slurp($_) } glob "/proc/$pid/task/*/children" }
sub leaves { return grep { my @under = processes($_); !@under } processes($_[0]) }
sub is_gone { my ($pid) = @_; return !-e "/proc/$pid" || slurp("/proc/$pid/stat") =~ /[)] Z/ }
sub ask { my ($daemon, $what) = @_; return decode_json(scalar qx($mailwitness $what --json --socket $daemon->{control})) }
sub greeted { my ($connection) = @_; $connection->hello; return $connection }

# --- words ---------------------------------------------------------------------------
my ($said, $status) = run(q{}, $program, '--help');
ok($status == 0 && $said =~ /^usage: mailwitnessd/, '--help explains');
($said, $status) = run(q{}, $program, '--version');
ok($status == 0 && $said =~ /^mailwitnessd \d/, '--version tells the version');
($said, $status) = run(q{}, $program, '--nonsense');
ok($status == 1 && $said =~ /nonsense.*\n.*--help/s, 'an unknown option is named');

# --- checking --------------------------------------------------------------------------
my $dir = folder();
spew("$dir/bad.conf", <<"END");
milter: { listen = ["unix:relative", "inet:port"]; socket_mode = "rw"; user = "nobody-here"; };
END
($said, $status) = run(q{}, $program, '-t', '-c', "$dir/bad.conf");
is($status, 1, '-t refuses a configuration that cannot work');
like($said, qr/'unix:relative': the path must begin with .*\n.*'inet:port' is no socket.*\n.*'rw' is no mode.*\n.*there is no user 'nobody-here'/, '... and tells all of its mistakes');
spew("$dir/rule.yar", "rule broken { condition: }\n");
spew("$dir/rules.conf", "yara: { rules = \"$dir/rule.yar\"; };\n");
SKIP: {
    skip 'built without YARA', 1 if qx($mailwitness --version) !~ /YARA/;
    ($said, $status) = run(q{}, $program, '-t', '-c', "$dir/rules.conf");
    ok($status == 1 && $said =~ /rule[.]yar/, 'rules that do not compile are a mistake');
}
my $own = "filter: { from: { source = \"from\"; file = \"$dir/from.filter\"; capacity = 1000; }; };\n";
run(q{}, $mailwitness, 'bloom', 'create', '--capacity', 1000, "$dir/from.filter");
spew("$dir/good.conf", "${own}milter: { listen = \"unix:$dir/never\"; };\n");
($said, $status) = run(q{}, $program, '-t', '-c', "$dir/good.conf");
like("$status $said", qr/^0 .*\Q$dir\E\/good.conf: no mistakes$/s, 'a sound configuration passes');
ok(!-e "$dir/never", '... and nothing is opened');
spew("$dir/wide.conf", "${own}milter: { listen = [\"inet:8891\", \"inet:8892\@127.0.0.1\"]; };\n");
($said, $status) = run(q{}, $program, '-t', '-c', "$dir/wide.conf");
is($status . (() = $said =~ /warning: milter[.]listen: 'inet:8891' listens on all addresses .*inet:8891\@127[.]0[.]0[.]1/g) . (() = $said =~ /all addresses/g), '011', 'a port that is open on all addresses is warned of');
spew("$dir/slow.conf", "${own}limits: { time = \"10min\"; };\n");
($said, $status) = run(q{}, $program, '-t', '-c', "$dir/slow.conf");
ok($status == 0 && $said =~ /warning: .*660 s together, postfix's milter_content_timeout is 300 s/, 'a time beyond what postfix waits is warned of');

{
    my $check = sub { my ($text) = @_; spew("$dir/named.conf", $text); return run(q{}, $program, '-t', '-c', "$dir/named.conf") };
    my $filter = sub { my ($file, $capacity) = @_; return "filter: { from: { source = \"from\"; file = \"$file\"; capacity = $capacity; fp_rate = 0.01; }; };\n" };
    ($said, $status) = $check->($filter->("$dir/from", 1000));
    ok($status == 0 && $said =~ /note: filter 'from': the file \Q$dir\E\/from is not there yet and will be made/, 'a filter that is not there yet is told');
    ok(!-e "$dir/from", '... and not made');
    ($said, $status) = $check->($filter->("$dir/nowhere/from", 1000));
    ok($status == 1 && $said =~ /filter 'from': .*nowhere\/from is not there, and cannot be made/, 'a filter that cannot be made is a mistake');
    run(q{}, $mailwitness, 'bloom', 'create', '--capacity', 1000, '--fp-rate', '0.01', "$dir/from");
    my $before = slurp("$dir/from");
    ($said, $status) = $check->($filter->("$dir/from", 1000));
    like("$status $said", qr/^0 .*\Q$dir\E\/named.conf: no mistakes$/s, 'a sound filter passes');
    ($said, $status) = $check->($filter->("$dir/from", 2000));
    ok($status == 1 && $said =~ /filter 'from': .*from/, 'one of another capacity is a mistake') or diag($said);
    is(slurp("$dir/from"), $before, '... and stays as it was');
    spew("$dir/damaged", substr($before, 0, 100) . 'x' x 5000);
    ($said, $status) = $check->($filter->("$dir/damaged", 1000));
    ok($status == 1 && $said =~ /filter 'from': .*damaged/, 'a damaged one is a mistake') or diag($said);
    mkdir "$dir/own", 0700;
    my $user = (getpwuid $>)[0] eq 'root' ? 'nobody' : q{};
    my $store = sub { my ($folder) = @_; return "redis: { address = \"unix:$dir/no-redis\"; };\nspool: { folder = \"$folder\"; };\nmilter: { user = \"$user\"; };\n" };
    ($said, $status) = $check->($store->("$dir/missing/spool"));
    ok($status == 1 && $said =~ /spool[.]folder: .*missing\/spool is not there, and cannot be made/, 'a spool folder that cannot be made is a mistake') or diag($said);
    like($said, qr/warning: redis: .*no-redis.*messages wait in the spool/, '... a Redis that is away is a warning');
    SKIP: {
        skip 'only root can look as another user', 1 if !$user;
        ($said, $status) = $check->($store->("$dir/own"));
        ok($status == 1 && $said =~ /spool[.]folder: cannot write to \Q$dir\E\/own: Permission denied/, 'a spool folder that milter.user may not write to is a mistake') or diag($said);
    }
}

# --- rights that are wider than they need be -------------------------------------------
{
    my $check = sub { my ($text) = @_; spew("$dir/rights.conf", $text); return run(q{}, $program, '-t', '-c', "$dir/rights.conf") };
    spew("$dir/secret", "pass\n");
    my $secret = "${own}redis: { address = \"unix:$dir/no-redis\"; password_file = \"$dir/secret\"; };\nspool: { folder = \"$dir/spool\"; };\n";
    chmod 0644, "$dir/secret";
    ($said, $status) = $check->($secret);
    ok($status == 0 && $said =~ /warning: redis[.]password_file: everybody can read \Q$dir\E\/secret: chmod o-r it/, 'a password file that everybody can read is warned of') or diag($said);
    chmod 0640, "$dir/secret";
    ($said) = $check->($secret);
    unlike($said, qr/everybody/, '... one that is its own is not');
    my $open = folder();
    chmod 0777, $open;
    ($said) = $check->("${own}milter: { pid_file = \"$open/pid\"; listen = \"unix:$open/milter\"; };\n");
    like($said, qr/warning: milter[.]listen: anybody may write to the folder \Q$open\E.*warning: milter[.]pid_file: anybody may write to the folder \Q$open\E/s, 'so is a folder in which anybody can put something in the place of ours');
    chmod 01777, $open;
    ($said) = $check->("${own}milter: { pid_file = \"$open/pid\"; };\n");
    unlike($said, qr/anybody/, '... but for one from which nobody removes what is another\'s');
    SKIP: {
        skip 'only root has all rights', 3 if $> != 0;
        ($said) = $check->($own);
        like($said, qr/warning: milter[.]user: the daemon keeps all rights of root: name a user/, 'keeping the rights of root is warned of');
        ($said) = $check->("${own}milter: { user = \"nobody\"; };\n");
        unlike($said, qr/rights of root/, '... not with a user to become');
        my $rooted = Rig::Milter->daemon();
        like($rooted->log_text, qr/milter[.]user: the daemon keeps all rights of root/, '... and told at the start as well');
        $rooted->stop;
    }
    my $kept = folder();
    spew("$kept/precious", 'precious');
    symlink "$kept/precious", "$kept/pid" or die $!;
    my $linked = Rig::Milter->daemon(folder => $kept, milter => { pid_file => "$kept/pid" }, may_fail => 1);
    like($linked->log_text, qr/milter[.]pid_file: cannot write \Q$kept\E\/pid: a link is there/, 'a pid file that is a link is refused');
    is(slurp("$kept/precious"), 'precious', '... and nothing is written through it');
    $linked->stop if Rig::alive($linked->{pid});
    unlink "$kept/pid";
    spew("$kept/pid", "1\n");
    $linked->start;
    is(slurp("$kept/pid"), "$linked->{pid}\n", '... one that a daemon left is replaced');
    $linked->stop;
    ok(!-e "$kept/pid", '... and removed at the end');
    SKIP: {
        skip 'only root can become another user', 2 if $> != 0;
        my $theirs = folder();
        chown((getpwnam 'nobody')[2, 3], $theirs);
        mkdir "$theirs/roots", 0755;
        my $dropped = Rig::Milter->daemon(folder => $theirs, milter => { user => 'nobody', pid_file => "$theirs/roots/pid" }, may_fail => 1);
        like($dropped->log_text, qr/milter[.]pid_file: cannot write \Q$theirs\E\/roots\/pid as user \d+: Permission denied/, 'the pid file is written with the rights of milter.user');
        $dropped->stop if Rig::alive($dropped->{pid});
        $dropped->configure(milter => { user => 'nobody' }, more => "filter: { from: { file = \"$theirs/roots/from\"; capacity = 1000; }; };\n");
        $dropped->start(may_fail => 1);
        like($dropped->log_text, qr/filter 'from': cannot create \S+from: user \d+ may not write to the folder/, '... and so are the files of filters made');
        $dropped->stop if Rig::alive($dropped->{pid});
    }
}
# --- sockets -----------------------------------------------------------------------------
my @ports = map { free_port() } 1 .. 2;
my $daemon = Rig::Milter->daemon(milter => {
    listen => ["inet:$ports[0]\@127.0.0.1", "unix:$dir/a", "unix:$dir/b", "inet:127.0.0.1:$ports[1]"],
    socket_mode => '0640', socket_group => 'nogroup' });
my @answers = map { greeted(Rig::Milter->connect_to($_))->message($message)->{end} } "$dir/a", "$dir/b", map {"127.0.0.1:$_"} @ports;
is("@answers", 'a a a a', 'several sockets are listened on, of either kind');
my $big = greeted(Rig::Milter->connect_to("127.0.0.1:$ports[0]"));
is($big->message("$message" . 'x' x 3_000_000)->{end}, 'a', '... large messages come whole by TCP');
ok($daemon->wait_log(qr/size=30000\d\d/), '... to the last byte');
is(sprintf('%o %s', (stat "$dir/b")[2] & 07777, (getgrgid((stat "$dir/b")[5]))[0]), '640 nogroup', 'mode and group are as configured');
($said, $status) = run(q{}, $program, '-c', $daemon->{conf});
ok($status == 1 && $said =~ /cannot listen on|another process is listening/, 'a second start is refused');
is(greeted(Rig::Milter->connect_to("$dir/a"))->message($message)->{end}, 'a', '... and the first goes on');
my @below = processes($daemon->{pid});
$daemon->stop('KILL');
ok(wait_until(10, sub { !grep { !is_gone($_) } @below }), 'no process outlives a killed daemon');
ok(-S "$dir/a", '... its socket file does');
$daemon->start;
is(greeted(Rig::Milter->connect_to("$dir/a"))->message($message)->{end}, 'a', '... and the next start replaces it');
is($daemon->stop, 0, 'SIGTERM is an orderly end');
ok(!-e "$dir/a" && !-e "$dir/b" && !-e $daemon->{control}, '... that removes the socket files');
spew("$dir/a", 'precious');
$daemon->start(may_fail => 1);
like($daemon->log_text, qr{$dir/a is there and no socket}, 'a file that is no socket is left alone');
is(slurp("$dir/a"), 'precious', '... with what it holds');

# A socket that is open already, as systemd passes it, and its messages.
my $passed = IO::Socket::UNIX->new(Local => "$dir/passed", Listen => 5) or die $!;
my $notices = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "$dir/notify") or die $!;
spew("$dir/activate", <<'END');
use POSIX ();
POSIX::dup2($ENV{FROM}, 3);
@ENV{qw(LISTEN_PID LISTEN_FDS)} = ($$, 1);
exec @ARGV;
END
{
    local $^F = 100;
    open my $inherited, '+<&=', fileno $passed or die $!;
    fcntl $passed, Fcntl::F_SETFD(), 0;
    $daemon = Rig::Milter->daemon(wrapper => ['perl', "$dir/activate"],
        environment => { FROM => fileno $passed, NOTIFY_SOCKET => "$dir/notify", WATCHDOG_USEC => 400_000 });
}
sub heard { my ($want) = @_; return wait_until(10, sub { IO::Select->new($notices)->can_read(0) or return; $notices->recv(my $text, 4096); return $text =~ $want }) }
SKIP: {
    skip 'built without systemd', 5 if qx(ldd $program) !~ /systemd/;
    ok(heard(qr/READY=1/), 'the service manager is told when mail can come');
    is(greeted(Rig::Milter->connect_to("$dir/passed"))->message($message)->{end}, 'a', 'a socket that was passed is used');
    ok(heard(qr/WATCHDOG=1/) && heard(qr/WATCHDOG=1/), 'a watchdog hears from us');
    kill 'HUP', $daemon->{pid};
    ok(heard(qr/RELOADING=1/) && heard(qr/READY=1/), 'a reload is told, and its end');
    kill 'TERM', $daemon->{pid};
    ok(heard(qr/STOPPING=1/), 'so is the end');
}
$daemon->stop;

# --- reload ------------------------------------------------------------------------------------
$daemon = Rig::Milter->daemon(milter => { clean => 'accept' });
my $link = greeted($daemon->connection);
my $tags = sub { return scalar keys %{ Rig::Milter->added($link->message($message)) } };
ok($tags->() > 0, 'a message is tagged as configured');
$link->envelope;
$daemon->configure(milter => { mode => 'observe' });
($said, $status) = run(q{}, $mailwitness, 'reload', '--socket', $daemon->{control});
ok($status == 0 && $said =~ /generation 2 is in force$/m, 'mailwitness reload waits for the new configuration');
$link->content($message);
ok(keys %{ Rig::Milter->added($link->end) } > 0, '... a message under way keeps the one it began with');
is($tags->(), 0, '... the next one of the same connection has the new one');
my $before = ask($daemon, 'stats')->{reloads};
my $failed = 0;
for my $round (1 .. 30) {
    kill 'HUP', $daemon->{pid};
    $failed += $link->message($message)->{end} ne 'a' for 1 .. 10;
}
is($failed, 0, 'no message is lost or put off while everything is read again and again');
ok(Rig::alive($daemon->{pid}), '... and the daemon lives');
# To each thread by itself: one of libmilter's waits for it, to end the daemon.
my ($tgkill) = `printf '#include <sys/syscall.h>\nSYS_tgkill\n' | cc -E - | tail -n 1` =~ /(\d+)/;
for my $task (glob "/proc/$daemon->{pid}/task/*") {
    my ($thread) = $task =~ /(\d+)$/;
    syscall $tgkill + 0, $daemon->{pid} + 0, $thread + 0, 1;
}
is($link->message($message)->{end}, 'a', 'no thread takes SIGHUP for the end');
ok(Rig::alive($daemon->{pid}), '... which the daemon would not live through');
ok(wait_until(20, sub { ask($daemon, 'stats')->{reloads} > $before }), '... and it was read again');
ok(wait_until(20, sub { processes($daemon->{pid}) <= 5 }), '... old workers go') or diag(scalar qx(ps -o pid,ppid,stat,etimes,args -p @{[join q{,}, processes($daemon->{pid})]}));
spew($daemon->{conf}, "milter: { mode = \"dream\"; };\n");
($said, $status) = run(q{}, $mailwitness, 'reload', '--socket', $daemon->{control});
ok($status == 2 && $said =~ /milter[.]mode: 'dream' is none of/, 'a configuration with mistakes is refused, with the first of them');
is($link->message($message)->{end}, 'a', '... and the old one goes on');
($said, $status) = run(q{}, $mailwitness, 'status', '--socket', $daemon->{control});
ok($status == 0 && $said =~ /^mailwitnessd +\d.*^mail +\d+ connections, 0 messages.*^workers +2, 0 busy/ms, 'mailwitness status is for people');
($said, $status) = run(q{}, $mailwitness, 'status', '--socket', "$dir/nowhere");
ok($status == 2 && $said =~ /no mailwitnessd answers on .*nowhere/, '... and says when nobody answers');
for my $question ("nonsense\n", "{}\n", "[1]\n", "\n", '{"command": "dance"}' . "\n", 'x' x 5000) {
    my $socket = IO::Socket::UNIX->new(Peer => $daemon->{control}) or die $!;
    print {$socket} $question;
    $socket->flush;
    my $answer = readline $socket;
    my $shown = substr $question, 0, 20;
    $shown =~ s/\n//g;
    ok($answer && !decode_json($answer)->{ok}, "the question '$shown' is answered with what can be asked");
}

# Askers who say their question a byte at a time, for as long as they are let.
{
    my @slow = map { IO::Socket::UNIX->new(Peer => $daemon->{control}) or die $! } 1 .. 16;
    local $SIG{PIPE} = 'IGNORE';
    my $asked = wait_until(30, sub {
        syswrite $_, q{ } for @slow;
        my ($answer, $code) = run(q{}, $mailwitness, 'status', '--socket', $daemon->{control});
        return $code == 0;
    });
    ok($asked, 'those who ask a byte at a time have one deadline, and others their turn');
    close $_ for @slow;
}

# --- while it starts ----------------------------------------------------------------------
{
    $daemon->stop;
    my $starting = Rig::Milter->daemon();
    my $lived = 0;
    for my $round (1 .. 10) {
        $starting->stop;
        spew($starting->{log}, q{});
        $starting->{pid} = spawn({ out => $starting->{log} }, $program, '-c', $starting->{conf});
        # With a process below it it is past its first steps, and long not ready.
        wait_until(20, sub { processes($starting->{pid}) || !Rig::alive($starting->{pid}) });
        kill 'HUP', $starting->{pid};
        $lived += $starting->wait_log(qr/ready on/, 10) && Rig::alive($starting->{pid}) ? 1 : 0;
        last if $lived < $round;
    }
    is($lived, 10, 'SIGHUP while it starts does not end it');
    ok(wait_until(20, sub { ask($starting, 'stats')->{reloads} == 1 }), '... it is heard when the start is done');
    $starting->stop;
    $daemon = Rig::Milter->daemon();
    $link = greeted($daemon->connection);
}

# --- told to end as soon as its first file is there ---------------------------------------------
{
    my ($folder, @ends) = folder();
    my $config = "$folder/conf";
    spew($config, qq(milter: { listen = "unix:$folder/milter"; control = "$folder/control"; pid_file = "$folder/pid"; }; filter: { };\n));
    for (1 .. 20) {
        my $pid = spawn({ out => "$folder/log" }, $program, '-c', $config);
        my $late = time + 20;
        sleep 0.0002 until -S "$folder/milter" || time > $late;
        push @ends, end_process($pid, 'TERM');
    }
    is("@ends", join(q{ }, (0) x 20), 'told to end while it starts it does so in order');
    is(join(q{ }, sort map {s{.*/}{}r} glob "$folder/*"), 'conf log', '... and leaves no file behind');
}

# --- the end ----------------------------------------------------------------------------------
kill 'STOP', leaves($daemon->{pid});
$link->envelope;
$link->content($message);
$link->macros('E', i => 'LAST');
$link->command('E');
wait_until(10, sub { ask($daemon, 'status')->{workers}{busy} == 1 });
kill 'TERM', $daemon->{pid};
ok($daemon->wait_log(qr/ending/), 'told to end');
ok(!IO::Socket::UNIX->new(Peer => $daemon->{socket}), '... it takes no connections any more');
kill 'CONT', leaves($daemon->{pid});
is($link->result->{end}, 'a', '... but finishes the message under way');
is($daemon->stop, 0, '... and then ends');
$daemon = Rig::Milter->daemon(milter => { grace => '300ms' });
$link = greeted($daemon->connection);
$link->envelope;
$link->content($message);
wait_until(10, sub { ask($daemon, 'status')->{messages} == 1 });
is($daemon->stop, 0, 'when the grace is over it ends all the same');
like($daemon->log_text, qr/1 .*cut off/, '... and says what was cut off');
$daemon = Rig::Milter->daemon();
kill 'KILL', (processes($daemon->{pid}))[0];
ok(wait_until(10, sub { !Rig::alive($daemon->{pid}) }), 'without the process that starts workers it ends, to be started again');

# --- in the background ----------------------------------------------------------------------------
SKIP: {
    skip 'only root can become another user', 7 if $> != 0;
    my $place = folder();
    chmod 0777, $place;
    spew("$place/conf", <<"END");
log: { target = "syslog"; };
milter: { listen = "unix:$place/milter"; control = "$place/control"; user = "nobody"; pid_file = "$place/pid"; };
filter: { from: { file = "$place/from"; capacity = 1000; }; };
workers: { count = 1; };
END
    ($said, $status) = run(q{}, $program, '--daemon', '-c', "$place/conf");
    is("$status $said", '0 ', '--daemon comes back when mail can come');
    my ($pid) = slurp("$place/pid") =~ /^(\d+)$/ or BAIL_OUT('there is no pid file');
    is(greeted(Rig::Milter->connect_to("$place/milter"))->message($message)->{end}, 'a', '... and it can');
    my ($user, $group) = slurp("/proc/$pid/status") =~ /^Uid:\s+(\d+).*^Gid:\s+(\d+)/ms;
    is("$user $group", join(q{ }, (getpwnam 'nobody')[2, 3]), '... to a process with the rights of milter.user');
    is(join(q{ }, (stat "$place/from")[4, 5]), "$user $group", '... whose files of filters are its own');
    like(slurp("/proc/$pid/status"), qr/^NoNewPrivs:\s+1$/m, '... that can get no others');
    ($said, $status) = run(q{}, $program, '--daemon', '-c', "$place/conf");
    ok($status == 1 && $said =~ /listening on/, '... a second one tells why it cannot start') or diag($said);
    kill 'TERM', $pid;
    ok(wait_until(20, sub { is_gone($pid) && !-e "$place/milter" }), '... and it ends as others do');
    end_process($pid) if !is_gone($pid);
}
done_testing();
