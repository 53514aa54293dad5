"""Damage is never silent: what is lost of a damaged volume is a gap, and a gap that matters forbids "nothing found"."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from msgspec import Struct

from tests.cases import Case, entries_by_path, examine_here, run_case
from tests.conftest import LabDisk
from tests.lab.disk import BuiltDisk, DiskSpec
from tests.lab.mounts import mount_for_writing, on_mount
from tests.lab.tables import Layout
from tests.mft_editor import DATA, FILE_NAME, FLAGS, STRIDE_BYTES, USED_BYTES, MftEditor, attributes, runs
from triage.evidence.open import open_evidence
from triage.model.errors import ExitCode
from triage.model.gap import GapKind
from triage.model.verdict import Outcome, Stage
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import read_mft

_SEED = 2017
_DAMAGES_OF_A_KIND = 12
_VOLUME_BYTES = 16 << 20
_HEALTHY = DiskSpec(stage=Stage.NONE, layout=Layout.BARE, volume_bytes=_VOLUME_BYTES)
_ODD = DiskSpec(stage=Stage.NONE, layout=Layout.BARE, volume_bytes=_VOLUME_BYTES, oddities=True)
_MANY_STREAMS = "Users/alice/Documents/streams/many-streams.txt"
_BITMAP = 0xB0
_BASE = 0x20  # an extension record's reference to the record that it extends
_MFT = ("$MFT", "")  # its own digest changes with every damage


class Volume(Struct, frozen=True, kw_only=True):
    """A healthy volume, what a run over it sees, and its allocated entries, extension records too, but `$MFT`'s own."""

    disk: BuiltDisk
    case: Case
    entries: tuple[int, ...]


@pytest.fixture(scope="module", params=[_HEALTHY, _ODD], ids=["plain", "odd"])
def healthy(request: pytest.FixtureRequest, lab_disk: LabDisk, tmp_path_factory: pytest.TempPathFactory) -> Volume:
    disk = lab_disk(spec=request.param)
    case = examine_here(disk.image, tmp_path_factory.mktemp("healthy") / "case")
    plain = request.param is _HEALTHY
    assert case.report.verdict.outcome is (Outcome.NO_KNOWN_INDICATORS if plain else Outcome.INCONCLUSIVE)
    with open_evidence(str(disk.image)) as source:
        entries = read_mft(NtfsVolume(source, "v1")).entries
    allocated = np.flatnonzero(entries.in_use & entries.readable).tolist()
    return Volume(disk=disk, case=case, entries=tuple(allocated[1:]))


@pytest.fixture
def copy(healthy: Volume, tmp_path: Path) -> Path:
    return Path(shutil.copy(healthy.disk.image, tmp_path / "volume.img"))


@pytest.fixture
def plain_copy(lab_disk: LabDisk, tmp_path: Path) -> Path:
    return Path(shutil.copy(lab_disk(spec=_HEALTHY).image, tmp_path / "volume.img"))


Damage = Callable[[MftEditor, int, Random], None]


def _bad_fixup(mft: MftEditor, entry: int, random: Random) -> None:
    raw = mft.raw(entry)
    end = random.randrange(1, len(raw) // STRIDE_BYTES + 1) * STRIDE_BYTES
    raw[end - 1] ^= 0xFF
    mft.write(mft.offset(entry), raw)


def _zeroed(mft: MftEditor, entry: int, random: Random) -> None:
    mft.write(mft.offset(entry), bytes(mft.record_bytes))


def _wrong_magic(mft: MftEditor, entry: int, random: Random) -> None:
    mft.write(mft.offset(entry), random.choice((b"BAAD", b"FILF", b"\0ILE", b"\xff\xff\xff\xff")))


def _not_in_use(mft: MftEditor, entry: int, random: Random) -> None:
    record = mft.record(entry)
    record[FLAGS] &= 0xFE
    mft.put(entry, record)


def _attribute_length(mft: MftEditor, entry: int, random: Random) -> None:
    record = mft.record(entry)
    length = random.choice((0, 1, 8, 16, 0x4000, 0xFFFF_FFF8))
    struct.pack_into("<I", record, random.choice(list(attributes(record))).offset + 4, length)
    mft.put(entry, record)


def _used_bytes(mft: MftEditor, entry: int, random: Random) -> None:
    record = mft.record(entry)
    struct.pack_into("<I", record, USED_BYTES, random.choice((0, 0x40, 0x200, len(record))))
    mft.put(entry, record)


def _change_type(mft: MftEditor, entry: int, random: Random, kind: int) -> None:
    record = mft.record(entry)
    chosen = random.choice([one for one in attributes(record) if one.type == kind])
    other = random.choice((0x00, 0x50, 0x81, 0x90, 0xA0, 0x1000, 0x8000_0080, 0xFFFF_FFFF, random.getrandbits(32)))
    struct.pack_into("<I", record, chosen.offset, other)
    mft.put(entry, record)


def _data_type(mft: MftEditor, entry: int, random: Random) -> None:
    _change_type(mft, entry, random, DATA)


def _name_type(mft: MftEditor, entry: int, random: Random) -> None:
    _change_type(mft, entry, random, FILE_NAME)


def _has(kind: int, mft: MftEditor, entry: int) -> bool:
    return any(one.type == kind for one in attributes(mft.record(entry)))


_DAMAGES: tuple[tuple[Damage, int | None], ...] = (
    (_bad_fixup, None),
    (_zeroed, None),
    (_wrong_magic, None),
    (_not_in_use, None),
    (_attribute_length, None),
    (_used_bytes, None),
    (_data_type, DATA),
    (_name_type, FILE_NAME),
)


@pytest.mark.parametrize(("damage", "kind"), _DAMAGES, ids=lambda value: getattr(value, "__name__", "").strip("_"))
def test_no_damage_to_a_record_is_silent(
    healthy: Volume, copy: Path, tmp_path: Path, damage: Damage, kind: int | None
) -> None:
    """Either every stream of the volume is still seen with its path and bytes, or a further material gap is told."""
    random = Random(f"{_SEED} {damage.__name__}")
    expected = {**healthy.case.digests(), _MFT: ""}
    known = {(gap.kind, gap.where) for gap in healthy.case.report.gaps}
    mft = MftEditor(copy)
    entries = [entry for entry in healthy.entries if kind is None or _has(kind, mft, entry)]
    silent, noticed = [], 0
    for number in range(_DAMAGES_OF_A_KIND):
        entry = random.choice(entries)
        sound = mft.raw(entry)
        damage(mft, entry, random)
        case = examine_here(copy, tmp_path / f"case{number}")
        if {(gap.kind, gap.where) for gap in case.report.gaps if gap.material} - known:
            noticed += 1
            assert case.report.verdict.outcome is Outcome.INCONCLUSIVE
            assert case.exit_code is ExitCode.INCONCLUSIVE
        elif {**case.digests(), _MFT: ""} != expected:
            silent.append((entry, mft.raw(entry)[:0x90].hex()))
        assert sum(case.report.coverage.streams_by_state.values()) == case.report.coverage.streams
        mft.write(mft.offset(entry), sound)
    assert not silent, silent[0]
    assert noticed > _DAMAGES_OF_A_KIND // 2


def test_what_is_left_of_a_damaged_record_is_examined(lab_disk: LabDisk, plain_copy: Path, tmp_path: Path) -> None:
    """A file whose name is lost is read all the same."""
    disk = lab_disk(spec=_HEALTHY)
    mft = MftEditor(plain_copy)
    one = disk.stream("Users/alice/Documents/contract.pdf")
    healthy = examine_here(disk.image, tmp_path / "healthy")
    (entry,) = [record.mft_entry for record in healthy.streams if record.path == one.path]
    record = mft.record(entry)
    (name,) = [attribute for attribute in attributes(record) if attribute.type == FILE_NAME]
    struct.pack_into("<I", record, name.offset, 0x31)
    mft.put(entry, record)
    case = examine_here(plain_copy, tmp_path / "case")
    assert case.digests()[f"$OrphanFiles/entry-{entry}", ""] == one.sha256
    assert {gap.where.mft_entry for gap in case.gaps(GapKind.MFT_RECORD)} == {entry}


def _bitmap_offset(mft: MftEditor) -> int:
    """Return where the bits of `$MFT:$BITMAP` lie on the volume."""
    record = mft.record(0)
    (bitmap,) = [one for one in attributes(record) if one.type == _BITMAP]
    (cluster, _), *_ = runs(record, bitmap)
    return cluster * mft.cluster_bytes


@pytest.mark.parametrize("entry", [24, 65, 100, 127, 131])
def test_a_flipped_bit_of_the_mft_bitmap_is_a_gap(plain_copy: Path, tmp_path: Path, entry: int) -> None:
    mft = MftEditor(plain_copy)
    offset = _bitmap_offset(mft) + entry // 8
    byte = mft.read(offset, 1)[0]
    mft.write(offset, bytes([byte ^ 1 << entry % 8]))
    case = examine_here(plain_copy, tmp_path / "case")
    assert [gap.where.mft_entry for gap in case.gaps(GapKind.MFT_BITMAP)] == [entry]
    assert case.report.verdict.outcome is Outcome.INCONCLUSIVE
    assert case.report.verdict.reasons == tuple(gap.id for gap in case.report.gaps)


def test_a_bit_that_is_set_for_a_free_record_is_a_gap(plain_copy: Path, tmp_path: Path) -> None:
    mft = MftEditor(plain_copy)
    free = next(entry for entry in range(24, mft.records) if not mft.raw(entry)[FLAGS] & 1)
    offset = _bitmap_offset(mft) + free // 8
    mft.write(offset, bytes([mft.read(offset, 1)[0] | 1 << free % 8]))
    case = examine_here(plain_copy, tmp_path / "case")
    assert {gap.where.mft_entry for gap in case.report.gaps if gap.kind is not GapKind.LEDGER} == {free}
    (ledger,) = case.gaps(GapKind.LEDGER)
    assert ledger.detail.endswith("differ by 1")
    assert case.exit_code is ExitCode.INCONCLUSIVE


def test_attributes_out_of_order_are_a_gap(plain_copy: Path, tmp_path: Path) -> None:
    """$STANDARD_INFORMATION that became something else: its times are lost, and nothing but the order tells."""
    mft = MftEditor(plain_copy)
    entry = 81
    record = mft.record(entry)
    struct.pack_into("<I", record, next(attributes(record)).offset, 0x50)
    mft.put(entry, record)
    case = examine_here(plain_copy, tmp_path / "case")
    assert [(gap.kind, gap.where.mft_entry) for gap in case.report.gaps] == [(GapKind.MFT_RECORD, entry)]


def test_one_lost_name_of_several_is_a_gap(lab_disk: LabDisk, tmp_path: Path) -> None:
    """The record counts its links; a lost one may be the name that an indicator knows."""
    disk = lab_disk(spec=_ODD)
    copy = Path(shutil.copy(disk.image, tmp_path / "volume.img"))
    one = disk.stream("Users/alice/Documents/streams/linked.txt")
    with open_evidence(str(copy)) as source:
        by_path = entries_by_path(NtfsVolume(source, "v1"))
    mft = MftEditor(copy)
    entry = by_path[one.path]
    record = mft.record(entry)
    *_, last = (attribute for attribute in attributes(record) if attribute.type == FILE_NAME)
    struct.pack_into("<I", record, last.offset, 0x50)
    mft.put(entry, record)
    case = examine_here(copy, tmp_path / "case")
    assert [gap.where.mft_entry for gap in case.gaps(GapKind.MFT_RECORD)] == [entry]


def _find_extension(mft: MftEditor) -> int:
    """Return an extension record that holds nothing but one stream of `many-streams.txt`."""
    for entry in range(24, mft.records):
        record = mft.record(entry)
        if record[:4] != b"FILE" or record[_BASE] == 0:
            continue
        first, *others = attributes(record)
        if not others and first.type == DATA and first.name.startswith("stream "):
            return entry
    raise ValueError("no extension record")


@pytest.mark.parametrize("base", [15, 4095, (1 << 48) - 1])
def test_an_extension_record_of_no_file_is_a_gap(lab_disk: LabDisk, tmp_path: Path, base: int) -> None:
    """Its stream belongs to nobody, so it is not enumerated; the raw scan counts it."""
    copy = Path(shutil.copy(lab_disk(spec=_ODD).image, tmp_path / "volume.img"))
    mft = MftEditor(copy)
    entry = _find_extension(mft)
    record = mft.record(entry)
    (stream,) = attributes(record)
    struct.pack_into("<Q", record, _BASE, base | 1 << 48)
    mft.put(entry, record)
    case = examine_here(copy, tmp_path / "case")
    seen = [one for one in case.streams if one.stream == stream.name]
    assert [one.mft_entry for one in seen] == ([15] if base == 15 else [])
    told = [gap.detail for gap in case.gaps(GapKind.LEDGER) if "$DATA attributes" in gap.detail]
    assert base == 15 or (len(told) == 1 and told[0].endswith("differ by 1"))
    assert case.exit_code is ExitCode.INCONCLUSIVE


def test_an_extension_record_of_another_use_of_its_file_is_a_gap(lab_disk: LabDisk, tmp_path: Path) -> None:
    """The sequence number alone says that its stream is not that file's."""
    disk = lab_disk(spec=_ODD)
    copy = Path(shutil.copy(disk.image, tmp_path / "volume.img"))
    healthy, mft = examine_here(disk.image, tmp_path / "healthy"), MftEditor(copy)
    entry = _find_extension(mft)
    record = mft.record(entry)
    record[_BASE + 6] ^= 0x40
    mft.put(entry, record)
    case = examine_here(copy, tmp_path / "case")
    assert [gap.where.mft_entry for gap in healthy.gaps(GapKind.MFT_RECORD)] == []
    assert [gap.where.mft_entry for gap in case.gaps(GapKind.MFT_RECORD)] == [entry]
    assert case.digests().keys() == healthy.digests().keys()


def test_a_deleted_stream_is_neither_a_stream_nor_a_gap(lab_disk: LabDisk, tmp_path: Path) -> None:
    """Its record is freed, but still names the file that it once extended."""
    disk = lab_disk(spec=_ODD)
    copy = Path(shutil.copy(disk.image, tmp_path / "volume.img"))
    healthy, mft = examine_here(disk.image, tmp_path / "healthy"), MftEditor(copy)
    entry = _find_extension(mft)
    (stream,) = attributes(mft.record(entry))
    with mount_for_writing(copy) as folder:
        os.unlink(on_mount(folder, _MANY_STREAMS, stream.name))
    record = mft.record(entry)
    assert (record[FLAGS] & 1, record[_BASE] != 0) == (0, True)
    case = examine_here(copy, tmp_path / "case")
    assert healthy.digests().keys() - case.digests().keys() == {(_MANY_STREAMS, stream.name)}
    assert {gap.where for gap in case.report.gaps} == {gap.where for gap in healthy.report.gaps}


def test_a_freed_record_that_its_file_still_lists_is_a_gap(lab_disk: LabDisk, tmp_path: Path) -> None:
    """Record and bitmap agree that it is free: that a stream is lost shows in the file's attribute list alone."""
    disk = lab_disk(spec=_ODD)
    copy = Path(shutil.copy(disk.image, tmp_path / "volume.img"))
    healthy, mft = examine_here(disk.image, tmp_path / "healthy"), MftEditor(copy)
    entry = _find_extension(mft)
    record = mft.record(entry)
    (stream,) = attributes(record)
    record[FLAGS] &= 0xFE
    mft.put(entry, record)
    offset = _bitmap_offset(mft) + entry // 8
    mft.write(offset, bytes([mft.read(offset, 1)[0] & ~(1 << entry % 8)]))
    case = examine_here(copy, tmp_path / "case")
    gone = {place for place in healthy.digests() if place not in case.digests()}
    assert gone == {("Users/alice/Documents/streams/many-streams.txt", stream.name)}
    of_list = [gap for gap in case.report.gaps if "$ATTRIBUTE_LIST" in gap.detail]  # Windows would have shortened it
    others = [gap for gap in case.report.gaps if gap not in of_list]
    assert {gap.where for gap in others} == {gap.where for gap in healthy.report.gaps}
    assert len(of_list) == 1
    (reconciliation,) = case.report.coverage.reconciliation
    assert reconciliation.streams == reconciliation.data_attributes


def test_many_damaged_records_are_listed_and_then_counted(plain_copy: Path, tmp_path: Path) -> None:
    mft = MftEditor(plain_copy)
    allocated = [entry for entry in range(24, mft.records) if mft.raw(entry)[FLAGS] & 1]
    assert len(allocated) > 66
    for entry in allocated:
        mft.write(mft.offset(entry), b"BAAD")
    case = examine_here(plain_copy, tmp_path / "case")
    gaps = case.gaps(GapKind.MFT_RECORD)
    assert sum((gap.bytes or 0) for gap in gaps) == len(allocated) * mft.record_bytes
    assert {gap.where.mft_entry for gap in gaps} == {*allocated[:64], 0}
    (reconciliation,) = case.report.coverage.reconciliation
    assert reconciliation.unreadable_records == len(allocated)
    assert reconciliation.bitmap_bits == reconciliation.base_records + len(allocated)


def test_a_damaged_boot_sector_is_replaced_by_its_backup(lab_disk: LabDisk, plain_copy: Path, tmp_path: Path) -> None:
    healthy = examine_here(lab_disk(spec=_HEALTHY).image, tmp_path / "healthy")
    MftEditor(plain_copy).write(0, bytes(512))
    case = examine_here(plain_copy, tmp_path / "case")
    (gap,) = case.gaps(GapKind.BOOT_SECTOR)
    assert not gap.material
    assert {**case.digests(), ("$Boot", ""): ""} == {**healthy.digests(), ("$Boot", ""): ""}
    assert case.report.verdict.outcome is Outcome.NO_KNOWN_INDICATORS


def test_a_damaged_first_record_is_replaced_by_its_mirror(lab_disk: LabDisk, plain_copy: Path, tmp_path: Path) -> None:
    healthy = examine_here(lab_disk(spec=_HEALTHY).image, tmp_path / "healthy")
    mft = MftEditor(plain_copy)
    mft.write(mft.offset(0), b"BAAD")
    case = examine_here(plain_copy, tmp_path / "case")
    assert {place: digest for place, digest in case.digests().items() if place[0] != "$MFT"} == {
        place: digest for place, digest in healthy.digests().items() if place[0] != "$MFT"
    }
    assert any("$MFTMirr" in gap.detail for gap in case.gaps(GapKind.MFT_RECORD))


def test_a_volume_without_first_record_and_mirror_is_not_passed_over(plain_copy: Path, tmp_path: Path) -> None:
    mft = MftEditor(plain_copy)
    mft.write(mft.offset(0), b"BAAD")
    mft.write(mft.mirror_cluster * mft.cluster_bytes, b"BAAD")
    case = run_case([plain_copy], tmp_path / "case")
    assert {gap.kind for gap in case.report.gaps} == {GapKind.VOLUME_NOT_EXAMINED}
    assert not case.report.volumes[0].examined
    assert case.exit_code is ExitCode.INCONCLUSIVE


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_healthy_image_is_examined_as_far_as_it_goes(
    lab_disk: LabDisk, plain_copy: Path, tmp_path: Path, share: float
) -> None:
    healthy = examine_here(lab_disk(spec=_HEALTHY).image, tmp_path / "healthy")
    cut = int(_VOLUME_BYTES * share) // 512 * 512
    os.truncate(plain_copy, cut)
    case = run_case([plain_copy], tmp_path / "case")
    (gap,) = case.gaps(GapKind.EVIDENCE_TRUNCATED)
    assert gap.bytes == _VOLUME_BYTES - STRIDE_BYTES - cut
    assert case.exit_code is ExitCode.INCONCLUSIVE
    expected = healthy.digests()
    found = case.digests()
    assert found.items() <= expected.items()
    lost = sum(gap.bytes or 0 for gap in case.gaps(GapKind.READ_ERROR))
    partly = [one for one in case.streams if one.state == "partial"]
    assert lost == sum(one.size_bytes - one.bytes_read for one in partly)
    assert len(found) + len(partly) == len(expected)
    coverage = case.report.coverage
    assert coverage.bytes_read == healthy.report.coverage.bytes_read - lost


def test_a_truncated_infected_disk_still_tells_what_it_is(lab_disk: LabDisk, tmp_path: Path) -> None:
    disk = lab_disk(Stage.ENCRYPTING)
    image = Path(shutil.copy(disk.image, tmp_path / "pc.img"))
    os.truncate(image, int(disk.image.stat().st_size * 0.6))
    case = run_case([image], tmp_path / "case", sets=[disk.indicators])
    assert case.exit_code is ExitCode.INDICATORS_FOUND
    assert case.report.verdict.stage is Stage.ENCRYPTING
    assert case.gaps(GapKind.EVIDENCE_TRUNCATED, GapKind.PARTITION_TABLE) != []
    assert all(gap.bytes is not None for gap in case.gaps(GapKind.EVIDENCE_TRUNCATED, GapKind.READ_ERROR))
