#!/usr/bin/perl
# mailwitnessd and miltertest, another's idea of a mail server.
use strict;
use warnings;
use lib "$ENV{top_srcdir}/t/lib";
use Rig qw(folder spew run);
use Rig::Milter;
use Test::More;

plan skip_all => 'miltertest is not installed' if !-x '/usr/bin/miltertest';
my $daemon = Rig::Milter->daemon(milter => { clean => 'tag' });
my $dir = folder();

# Runs the steps; true when none of them raised an error.
sub passes {
    my ($steps, $name) = @_;
    my $script = spew("$dir/script", <<"END" . $steps);
conn = mt.connect("unix:$daemon->{socket}")
if conn == nil then error "no connection" end
mt.conninfo(conn, "client.test", "192.0.2.7")
mt.helo(conn, "client.test")
function envelope(from)
  mt.macro(conn, SMFIC_MAIL, "{auth_type}", "PLAIN")
  if mt.mailfrom(conn, "<" .. from .. ">", "SIZE=100") ~= nil then error "MAIL" end
  if mt.rcptto(conn, "<bob\@example.org>") ~= nil then error "RCPT" end
end
function content(subject)
  if mt.header(conn, "From", " ana\@example.com") ~= nil then error "From" end
  if mt.header(conn, "Subject", " " .. subject) ~= nil then error "Subject" end
  if mt.bodystring(conn, "one line\\r\\n") ~= nil then error "body" end
  if mt.eom(conn) ~= nil then error "end of message" end
  if mt.getreply(conn) ~= SMFIR_ACCEPT then error "not accepted" end
end
END
    my ($said, $status) = run(q{}, 'miltertest', '-s', $script);
    return ok($status == 0, $name) || diag($said);
}

passes(<<'END', 'a message is tagged');
envelope("ana@example.com")
content("one")
if not mt.eom_check(conn, MT_HDRINSERT, "X-Mailwitness-Verdict") then error "no verdict" end
if not mt.eom_check(conn, MT_HDRINSERT, "X-Mailwitness-Id") then error "no id" end
if mt.eom_check(conn, MT_BODYCHANGE) then error "the body was changed" end
mt.disconnect(conn)
END
passes(<<'END', 'three messages come by one connection, one of them is reset');
envelope("one@example.com")
content("one")
envelope("two@example.com")
mt.abort(conn)
envelope("three@example.com")
content("three")
mt.disconnect(conn)
END
passes(<<'END', 'headers that pretend to be ours are taken away');
envelope("ana@example.com")
if mt.header(conn, "X-Mailwitness-Verdict", " clean") ~= nil then error "header" end
content("forged")
if not mt.eom_check(conn, MT_HDRDELETE, "X-Mailwitness-Verdict") then error "still there" end
mt.disconnect(conn)
END
passes(<<'END', 'a client that hangs up in the middle does no harm');
envelope("ana@example.com")
mt.header(conn, "From", " ana@example.com")
mt.disconnect(conn, false)
END
passes(<<'END', '... to the next');
envelope("ana@example.com")
content("next")
mt.disconnect(conn)
END
like($daemon->log_text, qr/info: id=.*from=<three\@example[.]com> nrcpt=1 /, 'the log tells of each message');
done_testing();
