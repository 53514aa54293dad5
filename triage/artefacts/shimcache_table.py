"""ShimCaches of Windows XP to 7: tables of equally long entries. `shimcache.py` names the sources."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from msgspec import Struct

from triage.artefacts.regf import decode_utf16
from triage.artefacts.shimcache_entry import EXECUTED_FLAG, CachedProgram, CacheForm, ShimCache

_LARGEST_FLAGS = 3
_XP_HEADER_BYTES, _XP_PATH_BYTES = 400, 528
_XP_ENTRY = struct.Struct(f"<{_XP_PATH_BYTES}sQQQ")


class _Table(Struct, frozen=True):
    """A cache whose entries are equally long and point to their paths.

    Both layouts, of 32 and 64 bits, give length and capacity of the path, its offset, the file's time and two numbers.
    """

    header_bytes: int
    narrow: struct.Struct
    wide: struct.Struct


_VISTA_TABLE = _Table(8, struct.Struct("<HHIQII"), struct.Struct("<HH4xQQII"))
_WINDOWS_7_TABLE = _Table(128, struct.Struct("<HHIQII8x"), struct.Struct("<HH4xQQII16x"))


class _Row(Struct, frozen=True):
    """One entry of a table: where it stands, what it says. The two numbers are flags, or halves of a size."""

    offset_bytes: int
    path: str
    file_modified: int
    low: int
    high: int


def parse_xp(data: bytes, count: int) -> ShimCache:
    """Parse a cache of Windows XP whose header counts so many entries."""
    fitting = min(count, max(len(data) - _XP_HEADER_BYTES, 0) // _XP_ENTRY.size)
    programs: list[CachedProgram] = []
    for number in range(fitting):
        offset = _XP_HEADER_BYTES + number * _XP_ENTRY.size
        raw_path, file_modified, file_bytes, updated = _XP_ENTRY.unpack_from(data, offset)
        path = decode_utf16(raw_path).partition("\0")[0]
        if path:
            programs.append(
                CachedProgram(
                    path=path,
                    offset_bytes=offset,
                    file_modified=file_modified,
                    updated=updated,
                    file_bytes=file_bytes,
                )
            )
    return ShimCache(form=CacheForm.XP, programs=tuple(programs), unreadable=count - len(programs))


def parse_7(data: bytes, count: int) -> ShimCache:
    """Parse a cache of Windows 7."""
    rows, unreadable = _rows(data, count, _WINDOWS_7_TABLE)
    return ShimCache(form=CacheForm.WINDOWS_7, programs=tuple(map(_flagged, rows)), unreadable=unreadable)


def parse_vista(data: bytes, count: int) -> ShimCache:
    """Parse a cache of Windows Server 2003 or Vista, which differ in two numbers: a size, or flags."""
    rows, unreadable = _rows(data, count, _VISTA_TABLE)
    if all(row.low <= _LARGEST_FLAGS for row in rows):
        return ShimCache(form=CacheForm.VISTA, programs=tuple(map(_flagged, rows)), unreadable=unreadable)
    programs = tuple(
        CachedProgram(
            path=row.path,
            offset_bytes=row.offset_bytes,
            file_modified=row.file_modified,
            file_bytes=row.high << 32 | row.low,
        )
        for row in rows
    )
    return ShimCache(form=CacheForm.SERVER_2003, programs=programs, unreadable=unreadable)


def _flagged(row: _Row) -> CachedProgram:
    return CachedProgram(
        path=row.path,
        offset_bytes=row.offset_bytes,
        file_modified=row.file_modified,
        executed=row.low & EXECUTED_FLAG != 0,
    )


def _rows(data: bytes, count: int, table: _Table) -> tuple[list[_Row], int]:
    """Return the entries of a table and how many of `count` there are not; of both widths the one that gives more."""
    narrow, wide = (list(_rows_of(data, count, table, is_wide=is_wide)) for is_wide in (False, True))
    rows = max(wide, narrow, key=len)
    return rows, count - len(rows)


def _rows_of(data: bytes, count: int, table: _Table, *, is_wide: bool) -> Iterator[_Row]:
    """Yield the entries that are right in one of the widths: only in the wide one zeros follow a path's lengths."""
    header_bytes, layout = table.header_bytes, table.wide if is_wide else table.narrow
    fitting = min(count, max(len(data) - header_bytes, 0) // layout.size)
    for number in range(fitting):
        offset = header_bytes + number * layout.size
        path_bytes, capacity, path_offset, file_modified, low, high = layout.unpack_from(data, offset)
        is_path = 0 < path_bytes <= capacity and path_bytes % 2 == 0
        is_path &= (data[offset + 4 : offset + 8] == bytes(4)) is is_wide
        if is_path and header_bytes <= path_offset <= len(data) - path_bytes:
            path = decode_utf16(data[path_offset : path_offset + path_bytes])
            yield _Row(offset, path, file_modified, low, high)
