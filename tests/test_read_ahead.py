"""What is read ahead is what the evidence holds, past the page cache, whatever is asked in whatever order."""

from __future__ import annotations

import errno
import os
import random
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loops import run
from tests.needs import needs_tool
from triage.evidence.ahead import ALIGNMENT_BYTES, PIECE_BYTES, ReadAhead
from triage.evidence.open import open_evidence

SIZE_BYTES = 3 * PIECE_BYTES + 4567
CONTENT = random.Random(445).randbytes(SIZE_BYTES)
RING_BYTES = 2 * PIECE_BYTES


class Disk:
    """Bytes in memory that note what is fetched and refuse what does not follow O_DIRECT's rules."""

    def __init__(self, bad: range = range(0)) -> None:
        self.fetched: list[tuple[int, int]] = []
        self._bad = bad

    def fetch(self, offset_bytes: int, view: memoryview) -> int:
        assert offset_bytes % ALIGNMENT_BYTES == len(view) % ALIGNMENT_BYTES == 0
        self.fetched.append((offset_bytes, len(view)))
        if range(max(offset_bytes, self._bad.start), min(offset_bytes + len(view), self._bad.stop)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        piece = CONTENT[offset_bytes : offset_bytes + len(view)]
        view[: len(piece)] = piece
        return len(piece)


def uncached(_offset_bytes: int, _length_bytes: int) -> bool:
    return False


RANGES = st.tuples(st.integers(0, SIZE_BYTES - 1), st.integers(0, PIECE_BYTES * 3 // 2))


@given(asked=st.lists(RANGES, max_size=6), wanted=st.lists(RANGES, max_size=6))
def test_whatever_is_given_is_what_the_disk_holds(asked: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> None:
    ahead = ReadAhead(Disk().fetch, uncached, RING_BYTES)
    try:
        for start, length in asked:
            ahead.ask(start, min(start + length, SIZE_BYTES))
        for start, length in wanted:
            view = bytearray(length)
            filled = ahead.read_into(start, memoryview(view))
            assert view[:filled] == CONTENT[start : start + filled]
            assert not any(view[filled:])
    finally:
        ahead.close()


def test_all_that_was_asked_for_is_given_and_fetched_once() -> None:
    disk = Disk()
    ahead = ReadAhead(disk.fetch, uncached)
    ahead.ask(1000, SIZE_BYTES)
    view = bytearray(SIZE_BYTES - 1000)
    assert ahead.read_into(1000, memoryview(view)) == len(view)
    assert view == CONTENT[1000:]
    ahead.close()
    assert sum(length for _, length in disk.fetched) < SIZE_BYTES + 2 * len(disk.fetched) * ALIGNMENT_BYTES


def test_the_ring_keeps_the_latest() -> None:
    ahead = ReadAhead(Disk().fetch, uncached, RING_BYTES)
    ahead.ask(0, SIZE_BYTES)
    view = memoryview(bytearray(1))
    assert ahead.read_into(SIZE_BYTES - 1, view) == 1
    assert view[0] == CONTENT[-1]
    assert ahead.read_into(0, view) == 0
    ahead.close()


def test_what_cannot_be_fetched_is_not_there() -> None:
    ahead = ReadAhead(Disk(bad=range(PIECE_BYTES, PIECE_BYTES + 1)).fetch, uncached)
    ahead.ask(0, 3 * PIECE_BYTES)
    view = memoryview(bytearray(3 * PIECE_BYTES))
    assert ahead.read_into(0, view) == PIECE_BYTES
    assert ahead.read_into(PIECE_BYTES, view) == 0
    assert ahead.read_into(2 * PIECE_BYTES, view[:PIECE_BYTES]) == PIECE_BYTES
    ahead.close()


def test_what_the_page_cache_holds_is_left_there() -> None:
    disk = Disk()
    ahead = ReadAhead(disk.fetch, lambda offset_bytes, _length: offset_bytes == 0)
    ahead.ask(0, 2 * PIECE_BYTES)
    view = memoryview(bytearray(PIECE_BYTES))
    assert ahead.read_into(0, view) == 0
    assert ahead.read_into(PIECE_BYTES, view) == PIECE_BYTES
    assert disk.fetched == [(PIECE_BYTES, PIECE_BYTES)]
    ahead.close()


def test_nobody_waits_for_a_reader_that_ended() -> None:
    hold = threading.Event()

    def fetch(offset_bytes: int, view: memoryview) -> int:
        hold.wait()
        return Disk().fetch(offset_bytes, view)

    ahead = ReadAhead(fetch, uncached)
    ahead.ask(0, 2 * PIECE_BYTES)
    got: list[int] = []
    waiting = threading.Thread(target=lambda: got.append(ahead.read_into(PIECE_BYTES, memoryview(bytearray(9)))))
    waiting.start()
    closing = threading.Thread(target=ahead.close)
    closing.start()
    hold.set()
    closing.join()
    waiting.join()
    assert got in ([0], [9])


def test_many_threads_read_one_ring() -> None:
    ahead = ReadAhead(Disk().fetch, uncached, RING_BYTES)
    wrong: list[int] = []

    def read(start: int) -> None:
        view = bytearray(5000)
        for at in range(start, SIZE_BYTES, 50_000):
            filled = ahead.read_into(at, memoryview(view))
            if view[:filled] != CONTENT[at : at + filled]:
                wrong.append(at)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(0, 40_000, 10_000)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        ahead.ask(0, SIZE_BYTES)
    for thread in threads:
        thread.join()
    ahead.close()
    assert wrong == []


def cached_bytes(path: Path) -> int:
    return int(run("fincore", "--bytes", "--noheadings", "--output", "RES", path))


@pytest.mark.parametrize("segment_bytes", [SIZE_BYTES, PIECE_BYTES + ALIGNMENT_BYTES])
@needs_tool("fincore")
def test_evidence_passes_the_page_cache(tmp_path: Path, segment_bytes: int) -> None:
    paths = []
    for number, start in enumerate(range(0, SIZE_BYTES, segment_bytes), 1):
        path = tmp_path / f"disk.{number:03d}"
        path.write_bytes(CONTENT[start : start + segment_bytes])
        paths.append(path)
    with open_evidence(paths[0]) as source:
        os.sync()
        source.drop_cache()
        if sum(map(cached_bytes, paths)) > 0:
            pytest.skip("needs a file system that can forget its cache")
        view = memoryview(bytearray(SIZE_BYTES))
        source.prefetch(0, SIZE_BYTES)
        assert source.read_into(0, view) == SIZE_BYTES
        assert view == CONTENT
        assert sum(map(cached_bytes, paths)) < PIECE_BYTES // 8  # the last bytes of a file go through it
        assert source.read(5, 10) == CONTENT[5:15]


def test_evidence_that_shrinks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(CONTENT)
    with open_evidence(path) as source:
        os.truncate(path, PIECE_BYTES)
        source.prefetch(0, SIZE_BYTES)
        view = memoryview(bytearray(SIZE_BYTES))
        assert source.read_into(0, view[:PIECE_BYTES]) == PIECE_BYTES
        with pytest.raises(OSError, match="became shorter"):
            source.read_into(0, view)


def test_a_file_system_that_has_no_way_past_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(CONTENT)
    opened = os.open

    def refuse(name: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return opened(name, flags, mode)

    with open_evidence(path) as source:
        monkeypatch.setattr(os, "open", refuse)
        source.prefetch(0, SIZE_BYTES)
        view = memoryview(bytearray(SIZE_BYTES))
        assert source.read_into(0, view) == SIZE_BYTES
        assert view == CONTENT
