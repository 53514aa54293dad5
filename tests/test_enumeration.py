"""The enumeration from `$MFT`: complete, paths rebuilt, no loop, every geometry; and the parser of hostile records."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cases import examine_here, paths_by_entry, truth_by_name
from tests.conftest import LabDisk
from tests.lab.disk import BuiltDisk, DiskSpec
from tests.lab.mounts import mount_for_writing, mount_read_only
from tests.lab.odd import MANY_FOLDER
from tests.lab.tables import Layout
from tests.loops import run, sparse
from tests.memory_source import MemorySource
from tests.mft_editor import ATTRIBUTE_LIST, DATA, FILE_NAME, SEQUENCE, MftEditor, attributes, with_fixups
from tests.needs import needs_device, needs_root, needs_tool
from triage.evidence.open import open_evidence
from triage.model.errors import VolumeError
from triage.model.gap import GapKind
from triage.model.verdict import Stage
from triage.volumes.extents import MISSING
from triage.volumes.mft_records import file_name_times, parse_records
from triage.volumes.ntfs import MFT_ENTRY, NtfsVolume
from triage.volumes.plain_mft import plain_mft_blocks
from triage.volumes.tsk import tsk_mft_blocks
from triage.walk.mft import MftTable, read_mft
from triage.walk.paths import ORPHAN_ROOT, ROOT_ENTRY, Paths
from triage.walk.reader import StreamReader
from triage.walk.streams import Streams

_MIB = 1 << 20
_MANY = 20_000
_FRAGMENTS = 2400
_NESTED = 300
_LONGEST_PATH = 32_767
_MANY_SPEC = DiskSpec(stage=Stage.NONE, layout=Layout.BARE, volume_bytes=64 * _MIB, many_files=_MANY)
_ODD_SPEC = DiskSpec(oddities=True, layout=Layout.BARE)
_PARENT = 0x18  # of a resident $FILE_NAME whose name is that of the attribute's own, behind its header


@contextmanager
def _opened(image: Path) -> Iterator[tuple[NtfsVolume, MftTable]]:
    with open_evidence(str(image)) as source:
        volume = NtfsVolume(source, "v1")
        yield volume, read_mft(volume)


def _make_volume(path: Path, size_bytes: int, *options: str) -> Path:
    sparse(path, size_bytes)
    run("mkntfs", "-F", "-Q", "-q", *options, path)
    return path


def _entry(image: Path, path: str) -> int:
    with open_evidence(str(image)) as source:
        found = paths_by_entry(NtfsVolume(source, "v1"))
    (entry,) = [entry for entry, paths in found.items() if path in paths]
    return entry


@pytest.fixture
def odd_disk(lab_disk: LabDisk) -> BuiltDisk:
    return lab_disk(spec=_ODD_SPEC)


@pytest.fixture
def copy(odd_disk: BuiltDisk, tmp_path: Path) -> Path:
    return Path(shutil.copy(odd_disk.image, tmp_path / "volume.img"))


def test_a_directory_of_twenty_thousand_files_is_complete(lab_disk: LabDisk, tmp_path: Path) -> None:
    disk = lab_disk(spec=_MANY_SPEC)
    case = examine_here(disk.image, tmp_path / "case")
    ours = {one.path: one.sha256 for one in case.streams if one.path.startswith(f"{MANY_FOLDER}/")}
    with mount_read_only(disk.image, 0) as folder:
        listed = {f"{MANY_FOLDER}/{name}" for name in os.listdir(folder / MANY_FOLDER)}
    assert len(listed) == _MANY
    assert set(ours) == listed
    assert ours == {one.path: one.sha256 for one in disk.streams if one.path in listed}
    assert case.report.gaps == ()


def test_hard_links_are_all_named_and_lead_to_one_entry(odd_disk: BuiltDisk) -> None:
    with _opened(odd_disk.image) as (volume, table):
        found = paths_by_entry(volume)
        links = [one for one in odd_disk.streams if one.other_paths]
        assert sorted(len(one.other_paths) for one in links) == [2, 24]
        for one in links:
            names = {one.path, *one.other_paths}
            (entry,) = [entry for entry, paths in found.items() if paths & names]
            assert found[entry] == names
            assert len(Paths(table).of(entry)) == len(names)


def test_deleted_entries_are_kept_apart_with_their_old_paths(odd_disk: BuiltDisk) -> None:
    with _opened(odd_disk.image) as (volume, table):
        paths = Paths(table)
        entries = table.entries
        dead = np.flatnonzero(entries.readable & ~entries.in_use & (table.names.first[1:] > table.names.first[:-1]))
        deleted = {path for entry in dead.tolist() for path in paths.of(entry)}
        streams = Streams(volume, table, paths)
        alive = {streams.path(head) for head in streams.heads.tolist()}
    truth = {one.path for one in odd_disk.streams if one.deleted}
    assert len(truth) >= 10
    assert truth <= deleted
    assert alive.isdisjoint(truth)
    assert not set(table.streams.owner[streams.heads].tolist()) & set(dead.tolist())


_NEEDS_MOUNT = (needs_root(), needs_tool("mkntfs", "ntfs-3g"), needs_device("/dev/fuse"))


def _needs_mount(test: Callable[..., None]) -> Callable[..., None]:
    for mark in _NEEDS_MOUNT:
        test = mark(test)
    return test


@_needs_mount
def test_a_deleted_tree_keeps_its_paths(tmp_path: Path) -> None:
    """Deleting a directory raises its sequence number by one; what was in it still means that directory."""
    image = _make_volume(tmp_path / "volume.img", 8 * _MIB)
    with mount_for_writing(image) as folder:
        (folder / "kept/gone/deep").mkdir(parents=True)
        for name in ("kept/file.txt", "kept/gone/file.txt", "kept/gone/deep/file.txt"):
            (folder / name).write_bytes(b"content")
        shutil.rmtree(folder / "kept/gone")
    with _opened(image) as (_, table):
        paths = Paths(table)
        named = np.flatnonzero(table.entries.readable & (np.diff(table.names.first) > 0)).tolist()
        dead = {path for entry in named if not table.entries.in_use[entry] for path in paths.of(entry)}
        alive = {path for entry in named if table.entries.in_use[entry] for path in paths.of(entry)}
    assert dead == {"kept/gone", "kept/gone/file.txt", "kept/gone/deep", "kept/gone/deep/file.txt"}
    assert {path for path in alive if path.startswith("kept")} == {"kept", "kept/file.txt"}


def test_what_has_lost_its_parent_goes_under_the_orphan_root(copy: Path, odd_disk: BuiltDisk, tmp_path: Path) -> None:
    """A directory that was deleted and its record taken again has another sequence number."""
    folder = "Users/alice/Documents/forms"
    mft = MftEditor(copy)
    entry = _entry(copy, folder)
    record = mft.record(entry)
    (sequence,) = struct.unpack_from("<H", record, SEQUENCE)
    struct.pack_into("<H", record, SEQUENCE, sequence + 3)
    mft.put(entry, record)
    lost = f"{ORPHAN_ROOT}/{entry}-{sequence}"
    with _opened(copy) as (_, table):
        paths = Paths(table)
        assert paths.of(entry) == [folder]
        found = {path: number for number in np.flatnonzero(table.base).tolist() for path in paths.of(number)}
    below = [one.path.removeprefix(f"{folder}/") for one in odd_disk.streams if one.path.startswith(f"{folder}/")]
    assert len(below) > 20
    assert {f"{lost}/{name}" for name in below} <= set(found)
    assert not any(f"{folder}/{name}" in found for name in below)
    case = examine_here(copy, tmp_path / "case")
    orphans = [path for path in found if path.startswith(f"{ORPHAN_ROOT}/") and "/entry-" not in path]
    (reconciliation,) = case.report.coverage.reconciliation
    assert reconciliation.orphans == len(orphans)
    read = {one.path: one.sha256 for one in case.streams}
    resident = odd_disk.stream(f"{folder}/resident.txt")
    assert read[f"{lost}/resident.txt"] == resident.sha256


def _set_parent(mft: MftEditor, entry: int, parent: int) -> None:
    record = mft.record(entry)
    (sequence,) = struct.unpack_from("<H", mft.record(parent), SEQUENCE)
    for name in attributes(record):
        if name.type == FILE_NAME:
            content = name.offset + name.field(record, 0x14, "<H")
            struct.pack_into("<Q", record, content, parent | sequence << 48)
    mft.put(entry, record)


@pytest.mark.parametrize("loop", [("Users/alice",), ("Users", "Users/alice", "Users/alice/Documents")])
def test_a_loop_of_parents_ends_under_the_orphan_root(
    copy: Path, odd_disk: BuiltDisk, tmp_path: Path, loop: tuple[str, ...]
) -> None:
    """Each directory becomes the child of the one below it, the first that of the last."""
    mft = MftEditor(copy)
    entries = [_entry(copy, path) for path in loop]
    _set_parent(mft, entries[0], entries[-1])
    with _opened(copy) as (_, table):
        paths = Paths(table)
        found = {path for entry in np.flatnonzero(table.base).tolist() for path in paths.of(entry)}
    intact = [one for one in odd_disk.streams if not one.deleted]
    caught = {path for path in found if path.startswith(ORPHAN_ROOT) and path.endswith("/Desktop/plan.docx.WNCRY")}
    assert len(caught) == len({one.path for one in intact if one.path.endswith("/Desktop/plan.docx.WNCRY")}) - (
        len(loop) == 1
    )
    assert max(map(len, found)) < 2000
    case = examine_here(copy, tmp_path / "case")
    assert {one.sha256 for one in intact if one.sha256} <= {one.sha256 for one in case.streams}


@_needs_mount
def test_a_path_that_windows_cannot_name_begins_anew_under_the_orphan_root(tmp_path: Path) -> None:
    """Else some thousand nested directories, of which damage or malice makes as many as there are, fill the memory."""
    image = _make_volume(tmp_path / "volume.img", 16 * _MIB)
    with mount_for_writing(image) as folder:
        for number in range(_NESTED):
            (folder / f"{number:03}{'d' * 240}").mkdir()
        chain = [(folder / f"{number:03}{'d' * 240}").stat().st_ino for number in range(_NESTED)]
    mft = MftEditor(image)
    for parent, entry in pairwise(chain):
        _set_parent(mft, entry, parent)
    with _opened(image) as (_, table):
        paths = Paths(table)
        found = [paths.of(entry)[0] for entry in chain]
    assert len(set(found)) == _NESTED
    assert max(map(len, found)) <= _LONGEST_PATH + 1 + 255
    assert [paths.is_orphan(path) for path in found] == sorted(map(paths.is_orphan, found))
    assert paths.is_orphan(found[-1])
    assert not paths.is_orphan(found[100])


def test_attributes_in_extension_records_belong_to_their_file(odd_disk: BuiltDisk) -> None:
    with _opened(odd_disk.image) as (volume, table):
        entries = table.entries
        own = np.arange(len(entries.in_use))
        extended = set(entries.base_entry[entries.in_use & (entries.base_entry != own)].tolist())
        paths = Paths(table)
        streams = Streams(volume, table, paths)
        truth = truth_by_name(odd_disk)
        for name in ("many-links.txt", "many-streams.txt"):
            path = f"Users/alice/Documents/streams/{name}"
            entry = _entry(odd_disk.image, path)
            assert entry in extended
            ours = {streams.name(head) for head in streams.heads_of(entry)}
            assert ours == {stream for where, stream in truth if where == path}
    assert table.base.sum() + (entries.in_use & (entries.base_entry != own)).sum() == entries.in_use.sum()


@_needs_mount
def test_a_fragmented_mft_is_read_to_its_end(tmp_path: Path) -> None:
    """ntfs-3g extends `$MFT` into holes of one cluster until its own run list needs extension records."""
    image = _make_volume(tmp_path / "volume.img", 32 * _MIB, "-c", "512")
    made: dict[str, str] = {}
    with mount_for_writing(image) as folder:
        for number in range(9000):
            (folder / f"fill{number}").write_bytes(bytes([number % 251]) * 2000)
        for number in range(0, 9000, 2):
            (folder / f"fill{number}").unlink()
        try:
            for number in range(30_000):
                content = f"file number {number}".encode()
                (folder / f"small {number}").write_bytes(content)
                made[f"small {number}"] = hashlib.sha256(content).hexdigest()
        except OSError:
            made.pop(f"small {number}", None)  # the volume is full
    with _opened(image) as (volume, table):
        assert len(volume.mft_extents) > 100
        assert (table.entries.base_entry == MFT_ENTRY).sum() > 1
        assert b"".join(plain_mft_blocks(volume.source)) == b"".join(tsk_mft_blocks(volume.source))
    case = examine_here(image, tmp_path / "case")
    assert case.report.gaps == ()
    read = case.digests()
    assert len(made) > 3000
    assert {name: read[name, ""] for name in made} == made
    (mft,) = [one for one in case.streams if one.path == "$MFT"]
    assert (mft.state, mft.bytes_read) == ("read", volume.mft_bytes)
    (reconciliation,) = case.report.coverage.reconciliation
    assert reconciliation.base_records + reconciliation.extension_records == reconciliation.bitmap_bits
    assert reconciliation.extension_records >= 2


def _fragmented(image: Path) -> bytes:
    """Write eight files on a new volume, a cluster of each in turn, and give one many names; return its content."""
    _make_volume(image, 128 * _MIB, "-c", "4096")
    content = b"".join(hashlib.sha256(number.to_bytes(4, "little")).digest() for number in range(128 * _FRAGMENTS))
    with mount_for_writing(image) as folder:
        with ExitStack() as stack:
            names = ("in pieces.bin", *(f"between-{number}.bin" for number in range(7)))
            first, *others = (stack.enter_context(io.FileIO(folder / name, "w")) for name in names)
            for start in range(0, len(content), 4096):
                first.write(content[start : start + 4096])
                for other in others:
                    other.write(bytes(4095) + b"b")
        for number in range(40):
            (folder / f"{number} {'links ' * 30}").hardlink_to(folder / "in pieces.bin")
    return content


@_needs_mount
def test_a_file_in_thousands_of_pieces_is_read_whole(tmp_path: Path) -> None:
    """Its run list goes on in extension records, and the list of these stands outside the MFT."""
    image = tmp_path / "volume.img"
    content = _fragmented(image)
    entry = _entry(image, "in pieces.bin")
    with _opened(image) as (volume, table):
        streams = Streams(volume, table, Paths(table))
        (pieces,) = [plan.extents for plan in streams.plans(streams.heads) if plan.subject.mft_entry == entry]
        assert len(pieces) > 0.9 * _FRAGMENTS
        assert (~table.streams.head).sum() > 5
    (listed,) = [one for one in attributes(MftEditor(image).record(entry)) if one.type == ATTRIBUTE_LIST]
    assert listed.non_resident
    case = examine_here(image, tmp_path / "case")
    assert case.report.gaps == ()
    (read,) = [one.sha256 for one in case.streams if one.mft_entry == entry]
    assert read == hashlib.sha256(content).hexdigest()
    (one,) = case.report.coverage.reconciliation
    assert (one.streams, one.bitmap_bits) == (one.data_attributes, one.base_records + one.extension_records)
    assert one.extension_records > 10


def _pieces(image: Path, name: str) -> list[tuple[int, int]]:
    """Return the first VCN of each piece of a file's run list, and the MFT record in which it stands."""
    mft, entry = MftEditor(image), _entry(image, name)
    with _opened(image) as (_, table):
        holding = np.flatnonzero((table.entries.base_entry == entry) & table.entries.in_use).tolist()
    records = {number: mft.record(number) for number in holding}
    return sorted(
        (one.field(record, 0x10, "<Q"), number)
        for number, record in records.items()
        for one in attributes(record)
        if one.type == DATA and one.non_resident
    )


@_needs_mount
@pytest.mark.parametrize("lost", [1, -1], ids=["middle", "last"])
def test_a_lost_piece_of_a_run_list_is_a_gap_with_its_bytes(tmp_path: Path, lost: int) -> None:
    """What stands in the pieces before and behind it is read."""
    image = tmp_path / "volume.img"
    content = bytearray(_fragmented(image))
    pieces = _pieces(image, "in pieces.bin")
    assert len(pieces) > 5
    mft, (vcn, record) = MftEditor(image), pieces[lost]
    end = len(content) if lost < 0 else pieces[lost + 1][0] * 4096
    mft.write(mft.offset(record), bytes(mft.record_bytes))
    case = examine_here(image, tmp_path / "case")
    (gap,) = case.gaps(GapKind.RUN_LIST)
    assert "in pieces.bin" in (gap.where.path, *gap.where.other_paths)
    assert (gap.where.offset_bytes, gap.bytes) == (vcn * 4096, end - vcn * 4096)
    assert record in {gap.where.mft_entry for gap in case.gaps(GapKind.MFT_RECORD)}
    with _opened(image) as (volume, table):
        streams, reader = Streams(volume, table, Paths(table)), StreamReader()
        plan = streams.plan(streams.heads_of(_entry(image, "in pieces.bin"))[0])
        read = b"".join(bytes(window.view[window.fresh :]) for window in reader.windows(volume, plan))
    content[vcn * 4096 : end] = bytes(end - vcn * 4096)
    assert read == content[: len(read)]
    assert len(read) == (vcn * 4096 if lost < 0 else len(content))


@_needs_mount
def test_a_piece_that_claims_to_lie_beyond_the_volume_costs_no_time(tmp_path: Path) -> None:
    """By its size and by its second piece the file has petabytes: they are told, not read as zeros."""
    image = tmp_path / "volume.img"
    _fragmented(image)
    (_, first), (vcn, second), (after, _), *_ = _pieces(image, "in pieces.bin")
    mft = MftEditor(image)
    for number, field, value in ((first, 0x30, 1 << 60), (first, 0x38, 1 << 60), (second, 0x10, 1 << 46)):
        record = mft.record(number)
        (data,) = [one for one in attributes(record) if one.type == DATA]
        struct.pack_into("<Q", record, data.offset + field, value)
        mft.put(number, record)
    with _opened(image) as (volume, table):
        streams = Streams(volume, table, Paths(table))
        *extents, last = streams.plan(streams.heads_of(_entry(image, "in pieces.bin"))[0]).extents
        assert max(extent.length_bytes for extent in extents) < volume.geometry.volume_bytes
    (lost,) = [extent for extent in extents if extent.volume_offset == MISSING]
    assert (lost.stream_offset, lost.length_bytes) == (vcn * 4096, (after - vcn) * 4096)
    assert (last.volume_offset, last.stream_offset + last.length_bytes) == (MISSING, 1 << 60)


@pytest.fixture(scope="module")
def bare_volume(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty volume, which needs no root and no mount; small, so that it is made anew for each example."""
    return _make_volume(tmp_path_factory.mktemp("bare") / "volume.img", 2 * _MIB).read_bytes()


def _records_of(volume: bytes) -> tuple[int, bytearray]:
    """Return where `$MFT` lies in an empty volume, and its first 27 records without their fixups."""
    (cluster,) = struct.unpack_from("<Q", volume, 0x30)
    (code,) = struct.unpack_from("<b", volume, 0x40)
    record_bytes = 1 << -code
    start = cluster * 512 * volume[0x0D]
    return start, bytearray(volume[start : start + 27 * record_bytes])


_STRUCTURAL = (0x04, 0x06, 0x14, 0x16, 0x18, 0x1C, 0x20, 0x26)
_ATTRIBUTE_FIELDS = (0x00, 0x04, 0x08, 0x09, 0x0A, 0x0C, 0x10, 0x14, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40)
_values = st.one_of(
    st.sampled_from((0, 1, 7, 8, 0x10, 0x18, 0x30, 0x38, 0x40, 0x80, 0xFF, 0x100, 0x1F8, 0x3FC, 0x400, 0x7FFF, 0xFFFF)),
    st.integers(0, 0xFFFF),
)
_change = st.tuples(st.integers(0, 26), st.integers(0, 1023), _values)


def _attribute_offsets(record: bytearray) -> list[int]:
    return [one.offset for one in attributes(record)]


@st.composite
def _changes(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Draw changes: record, byte offset, and 16 bits to put there; most hit headers, where damage has consequences."""
    changes = draw(st.lists(_change, min_size=0, max_size=4))
    for _ in range(draw(st.integers(1, 6))):
        record, value = draw(st.integers(0, 26)), draw(_values)
        if draw(st.booleans()):
            changes.append((record, draw(st.sampled_from(_STRUCTURAL)), value))
        else:
            attribute, field = draw(st.integers(0, 6)), draw(st.sampled_from(_ATTRIBUTE_FIELDS))
            changes.append((record, -(attribute * 0x100 + field) - 1, value))
    return changes


def _damaged(records: bytearray, changes: list[tuple[int, int, int]]) -> bytearray:
    """Apply the changes to records without fixups, then fix them up again, so that they are taken for whole."""
    plain = bytearray(records)
    sound = [attribute_offsets(records, number) for number in range(27)]
    for record, offset, value in changes:
        place = offset
        if offset < 0:
            attribute, field = divmod(-offset - 1, 0x100)
            place = sound[record][attribute % len(sound[record])] + field
        struct.pack_into("<H", plain, record * 1024 + min(place, 1022), value)
    for start in range(0, len(plain), 1024):
        struct.pack_into("<HH", plain, start + 4, 0x30, 3)
        plain[start : start + 1024] = with_fixups(plain[start : start + 1024])
    return plain


def attribute_offsets(records: bytearray, number: int) -> list[int]:
    """Return where the attributes of one of the empty volume's records begin, or just its head where it has none."""
    record = records[number * 1024 : (number + 1) * 1024]
    return _attribute_offsets(record) if record[:4] == b"FILE" else [0x38]


def _plain_records(volume: bytes) -> bytearray:
    _, stored = _records_of(volume)
    records, _ = parse_records(stored, 1024, 0)
    return bytearray(records.data.tobytes())


@needs_tool("mkntfs")
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=_changes())
def test_no_attribute_of_a_hostile_record_lies_outside_it(
    bare_volume: bytes, changes: list[tuple[int, int, int]]
) -> None:
    stored = _damaged(_plain_records(bare_volume), changes)
    before = bytes(stored)
    records, found = parse_records(stored, 1024, 0)
    assert bytes(stored) == before
    begin, end = found.row * 1024, (found.row + 1) * 1024
    assert records.whole[found.row].all()
    assert ((begin <= found.content_offset) & (found.content_offset + found.content_bytes <= end)).all()
    named = found.name_bytes > 0
    assert ((begin <= found.name_offset) & (found.name_offset + found.name_bytes <= end))[named].all()
    assert (found.content_bytes >= 0).all()
    assert (np.diff(found.row) >= 0).all()
    assert not (records.odd & ~records.whole).any()
    for number in range(27):
        file_name_times(records.data[number].tobytes())


@needs_tool("mkntfs")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=_changes())
def test_a_volume_of_hostile_records_is_enumerated_and_read(
    bare_volume: bytes, changes: list[tuple[int, int, int]]
) -> None:
    """Enumeration, paths, plans and reading end without an error, whatever the records say."""
    start, _ = _records_of(bare_volume)
    damaged = _damaged(_plain_records(bare_volume), changes)
    image = bytearray(bare_volume)
    image[start : start + len(damaged)] = damaged
    try:
        volume = NtfsVolume(MemorySource(bytes(image)), "v1")
        table = read_mft(volume)
    except VolumeError:
        return
    paths = Paths(table)
    streams = Streams(volume, table, paths)
    reader = StreamReader(4096, 512)
    for entry in range(len(table.entries.in_use)):
        assert all(isinstance(path, str) for path in paths.of(entry))
    for plan in streams.plans(streams.heads):
        if plan.subject.size_bytes > _MIB:
            continue
        seen = sum(len(window.view) - window.fresh for window in reader.windows(volume, plan))
        cut = plan.extents[-1] if plan.extents and plan.extents[-1].volume_offset == MISSING else None
        assert seen in (0, plan.subject.size_bytes if cut is None else cut.stream_offset)
        missing = sum(gap.bytes or 0 for gap in reader.gaps(plan))
        assert plan.unread is not None or reader.bytes_read + missing == plan.subject.size_bytes


@settings(max_examples=200)
@given(raw=st.binary(min_size=1024, max_size=4096).map(lambda data: data[: len(data) // 1024 * 1024]))
def test_random_bytes_are_no_records(raw: bytes) -> None:
    records, found = parse_records(raw, 1024, 0)
    assert not records.whole.any()
    assert len(found.row) == 0
    assert (ROOT_ENTRY, MFT_ENTRY) == (5, 0)
