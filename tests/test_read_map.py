"""What was read and what could not be is told to the sector, in a map that GNU ddrescue takes."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faulty_source import SECTOR_BYTES, FaultyDisk
from tests.loops import run
from tests.needs import needs_tool
from triage.evidence.open import open_evidence
from triage.evidence.read_log import ReadLog
from triage.model.errors import EvidenceLostError
from triage.model.evidence import Evidence, EvidenceFormat
from triage.model.read_map import ReadRange, ReadState
from triage.model.report import Tool
from triage.report.read_map import blocks_of, has_unreadable, write_map

_SECTORS = 60
_SIZE = _SECTORS * SECTOR_BYTES - 100
_RANK = [ReadState.UNTRIED, ReadState.FAILED, ReadState.BAD, ReadState.READ]
_RANGES = st.lists(
    st.builds(
        lambda state, first, count: ReadRange(
            state, first * SECTOR_BYTES, min(count * SECTOR_BYTES, _SIZE - first * SECTOR_BYTES)
        ),
        st.sampled_from(_RANK[1:]),
        st.integers(0, _SECTORS - 1),
        st.integers(0, 20),
    ),
    max_size=12,
)
_TOOL = Tool(name="triage", version="test", indicator_sets=())
_EVIDENCE = Evidence(path="a\nb \x1b.img", format=EvidenceFormat.RAW, size_bytes=_SIZE)


def by_sector(blocks: Iterable[ReadRange]) -> list[ReadState]:
    states = [ReadState.UNTRIED] * _SECTORS
    for one in blocks:
        end = -(-(one.offset_bytes + one.length_bytes) // SECTOR_BYTES)
        for sector in range(one.offset_bytes // SECTOR_BYTES, end if one.length_bytes > 0 else 0):
            states[sector] = max(states[sector], one.state, key=_RANK.index)
    return states


@given(_RANGES)
def test_blocks_cover_the_evidence_and_say_the_best_of_each_sector(ranges: list[ReadRange]) -> None:
    blocks = list(blocks_of(ranges, _SIZE))
    assert by_sector(blocks) == by_sector(ranges)
    assert blocks[0].offset_bytes == 0
    for one, then in pairwise(blocks):
        assert one.offset_bytes + one.length_bytes == then.offset_bytes
        assert one.state is not then.state
    assert blocks[-1].offset_bytes + blocks[-1].length_bytes == _SIZE


@needs_tool("ddrescuelog")
@given(_RANGES)
def test_ddrescuelog_reads_the_same_from_the_map(
    tmp_path_factory: pytest.TempPathFactory, ranges: list[ReadRange]
) -> None:
    path = tmp_path_factory.mktemp("map") / "evidence-1.map"
    out = io.StringIO()
    blocks = list(blocks_of(ranges, _SIZE))
    write_map(_TOOL, _EVIDENCE, blocks, out)
    path.write_text(out.getvalue())
    assert out.getvalue().isascii()
    run("ddrescuelog", "-t", path)
    states = by_sector(blocks)
    for state in ReadState:
        listed = run("ddrescuelog", f"-l{state.value}", path).split()
        assert [int(one) for one in listed] == [at for at, one in enumerate(states) if one is state]
    assert has_unreadable(blocks) is any(state in (ReadState.FAILED, ReadState.BAD) for state in states)


def test_a_log_joins_what_many_threads_read() -> None:
    log = ReadLog(1 << 30, SECTOR_BYTES)

    def note(first: int) -> None:
        for at in range(first, 200_000, 4):
            log.note_read(at * 1000, 1000)

    threads = [threading.Thread(target=note, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(log.take()) == [ReadRange(ReadState.READ, 0, -(-200_000_000 // 512) * 512)]
    assert list(log.take()) == []


def test_a_log_takes_a_read_of_nothing_far_behind_the_end() -> None:
    log = ReadLog(10_000, SECTOR_BYTES)
    log.note_read(1 << 70, 0)
    log.note_read(0, 512)
    assert list(log.take()) == [ReadRange(ReadState.READ, 0, 512)]


def test_a_log_tells_a_bad_sector_from_a_failed_read() -> None:
    log = ReadLog(10_000, SECTOR_BYTES)
    log.note_failed(1024, 4096)
    log.note_failed(1536, 512)
    log.note_failed(9900, 100)
    log.note_read(10, 0)
    log.note_read(700, 1)
    assert {(one.state.value, one.offset_bytes, one.length_bytes) for one in log.take()} == {
        ("*", 1024, 4096), ("-", 1536, 512), ("-", 9728, 272), ("+", 512, 512),
    }  # fmt: skip
    assert log.has_bad(1600, 1)
    assert log.has_bad(0, 1537)
    assert not log.has_bad(2048, 512)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(os.urandom(1 << 20))
    return path


def test_a_sector_that_failed_alone_is_not_asked_for_again(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FaultyDisk(monkeypatch)
    disk.bad = [range(5120, 5632)]
    with open_evidence(image) as source:
        for length in (4096, 512):
            with pytest.raises(OSError, match="Input/output error"):
                source.read(5120, length)
        tries = disk.tries
        for offset, length in ((5120, 512), (5500, 10), (0, 1 << 20), (4608, 1024)):
            with pytest.raises(OSError, match="Input/output error"):
                source.read(offset, length)
        assert disk.tries == tries
        assert source.read(4608, 512) == image.read_bytes()[4608:5120]
        assert not source.lost


@pytest.mark.parametrize("code", [errno.EIO, errno.ENODEV, errno.ENOTCONN])
def test_evidence_of_which_nothing_can_be_read_any_more_is_lost(
    image: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """It is not knocked at any longer, and each further read says the same at once."""
    disk = FaultyDisk(monkeypatch, code)
    with open_evidence(image) as source:
        source.read(4096, 4096)
        disk.gone = True
        for at in range(100):
            with pytest.raises((OSError, EvidenceLostError)) as raised:
                source.read(at * 8192, 8192)
        assert isinstance(raised.value, EvidenceLostError)
        assert source.lost
        assert disk.tries < 40
        assert str(image) in raised.value.message
        assert list(source.log.take()) != []


def test_a_disk_with_a_large_bad_stretch_is_not_lost(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FaultyDisk(monkeypatch)
    disk.bad = [range(100_000, 1 << 20)]
    with open_evidence(image) as source:
        source.read(0, 4096)
        for at in range(200):
            with pytest.raises(OSError, match="Input/output error"):
                source.read(100_352 + at * 4096, 4096)
        assert not source.lost
        assert source.read(0, 8192) == image.read_bytes()[:8192]
