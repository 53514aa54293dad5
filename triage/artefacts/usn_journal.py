"""The change journal, `$Extend/$UsnJrnl:$J`: what was created, renamed and deleted on a volume, and when.

Records of versions 2, 3 and 4 stand one behind the other at multiples of eight bytes; NTFS fills a page that the next
record does not fit into with zeros. No checksum protects them, but each says its own offset in the stream: by that and
by its shape a record is known, and after damage the next such place is taken. All places of a block are looked at at
once.

Source: USN_RECORD_V2, _V3 and _V4, Microsoft, winioctl.h; [MS-FSCC] 2.6 for file attributes.
"""

from __future__ import annotations

from codecs import utf_16_le_decode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

LARGEST_RECORD_BYTES = 4096
_VERSIONS = (2, 3, 4)
_NAME_OFFSETS = {2: 60, 3: 76}
_V4_HEADER_BYTES, _V4_EXTENT_BYTES = 64, 16
_LOW_32 = np.uint64(0xFFFFFFFF)
_LOW_16 = np.uint64(0xFFFF)
_HEADER_WORDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeColumns:
    """Columns, one row a record; `usn` is its place in the stream.

    `file` and `parent` are NTFS file references or the lower halves of 128-bit ids, whose upper ones are `…_high`.
    Times are FILETIME. In version 4 there is no time (0), no name ("") and no attributes (0).
    """

    version: I64
    file: U64
    file_high: U64
    parent: U64
    parent_high: U64
    usn: I64
    time: U64
    reason: U64
    source: U64
    attributes: U64
    names: list[str]


def parse_changes(
    offset_bytes: int, blocks: Iterable[bytes], note_damage: Callable[[int, int], None]
) -> Iterator[ChangeColumns]:
    """Yield the records of a stretch of the stream that begins at `offset_bytes`, a multiple of eight.

    A record may lie across two blocks. `note_damage` is told place and length of what is neither record nor zeros.
    """
    rest = b""
    for block in blocks:
        data = rest + block
        undecided = max(len(data) - LARGEST_RECORD_BYTES, 0) // 8 * 8
        columns, done = _parse(data, offset_bytes, undecided, note_damage)
        yield columns
        rest = data[done:]
        offset_bytes += done
    yield _parse(rest, offset_bytes, len(rest), note_damage)[0]


def _parse(
    data: bytes, offset_bytes: int, stop: int, note_damage: Callable[[int, int], None]
) -> tuple[ChangeColumns, int]:
    """Parse the records that begin before `stop`; return them and how many bytes are done with."""
    words = np.frombuffer(data + bytes(8 * _HEADER_WORDS + -len(data) % 8), "<u8")
    places, lengths = _plausible(words, len(data), offset_bytes)
    taken: list[int] = []
    end = 0
    for place, length in zip(places.tolist(), lengths.tolist(), strict=True):
        if place >= stop:
            break
        if place < end:
            continue  # it stands inside of a record
        _note_if_damaged(data, offset_bytes, end, place, note_damage)
        taken.append(place)
        end = place + length
    if end < stop:
        _note_if_damaged(data, offset_bytes, end, stop, note_damage)
    return _columns(data, words, np.array(taken, np.int64), offset_bytes), max(end, stop)


def _note_if_damaged(
    data: bytes, offset_bytes: int, begin: int, end: int, note_damage: Callable[[int, int], None]
) -> None:
    """Tell of bytes between records, unless they are zeros."""
    if data.count(0, begin, end) < end - begin:
        note_damage(offset_bytes + begin, end - begin)


def _plausible(words: U64, data_bytes: int, offset_bytes: int) -> tuple[I64, I64]:
    """Return place and length of all that has a record's shape, says its own offset and lies wholly in the data."""
    versions = words >> np.uint64(32)  # the minor version, which is 0, above the major one
    at = np.flatnonzero((versions >= _VERSIONS[0]) & (versions <= _VERSIONS[-1]))
    at = at[at < len(words) - _HEADER_WORDS]
    version, length = versions[at], (words[at] & _LOW_32).astype(np.int64)
    counted = np.zeros(len(at), np.int64)
    shaped = np.zeros(len(at), bool)
    for number, name_offset in _NAME_OFFSETS.items():
        sizes = words[at + name_offset // 8]  # length and offset of the name stand just before it
        of_version = version == number
        name_bytes = (sizes & _LOW_16).astype(np.int64)
        counted = np.where(of_version, name_offset + name_bytes, counted)
        starts_right = ((sizes >> np.uint64(16)) & _LOW_16) == name_offset
        shaped |= of_version & starts_right & (name_bytes > 0) & (name_bytes % 2 == 0)
    extents = words[at + 7] >> np.uint64(32)
    is_fourth = version == 4
    counted = np.where(is_fourth, _V4_HEADER_BYTES + _V4_EXTENT_BYTES * (extents & _LOW_16).astype(np.int64), counted)
    shaped |= is_fourth & ((extents >> np.uint64(16)) == _V4_EXTENT_BYTES)
    fits = shaped & (length == (counted + 7) // 8 * 8) & (length <= LARGEST_RECORD_BYTES)
    fits &= at * 8 + length <= data_bytes
    usn = words[at + np.where(version == 2, 3, 5)]
    fits &= usn == (at * 8 + offset_bytes).astype(np.uint64)
    return at[fits] * 8, length[fits]


def _columns(data: bytes, words: U64, places: I64, offset_bytes: int) -> ChangeColumns:
    """Read the fields of the records at `places`; from the parent on they stand two words later in 128-bit ones."""
    at = places // 8
    version = (words[at] >> np.uint64(32)).astype(np.int64)
    is_wide = version > 2
    wide = is_wide.astype(np.int64)
    timeless = version == 4
    nothing = np.uint64(0)

    def word(of_second: int, *, later: int = 2) -> U64:
        found: U64 = words[at + of_second + later * wide]
        return found

    flags = np.where(timeless, words[at + 6], word(5))
    names: list[str] = []
    for place, number in zip(places.tolist(), version.tolist(), strict=True):
        name_offset = _NAME_OFFSETS.get(number)
        if name_offset is None:
            names.append("")
            continue
        start = place + name_offset
        length = int.from_bytes(data[start - 4 : start - 2], "little")
        names.append(utf_16_le_decode(data[start : start + length], "surrogatepass")[0])
    return ChangeColumns(
        version=version,
        file=words[at + 1],
        file_high=np.where(is_wide, words[at + 2], nothing),
        parent=word(2, later=1),
        parent_high=np.where(is_wide, words[at + 4], nothing),
        usn=places + offset_bytes,
        time=np.where(timeless, nothing, word(4)),
        reason=flags & _LOW_32,
        source=flags >> np.uint64(32),
        attributes=np.where(timeless, nothing, word(6) >> np.uint64(32)),
        names=names,
    )
