"""ShimCaches of Windows 8 and later: entries of any length, each behind a tag. `shimcache.py` names the sources."""

from __future__ import annotations

import struct

from triage.artefacts.regf import decode_utf16
from triage.artefacts.shimcache_entry import EXECUTED_FLAG, CachedProgram, CacheForm, ShimCache
from triage.model.errors import ParseError

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


def parse_tagged(data: bytes) -> ShimCache:
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
                executed=flags[0] & EXECUTED_FLAG != 0 if flags else None,
            )
    return None
