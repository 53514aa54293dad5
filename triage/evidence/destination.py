"""Where rescued files and the case may go: a folder that can be written and does not lie on the evidence."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from triage.evidence.mounts import Mount, mount_of, places_of, read_mounts
from triage.evidence.source import EvidenceSource
from triage.evidence.sysfs import device_id
from triage.model.errors import RescueError
from triage.model.text import _

# FAT keeps a file's length in 32 bits; `fuse.fusefat` is FAT through FUSE.
_FAT_FILESYSTEMS = frozenset({"vfat", "msdos", "fuse.fusefat"})
_FAT_LARGEST_FILE_BYTES = (1 << 32) - 1


def check_destination(folder: Path, sources: Sequence[EvidenceSource]) -> None:
    """Raise `RescueError` where `folder` cannot be written or lies on the evidence.

    The folder need not exist, its parent must. On the evidence means: it is a segment, or its file system
    lies on an evidence device, the disk of it, one of its partitions or holders, or on a loop device or FUSE
    mount of an image.
    """
    segments = [segment for source in sources for segment in source.segments]
    places = places_of(segments)
    if device_id(folder) in places.ids:
        raise RescueError(
            _("the destination {folder} is the evidence").format(folder=folder),
            hint=_("give a folder on another disk"),
        )
    place = _existing_folder(folder)
    mount = _mount_of(place)
    if mount is not None and places.carries(mount):
        raise RescueError(
            _("the destination {folder} lies on the evidence ({source}, mounted at {mount_point})").format(
                folder=folder, source=mount.source, mount_point=mount.mount_point
            ),
            hint=_("give a folder on another disk"),
        )
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        raise RescueError(
            _("the destination {folder} is on a read-only file system").format(folder=folder),
            hint=_("give another folder, or mount it read-write"),
        )
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        raise RescueError(
            _("no permission to write to the destination {folder}").format(folder=folder),
            hint=_("give another folder, or change its permissions"),
        )


def free_bytes(folder: Path) -> int:
    """Return the bytes that may still be written where `folder` lies; it need not exist, its parent must."""
    status = os.statvfs(_existing_folder(folder))
    return status.f_bavail * status.f_frsize


def filesystem_name(folder: Path) -> str:
    """Return the kernel's name of the file system of `folder`, such as `ext4`; empty where not known."""
    mount = _mount_of(_existing_folder(folder))
    return mount.filesystem if mount is not None else ""


def max_file_bytes(folder: Path) -> int | None:
    """Return the longest length of a file where `folder` lies: 4 GiB less one byte on FAT, else None."""
    return _FAT_LARGEST_FILE_BYTES if filesystem_name(folder) in _FAT_FILESYSTEMS else None


def _mount_of(folder: Path) -> Mount | None:
    return mount_of(folder, read_mounts())


def _existing_folder(folder: Path) -> Path:
    """Return `folder`, or its parent where it does not exist; `RescueError` where neither is a folder."""
    for place in (folder, folder.absolute().parent):
        try:
            mode = place.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            if not place.is_symlink():
                continue
            mode = 0
        except OSError as error:
            raise RescueError(
                _("the destination {folder} cannot be used: {reason}").format(
                    folder=folder, reason=os.strerror(error.errno or 0)
                ),
                hint=_("give another folder"),
            ) from None
        if not stat.S_ISDIR(mode):
            raise RescueError(_("{place} is not a folder").format(place=place), hint=_("give a folder"))
        return place
    raise RescueError(
        _("the destination {folder} cannot be made: its parent folder does not exist").format(folder=folder),
        hint=_("make {parent}, or mount the disk first").format(parent=folder.parent),
    )
