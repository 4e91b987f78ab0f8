#!/usr/bin/perl
# TLS to Redis: certificates are checked on both sides, and what fails is told.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use RedisServer;
use File::Temp qw(tempdir);
use Test::More;

my $dir = tempdir(CLEANUP => 1);

sub openssl {
    my (@words) = @_;
    my $command = join q{ }, 'openssl', map { "'$_'" } @words;
    my $text = qx($command 2>&1);
    die "$command: $text" if $?;
    return;
}

sub authority {
    my ($name) = @_;
    openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj), "/CN=$name",
        '-keyout', "$dir/$name.key", '-out', "$dir/$name.pem");
    return;
}

sub certificate {
    my ($name, $authority, $names) = @_;
    open my $extra, '>', "$dir/$name.ext" or die $!;
    print {$extra} "subjectAltName=$names\n";
    close $extra or die $!;
    openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj), "/CN=$name",
        '-keyout', "$dir/$name.key", '-out', "$dir/$name.csr");
    openssl(qw(x509 -req -days 2 -CAcreateserial -in), "$dir/$name.csr", '-CA', "$dir/$authority.pem",
        '-CAkey', "$dir/$authority.key", '-extfile', "$dir/$name.ext", '-out', "$dir/$name.pem");
    return;
}

authority('ours');
authority('theirs');
certificate('server', 'ours', 'DNS:redis.example.org,IP:127.0.0.1');
certificate('client', 'ours', 'DNS:mail.example.org');
certificate('stranger', 'theirs', 'DNS:mail.example.org');

my ($port, $plain) = (free_port(), free_port());
my $redis = RedisServer->new('--port', $plain, '--tls-port', $port, '--tls-cert-file', "$dir/server.pem",
    '--tls-key-file', "$dir/server.key", '--tls-ca-cert-file', "$dir/ours.pem", '--tls-auth-clients', 'yes',
    '--requirepass', 'secret');
$redis->{login} = ['--no-auth-warning', '-a', 'secret'];
open my $file, '>', "$dir/password" or die $!;
print {$file} "secret\n";
close $file or die $!;

my $number = 0;

# Where ten messages went with these options, and what was said.
sub try_with {
    my ($options, $address) = @_;
    my $path = "$dir/conf" . $number++;
    open my $conf, '>', $path or die $!;
    print {$conf} 'redis: { address = "', $address // "127.0.0.1:$port", "\"; password_file = \"$dir/password\"; $options };\n",
        "spool: { folder = \"$path.spool\" };\n";
    close $conf or die $!;
    my ($kept, $said) = feed($path, 20, 2);
    my %where = map { $_ => 1 } values %{$kept};
    return (join(q{ }, sort keys %where), $said, $kept);
}

my $ca = "tls = true; tls_ca = \"$dir/ours.pem\";";
my $me = "tls_cert = \"$dir/client.pem\"; tls_key = \"$dir/client.key\";";
my ($where, $said, $kept) = try_with("$ca $me");
is($where, 'redis', 'with a client certificate messages are saved over TLS') or diag($said);
is_deeply([missing($redis, $kept)], [], '... all of them, large attachments too');
($where, $said) = try_with("$ca $me tls_name = \"redis.example.org\";", "localhost:$port");
is($where, 'redis', 'the name the server must have can be told') or diag($said);
($where, $said) = try_with("$ca $me", "localhost:$port");
is($where, 'spool', 'a server with a certificate for another name gets nothing');
like($said, qr/not trusted: hostname mismatch/i, '... and why is told');
($where, $said) = try_with("tls = true; tls_ca = \"$dir/theirs.pem\"; $me");
is($where, 'spool', 'a server vouched for by another authority gets nothing');
like($said, qr/not trusted: /, '... and why is told');
($where, $said) = try_with($ca);
is($where, 'spool', 'Redis refuses who has no certificate');
($where, $said) = try_with("$ca tls_cert = \"$dir/stranger.pem\"; tls_key = \"$dir/stranger.key\";");
is($where, 'spool', 'and who has one of a stranger');
($where, $said) = try_with("$ca tls_cert = \"$dir/none.pem\";");
like($said, qr{cannot use the certificate \S+/none\.pem}, 'a missing certificate is named at the start');
($where, $said) = try_with("$ca $me", "127.0.0.1:$plain");
is($where, 'spool', 'a server without TLS gets nothing when TLS is asked for');
($where, $said, $kept) = try_with(q{}, "127.0.0.1:$plain");
is($where, 'redis', 'the same over plain TCP when it is not') or diag($said);
is_deeply([missing($redis, $kept)], [], '... and there they are');
($where, $said) = try_with('connect_time = "300ms";', "127.0.0.1:$port");
is($where, 'spool', 'plain words to a TLS port are no way in');
done_testing();
