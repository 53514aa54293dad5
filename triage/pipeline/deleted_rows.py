"""The rows of `deleted.jsonl`, and what they add up to."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from triage.model.deleted import BytesLeft, DeletedDocument, DeletedStream, DeletedSummary, Recoverability
from triage.model.entry import FileTimes
from triage.pipeline.survey import Survey
from triage.rescue.selection import is_document
from triage.walk.deleted import DeletedStreams
from triage.walk.former_names import FormerNames

MOST_LISTED = 100
_CHUNK = 4096
_NO_STREAM = -1
_NEVER = FileTimes(0, 0, 0, 0)
_BYTES = ("size_bytes", "resident_bytes", "free_bytes", "contested_bytes", "reused_bytes", "unknown_bytes")
_BEST_FIRST = (
    Recoverability.RESIDENT,
    Recoverability.FREE,
    Recoverability.CONTESTED,
    Recoverability.PARTLY_REUSED,
    Recoverability.UNKNOWN,
)


def deleted_rows(survey: Survey, deleted: DeletedStreams, names: FormerNames) -> Iterator[DeletedStream]:
    """Yield a row for each stream of each deleted entry, and one for each entry without streams; in their order."""
    owners = survey.table.streams.owner[deleted.head]
    bare = np.setdiff1d(deleted.entries, owners)
    numbers = np.concatenate([np.arange(len(owners)), np.full(len(bare), _NO_STREAM)])
    entries = np.concatenate([owners, bare])
    order = np.argsort(entries, kind="stable")
    classes = [*deleted.recoverability(), Recoverability.EMPTY]  # the last is what a number of no stream stands for
    sizes = np.stack([np.append(getattr(deleted, name), 0) for name in _BYTES])
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        of_chunk = zip(entries[chunk].tolist(), numbers[chunk].tolist(), sizes.T[numbers[chunk]].tolist(), strict=True)
        for entry, number, (size, *fate) in of_chunk:
            stream = None if number == _NO_STREAM else survey.streams.name(deleted.head.item(number))
            yield _row(survey, names, entry, stream, classes[number], size, fate)


def _row(
    survey: Survey,
    names: FormerNames,
    entry: int,
    stream: str | None,
    recoverability: Recoverability,
    size: int,
    fate: list[int],
) -> DeletedStream:
    entries = survey.table.entries
    sequence = entries.sequence.item(entry)
    path = survey.paths.of(entry)[0]
    journalled = names.of_record(entry, sequence)
    former_path = None if journalled is None else names.former_path(journalled)
    known_paths = (path,) if former_path is None else (path, former_path)
    return DeletedStream(
        volume=survey.ntfs.id,
        mft_entry=entry,
        sequence=sequence,
        path=path,
        former_path=former_path,
        stream=stream,
        directory=entries.directory.item(entry),
        orphan=survey.paths.is_orphan(path),
        document=stream is not None and any(is_document(one, stream, size) for one in known_paths),
        size_bytes=size,
        recoverability=recoverability,
        bytes=BytesLeft(*fate),
        times=entries.times(entry),
        deleted=0 if journalled is None else journalled.deleted,
    )


def rows_without_record(survey: Survey, names: FormerNames) -> Iterator[DeletedStream]:
    """Yield a row for each file that only the change journal still names."""
    for entry, sequence, file in names.without_record():
        path = names.path(file.name, file.parent)
        former_path = names.former_path(file)
        known_paths = (path,) if former_path is None else (path, former_path)
        yield DeletedStream(
            volume=survey.ntfs.id,
            mft_entry=entry,
            sequence=sequence,
            path=path,
            former_path=former_path,
            stream=None,
            directory=file.directory,
            orphan=survey.paths.is_orphan(path),
            document=not file.directory and any(is_document(one, "", 0) for one in known_paths),
            size_bytes=0,
            recoverability=Recoverability.NO_RECORD,
            bytes=BytesLeft(),
            times=_NEVER,
            deleted=file.deleted,
        )


@dataclass(slots=True)
class Account:
    """Adds up rows, and keeps the users' documents of which most is left, as many as the report lists."""

    entries: int = 0
    orphans: int = 0
    streams: int = 0
    by_class: Counter[Recoverability] = field(default_factory=Counter)
    documents: Counter[Recoverability] = field(default_factory=Counter)
    document_bytes: Counter[Recoverability] = field(default_factory=Counter)
    _last_entry: int = -1
    _hopeful: int = 0
    _best: list[tuple[int, int, int, DeletedDocument]] = field(default_factory=list)

    def add(self, row: DeletedStream) -> None:
        """Take a row; those of one entry come one after the other."""
        self.by_class[row.recoverability] += 1
        if row.document:
            self._add_document(row)
        if row.recoverability is Recoverability.NO_RECORD:
            return
        self.streams += row.stream is not None
        self.orphans += row.orphan and row.mft_entry != self._last_entry
        self.entries += row.mft_entry != self._last_entry
        self._last_entry = row.mft_entry

    def _add_document(self, row: DeletedStream) -> None:
        left = row.bytes.recoverable
        self.documents[row.recoverability] += 1
        self.document_bytes[row.recoverability] += left
        if left == 0:
            return
        self._hopeful += 1
        rank = (-_BEST_FIRST.index(row.recoverability), left, -self._hopeful)
        if len(self._best) == MOST_LISTED and rank < self._best[0][:3]:
            return
        document = DeletedDocument(
            path=row.path,
            former_path=row.former_path,
            stream=row.stream or "",
            mft_entry=row.mft_entry,
            size_bytes=row.size_bytes,
            recoverable_bytes=left,
            recoverability=row.recoverability,
        )
        heapq.heappush(self._best, (*rank, document))
        if len(self._best) > MOST_LISTED:
            heapq.heappop(self._best)

    def summary(self, volume: str, deleted: DeletedStreams) -> DeletedSummary:
        """Return what the rows add up to."""
        return DeletedSummary(
            volume=volume,
            entries=self.entries,
            streams=self.streams,
            orphans=self.orphans,
            journal_only=self.by_class[Recoverability.NO_RECORD],
            streams_by_recoverability=_in_order(self.by_class, self.by_class),
            documents_by_recoverability=_in_order(self.documents, self.documents),
            document_bytes_by_recoverability=_in_order(self.document_bytes, self.documents),
            resident_bytes=int(deleted.resident_bytes.sum()),
            free_bytes=int(deleted.free_bytes.sum()),
            contested_bytes=deleted.contested_in_all,
            reused_bytes=deleted.reused_in_all,
            listed=tuple(entry[3] for entry in sorted(self._best, key=lambda entry: entry[:3], reverse=True)),
            not_listed=self._hopeful - len(self._best),
        )


def _in_order(counts: Counter[Recoverability], occurred: Counter[Recoverability]) -> dict[str, int]:
    """Return the counts of the classes that occurred, in the order of the classes."""
    return {one.value: counts[one] for one in Recoverability if occurred[one] > 0}
