"""Damage to the bones of a volume: `$MFT` and its mirror, run lists, lists of attributes. Nothing hangs."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cases import Case, entries_by_path, examine_here, run_case
from tests.conftest import LabDisk
from tests.faulty_source import FaultyDisk
from tests.lab.disk import DiskSpec
from tests.lab.mounts import mount_for_writing, on_mount
from tests.lab.plan import Kind, LabFile
from tests.lab.tables import Layout
from tests.lab.volume import fill_volume, make_volume
from tests.mft_editor import DATA, STRIDE_BYTES, Attribute, MftEditor, attributes, runs
from triage.evidence.open import open_evidence
from triage.model.entry import StreamState
from triage.model.errors import EvidenceError, ExitCode
from triage.model.gap import GapKind
from triage.model.rescue import RescueOutcome
from triage.model.verdict import Outcome, Stage
from triage.report.verify import verify_case
from triage.volumes.ntfs import NtfsVolume

_VOLUME_BYTES = 16 << 20
_HEALTHY = DiskSpec(stage=Stage.NONE, layout=Layout.BARE, volume_bytes=_VOLUME_BYTES)
_ODD = DiskSpec(stage=Stage.NONE, layout=Layout.BARE, volume_bytes=_VOLUME_BYTES, oddities=True)
_ATTRIBUTE_LIST = 0x20
_DOCUMENT = "Users/alice/Documents/contract.pdf"
_OTHER = "Users/alice/Documents/letter.doc"


@pytest.fixture
def healthy(lab_disk: LabDisk, tmp_path: Path) -> Case:
    return examine_here(lab_disk(spec=_HEALTHY).image, tmp_path / "healthy")


@pytest.fixture
def copy(lab_disk: LabDisk, tmp_path: Path) -> Path:
    return Path(shutil.copy(lab_disk(spec=_HEALTHY).image, tmp_path / "volume.img"))


def entry_of(case: Case, path: str) -> int:
    (entry,) = {one.mft_entry for one in case.streams if one.path == path}
    return entry


def data_of(record: bytearray) -> Attribute:
    (data,) = (one for one in attributes(record) if one.type == DATA and one.name == "")
    return data


def others(case: Case, *left_out: str) -> dict[tuple[str, str], str]:
    """Return the digests of all streams but those of some paths and of `$MFT` itself, which every damage changes."""
    return {place: digest for place, digest in case.digests().items() if place[0] not in (*left_out, "$MFT")}


def set_runs(mft: MftEditor, entry: int, pairs: bytes) -> None:
    """Put other mapping pairs into a file's `$DATA`; they must fit where the old ones were."""
    record = mft.record(entry)
    data = data_of(record)
    start = data.offset + data.field(record, 0x20, "<H")
    end = data.offset + data.length
    assert start + len(pairs) <= end
    record[start:end] = pairs.ljust(end - start, b"\0")
    mft.put(entry, record)


def run_at(cluster: int, clusters: int, length_bytes: int = 3) -> bytes:
    header = bytes([0x30 | length_bytes])
    return header + clusters.to_bytes(length_bytes, "little") + cluster.to_bytes(3, "little", signed=True)


def extent_of(mft: MftEditor, entry: int) -> tuple[int, int]:
    record = mft.record(entry)
    return next(runs(record, data_of(record)))


@pytest.mark.parametrize("entry", [0, 1, 2, 3])
@pytest.mark.parametrize("how", ["damaged", "unreadable"])
def test_each_mirrored_record_stands_in(
    copy: Path, healthy: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: int, how: str
) -> None:
    mft = MftEditor(copy)
    if how == "damaged":
        mft.write(mft.offset(entry) + STRIDE_BYTES - 2, b"\xff\xff")
    else:
        FaultyDisk(monkeypatch).bad = [range(mft.offset(entry), mft.offset(entry) + 512)]
    case = examine_here(copy, tmp_path / "case")
    assert others(case) == others(healthy)
    (gap,) = [gap for gap in case.gaps(GapKind.MFT_RECORD) if not gap.material]
    assert gap.where.mft_entry == entry
    assert "its copy in $MFTMirr was used" in gap.detail
    (reconciliation,) = case.report.coverage.reconciliation
    assert reconciliation.unreadable_records == 0
    assert reconciliation.streams == reconciliation.data_attributes == len(case.streams)
    assert case.report.volumes[0].label == healthy.report.volumes[0].label
    assert (case.report.verdict.outcome is Outcome.NO_KNOWN_INDICATORS) is (how == "damaged")


def test_a_mirror_that_says_something_else_is_told(copy: Path, healthy: Case, tmp_path: Path) -> None:
    mft = MftEditor(copy)
    record = mft.record(3)
    record[0x38 + 0x18] ^= 1  # a byte of the volume's times
    mft.put(3, record)
    case = examine_here(copy, tmp_path / "case")
    (gap,) = case.report.gaps
    assert (gap.where.mft_entry, gap.material) == (3, False)
    assert "is not the same in $MFTMirr" in gap.detail
    assert others(case) == others(healthy)


def test_a_damaged_mirror_is_told(copy: Path, healthy: Case, tmp_path: Path) -> None:
    mft = MftEditor(copy)
    mft.write(mft.mirror_cluster * mft.cluster_bytes + mft.record_bytes, b"BAAD")
    case = examine_here(copy, tmp_path / "case")
    (gap,) = case.report.gaps
    assert (gap.where.mft_entry, gap.material) == (1, False)
    assert others(case, "$MFTMirr") == others(healthy, "$MFTMirr")


def test_a_torn_record_is_lost_and_told(copy: Path, healthy: Case, tmp_path: Path) -> None:
    """Half of it was written when the power failed: each half has its own update sequence number."""
    mft = MftEditor(copy)
    entry = entry_of(healthy, _DOCUMENT)
    raw = mft.raw(entry)
    (array,) = struct.unpack_from("<H", raw, 4)
    for place in (array, STRIDE_BYTES - 2):  # the first half is of the write after
        raw[place] ^= 0x55
    mft.write(mft.offset(entry), raw)
    case = examine_here(copy, tmp_path / "case")
    assert [gap.where.mft_entry for gap in case.gaps(GapKind.MFT_RECORD)] == [entry]
    assert others(case) == others(healthy, _DOCUMENT)


def test_a_hole_in_the_file_table_is_told(copy: Path, healthy: Case, tmp_path: Path) -> None:
    """The bits tell which of the records in it were in use."""
    mft = MftEditor(copy)
    cluster, clusters = extent_of(mft, 0)
    hole = 64 * mft.record_bytes // mft.cluster_bytes
    lost = 4 * mft.record_bytes // mft.cluster_bytes or 1
    rest = clusters - hole - lost
    step = (hole + lost).to_bytes(3, "little", signed=True)
    pairs = run_at(cluster, hole) + b"\x01" + bytes([lost]) + b"\x33" + rest.to_bytes(3, "little") + step + b"\0"
    for place in (mft.offset(0), mft.mirror_cluster * mft.cluster_bytes):
        record = mft.record(0)
        data = data_of(record)
        start = data.offset + data.field(record, 0x20, "<H")
        if start + len(pairs) > data.offset + data.length:
            record = grown(record, data, len(pairs) - (data.offset + data.length - start))
        record[start : start + len(pairs)] = pairs
        del place
        mft.put(0, record)
    case = examine_here(copy, tmp_path / "case")
    (gap,) = case.gaps(GapKind.RUN_LIST)
    assert "has a hole" in gap.detail
    assert gap.bytes == lost * mft.cluster_bytes
    (reconciliation,) = case.report.coverage.reconciliation
    assert reconciliation.unreadable_records > 0
    records = reconciliation.base_records + reconciliation.extension_records + reconciliation.unreadable_records
    assert records == reconciliation.bitmap_bits
    assert case.exit_code is ExitCode.INCONCLUSIVE


def grown(record: bytearray, attribute: Attribute, missing: int) -> bytearray:
    """Return a record in which an attribute is longer; its others move back."""
    more = -(-missing // 8) * 8
    end = attribute.offset + attribute.length
    (used,) = struct.unpack_from("<I", record, 0x18)
    longer = record[:end] + bytes(more) + record[end:used]
    struct.pack_into("<I", longer, attribute.offset + 4, attribute.length + more)
    struct.pack_into("<I", longer, 0x18, used + more)
    return longer.ljust(len(record), b"\0")


@pytest.mark.parametrize("length_bytes", [3, 8])
def test_clusters_of_two_files_are_told(copy: Path, healthy: Case, tmp_path: Path, length_bytes: int) -> None:
    """However many bytes a run's length has."""
    mft = MftEditor(copy)
    one, other = entry_of(healthy, _DOCUMENT), entry_of(healthy, _OTHER)
    _, needed = extent_of(mft, one)
    cluster, count = extent_of(mft, other)
    record = mft.record(one)
    mft.put(one, grown(record, data_of(record), 8))
    set_runs(mft, one, run_at(cluster, needed, length_bytes) + b"\0")
    case = examine_here(copy, tmp_path / "case")
    (gap,) = case.gaps(GapKind.RUN_LIST)
    assert {gap.where.mft_entry} < {one, other}
    assert "cross-linked" in gap.detail
    assert gap.bytes == min(needed, count) * mft.cluster_bytes
    assert gap.material


def test_a_claim_to_more_clusters_than_the_volume_has_is_not_read(copy: Path, healthy: Case, tmp_path: Path) -> None:
    """A few bytes of a run list that names the same clusters again and again would cost hours."""
    mft, times = MftEditor(copy), 4
    entry, clusters = entry_of(healthy, _DOCUMENT), _VOLUME_BYTES // mft.cluster_bytes - 20
    record = mft.record(entry)
    record = grown(record, data_of(record), 32)
    data, size = data_of(record), times * clusters * mft.cluster_bytes
    struct.pack_into("<Q", record, data.offset + 0x18, times * clusters - 1)
    struct.pack_into("<QQQ", record, data.offset + 0x28, size, size, size)
    mft.put(entry, record)
    repeated = b"\x13" + clusters.to_bytes(3, "little") + b"\0"
    set_runs(mft, entry, run_at(10, clusters) + repeated * (times - 1) + b"\0")
    case = examine_here(copy, tmp_path / "case")
    (one,) = [one for one in case.streams if one.path == _DOCUMENT]
    assert (one.state, one.bytes_read, one.size_bytes) == (StreamState.PARTIAL, 0, size)
    assert "claims more clusters than the volume has: not read" in {gap.detail for gap in case.gaps(GapKind.RUN_LIST)}
    assert others(case, _DOCUMENT) == others(healthy, _DOCUMENT)


def test_a_stream_that_has_lost_its_beginning_is_told(copy: Path, healthy: Case, tmp_path: Path) -> None:
    """One bit of the first VCN makes a stream the later piece of none; the raw scan does not count it either."""
    with mount_for_writing(copy) as folder:
        Path(os.fsdecode(on_mount(folder, _OTHER, "extra"))).write_bytes(b"program" * 2000)
    mft, entry = MftEditor(copy), entry_of(healthy, _OTHER)
    record = mft.record(entry)
    (extra,) = [one for one in attributes(record) if one.name == "extra"]
    assert extra.non_resident
    record[extra.offset + 0x10] ^= 1
    mft.put(entry, record)
    case = examine_here(copy, tmp_path / "case")
    (gap,) = case.gaps(GapKind.MFT_RECORD)
    assert gap.where.mft_entry == entry
    assert "lost the beginning of a stream" in gap.detail
    assert case.exit_code is ExitCode.INCONCLUSIVE


def test_a_run_list_that_repeats_its_clusters_is_told(copy: Path, healthy: Case, tmp_path: Path) -> None:
    mft = MftEditor(copy)
    entry = entry_of(healthy, _OTHER)
    cluster, clusters = extent_of(mft, entry)
    assert clusters >= 2
    pairs = b"\x21\x01" + cluster.to_bytes(2, "little") + b"\x11" + bytes([clusters - 1, 0]) + b"\0"
    set_runs(mft, entry, pairs)
    case = examine_here(copy, tmp_path / "case")
    (gap,) = case.gaps(GapKind.RUN_LIST)
    assert (gap.where.mft_entry, gap.bytes) == (entry, mft.cluster_bytes)
    assert "the same clusters twice" in gap.detail


def test_two_streams_of_one_name_are_both_in_the_bag(tmp_path: Path) -> None:
    """Only damage makes them; the one that is recorded last must not hide the other from the bag's manifests."""
    image, path, contents = tmp_path / "volume.img", "Users/alice/Documents/plan.txt", (b"first" * 500, b"second" * 400)
    make_volume(image, size_bytes=_VOLUME_BYTES, cluster_bytes=4096, offset_bytes=0, label="lab")
    streams = zip(("one", "two"), contents, strict=True)
    files = [LabFile(path=path, content=b"plan", kind=Kind.USER_INTACT)]
    fill_volume(
        image,
        files + [LabFile(path=path, stream=name, content=data, kind=Kind.USER_INTACT) for name, data in streams],
    )
    mft = MftEditor(image)
    with open_evidence(image) as source:
        entry = entries_by_path(NtfsVolume(source, "v1"))[path]
    record = mft.record(entry)
    mft.put(entry, record.replace("two".encode("utf-16-le"), "one".encode("utf-16-le")))
    case = run_case([image], tmp_path / "case")
    rescued = {file.sha256 for file in case.files(RescueOutcome.RESCUED, RescueOutcome.DOUBTFUL)}
    assert rescued >= {hashlib.sha256(content).hexdigest() for content in contents}
    assert verify_case(case.folder).problems == ()


def test_a_file_table_that_claims_more_than_there_is_does_not_cost_more(copy: Path) -> None:
    """Its later pieces are looked for in what the evidence holds, a block at a time."""
    mft = MftEditor(copy)
    clusters, (cluster, _known) = 20_000, extent_of(mft, 0)
    assert clusters * mft.cluster_bytes > 4 * _VOLUME_BYTES
    record = mft.record(0)
    struct.pack_into("<QQQ", record, data_of(record).offset + 0x28, *[2 * clusters * mft.cluster_bytes] * 3)
    mft.put(0, record)
    set_runs(mft, 0, run_at(cluster, clusters) + b"\0")
    with open_evidence(copy) as source:
        volume = NtfsVolume(source, "v1")
        assert volume.gaps != []
        assert source.log.reads < 200


@pytest.mark.parametrize(
    "place", [_VOLUME_BYTES * 2, 1 << 40, -1], ids=["behind the volume", "far away", "within the last sectors"]
)
def test_clusters_beyond_the_volume_are_told(copy: Path, healthy: Case, tmp_path: Path, place: int) -> None:
    """Where the evidence goes on behind the volume, other bytes would be read as the file's."""
    mft = MftEditor(copy)
    os.truncate(copy, _VOLUME_BYTES * 4)
    with copy.open("r+b") as file:
        file.seek(_VOLUME_BYTES)
        file.write(os.urandom(_VOLUME_BYTES))
    entry = entry_of(healthy, _DOCUMENT)
    cluster = _VOLUME_BYTES // mft.cluster_bytes - 1 if place == -1 else place // mft.cluster_bytes
    set_runs(mft, entry, b"\x51\x02" + cluster.to_bytes(5, "little") + b"\0")
    case = examine_here(copy, tmp_path / "case")
    told = [gap for gap in case.gaps(GapKind.RUN_LIST, GapKind.READ_ERROR) if gap.where.mft_entry == entry]
    assert told != []
    assert all(gap.material for gap in told)


def _itself(owner: int, reference: int) -> int:
    return owner | 1 << 48


def _foreign(owner: int, reference: int) -> int:
    return 5 | 5 << 48


def _next_sequence(owner: int, reference: int) -> int:
    return reference + (1 << 48)


def _nowhere(owner: int, reference: int) -> int:
    return (1 << 48) - 1 | 1 << 48


@pytest.mark.parametrize("changed", [_foreign, _next_sequence, _nowhere])
def test_a_list_of_attributes_that_names_foreign_records_is_told(
    lab_disk: LabDisk, tmp_path: Path, changed: Callable[[int, int], int]
) -> None:
    copy = Path(shutil.copy(lab_disk(spec=_ODD).image, tmp_path / "volume.img"))
    before = examine_here(copy, tmp_path / "before")
    mft, entry = MftEditor(copy), _with_list(copy)
    content, _ = _list_content(mft, entry)
    changed_list = bytearray(content)
    last = _last_entry(content)
    (reference,) = struct.unpack_from("<Q", content, last + 16)
    struct.pack_into("<Q", changed_list, last + 16, changed(entry, reference))
    _put_list(mft, entry, changed_list)
    case = examine_here(copy, tmp_path / "case")
    (gap,) = [gap for gap in case.gaps(GapKind.MFT_RECORD) if "$ATTRIBUTE_LIST" in gap.detail]
    assert (gap.where.mft_entry, gap.material) == (entry, True)
    assert others(case) == others(before)


def test_a_list_of_attributes_that_names_only_itself_does_not_loop(lab_disk: LabDisk, tmp_path: Path) -> None:
    copy = Path(shutil.copy(lab_disk(spec=_ODD).image, tmp_path / "volume.img"))
    before = examine_here(copy, tmp_path / "before")
    mft, entry = MftEditor(copy), _with_list(copy)
    content = bytearray(_list_content(mft, entry)[0])
    (sequence,) = struct.unpack_from("<H", mft.record(entry), 0x10)
    position = 0
    while position < len(content):
        struct.pack_into("<Q", content, position + 16, entry | sequence << 48)
        position += struct.unpack_from("<H", content, position + 4)[0]
    _put_list(mft, entry, content)
    assert others(examine_here(copy, tmp_path / "case")) == others(before)


def test_a_list_of_attributes_without_end_is_told(lab_disk: LabDisk, tmp_path: Path) -> None:
    copy = Path(shutil.copy(lab_disk(spec=_ODD).image, tmp_path / "volume.img"))
    mft, entry = MftEditor(copy), _with_list(copy)
    content = bytearray(_list_content(mft, entry)[0])
    struct.pack_into("<H", content, 4, 0)
    _put_list(mft, entry, content)
    case = examine_here(copy, tmp_path / "case")
    assert [gap.where.mft_entry for gap in case.report.gaps if "$ATTRIBUTE_LIST is damaged" in gap.detail] == [entry]


def _with_list(image: Path) -> int:
    mft = MftEditor(image)
    for entry in range(24, mft.records):
        record = mft.record(entry)
        in_use = record[:4] == b"FILE" and record[0x16] & 1
        if in_use and any(one.type == _ATTRIBUTE_LIST for one in attributes(record)):
            return entry
    raise ValueError("no list of attributes")


def _list_content(mft: MftEditor, entry: int) -> tuple[bytes, int]:
    """Return a list of attributes and where it lies on the volume, or in its record where it is resident."""
    record = mft.record(entry)
    (one,) = [one for one in attributes(record) if one.type == _ATTRIBUTE_LIST]
    if one.non_resident:
        cluster, _ = next(runs(record, one))
        size, place = one.field(record, 0x30, "<Q"), cluster * mft.cluster_bytes
        return bytes(mft.read(place, size)), place
    size, start = one.field(record, 0x10, "<I"), one.offset + one.field(record, 0x14, "<H")
    return bytes(record[start : start + size]), -start


def _put_list(mft: MftEditor, entry: int, content: bytes | bytearray) -> None:
    _, place = _list_content(mft, entry)
    if place > 0:
        mft.write(place, bytes(content))
        return
    record = mft.record(entry)
    record[-place : -place + len(content)] = content
    mft.put(entry, record)


def _last_entry(content: bytes) -> int:
    position = last = 0
    while position < len(content):
        last = position
        position += struct.unpack_from("<H", content, position + 4)[0]
    return last


def test_a_volume_cut_off_within_its_file_table(copy: Path, healthy: Case, tmp_path: Path) -> None:
    """What the rest of the table names is examined; the records behind the cut are told."""
    mft = MftEditor(copy)
    cut = mft.offset(0) + 40 * mft.record_bytes + 300
    os.truncate(copy, cut)
    case = run_case([copy], tmp_path / "case")
    gaps = case.gaps(GapKind.MFT_RECORD, GapKind.RUN_LIST)
    assert any("beyond the end of the evidence" in gap.detail for gap in gaps)
    assert case.gaps(GapKind.EVIDENCE_TRUNCATED) != []
    assert {one.mft_entry for one in case.streams} <= {one.mft_entry for one in healthy.streams}
    assert max(one.mft_entry for one in case.streams) < 40
    assert case.exit_code is ExitCode.INCONCLUSIVE


@pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 1])
def test_an_absurd_size_of_the_file_table_costs_no_more_than_the_evidence(
    copy: Path, healthy: Case, tmp_path: Path, size: int
) -> None:
    mft = MftEditor(copy)
    record = mft.record(0)
    data = data_of(record)
    for field in (0x28, 0x30, 0x38):
        struct.pack_into("<Q", record, data.offset + field, size)
    mft.put(0, record)
    case = examine_here(copy, tmp_path / "case")
    assert others(case) == others(healthy)
    assert [gap.material for gap in case.gaps(GapKind.RUN_LIST)] != []
    assert case.exit_code is ExitCode.INCONCLUSIVE


def test_a_run_without_end_of_the_file_table_costs_no_more_than_the_evidence(
    copy: Path, healthy: Case, tmp_path: Path
) -> None:
    mft = MftEditor(copy)
    record = mft.record(0)
    data = data_of(record)
    for field in (0x28, 0x30, 0x38):
        struct.pack_into("<Q", record, data.offset + field, 1 << 50)
    cluster, _ = extent_of(mft, 0)
    start = data.offset + data.field(record, 0x20, "<H")
    pairs = b"\x15" + ((1 << 40) - 1).to_bytes(5, "little") + bytes([cluster]) + b"\0"
    if start + len(pairs) > data.offset + data.length:
        record = grown(record, data, start + len(pairs) - data.offset - data.length)
    record[start : start + len(pairs)] = pairs
    mft.put(0, record)
    case = examine_here(copy, tmp_path / "case")
    assert any("longer than the evidence" in gap.detail for gap in case.gaps(GapKind.RUN_LIST))
    assert others(case).items() >= others(healthy, "$Bitmap").items() - {(("$Bitmap", ""), "")}


def test_both_boot_sectors_damaged_is_told(lab_disk: LabDisk, copy: Path, tmp_path: Path) -> None:
    """A volume alone is then no disk image; one of a partition table is listed as not examined."""
    mft = MftEditor(copy)
    for offset in (0, _VOLUME_BYTES - 512):
        mft.write(offset, bytes(512))
    with pytest.raises(EvidenceError):
        run_case([copy], tmp_path / "case")
    disk = lab_disk(spec=DiskSpec(stage=Stage.NONE, volume_bytes=_VOLUME_BYTES))
    image = Path(shutil.copy(disk.image, tmp_path / "disk.img"))
    whole = examine_here(image, tmp_path / "whole")
    (volume,) = whole.report.volumes
    with image.open("r+b") as file:
        for offset in (0, volume.length_bytes - 512):
            file.seek(volume.offset_bytes + offset)
            file.write(b"\xaa" * 512)
    case = run_case([image], tmp_path / "case2")
    assert GapKind.VOLUME_NOT_EXAMINED in {gap.kind for gap in case.report.gaps if gap.material}
    assert case.exit_code is ExitCode.INCONCLUSIVE


def test_pieces_of_the_file_table_keep_their_order(
    copy: Path, healthy: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unreadable records are parsed last; what is known of the others does not change by that."""
    mft = MftEditor(copy)
    lost = entry_of(healthy, _DOCUMENT)
    FaultyDisk(monkeypatch).bad = [range(mft.offset(lost) + 512, mft.offset(lost) + 1024)]
    with monkeypatch.context() as patch:
        firsts: list[int] = []
        blocks = NtfsVolume.mft_blocks

        def noted(volume: NtfsVolume) -> Iterator[object]:
            for block in blocks(volume):
                firsts.append(block[0])
                yield block

        patch.setattr(NtfsVolume, "mft_blocks", noted)
        case = examine_here(copy, tmp_path / "case")
    assert firsts != sorted(firsts)
    assert others(case) == others(healthy, _DOCUMENT)
    (gap,) = [gap for gap in case.gaps(GapKind.MFT_RECORD) if gap.where.mft_entry == lost]
    assert gap.bytes == mft.record_bytes
    (reconciliation,) = case.report.coverage.reconciliation
    assert reconciliation.unreadable_records == 1
    assert reconciliation.streams == reconciliation.data_attributes
