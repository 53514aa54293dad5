"""The heads move one way: a small file in pieces is read piece by piece as they pass, and is whole all the same."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.mounts import mount_for_writing
from tests.needs import needs_root, needs_tool
from triage.evidence.source import EvidenceSource
from triage.indicators.load import load_indicators
from triage.model.entry import StreamState
from triage.model.evidence import EvidenceFormat
from triage.model.gap import Gap
from triage.model.told import Notes
from triage.pipeline import pieces
from triage.pipeline.agenda import Agenda, Done, Item
from triage.pipeline.discover import discover
from triage.pipeline.survey import Surveyor
from triage.volumes.extents import Extent
from triage.volumes.runs import HOLE
from triage.walk.order import in_several_runs
from triage.walk.reader import StreamReader

pytestmark = [needs_tool("mkntfs"), needs_tool("ntfs-3g"), needs_root()]

_STRETCH_BYTES = 32 << 10
_FILE_BYTES = 100_000


class Disk(EvidenceSource):
    """An image that notes where it is read, and may have a place that is not readable."""

    def __init__(self, image: Path) -> None:
        super().__init__(image, EvidenceFormat.RAW, [(image, image.stat().st_size)], 512)
        self.reads: list[tuple[int, int]] = []
        self.bad = range(0)

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        self._note(offset_bytes, len(view))
        return super().read_into(offset_bytes, view)

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self._note(offset_bytes, length_bytes)
        return super().read(offset_bytes, length_bytes)

    def prefetch(self, offset_bytes: int, length_bytes: int) -> None:
        """Nothing: what is read is what counts here."""

    def _note(self, offset_bytes: int, length_bytes: int) -> None:
        self.reads.append((offset_bytes, length_bytes))
        if range(max(offset_bytes, self.bad.start), min(offset_bytes + length_bytes, self.bad.stop)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A volume with files that were written a stretch at a time, in turns, and those files' digests."""
    image = tmp_path_factory.mktemp("pieces") / "volume.img"
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkntfs", "-F", "-Q", "-q", str(image)], check=True, capture_output=True)
    contents = {f"pieces{number}": hashlib.shake_128(str(number).encode()).digest(_FILE_BYTES) for number in range(20)}
    with mount_for_writing(image) as root:
        for start in range(0, _FILE_BYTES, _STRETCH_BYTES):
            for name, content in contents.items():
                with (root / name).open("ab") as file:
                    file.write(content[start : start + _STRETCH_BYTES])
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return image, digests


@contextmanager
def agenda_of(image: Path) -> Iterator[tuple[Disk, Agenda]]:
    gaps: list[Gap] = []
    with Disk(image) as disk:
        (found,) = discover([disk], gaps.append)
        if found.ntfs is None:
            raise ValueError("no NTFS")
        surveyor = Surveyor(load_indicators(), Notes(lambda _finding: None, lambda _event: None, gaps.append))
        survey = surveyor.survey(0, found, found.ntfs, begin=lambda _row, _where: False)
        assert gaps == []
        assert in_several_runs(survey.table, survey.streams.heads).sum() >= 10
        yield disk, Agenda([survey], [disk], Done(), rescue=False)


def read_all(items: Iterator[Item]) -> dict[str, tuple[StreamState, str]]:
    """Read everything; return each path's state and digest."""
    reader, seen = StreamReader(), {}
    for item in items:
        digest = hashlib.sha256()
        for window in reader.windows(item.survey.ntfs, item.plan, item.source):
            digest.update(window.view[window.fresh :])
        seen[item.plan.subject.path] = (reader.state, digest.hexdigest())
    return seen


def test_the_heads_move_one_way(volume: tuple[Path, dict[str, str]]) -> None:
    image, digests = volume
    with agenda_of(image) as (disk, agenda):
        disk.reads.clear()
        seen = read_all(agenda.items())
        starts = [start for start, _ in disk.reads]
    assert starts == sorted(starts)
    assert {path: seen[path] for path in digests} == {path: (StreamState.READ, one) for path, one in digests.items()}


def test_without_room_to_hold_pieces_files_are_whole_all_the_same(
    volume: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, digests = volume
    monkeypatch.setattr(pieces, "_MOST_HELD_BYTES", 3 * _STRETCH_BYTES)
    with agenda_of(image) as (disk, agenda):
        disk.reads.clear()
        seen = read_all(agenda.items())
        starts = [start for start, _ in disk.reads]
    assert starts != sorted(starts)
    assert {path: seen[path] for path in digests} == {path: (StreamState.READ, one) for path, one in digests.items()}


def test_a_piece_that_cannot_be_read_is_told_by_its_file(volume: tuple[Path, dict[str, str]]) -> None:
    image, digests = volume
    with agenda_of(image) as (disk, agenda):
        plans = {item.plan.subject.path: item.plan for item in agenda.items()}
        broken = next(path for path in digests if len(plans[path].extents) > 1)
        first = pieces.in_pieces(plans[broken].extents)[0]
        disk.bad = range(first.volume_offset, first.volume_offset + 512)
    with agenda_of(image) as (again, agenda):
        again.bad = disk.bad
        seen = read_all(agenda.items())
    assert seen[broken][0] is StreamState.PARTIAL
    assert [path for path in digests if seen[path] != (StreamState.READ, digests[path])] == [broken]


def test_what_is_left_out_is_not_held(volume: tuple[Path, dict[str, str]]) -> None:
    image, digests = volume
    with agenda_of(image) as (_, agenda):
        tokens = {item.token for item in agenda.items() if item.plan.subject.path in digests}
    with agenda_of(image) as (disk, agenda):
        disk.reads.clear()
        seen = read_all(agenda.items(leave_out=tokens))
        left_out = sum(length for _, length in disk.reads)
    assert digests.keys().isdisjoint(seen)
    with agenda_of(image) as (disk, agenda):
        disk.reads.clear()
        assert read_all(agenda.items(only=tokens)).keys() == digests.keys()
        assert sum(length for _, length in disk.reads) == len(digests) * _FILE_BYTES
    assert left_out + len(digests) * _FILE_BYTES < image.stat().st_size


def test_holes_and_large_streams_have_no_pieces() -> None:
    small = [Extent(0, 4096, 9000), Extent(4096, 4096, HOLE), Extent(8192, 4096, 5000)]
    assert pieces.in_pieces(small) == [small[2], small[0]]
    large = [one._replace(length_bytes=pieces.LARGEST_IN_PIECES_BYTES) for one in small]
    assert pieces.in_pieces(large) == pieces.in_pieces(small[:2]) == pieces.in_pieces([]) == []
