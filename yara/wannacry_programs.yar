/*
   WannaCry's programs, by what they contain.

   No rule needs the whole file: copies whose tail was damaged on the way are common, so a few strings of many suffice.
   Many strings end in NUL, as the compiler stored them: a report or a rule file that quotes them does not match, while a
   page of memory that holds them does.

   Every byte of a disk runs through these rules. YARA searches for four bytes of each string, those it thinks rarest, the
   first of equals; what such a search costs depends on how often its first byte occurs. So strings begin where a rare
   byte is, and `??` in a hexadecimal string keeps the search away from common letters.
*/

rule WannaCry_Worm_Strings
{
    meta:
        description = "Worm and dropper (mssecsvc.exe): service, installer path, templates of its SMB requests"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $moved = "\\qeriuwjhrf\x00"
        $argument = "%s -m sec"
        $service = { 6D 73 73 65 63 ?? 76 63 32 2E ?? 00 }  // mssecsvc2.0, mssecsvc2.1
        $dropped = { 6D 73 73 65 63 ?? 76 63 2E 65 78 65 00 }  // mssecsvc.exe
        $share_1 = "\\\\192.168.56.20\\IPC$" wide
        $share_2 = "\\\\172.16.99.5\\IPC$" wide
        $tree = "__TREEID__PLACEHOLDER__"
        $user = "__USERID__PLACEHOLDER__"
    condition:
        2 of ($moved, $argument, $service, $dropped)
        or (any of ($moved, $service, $dropped) and 2 of ($share_*, $tree, $user))
        or (uint16(0) == 0x5A4D and 3 of ($share_*, $tree, $user))
}

rule WannaCry_Worm_KillSwitch
{
    meta:
        description = "Program that holds a kill-switch name: the worm asks for it first and stops where it is answered"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $name = "9ifjaposdfjhgosurijfaewrwergwea."  // end of iuqerfsodp…, ifferfsodp… and iuqssfsodp…
    condition:
        uint16(0) == 0x5A4D and $name
}

rule WannaCry_Launcher_Strings
{
    meta:
        description = "Library that the exploit injects; it drops mssecsvc.exe and starts it (export PlayGame)"
        reference = "https://github.com/Neo23x0/signature-base/blob/master/yara/crime_wannacry.yar"
        date = "2026-11-21"
        severity = "high"
        confidence = "medium"
        family = "wannacry"
    strings:
        $export = "PlayGame\x00"
        $path = ":\\%s\\%s\x00"
        $dropped = { 6D 73 73 65 63 ?? 76 63 2E 65 78 65 00 }  // mssecsvc.exe
    condition:
        all of them
}

rule WannaCry_Installer_Strings
{
    meta:
        description = "Installer of the encryptor (tasksche.exe): archive password, mutex, commands, ransom addresses"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $password = { 57 4E 63 72 ?? 40 32 6F 6C 37 00 }  // WNcry@2ol7
        $grant = ":F /T /C /Q\x00"
        $mutex = "\\MsWinZonesCacheCounterMutexA"
        $start = "TaskStart\x00"
        $own_name = { 74 61 ?? 6B 73 63 68 ?? 2E 65 78 65 00 }  // tasksche.exe
        $key = "WanaCrypt0r\x00" wide
        $address_1 = "13AM4VW2dhxYgXeQepoHkHSQuy6NgaEb94\x00"
        $address_2 = "12t9YDPgwueZ9NyMgw519p7AA8isjr6SMw\x00"
        $address_3 = "115p7UMMngoj1pMvkpHijcRdfJNXj6LrLn\x00"
    condition:
        4 of them and any of ($password, $grant, $start, $own_name, $address_*)
}

rule WannaCry_Encryptor_Strings
{
    meta:
        description = "The encryptor itself, a library that is on disk only encrypted: memory image, page file or dump"
        reference = "https://github.com/Neo23x0/signature-base/blob/master/yara/crime_wannacry.yar"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $public_key = "%08X.pky\x00"
        $private_key = "%08X.eky\x00"
        $plain_key = "%08X.dky\x00"
        $state = "%08X.res\x00"
        $magic = "WANACRY!\x00"
        $temporary = "WNCRYT\x00" wide
        $final = "WNCRY\x00" wide
        $prepared = "WNCYR\x00" wide
        $note = "@Please_Read_Me@.txt\x00" wide
        $window = "@WanaDecryptor@" ascii wide
        $start = "TaskStart\x00"
    condition:
        4 of them and any of ($public_key, $private_key, $plain_key, $state, $magic)
}

rule WannaCry_Window_Strings
{
    meta:
        description = "Ransom window (@WanaDecryptor@.exe, u.wnry): title, files it opens, ransom address"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "medium"
        family = "wannacry"
    strings:
        $title = "Wana Decrypt" ascii wide
        $own_name = "@WanaDecryptor@" ascii wide
        $tor_host = { 74 61 ?? 6B 68 73 76 63 ?? 65 78 65 00 }  // taskhsvc.exe
        $language = "m_%s.wnry\x00"
        $key = "%08X.dky\x00"
        $address = "13AM4VW2dhxYgXeQepoHkHSQuy6NgaEb94\x00"
    condition:
        3 of them and any of ($tor_host, $language, $key, $address)
}

rule WannaCry_FileDeleter_Strings
{
    meta:
        description = "taskdl.exe, which deletes moved originals every 30 seconds; its version resource says cliconfg.exe"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "medium"
        family = "wannacry"
    strings:
        $extension = "WNCRYT\x00" wide
        $directory = "RECYCLE\x00" wide
    condition:
        uint16(0) == 0x5A4D and all of them
}

rule WannaCry_SessionLauncher_Strings
{
    meta:
        description = "taskse.exe, which shows the ransom window in every session; its version resource says waitfor.exe"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "medium"
        confidence = "medium"
        family = "wannacry"
    strings:
        $internal = "waitfor" wide
        $sessions = "WTSEnumerateSessionsA\x00"
        $token = "WTSQueryUserToken\x00"
    condition:
        uint16(0) == 0x5A4D and $internal and any of ($sessions, $token)
}

rule WannaCry_Code_Sequences
{
    meta:
        description = "Three of six instruction sequences of the installer; they outlast changed strings and damaged tails"
        reference = "https://github.com/Neo23x0/signature-base/blob/master/yara/crime_wannacry.yar"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $code_1 = { 10 AC 72 0D 3D FF FF 1F AC 77 06 B8 01 00 00 00 }
        $code_2 = { 44 24 ?? 8A C6 44 24 ?? 0E C6 44 24 ?? 80 C6 44 }
        $code_3 = { 18 DF 6C 24 14 DC 64 24 2C DC 6C ?? 5C DC 15 88 }
        $code_4 = { 09 FF 76 30 50 FF 56 2C 59 59 47 3B 7E 0C 7C }
        $code_5 = { C1 EA 1D C1 EE 1E 83 E2 01 83 E6 01 8D 14 56 }
        $code_6 = { 8D 48 FF F7 D1 8D 44 10 FF 23 F1 23 C1 }
    condition:
        3 of them
}
