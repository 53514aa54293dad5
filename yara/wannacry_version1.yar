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
        $password = "wcry@123\x00"
        $mutex_1 = "\\WINDOWS_TASKOSHT_MUTEX"
        $mutex_2 = "\\WINDOWS_TASKCST_MUTEX"
    condition:
        ($password and any of ($mutex_*)) or (uint16(0) == 0x5A4D and 2 of them)
}
