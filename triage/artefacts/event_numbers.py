"""Whether records are missing that no damage shows: a log numbers its records without a gap, chunk by chunk.

A chunk or a record that somebody took out leaves sound checksums, but not the numbers. A log that is full begins anew
at its first chunk, so that its lowest number may stand anywhere in the file. Identifiers are the numbers that Windows
shows; in a log that was cleared or exported they go on where the numbers begin at 1 again. Source: J. Metz, "Windows
XML Event Log (EVTX) format" (libevtx).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from triage.artefacts.event_chunk import CHUNK_BYTES, ChunkHeader, LogDamage


class Run(NamedTuple):
    """Numbers of records that follow one another in chunks that do so, and where in the file those begin and end.

    A record's identifier is its number and `shift`; where that is None, the numbers are identifiers.
    """

    first: int
    last: int
    shift: int | None
    start_bytes: int
    end_bytes: int

    @property
    def last_identifier(self) -> int:
        """The identifier of its last record."""
        return self.last + (self.shift or 0)


def run_of_chunk(header: ChunkHeader | None, identifiers: Sequence[int], offset_bytes: int) -> Run | None:
    """Return the numbers of a chunk in which records with these identifiers stand; a damaged header is None."""
    if not identifiers:
        return None
    end = offset_bytes + CHUNK_BYTES
    if header is None:
        return Run(identifiers[0], identifiers[-1], None, offset_bytes, end)
    shift = header.first_identifier - header.first_number
    last = max(header.last_number, identifiers[-1] - shift)  # the header of a log in use may be old
    return Run(header.first_number, last, shift, offset_bytes, end)


class Numbers:
    """The numbers of one log, chunk by chunk in the order of the file."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def add(self, runs: Iterable[Run]) -> None:
        """Take the numbers of the next chunks; those that go on where the last ones ended are joined with them."""
        for run in runs:
            last = self._runs[-1] if self._runs else None
            follows = (run.first, run.shift, run.start_bytes)
            if last is not None and follows == (last.last + 1, last.shift, last.end_bytes):
                self._runs[-1] = last._replace(last=run.last, end_bytes=run.end_bytes)
            else:
                self._runs.append(run)

    def holes(self, next_identifier: int) -> Iterator[LogDamage]:
        """Yield what is missing between the lowest number and the record that would come next, as the file tells it."""
        ordered = sorted(self._settled(), key=lambda run: run.first)
        if not ordered:
            return
        reached = ordered[0]
        for run in ordered:
            if run.first > reached.last + 1:
                before = run.first + (run.shift or 0)
                yield _hole(reached, before, run.first - reached.last - 1, run.start_bytes)
            if run.last > reached.last:
                reached = run
        missing = next_identifier - reached.last_identifier - 1
        if missing > 0:
            yield _hole(reached, next_identifier, missing, reached.end_bytes)

    def _settled(self) -> Iterator[Run]:
        """Yield the runs; identifiers of damaged chunks become numbers by the shift of the sound ones before them."""
        shift = next((run.shift for run in self._runs if run.shift is not None), 0)
        for run in self._runs:
            if run.shift is None:
                yield run._replace(first=run.first - shift, last=run.last - shift, shift=shift)
            else:
                shift = run.shift
                yield run


def holes_within(header: ChunkHeader, places: Sequence[tuple[int, int]]) -> Iterator[LogDamage]:
    """Yield what is missing of a chunk that counts more records than it has: those with these identifiers and offsets.

    A chunk that has none is missing as a whole.
    """
    if not places:
        return
    missing = header.counted - len(places)
    bounds = [(header.first_identifier - 1, places[0][1]), *places, (header.last_identifier + 1, places[-1][1])]
    jumps = [(one, after - one - 1, offset) for (one, offset), (after, _) in pairwise(bounds) if after > one + 1]
    if sum(count for _one, count, _offset in jumps) == missing:
        for one, count, offset in jumps:
            yield LogDamage(detail=_not_there(one + 1, one + count, count), offset_bytes=offset, length_bytes=0)
    else:
        detail = f"{missing} of the records that the chunk counts are not there"
        yield LogDamage(detail=detail, offset_bytes=places[0][1], length_bytes=0)


def _hole(reached: Run, before: int, missing: int, until_bytes: int) -> LogDamage:
    """Return the hole between a run and a record with the identifier `before`, which stands at `until_bytes`."""
    detail = _not_there(reached.last_identifier + 1, before - 1, missing)
    length = max(0, until_bytes - reached.end_bytes)
    return LogDamage(detail=detail, offset_bytes=reached.end_bytes, length_bytes=length)


def _not_there(first: int, last: int, missing: int) -> str:
    if last - first + 1 != missing:
        return f"behind record {first - 1}, {missing} records are not there"
    return f"record {first} is not there" if missing == 1 else f"records {first} to {last} are not there"
