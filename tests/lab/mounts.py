"""Mounts of NTFS volumes by ntfs-3g: one to fill a volume, and a read-only one to witness what a disk holds."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.loops import loop_device, run

_MOUNT_SECONDS = 30
_WRITE_OPTIONS = "streams_interface=windows,compression,efs_raw"
_READ_OPTIONS = "ro,show_sys_files,streams_interface=windows,efs_raw"


@contextmanager
def mount_for_writing(volume: Path) -> Iterator[Path]:
    """Mount a volume that is a file of its own; all is written when the `with` ends."""
    with _ntfs_3g(volume, _WRITE_OPTIONS) as folder:
        yield folder


@contextmanager
def mount_system_files(volume: Path) -> Iterator[Path]:
    """Mount a volume for writing, its system files shown."""
    with _ntfs_3g(volume, f"{_WRITE_OPTIONS},show_sys_files") as folder:
        yield folder


@contextmanager
def mount_with_posix_names(volume: Path) -> Iterator[Path]:
    """Mount a volume so that a colon is one in a name; there are no streams to be had."""
    with _ntfs_3g(volume, "streams_interface=none") as folder:
        yield folder


@contextmanager
def mount_read_only(image: Path, offset_bytes: int) -> Iterator[Path]:
    """Mount the volume at `offset_bytes` of a disk image through a read-only loop device.

    System files are shown, and streams as `file:stream`; `on_mount` gives the name of a stream there.
    """
    with (
        loop_device(image, "--read-only", "--offset", str(offset_bytes)) as device,
        _ntfs_3g(device, _READ_OPTIONS) as folder,
    ):
        yield folder


def on_mount(folder: Path, path: str, stream: str = "") -> bytes:
    """Return the name under which a mount shows a stream: WTF-8, which keeps an unpaired surrogate."""
    name = f"{path}:{stream}" if stream else path
    return os.fsencode(folder) + b"/" + name.encode("utf-8", "surrogatepass")


@contextmanager
def _ntfs_3g(source: Path, options: str) -> Iterator[Path]:
    """Run ntfs-3g in the foreground: its end, not that of `umount`, says that all is written."""
    with tempfile.TemporaryDirectory(prefix="triage-lab-") as name:
        folder = Path(name)
        command = ("ntfs-3g", source, folder, "-o", f"no_detach,{options}")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            _wait_for_mount(server, folder)
            try:
                yield folder
            finally:
                run("umount", folder)
                server.wait()


def _wait_for_mount(server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _MOUNT_SECONDS
    while not folder.is_mount():
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            raise RuntimeError(f"ntfs-3g did not mount on {folder}")
        time.sleep(0.01)
