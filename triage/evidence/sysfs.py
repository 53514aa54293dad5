"""What the kernel says about block devices: which ones hold the same bytes, and how often each was written.

Sources: Documentation/ABI/stable/sysfs-block, Documentation/block/stat.rst and drivers/block/loop.c of Linux.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

_CLASS_BLOCK = Path("/sys/class/block")
_DEV_BLOCK = Path("/sys/dev/block")
_DELETED = " (deleted)"

FileId = tuple[int, int]
"""Device and inode number of a file: the same for each of its names."""


class BlockDevice(Struct, frozen=True):
    """A block device as the kernel names it (`sda1`), with its number and its node."""

    name: str
    number: int
    node: Path


class WriteCounters(Struct, frozen=True):
    """What was written to a device since it appeared; None where the kernel does not count it."""

    write_ios: int | None
    written_sectors: int | None
    discard_ios: int | None
    discarded_sectors: int | None
    flush_ios: int | None


def related_devices(number: int) -> tuple[BlockDevice, ...]:
    """Return every device through which the bytes of device `number` can be written, the whole disk first.

    That is its disk, each partition, each holder (device mapper, RAID, cache) and each loop device on top of
    one of them, and so on upwards; of a loop device, what it lies on, and what else does. Empty where the device is
    gone.
    """
    name = _name_of(number)
    if name is None:
        return ()
    found: dict[str, BlockDevice] = {}
    waiting = [disk_of(name)]
    while waiting:
        name = waiting.pop(0)
        device = _device(name)
        if name in found or device is None:
            continue
        found[name] = device
        waiting += _partitions_of(name)
        waiting += sorted(holder.name for holder in _children(_CLASS_BLOCK / name / "holders"))
        waiting += (loop.name for loop in loop_devices_on({device_id(device.node), backing_id(name)}))
        waiting += _disk_below(name)
    return tuple(found.values())


def all_devices() -> tuple[BlockDevice, ...]:
    """Return every block device there is: disks, partitions, holders, loop devices."""
    devices = (_device(child.name) for child in sorted(_children(_CLASS_BLOCK)))
    return tuple(device for device in devices if device is not None)


def disk_of(name: str) -> str:
    """Return the disk of a partition, or the name itself: a partition's folder lies in its disk's."""
    folder = system_path(name)
    return folder.parent.name if (folder / "partition").exists() else name


def partition_of(disk: str, number: int) -> BlockDevice | None:
    """Return partition `number` of a disk; None where the kernel knows of none."""
    for name in _partitions_of(disk):
        if attribute(name, "partition") == str(number):
            return _device(name)
    return None


def system_path(name: str) -> Path:
    """Return where device `name` stands in the tree of devices, below its controller."""
    return (_CLASS_BLOCK / name).resolve()


def attribute(name: str, path: str) -> str:
    """Return an attribute of device `name`, such as `device/model`; empty where it has none or is gone."""
    return _text(_CLASS_BLOCK / name / path)


def device_id(path: Path) -> FileId | int | None:
    """Return what identifies a block device (its number) or a file (device, inode); None where it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_rdev if stat.S_ISBLK(status.st_mode) else (status.st_dev, status.st_ino)


def loop_devices_on(backing: Iterable[FileId | int | None]) -> Iterator[BlockDevice]:
    """Yield the loop devices whose bytes lie in one of `backing`, named as by `device_id`."""
    wanted = set(backing) - {None}
    for folder in sorted(_CLASS_BLOCK.glob("loop*/loop")):
        name = folder.parent.name
        path = backing_file(name)
        device = _device(name)
        if path is not None and device is not None and device_id(path) in wanted:
            yield device


def backing_file(name: str) -> Path | None:
    """Return the file behind loop device `name`; None where it is no loop device or not attached."""
    text = _text(_CLASS_BLOCK / name / "loop" / "backing_file")
    return Path(text.removesuffix(_DELETED)) if text else None


def backing_id(name: str) -> FileId | int | None:
    """Return what identifies the file or device behind loop device `name`; None where there is none."""
    path = backing_file(name)
    return None if path is None else device_id(path)


def _disk_below(name: str) -> Iterator[str]:
    """Yield the disk of the device that a loop device lies on; none where that is a file."""
    below = backing_id(name)
    if isinstance(below, int):
        lower = _name_of(below)
        if lower is not None:
            yield disk_of(lower)


def write_counters(name: str) -> WriteCounters | None:
    """Return the kernel's counters of device `name`; None where it is gone."""
    fields: list[int | None] = [int(word) for word in _text(_CLASS_BLOCK / name / "stat").split()]
    if not fields:
        return None
    fields += [None] * (17 - len(fields))
    return WriteCounters(
        write_ios=fields[4],
        written_sectors=fields[6],
        discard_ios=fields[11],
        discarded_sectors=fields[13],
        flush_ios=fields[15],
    )


def size_bytes(name: str) -> int | None:
    """Return the length of device `name` (sysfs counts in 512 bytes, always); None where it is gone."""
    text = _text(_CLASS_BLOCK / name / "size")
    return int(text) * 512 if text else None


def is_read_only(name: str) -> bool | None:
    """Return the read-only flag of device `name`; None where it is gone."""
    text = _text(_CLASS_BLOCK / name / "ro")
    return text == "1" if text else None


def _name_of(number: int) -> str | None:
    link = _DEV_BLOCK / f"{os.major(number)}:{os.minor(number)}"
    return link.resolve().name if link.exists() else None


def _partitions_of(name: str) -> list[str]:
    return sorted(child.name for child in _children(_CLASS_BLOCK / name) if (child / "partition").exists())


def _device(name: str) -> BlockDevice | None:
    major, colon, minor = _text(_CLASS_BLOCK / name / "dev").partition(":")
    if not colon:
        return None
    # `!` stands for `/` in names such as `cciss!c0d0`.
    return BlockDevice(name, os.makedev(int(major), int(minor)), Path("/dev") / name.replace("!", "/"))


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    """Return a sysfs attribute; empty where the device has none or is gone."""
    try:
        return path.read_text(errors="surrogateescape").strip("\n")
    except OSError:
        return ""
