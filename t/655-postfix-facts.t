#!/usr/bin/perl
# What a real postfix tells of a connection, its encryption and its login is in the report,
# and rules may ask for it.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use IO::Socket::UNIX;
use JSON::PP;
use MIME::Base64 qw(decode_base64 encode_base64);
use POSIX ();
use Rig qw(folder spawn run spew wait_until);
use Rig::Daemon;
use Rig::Mail qw(message);
use Rig::Postfix;
use Rig::Redis;
use Test::More;

if (my $why = Rig::Postfix::unavailable()) { plan skip_all => $why }
plan skip_all => 'Net::SMTP cannot encrypt: libio-socket-ssl-perl is not installed' if !Net::SMTP->can_ssl;

my $dir = folder();

# A login server as postfix asks it (the protocol of Dovecot): whoever comes is let in.
sub login_server {
    my ($path) = @_;
    my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die "$path: $!";
    chmod 0666, $path;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    @SIG{qw(ALRM CHLD)} = ('DEFAULT', 'IGNORE');
    alarm 120;
    while (my $client = $listener->accept) {
        next if fork;
        alarm 120;
        syswrite $client, "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n";
        while (my $line = <$client>) {
            my ($id, $response) = $line =~ /^AUTH\t(\d+)\t.*\tresp=(\S+)/ or next;
            my ($name) = decode_base64($response) =~ /\0([^\0]*)\0/;
            syswrite $client, "OK\t$id\tuser=$name\n";
        }
        last;
    }
    return POSIX::_exit(0);
}

# Keys and certificates: one who issues, the server, a client.
sub certificates {
    my @issue = ('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', 2);
    run(q{}, @issue, '-subj', '/CN=Test Issuer', '-keyout', "$dir/ca.key", '-out', "$dir/ca.crt");
    for my $who ([server => 'mx.test'], [client => "Client \xc3\x84"]) {
        my ($file, $name) = @{$who};
        run(q{}, @issue, '-subj', "/CN=$name", '-utf8', '-CA', "$dir/ca.crt", '-CAkey', "$dir/ca.key",
            '-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', "$dir/$file.key", '-out', "$dir/$file.crt");
    }
    return -s "$dir/server.crt" && -s "$dir/client.crt";
}
# LibreSSL and OpenSSL 1 cannot issue with req.
plan skip_all => 'openssl cannot issue certificates by req -CA' if !certificates();

my $login = login_server("$dir/auth");
END { local $?; if ($login && $$ != $login) { kill 'KILL', $login; waitpid $login, 0 } }
my $redis = Rig::Redis->new;
my $daemon = Rig::Daemon->new(redis => $redis, settings => {
    milter => { clean => 'tag' },
    policy => [
        { name => 'logged-in', action => 'tag', when => { login => 'an*', tls => 'true' } },
        { name => 'encrypted', action => 'tag', when => { tls => 'true', authenticated => 'false' } },
        { name => 'named', action => 'tag', when => { daemon => 'ORIGIN*' } },
    ] });
my $postfix = Rig::Postfix->new(milters => [$daemon->address], settings => {
    smtpd_tls_security_level => 'may', smtpd_tls_cert_file => "$dir/server.crt", smtpd_tls_key_file => "$dir/server.key",
    smtpd_tls_CAfile => "$dir/ca.crt", smtpd_tls_ask_ccert => 'yes', smtpd_tls_session_cache_database => q{},
    smtpd_sasl_auth_enable => 'yes', smtpd_sasl_type => 'dovecot', smtpd_sasl_path => "$dir/auth",
    smtpd_sasl_security_options => q{}, smtpd_recipient_restrictions => 'permit_mynetworks, reject' });

# The report of a mail, by the queue id that postfix gave it, and the rule that decided.
sub report {
    my ($answer) = @_;
    my $id = $daemon->wait_log(qr/\b\Q$answer->{queue_id}\E: id=([0-9a-f-]{36})/) or return {};
    my ($json) = run(q{}, $ENV{MAILWITNESS}, 'show', '--config', $daemon->{config}, '--json', $id);
    return eval { decode_json($json) } || {};
}

# A connection, encrypted (with a client's certificate or not), logged in or not.
sub connection {
    my (%how) = @_;
    my $smtp = $postfix->connect_smtp(hello => 'client.test');
    my @certificate = $how{certificate} ? (SSL_cert_file => "$dir/client.crt", SSL_key_file => "$dir/client.key") : ();
    $smtp->starttls(SSL_verify_mode => 0, @certificate) or diag('no TLS: ', $smtp->message) if $how{tls};
    $smtp->command('AUTH PLAIN ' . encode_base64("\0$how{login}\0secret", q{}))->response == 2 or diag('no login: ', $smtp->message)
        if $how{login};
    return $smtp;
}

my $plain = report($postfix->send(message()));
is_deeply([$plain->{tls}, $plain->{auth}, $plain->{envelope}{from_arguments}, $plain->{envelope}{to_arguments}], [undef, undef, undef, undef],
    'of a plain connection no encryption, login or arguments are told');
is_deeply([@{ $plain->{daemon} }{qw(name address port)}], ['mx.test', '127.0.0.1', $postfix->{port}],
    'name, address and port of the service are told');
ok($plain->{client}{address} eq '127.0.0.1' && $plain->{client}{port} > 0, 'the port of the client is told') or diag(explain($plain->{client}));
is($plain->{decided_by}, 'milter.clean', '... and rules for encrypted mail are not for it');

my $full = report($postfix->send(message(), smtp => connection(tls => 1, certificate => 1, login => 'ana'),
    mail => 'SIZE=4000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159 AUTH=<>', rcpt => 'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.org'));
like($full->{tls}{version} // q{}, qr/^TLSv1[.]\d$/, 'the version of TLS is told');
ok($full->{tls}{cipher} && ($full->{tls}{cipher_bits} || 0) >= 128, '... its cipher and key length') or diag(explain($full->{tls}));
is_deeply([@{ $full->{tls} }{qw(cert_subject cert_issuer)}], ["Client \x{c4}", 'Test Issuer'], '... and names of a trusted client certificate')
    or diag(explain($full->{tls}));
is_deeply([@{ $full->{auth} }{qw(name type)}], ['ana', 'PLAIN'], 'the login and its mechanism are told');
is_deeply($full->{envelope}{from_arguments}, ['SIZE=4000', 'BODY=8BITMIME', 'SMTPUTF8', 'RET=HDRS', 'ENVID=QQ314159', 'AUTH=<>'],
    'the arguments of MAIL are told');
is_deeply($full->{envelope}{to_arguments}, [{ address => 'bob@example.org', arguments => ['NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;bob@example.org'] }],
    '... and those of RCPT');
is($full->{decided_by}, 'policy.logged-in', 'a rule may ask for a login and for TLS');

SKIP: {
    (run(q{}, 'python3', '-c', 'import jsonschema'))[1] == 0
        or skip 'python3-jsonschema is not installed', 1;
    is((run(encode_json($full), 'python3', "$ENV{top_srcdir}/t/validate", "$ENV{top_srcdir}/doc/report.schema.json"))[0], "1 reports\n",
        '... all of that is as the schema has it');
}

my $encrypted = report($postfix->send(message(), smtp => connection(tls => 1)));
is($encrypted->{decided_by}, 'policy.encrypted', '... or for TLS without a login');
is_deeply([@{ $encrypted->{tls} }{qw(cert_subject cert_issuer)}], [undef, undef], 'a client without a certificate has no names');

my $smtp = connection();
$postfix->send(message(), smtp => $smtp);
$smtp->starttls(SSL_verify_mode => 0);
my $later = report($postfix->send(message(), smtp => $smtp));
ok($later->{tls}, 'a connection that is encrypted after its first mail is known as such');

$postfix->reconfigure(milter_macro_daemon_name => 'ORIGINATING');
my $named = report($postfix->send(message()));
is("$named->{daemon}{name} $named->{decided_by}", 'ORIGINATING policy.named', 'a rule may ask for the service by the name postfix gives it');

my ($card) = run(q{}, $ENV{MAILWITNESS}, 'show', '--config', $daemon->{config}, $full->{id});
like($card, qr/^\s*login\s+ana [(]PLAIN[)]$/m, 'show tells the login') or diag($card);
like($card, qr/^\s*TLS\s+TLSv1[.]\d, \S+/m, '... and the encryption');
is(($redis->command('HGET', "mw:message:$full->{id}", 'login'))[0], 'ana', 'the login is a fact in Redis');
is(($redis->command('HGET', "mw:message:$full->{id}", 'tls'))[0], $full->{tls}{version}, '... and so is the version of TLS');
done_testing();
