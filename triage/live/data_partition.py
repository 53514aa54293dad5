"""The stick's data partition: as long as nothing was ever saved on it, made anew at the stick's size; then mounted.

exFAT cannot be resized, and an image writer writes no more than the image's own small partition. A partition that
holds, or ever held, a file is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triage.evidence.open import open_evidence
from triage.evidence.sysfs import BlockDevice, all_devices, attribute, disk_of, partition_of, size_bytes
from triage.live.exfat import read_exfat
from triage.live.problem import Problem, StickError
from triage.live.programs import run_program
from triage.model.errors import ParseError, TriageError
from triage.model.text import N_
from triage.report.words import size

NUMBER = 1
LABEL = "TRIAGE-DATA"
BUILT_SERIAL = 0x54524941
"""What the build gives the volume (`tune.exfat --set-serial`): one made anew, here or by people, has another."""
FILESYSTEM = "exfat"
_OPTIONS = "rw,nosuid,nodev,noexec,noatime"
# What Windows puts onto every stick that it sees, the moment an image writer is done; nobody's file.
_OF_WINDOWS = frozenset(
    {
        "System Volume Information",
        "System Volume Information/IndexerVolumeGuid",
        "System Volume Information/WPSettings.dat",
    }
)
# What macOS puts there, with whatever lies below.
_OF_MACOS = frozenset({".fseventsd", ".Spotlight-V100", ".Trashes", "._.Trashes"})
_SECTOR_BYTES = 512
_MIB_SECTORS = (1 << 20) // _SECTOR_BYTES
_MBR_SECTORS = (1 << 32) - 1
_LEAST_GAIN_SECTORS = 16 * _MIB_SECTORS


def data_partition(disk: BlockDevice) -> BlockDevice:
    """Return the stick's data partition; `StickError` where it has none."""
    partition = partition_of(disk.name, NUMBER)
    if partition is None:
        raise StickError(N_("the stick has no data partition"), hint=N_("write the image onto the stick once more"))
    return partition


def make_fit(disk: BlockDevice) -> bool:
    """Give the data partition the whole of the stick where it is as built; return whether that was done.

    Started anew after a power cut it goes on where it was: the longer partition first holds the volume as built.
    Raises `StickError`.
    """
    partition = data_partition(disk)
    if not is_as_built(partition):
        return False
    sectors, most_sectors = _length(disk, partition)
    if most_sectors - sectors >= _LEAST_GAIN_SECTORS:
        never = ("--wipe", "never", "--wipe-partitions", "never")
        # Its neighbour is mounted: the kernel is told of the new length alone, not to read the table again.
        command = ("sfdisk", "--quiet", "-N", str(NUMBER), "--no-reread", "--no-tell-kernel", *never, disk.node)
        run_program(*command, stdin=f", {most_sectors}\n")
        run_program("partx", "--update", "--nr", str(NUMBER), disk.node)
    grown_bytes = size_bytes(partition.name) or 0
    if grown_bytes - _volume_bytes(partition) < _LEAST_GAIN_SECTORS * _SECTOR_BYTES:
        return False
    run_program("mkfs.exfat", "-L", LABEL, partition.node)
    return True


def left_small(disk: BlockDevice, partition: BlockDevice) -> Iterator[Problem]:
    """Yield that the partition is much shorter than it could be, where it is: it was not as built."""
    sectors, most_sectors = _length(disk, partition)
    if most_sectors - sectors >= _LEAST_GAIN_SECTORS:
        yield Problem(
            message=N_("only {used} of the stick's {size} are used: it held a file before it was first started from"),
            hint=N_("to use all of it, save what it holds and write the image onto it once more"),
            fields={"used": size(sectors * _SECTOR_BYTES), "size": size(size_bytes(disk.name) or 0)},
        )


def is_as_built(partition: BlockDevice) -> bool:
    """Tell whether the volume is the one of the image, and no file was ever made in it but by Windows or macOS itself.

    A volume that is not understood is not as built.
    """
    try:
        with open_evidence(partition.node) as source:
            volume = read_exfat(source)
    except (TriageError, ParseError, OSError):
        return False
    return volume.serial == BUILT_SERIAL and all(map(_is_nobodys, volume.names))


def mount_data(partition: BlockDevice, folder: Path) -> None:
    """Mount the data partition for writing; `StickError` where it cannot be: the stick may be write-protected."""
    folder.mkdir(parents=True, exist_ok=True)
    # Without the first option, mount falls back to reading where the device cannot be written.
    run_program("mount", "--rw", "-t", FILESYSTEM, "-o", _OPTIONS, partition.node, folder)


def _is_nobodys(name: str) -> bool:
    return name in _OF_WINDOWS or name.partition("/")[0] in _OF_MACOS


def _length(disk: BlockDevice, partition: BlockDevice) -> tuple[int, int]:
    """Return the sectors that the partition has, and that it could have."""
    start, sectors = (int(attribute(partition.name, name)) for name in ("start", "size"))
    return sectors, _end_sector(disk, start) - start


def _end_sector(disk: BlockDevice, start: int) -> int:
    """Return where the partition could end: the next one, the disk's end or that of an MBR's numbers, in whole MiB."""
    ends = [(size_bytes(disk.name) or 0) // _SECTOR_BYTES, _MBR_SECTORS]
    for device in all_devices():
        if device.name != disk.name and disk_of(device.name) == disk.name:
            ends.append(int(attribute(device.name, "start")))
    return min(end for end in ends if end > start) // _MIB_SECTORS * _MIB_SECTORS


def _volume_bytes(partition: BlockDevice) -> int:
    with open_evidence(partition.node) as source:
        return read_exfat(source).length_bytes
