"""Sticks for tests: disks made as the build makes its image, on loop devices; and the live system around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from msgspec import Struct

from tests.loops import loop_device, mounted, run, sparse
from triage.evidence import sysfs
from triage.evidence.sysfs import BlockDevice, disk_of
from triage.live import cmdline, data_partition, disks, lock, medium, state, stick
from triage.live.data_partition import BUILT_SERIAL, LABEL

MIB = 1 << 20
IMAGE_BYTES = 32 * MIB
SIGNATURE = "1234abcd"
TOOLS = ("losetup", "partx", "blockdev", "sfdisk", "mkfs.exfat", "tune.exfat", "dump.exfat", "mount.exfat-fuse")
DRIVER = "exfat-fuse"
_TABLE = "label: dos\nlabel-id: 0x{signature}\nstart=18432,size=47104,type=7\nstart=2048,size=16384,type=ef,bootable\n"


def write_table(image: Path, signature: str = SIGNATURE) -> None:
    """Write the table of the live image: the data partition in slot 1 at the image's end, before it the boot one."""
    run("sh", "-c", f"printf '{_TABLE.format(signature=signature)}' | sfdisk -q {image}")


def make_stick(image: Path, size_bytes: int, signature: str = SIGNATURE) -> Path:
    """Make a disk as it is when the live image was written to a stick of `size_bytes`."""
    write_table(sparse(image, IMAGE_BYTES), signature)
    volume = sparse(image.with_suffix(".volume"), IMAGE_BYTES - 9 * MIB)
    make_built_volume(volume)
    run("dd", f"if={volume}", f"of={image}", "bs=1M", "seek=9", "conv=notrunc,sparse", "status=none")
    with image.open("r+b") as file:
        file.truncate(size_bytes)
    return image


def make_built_volume(volume: Path) -> None:
    """Make an exFAT volume as the build does."""
    run("mkfs.exfat", "-L", LABEL, volume)
    run("tune.exfat", f"--set-serial={BUILT_SERIAL:#x}", volume)


@contextmanager
def mounted_exfat(source: Path, folder: Path) -> Iterator[Path]:
    """Mount an exFAT volume, a device or a file."""
    with (
        nullcontext(source) if source.is_block_device() else loop_device(source) as device,
        mounted(device, folder, "-t", DRIVER),
    ):
        yield folder
    folder.rmdir()


class LiveSystem(Struct, frozen=True):
    """The places of the live system, moved into a folder of the test; only the test's own devices are there."""

    folder: Path
    devices: list[Path]

    @property
    def media(self) -> Path:
        return self.folder / "media"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def boot(self, options: str = f"quiet triage.stick={SIGNATURE}-02") -> None:
        """Be started with these options."""
        (self.folder / "cmdline").write_text(f"BOOT_IMAGE=/live/vmlinuz {options}\n")

    @contextmanager
    def disk(self, image: Path) -> Iterator[BlockDevice]:
        """Plug a disk in."""
        with loop_device(image) as node:
            self.devices.append(node)
            try:
                yield next(device for device in sysfs.all_devices() if device.node == node)
            finally:
                if self.media.is_mount():
                    run("umount", self.media)
                self.devices.remove(node)


def live_system(folder: Path, monkeypatch: pytest.MonkeyPatch) -> LiveSystem:
    """Return a live system that sees, and locks, nothing of the machine that the test runs on."""
    live = LiveSystem(folder, [])
    everything: Callable[[], tuple[BlockDevice, ...]] = sysfs.all_devices

    def own_devices() -> tuple[BlockDevice, ...]:
        names = {node.name for node in live.devices}
        return tuple(device for device in everything() if disk_of(device.name) in names)

    for module in (medium, lock, data_partition, disks):
        monkeypatch.setattr(module, "all_devices", own_devices)
    monkeypatch.setattr(cmdline, "_CMDLINE", folder / "cmdline")
    monkeypatch.setattr(state, "RUN_FOLDER", live.run)
    monkeypatch.setattr(stick, "MOUNT_POINT", live.media)
    monkeypatch.setattr(data_partition, "FILESYSTEM", DRIVER)
    monkeypatch.setattr(disks, "_NO_DISK", re.compile("none"))
    live.boot()
    return live
