"""What stands in the way on this PC, said before it hurts: hidden disks, locked volumes, too little memory.

Sources: PCI Code and ID Assignment Specification 1.11 (class 0104: RAID controller); `remapped_nvme` of Linux's AHCI
driver (drivers/ata/ahci.c); Documentation/filesystems/proc.rst for MemTotal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from triage.evidence.sysfs import all_devices, system_path
from triage.live.disks import Disk
from triage.live.problem import Problem
from triage.model.text import N_

_PCI_DEVICES = Path("/sys/bus/pci/devices")
_MEMINFO = Path("/proc/meminfo")
_RAID_CLASS = "0x0104"
# A PC with 1 GB keeps some of it for firmware and graphics.
_LEAST_MEMORY_KIB = 800 * 1024

_CONTROLLER_HIDES = N_("the disk controller {address} is in RAID mode and may hide its disks")
_NVME_HIDDEN = N_("the disk controller {address} is in RAID mode and hides an NVMe disk")
_TO_AHCI = N_("set SATA mode (or VMD, RST, Optane) to AHCI in the firmware setup, and back afterwards")


def obstacles(disks: Sequence[Disk]) -> tuple[Problem, ...]:
    """Return what keeps this PC from being examined whole."""
    return (*_no_disks(disks), *_hiding_controllers(), *_locked_volumes(disks), *_little_memory())


def _no_disks(disks: Sequence[Disk]) -> Iterator[Problem]:
    if not disks:
        yield Problem(message=N_("no disk was found in this PC"), hint=N_("check the firmware setup and the cables"))


def _hiding_controllers() -> Iterator[Problem]:
    """Yield the RAID-mode controllers without any disk, and those that keep an NVMe disk to themselves."""
    above_disks = {part for device in all_devices() for part in system_path(device.name).parts}
    for controller in sorted(_PCI_DEVICES.glob("*")):
        fields = {"address": controller.name}
        if _text(controller / "remapped_nvme") not in ("", "0"):
            yield Problem(message=_NVME_HIDDEN, hint=_TO_AHCI, fields=fields)
        elif _text(controller / "class").startswith(_RAID_CLASS) and controller.name not in above_disks:
            yield Problem(message=_CONTROLLER_HIDES, hint=_TO_AHCI, fields=fields)


def _locked_volumes(disks: Sequence[Disk]) -> Iterator[Problem]:
    for disk in disks:
        for volume in disk.volumes:
            if volume.filesystem == "bitlocker":
                yield Problem(
                    message=N_("volume {volume} of {disk} is locked with BitLocker; nothing in it can be examined"),
                    hint=N_(
                        "do not start Windows for that; image the disk, and unlock the image with the recovery key"
                    ),
                    fields={"volume": volume.id, "disk": str(disk.node)},
                )


def _little_memory() -> Iterator[Problem]:
    words = next((line.split() for line in _text(_MEMINFO).splitlines() if line.startswith("MemTotal:")), None)
    if words is not None and int(words[1]) < _LEAST_MEMORY_KIB:
        yield Problem(
            message=N_("this PC has {mebibytes} MiB of memory; 1 GB is needed"),
            hint=N_("a large disk may not be examined to its end; examine it in another PC"),
            fields={"mebibytes": str(int(words[1]) // 1024)},
        )


def _text(path: Path) -> str:
    """Return what stands in a file of the kernel; empty where it has none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
