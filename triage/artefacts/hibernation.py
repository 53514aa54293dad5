"""Whether a hibernation file holds memory: keys of an encryption that was under way may be in it.

The first bytes tell the state: `hibr` (Windows 8 and later `HIBR`) a memory image that was not read back yet, `wake` or
`rstr` one that was. Since Windows 8 the first page is overwritten with zeros then, the rest stays.
Source: J. Metz, "Windows Hibernation File format" (libyal/libhibr).
"""

from __future__ import annotations

from triage.artefacts.hive import HiveKey
from triage.model.volume import HibernationFile

FILE_NAME = "hiberfil.sys"
HEAD_BYTES = 4096
_SIGNATURE_BYTES = 4


_STATES = {b"hibr": HibernationFile.HIBERNATED, b"wake": HibernationFile.RESUMED, b"rstr": HibernationFile.RESUMED}


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
