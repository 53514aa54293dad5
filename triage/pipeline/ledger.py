"""Closes the coverage ledger: one account a volume, held against both independent counts. It needs no evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from triage.model.entry import StreamState
from triage.model.gap import Gap, GapKind, Where
from triage.model.ledger import ExcludedFolder, VolumeLedger, gap_of
from triage.pipeline.journal import EnumerationRecord, ExcludedRecord, StreamRecord

HEADER_BYTES = 4096
"""What is read of a file of which only the header is wanted."""


class Account:
    """How the streams of each volume ended, added up record by record; each record is to be added once."""

    def __init__(self) -> None:
        self._streams: dict[str, Counter[StreamState]] = {}
        self._bytes: dict[str, Counter[StreamState]] = {}
        self._folders: dict[tuple[str, str], ExcludedFolder] = {}
        self._headers: dict[tuple[str, str], list[int]] = {}

    def add(self, record: StreamRecord) -> None:
        """Take in how one stream ended."""
        volume, state = record.volume, record.state
        if volume not in self._streams:
            self._streams[volume], self._bytes[volume] = Counter(), Counter()
        self._streams[volume][state] += 1
        self._bytes[volume][state] += record.size_bytes
        if state is StreamState.EXCLUDED:
            self._headers.setdefault((volume, record.path.rpartition("/")[0]), []).append(record.size_bytes)

    def take_back(self, record: StreamRecord) -> None:
        """Take back how a stream that was not left out ended: a later session read it whole."""
        self._streams[record.volume][record.state] -= 1
        self._bytes[record.volume][record.state] -= record.size_bytes

    def exclude(self, record: ExcludedRecord) -> None:
        """Take in what was left out of one folder; said again after a restart, it is the same."""
        self._folders[record.folder.volume, record.folder.folder] = record.folder

    def excluded_folders(self) -> Iterator[ExcludedFolder]:
        """Yield what was left out of each folder, by volume and path, the streams with a read header among it."""
        for volume, folder in sorted({*self._folders, *self._headers}):
            sizes = self._headers.get((volume, folder), [])
            rest = self._folders.get((volume, folder), ExcludedFolder(volume=volume, folder=folder, streams=0, bytes=0))
            yield msgspec.structs.replace(
                rest, streams=rest.streams + len(sizes), bytes=rest.bytes + sum(sizes), headers_read=len(sizes)
            )

    def close(self, enumerations: Iterable[EnumerationRecord]) -> tuple[tuple[VolumeLedger, ...], list[Gap]]:
        """Return each volume's ledger, and a gap for what was left out, not reached, or does not add up."""
        folders = list(self.excluded_folders())
        rows: list[VolumeLedger] = []
        gaps: list[Gap] = []
        for enumeration in enumerations:
            volume = enumeration.reconciliation.volume
            row = self._row(enumeration, [folder for folder in folders if folder.volume == volume])
            rows.append(row)
            gaps += _gaps(row, sum(folder.headers_read for folder in folders if folder.volume == volume))
        return tuple(rows), gaps

    def _row(self, enumeration: EnumerationRecord, excluded: Iterable[ExcludedFolder]) -> VolumeLedger:
        """Return one volume's ledger; what was enumerated and has no record was not reached."""
        seen = enumeration.reconciliation
        streams = Counter(self._streams.get(seen.volume, ()))
        sizes = Counter(self._bytes.get(seen.volume, ()))
        streams[StreamState.EXCLUDED] = sizes[StreamState.EXCLUDED] = 0
        for folder in excluded:
            streams[StreamState.EXCLUDED] += folder.streams
            sizes[StreamState.EXCLUDED] += folder.bytes
        missing = seen.streams - streams.total()
        if missing > 0:
            streams[StreamState.INTERRUPTED] += missing
            sizes[StreamState.INTERRUPTED] += enumeration.bytes_total - sizes.total()
        records = seen.base_records + seen.extension_records + seen.unreadable_records
        total = streams.total()
        witnesses = ((total, seen.streams), (total, seen.data_attributes), (records, seen.bitmap_bits))
        agree = [None if theirs is None else ours == theirs for ours, theirs in witnesses]
        return VolumeLedger(
            volume=seen.volume,
            streams_by_state={state.value: streams[state] for state in StreamState if streams[state]},
            bytes_by_state={state.value: sizes[state] for state in StreamState if streams[state]},
            streams=total,
            bytes=sizes.total(),
            enumerated=seen.streams,
            data_attributes=seen.data_attributes,
            records=records,
            bitmap_bits=seen.bitmap_bits,
            balanced=False if False in agree else None if None in agree else True,
        )


def _gaps(row: VolumeLedger, headers_read: int) -> Iterator[Gap]:
    """Yield the gaps of a whole volume: what the profile left out, what was not reached, what does not add up."""
    where = Where(volume=row.volume)
    words = {
        StreamState.EXCLUDED: f"{{count}} streams, of {headers_read} of which only the first {HEADER_BYTES} bytes were "
        "read; excluded.jsonl names the folders",
        StreamState.INTERRUPTED: "the run ended before {count} streams were read",
    }
    for state, detail in words.items():
        kind, count = gap_of(state), row.streams_by_state.get(state, 0)
        if kind is not None and count > 0:
            size = row.bytes_by_state[state]
            yield Gap(kind=kind, detail=detail.format(count=count), where=where, bytes=size)
    counts = (
        (row.streams, "streams have a state", row.data_attributes, "$DATA attributes were counted by the raw scan"),
        (row.streams, "streams have a state", row.enumerated, "were enumerated"),
        (row.records, "MFT records are accounted for", row.bitmap_bits, "are marked in $MFT:$BITMAP"),
    )
    for ours, what, theirs, witness in counts:
        if theirs is not None and ours != theirs:
            detail = f"{ours} {what}, {theirs} {witness}: they differ by {abs(ours - theirs)}"
            yield Gap(kind=GapKind.LEDGER, detail=detail, where=where)
