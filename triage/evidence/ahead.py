"""Reads ahead of threads that read in order: past the page cache, into one ring of memory.

Read through the page cache, a disk of a terabyte passes through memory that others need, and copying it twice costs as
much as hashing it. What the cache already holds is left to the ordinary way.
"""

from __future__ import annotations

import mmap
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

#: What O_DIRECT asks of offset, length and memory on any device (open(2)): a multiple of its logical block.
ALIGNMENT_BYTES: Final = 4096
PIECE_BYTES: Final = 4 << 20
RING_BYTES: Final = 64 << 20
_MOST_PIECES = 256


class _Piece:
    """`start` to `end` of the evidence; `at` is its place in the ring."""

    __slots__ = ("at", "end", "start")

    def __init__(self, start: int, end: int, at: int = 0) -> None:
        self.start = start
        self.end = end
        self.at = at


class ReadAhead:
    """One thread that reads what was asked for, in that order, and keeps the latest of it.

    `fetch(offset_bytes, view)` reads past the page cache and returns the bytes read, fewer at the end of the evidence,
    or raises `OSError`; `is_cached(offset_bytes, length_bytes)` says that the page cache holds a range. What could not
    be read is simply not there: whoever needs it reads it the ordinary way, and meets the error there.
    """

    def __init__(
        self,
        fetch: Callable[[int, memoryview], int],
        is_cached: Callable[[int, int], bool],
        ring_bytes: int = RING_BYTES,
    ) -> None:
        self._fetch = fetch
        self._is_cached = is_cached
        self._ring_bytes = ring_bytes
        self._ring = memoryview(mmap.mmap(-1, ring_bytes))
        self._free_at = 0
        self._asked: deque[_Piece] = deque()
        self._held: deque[_Piece] = deque()
        self._last: _Piece | None = None
        self._ended = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def ask(self, start: int, end: int) -> None:
        """Ask for a range, in pieces; their ends are rounded outwards to what the device can read."""
        start -= start % ALIGNMENT_BYTES
        with self._change:
            for piece_start in range(start, end, PIECE_BYTES):
                piece_end = min(piece_start + PIECE_BYTES, end)
                self._asked.append(_Piece(piece_start, piece_end + -piece_end % ALIGNMENT_BYTES))
            self._change.notify_all()

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill the beginning of `view` with what was read ahead, waiting for what is on its way; return its length."""
        filled = 0
        with self._change:
            while filled < len(view):
                position = offset_bytes + filled
                piece = self._holding(position)
                if piece is not None:
                    length = min(piece.end - position, len(view) - filled)
                    first = piece.at + position - piece.start
                    # Copied under the lock, so that nothing is read over it meanwhile.
                    view[filled : filled + length] = self._ring[first : first + length]
                    filled += length
                elif self._ended or _covering(self._asked, position) is None:
                    break
                else:
                    self._change.wait()
        return filled

    def _holding(self, position: int) -> _Piece | None:
        """Return the piece held that covers a position; it is mostly the one that was needed last."""
        if self._last is None or not self._last.start <= position < self._last.end:
            self._last = _covering(self._held, position)
        return self._last

    def close(self) -> None:
        """End the thread."""
        with self._change:
            self._ended = True
            self._change.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while (piece := self._next()) is not None:
                self._read(piece)
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _next(self) -> _Piece | None:
        """Wait for a piece to read and make room for it; it stays among those asked for until it is read."""
        with self._change:
            self._change.wait_for(lambda: self._ended or len(self._asked) > 0)
            if self._ended:
                return None
            piece = self._asked[0]
            length = piece.end - piece.start
            if self._free_at + length > self._ring_bytes:
                self._forget(self._free_at, self._ring_bytes)
                self._free_at = 0
            self._forget(self._free_at, self._free_at + length)
            if len(self._held) == _MOST_PIECES:
                self._drop_oldest()
            piece.at = self._free_at
            return piece

    def _forget(self, first: int, last: int) -> None:
        """Drop what lies in a stretch of the ring; the oldest lie there first."""
        while self._held and self._held[0].at < last and first < self._held[0].at + _length(self._held[0]):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        if self._held.popleft() is self._last:
            self._last = None

    def _read(self, piece: _Piece) -> None:
        length = 0
        if not self._is_cached(piece.start, piece.end - piece.start):
            try:
                length = self._fetch(piece.start, self._ring[piece.at : piece.at + _length(piece)])
            except OSError:
                length = 0
        with self._change:
            self._asked.popleft()
            if length > 0:
                self._free_at = piece.at + _length(piece)
                piece.end = piece.start + length
                self._held.append(piece)
            self._change.notify_all()


def _length(piece: _Piece) -> int:
    """Return the bytes that a piece takes in the ring."""
    length = piece.end - piece.start
    return length + -length % ALIGNMENT_BYTES


def _covering(pieces: deque[_Piece], position: int) -> _Piece | None:
    return next((piece for piece in pieces if piece.start <= position < piece.end), None)
