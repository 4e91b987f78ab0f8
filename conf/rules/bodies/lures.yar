/* What the text of a mail says to make people open, click or pay. */

rule password_in_body
{
    meta:
        description = "the text gives the password of an archive, as scanners cannot open it"
        severity = "suspicious"
    strings:
        // a word after a colon or in quotes, or one that is no word of the language
        $en = /(archive|attachment|file|zip|document)[^.\n]{0,60}password(\s+is)?(\s*[:=]\s*["']?|\s+["'])[A-Za-z0-9!@#$%]{3,20}/ nocase
        $en1 = /(archive|attachment|file|zip|document)[^.\n]{0,60}password\s+is\s+[A-Za-z!@#$%]{0,19}[0-9][A-Za-z0-9!@#$%]{0,19}/ nocase
        $en2 = /password\s*(for|to|of)\s+(the\s+)?(archive|attachment|file|zip|document)[^.\n]{0,20}[:=]/ nocase
        $de = /(archiv|anhang|datei|dokument)[^.\n]{0,60}passwort(\s+(lautet|ist))?(\s*[:=]\s*["']?|\s+["'])[A-Za-z0-9!@#$%]{3,20}/ nocase
        $de1 = /(archiv|anhang|datei|dokument)[^.\n]{0,60}passwort\s+(lautet|ist)\s+[A-Za-z!@#$%]{0,19}[0-9][A-Za-z0-9!@#$%]{0,19}/ nocase
    condition:
        any of them
}

rule enable_content_lure
{
    meta:
        description = "the text asks to enable macros or editing"
        severity = "suspicious"
    strings:
        $a = /enable\s+(the\s+)?(content|macros|editing)/ nocase
        $b = /(inhalte?|makros?|bearbeitung)\s+(zu\s+)?aktivieren/ nocase
    condition:
        any of them
}

rule account_suspended_lure
{
    meta:
        description = "the text threatens that an account or mailbox ends, with a link"
        severity = "suspicious"
    strings:
        $threat = /(account|mailbox|password)[^.\n]{0,80}(suspend|deactivat|expire|terminat|lock)(ed|s|ing)?/ nocase
        $link = /https?:\/\// nocase
        $act = /(verify|confirm|click|keep|update)[^.\n]{0,60}(here|now|account|password|below)/ nocase
    condition:
        all of them
}

rule bitcoin_extortion
{
    meta:
        description = "the text asks for coins and threatens"
        severity = "suspicious"
    strings:
        // 1 and 3 are told apart so that YARA looks for them; for [13] it tries each byte.
        $wallet = /\b(1[a-km-zA-HJ-NP-Z1-9]{25,34}|3[a-km-zA-HJ-NP-Z1-9]{25,34}|bc1[a-z0-9]{30,60})\b/
        $threat = /(hacked|infected|recorded|webcam|your device|your contacts|48 hours|72 hours)/ nocase
        $coin = /bitcoin|btc/ nocase
    condition:
        all of them
}

rule voicemail_lure
{
    meta:
        description = "the text speaks of a voice message to be opened"
        severity = "info"
    strings:
        $a = /(new|missed|have)[^.\n]{0,30}(voice\s?mail|voice message)/ nocase
        $b = /(listen|play|open)[^.\n]{0,40}(attach|below|message)/ nocase
    condition:
        all of them
}

rule hidden_text
{
    meta:
        description = "the page hides text from its reader, as mails that dodge filters do"
        severity = "info"
    strings:
        $a = /<(div|span|p|font)[^>]{0,80}style\s*=\s*["'][^"']{0,120}font-size\s*:\s*0/ nocase
        $b = /<(div|span|p)[^>]{0,80}style\s*=\s*["'][^"']{0,120}display\s*:\s*none/ nocase
    condition:
        content_type == "text/html" and any of them
}
