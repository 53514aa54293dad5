"""What the rescue asks of a file system beyond `os`: a durable batch, no caches, nothing overwritten.

Tried on ext4, exfat-fuse and ntfs-3g. syncfs reaches the disk for file systems of the kernel. A FUSE driver
on a block device keeps its data in that device's page cache and takes an fsync of any folder for all; other
FUSE drivers and SMB pass on no more than the fsync of each single file.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from triage.evidence.destination import filesystem_name

_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_DEVICE_FUSE = "fuseblk"
_MEMORY_TYPES = frozenset({"tmpfs", "ramfs"})
_SYNC_EACH_PREFIXES = ("fuse", "cifs", "smb3", "9p")
_NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})

_libc: Final = ctypes.CDLL(None, use_errno=True)


class FileSystem:
    """The file system that an existing folder lies on.

    `reads_from_device` is False where a file cannot be read past all caches: in memory, over a network, by
    some FUSE drivers. Hold one from before the first write: syncfs reports a failed write-back to descriptors
    that were open then.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        kind = filesystem_name(folder)
        self._sync_each = kind != _DEVICE_FUSE and kind.startswith(_SYNC_EACH_PREFIXES)
        device = driver_device(folder)
        self._driver_device = None if device is None else _open(device)
        unreachable = self._sync_each or kind in _MEMORY_TYPES
        self.reads_from_device = not unreachable and (kind != _DEVICE_FUSE or self._driver_device is not None)

    def sync(self, new_files: Iterable[Path]) -> None:
        """Make durable all that was written, `new_files` too; OSError where the device did not take it."""
        if _libc.syncfs(self._descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        _fsync(self._descriptor)
        for path in new_files if self._sync_each else ():
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _fsync(descriptor)
            finally:
                os.close(descriptor)
        if self._driver_device is not None:
            os.posix_fadvise(self._driver_device, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._descriptor)
        if self._driver_device is not None:
            os.close(self._driver_device)


def driver_device(folder: Path) -> Path | None:
    """Return the block device that a FUSE driver has below a folder; None where there is none."""
    if filesystem_name(folder) != _DEVICE_FUSE:
        return None
    device = folder.stat().st_dev
    link = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    return Path("/dev") / link.resolve().name


def rename_without_replacing(source: Path, target: Path) -> None:
    """Rename; FileExistsError where `target` exists, checked by the kernel.

    A file system without the flag refuses it only after the kernel saw that `target` is free; what could
    appear there in between is not ours, as one rescue owns the bag.
    """
    arguments = (_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    if _libc.renameat2(*arguments) == 0:
        return
    number = ctypes.get_errno()
    if number not in _NOT_SUPPORTED:
        raise OSError(number, os.strerror(number), str(target))
    source.rename(target)


def _fsync(descriptor: int) -> None:
    """Fsync where the driver knows it; one that does not (FUSE may leave it out) has nothing to flush."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise


def _open(device: Path) -> int | None:
    """Open a block device to forget its cached data; None where that is not allowed."""
    try:
        return os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
