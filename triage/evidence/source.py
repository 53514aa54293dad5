"""The one reader of evidence: its segments, end to end, as one stretch of bytes that can only be read."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import threading
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from triage.evidence.ahead import ALIGNMENT_BYTES, PIECE_BYTES, ReadAhead
from triage.evidence.loss import LossWatch
from triage.evidence.read_log import ReadLog
from triage.model.evidence import Evidence, EvidenceFormat

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_CLOSED = -1
_NOTHING_ASKED = -(1 << 62)


class EvidenceSource:
    """Evidence as one stretch of bytes; satisfies `triage.model.source.ByteSource`.

    Threads share it: `preadv` has no file position, and what `prefetch` starts has a lock. Its length is
    fixed when it is opened: bytes appended later are not shown, bytes cut off later raise `OSError` (EIO).
    `log` tells what was read and what could not be. Evidence of which nothing can be read any more raises
    `EvidenceLostError` from then on, without asking the device again (`lost`). `device_number` is the
    kernel's number of a device, 0 for files. Made by `triage.evidence.open.open_evidence`.
    """

    def __init__(
        self,
        path: Path,
        evidence_format: EvidenceFormat,
        segments: Sequence[tuple[Path, int]],
        sector_bytes: int,
    ) -> None:
        """Open `segments`, each a path and its length in bytes; `OSError` where one cannot be opened."""
        self.path = path
        self.format = evidence_format
        self.sector_bytes = sector_bytes
        self.segments = tuple(segment for segment, _ in segments)
        self._starts = [0]
        for _, length_bytes in segments:
            self._starts.append(self._starts[-1] + length_bytes)
        self.size_bytes = self._starts[-1]
        self.log = ReadLog(self.size_bytes, sector_bytes)
        self._watch = LossWatch(str(path), self.log, self._can_read)
        self._descriptors: list[int] = []
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            for segment in self.segments:
                self._descriptors.append(os.open(segment, _OPEN_FLAGS))
            undo.pop_all()
        self.device_number = os.fstat(self._descriptors[0]).st_rdev
        self._only = self._descriptors[0] if len(self._descriptors) == 1 else None
        self._direct: list[int] | None = None
        self._opening = threading.Lock()
        self._ahead: ReadAhead | None = None
        self._asked_from = self._asked_to = _NOTHING_ASKED

    @property
    def lost(self) -> bool:
        """Whether nothing of the evidence can be read any more."""
        return self._watch.error is not None

    def check_lost(self) -> None:
        """Raise `EvidenceLostError` where that has come to pass."""
        if self._watch.error is not None:
            raise self._watch.error

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill `view` from `offset_bytes`; return the bytes filled, fewer only at the end of the evidence."""
        if self._watch.error is not None:
            raise self._watch.error
        # Each try may take the disk seconds: a sector that failed alone gets no other.
        if self.log.bad_sectors and self.log.has_bad(offset_bytes, len(view)):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self.path))
        try:
            filled_bytes = self._read_into(offset_bytes, view)
        except OSError as error:
            filled_bytes = self._read_sector(offset_bytes, view, error)
        self.log.note_read(offset_bytes, filled_bytes)
        return filled_bytes

    def read_at_once(self, offset_bytes: int, view: memoryview) -> bool:
        """Fill all of `view`, or return False and note nothing: what lies there is then read part by part."""
        if self.lost or self.log.has_bad(offset_bytes, len(view)):
            return False
        try:
            filled_bytes = self._read_into(offset_bytes, view)
        except OSError:
            return False
        if filled_bytes == len(view):
            self.log.note_read(offset_bytes, filled_bytes)
        return filled_bytes == len(view)

    def _read_into(self, offset_bytes: int, view: memoryview) -> int:
        wanted_bytes = len(view)
        if self._ahead is not None and (ahead_bytes := self._ahead.read_into(offset_bytes, view)) > 0:
            return ahead_bytes + (self._read_pieces(offset_bytes + ahead_bytes, view[ahead_bytes:]))
        if self._only is not None and 0 <= offset_bytes <= self.size_bytes - wanted_bytes:
            filled_bytes = os.preadv(self._only, (view,), offset_bytes)
            if filled_bytes == wanted_bytes:
                return filled_bytes
        return self._read_pieces(offset_bytes, view)

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return up to `length_bytes` from `offset_bytes`, shorter only at the end of the evidence."""
        buffer = bytearray(max(0, min(length_bytes, self.size_bytes - offset_bytes)))
        self.read_into(offset_bytes, memoryview(buffer))
        return bytes(buffer)

    def _read_pieces(self, offset_bytes: int, view: memoryview) -> int:
        """Read across segments and after short reads."""
        if offset_bytes < 0:
            raise ValueError(f"negative offset {offset_bytes}")
        wanted_bytes = max(0, min(len(view), self.size_bytes - offset_bytes))
        filled_bytes = 0
        while filled_bytes < wanted_bytes:
            position = offset_bytes + filled_bytes
            index = bisect_right(self._starts, position) - 1
            piece_bytes = min(wanted_bytes - filled_bytes, self._starts[index + 1] - position)
            piece = view[filled_bytes : filled_bytes + piece_bytes]
            got_bytes = os.preadv(self._descriptors[index], (piece,), position - self._starts[index])
            if got_bytes == 0:
                raise OSError(errno.EIO, "evidence became shorter while it was read", str(self.segments[index]))
            filled_bytes += got_bytes
        return filled_bytes

    def _read_sector(self, offset_bytes: int, view: memoryview, error: OSError) -> int:
        """Read a sector that failed past the page cache, where one bad sector costs its whole page; or give it up.

        Whatever is longer is given up at once: trying it in pieces is the reader's to decide. Raises `error`.
        """
        whole_sectors = offset_bytes % self.sector_bytes == len(view) % self.sector_bytes == 0
        if len(view) == self.sector_bytes and whole_sectors and self._opened_direct():
            sector = memoryview(mmap.mmap(-1, ALIGNMENT_BYTES))[: len(view)]
            with contextlib.suppress(OSError):
                if self._read_direct(offset_bytes, sector) == len(view):
                    view[:] = sector
                    return len(view)
        self._watch.failed(error, offset_bytes, len(view))
        raise error

    def _can_read(self, offset_bytes: int) -> bool:
        """Say whether the medium itself, not a cache, still gives what it gave before."""
        block = memoryview(mmap.mmap(-1, ALIGNMENT_BYTES))
        offset_bytes -= offset_bytes % ALIGNMENT_BYTES
        with contextlib.suppress(OSError):
            if self._opened_direct():
                return self._read_direct(offset_bytes, block) > 0
            self._advise(offset_bytes, ALIGNMENT_BYTES, os.POSIX_FADV_DONTNEED)
            return self._read_pieces(offset_bytes, block) > 0
        return False

    def prefetch(self, offset_bytes: int, length_bytes: int) -> None:
        """Read ahead what will be read soon: past the page cache, or by its advice where that cannot be passed.

        Asked in large pieces, so that a run of small files costs one read. Called by one thread at a time.
        """
        end_bytes = min(offset_bytes + length_bytes, self.size_bytes)
        if self.lost:
            return
        if self._asked_from <= offset_bytes and end_bytes <= self._asked_to:
            return
        if self._asked_from <= offset_bytes <= self._asked_to + PIECE_BYTES:
            first_bytes = self._asked_to
            end_bytes = min(max(end_bytes, first_bytes + PIECE_BYTES), self.size_bytes)
        else:
            first_bytes = self._asked_from = offset_bytes
        self._asked_to = end_bytes
        if self._ahead is None and self._opened_direct():
            self._ahead = ReadAhead(self._read_direct, self._is_cached)
        if self._ahead is not None:
            self._ahead.ask(first_bytes, end_bytes)
        else:
            self._advise(first_bytes, end_bytes - first_bytes, os.POSIX_FADV_WILLNEED)

    def _opened_direct(self) -> bool:
        """Say whether the page cache can be passed."""
        with self._opening:
            if self._direct is None:
                self._direct = self._open_direct()
        return len(self._direct) > 0

    def _open_direct(self) -> list[int]:
        """Open the segments past the page cache; none where a file system or a segment's length does not allow it."""
        if any(start % ALIGNMENT_BYTES != 0 for start in self._starts[:-1]):
            return []
        opened: list[int] = []
        try:
            for segment in self.segments:
                opened.append(os.open(segment, _OPEN_FLAGS | os.O_DIRECT))
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            return []
        return opened

    def _read_direct(self, offset_bytes: int, view: memoryview) -> int:
        """Read past the page cache; return the bytes read, fewer at the end."""
        filled_bytes = 0
        while filled_bytes < len(view) and offset_bytes + filled_bytes < self.size_bytes:
            position = offset_bytes + filled_bytes
            index = bisect_right(self._starts, position) - 1
            piece = view[filled_bytes : filled_bytes + self._starts[index + 1] - position]
            if index + 1 == len(self.segments):
                piece = view[filled_bytes:]  # its end may lie within a block: the device is asked for a whole one
            got_bytes = os.preadv((self._direct or [])[index], (piece,), position - self._starts[index])
            filled_bytes += got_bytes
            if got_bytes < len(piece):
                break
        return filled_bytes

    def _is_cached(self, offset_bytes: int, length_bytes: int) -> bool:
        """Say whether the page cache holds a range: its two ends stand for all of it."""
        page = bytearray(1)
        for position in (offset_bytes, min(offset_bytes + length_bytes, self.size_bytes) - 1):
            index = bisect_right(self._starts, position) - 1
            try:
                os.preadv(self._descriptors[index], (page,), position - self._starts[index], os.RWF_NOWAIT)
            except OSError:
                return False
        return True

    def drop_cache(self) -> None:
        """Ask the kernel to forget what it cached, so that the next read comes from the device itself."""
        self._advise(0, self.size_bytes, os.POSIX_FADV_DONTNEED)

    def _advise(self, offset_bytes: int, length_bytes: int, advice: int) -> None:
        end_bytes = min(offset_bytes + length_bytes, self.size_bytes)
        for descriptor, start, stop in zip(self._descriptors, self._starts, self._starts[1:], strict=False):
            first, last = max(offset_bytes, start), min(end_bytes, stop)
            if first < last:
                with contextlib.suppress(OSError):
                    os.posix_fadvise(descriptor, first - start, last - first, advice)

    def describe(self) -> Evidence:
        """Return the evidence as the report names it, without digest and write proof."""
        return Evidence(
            path=str(self.path),
            format=self.format,
            size_bytes=self.size_bytes,
            segments=tuple(str(segment) for segment in self.segments),
        )

    def close(self) -> None:
        """Close the descriptors; a second call does nothing, reading afterwards raises `OSError` (EBADF)."""
        if self._ahead is not None:
            self._ahead.close()
        self._ahead = None
        descriptors = self._descriptors + (self._direct or [])
        self._descriptors = [_CLOSED] * len(self._descriptors)
        self._direct = []
        self._only = None
        for descriptor in descriptors:
            if descriptor != _CLOSED:
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
