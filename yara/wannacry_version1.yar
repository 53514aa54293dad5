/*
   Version 1 (WCry, spring 2017): other password, other names, same family.
*/

rule WannaCry_Version1_Strings
{
    meta:
        description = "Programs of version 1: archive password and mutexes"
        reference = "https://www.cisa.gov/news-events/alerts/2017/05/12/indicators-associated-wannacry-ransomware"
        date = "2026-11-21"
        severity = "high"
        confidence = "medium"
        family = "wannacry"
    strings:
        $password = { 77 63 72 79 ?? 31 32 33 00 }  // wcry@123
        $mutex_1 = { 57 49 4E 44 4F 57 53 ?? 54 41 53 4B 4F 53 48 54 ?? 4D 55 54 45 58 }  // WINDOWS_TASKOSHT_MUTEX
        $mutex_2 = { 57 49 4E 44 4F 57 53 ?? 54 41 53 4B 43 53 54 ?? 4D 55 54 45 58 }  // WINDOWS_TASKCST_MUTEX
    condition:
        ($password and any of ($mutex_*)) or (uint16(0) == 0x5A4D and 2 of them)
}
