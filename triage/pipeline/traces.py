"""What is gone from a volume, traced: its change journal and its deleted entries, row by row into the case.

Runs after a volume's survey and before any stream is read. A fault in here costs a gap, not the volume.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from triage.artefacts.usn_journal import ChangeColumns
from triage.examiners.batches import BatchExaminer
from triage.examiners.renames import RenameExaminer
from triage.model.change import Change, JournalSummary, split_reference
from triage.model.deleted import DeletedStream
from triage.model.filetime import TICKS_PER_SECOND, filetime_to_iso
from triage.model.gap import Gap, GapKind
from triage.pipeline.deleted_rows import Account, deleted_rows, rows_without_record
from triage.pipeline.guard import Guard
from triage.pipeline.journal import ChangesRecord, DeletedRecord, FindingRecord, GapRecord, Record
from triage.pipeline.rows import RowKind, write_rows
from triage.pipeline.survey import Survey
from triage.walk.change_journal import ChangeJournal
from triage.walk.deleted import examine_deleted
from triage.walk.former_names import FormerNames
from triage.walk.paths import Paths

_MOST_FOLDERS = 100_000


class Tracer:
    """Traces volumes one after the other; `note` takes findings, gaps and summaries for the journal of the run."""

    def __init__(self, case_folder: Path, note: Callable[[Record], None], *, deleted: bool) -> None:
        self._case_folder = case_folder
        self._note = note
        self._deleted = deleted

    def trace(self, survey: Survey) -> None:
        """Trace one volume."""
        names = FormerNames(survey.table, survey.paths)
        journal = ChangeJournal(survey.ntfs, survey.table, survey.paths, survey.streams)
        with Guard(self._note_gap).at(journal.where):
            if journal.head is not None:
                self._changes(survey, journal, names)
        with Guard(self._note_gap).at(journal.where):
            if self._deleted:
                self._entries(survey, names)

    def _changes(self, survey: Survey, journal: ChangeJournal, names: FormerNames) -> None:
        told, renames = _Told(), RenameExaminer()
        batches = BatchExaminer(survey.names.rules, names.path)

        def rows() -> Iterator[Change]:
            folders = _Folders(survey.paths)
            for columns in journal.changes():
                names.add(columns)
                renames.add(columns)
                batches.add(columns)
                told.add(columns)
                yield from _changes(survey.ntfs.id, columns, folders)

        write_rows(self._case_folder, RowKind.CHANGES, survey.ntfs.id, rows())
        for finding in (*renames.findings(journal.where), *batches.findings(journal.where)):
            self._note(FindingRecord(finding))
        survey.rename_times = renames.times()
        for gap in journal.gaps:
            self._note_gap(gap)
        if names.left_out > 0:
            detail = f"records of further vanished files, whose names were not kept: {names.left_out}"
            self._note_gap(Gap(kind=GapKind.CHANGE_JOURNAL, detail=detail, where=journal.where))
        self._note(ChangesRecord(told.summary(survey.ntfs.id, journal.damaged_bytes)))

    def _entries(self, survey: Survey, names: FormerNames) -> None:
        deleted, gaps = examine_deleted(survey.ntfs, survey.table, survey.streams)
        for gap in gaps:
            self._note_gap(gap)
        account = Account()

        def rows() -> Iterator[DeletedStream]:
            for row in chain(deleted_rows(survey, deleted, names), rows_without_record(survey, names)):
                account.add(row)
                yield row

        write_rows(self._case_folder, RowKind.DELETED, survey.ntfs.id, rows())
        self._note(DeletedRecord(account.summary(survey.ntfs.id, deleted)))

    def _note_gap(self, gap: Gap) -> None:
        self._note(GapRecord(gap))


@dataclass(slots=True)
class _Told:
    """What the records of a journal add up to."""

    records: Counter[int] = field(default_factory=Counter)
    first: int = 0
    last: int = 0
    set_back: int = 0

    def add(self, columns: ChangeColumns) -> None:
        self.records.update(columns.version.tolist())
        times = columns.time[columns.time > 0]
        if len(times) > 0:
            latest = np.maximum.accumulate(np.maximum(times, np.uint64(self.last)))
            self.set_back = max(self.set_back, int((latest - times).max()))
            first, last = int(times.min()), int(times.max())
            self.first = first if self.first == 0 else min(self.first, first)
            self.last = max(self.last, last)

    def summary(self, volume: str, damaged_bytes: int) -> JournalSummary:
        return JournalSummary(
            volume=volume,
            records=self.records.total(),
            records_by_version={str(version): count for version, count in sorted(self.records.items())},
            damaged_bytes=damaged_bytes,
            first_utc=filetime_to_iso(self.first),
            last_utc=filetime_to_iso(self.last),
            set_back_seconds=self.set_back // TICKS_PER_SECOND,
        )


class _Folders:
    """Paths of directories by reference: the few that most records are in are remembered."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._known: dict[int, str] = {}

    def path(self, reference: int) -> str:
        known = self._known.get(reference)
        if known is None:
            if len(self._known) >= _MOST_FOLDERS:
                self._known.clear()
            known = self._known[reference] = self._paths.folder(*split_reference(reference))
        return known


def _changes(volume: str, columns: ChangeColumns, folders: _Folders) -> Iterator[Change]:
    """Turn columns into rows; a record without a name has no folder either."""
    rows = zip(
        columns.usn.tolist(),
        columns.time.tolist(),
        columns.version.tolist(),
        columns.file.tolist(),
        columns.file_high.tolist(),
        columns.parent.tolist(),
        columns.parent_high.tolist(),
        columns.reason.tolist(),
        columns.source.tolist(),
        columns.attributes.tolist(),
        strict=True,
    )
    for name, parent, numbers in zip(columns.names, columns.parent.tolist(), rows, strict=True):
        yield Change(volume, name, folders.path(parent) if name else "", *numbers)
