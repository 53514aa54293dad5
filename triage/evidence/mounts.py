"""What is mounted and what is swapped on, and on which evidence it lies: reads /proc, changes nothing.

Source: proc_pid_mountinfo(5), proc_swaps(5).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from triage.evidence.sysfs import FileId, backing_id, device_id, loop_devices_on, related_devices

_MOUNTINFO = Path("/proc/self/mountinfo")
_SWAPS = Path("/proc/swaps")
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(Struct, frozen=True, kw_only=True):
    """One line of mountinfo; `writable` tells of the file system, whatever a single mount of it may do."""

    mount_point: str
    number: int
    source: str
    filesystem: str
    writable: bool


class EvidencePlaces(Struct, frozen=True):
    """The files and devices through which evidence can be written, each as `device_id` names it."""

    ids: frozenset[FileId | int]

    def carries(self, mount: Mount) -> bool:
        """Tell whether `mount` lies on the evidence.

        The device number decides; where the file system has one of its own (btrfs, FUSE), its source does.
        """
        own_number = mount.number in self.ids
        return own_number or (mount.source.startswith("/") and device_id(Path(mount.source)) in self.ids)


def places_of(paths: Iterable[Path]) -> EvidencePlaces:
    """Return the places of evidence given by its segments or device, with all devices related to them."""
    ids: set[FileId | int] = set()
    for path in paths:
        own = device_id(path)
        if own is None:
            continue
        ids.add(own)
        devices = [own] if isinstance(own, int) else [loop.number for loop in loop_devices_on({own})]
        for device in (device for number in devices for device in related_devices(number)):
            below = backing_id(device.name)
            ids |= {device.number} if below is None else {device.number, below}
    return EvidencePlaces(frozenset(ids))


def read_mounts() -> tuple[Mount, ...]:
    """Return all mounts of this process's namespace, in the order in which they were made."""
    return parse_mountinfo(_MOUNTINFO.read_text(errors="surrogateescape"))


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Return the mounts that `text`, in the form of /proc/self/mountinfo, lists."""
    mounts = []
    for line in text.split("\n"):
        own, dash, shared = line.partition(" - ")
        if not dash:
            continue
        _id, _parent, number, _root, mount_point, *_options = own.split(" ")
        filesystem, source, options = shared.split(" ")[:3]
        major, minor = number.split(":")
        mounts.append(
            Mount(
                mount_point=_unescape(mount_point),
                number=os.makedev(int(major), int(minor)),
                source=_unescape(source),
                filesystem=filesystem,
                writable="rw" in options.split(","),
            )
        )
    return tuple(mounts)


def mount_of(path: Path, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount that `path` lies on: the longest mount point above it, of equal ones the last made."""
    real = path.resolve()
    above = [mount for mount in mounts if real.is_relative_to(mount.mount_point)]
    return max(enumerate(above), key=lambda item: (len(Path(item[1].mount_point).parts), item[0]))[1] if above else None


def read_swaps() -> tuple[Path, ...]:
    """Return the devices and files that are swapped on."""
    lines = _SWAPS.read_text(errors="surrogateescape").splitlines()[1:]
    return tuple(Path(_unescape(line.split()[0])) for line in lines if line.strip())


def _unescape(text: str) -> str:
    r"""Undo the kernel's `\040` form of blanks, tabs, newlines and backslashes."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
