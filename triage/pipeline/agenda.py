"""The agenda: what is to be read and in which order, so that documents come first and the disk moves one way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from triage.evidence.source import EvidenceSource
from triage.model.entry import FIRST_USER_ENTRY, Subject
from triage.model.rescue import FileKey, RescuedFile, RescueOutcome
from triage.model.source import ByteSource
from triage.pipeline.job import Token
from triage.pipeline.pieces import HeldPieces, Piece, in_pieces
from triage.pipeline.survey import Survey
from triage.rescue.namemap import key_of
from triage.rescue.selection import select
from triage.volumes.mft_records import I64
from triage.walk.order import first_offsets, in_several_runs, reading_order
from triage.walk.streams import StreamPlan

UNSELECTED_TIER = 9
_BAD_CLUSTERS_ENTRY = 8  # $BadClus:$Bad is as long as the volume and never read
_AHEAD_STREAMS = 64
_AHEAD_BYTES = 24 << 20
_AHEAD_EXTENTS = 8
_MOST_IN_PIECES = 50_000  # of one volume: finding the pieces takes some 20 µs a stream


@dataclass(slots=True, kw_only=True)
class Item:
    """One stream in its turn."""

    survey: Survey
    token: Token
    plan: StreamPlan
    selected: bool
    source: ByteSource

    @property
    def size_bytes(self) -> int:
        """The stream's size."""
        return self.plan.subject.size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """The streams of one tier of one volume in reading order, each with its place; and the pieces read on the way."""

    tier: int
    survey: Survey
    heads: I64
    offsets: I64
    pieces: list[Piece]


_TRIED_AGAIN = (RescueOutcome.FAILED, RescueOutcome.INTERRUPTED)


@dataclass(slots=True, kw_only=True)
class Done:
    """What earlier sessions of a case have done: streams read (volume, entry, stream, repeat), files settled.

    A file that failed or was cut off is not settled: it is tried once more.
    """

    read: set[tuple[str, int, str, int]] = field(default_factory=set)
    settled: dict[FileKey, RescuedFile] = field(default_factory=dict)

    def settle(self, file: RescuedFile) -> None:
        """Take in what became of one file."""
        if file.outcome not in _TRIED_AGAIN:
            self.settled[file.key] = file

    def has(self, subject: Subject, *, selected: bool) -> bool:
        """Say whether a stream need not be read again."""
        if (subject.volume, subject.mft_entry, subject.stream, subject.repeat) not in self.read:
            return False
        return not selected or key_of(subject) in self.settled


class Agenda:
    """What is to be read, in order: by tier over all volumes, within a tier volume by volume along the disk.

    `streams`, `bytes` (to be read) and `selected` count all, whether or not an earlier session has done it.
    """

    def __init__(
        self,
        surveys: Sequence[Survey],
        sources: Sequence[EvidenceSource],
        done: Done,
        *,
        rescue: bool,
        rows: Mapping[int, I64] | None = None,
        whole: bool = True,
    ) -> None:
        """`rows` are the streams of each volume, by its index, None for all of them.

        Streams that are not read `whole`, but for their headers, lie too far apart to be read ahead or in pieces.
        """
        self._sources = sources
        self._done = done
        self._rescue = rescue
        self._rows = rows
        self._is_whole = whole
        self._held = HeldPieces()
        self._in_pieces: set[Token] = set()
        self._chunks: list[_Chunk] = []
        self.streams = 0
        self.bytes = 0
        self.selected = 0
        for survey in surveys:
            self._add(survey)
        self._chunks.sort(key=lambda chunk: (chunk.tier, chunk.survey.index))

    def _add(self, survey: Survey) -> None:
        heads = survey.streams.heads if self._rows is None else self._rows[survey.index]
        rows = survey.table.streams
        tiers = np.full(len(heads), UNSELECTED_TIER, np.int64)
        if self._rescue:
            considered = (rows.owner[heads] >= FIRST_USER_ENTRY) & ~survey.streams.are_links(heads)
            for number in np.flatnonzero(considered).tolist():
                tiers[number] = _tier(survey, int(heads[number]))
        for tier in np.unique(tiers).tolist():
            self._chunks.append(self._chunk(tier, survey, heads[tiers == tier]))
        self.selected += int((tiers != UNSELECTED_TIER).sum())
        self.streams += len(heads)
        sizes = rows.size_bytes[heads[rows.owner[heads] != _BAD_CLUSTERS_ENTRY]]
        there_bytes = self._sources[survey.info.evidence].size_bytes  # a damaged size is no measure of progress
        self.bytes += int(np.minimum(sizes, there_bytes).sum())

    def _chunk(self, tier: int, survey: Survey, heads: I64) -> _Chunk:
        """Put streams in order along the disk: each at its only extent, a small fragmented one at its last."""
        geometry = survey.ntfs.geometry
        rows = survey.streams.rows_on_disk(heads)
        mft_offset = geometry.mft_cluster * geometry.cluster_bytes
        offsets = first_offsets(survey.table, rows, mft_offset, geometry.cluster_bytes)
        fragmented = np.flatnonzero(in_several_runs(survey.table, rows))[:_MOST_IN_PIECES] if self._is_whole else ()
        pieces: list[Piece] = []
        for number in fragmented:
            token = Token(survey.index, int(heads[number]))
            plan = survey.streams.plan(token.row)
            extents = in_pieces(plan.extents)
            if not extents or self._done.has(plan.subject, selected=tier != UNSELECTED_TIER):
                continue
            *passed, last = extents
            offsets[number] = last.volume_offset
            pieces += (Piece(survey.ntfs.source, survey.info, token, extent) for extent in passed)
            self._in_pieces.add(token)
        order = reading_order(offsets)
        pieces.sort(key=lambda piece: piece.extent.volume_offset)
        return _Chunk(tier=tier, survey=survey, heads=heads[order], offsets=offsets[order], pieces=pieces)

    def items(self, *, only: Set[Token] | None = None, leave_out: Set[Token] = frozenset()) -> Iterator[Item]:
        """Yield the streams that are still to be read, and have them read ahead; none of evidence that is lost."""
        return (item for item in self._read_ahead(only, leave_out) if not self.lost(item))

    def lost(self, item: Item) -> bool:
        """Say whether the evidence that a stream is on cannot be read any more."""
        return self._sources[item.survey.info.evidence].lost

    def _read_ahead(self, only: Set[Token] | None, leave_out: Set[Token]) -> Iterator[Item]:
        ahead: deque[Item | Piece] = deque()
        ahead_bytes = 0
        for coming in self._all(only, leave_out):
            ahead.append(coming)
            ahead_bytes += coming.size_bytes
            if self._is_whole:
                self._prefetch(coming)
            while len(ahead) > _AHEAD_STREAMS or (ahead_bytes > _AHEAD_BYTES and ahead):
                ready = ahead.popleft()
                ahead_bytes -= ready.size_bytes
                yield from self._ready(ready)
        for ready in ahead:
            yield from self._ready(ready)

    def _ready(self, ready: Item | Piece) -> Iterator[Item]:
        """Read a piece, or give a stream with what is held of it."""
        if isinstance(ready, Piece):
            self._held.take(ready)
            return
        ready.source = self._held.give(ready.token, ready.source)
        yield ready

    def _all(self, only: Set[Token] | None, leave_out: Set[Token]) -> Iterator[Item | Piece]:
        for chunk in self._chunks:
            survey, selected = chunk.survey, chunk.tier != UNSELECTED_TIER
            wanted = ~np.isin(chunk.heads, _rows(leave_out, survey))
            pieces = deque(piece for piece in chunk.pieces if only is None and piece.token not in leave_out)
            if only is not None:
                wanted &= np.isin(chunk.heads, _rows(only, survey))
            heads, offsets = chunk.heads[wanted], chunk.offsets[wanted]
            for head, offset, plan in zip(heads.data, offsets.data, survey.streams.plans(heads), strict=True):
                while pieces and pieces[0].extent.volume_offset < offset:
                    yield pieces.popleft()
                if not self._done.has(plan.subject, selected=selected):
                    yield Item(
                        survey=survey,
                        token=Token(survey.index, head),
                        plan=plan,
                        selected=selected,
                        source=survey.ntfs.source,
                    )

    def _prefetch(self, coming: Item | Piece) -> None:
        """Have a piece read ahead, or a stream's first extents; of one in pieces what is not read before."""
        if isinstance(coming, Piece):
            info, extents = coming.info, [coming.extent]
        else:
            info, extents = coming.survey.info, coming.plan.extents[:_AHEAD_EXTENTS]
            if coming.token in self._in_pieces:
                extents = in_pieces(coming.plan.extents)[-1:]
        source = self._sources[info.evidence]
        for extent in extents:
            if extent.volume_offset >= 0:
                start = info.offset_bytes + extent.volume_offset
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
