"""The agenda: what is to be read and in which order, so that documents come first and the disk moves one way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from triage.evidence.source import EvidenceSource
from triage.model.entry import FIRST_USER_ENTRY, Subject
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.pipeline.job import Token
from triage.pipeline.survey import Survey
from triage.rescue.namemap import shown_path
from triage.rescue.selection import select
from triage.volumes.mft_records import I64
from triage.walk.order import first_offsets, reading_order
from triage.walk.streams import StreamPlan

UNSELECTED_TIER = 9
_BAD_CLUSTERS_ENTRY = 8  # $BadClus:$Bad is as long as the volume and never read
_AHEAD_STREAMS = 64
_AHEAD_BYTES = 24 << 20
_AHEAD_EXTENTS = 8


@dataclass(slots=True, kw_only=True)
class Item:
    """One stream in its turn."""

    survey: Survey
    token: Token
    plan: StreamPlan
    selected: bool


_TRIED_AGAIN = (RescueOutcome.FAILED, RescueOutcome.INTERRUPTED)


@dataclass(slots=True, kw_only=True)
class Done:
    """What earlier sessions of a case have done: streams read (volume, entry, stream), files settled.

    A file that failed or was cut off is not settled: it is tried once more.
    """

    read: set[tuple[str, int, str]] = field(default_factory=set)
    settled: dict[tuple[str, int, str], RescuedFile] = field(default_factory=dict)

    def settle(self, file: RescuedFile) -> None:
        """Take in what became of one file."""
        if file.outcome not in _TRIED_AGAIN:
            self.settled[file.volume, file.mft_entry, file.path] = file

    def has(self, subject: Subject, *, selected: bool) -> bool:
        """Say whether a stream need not be read again."""
        if (subject.volume, subject.mft_entry, subject.stream) not in self.read:
            return False
        return (
            not selected
            or (subject.volume, subject.mft_entry, shown_path(subject.path, subject.stream)) in self.settled
        )


class Agenda:
    """What is to be read, in order: by tier over all volumes, within a tier volume by volume along the disk.

    `streams`, `bytes` (to be read) and `selected` count all, whether or not an earlier session has done it.
    """

    def __init__(
        self, surveys: Sequence[Survey], sources: Sequence[EvidenceSource], done: Done, *, rescue: bool
    ) -> None:
        self._sources = sources
        self._done = done
        self._rescue = rescue
        self._chunks: list[tuple[int, Survey, I64]] = []
        self.streams = 0
        self.bytes = 0
        self.selected = 0
        for survey in surveys:
            self._add(survey)
        self._chunks.sort(key=lambda chunk: (chunk[0], chunk[1].index))

    def _add(self, survey: Survey) -> None:
        heads = survey.streams.heads
        rows = survey.table.streams
        geometry = survey.ntfs.geometry
        mft_offset = geometry.mft_cluster * geometry.cluster_bytes
        rows_on_disk = survey.streams.rows_on_disk(heads)
        offsets = first_offsets(survey.table, rows_on_disk, mft_offset, geometry.cluster_bytes)
        tiers = np.full(len(heads), UNSELECTED_TIER, np.int64)
        if self._rescue:
            considered = (rows.owner[heads] >= FIRST_USER_ENTRY) & ~survey.streams.are_links(heads)
            for number in np.flatnonzero(considered).tolist():
                tiers[number] = _tier(survey, int(heads[number]))
        order = reading_order(offsets, tiers)
        for tier in np.unique(tiers).tolist():
            self._chunks.append((tier, survey, heads[order][tiers[order] == tier]))
        self.selected += int((tiers != UNSELECTED_TIER).sum())
        self.streams += len(heads)
        sizes = rows.size_bytes[heads[rows.owner[heads] != _BAD_CLUSTERS_ENTRY]]
        self.bytes += int(np.minimum(sizes, geometry.volume_bytes).sum())  # a damaged size is no measure of progress

    def items(self, *, only: Set[Token] | None = None, leave_out: Set[Token] = frozenset()) -> Iterator[Item]:
        """Yield the streams that are still to be read, and have them read ahead."""
        ahead: deque[Item] = deque()
        ahead_bytes = 0
        for item in self._all(only, leave_out):
            ahead.append(item)
            ahead_bytes += item.plan.subject.size_bytes
            self._prefetch(item)
            while len(ahead) > _AHEAD_STREAMS or (ahead_bytes > _AHEAD_BYTES and ahead):
                ready = ahead.popleft()
                ahead_bytes -= ready.plan.subject.size_bytes
                yield ready
        yield from ahead

    def _all(self, only: Set[Token] | None, leave_out: Set[Token]) -> Iterator[Item]:
        for tier, survey, heads in self._chunks:
            selected = tier != UNSELECTED_TIER
            wanted = heads if only is None else heads[np.isin(heads, _rows(only, survey))]
            wanted = wanted[~np.isin(wanted, _rows(leave_out, survey))]
            for head, plan in zip(wanted.tolist(), survey.streams.plans(wanted), strict=True):
                if not self._done.has(plan.subject, selected=selected):
                    yield Item(survey=survey, token=Token(survey.index, head), plan=plan, selected=selected)

    def _prefetch(self, item: Item) -> None:
        """Have the stream's first extents read ahead."""
        source = self._sources[item.survey.info.evidence]
        for extent in item.plan.extents[:_AHEAD_EXTENTS]:
            if extent.volume_offset >= 0:
                start = item.survey.info.offset_bytes + extent.volume_offset
                source.prefetch(start, min(extent.length_bytes, _AHEAD_BYTES))


def _tier(survey: Survey, head: int) -> int:
    """Return the tier of a stream: of the names of a file with several the one that is saved first decides."""
    rows = survey.table.streams
    name, size_bytes = survey.streams.name(head), rows.size_bytes.item(head)
    tiers = (select(path, name, size_bytes) for path in survey.paths.of(rows.owner.item(head)))
    return min((tier for tier in tiers if tier is not None), default=UNSELECTED_TIER)


def _rows(tokens: Set[Token], survey: Survey) -> list[int]:
    """Return the rows of one volume's streams among the tokens."""
    return [token.row for token in tokens if token.volume == survey.index]
