/* Office documents that run something, or fetch something that does. */

rule office_macro_autorun
{
    meta:
        description = "a document with a macro that runs when it is opened"
        severity = "suspicious"
    strings:
        $ole = { D0 CF 11 E0 A1 B1 1A E1 }
        $vba = "Attribut" ascii
        $project = "_VBA_PROJECT" wide ascii
        $source = "Attribute VB_Name" ascii
        $auto1 = "AutoOpen" nocase ascii wide
        $auto2 = "Document_Open" nocase ascii wide
        $auto3 = "Workbook_Open" nocase ascii wide
        $auto4 = "Auto_Open" nocase ascii wide
        $auto5 = "AutoExec" nocase ascii wide
    condition:
        (($ole at 0 and ($vba or $project)) or $source) and any of ($auto*)
}

rule office_macro_runs_program
{
    meta:
        description = "a macro that starts a program or a script"
        severity = "malicious"
    strings:
        $ole = { D0 CF 11 E0 A1 B1 1A E1 }
        $project = "_VBA_PROJECT" wide ascii
        $attribute = "Attribut" ascii
        $source = "Attribute VB_Name" ascii
        $run1 = "WScript.Shell" nocase ascii wide
        $run2 = "Shell.Application" nocase ascii wide
        $run3 = "powershell" nocase ascii wide
        $run4 = "MSXML2.XMLHTTP" nocase ascii wide
        $run5 = "URLDownloadToFile" nocase ascii wide
        $run6 = "ADODB.Stream" nocase ascii wide
        $run7 = "winmgmts:" nocase ascii wide
    condition:
        (($ole at 0 and ($project or $attribute)) or $source) and any of ($run*)
}

rule office_excel4_macro
{
    meta:
        description = "an Excel 4 macro sheet that is hidden or starts by itself"
        severity = "suspicious"
    strings:
        $ole = { D0 CF 11 E0 A1 B1 1A E1 }
        $sheet = { 85 00 ?? 00 ?? ?? ?? ?? (01 | 02) 01 }
        $auto = "Auto_Open" nocase ascii wide
    condition:
        $ole at 0 and $sheet and $auto
}

rule office_dde_command
{
    meta:
        description = "a field that runs a command when the document is opened"
        severity = "malicious"
    strings:
        $dde = /\bDDE(AUTO)?[ \t"\\\/]{1,20}[^<]{0,80}(cmd|powershell|mshta|wscript|regsvr32)/ nocase
    condition:
        $dde
}

rule office_template_from_network
{
    meta:
        description = "a document that fetches its template from another host"
        severity = "suspicious"
    strings:
        $template = /Type="[^"]{10,120}\/attachedTemplate"[^>]{0,40}Target="https?:\/\// nocase
        $ole = /Type="[^"]{10,120}\/oleObject"[^>]{0,40}Target="(https?|mhtml):/ nocase
    condition:
        any of them
}

rule rtf_embedded_object
{
    meta:
        description = "an RTF file with an embedded object that updates itself"
        severity = "suspicious"
    strings:
        $object = "\\objdata" nocase
        $update = "\\objupdate" nocase
        $equation = "4571756174696f6e2e33" nocase
    condition:
        uint32be(0) == 0x7B5C7274 and $object and ($update or $equation)
}

rule onenote_with_script
{
    meta:
        description = "a OneNote section with a script or program in it"
        severity = "malicious"
    strings:
        $blob = { E7 16 E3 BD 65 26 11 45 A4 C4 8D 4D 0B 7A 9E AC }
        $run1 = "<HTA:APPLICATION" nocase
        $run2 = "WScript.Shell" nocase
        $run3 = "CreateObject" nocase
        $run4 = "@echo off" nocase
        $run5 = "This program cannot be run in DOS mode"
    condition:
        uint32be(0) == 0xE4525C7B and $blob and any of ($run*)
}
