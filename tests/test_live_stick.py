"""The stick is found, grown once, mounted; everything else is locked: on real disks, tables and exFAT volumes."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from tests.loops import loop_device, run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from tests.rescue_samples import sha256
from tests.sticks import (
    IMAGE_BYTES,
    MIB,
    SIGNATURE,
    TOOLS,
    LiveSystem,
    live_system,
    make_stick,
    mounted_exfat,
    write_table,
)
from triage.evidence import sysfs
from triage.evidence.mounts import Mount
from triage.evidence.sysfs import BlockDevice, partition_of
from triage.live import data_partition, medium, stick
from triage.live.data_partition import BUILT_SERIAL, LABEL, make_fit, mount_data
from triage.live.lock import lock_others
from triage.live.medium import confirm_stick, find_stick
from triage.live.problem import Problem, StickError
from triage.live.programs import run_program
from triage.live.state import StickState, read_state, write_diskseq
from triage.live.stick import prepare_stick

pytestmark = [needs_root(), needs_device("/dev/loop-control"), needs_device("/dev/fuse"), needs_tool(*TOOLS)]
STICK_BYTES = 128 * MIB


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveSystem:
    return live_system(tmp_path, monkeypatch)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_stick(tmp_path / "stick.img", STICK_BYTES)


def lock(disk: BlockDevice) -> None:
    """Do what udev's rule does when a disk appears."""
    run("blockdev", "--setro", *disk.node.parent.glob(f"{disk.name}*"))


def data(disk: BlockDevice) -> BlockDevice:
    partition = partition_of(disk.name, 1)
    assert partition is not None
    return partition


def locked(disk: BlockDevice) -> set[str]:
    nodes = sorted(disk.node.parent.glob(f"{disk.name}*"))
    return {run("blockdev", "--getro", node).strip() for node in nodes}


def exchange(disk: BlockDevice, image: Path) -> None:
    """Pull a disk out and plug another in, which gets its name."""
    run("partx", "--delete", disk.node)
    run("losetup", "--detach", disk.node)
    run("losetup", disk.node, image)
    run("partx", "--add", disk.node)
    lock(disk)


def messages(state: StickState) -> str:
    return "\n".join(map(str, state.problems))


def serial_of(disk: BlockDevice) -> str:
    return run("tune.exfat", "-i", data(disk).node).split()[-1]


def test_stick_is_grown_mounted_and_nothing_else_can_be_written(live: LiveSystem, image: Path, tmp_path: Path) -> None:
    other = sparse(tmp_path / "pc.img", 64 * MIB)
    run("sh", "-c", f"printf 'start=2048,size=8192,type=7\\n' | sfdisk -q {other}")
    with live.disk(image) as disk, live.disk(other) as pc:
        lock(disk)
        lock(pc)
        state = prepare_stick()
        assert state.problems == ()
        assert (state.disk, state.partition, state.mount_point) == (
            str(disk.node),
            str(data(disk).node),
            str(live.media),
        )
        assert state.free_bytes > STICK_BYTES * 0.9
        assert (live.run / "stick-diskseq").read_text() == Path(f"/sys/block/{disk.name}/diskseq").read_text()
        assert read_state() == state
        assert (locked(disk), locked(pc)) == ({"0"}, {"1"})
        (live.media / "case").mkdir()
        run("umount", live.media)
    table = run("sfdisk", "-d", image)
    assert re.search(r"img1 : start= +18432, size= +(\d+), type=7\n", table)[1] == str(  # type: ignore[index]
        (STICK_BYTES - 9 * MIB) // 512
    )
    assert "img2 : start=        2048, size=       16384, type=ef, bootable" in table
    assert f"label-id: 0x{SIGNATURE}" in table
    with live.disk(image) as disk:
        assert LABEL in run("dump.exfat", data(disk).node)
        assert run("fsck.exfat", "-n", data(disk).node)


def test_second_start_leaves_everything_as_it_is(live: LiveSystem, image: Path) -> None:
    with live.disk(image) as disk:
        first = prepare_stick()
        assert prepare_stick() == first  # still mounted
        run("umount", live.media)
        serial = serial_of(disk)
        assert prepare_stick() == first
        run("umount", live.media)
        assert serial_of(disk) == serial != f"{BUILT_SERIAL:#x}"


def test_stick_that_holds_a_file_is_not_made_anew(live: LiveSystem, image: Path, tmp_path: Path) -> None:
    with live.disk(image) as disk:
        with mounted_exfat(data(disk).node, tmp_path / "mnt") as folder:
            (folder / "case").mkdir()
            (folder / "case" / "evidence").write_bytes(b"kept")
        state = prepare_stick()
        assert state.mount_point is not None
        assert (live.media / "case" / "evidence").read_bytes() == b"kept"
        assert state.free_bytes < IMAGE_BYTES
        assert messages(state) == (
            "only 24.1 MB of the stick's 134 MB are used: it held a file before it was first started from; "
            "to use all of it, save what it holds and write the image onto it once more"
        )
        assert prepare_stick() == state  # still mounted
        run("umount", live.media)
        assert serial_of(disk) == f"{BUILT_SERIAL:#x}"


def test_power_cut_between_table_and_file_system(live: LiveSystem, image: Path) -> None:
    """The next start finds the longer partition with the volume as built in it, and goes on."""
    run("sh", "-c", f"echo ', 243712' | sfdisk -q -N 1 {image}")
    with live.disk(image) as disk:
        assert make_fit(disk)
        assert not make_fit(disk)
        assert prepare_stick().free_bytes > 100 * MIB


def test_image_on_a_stick_of_its_own_size_is_left(live: LiveSystem, tmp_path: Path) -> None:
    with live.disk(make_stick(tmp_path / "stick.img", IMAGE_BYTES)) as disk:
        assert not make_fit(disk)
        assert prepare_stick().mount_point is not None


def test_another_partition_behind_the_data_is_not_run_over(live: LiveSystem, image: Path) -> None:
    run("sh", "-c", f"echo 'start=204800, size=2048, type=83' | sfdisk -q --append {image}")
    with live.disk(image) as disk:
        assert make_fit(disk)
        assert sysfs.size_bytes(data(disk).name) == 100 * MIB - 9 * MIB


@pytest.mark.parametrize("size_bytes", [3 << 40, 2 << 40, 1100 << 30])
def test_table_holds_two_tebibytes(live: LiveSystem, tmp_path: Path, size_bytes: int) -> None:
    """Where a stick is larger than an MBR can say, the rest stays unused."""
    with live.disk(make_stick(tmp_path / "stick.img", size_bytes)) as disk:
        assert make_fit(disk)
        end_bytes = int(sysfs.attribute(data(disk).name, "start")) * 512 + (sysfs.size_bytes(data(disk).name) or 0)
        assert end_bytes == min(size_bytes, (1 << 32) * 512 - MIB)
        assert "(sectors)" in run("dump.exfat", data(disk).node)


def test_victim_disk_that_looks_the_same_but_for_the_signature(live: LiveSystem, image: Path, tmp_path: Path) -> None:
    """Label, table, serial number: all as the stick's. It is locked, and not a byte of it changes."""
    victim = make_stick(tmp_path / "victim.img", STICK_BYTES, signature="1234abce")
    before = sha256(victim.read_bytes())
    with live.disk(victim) as pc, live.disk(image) as disk:
        state = prepare_stick()
        assert state.disk == str(disk.node)
        assert f"{pc.node} was found writable and is locked now" in messages(state)
        assert (locked(disk), locked(pc)) == ({"0"}, {"1"})
        run("umount", live.media)
    assert sha256(victim.read_bytes()) == before


def test_two_disks_alike_and_nothing_is_written_anywhere(live: LiveSystem, image: Path, tmp_path: Path) -> None:
    copy = make_stick(tmp_path / "copy.img", STICK_BYTES)
    before = [sha256(path.read_bytes()) for path in (image, copy)]
    write_diskseq("4711")
    with live.disk(image) as first, live.disk(copy) as second:
        state = prepare_stick()
        assert (state.disk, state.mount_point) == (None, None)
        assert f"more than one disk looks like the stick: {first.node}, {second.node}" in messages(state)
        assert (locked(first), locked(second)) == ({"1"}, {"1"})
        assert not (live.run / "stick-diskseq").exists()
    assert [sha256(path.read_bytes()) for path in (image, copy)] == before


@pytest.mark.parametrize("options", ["quiet", "triage.stick=", "triage.stick=1234abcd", "triage.stick=no-such"])
def test_boot_loader_that_tells_no_stick(live: LiveSystem, image: Path, options: str) -> None:
    live.boot(options)
    with live.disk(image) as disk:
        assert "did not tell which disk is the stick" in messages(prepare_stick())
        assert locked(disk) == {"1"}


@pytest.mark.parametrize("told", ["99999999-02", f"{SIGNATURE}-03"])
def test_stick_that_is_not_there(live: LiveSystem, image: Path, told: str) -> None:
    live.boot(f"triage.stick={told}")
    with live.disk(image) as disk:
        assert "is not there any more" in messages(prepare_stick())
        assert locked(disk) == {"1"}


def test_system_loaded_from_another_disk_than_told(
    live: LiveSystem, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_stick(tmp_path / "other.img", IMAGE_BYTES, signature="00000001")
    with live.disk(image) as disk, live.disk(other) as another:

        def medium_on(device: BlockDevice) -> None:
            partition = partition_of(device.name, 2)
            assert partition is not None
            mount = Mount(
                mount_point=medium.LIVE_MEDIUM,
                number=partition.number,
                source=str(partition.node),
                filesystem="vfat",
                writable=False,
            )
            monkeypatch.setattr(medium, "read_mounts", lambda: (mount,))

        medium_on(another)
        with pytest.raises(StickError, match=f"loaded from {another.name}, which is not the stick"):
            find_stick()
        medium_on(disk)
        assert find_stick().disk == disk


@pytest.mark.parametrize("command", ["lock", "release"])
def test_disk_that_takes_the_name_of_the_stick_is_not_written(
    live: LiveSystem, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The stick is pulled out while the others are locked, or while it is released; a disk of the PC gets its name."""
    other = make_stick(tmp_path / "pc.img", STICK_BYTES, signature="1234abce")
    before = sha256(other.read_bytes())
    with live.disk(image) as disk:

        def lock_slowly(name: str | None) -> tuple[Problem, ...]:
            problems = lock_others(name)
            if name is not None:
                exchange(disk, other)
            return problems

        def release_wrong(*released: str | Path) -> None:
            exchange(disk, other)
            run_program(*released)

        if command == "lock":
            monkeypatch.setattr(stick, "lock_others", lock_slowly)
            monkeypatch.setattr("triage.live.lock.run_program", lambda *_wrong: pytest.fail("it was released"))
        else:
            monkeypatch.setattr("triage.live.lock.run_program", release_wrong)
        state = prepare_stick()
        assert (state.disk, state.partition, state.mount_point) == (None, None, None), messages(state)
        assert "is not there any more" in messages(state)
        assert locked(disk) == {"1"}
        assert not (live.run / "stick-diskseq").exists()
    assert sha256(other.read_bytes()) == before


def test_copy_that_takes_the_name_of_the_stick_is_another_disk(live: LiveSystem, image: Path, tmp_path: Path) -> None:
    """To the signature, and with the stick itself gone: only the kernel's number tells."""
    copy = make_stick(tmp_path / "copy.img", STICK_BYTES)
    with live.disk(image) as disk:
        found = find_stick()
        confirm_stick(found)
        exchange(disk, copy)
        with pytest.raises(StickError, match="is not there any more"):
            confirm_stick(found)


def test_stick_without_its_data_partition(live: LiveSystem, image: Path) -> None:
    run("sfdisk", "-q", "--delete", image, "1")
    with live.disk(image):
        assert "has no data partition" in messages(prepare_stick())


def test_data_partition_that_cannot_be_mounted_is_told(live: LiveSystem, tmp_path: Path) -> None:
    image = sparse(tmp_path / "stick.img", STICK_BYTES)
    write_table(image)
    with live.disk(image) as disk:
        state = prepare_stick()
        assert (state.disk, state.mount_point) == (str(disk.node), None)
        assert "mount failed: " in messages(state)


@needs_tool("mkfs.ext4")
def test_write_protected_stick_is_not_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a driver of the kernel, as the stick's own is: of itself, mount would fall back to reading."""
    volume = sparse(tmp_path / "volume", 8 * MIB)
    run("mkfs.ext4", "-q", volume)
    monkeypatch.setattr(data_partition, "FILESYSTEM", "ext4")
    with loop_device(volume, "--read-only") as node:
        try:
            with pytest.raises(StickError, match="is write-protected but"):
                mount_data(BlockDevice(node.name, node.stat().st_rdev, node), tmp_path / "mnt")
        finally:
            if (tmp_path / "mnt").is_mount():
                run("umount", tmp_path / "mnt")


def test_disk_that_cannot_be_locked_is_shouted(
    live: LiveSystem, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triage.evidence.device._BLKROSET", 0x1260)  # BLKGETSIZE: succeeds and sets nothing
    with live.disk(image), live.disk(sparse(tmp_path / "pc.img", MIB)) as pc:
        assert f"{pc.node} CAN BE WRITTEN and cannot be locked: " in messages(prepare_stick())


def test_stick_that_does_not_answer(live: LiveSystem, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pulled(_folder: Path) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(stick, "free_bytes", pulled)
    with live.disk(image) as disk:
        state = prepare_stick()
        assert (state.mount_point, state.free_bytes) == (None, 0)
        assert f"the stick {disk.node} cannot be prepared: [Errno 5] Input/output error" in messages(state)


def test_program_that_is_not_there(
    live: LiveSystem, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live.disk(image):
        monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
        state = prepare_stick()
        monkeypatch.undo()
    assert "cannot run blockdev: No such file or directory" in messages(state)
