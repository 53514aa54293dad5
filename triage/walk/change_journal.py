"""Finds a volume's change journal and reads it: only what is allocated, in blocks, whatever its sparse start pretends.

NTFS never reuses an offset in `$J`: it frees old clusters and goes on behind the newest, so that the stream is as long
as all that was ever written to it, and nearly all of it is one hole.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from triage.artefacts.usn_journal import ChangeColumns, parse_changes
from triage.model.errors import ParseError
from triage.model.gap import Gap, GapKind, Where
from triage.volumes.extents import MISSING, BadRange, Extent, ExtentReader
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import MftTable
from triage.walk.paths import Paths
from triage.walk.streams import Streams

_EXTEND_ENTRY = 11
_PATH = "$extend/$usnjrnl"
_STREAM = "$J"
_BLOCK_BYTES = 4 << 20


class ChangeJournal:
    """The journal of one volume; `head` is None where it has none. After `changes` has ended, `gaps` are complete."""

    def __init__(self, volume: NtfsVolume, table: MftTable, paths: Paths, streams: Streams) -> None:
        self._volume = volume
        self._streams = streams
        self._rows = table.streams
        self.head = _find(table, paths, streams)
        entry = None if self.head is None else table.streams.owner.item(self.head)
        path = "" if entry is None else paths.of(entry)[0]
        self.where = Where(volume=volume.id, path=path, stream=_STREAM, mft_entry=entry)
        self.gaps: list[Gap] = []
        self.damaged_bytes = 0
        self._damaged_places: list[int] = []

    def changes(self) -> Iterator[ChangeColumns]:
        """Yield the records in order, a block at a time."""
        if self.head is None:
            return
        for stretch in self._stretches(self.head):
            yield from parse_changes(stretch[0].stream_offset, self._blocks(stretch), self._note_damage)
        if self.damaged_bytes > 0:
            detail = f"places of the change journal that hold no record: {len(self._damaged_places)}, the first is here"
            self._note_gap(detail, self._damaged_places[0], self.damaged_bytes)

    def _stretches(self, head: int) -> list[list[Extent]]:
        """Return the allocated extents, those that follow one another in the stream together."""
        try:
            extents = self._extents(head)
        except ParseError as error:
            self._note_gap(f"change journal not read, its run list is damaged: {error}", 0, None)
            return []
        stretches: list[list[Extent]] = []
        for extent in extents:
            if extent.volume_offset == MISSING:
                detail = "change journal not read: its run list is cut short"
                self._note_gap(detail, extent.stream_offset, extent.length_bytes)
                continue
            last = stretches[-1][-1] if stretches else None
            if last is not None and last.stream_offset + last.length_bytes == extent.stream_offset:
                stretches[-1].append(extent)
            else:
                stretches.append([extent])
        return stretches

    def _extents(self, head: int) -> list[Extent]:
        if not self._rows.resident[head]:
            return self._streams.allocated_extents(head)
        plan = self._streams.plan(head)
        return [Extent(0, plan.subject.size_bytes, 0)] if plan.subject.size_bytes > 0 else []

    def _blocks(self, stretch: list[Extent]) -> Iterator[bytes]:
        if self.head is not None and self._rows.resident[self.head]:
            yield self._volume.read_resident(self._rows.pairs_offset.item(self.head), stretch[0].length_bytes) or b""
            return
        reader = ExtentReader(self._volume.source, stretch)
        position, end = stretch[0].stream_offset, stretch[-1].stream_offset + stretch[-1].length_bytes
        while position < end:
            block = bytearray(min(_BLOCK_BYTES, end - position))
            reader.read_into(position, memoryview(block))
            yield bytes(block)
            position += len(block)
        for bad in reader.bad_ranges:
            self._note_unreadable(bad)

    def _note_damage(self, offset_bytes: int, length_bytes: int) -> None:
        self._damaged_places.append(offset_bytes)
        self.damaged_bytes += length_bytes

    def _note_unreadable(self, bad: BadRange) -> None:
        self._note_gap(f"change journal not readable: {bad.reason}", bad.stream_offset, bad.length_bytes)

    def _note_gap(self, detail: str, offset_bytes: int, length_bytes: int | None) -> None:
        where = Where(
            volume=self.where.volume,
            path=self.where.path,
            stream=self.where.stream,
            mft_entry=self.where.mft_entry,
            offset_bytes=offset_bytes,
        )
        self.gaps.append(Gap(kind=GapKind.CHANGE_JOURNAL, detail=detail, where=where, bytes=length_bytes))


def _find(table: MftTable, paths: Paths, streams: Streams) -> int | None:
    """Return the row of `$J` of the file `$UsnJrnl` in `$Extend`."""
    length = 2 * len(_PATH.rpartition("/")[2])
    rows = np.flatnonzero((table.names.length == length) & (table.names.parent == _EXTEND_ENTRY))
    base = table.base
    for entry in table.names.owner[rows].tolist():
        if base[entry] and paths.of(entry)[0].lower() == _PATH:
            return next((head for head in streams.heads_of(entry) if streams.name(head) == _STREAM), None)
    return None
