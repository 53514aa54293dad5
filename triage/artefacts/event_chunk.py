"""Chunks of an event log, looked at before anything is decoded: sound or damaged, and what of a damaged one stands.

An event log (`.evtx`, Windows Vista and later) is a header of 4 KiB and chunks of 64 KiB, each of which can be read for
itself. Sources: J. Metz, "Windows XML Event Log (EVTX) format" (libevtx); [MS-EVEN6] 2.2.12 to 2.2.17.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from msgspec import Struct

FILE_HEADER_BYTES = 4096
CHUNK_BYTES = 65_536
RECORDS_AT = 512
RECORD_SIGNATURE = 0x2A2A
RECORD_HEADER_BYTES = 24
END_OF_EVENT = 0
"""As the first byte of a record's binary XML: nothing follows."""
NO_CHECKSUMS = 4
"""Flag of the file's header: its chunks carry no checksums. Flag 1, "dirty", tells that its counts may be old."""

_FILE_SIGNATURE = b"ElfFile\0"
_FILE_HEADER = struct.Struct("<8sQQQIHHHH")
_CHUNK_SIGNATURE = b"ElfChnk\0"
_CHUNK_HEADER = struct.Struct("<8sQQQQIIII")
_RECORD_HEADER = struct.Struct("<IIQQ")
_SIGNATURE_BYTES = struct.pack("<I", RECORD_SIGNATURE)
_NUMBER = struct.Struct("<I")
_CHECKED_BYTES = 120
_TABLES_AT = 128
_LEAST_RECORD_BYTES = RECORD_HEADER_BYTES + 1 + _NUMBER.size


class LogDamage(Struct, frozen=True, kw_only=True):
    """What of a log could not be read, or is not there: what, and where in the file."""

    detail: str
    offset_bytes: int
    length_bytes: int


class FileHeader(NamedTuple):
    """What the file says of itself. `sound`: its signature and checksum are right.

    `next_identifier` is that of the record that would be written next. In a log that was not closed both counts may be
    old.
    """

    chunks: int
    next_identifier: int
    flags: int
    is_log: bool
    sound: bool


class ChunkHeader(NamedTuple):
    """What a chunk says of itself: its records' first and last number, and where in the chunk they end.

    `sound` says that its own checksum is right.
    """

    first_number: int
    last_number: int
    first_identifier: int
    last_identifier: int
    end: int
    records_checksum: int
    sound: bool

    @property
    def counted(self) -> int:
        """How many records it says there are."""
        return self.last_number - self.first_number + 1


class Record(NamedTuple):
    """One record's place in its chunk."""

    at: int
    size_bytes: int
    identifier: int


class Mended(NamedTuple):
    """A damaged chunk made readable: a copy in which the records that stand are bridged, and how much was lost.

    `lost_bytes` lie between the records or behind the last of them; `missing` records are told by the header, or by the
    numbers of those that stand.
    """

    data: bytes
    records: tuple[Record, ...]
    lost_bytes: int
    missing: int


def read_file_header(data: bytes) -> FileHeader:
    """Read the header of a log; of what is none, or is damaged, only that is told."""
    if len(data) < _TABLES_AT or not data.startswith(_FILE_SIGNATURE):
        return FileHeader(0, 0, 0, is_log=False, sound=False)
    flags, checksum = struct.unpack_from("<II", data, _CHECKED_BYTES)
    _signature, _first, _last, following, *_sizes, chunks = _FILE_HEADER.unpack_from(data)
    sound = zlib.crc32(data[:_CHECKED_BYTES]) == checksum
    return FileHeader(chunks, following, flags, is_log=True, sound=sound)


def read_chunk_header(chunk: bytes | memoryview) -> ChunkHeader | None:
    """Read a chunk's header; None where its signature is not there, or its records would end outside of the chunk."""
    signature, first, last, first_id, last_id, _size, _last, end, checksum = _CHUNK_HEADER.unpack_from(chunk)
    if signature != _CHUNK_SIGNATURE or not RECORDS_AT <= end <= CHUNK_BYTES:
        return None
    own = zlib.crc32(chunk[_TABLES_AT:RECORDS_AT], zlib.crc32(chunk[:_CHECKED_BYTES]))
    sound = own == _NUMBER.unpack_from(chunk, _TABLES_AT - _NUMBER.size)[0]
    return ChunkHeader(first, last, first_id, last_id, end, checksum, sound)


def checksums_hold(chunk: bytes | memoryview, header: ChunkHeader) -> bool:
    """Tell whether header and records are as they were when they were written."""
    return header.sound and zlib.crc32(chunk[RECORDS_AT : header.end]) == header.records_checksum


def goes_on(chunk: bytes | memoryview, header: ChunkHeader) -> bool:
    """Tell whether the next record stands where the header says that records end: a log that was not closed."""
    record = _record(chunk, header.end)
    return record is not None and record.identifier == header.last_identifier + 1


def is_chunk(chunk: bytes | memoryview) -> bool:
    """Tell whether this is, or was, a chunk: it has the signature, or a record where the first one stands."""
    return (
        chunk[: len(_CHUNK_SIGNATURE)] == _CHUNK_SIGNATURE
        or chunk[RECORDS_AT : RECORDS_AT + _NUMBER.size] == _SIGNATURE_BYTES
    )


def mend(chunk: bytes) -> Mended:
    """Find the records of a damaged chunk and make it readable: what lies between them becomes one empty record each.

    Only records whose identifiers rise are taken: others are left from an earlier use of the chunk. Behind the end that
    a sound header tells, they have to follow it without a break.
    """
    header = read_chunk_header(chunk)
    told = header if header is not None and header.sound else None
    end = CHUNK_BYTES if told is None else told.end
    records = _records(chunk, end)
    last = records[-1] if records else Record(RECORDS_AT, 0, 0)
    used = max(last.at + last.size_bytes, RECORDS_AT if told is None else told.end)
    data = bytearray(chunk[:used]).ljust(CHUNK_BYTES, b"\0")
    lost, position = 0, RECORDS_AT
    for record in (*records, Record(used, 0, 0)):
        if record.at > position:
            lost += record.at - position
            _bridge(data, position, record.at - position)
        position = record.at + record.size_bytes
    first = records[0].identifier if records else 0
    _CHUNK_HEADER.pack_into(
        data, 0, _CHUNK_SIGNATURE, first, last.identifier, first, last.identifier, _TABLES_AT, last.at, used, 0
    )
    if told is None:
        data[_TABLES_AT:RECORDS_AT] = bytes(RECORDS_AT - _TABLES_AT)  # where its names and templates lie
    return Mended(bytes(data), records, lost, _missing(told, records))


def parsable(chunk: bytes | memoryview) -> bytes:
    """Return a whole log of this one chunk, as a parser of logs wants it."""
    header = _FILE_HEADER.pack(_FILE_SIGNATURE, 0, 0, 1, _TABLES_AT, 1, 3, FILE_HEADER_BYTES, 1)
    return b"".join((header.ljust(FILE_HEADER_BYTES, b"\0"), chunk))


def _records(chunk: bytes, end: int) -> tuple[Record, ...]:
    found: list[Record] = []
    position, expected = RECORDS_AT, 0
    while (position := chunk.find(_SIGNATURE_BYTES, position, end)) >= 0:
        record = _record(chunk, position)
        if record is not None and record.identifier >= expected:
            found.append(record)
            position, expected = position + record.size_bytes, record.identifier + 1
        else:
            position += 1
    while (record := _record(chunk, end)) is not None and record.identifier == expected:
        found.append(record)  # the header is older than the records
        end, expected = end + record.size_bytes, expected + 1
    return tuple(found)


def _record(chunk: bytes | memoryview, at: int) -> Record | None:
    """Return the record at a place, None where none stands whole: its size is repeated at its end."""
    if at + _LEAST_RECORD_BYTES > len(chunk):
        return None
    signature, size, identifier, _time = _RECORD_HEADER.unpack_from(chunk, at)
    if signature != RECORD_SIGNATURE or not _LEAST_RECORD_BYTES <= size <= len(chunk) - at:
        return None
    whole = _NUMBER.unpack_from(chunk, at + size - _NUMBER.size)[0] == size
    return Record(at, size, identifier) if whole else None


def _bridge(data: bytearray, at: int, size: int) -> None:
    """Make one empty record of a stretch, or as much of one as fits."""
    record = _RECORD_HEADER.pack(RECORD_SIGNATURE, size, 0, 0) + bytes([END_OF_EVENT])
    data[at : at + min(size, len(record))] = record[:size]


def _missing(told: ChunkHeader | None, records: tuple[Record, ...]) -> int:
    if told is not None:
        return max(0, told.counted - len(records))
    return records[-1].identifier - records[0].identifier + 1 - len(records) if records else 0
