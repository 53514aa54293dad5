"""Where a volume keeps the hives that are read, and their transaction logs."""

from __future__ import annotations

import re
from enum import StrEnum

_MOVED = r"windows\.old(?:\.[0-9]{3})?/"
_FOLDER = rf"(?:{_MOVED})?[^/]+"
_CONFIG = re.compile(rf"({_FOLDER})/system32/config/(regback/)?(system|software|default)", re.IGNORECASE)
_AMCACHE = re.compile(rf"{_FOLDER}/appcompat/programs/amcache\.hve", re.IGNORECASE)
_OF_MOVED = re.compile(_MOVED, re.IGNORECASE)
_USER = re.compile(r"(?:.+/)?ntuser\.dat", re.IGNORECASE)

LOG_SUFFIXES = (".log", ".log1", ".log2")
"""What Windows adds to a hive's name for its logs; one of the old kind up to Windows XP, two since Vista."""


class HiveKind(StrEnum):
    """Which hive a file is."""

    SYSTEM = "system"
    SOFTWARE = "software"
    USER = "user"
    AMCACHE = "amcache"
    OTHER = "other"


def hive_kind(path: str) -> HiveKind | None:
    """Return which hive stands at a path from the volume's root; None for all other files.

    `Windows`, `WINNT` or whatever the system's directory was named, in any case, within `Windows.old` too. `DEFAULT` is
    the user under which services run.
    """
    if _USER.fullmatch(path):
        return HiveKind.USER
    if _AMCACHE.fullmatch(path):
        return HiveKind.AMCACHE
    match = _CONFIG.fullmatch(path)
    if match is None:
        return None
    return HiveKind.USER if match[3].lower() == "default" else HiveKind(match[3].lower())


def is_older_copy(path: str) -> bool:
    """Say whether the hive at a path is a copy that Windows made for itself: RegBack, every ten days until 2018."""
    match = _CONFIG.fullmatch(path)
    return match is not None and match[2] is not None


def is_of_moved_windows(path: str) -> bool:
    """Say whether a path lies in `Windows.old`: a Windows that does not start, moved aside by set-up for a new one."""
    return _OF_MOVED.match(path) is not None


def windows_folder(path: str) -> str | None:
    """Return the directory of the Windows that a hive at a path belongs to; None where it is no computer's hive."""
    match = _CONFIG.fullmatch(path)
    return None if match is None else match[1]
