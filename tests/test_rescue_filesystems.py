"""The rescue on real destinations: ext4, exFAT, NTFS, FAT32; a device that corrupts, a power cut, a full one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import sleep
from typing import NamedTuple

import bagit
import pytest

from tests.loops import loop_device, mounted, run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from tests.rescue_samples import MODIFIED_UNIX_NS, save, save_all, sha256, subject
from triage.model.errors import RescueError
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.rescue.bag import write_bag
from triage.rescue.committer import BatchLimits
from triage.rescue.filesystem import FileSystem
from triage.rescue.vault import Vault

FILES = {f"Users/李明/Documents/folder {n % 3}/报告 {n}.docx": f"content {n}\n".encode() * 400 for n in range(30)}
FILES |= {
    "Users/a.txt": b"1",
    "Users/A.TXT": b"2",
    "Users/" + "名" * 80 + ".txt": b"long",
    "large.bin": bytes(3_000_000),
}
TWO_SECONDS_NS = 2_000_000_000


class Kind(NamedTuple):
    """How a destination is made and mounted."""

    name: str
    make: tuple[str, ...]
    options: tuple[str, ...] = ()


EXT4 = Kind("ext4", ("mkfs.ext4", "-F", "-q"))
KINDS = (
    pytest.param(EXT4, id="ext4", marks=needs_tool("mkfs.ext4")),
    pytest.param(
        Kind("exfat", ("mkfs.exfat",), ("-t", "exfat-fuse")),
        id="exfat",
        marks=[needs_tool("mkfs.exfat", "mount.exfat-fuse"), needs_device("/dev/fuse")],
    ),
    pytest.param(
        Kind("ntfs", ("mkntfs", "-F", "-q", "-f"), ("-t", "ntfs-3g")),
        id="ntfs",
        marks=[needs_tool("mkntfs", "ntfs-3g"), needs_device("/dev/fuse")],
    ),
)
pytestmark = [needs_root(), needs_device("/dev/loop-control"), needs_tool("losetup", "partx")]


class Destination(NamedTuple):
    """A mounted destination and the image below it, which holds what reached the device and nothing else."""

    kind: Kind
    image: Path
    folder: Path


@contextmanager
def destination(kind: Kind, folder: Path, size_bytes: int) -> Iterator[Destination]:
    image = sparse(folder / "image", size_bytes)
    with loop_device(image) as device:
        run(*kind.make, device)
        with mounted(device, folder / "mount", *kind.options) as mount:
            yield Destination(kind, image, mount)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    with destination(request.param, tmp_path, 64 << 20) as made:
        yield made


@contextmanager
def after_power_cut(image: Path, kind: Kind, folder: Path) -> Iterator[Path]:
    """Mount a copy of an image as it was found."""
    with loop_device(image) as device, mounted(device, folder / "after", *kind.options) as mount:
        yield mount


def test_rescue_onto_a_real_destination(place: Destination) -> None:
    bag = place.folder / "bag"
    records: list[RescuedFile] = []
    vault = Vault(bag, on_record=records.append)
    assert vault.reads_back_from_device
    save_all(vault, FILES)
    vault.close()
    write_bag(bag, records, {})
    bagit.Bag(str(bag)).validate()
    assert {record.path: record.outcome for record in records} == dict.fromkeys(FILES, RescueOutcome.RESCUED)
    for record in records:
        copy = bag / record.bag_path
        assert copy.read_bytes() == FILES[record.path]
        assert abs(copy.stat().st_mtime_ns - MODIFIED_UNIX_NS) <= TWO_SECONDS_NS
    bag_paths = [record.bag_path for record in records]
    assert len({path.casefold() for path in bag_paths}) == len(FILES)


def test_foreign_file_is_not_overwritten(place: Destination) -> None:
    """On ext4 the rename itself refuses, FUSE drivers know no such flag."""
    bag = place.folder / "bag"
    records: list[RescuedFile] = []
    vault = Vault(bag, on_record=records.append)
    (bag / "data/v1").mkdir()
    (bag / "data/v1/a.doc").write_bytes(b"foreign")
    save(vault, "a.doc", b"ours")
    vault.close()
    assert (bag / "data/v1/a.doc").read_bytes() == b"foreign"
    assert (bag / records[0].bag_path).read_bytes() == b"ours"


def test_what_is_reported_survives_a_power_cut(place: Destination, tmp_path: Path) -> None:
    """At each batch's first report the device is copied as it stands: all reported until then must be on the copy."""
    records: list[RescuedFile] = []
    snapshots: dict[Path, list[RescuedFile]] = {}

    def report(record: RescuedFile) -> None:
        records.append(record)
        if len(records) % 10 == 1:
            snapshot = tmp_path / f"image after {len(records)}"
            run("cp", "--sparse=always", place.image, snapshot)
            snapshots[snapshot] = list(records)

    vault = Vault(place.folder / "bag", on_record=report, limits=BatchLimits(files=10, seconds=3600))
    save_all(vault, FILES)
    vault.close()
    assert len(snapshots) == 4
    for snapshot, reported in snapshots.items():
        with after_power_cut(snapshot, place.kind, tmp_path) as mount:
            for record in reported:
                assert sha256((mount / "bag" / record.bag_path).read_bytes()) == record.sha256
        (tmp_path / "after").rmdir()


@needs_tool("mkfs.ext4", "mkntfs", "ntfs-3g", "fusermount")
@needs_device("/dev/fuse")
def test_driver_over_a_file_is_asked_for_each_file(tmp_path: Path) -> None:
    """NTFS in a file on ext4: the driver writes into the page cache, which nothing but fsync through it empties."""
    snapshot, inner = tmp_path / "snapshot", tmp_path / "inner"
    records: list[RescuedFile] = []

    def report(record: RescuedFile) -> None:
        if not records:
            run("cp", "--sparse=always", outer.image, snapshot)
        records.append(record)

    with destination(EXT4, tmp_path, 64 << 20) as outer:
        run("mkntfs", "-F", "-q", "-f", sparse(outer.folder / "ntfs", 16 << 20))
        with mounted_by_ntfs_3g(outer.folder / "ntfs", inner):
            vault = Vault(inner / "bag", on_record=report)
            save_all(vault, {"a.txt": b"some content" * 1000})
            vault.close()
    with after_power_cut(snapshot, EXT4, tmp_path) as after, mounted_by_ntfs_3g(after / "ntfs", inner):
        assert sha256((inner / "bag" / records[0].bag_path).read_bytes()) == records[0].sha256


@needs_tool("mkntfs", "ntfs-3g", "fusermount")
@needs_device("/dev/fuse")
def test_destination_that_vanishes(tmp_path: Path) -> None:
    """As a stick does that is pulled out: every file is reported once, the rescue ends with one clear error."""
    mount = tmp_path / "mount"
    run("mkntfs", "-F", "-q", "-f", sparse(tmp_path / "ntfs", 16 << 20))
    records: list[RescuedFile] = []
    with mounted_by_ntfs_3g(tmp_path / "ntfs", mount) as driver:
        vault = Vault(mount / "bag", on_record=records.append)
        assert not vault.reads_back_from_device
        save(vault, "before.txt", b"x")
        under_way = vault.open(subject("under way.txt", 1))
        assert under_way is not None
        driver.kill()
        driver.wait()
        with pytest.raises(RescueError, match="cannot be written: "):
            under_way.write(memoryview(b"x"))
        with pytest.raises(RescueError, match="cannot be written: "):
            save(vault, "after.txt", b"x")
        with pytest.raises(RescueError, match="cannot be written: "):
            vault.close()
    assert {record.path: record.outcome for record in records} == dict.fromkeys(
        ("before.txt", "under way.txt", "after.txt"), RescueOutcome.FAILED
    )
    assert len(records) == 3


@contextmanager
def mounted_by_ntfs_3g(image: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Mount a file, and wait for the driver to end: only then is the file itself free again."""
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(("ntfs-3g", "-o", "no_detach", image, folder)) as driver:
        while not folder.is_mount() and driver.poll() is None:
            sleep(0.01)
        try:
            yield driver
        finally:
            run("fusermount", "-u", folder)


def test_device_that_corrupts_what_it_stores_is_found_out(place: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    """The byte is changed below the file system, after the sync: only a read past all caches can see it."""
    marker = b"the one place that goes bad on the device"
    sync = FileSystem.sync

    def sync_then_corrupt(filesystem: FileSystem, new_files: Iterable[Path]) -> None:
        sync(filesystem, new_files)
        _overwrite(place.image, marker, b"T")

    records: list[RescuedFile] = []
    vault = Vault(place.folder / "bag", on_record=records.append)
    monkeypatch.setattr(FileSystem, "sync", sync_then_corrupt)
    save_all(vault, {"good.txt": b"good" * 5000, "bad.txt": bytes(9000) + marker + bytes(9000)})
    vault.close()
    outcomes = {record.path: record.outcome for record in records}
    assert outcomes == {"good.txt": RescueOutcome.RESCUED, "bad.txt": RescueOutcome.FAILED}
    assert not (place.folder / "bag/data/v1/bad.txt").exists()


def _overwrite(image: Path, marker: bytes, replacement: bytes) -> None:
    at = image.read_bytes().find(marker)
    if at >= 0:
        with image.open("r+b") as file:
            file.seek(at)
            file.write(replacement)


def save_without_end(vault: Vault, tried: list[str], size_of: Callable[[int], int]) -> None:
    for number in count():
        tried.append(f"d{number % 7}/{number}.bin")
        save(vault, tried[-1], number.to_bytes(4, "little") * (size_of(number) // 4))


def check_full(bag: Path, size_of: Callable[[int], int]) -> None:
    """Fill the destination: each file is reported once, the bag holds what was rescued and has room to be closed."""
    records: list[RescuedFile] = []
    tried: list[str] = []
    vault = Vault(bag, on_record=records.append, limits=BatchLimits(files=20, seconds=3600))
    with pytest.raises(RescueError, match="is full"):
        save_without_end(vault, tried, size_of)
    with pytest.raises(RescueError, match="is full"):
        vault.close()
    assert sorted(record.path for record in records) == sorted(tried)
    assert {record.outcome for record in records} == {RescueOutcome.RESCUED, RescueOutcome.FAILED}
    write_bag(bag, records, {})
    bagit.Bag(str(bag)).validate()


@needs_tool("mkfs.ext4")
@pytest.mark.parametrize("size_bytes", [4_000, 700_000])
def test_full_destination_keeps_what_is_committed(tmp_path: Path, size_bytes: int) -> None:
    with destination(EXT4, tmp_path, 16 << 20) as made:
        check_full(made.folder / "bag", lambda _: size_bytes)


def test_full_memory_file_system(tmp_path: Path) -> None:
    with mounted(Path("none"), tmp_path / "mount", "-t", "tmpfs", "-o", "size=8m") as mount:
        check_full(mount / "bag", lambda number: 4 << (number % 17))


@needs_tool("mkfs.ext4")
def test_read_only_destination_is_refused(tmp_path: Path) -> None:
    with destination(EXT4, tmp_path, 16 << 20) as made:
        run("mount", "-o", "remount,ro", made.folder)
        with pytest.raises(RescueError, match="is read-only"):
            Vault(made.folder / "bag", on_record=print)


@needs_tool("mkfs.vfat", "fusefat", "fusermount")
@needs_device("/dev/fuse")
def test_fat32(tmp_path: Path) -> None:
    """By a driver that takes ASCII names alone and no flags of rename."""
    image = sparse(tmp_path / "image", 40 << 20)
    run("mkfs.vfat", "-F", "32", image)
    mount = tmp_path / "mount"
    mount.mkdir()
    run("fusefat", "-o", "rw+", image, mount)
    try:
        records: list[RescuedFile] = []
        vault = Vault(mount / "bag", on_record=records.append)
        save_all(vault, {"Users/report.docx": b"one", "Users/REPORT.docx": b"two"})
        vault.close()
        found = {record.bag_path: (mount / "bag" / record.bag_path).read_bytes() for record in records}
    finally:
        run("fusermount", "-u", mount)
    assert found == {"data/v1/Users/report.docx": b"one", "data/v1/Users/REPORT~2.docx": b"two"}
