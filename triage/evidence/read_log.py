"""Notes what of the evidence was read and what could not be, at next to no cost for each read.

A read adds one pair to a list; only when many have gathered are they sorted and joined, all at once.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triage.model.read_map import ReadRange, ReadState

_MOST_PENDING: Final = 1 << 16
_Pairs = NDArray[np.int64]
_NONE: _Pairs = np.empty((0, 2), np.int64)


class ReadLog:
    """Ranges by state, rounded outwards to whole sectors, as a device reads them; safe from several threads."""

    def __init__(self, size_bytes: int, sector_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._sector_bytes = sector_bytes
        self._lock = threading.Lock()
        self._pending: list[tuple[int, int]] = []
        self._read = _NONE
        self._samples: list[int] = []
        self.bad_sectors: list[int] = []
        self._failed: dict[ReadState, list[tuple[int, int]]] = {ReadState.FAILED: [], ReadState.BAD: []}
        self.reads = 0

    def note_read(self, offset_bytes: int, length_bytes: int) -> None:
        """Note a range that was read."""
        self.reads += 1  # not exact with several threads: it only has to change
        if length_bytes > 0:  # behind the end nothing is read: a damaged boot sector points anywhere
            self._pending.append((offset_bytes, offset_bytes + length_bytes))
        if len(self._pending) >= _MOST_PENDING:
            with self._lock:
                self._fold()

    def note_failed(self, offset_bytes: int, length_bytes: int) -> None:
        """Note a read that failed: of one sector alone, that sector is bad."""
        first, last = self._rounded(offset_bytes, offset_bytes + length_bytes)
        state = ReadState.BAD if last - first <= self._sector_bytes else ReadState.FAILED
        with self._lock:
            if state is ReadState.BAD and not self.has_bad(first, 1):
                insort(self.bad_sectors, first)
            ranges = self._failed[state]
            ranges.append((first, last))
            if len(ranges) >= _MOST_PENDING:
                self._failed[state] = [(start, end) for start, end in _joined(np.array(ranges)).tolist()]

    def has_bad(self, offset_bytes: int, length_bytes: int) -> bool:
        """Say whether a range touches a sector that was tried alone and could not be read."""
        first = offset_bytes - offset_bytes % self._sector_bytes
        at = bisect_left(self.bad_sectors, first)
        return at < len(self.bad_sectors) and self.bad_sectors[at] < offset_bytes + length_bytes

    def take(self) -> Iterator[ReadRange]:
        """Yield what was noted since the last time, each state by itself, and forget it."""
        self._samples = self.samples()
        with self._lock:
            self._fold()
            taken = {ReadState.READ: self._read}
            for state, ranges in self._failed.items():
                taken[state] = _joined(np.array(ranges, np.int64).reshape(-1, 2))
                self._failed[state] = []
            self._read = _NONE
        for state, pairs in taken.items():
            for start, end in pairs.tolist():
                yield ReadRange(state, start, end - start)

    def samples(self) -> list[int]:
        """Return a few places, each the start of a sector, that could be read."""
        with self._lock:
            self._fold()
            starts: list[int] = self._read[:: max(len(self._read) // 4, 1), 0].tolist()
        return starts or self._samples

    def _fold(self) -> None:
        count = len(self._pending)
        if count == 0:
            return
        pairs = np.array(self._pending[:count], np.int64)
        del self._pending[:count]  # what other threads added meanwhile stays
        pairs[:, 0] -= pairs[:, 0] % self._sector_bytes
        pairs[:, 1] = np.minimum(pairs[:, 1] + -pairs[:, 1] % self._sector_bytes, self._size_bytes)
        self._read = _joined(np.concatenate((self._read, pairs)))

    def _rounded(self, start: int, end: int) -> tuple[int, int]:
        first = start - start % self._sector_bytes
        return first, max(min(end + -end % self._sector_bytes, self._size_bytes), first)


def _joined(pairs: _Pairs) -> _Pairs:
    """Return ranges in order, those that touch or overlap as one."""
    if len(pairs) == 0:
        return _NONE
    ordered = pairs[np.argsort(pairs[:, 0], kind="stable")]
    furthest = np.maximum.accumulate(ordered[:, 1])
    first = np.flatnonzero(np.concatenate(([True], ordered[1:, 0] > furthest[:-1])))
    last = np.append(first[1:], len(ordered)) - 1
    return np.stack((ordered[first, 0], furthest[last]), axis=1)
