"""The staging folder inside the bag: what is not committed lies there under a number; one rescue owns it."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from triage.model.errors import RescueError
from triage.model.text import _

STAGING: Final = ".rescue-staging"
_PART = ".part"
#: New files come into a new folder after so many, so that their makers and those who rename the older ones do not wait
#: for each other at one folder's lock.
_FOLDER_FILES = 1024
_RESERVE = "reserve"
#: Clusters that the bag's small files and its folder take when the bag is closed.
_RESERVE_CLUSTERS = 8


class Staging:
    """Numbers for new files, and space kept back so that the manifests fit when the destination is full."""

    def __init__(self, bag: Path) -> None:
        self._folder = bag / STAGING
        self._folder.mkdir(exist_ok=True)
        self._lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise RescueError(
                _("another rescue is writing to %s") % bag, hint=_("wait for it or name another folder")
            ) from None
        self._numbers = count()
        self._clear()

    def next_part(self) -> Path:
        """Return a path for a new file, to be made by `create`; safe to call from several threads."""
        number = next(self._numbers)
        return self._folder / f"{number // _FOLDER_FILES}" / f"{number}{_PART}"

    def reserve(self, length_bytes: int) -> None:
        """Keep back this much, and what small files take, until the rescue ends."""
        descriptor = os.open(self._folder / _RESERVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            cluster_bytes = os.fstatvfs(descriptor).f_frsize
            os.posix_fallocate(descriptor, 0, _RESERVE_CLUSTERS * cluster_bytes + length_bytes)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Remove the folder with all that was not committed, and let go of it."""
        try:
            self._clear()
            self._folder.rmdir()
        finally:
            os.close(self._lock)

    def _clear(self) -> None:
        for left_over in self._folder.iterdir():
            if left_over.is_dir():
                shutil.rmtree(left_over)
            else:
                left_over.unlink()


def create(part: Path) -> int:
    """Make a new file, and its folder where it is the first there; return its descriptor, open for writing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(part, flags, 0o666)
    except FileNotFoundError:
        part.parent.mkdir(exist_ok=True)
        return os.open(part, flags, 0o666)


def discard(path: Path) -> None:
    """Remove a file; on a destination that no longer lets it be removed, that is left to the next rescue into it."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
