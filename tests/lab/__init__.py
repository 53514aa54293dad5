"""The lab: disks and files of an infected PC, built with real tools; nothing in it is malware."""
