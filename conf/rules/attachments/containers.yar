/* Files that hide others, and files that are not what they say. */

rule shortcut_runs_command
{
    meta:
        description = "a Windows shortcut that runs a command interpreter"
        severity = "malicious"
    strings:
        $cmd = "cmd.exe" nocase ascii wide
        $powershell = "powershell" nocase ascii wide
        $mshta = "mshta" nocase ascii wide
        $wscript = "wscript" nocase ascii wide
        $rundll = "rundll32" nocase ascii wide
    condition:
        uint32(0) == 0x0000004C and uint32(4) == 0x00021401 and any of them
}

rule disk_image_with_shortcut
{
    meta:
        description = "a disk image that holds a shortcut or a program"
        severity = "suspicious"
    strings:
        $iso = "CD001"
        $lnk = /\.lnk(;1)?/ nocase ascii wide
        $exe = /\.(exe|scr|dll|js|vbs)(;1)?/ nocase ascii wide
    condition:
        $iso at 0x8001 and ($lnk or $exe)
}

rule program_in_disguise
{
    meta:
        description = "a Windows program under the name of a document or picture"
        severity = "malicious"
    condition:
        uint16(0) == 0x5A4D and uint32(uint32(0x3C)) == 0x00004550 and
        extension matches /^(pdf|doc|docx|xls|xlsx|ppt|pptx|jpg|jpeg|png|gif|txt|csv|htm|html)$/
}

rule program_attached
{
    meta:
        description = "a Windows program"
        severity = "suspicious"
    condition:
        uint16(0) == 0x5A4D and uint32(uint32(0x3C)) == 0x00004550
}

rule program_with_screen_saver_name
{
    meta:
        description = "a Windows program named as a screen saver or shortcut to one"
        severity = "malicious"
    condition:
        uint16(0) == 0x5A4D and (extension == "scr" or extension == "pif" or extension == "com")
}

rule archive_with_double_extension
{
    meta:
        description = "an archive with a program named as a document"
        severity = "malicious"
    strings:
        $name = /\.(pdf|docx?|xlsx?|jpe?g|png|txt)[ _]{0,60}\.(exe|scr|js|jse|vbs|vbe|wsf|hta|lnk|cmd|bat|pif|com)/ nocase
    condition:
        $name and (uint32be(0) == 0x504B0304 or uint32be(0) == 0x52617221 or
        uint32be(0) == 0x377ABCAF or uint32be(0) == 0x4D534346)
}

rule pdf_runs_something
{
    meta:
        description = "a PDF that runs a script or program when it is opened"
        severity = "suspicious"
    strings:
        $open = "/OpenAction"
        $additional = "/AA"
        $script = "/JavaScript"
        $launch = "/Launch"
        $file = "/EmbeddedFile"
    condition:
        uint32be(0) == 0x25504446 and
        ($launch or (($open or $additional) and ($script or $file)))
}

rule eicar_test_file
{
    meta:
        description = "the EICAR test file: harmless, meant to be found"
        severity = "malicious"
    strings:
        $start = "X5O!P%@AP[4\\PZX54(P^)7CC)7}"
        $end = "ANTIVIRUS-TEST-FILE!$H+H*"
    condition:
        $start and $end and filesize < 4KB
}

rule jar_attached
{
    meta:
        description = "a Java program"
        severity = "suspicious"
    strings:
        $manifest = "META-INF/MANIFEST.MF"
        $class = ".class"
    condition:
        uint32be(0) == 0x504B0304 and $manifest and $class
}
