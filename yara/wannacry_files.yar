/*
   What WannaCry writes beside its programs: notes, scripts, configuration, archive, encrypted files.

   A text must start as WannaCry's does, to the letter, and go on like it, so that a report that quotes one is not taken
   for one. Why strings begin where they do: see wannacry_programs.yar; a comparison at a fixed place costs nothing.
*/

rule WannaCry_EncryptedFile_Header
{
    meta:
        description = "Header of an encrypted or prepared file: WANACRY!, key of 256 bytes, type 4 or 3"
        reference = "https://github.com/gentilkiwi/wanadecrypt"
        date = "2026-11-21"
        severity = "medium"
        confidence = "high"
        family = "wannacry"
        decided_by = "content"
    condition:
        uint32be(0) == 0x57414E41  // "WANACRY!", length of the key
        and uint32be(4) == 0x43525921
        and uint32(8) == 0x100
        and (uint32(0x10C) == 4 or uint32(0x10C) == 3)
}

rule WannaCry_Configuration_Servers
{
    meta:
        description = "Configuration (c.wnry): hidden services joined by semicolons, in a field that ends in NUL"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $server_1 = "v2riucmf.onion;"  // gx7ekbenv2riucmf
        $server_2 = "76jdd2ir2embyv47.onion;"
    condition:
        // In the configuration the list ends in NUL; a text that quotes it goes on.
        for any of them : (for any distance in (1 .. 256) : (uint8(@ + distance) == 0))
}

rule WannaCry_Archive_Members
{
    meta:
        description = "Archive of the encryptor's parts: zip headers before ransom texts or components, encrypted or not"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $component = { 50 4B ?? 04 [26] (62 | 63 | 72 | 73 | 74 | 75) ?? 77 6E 72 79 }  // b.wnry, c.wnry …
        $text = { 50 4B ?? 04 [26] 6D 73 67 ?? 6D 5F [4-24] ?? 77 6E 72 79 }  // msg/m_bulgarian.wnry …
    condition:
        #component + #text >= 3
}

rule WannaCry_Note_Text
{
    meta:
        description = "Ransom note (@Please_Read_Me@.txt) or its template (r.wnry)"
        reference = "https://github.com/Neo23x0/signature-base/blob/master/yara/crime_wannacry.yar"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $window = { 57 61 6E 61 44 ?? 63 72 79 ?? 74 6F ?? 40 }  // WanaDecryptor@
    condition:
        uint32be(0) == 0x513A2020  // "Q:  What's wrong with my files?"
        and uint32be(4) == 0x57686174
        and uint32be(8) == 0x27732077
        and uint32be(12) == 0x726F6E67
        and uint32be(27) == 0x6C65733F
        and (
            $window
            or for any place in (32 .. 2048) : (  // "Don't worry", where no window is named
                uint32be(place) == 0x446F6E27
                and uint32be(place + 4) == 0x7420776F
                and uint32be(place + 7) == 0x6F727279
            )
        )
}

rule WannaCry_Batch_Text
{
    meta:
        description = "Batch file that writes m.vbs, which makes the ransom window's shortcut, and then deletes itself"
        reference = "https://github.com/Neo23x0/signature-base/blob/master/yara/crime_wannacry.yar"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $window = { 57 61 6E 61 44 ?? 63 72 79 ?? 74 6F ?? 40 }  // WanaDecryptor@
    condition:
        uint32be(0) == 0x40656368  // "@echo off", "echo SET" on the next line
        and uint32be(5) == 0x206F6666
        and (
            (uint32be(11) == 0x6563686F and uint32be(15) == 0x20534554)
            or (uint32be(10) == 0x6563686F and uint32be(14) == 0x20534554)
        )
        and $window
}

rule WannaCry_Script_Text
{
    meta:
        description = "Script (m.vbs) that makes the ransom window's shortcut"
        reference = "https://github.com/Neo23x0/signature-base/blob/master/yara/crime_wannacry.yar"
        date = "2026-11-21"
        severity = "high"
        confidence = "medium"
        family = "wannacry"
    strings:
        $window = { 57 61 6E 61 44 ?? 63 72 79 ?? 74 6F ?? 40 }  // WanaDecryptor@
    condition:
        uint32be(0) == 0x53455420  // "SET ow = WScript"
        and uint32be(4) == 0x6F77203D
        and uint32be(8) == 0x20575363
        and uint32be(12) == 0x72697074
        and $window
}
