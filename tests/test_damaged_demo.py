"""Damage that a reviewer found the program wanting on, made on the bundled disk: two lost folders, one absurd size."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import bagit
import pytest

from tests.cases import entries_by_path
from triage.demo import DEMO_INDICATORS, unpack_demo
from triage.evidence.open import open_evidence
from triage.evidence.slice import SliceSource
from triage.model.gap import GapKind
from triage.pipeline.job import Job, Options
from triage.pipeline.supervise import Result, supervise
from triage.pipeline.watch import Observer
from triage.report.seal import SigningKey
from triage.report.verify import verify_case
from triage.volumes.ntfs import NtfsVolume

VOLUME_OFFSET = 1 << 20
RECORD_BYTES = 1024
DATA = 0x80
BITMAP = 0xB0


def record_offset(image: bytes | bytearray, entry: int) -> int:
    """Return where an MFT record of the bundled disk stands; its $MFT is in one piece."""
    sector = image[VOLUME_OFFSET : VOLUME_OFFSET + 512]
    cluster_bytes = struct.unpack_from("<H", sector, 11)[0] * sector[13]
    offset = VOLUME_OFFSET + int(struct.unpack_from("<Q", sector, 48)[0]) * cluster_bytes + entry * RECORD_BYTES
    assert image[offset : offset + 4] == b"FILE"
    return int(offset)


def entry_at(image: Path, path: str) -> int:
    """Return the MFT entry at a path of the bundled disk's volume."""
    with open_evidence(image) as source:
        volume = NtfsVolume(SliceSource(source, VOLUME_OFFSET, source.size_bytes - VOLUME_OFFSET), "v1")
        return entries_by_path(volume)[path]


def examine(tmp_path: Path, damage: Callable[[bytearray, int], None], *paths: str) -> Result:
    """Run on the bundled disk after the MFT records at `paths` were damaged; `damage` gets each record's offset."""
    image = unpack_demo(tmp_path)
    content = bytearray(image.read_bytes())
    for path in paths:
        damage(content, record_offset(content, entry_at(image, path)))
    image.write_bytes(content)
    case = tmp_path / "case"
    job = Job(
        evidence=(str(image),),
        case_folder=str(case),
        rescue_to=str(case / "rescue"),
        extra_sets=(str(DEMO_INDICATORS),),
    )
    return supervise(Options(job=job, case_id="test"), SigningKey.generate(), Observer(), lambda: 0)


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return examine(tmp_path_factory.mktemp("sound"), lambda _content, _offset: None)


def test_files_of_two_lost_folders_are_kept_apart(tmp_path: Path, undamaged: Result) -> None:
    def damage(content: bytearray, offset: int) -> None:
        content[offset : offset + 4] = b"BAAD"

    result = examine(tmp_path, damage, "Users/alice", "Users/李雷")
    assert result.report.rescue is not None
    assert undamaged.report.rescue is not None
    assert result.report.rescue.by_outcome == undamaged.report.rescue.by_outcome
    assert verify_case(result.folder).problems == ()
    bagit.Bag(str(result.folder / "rescue")).validate()
    lines = (result.folder / "digests.hashdeep").read_text().splitlines()
    names = [line.split(",", 3)[3] for line in lines if not line.startswith(("%", "#"))]
    assert len(names) == len(set(names))


def attribute_at(content: bytearray, record: int, kind: int) -> int:
    """Return where the first attribute of a type stands in the record at an offset."""
    position = record + int.from_bytes(content[record + 20 : record + 22], "little")
    while int.from_bytes(content[position : position + 4], "little") != kind:
        position += int.from_bytes(content[position + 4 : position + 8], "little")
    return position


def test_sizes_beyond_64_bits_add_up(tmp_path: Path) -> None:
    def damage(content: bytearray, record: int) -> None:
        position = attribute_at(content, record, DATA)
        assert content[position + 8] == 1  # not resident
        content[position + 48 : position + 56] = b"\xff" * 8

    coverage = examine(tmp_path, damage, "Windows/tasksche.exe", "Windows/mssecsvc.exe").report.coverage
    assert coverage.bytes_total > 1 << 64
    assert sum(coverage.bytes_by_state.values()) == coverage.bytes_total
    assert "interrupted" not in coverage.streams_by_state


def test_two_streams_of_one_name_are_both_read(tmp_path: Path, undamaged: Result) -> None:
    def damage(content: bytearray, record: int) -> None:
        """Put the unnamed stream a second time behind itself, under the same number."""
        position = attribute_at(content, record, DATA)
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        used = int.from_bytes(content[record + 24 : record + 28], "little")
        assert content[position + length : position + length + 4] == b"\xff" * 4
        assert used + length < 0x1FE  # where the first fixup is
        content[position + length : position + 2 * length + 8] = content[position : position + length + 8]
        content[position + 2 * length : position + 2 * length + 8] = b"\xff" * 4 + bytes(4)
        content[record + 24 : record + 28] = (used + length).to_bytes(4, "little")

    result = examine(tmp_path, damage, "Windows/tasksche.exe")
    coverage = result.report.coverage
    assert coverage.streams == undamaged.report.coverage.streams + 1
    assert sum(coverage.streams_by_state.values()) == coverage.streams
    assert "interrupted" not in coverage.streams_by_state
    lines = (result.folder / "digests.hashdeep").read_text().splitlines()
    assert len([line for line in lines if line.endswith(",v1/Windows/tasksche.exe")]) == 2


@pytest.mark.parametrize("step", [b"\x01", b""])
def test_a_stream_of_petabytes_is_not_read_as_zeros(tmp_path: Path, undamaged: Result, step: bytes) -> None:
    """One run, or one hole, of 2^39 clusters, and sizes that fit it."""

    def damage(content: bytearray, record: int) -> None:
        position = attribute_at(content, record, DATA)
        assert content[position + 8] == 1  # not resident
        content[position + 40 : position + 64] = (1 << 51).to_bytes(8, "little") * 3
        pairs = position + int.from_bytes(content[position + 32 : position + 34], "little")
        content[pairs : pairs + 8] = (
            bytes([len(step) << 4 | 5]) + (1 << 39).to_bytes(5, "little") + step + bytes(2 - len(step))
        )

    result = examine(tmp_path, damage, "Windows/tasksche.exe")
    of_stream = [one for one in result.report.gaps if one.where.path == "Windows/tasksche.exe"]
    told = [one.bytes for one in of_stream if one.material and one.kind is GapKind.RUN_LIST and one.bytes is not None]
    assert 1 << 51 in told
    disk_bytes = result.report.evidence[0].size_bytes
    assert result.report.coverage.bytes_read < undamaged.report.coverage.bytes_read + disk_bytes


def test_a_bitmap_of_petabytes_is_a_gap(tmp_path: Path) -> None:
    def damage(content: bytearray, record: int) -> None:
        position = attribute_at(content, record, BITMAP)
        content[position + 40 : position + 64] = (1 << 51).to_bytes(8, "little") * 3

    kinds = [gap.kind for gap in examine(tmp_path, damage, "$MFT").report.gaps]
    assert GapKind.MFT_BITMAP in kinds
    assert GapKind.INTERNAL not in kinds


def test_an_absurd_size_ends_where_the_run_list_does(tmp_path: Path, undamaged: Result) -> None:
    def damage(content: bytearray, offset: int) -> None:
        position = offset + int.from_bytes(content[offset + 20 : offset + 22], "little")
        while int.from_bytes(content[position : position + 4], "little") != DATA:
            position += int.from_bytes(content[position + 4 : position + 8], "little")
        assert content[position + 8] == 1  # not resident
        content[position + 48 + 5] = 0xFF  # the real size becomes 280 TB

    result = examine(tmp_path, damage, "Windows/tasksche.exe")
    (gap,) = (gap for gap in result.report.gaps if gap.kind is GapKind.RUN_LIST)
    assert gap.material
    assert gap.bytes is not None
    assert gap.bytes > 1 << 40
    assert gap.where.path is not None
    assert gap.where.path.endswith("tasksche.exe")
    assert result.report.coverage.bytes_read <= undamaged.report.coverage.bytes_read + 4096
    assert result.report.coverage.streams_by_state["partial"] == 1
