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
    strings:
        $magic = "WANACRY!\x00\x01\x00\x00"
    condition:
        $magic at 0 and (uint32(0x10C) == 4 or uint32(0x10C) == 3)
}

rule WannaCry_Configuration_Servers
{
    meta:
        description = "Configuration (c.wnry): hidden services joined by semicolons, address of the Tor archive"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $server_1 = "57g7spgrzlojinas.onion;"
        $server_2 = "76jdd2ir2embyv47.onion;"
        $tor = "tor-win32-0.2.9.10.zip\x00"
    condition:
        $tor and any of ($server_*)
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
        $text = { 50 4B 03 04 [26] 6D 73 67 2F 6D 5F }  // msg/m_
        $component = { 50 4B 03 04 [26] (62 | 63 | 72 | 73 | 74 | 75) 2E 77 6E 72 79 }  // b.wnry …
        $helper = { 50 4B 03 04 [26] 74 61 73 6B (64 6C | 73 65) 2E 65 78 65 }  // taskdl.exe, taskse.exe
    condition:
        #text + #component + #helper >= 3
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
        $worry = "Don't worry about decryption."
        $window = "@WanaDecryptor@"
    condition:
        uint32be(0) == 0x513A2020  // "Q:  What's wrong with my files?"
        and uint32be(4) == 0x57686174
        and uint32be(8) == 0x27732077
        and uint32be(12) == 0x726F6E67
        and uint32be(27) == 0x6C65733F
        and any of them
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
        $window = "@WanaDecryptor@"
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
        $window = "@WanaDecryptor@"
    condition:
        uint32be(0) == 0x53455420  // "SET ow = WScript"
        and uint32be(4) == 0x6F77203D
        and uint32be(8) == 0x20575363
        and uint32be(12) == 0x72697074
        and $window
}
