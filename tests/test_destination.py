"""The rescue destination: every way in which it may lie on the evidence, or cannot be written, is refused."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.loops import loop_device, mounted, run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from tests.test_evidence import unprivileged
from triage.evidence import destination
from triage.evidence.destination import check_destination, filesystem_name, free_bytes, max_file_bytes
from triage.evidence.mounts import parse_mountinfo
from triage.evidence.open import open_evidence
from triage.evidence.source import EvidenceSource
from triage.model.errors import RescueError

MIB = 1 << 20


def refusal(folder: Path, *evidence: Path) -> RescueError:
    """Return the refusal of `folder` with `evidence`; it is one line with a hint."""
    with ExitStack() as stack:
        sources: list[EvidenceSource] = [stack.enter_context(open_evidence(path)) for path in evidence]
        with pytest.raises(RescueError) as caught:
            check_destination(folder, sources)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return sparse(tmp_path / "disk.raw", MIB)


@pytest.mark.parametrize("name", ["", "new", "../new"])
def test_folder_beside_an_image(tmp_path: Path, image: Path, name: str) -> None:
    (tmp_path / "here").mkdir()
    with open_evidence(image) as source:
        check_destination(tmp_path / "here" / name, [source])


def test_relative_folder_in_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_destination(Path("new"), [])
    check_destination(Path(), [])
    assert free_bytes(Path("new")) > 0


def test_missing_parent(tmp_path: Path, image: Path) -> None:
    assert "parent folder does not exist" in refusal(tmp_path / "no" / "folder", image).message


def test_file_and_dangling_link(tmp_path: Path, image: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link", "file/folder"):
        assert "is not a folder" in refusal(tmp_path / name, image).message


def test_evidence_itself(tmp_path: Path, image: Path) -> None:
    (tmp_path / "link").symlink_to(image)
    for path in (image, tmp_path / "link"):
        assert "is the evidence" in refusal(path, image).message


def test_later_segment_is_the_evidence(tmp_path: Path) -> None:
    for number in (1, 2):
        sparse(tmp_path / f"disk.00{number}", 1000)
    assert "is the evidence" in refusal(tmp_path / "disk.002", tmp_path / "disk.001").message


def test_no_permission(tmp_path: Path, image: Path) -> None:
    with open_evidence(image) as source, unprivileged():
        with pytest.raises(RescueError, match="no permission"):
            check_destination(Path("/"), [source])
        with pytest.raises(RescueError, match=r"cannot be used: Permission denied"):
            check_destination(Path("/proc/1/cwd/x"), [source])


@needs_root()
@needs_tool("mount")
def test_read_only_file_system(tmp_path: Path, image: Path) -> None:
    (tmp_path / "mnt").mkdir()
    run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", tmp_path / "mnt")
    try:
        for name in ("", "new"):
            assert "read-only file system" in refusal(tmp_path / "mnt" / name, image).message
    finally:
        run("umount", tmp_path / "mnt")


@needs_root()
@needs_device("/dev/loop-control")
@needs_tool("losetup", "blockdev", "mkfs.ext4", "mount", "sfdisk", "partx")
class TestOnTheEvidence:
    @pytest.fixture
    def disk(self, tmp_path: Path) -> Path:
        path = sparse(tmp_path / "disk.raw", 8 * MIB)
        run("sh", "-c", f"echo 'start=2048,type=83' | sfdisk -q {path}")
        run("mkfs.ext4", "-q", "-F", "-E", f"offset={MIB}", path, "4096")
        return path

    def test_partition_of_the_device_and_of_the_image(self, tmp_path: Path, disk: Path) -> None:
        with loop_device(disk) as node, mounted(Path(f"{node}p1"), tmp_path / "mnt") as folder:
            for evidence in (node, Path(f"{node}p1"), disk):
                for name in ("", "new"):
                    message = refusal(folder / name, evidence).message
                    assert f"lies on the evidence ({node}p1, mounted at {folder})" in message

    def test_read_only_mount_is_named_as_evidence_first(self, tmp_path: Path, disk: Path) -> None:
        with loop_device(disk) as node, mounted(Path(f"{node}p1"), tmp_path / "mnt", "-o", "ro") as folder:
            assert "lies on the evidence" in refusal(folder, node).message

    def test_second_evidence_counts(self, tmp_path: Path, disk: Path) -> None:
        (tmp_path / "other").mkdir()
        other = sparse(tmp_path / "other" / "other.raw", MIB)
        with loop_device(disk) as node, mounted(Path(f"{node}p1"), tmp_path / "mnt") as folder:
            assert "lies on the evidence" in refusal(folder, other, disk).message
            with open_evidence(other) as source:
                check_destination(folder, [source])

    def test_link_into_the_evidence(self, tmp_path: Path, disk: Path) -> None:
        with loop_device(disk) as node, mounted(Path(f"{node}p1"), tmp_path / "mnt") as folder:
            (tmp_path / "link").symlink_to(folder)
            assert "lies on the evidence" in refusal(tmp_path / "link", disk).message

    @needs_tool("mkntfs", "ntfs-3g")
    @needs_device("/dev/fuse")
    def test_fuse_mount_of_an_image(self, tmp_path: Path) -> None:
        bare = sparse(tmp_path / "bare.raw", 2 * MIB)
        run("mkntfs", "-q", "-F", bare)
        (tmp_path / "mnt").mkdir()
        run("ntfs-3g", bare, tmp_path / "mnt")
        try:
            assert "lies on the evidence" in refusal(tmp_path / "mnt", bare).message
        finally:
            run("umount", tmp_path / "mnt")


@needs_tool("stat", "df")
def test_free_space_and_name_agree_with_coreutils(tmp_path: Path) -> None:
    free, filesystem = run("df", "--output=avail,fstype", "-B1", tmp_path).split("\n")[1].split()
    assert abs(free_bytes(tmp_path / "new") - int(free)) < 1 << 30
    assert filesystem_name(tmp_path) == filesystem
    assert max_file_bytes(tmp_path) is None


@pytest.mark.parametrize(
    ("filesystem", "expected"),
    [("vfat", (4 << 30) - 1), ("msdos", (4 << 30) - 1), ("exfat", None), ("ext4", None), ("fuseblk", None)],
)
def test_longest_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, filesystem: str, expected: int | None) -> None:
    line = f"36 1 8:17 / {tmp_path} rw - {filesystem} /dev/sdb1 rw\n"
    monkeypatch.setattr(destination, "read_mounts", lambda: parse_mountinfo(line))
    assert max_file_bytes(tmp_path / "new") == expected


@needs_device("/dev/fuse")
@needs_tool("mkfs.vfat", "fusefat", "fusermount3")
def test_real_fat(tmp_path: Path) -> None:
    image = sparse(tmp_path / "fat.img", 40 * MIB)
    run("mkfs.vfat", "-F", "32", image)
    (tmp_path / "mnt").mkdir()
    run("fusefat", "-o", "rw+", image, tmp_path / "mnt")
    try:
        assert max_file_bytes(tmp_path / "mnt") == 4_294_967_295
    finally:
        run("fusermount3", "-u", tmp_path / "mnt")


def test_os_names_are_kept(tmp_path: Path) -> None:
    """A folder's name that is no UTF-8 is a folder like any other."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    folder.mkdir()
    check_destination(folder, [])
