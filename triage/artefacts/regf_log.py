"""Transaction logs of a hive: changes that Windows wrote here first, and into the hive only later.

Two formats: a dirty vector with its pages (`DIRT`, Windows 2000 to 8), and log entries (`HvLE`, Windows 8.1 and later),
each under two Marvin32 checksums. What is read is only where the pages lie; nothing is copied.
Source: M. Suhanov, "Windows registry file format specification", "Format of transaction log files".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from msgspec import Struct

from triage.artefacts.marvin32 import marvin32
from triage.artefacts.regf import SECTOR_BYTES, BaseBlock, parse_base_block
from triage.model.errors import ParseError

_OLD_LOG, _NEW_LOG = 1, 6
_DIRTY_VECTOR = b"DIRT"
_LOG_ENTRY = b"HvLE"
_PAGE_BYTES = 512
_BIN_ALIGNMENT = 4096
_SEED = 0x82EF4D887A4E55C5
_HASHED_HEADER_BYTES = 32
_ENTRY_HEADER = struct.Struct("<4sIIIIIQQ")
_PAGE_REFERENCE = struct.Struct("<II")


class Page(Struct, frozen=True):
    """A stretch of dirty bytes: where it belongs, relative to the first hive bin, and where it lies in the log."""

    bins_offset: int
    log_offset: int
    length_bytes: int


class LogEntry(Struct, frozen=True, kw_only=True):
    """One set of changes that belongs together. `flags` is None in the old format, which does not keep them."""

    sequence: int
    bins_bytes: int
    flags: int | None
    pages: tuple[Page, ...]


class BrokenEntry(Struct, frozen=True, kw_only=True):
    """Where reading a log ended before its end: `sequence` is the entry that should have stood there."""

    sequence: int
    offset_bytes: int
    detail: str


class Log(Struct, frozen=True, kw_only=True):
    """One log. `entries` follow each other without a hole; of old ones only the sequence number is kept."""

    block: BaseBlock
    is_old_format: bool
    entries: tuple[LogEntry, ...]
    broken: BrokenEntry | None = None


def is_unused(data: bytes) -> bool:
    """Say whether a log was never written to: empty, or without the signature of any part of it."""
    parts = (data[:4], data[SECTOR_BYTES : SECTOR_BYTES + 4])
    return parts[0] != b"regf" and parts[1] not in (_DIRTY_VECTOR, _LOG_ENTRY)


def read_log(data: bytes, *, oldest: int) -> Log:
    """Read a log; entries with a sequence number below `oldest` are in the hive already, so their data is not checked.

    ParseError where nothing in it can be used: no log, a wrong checksum, a dirty vector that is cut off.
    """
    block = parse_base_block(data)
    if not block.sound:
        raise ParseError("the log's base block has a wrong checksum")
    if block.primary_sequence != block.secondary_sequence:
        raise ParseError("the log was not written to its end", offset_bytes=4)
    signature = data[SECTOR_BYTES : SECTOR_BYTES + 4]
    entries: tuple[LogEntry, ...]
    broken: BrokenEntry | None = None
    if block.file_type == _OLD_LOG and signature == _DIRTY_VECTOR:
        entries = (_read_dirty_vector(data, block),)
    elif block.file_type == _NEW_LOG:
        entries, broken = _read_entries(data, block.primary_sequence, oldest)
    else:
        raise ParseError("no log of a known format", offset_bytes=SECTOR_BYTES)
    return Log(
        block=block,
        is_old_format=block.file_type == _OLD_LOG,
        entries=entries,
        broken=broken,
    )


def _read_dirty_vector(data: bytes, block: BaseBlock) -> LogEntry:
    """Read the bitmap: one bit for each 512 bytes of hive bins; the pages stand behind it, in order."""
    bits = block.bins_bytes // _PAGE_BYTES
    start = SECTOR_BYTES + len(_DIRTY_VECTOR)
    bitmap = data[start : start + (bits + 7) // 8]
    first = -(-(start + len(bitmap)) // SECTOR_BYTES) * SECTOR_BYTES
    dirty = [bit for bit in range(min(bits, 8 * len(bitmap))) if bitmap[bit >> 3] >> (bit & 7) & 1]
    need = first + len(dirty) * _PAGE_BYTES
    if 8 * len(bitmap) < bits or need > len(data):
        raise ParseError("the log is cut off", need_bytes=need, have_bytes=len(data))
    pages = (Page(bit * _PAGE_BYTES, first + number * _PAGE_BYTES, _PAGE_BYTES) for number, bit in enumerate(dirty))
    return LogEntry(
        sequence=block.primary_sequence, bins_bytes=block.bins_bytes, flags=None, pages=tuple(_joined(pages))
    )


def _joined(pages: Iterable[Page]) -> Iterator[Page]:
    """Join pages that follow each other in the hive: they do so in the log, too."""
    run: Page | None = None
    for page in pages:
        if run is not None and run.bins_offset + run.length_bytes == page.bins_offset:
            run = Page(run.bins_offset, run.log_offset, run.length_bytes + page.length_bytes)
            continue
        if run is not None:
            yield run
        run = page
    if run is not None:
        yield run


def _read_entries(data: bytes, first_sequence: int, oldest: int) -> tuple[tuple[LogEntry, ...], BrokenEntry | None]:
    """Read entries until their numbers no longer follow each other: what stands behind is of an earlier round."""
    entries: list[LogEntry] = []
    at, sequence = SECTOR_BYTES, first_sequence
    while at + _ENTRY_HEADER.size <= len(data):
        try:
            entry = _read_entry(data, at, sequence, oldest)
        except ParseError as error:
            return tuple(entries), BrokenEntry(sequence=sequence, offset_bytes=at, detail=error.what)
        if entry is None:
            break
        entries.append(entry[0])
        at, sequence = at + entry[1], sequence + 1
    if entries and not _has_later_entry(data, at, sequence):
        return tuple(entries), None
    return tuple(entries), BrokenEntry(sequence=sequence, offset_bytes=at, detail="the entry is not there")


def _has_later_entry(data: bytes, at: int, sequence: int) -> bool:
    """Say whether anything behind is newer than what was read: remnants of earlier rounds never are."""
    while (at := data.find(_LOG_ENTRY, at)) >= 0 and at + _ENTRY_HEADER.size <= len(data):
        fields = _ENTRY_HEADER.unpack_from(data, at)
        if at % SECTOR_BYTES == 0 and fields[3] >= sequence and _header_holds(data, at):
            return True
        at += 1
    return False


def _header_holds(data: bytes, at: int) -> bool:
    hash2: int = _ENTRY_HEADER.unpack_from(data, at)[7]
    return marvin32(_SEED, data[at : at + _HASHED_HEADER_BYTES]) == hash2


def _read_entry(data: bytes, at: int, sequence: int, oldest: int) -> tuple[LogEntry, int] | None:
    """Return the entry and its size; None where the log ends here. ParseError for an entry that is damaged."""
    signature, size, flags, number, bins_bytes, count, hash1, _hash2 = _ENTRY_HEADER.unpack_from(data, at)
    header_holds = _header_holds(data, at)
    if not header_holds and (signature == _LOG_ENTRY or number == sequence):
        raise ParseError("the entry's header does not fit its checksum (hash-2)")
    if not header_holds or signature != _LOG_ENTRY or number != sequence:
        return None
    if size % SECTOR_BYTES != 0 or size < _ENTRY_HEADER.size or at + size > len(data):
        raise ParseError("the entry is cut off")
    if number < oldest:
        return LogEntry(sequence=number, bins_bytes=bins_bytes, flags=flags, pages=()), size
    body = memoryview(data)[at + _ENTRY_HEADER.size : at + size]
    if marvin32(_SEED, body) != hash1:
        raise ParseError("the entry's data does not fit its checksum (hash-1)")
    pages = _page_references(body, at + _ENTRY_HEADER.size, count)
    fits = all(page.bins_offset + page.length_bytes <= bins_bytes for page in pages)
    if bins_bytes % _BIN_ALIGNMENT != 0 or not fits:
        raise ParseError("the entry's pages lie outside the hive")
    return LogEntry(sequence=number, bins_bytes=bins_bytes, flags=flags, pages=pages), size


def _page_references(body: memoryview, body_at: int, count: int) -> tuple[Page, ...]:
    """Return where an entry's pages lie: they stand behind their references without a gap."""
    taken = count * _PAGE_REFERENCE.size
    if taken > len(body):
        raise ParseError("the entry's pages lie outside it")
    pages = []
    for bins_offset, length_bytes in _PAGE_REFERENCE.iter_unpack(body[:taken]):
        pages.append(Page(bins_offset, body_at + taken, length_bytes))
        taken += length_bytes
    if taken > len(body):
        raise ParseError("the entry's pages lie outside it")
    return tuple(pages)
