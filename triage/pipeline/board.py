"""The board: a page of shared memory on which the worker says what it is doing and the supervisor may ask it to stop.

No messages are sent and nobody waits: the worker writes numbers, the supervisor looks at them a few times a second.
When a worker dies, the board still tells what each of its threads had under way.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from enum import IntEnum

from msgspec import Struct

from triage.pipeline.job import Token

MAX_THREADS = 8
_NUMBER = struct.Struct("<q")
_WHOLE_SLOT = struct.Struct("<qqqqq")
_UNDER_WAY = struct.Struct("<qqqq")
_HEADER_NUMBERS = 8
_SLOT_NUMBERS = 5
_TEXT_OFFSET = 4096
_TEXT_BYTES = 1024
_BOARD_BYTES = 8192


class Phase(IntEnum):
    """What the worker is at."""

    STARTING = 0
    ENUMERATING = 1
    HIVES = 2
    READING = 3
    COMMITTING = 4
    ENDED = 5


class _Header(IntEnum):
    STOP = 0
    PHASE = 1
    BYTES_TOTAL = 2
    STREAMS_TOTAL = 3
    FINDINGS = 4
    SURVEYED = 5


class _Slot(IntEnum):
    VOLUME = 0
    ROW = 1
    BYTES_DONE = 2
    STREAMS_DONE = 3
    THREAD = 4


class Slot(Struct, frozen=True):
    """What a thread, named by the kernel's number, has under way and how far it is."""

    token: Token
    bytes_done: int
    streams_done: int
    thread: int


class Board:
    """Numbers in shared memory; each is written by one thread only, so no lock is needed."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _BOARD_BYTES)

    @classmethod
    def create(cls) -> Board:
        """Make an empty board, whose descriptor a child process can inherit."""
        descriptor = os.memfd_create("triage-board")
        os.ftruncate(descriptor, _BOARD_BYTES)
        board = cls(descriptor)
        board.reset()
        return board

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.descriptor)

    def reset(self) -> None:
        """Clear everything for a new worker."""
        self._memory[:] = bytes(_BOARD_BYTES)
        for thread in range(MAX_THREADS):
            self._put(_slot(thread, _Slot.VOLUME), -1)

    @property
    def stop(self) -> bool:
        """Whether the worker was asked to stop."""
        return self._get(_Header.STOP) != 0

    def ask_to_stop(self) -> None:
        """Ask the worker to end after what it has under way."""
        self._put(_Header.STOP, 1)

    @property
    def phase(self) -> Phase:
        """What the worker is at."""
        return Phase(self._get(_Header.PHASE))

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self._put(_Header.PHASE, phase)

    @property
    def surveyed_bytes(self) -> int:
        """Length of the journal when metadata, hives and names of all volumes were in; 0 before that."""
        return self._get(_Header.SURVEYED)

    @surveyed_bytes.setter
    def surveyed_bytes(self, journal_bytes: int) -> None:
        self._put(_Header.SURVEYED, journal_bytes)

    def set_totals(self, streams: int, total_bytes: int) -> None:
        """Say how much there is to read."""
        self._put(_Header.STREAMS_TOTAL, streams)
        self._put(_Header.BYTES_TOTAL, total_bytes)

    @property
    def bytes_total(self) -> int:
        """Bytes to read."""
        return self._get(_Header.BYTES_TOTAL)

    @property
    def streams_total(self) -> int:
        """Streams to read."""
        return self._get(_Header.STREAMS_TOTAL)

    @property
    def bytes_done(self) -> int:
        """Bytes read by all threads."""
        return sum(self._get(_slot(thread, _Slot.BYTES_DONE)) for thread in range(MAX_THREADS))

    @property
    def streams_done(self) -> int:
        """Streams ended by all threads."""
        return sum(self._get(_slot(thread, _Slot.STREAMS_DONE)) for thread in range(MAX_THREADS))

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The places of the threads that have something under way."""
        places = (_slot(thread, _Slot.VOLUME) * _NUMBER.size for thread in range(MAX_THREADS))
        numbers = (_WHOLE_SLOT.unpack_from(self._memory, place) for place in places)
        return tuple(
            Slot(Token(volume, row), done_bytes, streams, thread)
            for volume, row, done_bytes, streams, thread in numbers
            if volume >= 0
        )

    @property
    def under_way(self) -> tuple[Token, ...]:
        """What the threads have under way."""
        return tuple(dict.fromkeys(slot.token for slot in self.slots))

    def enter(self, thread: int) -> None:
        """Say that the calling thread, under the kernel's number, has this place from now on."""
        self._put(_slot(thread, _Slot.THREAD), threading.get_native_id())

    def begin(self, thread: int, token: Token, *, streams: int = 0, done_bytes: int = 0) -> None:
        """Say what a thread starts on, and what it has done so far."""
        place = _slot(thread, _Slot.VOLUME) * _NUMBER.size
        _UNDER_WAY.pack_into(self._memory, place, token.volume, token.row, done_bytes, streams)

    def end(self, thread: int) -> None:
        """Say that the thread has nothing under way."""
        self._put(_slot(thread, _Slot.VOLUME), -1)

    def count(self, thread: int, *, streams: int, done_bytes: int) -> None:
        """Set a thread's running totals."""
        self._put(_slot(thread, _Slot.BYTES_DONE), done_bytes)
        self._put(_slot(thread, _Slot.STREAMS_DONE), streams)

    @property
    def text(self) -> str:
        """What is being read, for people."""
        raw = self._memory[_TEXT_OFFSET : _TEXT_OFFSET + _TEXT_BYTES].split(b"\0", 1)[0]
        return raw.decode("utf-8", "replace")

    @text.setter
    def text(self, text: str) -> None:
        raw = text.encode("utf-8", "replace")[: _TEXT_BYTES - 1]
        self._memory[_TEXT_OFFSET : _TEXT_OFFSET + len(raw) + 1] = raw + b"\0"

    def _get(self, number: int) -> int:
        value: int = _NUMBER.unpack_from(self._memory, number * _NUMBER.size)[0]
        return value

    def _put(self, number: int, value: int) -> None:
        _NUMBER.pack_into(self._memory, number * _NUMBER.size, value)


def _slot(thread: int, number: _Slot) -> int:
    return _HEADER_NUMBERS + thread * _SLOT_NUMBERS + number
