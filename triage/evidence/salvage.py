"""Reads what can be read of a range in which an error lies: the good parts first, the bad ones at the very end.

Each try of a bad sector may take a disk many seconds, so the first pass goes in blocks of 64 KiB and leaps over what
fails, twice as far each time; only the second pass, when everything else is safe, tries single sectors. This is what
GNU ddrescue does (manual, chapter "Algorithm": copying, scraping).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from triage.model.source import ByteSource

BLOCK_BYTES = 64 << 10
LONGEST_LEAP_BYTES = 1 << 30
MOST_BAD_SECTORS = 4096
BEYOND_END = "beyond the end of the evidence"


def never() -> bool:
    """Go on to the end."""
    return False


class Unread(NamedTuple):
    """A range of the source that could not be read, and why."""

    offset_bytes: int
    length_bytes: int
    reason: str


class Salvage:
    """Reads around errors; one for each stream, as a leap may end in a later range of it.

    `thorough` is the second pass: sector by sector where a block fails, until `stop` says that it is enough. After so
    many bad sectors (`MOST_BAD_SECTORS`) the rest of the stream is read as in a first pass.
    """

    def __init__(self, source: ByteSource, *, thorough: bool = False, stop: Callable[[], bool] = never) -> None:
        self._source = source
        self._stop = stop
        self._sectors_left = MOST_BAD_SECTORS if thorough else 0
        self._leap = range(0)
        self._reason = ""

    def read_into(self, offset_bytes: int, view: memoryview) -> list[Unread]:
        """Fill `view` as far as that can be done, zeros elsewhere; return what is missing, in order."""
        missing: list[Unread] = []
        at = 0
        while at < len(view):
            position = offset_bytes + at
            if position in self._leap:
                length = min(self._leap.stop - position, len(view) - at)
                _leave(missing, Unread(position, length, self._reason), view[at : at + length])
            else:
                length = min(BLOCK_BYTES - position % BLOCK_BYTES, len(view) - at)
                self._read_block(position, view[at : at + length], missing)
            at += length
        return missing

    def _read_block(self, position: int, view: memoryview, missing: list[Unread]) -> None:
        try:
            got = self._source.read_into(position, view)
        except OSError as error:
            self._reason = error.strerror or str(error)
            if self._sectors_left > 0:
                self._read_sectors(position, view, missing)
                return
            _leave(missing, Unread(position, len(view), self._reason), view)
            leap_bytes = min(max(len(self._leap) * 2, BLOCK_BYTES), LONGEST_LEAP_BYTES)
            self._leap = range(position, position + leap_bytes)
            return
        self._leap = range(0)
        if got < len(view):
            _leave(missing, Unread(position + got, len(view) - got, BEYOND_END), view[got:])

    def _read_sectors(self, position: int, view: memoryview, missing: list[Unread]) -> None:
        sector_bytes = self._source.sector_bytes
        at = 0
        while at < len(view):
            length = min(sector_bytes - (position + at) % sector_bytes, len(view) - at)
            piece = view[at : at + length]
            try:
                if self._stop():
                    self._sectors_left = 0
                if self._sectors_left == 0:
                    _leave(missing, Unread(position + at, len(view) - at, self._reason), view[at:])
                    return
                got = self._source.read_into(position + at, piece)
            except OSError as error:
                self._reason = error.strerror or str(error)
                self._sectors_left -= 1
                got = 0
                _leave(missing, Unread(position + at, length, self._reason), piece)
            else:
                if got < length:
                    _leave(missing, Unread(position + at + got, length - got, BEYOND_END), piece[got:])
            at += length


def _leave(missing: list[Unread], one: Unread, view: memoryview) -> None:
    """Note a range, together with the one before where they touch; its bytes become zeros."""
    view[:] = bytes(len(view))
    if missing:
        last = missing[-1]
        if last.offset_bytes + last.length_bytes == one.offset_bytes and last.reason == one.reason:
            missing[-1] = last._replace(length_bytes=last.length_bytes + one.length_bytes)
            return
    missing.append(one)
