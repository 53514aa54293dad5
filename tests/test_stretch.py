"""Small streams that lie one behind the other are read at once, and come to the same as read by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.cases import examine_here
from tests.faulty_source import FaultyDisk
from tests.lab.mounts import mount_for_writing
from tests.lab.volume import make_volume
from tests.needs import needs_root, needs_tool
from triage.evidence.open import open_evidence
from triage.evidence.source import EvidenceSource
from triage.indicators.load import load_indicators
from triage.model.entry import StreamState
from triage.model.gap import Gap
from triage.model.told import Notes
from triage.pipeline import stretch
from triage.pipeline.agenda import Agenda, Done, Item
from triage.pipeline.discover import discover
from triage.pipeline.stretch import stretches
from triage.pipeline.survey import Surveyor

pytestmark = [needs_tool("mkntfs"), needs_tool("ntfs-3g"), needs_root()]

_SMALL = 60


class Volume(Struct, frozen=True, kw_only=True):
    """An image, and each file's content."""

    image: Path
    files: dict[str, bytes]

    def place_of(self, name: str) -> int:
        """Return where a file's content lies, in bytes."""
        return self.image.read_bytes().index(self.files[name])


class Tries(list[tuple[int, int, bool]]):
    """What was asked for at once: where, how much, and whether it was given."""

    @property
    def failed(self) -> int:
        """How many were not given."""
        return sum(not given for _, _, given in self)


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    image = tmp_path_factory.mktemp("stretch") / "volume.img"
    make_volume(image, size_bytes=64 << 20, cluster_bytes=4096, offset_bytes=0, label="stretch")
    sizes = {f"small{number}": 700 * (number + 2) for number in range(_SMALL)}
    sizes |= {"resident": 100, "empty": 0, "large": 3 << 20, "after": 5000}
    files = {name: hashlib.shake_128(name.encode()).digest(size) for name, size in sizes.items()}
    with mount_for_writing(image) as root:
        for name, content in files.items():
            (root / name).write_bytes(content)
    return Volume(image=image, files=files)


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> Tries:
    told, read_at_once = Tries(), EvidenceSource.read_at_once

    def noted(source: EvidenceSource, offset_bytes: int, view: memoryview) -> bool:
        given = read_at_once(source, offset_bytes, view)
        told.append((offset_bytes, len(view), given))
        return given

    monkeypatch.setattr(EvidenceSource, "read_at_once", noted)
    return told


@pytest.fixture
def items(volume: Volume) -> Iterator[list[Item]]:
    with open_evidence(volume.image) as source:
        gaps: list[Gap] = []
        (found,) = discover([source], gaps.append)
        assert found.ntfs is not None
        surveyor = Surveyor(load_indicators(), Notes(lambda _finding: None, lambda _event: None, gaps.append))
        survey = surveyor.survey(0, found, found.ntfs, begin=lambda _row, _where: False)
        assert gaps == []
        yield list(Agenda([survey], [source], Done(), rescue=False).items())


def seen_in(folder: Path, volume: Volume) -> dict[str, tuple[StreamState, str]]:
    """Examine the volume; return state and SHA-256 of its files."""
    case = examine_here(volume.image, folder, threads=1)
    return {one.path: (one.state, one.sha256) for one in case.streams if one.path in volume.files}


def true_of(volume: Volume) -> dict[str, tuple[StreamState, str]]:
    return {name: (StreamState.READ, hashlib.sha256(content).hexdigest()) for name, content in volume.files.items()}


def test_many_small_files_cost_a_few_reads_and_come_out_right(volume: Volume, tries: Tries, tmp_path: Path) -> None:
    assert seen_in(tmp_path / "case", volume) == true_of(volume)
    assert tries.failed == 0
    at = [volume.place_of(f"small{number}") for number in range(_SMALL)]
    holding = {first for first, length, _ in tries for place in at if first <= place < first + length}
    assert len(holding) <= -(-_SMALL // stretch._MOST_STREAMS) + 2


def test_all_streams_stand_in_their_order_and_within_the_bounds(
    items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretch, "LONGEST_BYTES", 100_000)
    monkeypatch.setattr(stretch, "_LARGEST_STREAM_BYTES", 40_000)
    joined = list(stretches(iter(items)))
    assert [item for one in joined for item in one.items] == items
    at_once = [one for one in joined if one.length_bytes > 0]
    assert max(len(one.items) for one in at_once) > 1
    assert all(one.length_bytes <= 100_000 for one in at_once)
    for one in joined:
        if one.length_bytes == 0:
            (item,) = one.items
            extent = item.plan.only_extent
            assert extent is None or extent.length_bytes > 40_000
    for one in at_once:
        for item in one.items:
            place, extent = one.place_of(item), item.plan.only_extent
            assert extent is not None
            assert (one.volume_offset + place.start, place.stop - place.start) == (
                extent.volume_offset,
                item.size_bytes,
            )
            assert 0 <= place.start < place.stop <= one.length_bytes


def test_bad_sectors_cost_one_try_more_and_their_own_files_alone(
    volume: Volume, tries: Tries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ("small10", "small50")
    disk = FaultyDisk(monkeypatch)
    disk.image = volume.image
    disk.bad = [range(at, at + 512) for at in map(volume.place_of, broken)]
    seen, true = seen_in(tmp_path / "case", volume), true_of(volume)
    assert {seen.pop(name)[0] for name in broken} == {StreamState.PARTIAL}
    assert seen == {name: told for name, told in true.items() if name not in broken}
    assert tries.failed == 1


def test_an_image_that_ends_within_a_stretch_gives_what_it_holds(volume: Volume, tries: Tries, tmp_path: Path) -> None:
    at = volume.place_of("small30")
    cut = tmp_path / "cut.img"
    cut.write_bytes(volume.image.read_bytes()[: at + 1024])
    seen = seen_in(tmp_path / "case", Volume(image=cut, files=volume.files))
    true = true_of(volume)
    whole = {name for name, content in volume.files.items() if len(content) <= 100 or volume.place_of(name) < at}
    assert {name for name, told in seen.items() if told == true[name]} == whole
    assert {seen[name][0] for name in true.keys() - whole} == {StreamState.PARTIAL}
    assert tries.failed == 0  # what lies behind the end is not asked for
