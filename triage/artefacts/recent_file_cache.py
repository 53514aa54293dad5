"""RecentFileCache.bcf: paths of programs that a Windows 7 has met since its last daily scan of them.

A header of 20 bytes (`fe ff ee ff`, …), then for each program the number of its path's UTF-16 units, the path, and a
zero. No time, no digest: a scan sends what it gathers elsewhere and begins the file anew.

Source: B. Lagny, "Analysis of the AmCache" v2 (ANSSI, 2019), section 2.2; C. Harrell, "Revealing the
RecentFileCache.bcf File" (2013).
"""

from __future__ import annotations

from msgspec import Struct

from triage.artefacts.regf import decode_utf16
from triage.model.errors import ParseError

_SIGNATURE = bytes.fromhex("feffeeff")
_HEADER_BYTES = 20
_LENGTH_BYTES = 4
_UNIT_BYTES = 2
_LONGEST_UNITS = 32_767


class RecentFile(Struct, frozen=True):
    """One program; `offset_bytes` is where its entry begins in the file."""

    path: str
    offset_bytes: int


class RecentFileCache(Struct, frozen=True, kw_only=True):
    """The programs of one file; `damage` says what ended the reading before the file's end, "" where nothing did."""

    files: tuple[RecentFile, ...]
    damage: str = ""
    damage_at: int = 0


def parse_recent_file_cache(data: bytes) -> RecentFileCache:
    """Parse a file; ParseError where it is none. Damage ends the list: each entry's place hangs on the one before."""
    if len(data) < _HEADER_BYTES or not data.startswith(_SIGNATURE):
        raise ParseError("no RecentFileCache header", need_bytes=_HEADER_BYTES, have_bytes=len(data))
    files: list[RecentFile] = []
    at = _HEADER_BYTES
    while at < len(data):
        units = int.from_bytes(data[at : at + _LENGTH_BYTES], "little")
        start = at + _LENGTH_BYTES
        end = start + units * _UNIT_BYTES
        if not 0 < units <= _LONGEST_UNITS or data[end : end + _UNIT_BYTES] != bytes(_UNIT_BYTES):
            return RecentFileCache(files=tuple(files), damage="entry without end", damage_at=at)
        files.append(RecentFile(decode_utf16(data[start:end]), at))
        at = end + _UNIT_BYTES
    return RecentFileCache(files=tuple(files))
