/*
   WannaCry's programs, by what they contain.

   No rule needs the whole file: copies whose tail was damaged on the way are common, so a few strings of many suffice.
   Many strings end in NUL, as the compiler stored them: a report or a rule file that quotes them does not match, while a
   page of memory that holds them does.

   Every byte of a disk runs through these rules. YARA looks for four bytes of each string, its atom: the first four of
   those it rates best (signs and digits over letters, letters over NUL and spaces, different bytes over equal ones). On
   any data the scan slows down with each further byte that begins an atom, by a twentieth, and hardly with the number
   of strings. So all atoms begin with one of five bytes: % P W v w. A string starts where one of them stands, or `??` in
   a hexadecimal string keeps YARA away from what it would rather take. A test counts the bytes. What no such atom can
   find is compared in a loop, behind a string that is rare.
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
        $moved = { 5C 71 ?? 72 69 ?? 77 6A 68 72 66 00 }  // \qeriuwjhrf
        $argument = "%s -m sec"
        $service = { 6D 73 73 65 63 ?? 76 63 32 2E ?? 00 }  // mssecsvc2.0, mssecsvc2.1
        $dropped = { 6D 73 73 65 63 ?? 76 63 2E 65 78 65 00 }  // mssecsvc.exe
        $export = "PlayGame\x00"  // of the launcher inside
        $tree = { 54 52 45 ?? 49 44 5F ?? 50 4C 41 43 45 48 4F 4C 44 45 52 }  // TREEID__PLACEHOLDER
        $user = { 55 53 45 ?? 49 44 5F ?? 50 4C 41 43 45 48 4F 4C 44 45 52 }  // USERID__PLACEHOLDER
    condition:
        2 of ($moved, $argument, $service, $dropped)
        or (any of ($moved, $service, $dropped, $export) and $tree and $user)
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
        // The end of iuqerfsodp…, ifferfsodp… and iuqssfsodp….
        $name = { 73 75 72 ?? 6A 66 61 ?? 77 72 77 65 72 67 77 65 61 }  // surijfaewrwergwea
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
        $path = "%s\\%s\x00"
        $dropped = { 6D 73 73 65 63 ?? 76 63 2E 65 78 65 00 }  // mssecsvc.exe
    condition:
        all of them
}

rule WannaCry_Installer_Strings
{
    meta:
        description = "Installer of the encryptor (tasksche.exe): archive password, command, mutex, key, ransom address"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $password = { 57 4E 63 72 ?? 40 32 ?? 6C 37 00 }  // WNcry@2ol7
        $grant = { 76 65 72 79 6F 6E 65 ?? 46 20 2F 54 20 2F 43 20 2F 51 00 }  // Everyone:F /T /C /Q
        $mutex = "WinZonesCacheCounterMutexA"
        $key = { 57 00 61 00 6E 00 61 00 43 00 72 00 79 00 70 00 74 00 }  // WanaCrypt0r
        $address = "W2dhxYgXeQepoHkHSQuy6"  // of 13AM4VW2dhxYgXeQepoHkHSQuy6NgaEb94
    condition:
        3 of them
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
        $temporary = "WNCRYT\x00" wide
        $final = "WNCRY\x00" wide
        $prepared = "WNCYR\x00" wide
        $window = { 57 00 61 00 6E 00 61 00 44 00 65 00 63 00 72 00 79 00 70 00 74 00 }  // WanaDecryptor@
    condition:
        4 of them and any of ($public_key, $private_key, $plain_key, $state)
}

rule WannaCry_Window_Strings
{
    meta:
        description = "Ransom window (@WanaDecryptor@.exe, u.wnry): title, own name, files it opens"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "medium"
        family = "wannacry"
    strings:
        $title = { 57 00 61 00 6E 00 61 00 20 00 44 00 65 00 63 00 72 00 79 00 70 00 74 00 }  // Wana Decrypt0r
        $own_name = { 57 61 6E 61 44 ?? 63 72 79 ?? 74 6F ?? 40 }  // WanaDecryptor@
        $own_name_wide = { 57 00 61 00 6E 00 61 00 44 00 65 00 63 00 72 00 79 00 70 00 74 00 }  // WanaDecryptor@
        $tor_host = { 74 61 73 6B 68 ?? 76 63 2E 65 78 65 00 }  // taskhsvc.exe
        $language = "%s.wnry\x00"
        $plain_key = "%08X.dky\x00"
    condition:
        3 of them and any of ($tor_host, $language, $plain_key)
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
    condition:
        uint16(0) == 0x5A4D and $extension
        and for any place in (0x40 .. 0x5000) : (  // "RECYCLE" in UTF-16, in the 20 KiB of this program
            uint32be(place) == 0x52004500
            and uint32be(place + 4) == 0x43005900
            and uint32be(place + 8) == 0x43004C00
            and uint32be(place + 12) == 0x45000000
        )
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
        description = "Instruction sequences of worm or installer: two, or one beside a string that variants keep"
        reference = "https://github.com/Neo23x0/signature-base/blob/master/yara/crime_wannacry.yar"
        date = "2026-11-21"
        severity = "high"
        confidence = "high"
        family = "wannacry"
    strings:
        $code_1 = { 10 AC 72 ?? 3D FF FF 1F ?? 77 06 B8 01 00 00 00 }  // compares an address with 172.31.255.255
        $code_2 = { 09 ?? 76 30 50 FF 56 ?? 59 59 47 ?? 7E 0C 7C }  // calls through a table, entry by entry
        $argument = "%s -m sec"
        $mutex = "WinZonesCacheCounterMutexA"
        $key = { 57 00 61 00 6E 00 61 00 43 00 72 00 79 00 70 00 74 00 }  // WanaCrypt0r
    condition:
        all of ($code_*) or (any of ($code_*) and any of ($argument, $mutex, $key))
}
