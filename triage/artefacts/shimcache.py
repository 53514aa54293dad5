"""The application compatibility cache ("ShimCache"): programs that a Windows has seen, deleted ones too.

Windows keeps it in memory and writes it into the value `AppCompatCache` of SYSTEM when it shuts down; after a power cut
the value is that of the shutdown before. Each entry has a path and the time at which that *file* was last modified,
which is no time of a run. Whether the program was started is told by Vista to 8.1 alone (an insertion flag that CSRSS
sets); Windows XP has the time of the entry's last update instead.

    Windows        begins with              entries
    XP, 32 bit     ef be ad de              400 bytes on, 552 bytes each, the path in them
    2003, Vista    fe 0f dc ba              8 bytes on, 24 bytes each (64 bit: 32), paths by offset
    7              ee 0f dc ba              128 bytes on, 32 bytes each (64 bit: 48), paths by offset
    8.0 / 8.1      statistics               128 bytes on, `00ts` / `10ts`, of any length
    10             length of the header     48 or 52 bytes on, `10ts`, of any length

Source: A. Davis, "Leveraging the Application Compatibility Cache in Forensic Investigations" (Mandiant, 2012) and his
ShimCacheParser; J. Metz, winreg-kb, "Application compatibility cache key". Windows Server 2003 has a file's size where
Vista has flags; where any is too large to be flags, as ShimCacheParser has it, they are sizes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import Struct

from triage.artefacts.hive import Hive, HiveKey
from triage.artefacts.regf import decode_utf16
from triage.model.errors import ParseError


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


class StoredCache(Struct, frozen=True, kw_only=True):
    """The cache of one control set; `cache` is None where it cannot be parsed, and `problem` then says why.

    `key_last_written` is a FILETIME: nearly always that of the last shutdown.
    """

    control_set: int
    key_path: str
    offset_bytes: int
    key_last_written: int
    cache: ShimCache | None
    problem: str = ""


def read_shimcaches(hive: Hive, control_sets: Iterable[int]) -> tuple[StoredCache, ...]:
    """Read the caches of a SYSTEM hive; a control set without one is left out."""
    keys = (
        key
        for number in control_sets
        for name in _KEYS
        if (key := hive.key(rf"ControlSet{number:03d}\Control\Session Manager\{name}")) is not None
    )
    return tuple(_stored(key, value.data) for key in keys if (value := key.value("AppCompatCache")) is not None)


def _stored(key: HiveKey, data: bytes) -> StoredCache:
    cache, problem = None, ""
    try:
        cache = parse_shimcache(data)
    except ParseError as error:
        problem = str(error)
    return StoredCache(
        control_set=int(key.path[len("ControlSet") :].partition("\\")[0]),
        key_path=key.path,
        offset_bytes=key.offset_bytes,
        key_last_written=key.last_written,
        cache=cache,
        problem=problem,
    )


class _Table(Struct, frozen=True):
    """A cache whose entries are equally long and point to their paths.

    Both layouts, of 32 and 64 bits, give length and capacity of the path, its offset, the file's time and two numbers.
    """

    header_bytes: int
    narrow: struct.Struct
    wide: struct.Struct


_KEYS = ("AppCompatCache", "AppCompatibility")  # the second one is that of Windows XP
_EXECUTED = 0x2
_LARGEST_FLAGS = 3
_XP_SIGNATURE, _VISTA_SIGNATURE, _WINDOWS_7_SIGNATURE = 0xDEADBEEF, 0xBADC0FFE, 0xBADC0FEE
_XP_HEADER_BYTES, _XP_PATH_BYTES = 400, 528
_XP_ENTRY = struct.Struct(f"<{_XP_PATH_BYTES}sQQQ")
_VISTA_TABLE = _Table(8, struct.Struct("<HHIQII"), struct.Struct("<HH4xQQII"))
_WINDOWS_7_TABLE = _Table(128, struct.Struct("<HHIQII8x"), struct.Struct("<HH4xQQII16x"))
_TAG_OF_8, _LATER_TAG = b"00ts", b"10ts"
_STATISTICS_BYTES = 128  # before the first entry in Windows 8
_TAGGED = struct.Struct("<4sII")
_SHORT = struct.Struct("<H")
_OF_8 = struct.Struct("<IIQI")
_OF_10 = struct.Struct("<QI")
# Behind the path, and whether the name of a package (with its length) comes first: of 8 the two sources do not agree.
_LAYOUTS = {
    CacheForm.WINDOWS_8: ((_OF_8, False), (_OF_8, True)),
    CacheForm.WINDOWS_8_1: ((_OF_8, True), (_OF_8, False)),
    CacheForm.WINDOWS_10: ((_OF_10, False),),
}


def parse_shimcache(data: bytes) -> ShimCache:
    """Parse the data of an `AppCompatCache` value; ParseError where it is of no known form."""
    if len(data) < 8:
        raise ParseError("no header", need_bytes=8, have_bytes=len(data))
    signature, count = struct.unpack_from("<II", data)
    if signature == _XP_SIGNATURE:
        return _parse_xp(data, count)
    if signature == _VISTA_SIGNATURE:
        return _parse_vista(data, count)
    if signature == _WINDOWS_7_SIGNATURE:
        rows, unreadable = _rows(data, count, _WINDOWS_7_TABLE)
        programs = tuple(_flagged(row) for row in rows)
        return ShimCache(form=CacheForm.WINDOWS_7, programs=programs, unreadable=unreadable)
    return _parse_tagged(data)


class _Row(Struct, frozen=True):
    """One entry of a table: where it stands, what it says. The two numbers are flags, or halves of a size."""

    offset_bytes: int
    path: str
    file_modified: int
    low: int
    high: int


def _parse_xp(data: bytes, count: int) -> ShimCache:
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


def _parse_vista(data: bytes, count: int) -> ShimCache:
    rows, unreadable = _rows(data, count, _VISTA_TABLE)
    if all(row.low <= _LARGEST_FLAGS for row in rows):
        programs = tuple(_flagged(row) for row in rows)
        return ShimCache(form=CacheForm.VISTA, programs=programs, unreadable=unreadable)
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
        executed=row.low & _EXECUTED != 0,
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


def _parse_tagged(data: bytes) -> ShimCache:
    """Parse entries that begin with a tag; behind one that is damaged the next tag is looked for."""
    stated = int.from_bytes(data[:4], "little")
    header_bytes = stated if 0 < stated < _STATISTICS_BYTES else _STATISTICS_BYTES
    if len(data) == header_bytes:
        form = CacheForm.WINDOWS_8 if header_bytes == _STATISTICS_BYTES else CacheForm.WINDOWS_10
        return ShimCache(form=form, programs=())
    tag = max(_TAG_OF_8, _LATER_TAG, key=data.count)
    at = data.find(tag)
    if at < 0:
        raise ParseError("neither a known signature nor an entry")
    form = _form(tag, header_bytes)
    programs: list[CachedProgram] = []
    unreadable = int(at != header_bytes)
    while at >= 0:
        end = _end_of_entry(data, at, tag)
        program = None if end is None else _tagged_program(data, at, end, form)
        if program is None or end is None:
            unreadable += 1
            at = data.find(tag, at + 1)
        else:
            programs.append(program)
            at = -1 if end == len(data) else end
    return ShimCache(form=form, programs=tuple(programs), unreadable=unreadable)


def _form(tag: bytes, header_bytes: int) -> CacheForm:
    if tag == _TAG_OF_8:
        return CacheForm.WINDOWS_8
    return CacheForm.WINDOWS_8_1 if header_bytes == _STATISTICS_BYTES else CacheForm.WINDOWS_10


def _end_of_entry(data: bytes, at: int, tag: bytes) -> int | None:
    """Return where the entry ends that begins at an offset; None where there is none, or not all of it."""
    if len(data) - at < _TAGGED.size:
        return None
    found, _checksum, length = _TAGGED.unpack_from(data, at)
    end: int = at + _TAGGED.size + length
    return end if found == tag and end <= len(data) else None


def _tagged_program(data: bytes, at: int, end: int, form: CacheForm) -> CachedProgram | None:
    """Read the entry between two offsets; None where the lengths in it do not add up.

    Its last number is the length of what follows it: where that does not end with the entry, the layout is another.
    """
    path_at = at + _TAGGED.size + _SHORT.size
    if path_at > end:
        return None
    path_end = path_at + _SHORT.unpack_from(data, path_at - _SHORT.size)[0]
    for layout, has_package in _LAYOUTS[form]:
        numbers_at = path_end
        if has_package and path_end + _SHORT.size <= end:
            numbers_at += _SHORT.size + _SHORT.unpack_from(data, path_end)[0]
        if numbers_at + layout.size > end:
            continue
        *flags, file_modified, rest_bytes = layout.unpack_from(data, numbers_at)
        if numbers_at + layout.size + rest_bytes == end:
            return CachedProgram(
                path=decode_utf16(data[path_at:path_end]),
                offset_bytes=at,
                file_modified=file_modified,
                executed=flags[0] & _EXECUTED != 0 if flags else None,
            )
    return None
