"""A source with faults, for tests: unreadable sectors, errors that pass, short reads, a disk that vanishes."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from pathlib import Path

import pytest

SECTOR_BYTES = 512


class FaultySource:
    """Satisfies `triage.model.source.ByteSource`; `asked` notes each read as offset and length.

    A read that touches a sector of `bad` raises EIO; one of `passing` does so for the first reads that touch it, as
    many as it says. From read number `vanishes_at` on all of them fail, with `vanished_errno`.
    """

    def __init__(
        self,
        data: bytes,
        *,
        bad: Collection[int] = (),
        passing: dict[int, int] | None = None,
        vanishes_at: int | None = None,
        vanished_errno: int = errno.EIO,
    ) -> None:
        self.data = data
        self.size_bytes = len(data)
        self.sector_bytes = SECTOR_BYTES
        self.bad = frozenset(bad)
        self.passing = dict(passing or {})
        self.asked: list[tuple[int, int]] = []
        self._vanishes_at = vanishes_at
        self._vanished_errno = vanished_errno

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill `view` from `offset_bytes`."""
        data = self.read(offset_bytes, len(view))
        view[: len(data)] = data
        return len(data)

    def read_at_once(self, offset_bytes: int, view: memoryview) -> bool:
        """Fill all of `view`, or return False."""
        try:
            return self.read_into(offset_bytes, view) == len(view)
        except OSError:
            return False

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return up to `length_bytes` from `offset_bytes`."""
        self.asked.append((offset_bytes, length_bytes))
        if self._vanishes_at is not None and len(self.asked) > self._vanishes_at:
            raise OSError(self._vanished_errno, os.strerror(self._vanished_errno))
        end = min(offset_bytes + length_bytes, self.size_bytes)
        touched = range(offset_bytes // SECTOR_BYTES, -(-end // SECTOR_BYTES))
        failing = [sector for sector in touched if self.passing.get(sector, 0) > 0]
        for sector in failing:
            self.passing[sector] -= 1
        if failing or any(sector in self.bad for sector in touched):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.data[offset_bytes:end]

    def tries_of(self, sector: int) -> int:
        """Return how many reads touched a sector."""
        start = sector * SECTOR_BYTES
        return sum(offset < start + SECTOR_BYTES and start < offset + length for offset, length in self.asked)


class FaultyDisk:
    """Stands between evidence and the kernel: reads that touch a range of `bad` raise EIO, once `gone` all reads do.

    With `reads_left` it is gone after so many reads. With `image` only reads of that file fail.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int = errno.EIO) -> None:
        self.bad: list[range] = []
        self.gone = False
        self.reads_left: int | None = None
        self.image: Path | None = None
        self.tries = 0
        self._code = code
        self._preadv = os.preadv
        monkeypatch.setattr(os, "preadv", self.preadv)

    def preadv(self, descriptor: int, views: tuple[memoryview], offset: int, flags: int = 0) -> int:
        if self.reads_left is not None:
            self.reads_left -= 1
            self.gone = self.gone or self.reads_left < 0
        length = sum(map(len, views))
        if self.image is not None and not self.image.samefile(f"/proc/self/fd/{descriptor}"):
            return self._preadv(descriptor, views, offset, flags)
        if self.gone or any(offset < one.stop and one.start < offset + length for one in self.bad):
            self.tries += 1
            raise OSError(self._code, os.strerror(self._code))
        return self._preadv(descriptor, views, offset, flags)
