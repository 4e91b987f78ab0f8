#!/usr/bin/perl
# The same attachment again and again through mailwitnessd: scanned twice, verified once,
# then known; as malicious as at first, and only for as long as it should be.
use strict;
use warnings;
use IO::Socket::UNIX;
use JSON::PP;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(wait_until);
use Rig::Daemon;
use Rig::Mail qw(eicar message random_bytes words zipped);
use Rig::Milter;
use Rig::Redis;
use Test::More;
use Time::HiRes qw(sleep);

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
plan skip_all => 'built without ClamAV' if qx($mailwitness --version) !~ /ClamAV/;
plan skip_all => 'redis-server is not installed' if !grep { -x "$_/redis-server" } qw(/usr/bin /usr/local/bin);
my $redis = Rig::Redis->new;
my $daemon = Rig::Daemon->new(redis => $redis, settings => { milter => { mode => 'observe' } });
my $sent = 0;

# Sends a message with this file; its report as Redis has it.
sub witness {
    my ($name, $bytes) = @_;
    my $queue_id = sprintf 'R%05d', ++$sent;
    my $connection = Rig::Milter->connect_to($daemon->{milter});
    $connection->hello;
    $connection->message(message(id => $queue_id, subject => "number $sent", text => words(300, $sent),
        attachments => [[$name, 'application/octet-stream', $bytes]]), queue_id => $queue_id);
    my $report = wait_until(20, sub {
        my $line = qx($mailwitness show --json --config $daemon->{config} $queue_id 2>/dev/null);
        return $line ? decode_json($line) : ();
    }) or die "message $queue_id is not in Redis: ", $daemon->log_text;
    return $report;
}

sub reuse { my ($what) = @_; return $daemon->metrics->{"mailwitness_reuse_${what}_total"} // -1 }

# Attachments with what is said about them, but for the reuse.
sub facts {
    my ($report) = @_;
    return [map { my %facts = %{$_}; delete $facts{reused}; \%facts } @{ $report->{attachments} }];
}

sub reused { my ($report) = @_; return [map { join ' ', @{ $_->{reused} || [] } } @{ $report->{attachments} }] }

my $zip = zipped('eicar.com' => eicar(), 'noise.bin' => random_bytes(4000));
my @first = map { witness('order.zip', $zip) } 1, 2;
is($first[0]{verdict}, 'malicious', 'EICAR in a zip is malicious');
ok(!(grep { $_ ne q{} } map { @{ reused($_) } } @first), '... scanned when it comes first, and the second time');
ok(wait_until(20, sub { reuse('kept') == 2 }), '... and verified beside the mail, as is what is in it');
my $third = witness('order.zip', $zip);
is($third->{verdict}, 'malicious', 'the third time it is as malicious');
like(reused($third)->[0], qr/\bclamav\b/, '... though nobody scanned it again');
is_deeply(facts($third), facts($first[0]), '... and all that is said of it and what is in it is the same');
my %parts = map { $_->{path} => $_ } @{ $third->{attachments} };
my ($noise) = grep { ($_->{filename} // q{}) =~ /noise/ } values %parts;
ok($noise && $noise->{reused}, 'what is inside it is not scanned again either');
cmp_ok(reuse('hits'), '>=', 2, 'metrics count what was reused');
is(reuse('disagreements'), 0, '... and nobody disagreed');
my $status = decode_json(scalar qx($mailwitness status --json --socket $daemon->{dir}/control));
is($status->{workers}{reused}, reuse('hits'), 'mailwitness status tells the same');
like(reused(witness('other-name.zip', $zip))->[0], qr/\bclamav\b/, 'under another name it is the same file');

my $other = zipped('eicar.com' => eicar(), 'noise.bin' => random_bytes(4000));
is_deeply([grep { $_ ne q{} } @{ reused(witness('order.zip', $other)) }], [], 'another file under its name is scanned');

$daemon->configure(workers => { reuse_time => '1s' });
my $generation = $daemon->metrics->{mailwitness_generation};
$daemon->reload;
ok(wait_until(30, sub { ($daemon->metrics->{mailwitness_generation} // 0) > $generation }), 'the configuration is read again');
my $report = witness('order.zip', $zip);
is_deeply([grep { $_ ne q{} } @{ reused($report) }], [], 'after a reload it is scanned again');
is($report->{verdict}, 'malicious', '... and malicious');
my $kept = reuse('kept');
witness('order.zip', $zip);
ok(wait_until(20, sub { reuse('kept') == $kept + 2 }), '... and kept anew');
sleep 1.2;
is_deeply([grep { $_ ne q{} } @{ reused(witness('order.zip', $zip)) }], [], 'when its time is up it is scanned again');

$daemon->configure(workers => { reuse_verdicts => 'false' });
$generation = $daemon->metrics->{mailwitness_generation};
$daemon->reload;
ok(wait_until(30, sub { ($daemon->metrics->{mailwitness_generation} // 0) > $generation }), 'the configuration is read again');
my $verified = reuse('verifications');
my @off = map { witness('order.zip', $zip) } 1 .. 4;
is(scalar(grep { $_->{verdict} eq 'malicious' && !(grep { $_ ne q{} } @{ reused($_) }) } @off), 4,
    'switched off, it is scanned each time');
is(reuse('verifications'), $verified, '... and never verified');
unlike($daemon->log_text, qr/attachment with SHA-256/, 'nothing of all this is worth a warning');
is($daemon->stop('TERM'), 0, 'the daemon ends in order');
done_testing();
