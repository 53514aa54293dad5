"""What this PC has to examine: its disks as people know them, and the volumes on them."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from triage.evidence.device import refuse_if_mounted_read_write
from triage.evidence.open import open_evidence
from triage.evidence.sysfs import (
    BlockDevice,
    all_devices,
    attribute,
    disk_of,
    is_read_only,
    related_devices,
    size_bytes,
    system_path,
)
from triage.model.errors import EvidenceError, TriageError
from triage.model.gap import Gap
from triage.model.text import _
from triage.model.volume import VolumeInfo
from triage.pipeline.discover import discover

# Not a disk of the PC: made by the kernel itself (memory, loop devices, what lies on top of disks), optical and floppy
# drives, and the boot areas of eMMC.
_NO_DISK = re.compile(r"loop\d+|z?ram\d+|dm-\d+|md\d+|nbd\d+|sr\d+|fd\d+|mmcblk\d+(?:boot\d+|rpmb|gp\d+)")
_BUSES = (
    (re.compile(r"usb\d+"), "USB"),
    (re.compile(r"nvme"), "NVMe"),
    (re.compile(r"ata\d+"), "ATA"),
    (re.compile(r"mmc\d+"), "SD/MMC"),
    (re.compile(r"virtio\d+"), "virtio"),
    (re.compile(r"host\d+"), "SCSI"),
)


class Disk(Struct, frozen=True, kw_only=True):
    """One disk. `unreadable` says why its volumes could not be listed; it is then nothing that can be examined."""

    node: Path
    size_bytes: int
    model: str
    bus: str
    removable: bool
    volumes: tuple[VolumeInfo, ...] = ()
    unreadable: str = ""

    @property
    def examinable(self) -> bool:
        """Whether a run takes it."""
        return self.unreadable == ""


def disks_of_pc(stick: str | None) -> tuple[Disk, ...]:
    """Return the disks that hold a medium, but that at node `stick`; each is opened for reading, nothing is kept."""
    found = (device for device in all_devices() if _is_disk(device) and str(device.node) != stick)
    return tuple(_look_at(device) for device in found)


def _is_disk(device: BlockDevice) -> bool:
    name = device.name
    return disk_of(name) == name and _NO_DISK.fullmatch(name) is None and size_bytes(name) not in (None, 0)


def _look_at(device: BlockDevice) -> Disk:
    volumes: tuple[VolumeInfo, ...] = ()
    unreadable = ""
    try:
        _refuse_if_writable(device)
        with open_evidence(device.node) as source:
            refuse_if_mounted_read_write(device.node)
            volumes = tuple(found.info for found in discover([source], _of_no_matter))
    except TriageError as error:
        unreadable = error.message
    except OSError as error:
        unreadable = error.strerror or str(error)
    return Disk(
        node=device.node,
        size_bytes=size_bytes(device.name) or 0,
        model=(attribute(device.name, "device/model") or attribute(device.name, "device/name")).strip(),
        bus=_bus(device.name),
        removable=attribute(device.name, "removable") == "1",
        volumes=volumes,
        unreadable=unreadable,
    )


def _refuse_if_writable(device: BlockDevice) -> None:
    """Refuse a disk that could not be locked: one such disk must not keep the others from being examined."""
    if any(is_read_only(one.name) is False for one in related_devices(device.number)):
        raise EvidenceError(_("it can be written: the kernel's read-only flag is not set"))


def _of_no_matter(_gap: Gap) -> None:
    """Take a gap of what is only looked at: `triage list` and the run tell it."""


def _bus(name: str) -> str:
    """Return how a disk is connected, from the controllers above it; the outermost that is known names it."""
    parts = system_path(name).parts
    return next((bus for pattern, bus in _BUSES for part in parts if pattern.fullmatch(part)), "")
