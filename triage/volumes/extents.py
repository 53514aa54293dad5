"""Extents: where a stream's bytes lie on the volume, ready to be read; and the one reader of them.

Past its initialised size a stream reads as zeros, whatever its clusters hold ([MS-FSA] 2.1.5.3, valid data length).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from triage.evidence.salvage import BEYOND_END, Salvage, never
from triage.model.gap import GapKind
from triage.model.source import ByteSource
from triage.volumes.runs import HOLE, LOST, Run

MISSING = -2
RUN_LIST_ENDS = "the run list ends before the stream does"
RUN_LIST_BROKEN = "a piece of the run list is missing"
_UNPLACED = {HOLE: HOLE, LOST: MISSING}
_ZEROS = bytes(1 << 20)


class Extent(NamedTuple):
    """`length_bytes` of a stream from `stream_offset` on, at `volume_offset`.

    `HOLE` there: they read as zeros. `MISSING`: the run list does not say where they are.
    """

    stream_offset: int
    length_bytes: int
    volume_offset: int


class BadRange(NamedTuple):
    """A range of a stream that could not be read, and why; its bytes were given as zeros."""

    stream_offset: int
    length_bytes: int
    reason: str
    kind: GapKind = GapKind.READ_ERROR


def extents_of_runs(runs: Sequence[Run], cluster_bytes: int, size_bytes: int, initialized_bytes: int) -> list[Extent]:
    """Lay the runs out over the stream's size: past the initialised size a hole, past the last run `MISSING`.

    So a size that was damaged to something absurd does not become terabytes of zeros.
    """
    if len(runs) == 1 and runs[0].cluster >= 0 and initialized_bytes >= size_bytes:  # nearly every file
        cluster, clusters = runs[0]
        if clusters * cluster_bytes >= size_bytes:
            return [Extent(0, size_bytes, cluster * cluster_bytes)]
    extents: list[Extent] = []
    position = 0
    data_end = min(initialized_bytes, size_bytes)
    for cluster, clusters in runs:
        if position >= data_end:
            break
        length = min(clusters * cluster_bytes, data_end - position)
        extents.append(Extent(position, length, _UNPLACED.get(cluster, cluster * cluster_bytes)))
        position += length
    covered = min(sum(run.clusters for run in runs) * cluster_bytes, size_bytes)
    if position < covered:
        extents.append(Extent(position, covered - position, HOLE))
    if covered < size_bytes:
        extents.append(Extent(covered, size_bytes - covered, MISSING))
    return extents


def readable_end(extents: Sequence[Extent], evidence_bytes: int) -> int:
    """Return the byte of a stream behind which the evidence holds none of it; a damaged run list claims any length."""
    for start, length, volume_offset in reversed(extents):
        if volume_offset == HOLE:
            return start + length
        if 0 <= volume_offset < evidence_bytes:
            return start + min(length, evidence_bytes - volume_offset)
    return 0


class ExtentReader:
    """Reads a stream's extents in order, window by window; never raises for unreadable ranges, but tells them.

    The first pass leaps over errors; a `thorough` one tries each sector, until `stop` (see `evidence.salvage`).
    `unreadable` says that a range may yet be read, now or later: the source refused it.
    """

    def __init__(
        self,
        source: ByteSource,
        extents: Sequence[Extent],
        *,
        thorough: bool = False,
        stop: Callable[[], bool] = never,
    ) -> None:
        self._source = source
        self._extents = extents
        self._next = 0
        self._salvage = Salvage(source, thorough=thorough, stop=stop)
        self.bad_ranges: list[BadRange] = []
        self.unreadable = False

    def read_into(self, stream_offset: int, view: memoryview) -> int:
        """Fill `view` from `stream_offset`, not before that of the last call; return the bytes filled."""
        filled = 0
        wanted = len(view)
        while filled < wanted and self._next < len(self._extents):
            start, length, volume_offset = self._extents[self._next]
            skip = stream_offset + filled - start
            take = min(length - skip, wanted - filled)
            if take <= 0:
                self._next += 1
                continue
            part = view[filled : filled + take]
            if volume_offset == HOLE:
                _zero(part)
            elif volume_offset == MISSING:
                _zero(part)
                self._add_bad(start + skip, take, RUN_LIST_BROKEN, GapKind.RUN_LIST)
            else:
                self._read_range(start + skip, volume_offset + skip, part)
            filled += take
            if skip + take == length:
                self._next += 1
        return filled

    def _read_range(self, stream_offset: int, volume_offset: int, view: memoryview) -> None:
        """Read one range; on an error read around it."""
        try:
            got = self._source.read_into(volume_offset, view)
        except OSError:
            self.unreadable = True
            for missing in self._salvage.read_into(volume_offset, view):
                at = stream_offset + missing.offset_bytes - volume_offset
                self._add_bad(at, missing.length_bytes, missing.reason)
            return
        if got < len(view):
            _zero(view[got:])
            self._add_bad(stream_offset + got, len(view) - got, BEYOND_END)

    def _add_bad(self, stream_offset: int, length_bytes: int, reason: str, kind: GapKind = GapKind.READ_ERROR) -> None:
        if self.bad_ranges:
            last = self.bad_ranges[-1]
            if last.stream_offset + last.length_bytes == stream_offset and last.reason == reason:
                self.bad_ranges[-1] = last._replace(length_bytes=last.length_bytes + length_bytes)
                return
        self.bad_ranges.append(BadRange(stream_offset, length_bytes, reason, kind))


def _zero(view: memoryview) -> None:
    for start in range(0, len(view), len(_ZEROS)):
        length = min(len(_ZEROS), len(view) - start)
        view[start : start + length] = _ZEROS[:length]
