"""The stick as the build makes it, a copy of it on a larger USB disk, and a look at its data partition from outside."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.loops import run

LIVE_USB = Path(__file__).resolve().parents[2] / "live-usb"
IMAGE_NAME = "triage-live.img"
TOOLS = ("lb", "debootstrap", "mksquashfs", "sfdisk", "mkfs.fat", "mcopy", "mkfs.exfat", "mount.exfat-fuse")
BUILT = "TRIAGE_TEST_IMAGE"
STICK_BYTES = 2 << 30
_BUILD_SECONDS = 1800


def build_image(folder: Path, recipe: Path = LIVE_USB) -> Path:
    """Build the image of a recipe and keep its parts; return its path. TRIAGE_TEST_IMAGE names one built before."""
    if recipe == LIVE_USB and (built := os.environ.get(BUILT)):
        return Path(built) / IMAGE_NAME
    command = (LIVE_USB / "build", "--keep", "--recipe", recipe, folder)
    with (folder / "build.log").open("wb") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, timeout=_BUILD_SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError((folder / "build.log").read_text(errors="replace")[-3000:])
    return folder / IMAGE_NAME


def assemble_again(folder: Path) -> Path:
    """Assemble a second disk from the parts of the first one's; return its path."""
    again = folder / "again.img"
    epoch = str(int((folder / "parts/tree/packages.txt").stat().st_mtime))
    parts = (folder / "parts/tree", folder / "parts/boot.img", folder / "parts/core.img")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    subprocess.run((LIVE_USB / "assemble", *parts, again), env=environment, check=True)
    return again


def write_stick(image: Path, stick: Path, size_bytes: int) -> Path:
    """Write the image onto a larger USB disk, as any image writer does."""
    shutil.copyfile(image, stick)
    os.truncate(stick, size_bytes)
    return stick


def partition_bytes(disk: Path, number: int) -> tuple[int, int]:
    """Return where a partition of an MBR disk starts and how long it is."""
    with disk.open("rb") as file:
        file.seek(446 + 16 * (number - 1) + 8)
        start, sectors = (int.from_bytes(file.read(4), "little") for _ in range(2))
    return start * 512, sectors * 512


@contextmanager
def data_partition(stick: Path, folder: Path, *, writable: bool = False) -> Iterator[Path]:
    """Mount the data partition of a stick that is not in use."""
    start, length = partition_bytes(stick, 1)
    options = ("--offset", str(start), "--sizelimit", str(length), *(() if writable else ("--read-only",)))
    node = run("losetup", "--find", "--show", *options, stick).strip()
    try:
        folder.mkdir()
        run("mount.exfat-fuse", "-o", "rw" if writable else "ro", node, folder)
        try:
            yield folder
        finally:
            run("umount", folder)
    finally:
        run("losetup", "--detach", node)


def sha256(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
