"""Whether a hibernation file holds memory: keys of an encryption that was under way may be in it.

The first bytes tell the state, in small letters up to Windows XP, in capitals since Vista: `hibr`, a memory image that
waits to be read back; `rstr`, one whose reading back broke off; `wake`, one that Windows will not read (again). A whole
page of zeros is what a Windows leaves that has hibernation enabled and was shut down. Since Windows 8, reading an image
back leaves its head and overwrites the rest with zeros.
Sources: J. Metz, "Windows Hibernation File format" (libyal/libhibr); S. Khalil, "Analysis of Windows 10 Hibernation
File" (Tallinn 2020); J. Sylve et al., "Modern windows hibernation file analysis" (Digital Investigation, 2016).
"""

from __future__ import annotations

from triage.artefacts.hive import HiveKey
from triage.model.volume import HibernationFile

FILE_NAME = "hiberfil.sys"
HEAD_BYTES = 4096
_SIGNATURE_BYTES = 4
_STATES = {b"hibr": HibernationFile.HIBERNATED, b"rstr": HibernationFile.RESUMING, b"wake": HibernationFile.RESUMED}


def hibernation_file(head: bytes) -> HibernationFile:
    """Tell the state from the file's first page."""
    if head.count(0) == len(head):
        return HibernationFile.CLEARED
    return _STATES.get(head[:_SIGNATURE_BYTES].lower(), HibernationFile.UNKNOWN)


def hibernation_enabled(control: HiveKey) -> bool | None:
    """Say whether Windows may hibernate; None where the hive does not tell."""
    power = control.subkey("Power")
    return None if power is None else _flag(power, "HibernateEnabled", "HibernateEnabledDefault")


def fast_startup_enabled(control: HiveKey) -> bool | None:
    """Say whether shutting down writes the kernel's memory to the hibernation file (Windows 8 and later)."""
    power = control.descendant(r"Session Manager\Power")
    return None if power is None else _flag(power, "HiberbootEnabled")


def _flag(key: HiveKey, *names: str) -> bool | None:
    number = next((number for name in names if (number := key.number(name)) is not None), None)
    return None if number is None else number != 0
