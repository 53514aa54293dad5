"""MFT records in blocks: fixups applied and attributes walked for thousands of records at once.

A block of records is one array of bytes; the attribute chains of all its records are followed in lockstep, one
attribute of each record a step. So the cost of a record is a few array operations, not a few hundred Python ones, and
a volume of a million files is enumerated in seconds. What comes out are columns (one array a field), which
`walk/mft.py` gathers.

Source: "NTFS Documentation" of the Linux-NTFS project (file record, attribute header, fixup); [MS-FSCC] 2.6 for flags.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

FIXUP_STRIDE_BYTES = 512
RECORD_IN_USE = 0x0001
RECORD_IS_DIRECTORY = 0x0002
RECORD_IS_SPECIAL = 0x000C  # a file of $Extend or a view index: it may have indexes, and need not have unnamed $DATA
ATTRIBUTE_COMPRESSED = 0x00FF
ATTRIBUTE_ENCRYPTED = 0x4000
ATTRIBUTE_SPARSE = 0x8000
_FILE_MAGIC = int.from_bytes(b"FILE", "little")
_CHAIN_END = 0xFFFFFFFF
_END_MARK_BYTES = 8
_RESIDENT_HEADER_BYTES = 24
_NONRESIDENT_HEADER_BYTES = 64
_DOS_NAMESPACE = 2
_ATTRIBUTE_START = struct.Struct("<II")
_FOUR_TIMES = struct.Struct("<QQQQ")


class AttributeType(IntEnum):
    """The attribute types that the enumeration looks into."""

    STANDARD_INFORMATION = 0x10
    ATTRIBUTE_LIST = 0x20
    FILE_NAME = 0x30
    VOLUME_NAME = 0x60
    DATA = 0x80
    INDEX_ROOT = 0x90
    INDEX_ALLOCATION = 0xA0
    BITMAP = 0xB0
    REPARSE_POINT = 0xC0
    LOGGED_STREAM = 0x100


INDEX_TYPES = (AttributeType.INDEX_ROOT, AttributeType.INDEX_ALLOCATION, AttributeType.BITMAP)
_WITH_NAMES = (AttributeType.DATA, *INDEX_TYPES, AttributeType.LOGGED_STREAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Columns of one block: one row a record. `whole` is False for records that are torn, damaged or not there."""

    first_entry: int
    data: U8  # shape (records, record_bytes), fixups applied
    whole: Mask
    odd: Mask  # whole, but with attributes that no sound record has: some of what it had is lost
    empty: Mask  # nothing but zeros where the magic should be: never used
    sequence: U16
    link_count: U16
    flags: U16
    base_entry: U64  # of extension records; 0 for base records
    base_sequence: U16


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """Columns of one block: one row an attribute, ordered by record. `row` points into the block's records.

    Byte offsets are into the block's flattened data; `offset` is the header's. For resident attributes
    `content_offset`/`content_bytes` tell the value's place; for non-resident ones they tell the mapping pairs', and the
    VCN and size columns are set.
    """

    row: I64
    offset: I64
    type: U32
    id: U16
    flags: U16
    resident: Mask
    name_offset: I64
    name_bytes: I64
    content_offset: I64
    content_bytes: I64
    start_vcn: U64
    last_vcn: U64
    allocated_bytes: U64
    size_bytes: U64
    initialized_bytes: U64


def parse_records(raw: bytes | bytearray, record_bytes: int, first_entry: int) -> tuple[Records, Attributes]:
    """Parse a block of consecutive MFT records; `raw` is a whole number of records and is not changed."""
    data = np.frombuffer(bytearray(raw), dtype=np.uint8).reshape(-1, record_bytes)
    words = data.reshape(-1).view("<u4").reshape(data.shape[0], -1)
    halves = data.reshape(-1).view("<u2").reshape(data.shape[0], -1)
    magic = words[:, 0]
    whole = _apply_fixups(data, halves, magic == _FILE_MAGIC)
    base = words[:, 8].astype(np.uint64) | (halves[:, 18].astype(np.uint64) << np.uint64(32))
    attributes, damaged, ended_early = _walk_attributes(data, halves, words, whole)
    whole[damaged] = False
    if damaged.size:
        attributes = select(attributes, whole[attributes.row])
    odd = np.zeros(len(whole), bool)
    odd[ended_early] = True
    odd[attributes.row[_odd_attributes(attributes)]] = True
    records = Records(
        first_entry=first_entry,
        data=data,
        whole=whole,
        odd=odd & whole,
        empty=magic == 0,
        sequence=halves[:, 8].copy(),
        link_count=halves[:, 9].copy(),
        flags=halves[:, 11].copy(),
        base_entry=base,
        base_sequence=halves[:, 19].copy(),
    )
    return records, attributes


def _odd_attributes(attributes: Attributes) -> Mask:
    """Tell the attributes of no known type, those out of order, and those with a name that have none on sound volumes.

    The types are multiples of 16 up to 0x100, and a record's attributes stand in their order.
    """
    kind = attributes.type
    odd: Mask = (kind % 0x10 != 0) | (kind < AttributeType.STANDARD_INFORMATION) | (kind > AttributeType.LOGGED_STREAM)
    odd[1:] |= (attributes.row[1:] == attributes.row[:-1]) & (kind[1:] < kind[:-1])
    return odd | ((attributes.name_bytes > 0) & ~np.isin(kind, _WITH_NAMES))


def select(attributes: Attributes, chosen: Mask | I64) -> Attributes:
    """Return the chosen rows of all columns."""
    return Attributes(**{name: getattr(attributes, name)[chosen] for name in Attributes.__slots__})


def gather_bytes(flat: U8, offsets: I64, lengths: I64) -> bytes:
    """Return the pieces `flat[offset:offset+length]` joined, without a Python loop."""
    total = int(lengths.sum())
    if total == 0:
        return b""
    starts_in_output = np.cumsum(lengths) - lengths
    index = np.arange(total, dtype=np.int64) + np.repeat(offsets - starts_in_output, lengths)
    gathered: U8 = flat[index]
    return gathered.tobytes()


def _apply_fixups(data: U8, halves: U16, candidate: Mask) -> Mask:
    """Put the update sequence array's words back in place; return which records were whole."""
    record_bytes = data.shape[1]
    strides = max(record_bytes // FIXUP_STRIDE_BYTES, 1)
    array_offset = halves[:, 2].astype(np.int64)
    count = halves[:, 3]
    whole: Mask = candidate & (count == strides + 1) & (array_offset % 2 == 0)
    whole &= (array_offset >= 0x28) & (array_offset + 2 * (strides + 1) <= FIXUP_STRIDE_BYTES - 2)
    for offset in np.unique(array_offset[whole]):
        rows = np.flatnonzero(whole & (array_offset == offset))
        first = int(offset) // 2
        expected = halves[rows, first]
        for stride in range(strides):
            last_half = (stride + 1) * FIXUP_STRIDE_BYTES // 2 - 1
            torn = halves[rows, last_half] != expected
            whole[rows[torn]] = False
            halves[rows, last_half] = halves[rows, first + 1 + stride]
    return whole


def apply_fixups_to_record(record: bytearray) -> bool:
    """Do the same for one record, in place, without arrays; False when the record is torn."""
    array = int.from_bytes(record[4:6], "little")
    strides = len(record) // FIXUP_STRIDE_BYTES
    if record[:4] != b"FILE" or not 0x28 <= array <= FIXUP_STRIDE_BYTES - 2 * (strides + 2):
        return False
    expected = record[array : array + 2]
    for stride in range(1, strides + 1):
        end = stride * FIXUP_STRIDE_BYTES
        if record[end - 2 : end] != expected:
            return False
        record[end - 2 : end] = record[array + 2 * stride : array + 2 * stride + 2]
    return True


def file_name_times(record: bytes | bytearray) -> tuple[int, int, int, int] | None:
    """Return the times (FILETIME: created, modified, changed, accessed) of a record's first long `$FILE_NAME`.

    `record` has its fixups applied. None where it has no such attribute.
    """
    position = int.from_bytes(record[20:22], "little")
    short: tuple[int, int, int, int] | None = None
    while position + _RESIDENT_HEADER_BYTES <= len(record):
        kind, length = _ATTRIBUTE_START.unpack_from(record, position)
        if kind > AttributeType.FILE_NAME or length < _RESIDENT_HEADER_BYTES:
            break
        content = position + int.from_bytes(record[position + 20 : position + 22], "little")
        if kind == AttributeType.FILE_NAME and content + 66 <= len(record):
            times: tuple[int, int, int, int] = _FOUR_TIMES.unpack_from(record, content + 8)
            if record[content + 65] != _DOS_NAMESPACE:
                return times
            short = short or times
        position += length
    return short


def _walk_attributes(data: U8, halves: U16, words: U32, whole: Mask) -> tuple[Attributes, I64, I64]:
    """Follow all attribute chains in lockstep; return the attributes, and the rows whose chain is broken or ends early.

    Behind the end mark of a sound record four bytes are in use, and no more.
    """
    record_bytes = data.shape[1]
    flat_words = words.reshape(-1)
    used = np.minimum(words[:, 6].astype(np.int64), record_bytes)
    rows = np.flatnonzero(whole)
    position = halves[rows, 10].astype(np.int64)
    damaged: list[I64] = [np.empty(0, np.int64)]
    ended_early: list[I64] = [np.empty(0, np.int64)]
    steps: list[Attributes] = []
    while rows.size:
        bad = (position % 8 != 0) | (position < 0x28) | (position + 4 > used[rows])
        damaged.append(rows[bad])
        rows, position = rows[~bad], position[~bad]
        base = rows * (record_bytes // 4) + position // 4
        kind = flat_words[base]
        going_on = kind != _CHAIN_END
        ended_early.append(rows[~going_on & (used[rows] - position > _END_MARK_BYTES)])
        rows, position, base, kind = rows[going_on], position[going_on], base[going_on], kind[going_on]
        short = position + _RESIDENT_HEADER_BYTES > used[rows]
        length = flat_words[np.where(short, base, base + 1)].astype(np.int64)
        bad = short | (length < _RESIDENT_HEADER_BYTES) | (length % 8 != 0) | (position + length > used[rows])
        damaged.append(rows[bad])
        rows, position, base, kind, length = (column[~bad] for column in (rows, position, base, kind, length))
        found, broken = _read_headers(flat_words, rows, rows * record_bytes + position, base, kind, length)
        damaged.append(rows[broken])
        steps.append(found)
        position = position + length
    return _join(steps), np.unique(np.concatenate(damaged)), np.concatenate(ended_early)


def _read_headers(words: U32, rows: I64, byte: I64, base: I64, kind: U32, length: I64) -> tuple[Attributes, Mask]:
    """Read the headers at word positions `base`; the mask marks headers whose parts lie outside their attribute."""
    third, fourth = words[base + 2], words[base + 3]
    nonresident = (third & 0xFF) != 0
    name_bytes = ((third >> 8) & 0xFF).astype(np.int64) * 2
    name_offset = (third >> 16).astype(np.int64)
    broken = nonresident & (length < _NONRESIDENT_HEADER_BYTES)
    wide = nonresident & ~broken
    far = np.where(wide, base, 0)  # headers that are not wide read word 0 onwards, and the result is masked out

    def wide_u64(word: int) -> U64:
        low, high = words[far + word].astype(np.uint64), words[far + word + 1].astype(np.uint64)
        return np.where(wide, low | (high << np.uint64(32)), np.uint64(0))

    pairs_offset = (words[far + 8] & 0xFFFF).astype(np.int64)
    value_offset = (words[base + 5] & 0xFFFF).astype(np.int64)
    content_offset = np.where(nonresident, pairs_offset, value_offset)
    content_bytes = np.where(nonresident, length - pairs_offset, words[base + 4].astype(np.int64))
    broken |= (name_bytes > 0) & (name_offset + name_bytes > length)
    broken |= (content_bytes < 0) | (content_offset + content_bytes > length)
    size = np.where(nonresident, wide_u64(12), words[base + 4].astype(np.uint64))
    found = Attributes(
        row=rows,
        offset=byte,
        type=kind,
        id=(fourth >> 16).astype(np.uint16),
        flags=(fourth & 0xFFFF).astype(np.uint16),
        resident=~nonresident,
        name_offset=byte + name_offset,
        name_bytes=name_bytes,
        content_offset=byte + content_offset,
        content_bytes=content_bytes,
        start_vcn=wide_u64(4),
        last_vcn=wide_u64(6),
        allocated_bytes=np.where(nonresident, wide_u64(10), size),
        size_bytes=size,
        initialized_bytes=np.where(nonresident, wide_u64(14), size),
    )
    return found, broken


def _join(steps: list[Attributes]) -> Attributes:
    """Join the steps' columns and order them by record, keeping the order within a record."""
    if not steps:
        steps = [_read_headers(*_NO_HEADERS)[0]]
    joined = Attributes(
        **{name: np.concatenate([getattr(step, name) for step in steps]) for name in Attributes.__slots__}
    )
    return select(joined, np.argsort(joined.row, kind="stable"))


_NO_HEADERS = (
    np.zeros(16, np.uint32),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.uint32),
    np.empty(0, np.int64),
)
