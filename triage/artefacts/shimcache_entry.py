"""What the application compatibility cache of every Windows comes to: its programs, whatever form they were kept in."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class CacheForm(StrEnum):
    """Which Windows wrote a cache."""

    XP = "Windows XP"
    SERVER_2003 = "Windows Server 2003"
    VISTA = "Windows Vista"
    WINDOWS_7 = "Windows 7"
    WINDOWS_8 = "Windows 8"
    WINDOWS_8_1 = "Windows 8.1"
    WINDOWS_10 = "Windows 10"


class CachedProgram(Struct, frozen=True, kw_only=True):
    """One entry. Times are FILETIME, 0 where not set: `file_modified` is the file's, `updated` the entry's (XP alone).

    `executed` is None where the form does not tell. `offset_bytes` counts from the value's first byte.
    """

    path: str
    offset_bytes: int
    file_modified: int
    updated: int = 0
    executed: bool | None = None
    file_bytes: int | None = None


class ShimCache(Struct, frozen=True, kw_only=True):
    """The programs of one cache, the latest first (XP: in no known order), and how many entries could not be read."""

    form: CacheForm
    programs: tuple[CachedProgram, ...]
    unreadable: int = 0


EXECUTED_FLAG = 0x2
"""The insertion flag that CSRSS sets when it starts a program (Vista to 8.1)."""
