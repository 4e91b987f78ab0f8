# Rig::Postfix: a mail server of our own. It listens on a high port of 127.0.0.1,
# asks our milters, and delivers every mail into one Maildir, or nowhere.
package Rig::Postfix;
use strict;
use warnings;
use File::Path qw(make_path);
use Net::SMTP;
use Rig qw(folder spawn alive process_tree end_process wait_until free_port slurp spew run);

my @services = (
    'pickup unix n - n 60 1 pickup',
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'rewrite unix - - n - - trivial-rewrite',
    (map { "$_ unix - - n - 0 bounce" } qw(bounce defer trace)),
    'proxymap unix - - n - - proxymap',
    'smtp unix - - n - - smtp',
    'showq unix n - n - - showq',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'discard unix - - n - - discard',
    'virtual unix - n n - - virtual',
    'anvil unix - - n - 1 anvil',
    'scache unix - - n - 1 scache',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'postlog unix-dgram n - n - 1 postlogd',
);

# Why no mail server can be started here; undef when one can.
sub unavailable {
    return 'postfix is not installed' if !-x '/usr/sbin/postconf';
    return 'only root can start postfix' if $> != 0;
    return;
}

# Options: milters (their addresses), transport (virtual or discard), settings (more
# lines of main.cf as a hash), place (called with its folder before anything is in it).
sub new {
    my ($class, %options) = @_;
    my $dir = folder();
    my $self = bless { dir => $dir, port => free_port(), log => "$dir/log", log_seen => 0, %options }, $class;
    $self->{place}->($dir) if $self->{place};
    $self->_make_folders;
    $self->configure(%{ $options{settings} || {} });
    spew("$dir/etc/master.cf", join "\n",
        "127.0.0.1:$self->{port} inet n - n - 200 smtpd", @services, q{});
    spew($self->{log}, q{});
    $self->start;
    return $self;
}

sub _make_folders {
    my ($self) = @_;
    my $dir = $self->{dir};
    my ($user, $group) = ((getpwnam 'postfix')[2], scalar getgrnam 'postdrop');
    make_path("$dir/etc", "$dir/data", "$dir/mail",
        map { "$dir/spool/$_" } qw(active bounce corrupt defer deferred flush hold incoming maildrop
            pid private public saved trace));
    my %mode = (maildrop => 01730, public => 0710, pid => 0755);
    for my $name (map { m{([^/]+)$} } glob "$dir/spool/*") {
        chmod $mode{$name} || 0700, "$dir/spool/$name";
        chown $user, $name =~ /^(?:maildrop|public)$/ ? $group : -1, "$dir/spool/$name" if $name ne 'pid';
    }
    chown $user, -1, "$dir/data", "$dir/mail";
    return;
}

# Writes main.cf; settings of before stay.
sub configure {
    my ($self, %settings) = @_;
    my $dir = $self->{dir};
    my $user = (getpwnam 'postfix')[2];
    my $group = (getpwnam 'postfix')[3];
    $self->{settings} = {
        compatibility_level => '3.6',
        queue_directory => "$dir/spool",
        data_directory => "$dir/data",
        maillog_file => $self->{log},
        maillog_file_prefixes => $dir,
        syslog_name => 'postfix',
        myhostname => 'mx.test',
        mydestination => q{},
        mynetworks => '127.0.0.0/8',
        inet_interfaces => '127.0.0.1',
        inet_protocols => 'ipv4',
        alias_maps => q{},
        alias_database => q{},
        local_recipient_maps => q{},
        smtpd_recipient_restrictions => 'permit_mynetworks, reject',
        smtpd_peername_lookup => 'no',
        smtpd_client_connection_count_limit => 0,
        message_size_limit => 200 << 20,
        mailbox_size_limit => 0,
        virtual_mailbox_limit => 0,
        default_transport => $self->{transport} || 'virtual',
        virtual_transport => $self->{transport} || 'virtual',
        virtual_mailbox_maps => 'static:inbox/',
        virtual_mailbox_base => "$dir/mail",
        virtual_uid_maps => "static:$user",
        virtual_gid_maps => "static:$group",
        virtual_minimum_uid => 1,
        # The least that lets one mail in: tests wait for nothing.
        in_flow_delay => 0,
        smtpd_error_sleep_time => 0,
        smtpd_hard_error_limit => 1000,
        smtpd_milters => join(', ', @{ $self->{milters} || [] }),
        milter_default_action => 'tempfail',
        smtpd_client_port_logging => 'no',
        %{ $self->{settings} || {} },
        %settings,
    };
    spew("$dir/etc/main.cf", join q{}, map { "$_ = $self->{settings}{$_}\n" } sort keys %{ $self->{settings} });
    # postfix reads a file written just now again and again, for seconds.
    utime time - 60, time - 60, "$dir/etc/main.cf";
    return;
}

sub start {
    my ($self) = @_;
    my $dir = $self->{dir};
    my ($master) = run(q{}, 'postconf', '-dh', 'daemon_directory');
    chomp $master;
    $self->{pid} = spawn({ out => "$dir/master.out", environment => { MAIL_CONFIG => "$dir/etc" } },
        "$master/master", '-c', "$dir/etc");
    wait_until(20, sub { !alive($self->{pid}) || $self->_greets }) && alive($self->{pid})
        or die 'postfix does not start: ', slurp("$dir/master.out"), slurp($self->{log});
    return;
}

sub _greets {
    my ($self) = @_;
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 20) or return 0;
    return (<$client> // q{}) =~ /^220/;
}

# Its children end a little later than the master, and hold the port and the lock till then:
# another master would be refused.
sub stop {
    my ($self, $signal) = @_;
    my @children = grep { $_ != $self->{pid} } process_tree($self->{pid});
    end_process($self->{pid}, $signal);
    wait_until(20, sub { !grep { (slurp("/proc/$_/stat") || q{}) =~ /^\d+ \(.*\) [^ZX]/s } @children })
        or warn "postfix leaves processes behind: @children\n";
    return;
}

# Changed settings take effect for the next connections.
sub reconfigure {
    my ($self, %settings) = @_;
    $self->configure(%settings);
    $self->stop;
    $self->start;
    return;
}

# A connection that greets as the host given.
sub connect_smtp {
    my ($self, %options) = @_;
    my $smtp = Net::SMTP->new('127.0.0.1', Port => $self->{port}, Hello => $options{hello} || 'client.test',
        Timeout => $options{timeout} || 120) or die "no connection to our postfix: $@";
    return $smtp;
}

# Sends one message. Gives back the last answer of the server: { code, text, queue_id,
# refused (recipients) }. Options: from, to (a list), smtp (an open connection), mail and
# rcpt (ESMTP arguments).
sub send {
    my ($self, $message, %options) = @_;
    my $smtp = $options{smtp} || $self->connect_smtp(%options);
    my $from = $options{from} // 'ana@example.com';
    my @to = ref $options{to} ? @{ $options{to} } : $options{to} // 'bob@example.org';
    my %answer;
    my $finish = sub {
        @answer{qw(code text)} = ($smtp->code, join q{}, $smtp->message);
        $answer{text} =~ s/\s+$//;
        ($answer{queue_id}) = $answer{text} =~ /queued as (\S+)/;
        if (!$options{smtp}) { $smtp->quit }
        elsif (!$answer{queue_id}) { $smtp->reset }
        return \%answer;
    };
    $smtp->command("MAIL FROM:<$from>" . ($options{mail} ? " $options{mail}" : q{}))->response == 2
        or return $finish->();
    for my $to (@to) {
        next if $smtp->command("RCPT TO:<$to>" . ($options{rcpt} ? " $options{rcpt}" : q{}))->response == 2;
        push @{ $answer{refused} }, $to;
    }
    @{ $answer{refused} || [] } < @to or return $finish->();
    $smtp->data($message);
    return $finish->();
}

# The log of the mail server, or only the lines of one queue id.
sub log_text {
    my ($self, $queue_id) = @_;
    my $text = slurp($self->{log});
    return $text if !$queue_id;
    return join q{}, map { "$_\n" } grep { /\b\Q$queue_id\E:/ } split /\n/, $text;
}

# Waits for a line of the log; gives back what its parentheses matched, or 1.
sub wait_log {
    my ($self, $pattern, $seconds) = @_;
    return wait_until($seconds || 20, sub {
        my ($match) = $self->log_text =~ $pattern or return;
        return $match // 1;
    });
}

# The message with this queue id as it was delivered, without the lines that delivery
# itself puts on top; waits for it.
sub delivered {
    my ($self, $queue_id, $seconds) = @_;
    my ($delivered) = $self->deliveries($queue_id, 1, $seconds);
    return $delivered;
}

# All copies (one a recipient): waits for as many as count.
sub deliveries {
    my ($self, $queue_id, $count, $seconds) = @_;
    my @found;
    wait_until($seconds || 20, sub {
        @found = $self->_find($queue_id);
        return @found >= $count;
    });
    return @found;
}

sub _find {
    my ($self, $queue_id) = @_;
    my $of = $self->{inbox} //= {};
    for my $file (glob "$self->{dir}/mail/inbox/new/*") {
        next if $self->{read}{$file}++;
        my $text = slurp($file);
        $text =~ s/\A(?:Return-Path|X-Original-To|Delivered-To):[^\n]*\n//i for 1 .. 3;
        my ($id) = $text =~ /^Received:[^\n]*(?:\n[ \t][^\n]*)*?\bby mx[.]test [(]Postfix[)] with \w+ id (\w+)/m;
        push @{ $of->{ $id // q{} } }, $text;
    }
    return @{ $of->{$queue_id} || [] };
}

# Queue ids in a queue ("hold", "deferred", ...).
sub queued {
    my ($self, $queue) = @_;
    my @ids;
    my @folders = ("$self->{dir}/spool/$queue");
    while (my $folder = shift @folders) {
        opendir my $in, $folder or next;
        for my $name (grep { !/^[.]/ } readdir $in) {
            if (-d "$folder/$name") { push @folders, "$folder/$name" }
            else { push @ids, $name }
        }
    }
    return sort @ids;
}

1;
