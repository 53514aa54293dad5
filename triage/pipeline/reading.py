"""The long read: every stream once, along the disk, by a few threads; each byte feeds examiners and rescue.

One thread at a time is at the disk: it takes the next window while the others compute, so the disk sees one orderly
sequence of reads however many threads there are. A stream of which something is unreadable is put off: it is read once
more, sector by sector, when everything else is safe, and the reading that gave more counts.
"""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from triage.model.gap import Gap
from triage.pipeline.agenda import Agenda, Item
from triage.pipeline.examination import Equipment, Examination
from triage.pipeline.examined import Examined
from triage.pipeline.guard import Guard
from triage.pipeline.journal import GapRecord
from triage.pipeline.stretch import LONGEST_BYTES, Stretch, stretches
from triage.walk.reader import StreamReader, Window, place

_TEXT_SECONDS = 0.2


def read_all(items: Iterator[Item], equipment: Equipment, threads: int) -> None:
    """Read the items with so many threads; returns when all are read or the board asks to stop.

    Where one thread fails the others stop after what they have under way; its error is raised.
    """
    turn = _Turn(items)
    readers = [_Reader(number, equipment, turn) for number in range(threads)]
    with ThreadPoolExecutor(threads, thread_name_prefix="reader") as pool:
        ended = [pool.submit(reader.run) for reader in readers]
    for future in ended:
        future.result()


def read_again(equipment: Equipment, agenda: Agenda) -> None:
    """Try once more what was put off; where the run is to end, or the evidence is lost, the first reading stands."""
    reader = _Reader(0, equipment, _Turn(iter(())))
    equipment.board.enter(0)
    for examined in equipment.put_off:
        if equipment.board.stop or agenda.lost(examined.item):
            examined.settle()
        else:
            reader.read_again(examined, agenda)
    equipment.put_off.clear()


class _Turn:
    """The next streams, and the right to be at the disk; `one_by_one` once something of it could not be read."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._stretches = stretches(items)
        self.disk = threading.Lock()
        self.one_by_one = False

    def next(self) -> Stretch | None:
        """Take the next streams; call only with `disk` held."""
        return next(self._stretches, None)


class _Reader:
    """One thread: its buffer, its examiners, its place on the board."""

    def __init__(self, number: int, equipment: Equipment, turn: _Turn) -> None:
        self._number = number
        self._equipment = equipment
        self._turn = turn
        self._held = memoryview(mmap.mmap(-1, LONGEST_BYTES))
        self._reader = StreamReader(stop=lambda: equipment.board.stop)
        self._examination = Examination(equipment)
        self._guard = Guard(self._note_gap)
        self._streams = 0
        self._bytes = 0
        self._text_due = 0.0

    def run(self) -> None:
        """Read stream after stream until there is none left or the board asks to stop."""
        with ExitStack() as on_failure:
            on_failure.callback(self._equipment.board.ask_to_stop)
            self._read_streams()
            on_failure.pop_all()

    def _read_streams(self) -> None:
        board = self._equipment.board
        board.enter(self._number)
        while not board.stop and self._read_stretch():
            pass
        board.end(self._number)
        board.count(self._number, streams=self._streams, done_bytes=self._bytes)

    def _read_stretch(self) -> bool:
        """Read the streams that come next; False where there are none."""
        with self._turn.disk:
            stretch = self._turn.next()
            if stretch is None:
                return False
            held = self._hold(stretch)
            begun = self._begin(stretch.items[0]) if held is None else None
        for item in stretch.items:
            if held is not None:
                self._announce(item)
                begun = self._reader.in_memory(item.plan, held[stretch.place_of(item)]), iter(())
            elif begun is None:
                with self._turn.disk:
                    begun = self._begin(item)
            self._read_stream(item, *begun)
            begun = None
            if self._equipment.board.stop:
                break
        return True

    def _hold(self, stretch: Stretch) -> memoryview | None:
        """Read a stretch at once; None where its streams are to be read one by one."""
        if stretch.length_bytes == 0 or self._turn.one_by_one:
            return None
        self._announce(stretch.items[0])
        held = self._held[: stretch.length_bytes]
        source = stretch.items[0].source
        if source.read_at_once(stretch.volume_offset, held):
            return held
        # Each try at a bad sector may take seconds: no other is made on behalf of the streams around it.
        self._turn.one_by_one |= stretch.volume_offset + stretch.length_bytes <= source.size_bytes
        return None

    def _begin(self, item: Item) -> tuple[Window | None, Iterator[Window]]:
        """Read the first window of a stream; return it, and those to come."""
        self._announce(item)
        windows = self._reader.windows(item.survey.ntfs, item.plan, item.source)
        return next(windows, None), windows

    def _announce(self, item: Item) -> None:
        """Say on the board what is under way."""
        self._equipment.board.begin(self._number, item.token, streams=self._streams, done_bytes=self._bytes)
        now = time.monotonic()
        if now >= self._text_due:
            self._equipment.board.text = item.plan.subject.path
            self._text_due = now + _TEXT_SECONDS

    def _read_stream(self, item: Item, window: Window | None, windows: Iterator[Window]) -> None:
        """Examine one stream and enter what came of it."""
        with self._guard.at(partial(place, item.plan)):
            self._examination.begin(item)
            examined = self._stream(item, window, windows)
            if examined is not None:
                self._enter(examined)
            else:
                self._examination.interrupt()
        if self._guard.caught:
            self._examination.give_up(item)
        self._streams += 1

    def _enter(self, examined: Examined) -> None:
        """Enter what came of a stream, or put off what may come of it yet."""
        if examined.complete or not self._reader.unreadable:
            examined.book(self._equipment.journal)
        else:
            examined.put_off(self._equipment.journal)
            self._equipment.put_off.append(examined)

    def read_again(self, first: Examined, agenda: Agenda) -> None:
        """Read a stream a second time, each sector by itself where it has to be; enter the reading that gave more."""
        item, journal = first.item, self._equipment.journal
        self._announce(item)
        second = None
        with self._guard.at(partial(place, item.plan)):
            self._examination.begin(item)
            windows = self._reader.windows(item.survey.ntfs, item.plan, thorough=True)
            second = self._stream(item, next(windows, None), windows)
        self._equipment.board.end(self._number)
        if second is None:
            self._examination.drop()
            if self._guard.caught:
                first.book(journal)
            else:
                first.settle()  # interrupted: a resumed run reads it again
        elif second.record.bytes_read >= first.record.bytes_read:
            first.drop()
            second.book(journal)
        else:
            second.drop()
            if agenda.lost(item):
                first.settle()
            else:
                first.book(journal)

    def _stream(self, item: Item, window: Window | None, windows: Iterator[Window]) -> Examined | None:
        """Feed one stream's windows to everything that wants its bytes; None where the run is to end before."""
        while window is not None:
            self._examination.feed(item, window)
            self._bytes += len(window.view) - window.fresh
            if window.is_last:
                break
            self._equipment.board.count(self._number, streams=self._streams, done_bytes=self._bytes)
            if self._equipment.board.stop:
                return None  # nothing is recorded of the stream, so a resumed run reads it again
            with self._turn.disk:
                window = next(windows, None)
        return self._examination.end(item, self._reader)

    def _note_gap(self, gap: Gap) -> None:
        self._equipment.journal.add(GapRecord(gap))
