"""A block device: opened for reading only, refused while it could be written, and locked against writing.

Sources: <linux/fs.h> for the requests; block(4); Documentation/ABI/stable/sysfs-block.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from triage.evidence.mounts import places_of, read_mounts, read_swaps
from triage.evidence.source import EvidenceSource
from triage.evidence.sysfs import device_id, related_devices
from triage.model.errors import EvidenceError
from triage.model.evidence import EvidenceFormat
from triage.model.text import _

_BLKROSET = 0x125D
_BLKROGET = 0x125E
_BLKSSZGET = 0x1268
_INT = struct.Struct("i")


def open_device(path: Path) -> EvidenceSource:
    """Open a block device; `EvidenceError` where it holds no medium, `OSError` where it cannot be opened."""
    with _descriptor(path) as descriptor:
        size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
        sector_bytes = _get_int(descriptor, _BLKSSZGET)
    if size_bytes == 0:
        raise EvidenceError(
            _("{path} has no medium or a length of zero").format(path=path),
            hint=_("check the connection; lsblk shows each device with its size"),
        )
    return EvidenceSource(path, EvidenceFormat.DEVICE, [(path, size_bytes)], sector_bytes)


def refuse_if_mounted_read_write(path: str | Path) -> None:
    """Refuse evidence that another program can write meanwhile.

    For a device: while the device, its disk, a partition or a holder is mounted read-write or swapped on. For
    an image file: while it, or a loop device on it, is. Mounts of other mount namespaces are not seen. Raises
    `EvidenceError`.
    """
    path = Path(path)
    places = places_of([path])
    for mount in read_mounts():
        if mount.writable and places.carries(mount):
            raise EvidenceError(
                _("{path} is in use: {source} is mounted read-write at {mount_point}").format(
                    path=path, source=mount.source, mount_point=mount.mount_point
                ),
                hint=_("umount it, or mount -o remount,ro it"),
            )
    for swap in read_swaps():
        if device_id(swap) in places.ids:
            raise EvidenceError(
                _("{path} is in use: {swap} is swapped on").format(path=path, swap=swap),
                hint=_("run swapoff {swap}").format(swap=swap),
            )


def set_read_only(path: str | Path) -> tuple[str, ...]:
    """Set the kernel's read-only flag on the disk of device `path`, each partition and each holder.

    The flag stays set after the run. Setting it needs CAP_SYS_ADMIN; where that is missing it suffices that it is
    set already (a partition shows its disk's flag too, so it is set on each all the same). Returns the names of the
    devices; raises `EvidenceError` where one cannot be set or does not keep it.
    """
    path = Path(path)
    try:
        devices = related_devices(path.stat().st_rdev)
        for device in devices:
            with _descriptor(device.node) as descriptor:
                _lock(descriptor)
        writable = [device.name for device in devices if not _reads_back_read_only(device.node)]
    except PermissionError:
        raise EvidenceError(
            _("no permission to set {path} read-only").format(path=path), hint=_("run as root")
        ) from None
    except OSError as error:
        raise EvidenceError(
            _("cannot set {path} read-only: {reason}").format(path=path, reason=os.strerror(error.errno or errno.EIO)),
            hint=_("use a write blocker, or make an image and examine that"),
        ) from None
    if writable or not devices:
        raise EvidenceError(
            _("{path} does not stay read-only: {names}").format(path=path, names=", ".join(writable) or path.name),
            hint=_("use a write blocker, or make an image and examine that"),
        )
    return tuple(device.name for device in devices)


def _lock(descriptor: int) -> None:
    try:
        fcntl.ioctl(descriptor, _BLKROSET, _INT.pack(1))
    except PermissionError:
        if _get_int(descriptor, _BLKROGET) != 1:
            raise


def _reads_back_read_only(node: Path) -> bool:
    with _descriptor(node) as descriptor:
        return _get_int(descriptor, _BLKROGET) == 1


def _get_int(descriptor: int, request: int) -> int:
    (value,) = _INT.unpack(fcntl.ioctl(descriptor, request, bytes(_INT.size)))
    return int(value)


@contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
