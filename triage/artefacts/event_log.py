"""Event logs (`.evtx`): the few records of a log that are wanted, and what of it could not be read.

Of half a gigabyte a few hundred records matter. So each record's event is read off in columns (`event_columns.py`), all
records that nobody wants are emptied in memory, and only chunks with a wanted one are decoded (`event_record.py`). Of a
damaged chunk every record that stands is decoded (`event_chunk.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import yara

from triage.artefacts.event_chunk import (
    CHUNK_BYTES,
    FILE_HEADER_BYTES,
    NO_CHECKSUMS,
    ChunkHeader,
    FileHeader,
    LogDamage,
    checksums_hold,
    goes_on,
    is_chunk,
    mend,
    read_chunk_header,
    read_file_header,
)
from triage.artefacts.event_columns import UNKNOWN_EVENT, Columns, Mask, read_columns
from triage.artefacts.event_numbers import Numbers, Run, holes_within, run_of_chunk
from triage.artefacts.event_record import EventName, EventRecord, decode

_BATCH_BYTES = 16 * CHUNK_BYTES
_UNUSED = bytes(CHUNK_BYTES)


class Wanted:
    """Which records are decoded: those of some events, and those of others in which one of some texts stands.

    An event is told by its provider, in lower case, and its number. Texts are looked for in any case, as UTF-16 and as
    single bytes; they hold no quotes and no backslashes.
    """

    def __init__(
        self, *, events: Iterable[EventName], events_by_text: Iterable[EventName], texts: Iterable[str]
    ) -> None:
        always, by_text = frozenset(events), frozenset(events_by_text)
        self.names = always | by_text
        self._always = np.array([*(number for _provider, number in always), UNKNOWN_EVENT])
        self._by_text = np.array([number for _provider, number in by_text])
        strings = "\n".join(f'$ = "{text}" ascii wide nocase' for text in sorted(texts))
        self._rules = yara.compile(source=f"rule wanted {{ strings:\n{strings}\ncondition: any of them }}")

    def choose(self, columns: Columns, data: bytearray) -> Mask:
        """Tell of each record whether it is wanted; `data` is what the columns were read from."""
        chosen: Mask = np.isin(columns.event, self._always)
        by_text = np.isin(columns.event, self._by_text)
        if by_text.any():
            found = np.zeros(len(chosen), np.bool_)
            found[columns.holding(self._offsets(data))] = True
            chosen |= by_text & found
        return chosen

    def _offsets(self, data: bytearray) -> list[int]:
        matches = self._rules.match(data=memoryview(data))
        return [one.offset for match in matches for string in match.strings for one in string.instances]


def read_event_log(
    pieces: Iterable[bytes | memoryview], wanted: Wanted, *, threads: int = 1
) -> Iterator[EventRecord | LogDamage]:
    """Yield the wanted records of a log, of damaged chunks perhaps others too, and what of it could not be read.

    `pieces` are its bytes in order; of them no more is held than one piece, twice, and a chunk.
    """
    cutter, chunks, header, numbers = _Cutter(), 0, read_file_header(b""), Numbers()
    with ThreadPoolExecutor(threads) as pool:
        for batches in chain(map(cutter.take, pieces), map(_Cutter.rest, (cutter,))):
            header = read_file_header(cutter.head)
            read = partial(_read_batch, wanted=wanted, checksums=not header.flags & NO_CHECKSUMS)
            for told in pool.map(read, batches):
                chunks += told.chunks
                numbers.add(told.runs)
                yield from told.records
                yield from told.damages
    yield from _of_file(header, chunks, cutter.offset_bytes)
    yield from numbers.holes(header.next_identifier if header.sound else 0)


class _Batch(NamedTuple):
    """Some consecutive chunks, and where in the file the first one begins."""

    data: bytearray
    offset_bytes: int

    def chunk(self, number: int) -> memoryview:
        return memoryview(self.data)[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]


class _Cutter:
    """Cuts a log's bytes into its header and batches of chunks; `offset_bytes` is where the next batch begins."""

    def __init__(self) -> None:
        self.head = b""
        self.offset_bytes = FILE_HEADER_BYTES
        self._held = bytearray()

    def take(self, piece: bytes | memoryview) -> list[_Batch]:
        """Take the next piece; return the batches of which all is there."""
        view, batches = memoryview(piece), list[_Batch]()
        missing = FILE_HEADER_BYTES - len(self.head)
        self.head, view = self.head + view[:missing], view[missing:]
        missing = -len(self._held) % CHUNK_BYTES
        self._held += view[:missing]
        view = view[missing:]
        if len(self._held) == CHUNK_BYTES:
            batches.append(self._batch(self._held))
            self._held = bytearray()
        whole = len(view) // CHUNK_BYTES * CHUNK_BYTES
        for start in range(0, whole, _BATCH_BYTES):
            batches.append(self._batch(bytearray(view[start : min(start + _BATCH_BYTES, whole)])))
        self._held += view[whole:]
        return batches

    def rest(self) -> list[_Batch]:
        """Return the chunk that the end of the file cuts off, filled up with zeros."""
        return [self._batch(self._held.ljust(CHUNK_BYTES, b"\0"))] if self._held else []

    def _batch(self, data: bytearray) -> _Batch:
        batch = _Batch(data, self.offset_bytes)
        self.offset_bytes += len(data)
        return batch


class _Told:
    """What a batch told; `chunks` counts those that are in use, damaged or not."""

    def __init__(self) -> None:
        self.records: list[EventRecord] = []
        self.damages: list[LogDamage] = []
        self.runs: list[Run] = []
        self.chunks = 0

    def take_numbers(self, header: ChunkHeader | None, identifiers: Sequence[int], offset_bytes: int) -> None:
        """Take which records stand in a chunk; None for the header of one where it is damaged."""
        run = run_of_chunk(header, identifiers, offset_bytes)
        if run is not None:
            self.runs.append(run)


def _of_file(header: FileHeader, chunks: int, end: int) -> Iterator[LogDamage]:
    """Tell what is wrong with the file as a whole; the count in the header of a log in use may be old, never new."""
    if not header.is_log:
        yield LogDamage(detail="no header of an event log", offset_bytes=0, length_bytes=FILE_HEADER_BYTES)
    elif not header.sound and not header.flags & NO_CHECKSUMS:
        detail = "damaged header: its checksum does not hold"
        yield LogDamage(detail=detail, offset_bytes=0, length_bytes=FILE_HEADER_BYTES)
    elif chunks < header.chunks:
        lacking = header.chunks - chunks
        detail = f"of {header.chunks} chunks {lacking} are not there"
        yield LogDamage(detail=detail, offset_bytes=end, length_bytes=lacking * CHUNK_BYTES)


def _read_batch(batch: _Batch, *, wanted: Wanted, checksums: bool) -> _Told:
    """Read some chunks; several threads do so at once."""
    told, array = _Told(), np.frombuffer(batch.data, np.uint8)
    ends = np.zeros(len(array) // CHUNK_BYTES, np.int64)
    headers = [read_chunk_header(batch.chunk(number)) for number in range(len(ends))]
    for number, header in enumerate(headers):
        chunk = batch.chunk(number)
        if header is not None and _holds(chunk, header, checksums=checksums) and not goes_on(chunk, header):
            ends[number] = header.end
    columns, broken = read_columns(array, ends)
    chosen = wanted.choose(columns, batch.data)
    columns.empty(array, chosen)
    for number, header in enumerate(headers):
        offset = batch.offset_bytes + number * CHUNK_BYTES
        if header is None or ends[number] == 0 or broken[number]:
            _read_damaged(bytes(batch.chunk(number)), offset, told, wanted, checksums=checksums)
            continue
        told.chunks += 1
        rows = columns.of_chunk(number)
        identifiers, at = columns.identifier[rows], columns.at[rows] + batch.offset_bytes
        told.take_numbers(header, identifiers[[0, -1]].tolist() if len(identifiers) > 0 else [], offset)
        if len(identifiers) < header.counted:
            told.damages += holes_within(header, list(zip(identifiers.tolist(), at.tolist(), strict=True)))
        kept = chosen[rows]
        places = dict(zip(identifiers[kept].tolist(), at[kept].tolist(), strict=True))
        if places:
            decoded = decode(batch.chunk(number), places, wanted.names)
            told.records += decoded.records
            if decoded.lost > 0:
                detail = f"records that could not be decoded: {decoded.lost} ({decoded.cause})"
                told.damages.append(LogDamage(detail=detail, offset_bytes=offset, length_bytes=CHUNK_BYTES))
    return told


def _read_damaged(chunk: bytes, offset: int, told: _Told, wanted: Wanted, *, checksums: bool) -> None:
    """Read every record that stands in a chunk that is not sound, and tell what is lost; one not in use has nothing."""
    if chunk == _UNUSED:
        return
    told.chunks += 1
    if not is_chunk(chunk):
        detail = "no chunk of a log stands here"
        told.damages.append(LogDamage(detail=detail, offset_bytes=offset, length_bytes=CHUNK_BYTES))
        return
    header, mended = read_chunk_header(chunk), mend(chunk)
    decoded = decode(mended.data, {one.identifier: offset + one.at for one in mended.records}, wanted.names)
    told.records += decoded.records
    identifiers = [one.identifier for one in mended.records]
    told.take_numbers(header if header is not None and header.sound else None, identifiers, offset)
    holds = header is not None and _holds(chunk, header, checksums=checksums)
    problems = (
        "" if holds else "its checksums do not hold",
        "" if mended.lost_bytes == 0 else f"{mended.lost_bytes} bytes are no records",
        "" if mended.missing == 0 else f"records that are not there: {mended.missing}",
        "" if decoded.lost == 0 else f"records that could not be decoded: {decoded.lost} ({decoded.cause})",
    )
    if any(problems):
        detail = (
            f"damaged chunk, records read: {len(mended.records) - decoded.lost}; {', '.join(filter(None, problems))}"
        )
        told.damages.append(LogDamage(detail=detail, offset_bytes=offset, length_bytes=CHUNK_BYTES))


def _holds(chunk: bytes | memoryview, header: ChunkHeader, *, checksums: bool) -> bool:
    return not checksums or checksums_hold(chunk, header)
