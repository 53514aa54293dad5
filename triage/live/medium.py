"""Which disk the system was booted from: told by the boot loader, never by a label, and never guessed.

GRUB passes the partition it booted from as `triage.stick=SSSSSSSS-NN`: the signature of the MBR (UEFI Specification
2.10, 5.2.1) and the number of the partition, the form that Linux calls PARTUUID.
"""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from triage.evidence.mounts import read_mounts
from triage.evidence.sysfs import BlockDevice, all_devices, attribute, disk_of, partition_of
from triage.live.cmdline import boot_option
from triage.live.problem import StickError
from triage.model.text import N_

OPTION = "triage.stick"
LIVE_MEDIUM = "/run/live/medium"
_PART_UUID = re.compile(r"([0-9a-f]{8})-([0-9a-f]{2})", re.IGNORECASE)
_MBR_BYTES = 512
_SIGNATURE = slice(440, 444)
_END_MARK = b"\x55\xaa"


class Stick(Struct, frozen=True):
    """The disk that the system was booted from; `diskseq` is the kernel's number for it, which no other disk ever gets.

    A name, such as `sdb`, is given again when its disk is gone. Empty where the kernel does not number its disks.
    """

    disk: BlockDevice
    diskseq: str


class UnknownStickError(StickError):
    """Which disk is the stick is not known beyond doubt, or no longer: nothing may be written to any."""


def confirm_stick(stick: Stick) -> None:
    """Raise `UnknownStickError` unless the stick is still there, by its name and its number.

    The number was read after the signature, and is read after it once more: a disk that has the same one at both ends
    is the disk whose signature was read in between.
    """
    if find_stick() != stick:
        raise _gone()


def find_stick() -> Stick:
    """Return the disk that the system was booted from; `UnknownStickError` where it is not known beyond doubt."""
    told = boot_option(OPTION) or ""
    match = _PART_UUID.fullmatch(told)
    if match is None:
        raise UnknownStickError(
            N_("the boot loader did not tell which disk is the stick"), hint=N_("start from the stick's own boot menu")
        )
    found = _disks_with(bytes.fromhex(match[1])[::-1], int(match[2], 16))
    if not found:
        raise _gone()
    if len(found) > 1:
        raise UnknownStickError(
            N_("more than one disk looks like the stick: {disks}"),
            hint=N_("remove the copy and start anew"),
            disks=", ".join(str(disk.node) for disk in found),
        )
    mounted_from = _disk_of_live_medium()
    if mounted_from not in (None, found[0].name):
        raise UnknownStickError(
            N_("the system was loaded from {disk}, which is not the stick"),
            hint=N_("start from the stick's own boot menu"),
            disk=mounted_from,
        )
    return Stick(found[0], attribute(found[0].name, "diskseq"))


def _gone() -> UnknownStickError:
    return UnknownStickError(
        N_("the stick that the system was started from is not there any more"), hint=N_("start anew")
    )


def _disks_with(signature: bytes, number: int) -> list[BlockDevice]:
    """Return the whole disks with this signature and a partition of this number."""
    disks = [device for device in all_devices() if disk_of(device.name) == device.name]
    return [
        disk for disk in disks if _mbr_signature(disk.node) == signature and partition_of(disk.name, number) is not None
    ]


def _mbr_signature(node: Path) -> bytes | None:
    """Return the four bytes as they lie on the disk; None where there is no MBR or it cannot be read."""
    try:
        with node.open("rb", buffering=0) as disk:
            sector = disk.read(_MBR_BYTES)
    except OSError:
        return None
    return sector[_SIGNATURE] if sector is not None and sector.endswith(_END_MARK) else None


def _disk_of_live_medium() -> str | None:
    """Return the disk that live-boot loads the system from; None where it is in memory by now (`toram`)."""
    for mount in read_mounts():
        if mount.mount_point == LIVE_MEDIUM:
            for device in all_devices():
                if device.number == mount.number:
                    return disk_of(device.name)
    return None
