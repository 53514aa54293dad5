"""The lab's own truth holds: what it says of a disk is what independent tools find there."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pyfsntfs
import pytest
import yara

from tests.conftest import LabDisk
from tests.lab import odd, standins, wncry
from tests.lab.disk import BuiltDisk, DiskSpec, plan_files
from tests.lab.hives import HIVE_TOOL
from tests.lab.make_demo import DEMO_SPEC
from tests.lab.mounts import mount_read_only, on_mount
from tests.lab.plan import Kind, TrueStream, Written, sha256
from tests.lab.tables import Layout, volume_offset
from tests.loops import run
from tests.needs import needs_tool
from triage.demo import DEMO_INDICATORS, PACKED_IMAGE, unpack_demo
from triage.indicators.load import load_builtin, load_family_csv
from triage.model.errors import EvidenceError
from triage.model.verdict import Stage

# ntfs-3g has no decoder for these; EFS has no digest in the first place.
_NOT_THROUGH_A_MOUNT = (Written.WOF, Written.REPARSE)
_MIB = 1024 * 1024
_TOPS = ("Windows", "Users", "ProgramData", "Program Files", "Projects", "$RECYCLE")
_RULES = Path(__file__).resolve().parent.parent / "yara"

_EARLY = {Kind.USER_INTACT, Kind.SYSTEM}
_INSTALLED = _EARLY | {Kind.STAND_IN, Kind.NOTE}
_ENCRYPTED = _INSTALLED | {Kind.KEY_FILE, Kind.ENCRYPTED, Kind.MOVED_ORIGINAL}
_KINDS = {
    Stage.NONE: _EARLY,
    Stage.DROPPER_ONLY: _EARLY | {Kind.STAND_IN},
    Stage.PROPAGATING: _EARLY | {Kind.STAND_IN},
    Stage.INSTALLED: _INSTALLED,
    Stage.ENCRYPTING: _ENCRYPTED | {Kind.IN_PROGRESS, Kind.PREPARED},
    Stage.FINISHED: _ENCRYPTED | {Kind.FILLER},
}


def _readable(disk: BuiltDisk) -> list[TrueStream]:
    odd_paths = {one.path for one in disk.streams if one.written in _NOT_THROUGH_A_MOUNT}
    return [one for one in disk.streams if one.sha256 is not None and one.path not in odd_paths]


def _assert_streams_hold(disk: BuiltDisk) -> None:
    with mount_read_only(disk.image, disk.volume_offset_bytes) as folder:
        for one in _readable(disk):
            for path in (one.path, *one.other_paths):
                content = Path(os.fsdecode(on_mount(folder, path, one.stream))).read_bytes()
                assert (len(content), sha256(content)) == (one.size_bytes, one.sha256), ascii(path)


@pytest.mark.parametrize("stage", Stage)
def test_each_stage_holds_what_its_truth_says(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    assert len(_readable(disk)) >= 40
    _assert_streams_hold(disk)


@pytest.mark.parametrize("layout", Layout)
def test_odd_corners_hold_in_each_partition_layout(lab_disk: LabDisk, layout: Layout) -> None:
    disk = lab_disk(spec=DiskSpec(layout=layout, oddities=True))
    assert {one.written for one in disk.streams} == set(Written)
    _assert_streams_hold(disk)


@needs_tool(HIVE_TOOL)
@pytest.mark.parametrize("stage", Stage)
def test_each_stage_has_its_kinds_of_files(stage: Stage) -> None:
    files = plan_files(DiskSpec(stage=stage), wncry.make_test_key())
    assert {file.kind for file in files} == _KINDS[stage]


def test_system_hive_has_the_services_of_its_stage(lab_disk: LabDisk) -> None:
    services: dict[Stage, list[str]] = {}
    for stage in Stage:
        disk = lab_disk(stage)
        with mount_read_only(disk.image, disk.volume_offset_bytes) as folder:
            hive = folder / "Windows/System32/config/SYSTEM"
            listed = run("hivexregedit", "--export", hive, r"\ControlSet001\Services")
        services[stage] = [name for name in ("mssecsvc2.0", "xjzilhxs261") if rf"\{name}]" in listed]
    both = ["mssecsvc2.0", "xjzilhxs261"]
    assert [services[stage] for stage in Stage] == [[], [], ["mssecsvc2.0"], both, both, both]


@pytest.mark.parametrize("stage", [Stage.ENCRYPTING, Stage.FINISHED])
def test_encrypted_and_prepared_files_give_their_originals_back(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    containers = disk.of_kind(Kind.ENCRYPTED, Kind.PREPARED)
    assert len(containers) >= 12
    with mount_read_only(disk.image, disk.volume_offset_bytes) as folder:
        for one in containers:
            content = (folder / one.path).read_bytes()
            assert content.startswith(wncry.MAGIC)
            plain = wncry.restored(content) if one.kind is Kind.PREPARED else wncry.decrypted(content, disk.key)
            assert sha256(plain) == one.original_sha256


def test_moved_originals_are_the_originals_of_containers(lab_disk: LabDisk) -> None:
    disk = lab_disk(Stage.ENCRYPTING)
    originals = {one.original_sha256 for one in disk.of_kind(Kind.ENCRYPTED)}
    moved = disk.of_kind(Kind.MOVED_ORIGINAL)
    assert {one.path.rpartition("/")[0] for one in moved} == {"$RECYCLE", "Windows/Temp"}
    assert all(one.sha256 in originals for one in moved)


@needs_tool("hashdeep")
def test_hashdeep_agrees(lab_disk: LabDisk) -> None:
    disk = lab_disk(spec=DiskSpec(oddities=True))
    with mount_read_only(disk.image, disk.volume_offset_bytes) as folder:
        command = ("hashdeep", "-c", "sha256", "-r", "-s", folder / "Users", folder / "ProgramData")
        listed = subprocess.run(command, check=False, capture_output=True).stdout
    found = {tuple(line.split(b",")[:2]) for line in listed.splitlines() if line[:1].isdigit()}
    expected = [one for one in _readable(disk) if one.path.startswith(("Users/", "ProgramData/"))]
    missing = [
        ascii(one.path)
        for one in expected
        if one.stream == "" and (str(one.size_bytes).encode(), (one.sha256 or "").encode()) not in found
    ]
    assert missing == []


@needs_tool("ntfsinfo")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("forms/resident.txt", "Resident: \t\t Yes"),
        ("forms/fragmented-3.txt", "(fragments: "),
        ("forms/sparse.bin", "<HOLE>"),
        ("forms/compressed/mixed.bin", "ARCHIVE COMPRESSED"),
        ("forms/uninitialised-middle.bin", "Initialized size:\t 20000"),
        ("forms/uninitialised-none.bin", "Initialized size:\t 0 "),
        ("forms/efs.docx", "ENCRYPTED"),
        ("forms/wof.txt", "REPARSE_POINT"),
        ("forms/junction", "REPARSE_POINT"),
        ("streams/many-links.txt", "Number of Hard Links:\t 25"),
        ("streams/many-streams.txt", "$ATTRIBUTE_LIST (0x20)"),
    ],
)
def test_ntfsinfo_sees_how_a_file_is_stored(lab_disk: LabDisk, name: str, expected: str) -> None:
    disk = lab_disk(spec=DiskSpec(oddities=True, layout=Layout.BARE))
    dump = run("ntfsinfo", "-v", "-F", f"Users/alice/Documents/{name}", disk.image)
    assert expected in dump
    if "fragmented" in name:
        assert int(dump.rpartition(expected)[2].split(")")[0]) > 3


def test_libfsntfs_reads_the_overlay_compressed_files(lab_disk: LabDisk) -> None:
    disk = lab_disk(spec=DiskSpec(oddities=True, layout=Layout.BARE))
    compressed = [one for one in disk.streams if one.written is Written.WOF and odd.LZX_FILES not in one.path]
    assert len(compressed) == 8
    volume = pyfsntfs.volume()
    volume.open(str(disk.image))
    try:
        for one in compressed:
            entry = volume.get_file_entry_by_path("\\" + one.path.replace("/", "\\"))
            assert sha256(entry.read_buffer(one.size_bytes)) == one.sha256, one.path
    finally:
        volume.close()


def test_old_bytes_lie_behind_the_initialised_size(lab_disk: LabDisk) -> None:
    disk = lab_disk(spec=DiskSpec(oddities=True, layout=Layout.BARE))
    image = disk.image.read_bytes()
    cut = [file for file in plan_files(disk.spec, disk.key) if file.initialized_bytes is not None]
    assert len(cut) == 3
    assert all(file.content[-512:] in image for file in cut)


@needs_tool("fls")
def test_fls_lists_hostile_names_and_deleted_files(lab_disk: LabDisk) -> None:
    disk = lab_disk(spec=DiskSpec(oddities=True, layout=Layout.BARE))
    listed = _fls("-r", "-p", disk.image)
    for name in ("..x", "...", "trailing dots..", "back\\slash.txt", "n" * 251 + ".txt", "[bold]x[red]y.txt"):
        assert f"{odd.NAMES_FOLDER}/{name}\n" in listed
    assert f"{odd.NAMES_FOLDER}/lone high " in listed
    deleted = _fls("-r", "-p", "-d", disk.image)
    gone = [one.path for one in disk.streams if one.deleted and one.path.isprintable()]
    assert len(gone) >= 10
    assert [path for path in gone if path not in deleted] == []


def _fls(*arguments: str | Path) -> str:
    """Run fls, which prints an unpaired surrogate as bytes that are no UTF-8."""
    return subprocess.run(("fls", *arguments), check=True, capture_output=True).stdout.decode(errors="replace")


@needs_tool("mmls", "fsstat")
@pytest.mark.parametrize("layout", [Layout.MBR, Layout.MBR_LOGICAL, Layout.GPT])
def test_mmls_finds_the_partition(lab_disk: LabDisk, layout: Layout) -> None:
    disk = lab_disk(spec=DiskSpec(layout=layout, oddities=True))
    start = volume_offset(layout) // 512
    assert f"   {start:010d}   {start + disk.volume_bytes // 512 - 1:010d}   " in run("mmls", disk.image)
    assert "File System Type: NTFS" in run("fsstat", "-o", str(start), disk.image)
    if layout is Layout.MBR_LOGICAL:
        assert "File System Type: Ext2" in run("fsstat", "-o", "2048", disk.image)


def test_a_directory_of_many_files(lab_disk: LabDisk) -> None:
    disk = lab_disk(spec=DiskSpec(many_files=2000, layout=Layout.BARE, stage=Stage.NONE))
    with mount_read_only(disk.image, 0) as folder:
        assert len(list((folder / odd.MANY_FOLDER).iterdir())) == 2000


@needs_tool(HIVE_TOOL)
def test_same_seed_same_documents() -> None:
    key = wncry.make_test_key()
    spec = DiskSpec(stage=Stage.NONE, oddities=True)
    once, again = plan_files(spec, key), plan_files(spec, key)
    assert once == again
    assert once != plan_files(DiskSpec(stage=Stage.NONE, oddities=True, seed=1), key)


def test_indicator_set_lists_every_stand_in_and_nothing_else(lab_disk: LabDisk) -> None:
    disk = lab_disk(Stage.FINISHED)
    listed = {one.sha256 for one in load_family_csv(disk.indicators, disk.indicators.stem).indicators}
    placed = {one.sha256 for one in disk.of_kind(Kind.STAND_IN)}
    assert placed == listed
    assert listed.isdisjoint(one.sha256 for one in disk.streams if one.kind is not Kind.STAND_IN)
    assert listed.isdisjoint(one.sha256 for one in load_builtin().indicators)


def test_stand_ins_say_that_they_are_inert() -> None:
    for stand_in in standins.STAND_INS:
        assert stand_in.content.startswith(b"inert stand-in of the triage lab: ")
    assert b"inert stand-in of the triage lab" in standins.ransom_note()


def test_demo_indicators_are_those_of_the_lab() -> None:
    assert DEMO_INDICATORS.stem == "demo-inert-standins"
    assert DEMO_INDICATORS.read_text(encoding="utf-8") == standins.indicator_csv()


@needs_tool("xz")
def test_demo_is_small_and_unpacks_with_holes(tmp_path: Path) -> None:
    assert PACKED_IMAGE.stat().st_size < 300 * 1024
    image = unpack_demo(tmp_path)
    status = image.stat()
    assert status.st_size == volume_offset(DEMO_SPEC.layout) + DEMO_SPEC.volume_bytes + _MIB
    assert status.st_blocks * 512 < 6 * _MIB
    unpacked = subprocess.run(("xz", "-dc", PACKED_IMAGE), check=True, capture_output=True).stdout
    assert hashlib.sha256(unpacked).digest() == hashlib.sha256(image.read_bytes()).digest()


def test_demo_is_never_unpacked_over_a_file(tmp_path: Path) -> None:
    before = unpack_demo(tmp_path).stat()
    with pytest.raises(EvidenceError, match="is there already"):
        unpack_demo(tmp_path)
    assert (tmp_path / "infected-pc.img").stat().st_mtime_ns == before.st_mtime_ns


def test_demo_needs_a_folder_that_exists(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot unpack"):
        unpack_demo(tmp_path / "missing")


@needs_tool("mmls", "fls")
def test_demo_lists_partition_and_files(tmp_path: Path) -> None:
    image = unpack_demo(tmp_path)
    assert "NTFS" in run("mmls", image)
    listed = run("fls", "-r", "-p", "-o", "2048", image)
    for path in ("Windows/mssecsvc.exe", "Windows/System32/config/SYSTEM", "Users/李雷/Documents/contract.pdf"):
        assert f"{path}\n" in listed


@pytest.mark.usefixtures("lab_disk")  # for its check of the machine
def test_demo_holds_what_the_lab_plans_and_no_program(tmp_path: Path) -> None:
    image = unpack_demo(tmp_path)
    rules = yara.compile(sources={path.stem: path.read_text() for path in _RULES.glob("*.yar")})
    planned = [file for file in plan_files(DEMO_SPEC, wncry.make_test_key()) if not file.deleted]
    # Containers and key files differ with each key; hives with the tool that writes them.
    fixed = (Kind.USER_INTACT, Kind.STAND_IN, Kind.NOTE, Kind.MOVED_ORIGINAL)
    matched: set[str] = set()
    with mount_read_only(image, volume_offset(DEMO_SPEC.layout)) as folder:
        for file in planned:
            content = (folder / file.path).read_bytes()
            assert file.kind not in fixed or content == file.content, file.path
            assert not content.startswith((b"MZ", b"\x7fELF"))
            matched |= {match.rule for match in rules.match(data=content)}
        present = sum(stat.S_ISREG(path.lstat().st_mode) for top in _TOPS for path in (folder / top).rglob("*"))
    assert present == len(planned)
    assert matched == {"WannaCry_Note_Text", "WannaCry_EncryptedFile_Header", "WannaCry_Configuration_Servers"}
