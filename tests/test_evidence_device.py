"""Block devices: everything that could write to the evidence is found, refused or locked; on loop devices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loops import loop_device, mounted, run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from tests.test_evidence import unprivileged
from triage.evidence import mounts
from triage.evidence.device import refuse_if_mounted_read_write, set_read_only
from triage.evidence.mounts import mount_of, parse_mountinfo, read_mounts
from triage.evidence.open import open_evidence
from triage.evidence.sysfs import related_devices
from triage.model.errors import EvidenceError

pytestmark = [
    needs_root(),
    needs_device("/dev/loop-control"),
    needs_tool("losetup", "blockdev", "sfdisk", "partx", "mkfs.ext4", "mount", "mkswap"),
]

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk image with two partitions: ext4 at 1 MiB, the other at 5 MiB empty."""
    image = sparse(tmp_path / "disk.raw", 10 * MIB)
    run(
        "sh",
        "-c",
        f"printf 'start=2048,size=8192,type=83\\nstart=10240,size=8192,type=7\\n' | sfdisk -q {image}",
    )
    run("mkfs.ext4", "-q", "-F", "-E", f"offset={MIB}", image, "4096")
    return image


@pytest.fixture
def node(disk: Path) -> Iterator[Path]:
    with loop_device(disk) as device:
        yield device


def partition(node: Path, number: int) -> Path:
    return Path(f"{node}p{number}")


def refusal(path: Path) -> EvidenceError:
    with pytest.raises(EvidenceError) as caught:
        refuse_if_mounted_read_write(path)
    return caught.value


def test_nothing_mounted_is_not_refused(disk: Path, node: Path) -> None:
    for path in (disk, node, partition(node, 1), partition(node, 2)):
        refuse_if_mounted_read_write(path)


def test_mounted_read_write_is_refused_by_every_way_to_its_bytes(disk: Path, node: Path, tmp_path: Path) -> None:
    link = tmp_path / "other-name.raw"
    link.hardlink_to(disk)
    with mounted(partition(node, 1), tmp_path / "mnt") as folder:
        for path in (disk, link, node, partition(node, 1)):
            error = refusal(path)
            assert f"{partition(node, 1)} is mounted read-write at {folder}" in error.message
            assert "umount" in error.hint
    refuse_if_mounted_read_write(node)


def test_sibling_partition_mounted_read_write_is_refused(node: Path, tmp_path: Path) -> None:
    """Its disk could not be set read-only."""
    with mounted(partition(node, 1), tmp_path / "mnt"):
        assert "read-write" in refusal(partition(node, 2)).message


def test_mounted_read_only_is_accepted(disk: Path, node: Path, tmp_path: Path) -> None:
    with mounted(partition(node, 1), tmp_path / "mnt", "-o", "ro"):
        refuse_if_mounted_read_write(disk)
        refuse_if_mounted_read_write(node)


def test_read_only_bind_of_a_writable_file_system_is_refused(node: Path, tmp_path: Path) -> None:
    with mounted(partition(node, 1), tmp_path / "mnt") as folder:
        run("mount", "-o", "remount,bind,ro", folder)
        assert "read-write" in refusal(node).message


def test_loop_device_on_a_device_counts_as_its_holder(node: Path, tmp_path: Path) -> None:
    with (
        loop_device(partition(node, 1)) as upper,
        mounted(upper, tmp_path / "mnt"),
    ):
        assert f"{upper} is mounted read-write" in refusal(node).message
        assert {node.name, f"{node.name}p1", f"{node.name}p2", upper.name} == names_related_to(node)


def test_two_loop_devices_on_one_file_are_one_disk(disk: Path, node: Path, tmp_path: Path) -> None:
    with loop_device(disk, "--offset", str(MIB)) as other, mounted(other, tmp_path / "mnt"):
        assert f"{other} is mounted read-write" in refusal(node).message
        assert other.name in names_related_to(node)
        assert f"{other} is mounted read-write" in refusal(disk).message


def test_a_loop_device_on_a_partition_counts_with_the_disk_below(node: Path, tmp_path: Path) -> None:
    with loop_device(partition(node, 2)) as upper, mounted(partition(node, 1), tmp_path / "mnt"):
        assert f"{partition(node, 1)} is mounted read-write" in refusal(upper).message


@needs_tool("mkntfs", "ntfs-3g")
@needs_device("/dev/fuse")
def test_fuse_mount_is_known_by_its_source(disk: Path, node: Path, tmp_path: Path) -> None:
    """A file system through FUSE has a device number of its own."""
    run("mkntfs", "-q", "-F", partition(node, 2))
    with mounted(partition(node, 2), tmp_path / "mnt", "-t", "ntfs-3g"):
        assert "read-write" in refusal(disk).message
    bare = sparse(tmp_path / "bare.raw", 2 * MIB)
    run("mkntfs", "-q", "-F", bare)
    (tmp_path / "fuse").mkdir()
    run("ntfs-3g", bare, tmp_path / "fuse")
    try:
        assert f"{bare} is mounted read-write" in refusal(bare).message
    finally:
        run("umount", tmp_path / "fuse")


def test_swap_on_the_device_is_refused(node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's list is replaced: a test must not swap on the machine it runs on."""
    swaps = tmp_path / "swaps"
    swaps.write_text(f"Filename\tType\tSize\tUsed\tPriority\n{partition(node, 2)}  partition\t4092\t0\t-2\n")
    monkeypatch.setattr(mounts, "_SWAPS", swaps)
    assert f"swapoff {partition(node, 2)}" in refusal(node).hint
    assert f"{partition(node, 2)} is swapped on" in refusal(partition(node, 1)).message


def names_related_to(path: Path) -> set[str]:
    return {device.name for device in related_devices(path.stat().st_rdev)}


def test_related_devices_are_the_same_from_disk_and_partition(node: Path) -> None:
    expected = {node.name, f"{node.name}p1", f"{node.name}p2"}
    assert names_related_to(node) == names_related_to(partition(node, 2)) == expected
    assert related_devices(os.makedev(4000, 1)) == ()


def test_set_read_only_reaches_disk_and_partitions(node: Path) -> None:
    assert set_read_only(partition(node, 1)) == (node.name, f"{node.name}p1", f"{node.name}p2")
    for path in (node, partition(node, 1), partition(node, 2)):
        assert run("blockdev", "--getro", path).strip() == "1"
        with pytest.raises(PermissionError), path.open("r+b", buffering=0) as device:
            device.write(bytes(512))


def test_set_read_only_needs_root(node: Path) -> None:
    node.chmod(0o644)
    try:
        with unprivileged(), pytest.raises(EvidenceError, match="no permission") as caught:
            set_read_only(node)
    finally:
        node.chmod(0o600)
    assert caught.value.hint == "run as root"


def test_locked_before_needs_no_privilege(node: Path) -> None:
    """As on the live system, where the kernel's flag is set by udev and CAP_SYS_ADMIN is taken away."""
    devices = (node, partition(node, 1), partition(node, 2))
    run("blockdev", "--setro", *devices)
    for device in devices:
        device.chmod(0o644)
    try:
        with unprivileged():
            assert len(set_read_only(partition(node, 1))) == 3
    finally:
        for device in devices:
            device.chmod(0o600)


def test_flag_that_does_not_hold_is_an_error(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triage.evidence.device._BLKROSET", 0x1260)  # BLKGETSIZE: succeeds and sets nothing
    with pytest.raises(EvidenceError, match="does not stay read-only") as caught:
        set_read_only(node)
    assert f"{node.name}p2" in caught.value.message


def test_a_file_is_no_device_to_set(disk: Path) -> None:
    with pytest.raises(EvidenceError):
        set_read_only(disk)


def test_reading_a_read_only_device(node: Path, disk: Path) -> None:
    set_read_only(node)
    with open_evidence(partition(node, 1)) as source:
        assert source.read(0x438, 2) == b"\x53\xef"


@needs_tool("findmnt")
def test_mount_of_agrees_with_findmnt(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/proc/self"), Path("/dev/null"), Path("/")):
        mount = mount_of(path, read_mounts())
        assert mount is not None
        assert mount.mount_point == run("findmnt", "-n", "-o", "TARGET", "-T", path).strip()
        assert mount.filesystem == run("findmnt", "-n", "-o", "FSTYPE", "-T", path).strip()


def test_mountinfo_with_hostile_names_and_optional_fields() -> None:
    text = (
        "36 35 98:0 /mnt1 /mnt\\0402\\012x rw,noatime master:1 propagate_from:2 - ext4 /dev/a\\134b rw,errors=x\n"
        "37 35 0:44 / / ro - btrfs /dev/sda2 ro,space_cache\n"
        "not a mount\n"
    )
    first, second = parse_mountinfo(text)
    assert (first.mount_point, first.source, first.filesystem) == ("/mnt 2\nx", "/dev/a\\b", "ext4")
    assert (first.number, first.writable, second.writable) == (os.makedev(98, 0), True, False)
    assert mount_of(Path("/mnt 2\nx/y"), (first, second)) == first
    assert mount_of(Path("/mnt 2\nxy"), (first, second)) == second
