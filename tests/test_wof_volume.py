"""Files that the Windows Overlay Filter compressed, on a volume: what is damaged of them is told, the rest is read."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cases import Case, entries_by_path, examine_here, run_case
from tests.conftest import LabDisk
from tests.lab.disk import BuiltDisk, DiskSpec
from tests.lab.odd import FORMS_FOLDER
from tests.lab.plan import sha256
from tests.lab.tables import Layout
from tests.lab.wof import STREAM_NAME
from tests.memory_source import MemorySource
from tests.mft_editor import DATA, MftEditor, attributes, runs
from triage.evidence.open import open_evidence
from triage.model.entry import StreamForm, StreamState
from triage.model.gap import Gap, GapKind
from triage.model.rescue import RescueOutcome
from triage.pipeline.journal import StreamRecord
from triage.rescue.staging import STAGING
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import read_mft
from triage.walk.order import first_offsets
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader
from triage.walk.streams import Streams

_REPARSE_POINT = 0xC0
_LARGE = "wof-xpress8k-large.txt"
_CHUNK_BYTES = 8192


@pytest.fixture
def disk(lab_disk: LabDisk) -> BuiltDisk:
    return lab_disk(spec=DiskSpec(oddities=True, layout=Layout.BARE))


@pytest.fixture
def copy(disk: BuiltDisk, tmp_path: Path) -> Path:
    return Path(shutil.copy(disk.image, tmp_path / "volume.img"))


def _entry(image: Path, name: str = _LARGE) -> int:
    with open_evidence(str(image)) as source:
        return entries_by_path(NtfsVolume(source, "v1"))[f"{FORMS_FOLDER}/{name}"]


def _stored_at(image: Path) -> int:
    """Return where the compressed bytes of the large file start."""
    mft = MftEditor(image)
    record = mft.record(_entry(image))
    (stored,) = [one for one in attributes(record) if one.type == DATA and one.name == STREAM_NAME]
    ((cluster, _count),) = runs(record, stored)
    return cluster * mft.cluster_bytes


def _seen(case: Case, name: str = _LARGE) -> tuple[StreamRecord, list[Gap]]:
    path = f"{FORMS_FOLDER}/{name}"
    (record,) = [one for one in case.streams if one.path == path and not one.stream]
    return record, [gap for gap in case.report.gaps if gap.where.path == path]


def test_a_damaged_table_leaves_a_file_read_in_part_and_rescued_as_incomplete(
    disk: BuiltDisk, copy: Path, tmp_path: Path
) -> None:
    """The table's fifth entry says where the sixth chunk starts: that and the one before are lost."""
    MftEditor(copy).write(_stored_at(copy) + 4 * 4, bytes(4))
    case = run_case([copy], tmp_path / "case")
    one, gaps = _seen(case)
    assert (one.state, one.form, one.sha256) == (StreamState.PARTIAL, StreamForm.WOF, "")
    assert one.bytes_read == one.size_bytes - 2 * _CHUNK_BYTES
    (gap,) = [gap for gap in gaps if gap.kind is GapKind.NOT_DECODABLE]
    assert (gap.where.offset_bytes, gap.bytes, gap.material) == (4 * _CHUNK_BYTES, 2 * _CHUNK_BYTES, True)
    (saved,) = case.files(RescueOutcome.INCOMPLETE)
    assert saved.path == one.path
    assert saved.bag_path is not None
    with_holes = bytearray((case.bag / saved.bag_path).read_bytes())
    assert with_holes[4 * _CHUNK_BYTES : 6 * _CHUNK_BYTES] == bytes(2 * _CHUNK_BYTES)
    truth = disk.stream(one.path)
    assert len(with_holes) == truth.size_bytes
    whole = {one.sha256 for one in case.streams}
    assert {one.sha256 for one in disk.streams if "wof" in one.path and one.path != truth.path} <= whole


def test_a_file_of_which_nothing_can_be_decoded_is_not_decodable(copy: Path, tmp_path: Path) -> None:
    MftEditor(copy).write(_stored_at(copy), bytes(60_000))
    MftEditor(copy).write(_stored_at(copy) + 60_000, bytes(60_000))
    case = run_case([copy], tmp_path / "case")
    one, gaps = _seen(case)
    assert (one.state, one.bytes_read, one.sha256) == (StreamState.NOT_DECODABLE, 0, "")
    assert [(gap.kind, gap.bytes) for gap in gaps if gap.material] == [(GapKind.NOT_DECODABLE, one.size_bytes)]
    assert [file.detail for file in case.files(RescueOutcome.FAILED) if file.path == one.path] == [
        "XPRESS8K (CompactOS) not decoded: the table of compressed chunks is damaged"
    ]
    assert not (case.bag / STAGING).exists()


def test_unreadable_sectors_under_compressed_bytes_cost_their_chunk(disk: BuiltDisk) -> None:
    """Of chunks a few kilobytes long the smallest range that is retried may touch two or three."""
    start = _stored_at(disk.image) + 40_000
    source = MemorySource(disk.image.read_bytes(), unreadable=range(start, start + 1))
    volume = NtfsVolume(source, "v1")
    table = read_mft(volume)
    streams, reader = Streams(volume, table, Paths(table)), StreamReader(65_536, 8192)
    head = streams.unnamed_head(_entry(disk.image))
    assert head is not None
    plan = streams.plan(head)
    content = b"".join(bytes(window.view[window.fresh :]) for window in reader.windows(volume, plan))
    assert reader.state is StreamState.PARTIAL
    (gap,) = reader.gaps(plan)
    assert gap.kind is GapKind.READ_ERROR
    assert gap.bytes is not None
    assert gap.bytes <= 3 * _CHUNK_BYTES
    assert gap.where.offset_bytes is not None
    assert content[gap.where.offset_bytes :][: gap.bytes] == bytes(gap.bytes)
    assert reader.bytes_read == len(content) - gap.bytes
    truth = disk.stream(plan.subject.path)
    assert len(content) == truth.size_bytes
    assert sha256(content) != truth.sha256


def _wim_backed(record: bytearray) -> None:
    struct.pack_into("<I", record, _value(record, _REPARSE_POINT) + 12, 1)


def _unknown_algorithm(record: bytearray) -> None:
    struct.pack_into("<I", record, _value(record, _REPARSE_POINT) + 20, 4)


def _short_point(record: bytearray) -> None:
    (point,) = [one for one in attributes(record) if one.type == _REPARSE_POINT]
    struct.pack_into("<I", record, point.offset + 0x10, 8)
    struct.pack_into("<H", record, _value(record, _REPARSE_POINT) + 4, 0)


def _without_stream(record: bytearray) -> None:
    (stored,) = [one for one in attributes(record) if one.name == STREAM_NAME]
    name = stored.offset + stored.field(record, 0x0A, "<H")
    record[name : name + 2] = "w".encode("utf-16-le")


def _sparse_stream(record: bytearray) -> None:
    (stored,) = [one for one in attributes(record) if one.name == STREAM_NAME]
    struct.pack_into("<H", record, stored.offset + 0x0C, 0x8000)


def _short_stream(record: bytearray) -> None:
    (stored,) = [one for one in attributes(record) if one.name == STREAM_NAME]
    for field in (0x30, 0x38):
        struct.pack_into("<Q", record, stored.offset + field, 100)


def _value(record: bytearray, kind: int) -> int:
    (one,) = [one for one in attributes(record) if one.type == kind]
    return one.offset + one.field(record, 0x14, "<H")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_wim_backed, "its content lies in a WIM file (WIMBoot)"),
        (_unknown_algorithm, "unknown form: version 1, provider 2, version 1, algorithm 4"),
        (_short_point, "its reparse point is cut short"),
        (_without_stream, "it has no stream WofCompressedData"),
        (_sparse_stream, "its WofCompressedData: sparse"),
        (_short_stream, "WofCompressedData of 100 bytes cannot hold 29 chunks"),
    ],
)
def test_what_has_no_known_form_is_not_decodable_and_says_why(
    copy: Path, tmp_path: Path, change: Callable[[bytearray], None], reason: str
) -> None:
    mft, entry = MftEditor(copy), _entry(copy)
    record = mft.record(entry)
    change(record)
    mft.put(entry, record)
    one, gaps = _seen(examine_here(copy, tmp_path / "case"))
    assert (one.state, one.bytes_read, one.sha256) == (StreamState.NOT_DECODABLE, 0, "")
    assert [(gap.kind, gap.bytes, gap.material) for gap in gaps if gap.where.stream is None] == [
        (GapKind.NOT_DECODABLE, one.size_bytes, True)
    ]
    assert f"compressed by CompactOS (WOF): {reason}" in {gap.detail for gap in gaps}


def test_a_file_is_read_where_its_compressed_bytes_lie(disk: BuiltDisk) -> None:
    with open_evidence(str(disk.image)) as source:
        volume = NtfsVolume(source, "v1")
        table = read_mft(volume)
        streams = Streams(volume, table, Paths(table))
        cluster_bytes = volume.geometry.cluster_bytes
        offsets = first_offsets(table, streams.rows_on_disk(streams.heads), 0, cluster_bytes).tolist()
    by_head = dict(zip(streams.heads.tolist(), offsets, strict=True))
    heads = {streams.name(head): head for head in streams.heads_of(_entry(disk.image))}
    assert by_head[heads[""]] == by_head[heads[STREAM_NAME]] == _stored_at(disk.image)


def test_a_reparse_point_in_an_extension_record_is_its_files(disk: BuiltDisk) -> None:
    with open_evidence(str(disk.image)) as source:
        volume = NtfsVolume(source, "v1")
        entry = _entry(disk.image, "wof-extended.txt")
        entries = read_mft(volume).entries
        record = entries.reparse_offset.item(entry) // volume.geometry.record_bytes
    assert record != entry
    assert entries.base_entry[record] == entry
    assert entries.reparse_tag[entry] == 0x80000017
