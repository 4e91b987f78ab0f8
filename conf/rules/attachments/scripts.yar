/* Scripts and pages as attachments. */

rule html_smuggling
{
    meta:
        description = "a page that builds a file out of itself and offers it"
        severity = "malicious"
    strings:
        $html = /<(html|script|svg|body)[\s>]/ nocase
        $make1 = "new Blob(" nocase
        $make2 = "msSaveOrOpenBlob" nocase
        $make3 = "createObjectURL" nocase
        $decode1 = "atob(" nocase
        $decode2 = "fromCharCode" nocase
        $decode3 = "Uint8Array" nocase
        // what a program, archive, document or disk image looks like in base64
        $kind = /["'`](TVqQ|TVpQ|UEsDB|JVBER|0M8R4|UmFyI|N3q8r|TVNDR|e1xyd)/
        // alternatives, not a class: these YARA can search for, and is twenty times as fast
        $text = /("|'|`)[A-Za-z0-9+\/]{256}/
        $numbers = /\[\s*(0x[0-9a-f]{2}|[0-9]{1,3})(\s*,\s*(0x[0-9a-f]{2}|[0-9]{1,3})){100}/ nocase
    condition:
        $html and any of ($make*) and any of ($decode*) and any of ($kind, $text, $numbers)
}

rule html_builds_file
{
    meta:
        description = "a page whose script can build a file and offer it"
        severity = "suspicious"
    strings:
        $html = /<(html|script|svg|body)[\s>]/ nocase
        $make1 = "new Blob(" nocase
        $make2 = "new File(" nocase
        $offer1 = "createObjectURL" nocase
        $offer2 = "msSaveOrOpenBlob" nocase
        $offer3 = "msSaveBlob" nocase
        $decode1 = "atob(" nocase
        $decode2 = "fromCharCode" nocase
        $decode3 = "Uint8Array" nocase
    condition:
        $html and any of ($make*) and any of ($offer*) and any of ($decode*)
}

rule html_login_form
{
    meta:
        description = "a page in a mail that asks for a password and sends it away"
        severity = "suspicious"
    strings:
        $form = /<form[^>]{0,200}action\s*=\s*["']?https?:\/\// nocase
        $password = /<input[^>]{0,200}type\s*=\s*["']?password/ nocase
    condition:
        $form and $password
}

rule html_redirect_only
{
    meta:
        description = "a page that does nothing but lead elsewhere"
        severity = "suspicious"
    strings:
        $refresh = /<meta[^>]{0,80}http-equiv\s*=\s*["']?refresh[^>]{0,80}url\s*=\s*["']?https?:/ nocase
        $location = /(window|document|top|self)\.location(\.href)?\s*=\s*["']https?:/ nocase
    condition:
        filesize < 4KB and (extension == "html" or extension == "htm" or extension == "shtml" or
        extension == "svg") and any of them
}

rule html_obfuscated_script
{
    meta:
        description = "a page whose script unpacks itself"
        severity = "suspicious"
    strings:
        $script = "<script" nocase
        $unescape = /(unescape|decodeURIComponent)\(\s*["'](%[0-9a-f]{2}){40}/ nocase
        $eval = /eval\s*\(\s*(atob|unescape|String\.fromCharCode|function\s*\(\s*p\s*,\s*a)/ nocase
        $hex = /(\\x[0-9a-f]{2}){60}/ nocase
    condition:
        $script and any of ($unescape, $eval, $hex)
}

rule svg_with_script
{
    meta:
        description = "a picture that runs a script"
        severity = "suspicious"
    strings:
        $svg = /<svg[\s>]/ nocase
        $page = /<(html|body)[\s>]/ nocase
        $script = /<script[\s>]/ nocase
        $handler = /\son(load|click|mouseover|begin)\s*=/ nocase
        $embedded = /<foreignObject[\s>]/ nocase
    condition:
        $svg and (not $page or extension == "svg") and ($script or ($handler and $embedded))
}

rule script_downloads_and_runs
{
    meta:
        description = "a script that fetches something and runs it"
        severity = "malicious"
    strings:
        $shell1 = "WScript.Shell" nocase
        $shell2 = "Shell.Application" nocase
        $get1 = "MSXML2.XMLHTTP" nocase
        $get2 = "WinHttp.WinHttpRequest" nocase
        $get3 = "ADODB.Stream" nocase
        $get4 = "bitsadmin" nocase
    condition:
        any of ($shell*) and any of ($get*) and filesize < 2MB
}

rule powershell_hidden_download
{
    meta:
        description = "PowerShell that hides itself and fetches code"
        severity = "malicious"
    strings:
        $ps = "powershell" nocase
        $hide1 = /-w(indowstyle)?\s+h(idden)?/ nocase
        $hide2 = /-e(nc|ncodedcommand|c)?\s+[A-Za-z0-9+\/]{60}/ nocase
        $hide3 = "-noprofile" nocase
        $get1 = "DownloadString" nocase
        $get2 = "DownloadFile" nocase
        $get3 = "Invoke-WebRequest" nocase
        $get4 = "FromBase64String" nocase
        $get5 = "IEX" fullword nocase
    condition:
        ($ps and $hide2) or ($ps and any of ($hide*) and any of ($get*))
}

rule mshta_command
{
    meta:
        description = "a file that has mshta run something from the network"
        severity = "malicious"
    strings:
        $mshta = /mshta(\.exe)?["']?\s+["']?(https?:|javascript:|vbscript:)/ nocase
    condition:
        $mshta
}

rule hta_application
{
    meta:
        description = "an HTML application: it runs with the rights of a program"
        severity = "suspicious"
    strings:
        $hta = "<HTA:APPLICATION" nocase
        $script = /<script[^>]{0,60}(vbscript|jscript|javascript)/ nocase
    condition:
        $hta or (extension == "hta" and $script)
}

rule batch_dropper
{
    meta:
        description = "a batch file that fetches or decodes a program"
        severity = "suspicious"
    strings:
        $batch = "@echo off" nocase
        $a = /certutil(\.exe)?\s+-(decode|urlcache)/ nocase
        $b = "bitsadmin /transfer" nocase
        $c = /curl(\.exe)?\s[^\r\n]{0,120}-o\s/ nocase
        $d = "reg add HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run" nocase
    condition:
        $batch and any of ($a, $b, $c, $d)
}
