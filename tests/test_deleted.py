"""Deleted entries: the same names and clusters that The Sleuth Kit and ntfsundelete see, and nothing bogus."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import Case, examine_here, run_case
from tests.lab.mounts import mount_for_writing
from tests.loops import run, sparse
from tests.mft_editor import DATA, FLAGS, SEQUENCE, MftEditor, attributes
from tests.needs import needs_data, needs_device, needs_root, needs_tool
from tests.real_images import IMAGES, make_raw
from triage.model.deleted import DeletedStream, DeletedSummary, Recoverability
from triage.model.errors import ExitCode, ParseError
from triage.model.gap import GapKind
from triage.pipeline.deleted_rows import MOST_LISTED
from triage.pipeline.rows import RowKind, read_rows
from triage.volumes.cluster_bitmap import used_before
from triage.volumes.run_columns import decode_run_columns
from triage.volumes.runs import count_clusters, decode_runs

_MIB = 1 << 20
_CLUSTER_BYTES = 4096
_SIZE, _MAPPING_PAIRS = 0x30, 0x20
_BITMAP_ENTRY = 6
_HAVE_HOLES = ("holes.bin", "packed/text.csv")
_MANY_BYTES = 500 * 65_536
_NEEDS = (needs_root(), needs_tool("mkntfs", "ntfs-3g"), needs_device("/dev/fuse"))


def _needs_volume(test: Callable[..., None]) -> Callable[..., None]:
    for mark in _NEEDS:
        test = mark(test)
    return test


@given(lists=st.lists(st.binary(max_size=40), max_size=12))
def test_many_run_lists_are_decoded_like_each_alone(lists: list[bytes]) -> None:
    lengths = np.array([len(one) for one in lists], np.int64)
    runs, damaged = decode_run_columns(b"".join(lists), np.cumsum(lengths) - lengths, lengths)
    for number, pairs in enumerate(lists):
        of_list = runs.take(runs.of == number)
        found = list(zip(of_list.cluster.tolist(), of_list.clusters.tolist(), strict=True))
        try:
            expected = decode_runs(pairs)
        except ParseError:
            assert damaged[number]
            continue
        assert not damaged[number]
        assert found == expected
        starts = [count_clusters(expected[:before]) for before in range(len(expected))]
        assert of_list.vcn.tolist() == starts


@given(
    bits=st.binary(min_size=1, max_size=200),
    cuts=st.lists(st.integers(0, 1600), max_size=9),
    window_bytes=st.sampled_from((8, 64)),
)
def test_clusters_in_use_are_counted_across_windows(bits: bytes, cuts: list[int], window_bytes: int) -> None:
    places = np.unique(np.array(cuts, np.int64))
    windows = [memoryview(bits[start : start + window_bytes]) for start in range(0, len(bits), window_bytes)]
    used = used_before(windows, places)
    if len(places) > 0 and places[-1] > 8 * len(bits):
        assert used is None
        return
    whole = int.from_bytes(bits, "little")
    expected = [(whole & ((1 << place) - 1)).bit_count() for place in places.tolist()]
    assert used is not None
    assert used.tolist() == expected


def _deleted(case: Case) -> list[DeletedStream]:
    return list(read_rows(case.folder, RowKind.DELETED, DeletedStream))


def _summary(case: Case) -> DeletedSummary:
    assert case.report.deleted is not None
    (summary,) = case.report.deleted
    return summary


def _volume(path: Path) -> Path:
    sparse(path, 16 * _MIB)
    run("mkntfs", "-F", "-Q", "-q", "-c", str(_CLUSTER_BYTES), path)
    return path


@pytest.fixture(scope="module")
def reused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full volume from which files were deleted and on which one more was written: into what they left.

    Among them are one whose run list takes several records, one with an alternate stream, one with a hole, a compressed
    one, a resident one, and a directory.
    """
    volume = _volume(tmp_path_factory.mktemp("deleted") / "volume.img")
    random = Random(2017)
    with mount_for_writing(volume) as folder:
        home = folder / "Users" / "alice" / "Pictures"
        home.mkdir(parents=True)
        for number in range(8):
            (home / f"photo {number}.jpg").write_bytes(random.randbytes(300_000 + number))
        with open(folder / "odd.bin", "wb", 0) as odd, open(folder / "even.bin", "wb", 0) as even:
            for _piece in range(400):
                odd.write(b"o" * _CLUSTER_BYTES)
                even.write(b"e" * _CLUSTER_BYTES)
        (home / "note.txt").write_bytes(b"short")
        (folder / "streams.bin").write_bytes(random.randbytes(5000))
        with open(os.fsencode(folder) + b"/streams.bin:hidden", "wb") as stream:
            stream.write(random.randbytes(9000))
        with open(folder / "holes.bin", "wb") as holes:
            holes.truncate(500_000)
            holes.seek(300_000)
            holes.write(b"h" * 70_000)
        with open(folder / "many.bin", "wb") as many:
            many.truncate(_MANY_BYTES)
            for start in range(0, _MANY_BYTES, 65_536):
                many.seek(start)
                many.write(b"m" * _CLUSTER_BYTES)
        packed = folder / "packed"
        packed.mkdir()
        os.setxattr(packed, "system.ntfs_attrib", struct.pack("<I", 0x810))
        (packed / "text.csv").write_bytes(b"0123456789" * 40_000)
        (folder / "gone").mkdir()
        (folder / "gone" / "child.docx").write_bytes(random.randbytes(20_000))
        _fill(folder / "fill")
        for number in range(0, 8, 2):
            (home / f"photo {number}.jpg").unlink()
        (folder / "late.bin").write_bytes(b"l" * 700_000)
        for path in (home / "note.txt", folder / "gone" / "child.docx", folder / "streams.bin", folder / "holes.bin"):
            path.unlink()
        (folder / "even.bin").unlink()
        (folder / "many.bin").unlink()
        (packed / "text.csv").unlink()
        (folder / "gone").rmdir()
    return volume


def _fill(path: Path) -> None:
    with open(path, "wb", 0) as file, suppress(OSError):
        while True:
            file.write(b"f" * _CLUSTER_BYTES)


@_needs_volume
@needs_tool("fls", "istat", "blkls")
def test_names_and_clusters_are_those_that_the_sleuth_kit_sees(reused: Path, tmp_path: Path) -> None:
    rows = _deleted(examine_here(reused, tmp_path / "case"))
    listed = re.findall(
        r"^-/[rd] \* (\d+)(?:-(\d+)-(\d+))?:\t(.*)$", run("fls", "-d", "-r", "-p", reused), re.MULTILINE
    )
    # What has lost its name is called after its number; records that were never used are none of ours.
    theirs = {
        (int(entry), name.replace("OrphanFile-", "entry-")) for entry, _type, _id, name in listed if int(entry) >= 24
    }
    orphans = {(one.mft_entry, f"$OrphanFiles/{one.path.rpartition('/')[2]}") for one in rows if one.orphan}
    ours = {(one.mft_entry, f"{one.path}:{one.stream}" if one.stream else one.path) for one in rows if not one.orphan}
    assert ours | orphans == theirs
    table = run("blkls", "-e", "-l", reused).splitlines()
    free = {int(line.partition("|")[0]) for line in table if line.endswith("|f")}
    for one in rows:
        if one.size_bytes == _MANY_BYTES:  # The Sleuth Kit needs its attribute list, which lies in a freed cluster, too
            assert one.bytes.free + one.bytes.reused == 500 * _CLUSTER_BYTES
            continue
        if one.stream is None or one.recoverability is Recoverability.RESIDENT:
            continue
        clusters = _clusters(reused, one)
        there = sum(cluster in free for cluster in clusters)
        assert (one.bytes.free + one.bytes.contested > 0) is (there > 0), one.path
        left = one.bytes.free + one.bytes.contested
        assert there * _CLUSTER_BYTES - _CLUSTER_BYTES < left <= there * _CLUSTER_BYTES, one.path
        assert one.bytes.unknown == 0
        if one.path not in _HAVE_HOLES:
            assert left + one.bytes.reused == one.size_bytes, one.path


def _clusters(volume: Path, one: DeletedStream) -> list[int]:
    """Return the clusters that `istat` lists for a stream, holes left out."""
    text = run("istat", volume, str(one.mft_entry))
    name = re.escape(one.stream or "") or "N/A"
    match = re.search(rf"^Type: \$DATA \(\S+\)   Name: {name}   Non-Resident.*\n((?:[\d ]+\n)*)", text, re.MULTILINE)
    assert match is not None, text
    return [int(number) for number in match[1].split() if number != "0"]


@_needs_volume
@needs_tool("ntfsundelete")
def test_what_is_left_is_what_ntfsundelete_says(reused: Path, tmp_path: Path) -> None:
    rows = {one.mft_entry: one for one in _deleted(examine_here(reused, tmp_path / "case")) if one.stream == ""}
    theirs = re.findall(r"^(\d+) +F\S* +(\d+)% +\S+ +\S+ +(\d+)  (\S.*)$", run("ntfsundelete", reused), re.MULTILINE)
    compared = set()
    for entry, percent, size, name in theirs:
        # It counts holes as lost or as found, and gives the size of the largest stream.
        if name in ("<none>", "streams.bin") or rows[int(entry)].path in _HAVE_HOLES:
            continue
        one = rows[int(entry)]
        compared.add(one.recoverability)
        assert one.path.endswith(name)
        assert one.size_bytes == int(size)
        assert abs(100 * one.bytes.recoverable / one.size_bytes - int(percent)) <= 2, name
    assert compared >= {
        Recoverability.RESIDENT, Recoverability.FREE, Recoverability.PARTLY_REUSED, Recoverability.REUSED,
    }  # fmt: skip


@_needs_volume
def test_report_and_list_agree_and_mark_documents(reused: Path, tmp_path: Path) -> None:
    case = run_case([reused], tmp_path / "case", rescue=False)
    rows, summary = _deleted(case), _summary(case)
    lines = [json.loads(line) for line in (case.folder / "deleted.jsonl").read_text().splitlines()]
    assert [(one["path"], one["stream"], one["recoverability"], one["bytes"]["free"]) for one in lines] == [
        (one.path, one.stream, one.recoverability, one.bytes.free) for one in rows
    ]
    assert summary.entries == len({one.mft_entry for one in rows})
    assert summary.streams == sum(one.stream is not None for one in rows)
    assert sum(summary.streams_by_recoverability.values()) == len(rows)
    assert summary.free_bytes == sum(one.bytes.free for one in rows)
    documents = {one.path for one in rows if one.document}
    photos = {f"Users/alice/Pictures/photo {number}.jpg" for number in range(0, 8, 2)}
    assert photos | {"Users/alice/Pictures/note.txt", "packed/text.csv"} <= documents
    assert not any(path.endswith(".bin") for path in documents)
    hopeful = [one for one in rows if one.document and one.bytes.recoverable > 0]
    assert {one.path for one in summary.listed} == {one.path for one in hopeful}
    assert summary.document_bytes_by_recoverability == {
        one: sum(row.bytes.recoverable for row in rows if row.document and row.recoverability == one)
        for one in summary.documents_by_recoverability
    }
    times = next(one["times"] for one in lines if one["path"].endswith("note.txt"))
    assert times["created"] is not None
    html = (case.folder / "report.html").read_text()
    assert "Deleted documents" in html
    assert "photo 6.jpg" in html or "note.txt" in html
    assert case.exit_code is ExitCode.OK


def _entry_of(rows: list[DeletedStream], name: str) -> int:
    return next(one.mft_entry for one in rows if one.path.endswith(name) and one.stream == "")


def _set_runs(editor: MftEditor, entry: int, pairs: bytes, size_bytes: int | None = None) -> None:
    """Give a record's unnamed stream another run list, and another size."""
    record = editor.record(entry)
    data = next(one for one in attributes(record) if one.type == DATA and one.name == "")
    place = data.offset + data.field(record, _MAPPING_PAIRS, "<H")
    room = data.offset + data.length - place
    record[place : place + room] = pairs.ljust(room, b"\0")[:room]
    if size_bytes is not None:
        struct.pack_into("<Q", record, data.offset + _SIZE, size_bytes)
    editor.put(entry, record)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A volume with four deleted files, nothing of them used again."""
    volume = _volume(tmp_path / "volume.img")
    with mount_for_writing(volume) as folder:
        (folder / "Projects").mkdir()
        for number in range(4):
            (folder / "Projects" / f"plan {number}.docx").write_bytes(bytes([65 + number]) * 100_000)
        for number in range(4):
            (folder / "Projects" / f"plan {number}.docx").unlink()
    return volume


@_needs_volume
def test_free_clusters_that_two_deleted_files_claim_are_contested(plain: Path, tmp_path: Path) -> None:
    rows = _deleted(examine_here(plain, tmp_path / "before"))
    assert [one.recoverability for one in rows] == [Recoverability.FREE] * 4
    editor = MftEditor(plain)
    record = editor.record(_entry_of(rows, "plan 0.docx"))
    data = next(one for one in attributes(record) if one.type == DATA)
    place = data.offset + data.field(record, _MAPPING_PAIRS, "<H")
    _set_runs(editor, _entry_of(rows, "plan 1.docx"), bytes(record[place : data.offset + data.length]))
    case = examine_here(plain, tmp_path / "after")
    after = {one.path[-6]: one for one in _deleted(case)}
    assert [after[number].recoverability for number in "0123"] == [
        Recoverability.CONTESTED, Recoverability.CONTESTED, Recoverability.FREE, Recoverability.FREE,
    ]  # fmt: skip
    assert (after["0"].bytes.contested, after["0"].bytes.free) == (100_000, 0)
    assert _summary(case).contested_bytes == 25 * _CLUSTER_BYTES  # once, not twice
    assert _summary(case).free_bytes == 200_000


@_needs_volume
def test_bogus_sizes_and_runs_make_no_bogus_bytes(plain: Path, tmp_path: Path) -> None:
    rows = _deleted(examine_here(plain, tmp_path / "before"))
    editor = MftEditor(plain)
    clusters = 16 * _MIB // _CLUSTER_BYTES
    whole_volume = bytes([0x12]) + struct.pack("<H", clusters) + b"\1"
    beyond = bytes([0x31, 100]) + (clusters + 50).to_bytes(3, "little")
    _set_runs(editor, _entry_of(rows, "plan 0.docx"), whole_volume, 1 << 60)
    _set_runs(editor, _entry_of(rows, "plan 1.docx"), whole_volume, 1 << 45)
    _set_runs(editor, _entry_of(rows, "plan 2.docx"), beyond, 1 << 44)
    _set_runs(editor, _entry_of(rows, "plan 3.docx"), b"\xff\xff", None)
    case = examine_here(plain, tmp_path / "after")
    after = {one.path[-6]: one for one in _deleted(case)}
    assert {one.recoverability for one in after.values()} == {Recoverability.UNKNOWN}
    assert all(one.bytes.unknown <= 16 * _MIB for one in after.values())
    assert after["3"].bytes.unknown == 100_000
    summary = _summary(case)
    counted = summary.free_bytes + summary.contested_bytes + summary.reused_bytes + summary.resident_bytes
    assert counted <= 16 * _MIB
    (gap,) = case.gaps(GapKind.RUN_LIST)
    assert (gap.material, gap.detail.startswith("run lists of deleted streams damaged: 1;")) == (False, True)
    assert case.exit_code is ExitCode.OK


@_needs_volume
def test_runs_beyond_the_volume_cost_only_their_own_file(plain: Path, tmp_path: Path) -> None:
    rows = _deleted(examine_here(plain, tmp_path / "before"))
    clusters = 16 * _MIB // _CLUSTER_BYTES
    half_out = bytes([0x31, 25]) + (clusters - 10).to_bytes(3, "little")
    _set_runs(MftEditor(plain), _entry_of(rows, "plan 2.docx"), half_out)
    after = _deleted(examine_here(plain, tmp_path / "after"))
    assert [one.recoverability for one in after] == [
        Recoverability.FREE, Recoverability.FREE, Recoverability.UNKNOWN, Recoverability.FREE,
    ]  # fmt: skip
    assert after[2].bytes.unknown == 100_000 - 9 * _CLUSTER_BYTES  # the volume's last sector is no cluster any more


@_needs_volume
@pytest.mark.parametrize(
    "runs", [b"\xff\xff", bytes([0x41, 1]) + (1 << 30).to_bytes(4, "little")], ids=("no", "elsewhere")
)
def test_without_bitmap_nothing_is_called_free(plain: Path, tmp_path: Path, runs: bytes) -> None:
    _set_runs(MftEditor(plain), _BITMAP_ENTRY, runs)
    case = examine_here(plain, tmp_path / "case")
    assert {one.recoverability for one in _deleted(case)} == {Recoverability.UNKNOWN}
    assert [one.bytes.unknown for one in _deleted(case)] == [100_000] * 4
    assert any("deleted files" in gap.detail for gap in case.gaps(GapKind.READ_ERROR))


@_needs_volume
def test_a_directory_that_another_took_over_leaves_orphans(plain: Path, tmp_path: Path) -> None:
    rows = _deleted(examine_here(plain, tmp_path / "before"))
    editor = MftEditor(plain)
    parent = next(entry for entry in range(24, 80) if "Projects" in _names(editor, entry))
    record = editor.record(parent)
    struct.pack_into("<H", record, SEQUENCE, 77)
    editor.put(parent, record)
    case = examine_here(plain, tmp_path / "after")
    after = _deleted(case)
    assert [one.mft_entry for one in after] == [one.mft_entry for one in rows]
    assert {one.path.rpartition("/")[0] for one in after} == {f"$OrphanFiles/{parent}-1"}
    assert all(one.orphan and one.document for one in after)
    assert _summary(case).orphans == 4


def _names(editor: MftEditor, entry: int) -> str:
    return editor.raw(entry).decode("utf-16-le", "replace") if editor.raw(entry)[FLAGS] & 1 else ""


@_needs_volume
def test_the_report_lists_so_many_and_counts_the_rest(tmp_path: Path) -> None:
    volume = _volume(tmp_path / "volume.img")
    count = MOST_LISTED + 150
    with mount_for_writing(volume) as folder:
        for number in range(count):
            (folder / f"sheet {number}.xlsx").write_bytes(bytes([1]) * (1000 + number))
        for path in folder.glob("*.xlsx"):
            path.unlink()
    case = examine_here(volume, tmp_path / "case")
    summary = _summary(case)
    assert len(_deleted(case)) == count
    assert (len(summary.listed), summary.not_listed) == (MOST_LISTED, 150)
    assert [one.size_bytes for one in summary.listed] == list(range(1000 + count - 1, 1000 + 149, -1))


@_needs_volume
def test_deleted_entries_are_left_out_when_asked(plain: Path, tmp_path: Path) -> None:
    case = run_case([plain], tmp_path / "case", rescue=False, deleted=False)
    assert case.report.deleted is None
    assert _deleted(case) == []
    assert (case.folder / "deleted.jsonl").read_text() == ""
    assert "Not listed, as asked." in (case.folder / "report.html").read_text()


@needs_data()
def test_files_that_windows_deleted_are_all_there_whole(tmp_path: Path) -> None:
    """Test 7 of the Digital Forensics Tool Testing images: eight files, two directories, one alternate stream."""
    (image,) = (one for one in IMAGES if one.path == "dftt/7-undel-ntfs.zip")
    rows = _deleted(examine_here(make_raw(image, tmp_path), tmp_path / "case"))
    assert {one.path for one in rows if one.directory} == {"dir1", "dir1/dir2"}
    streams = {f"{one.path}:{one.stream}": one.recoverability for one in rows if one.stream is not None}
    assert streams == {
        "frag1.dat:": Recoverability.FREE,
        "frag2.dat:": Recoverability.FREE,
        "sing1.dat:": Recoverability.FREE,
        "mult1.dat:": Recoverability.FREE,
        "mult1.dat:ADS": Recoverability.FREE,
        "dir1/dir2/frag3.dat:": Recoverability.FREE,
        "dir1/mult2.dat:": Recoverability.FREE,
        "res1.dat:": Recoverability.RESIDENT,
        "$OrphanFiles/37-1/sing2.dat:": Recoverability.FREE,
    }
    assert sum(one.bytes.recoverable for one in rows) == sum(one.size_bytes for one in rows)
