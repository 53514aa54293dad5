"""Loop devices and mounts for tests: attached and mounted inside a `with`, gone after it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def run(*command: str | Path) -> str:
    """Run a program that must succeed; return what it printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def loop_device(image: Path, *options: str) -> Iterator[Path]:
    """Attach `image` with its partitions; their read-only flags, which outlive the test, are reset.

    The partitions are added by `partx`: the kernel of a build machine may not read partition tables itself.
    """
    node = Path(run("losetup", "--find", "--show", *options, image).strip())
    try:
        subprocess.run(("partx", "--add", node), check=False, capture_output=True)
        yield node
    finally:
        for device in (node, *node.parent.glob(f"{node.name}p*")):
            run("blockdev", "--setrw", device)
        subprocess.run(("partx", "--delete", node), check=False, capture_output=True)
        run("losetup", "--detach", node)


@contextmanager
def mounted(source: Path, folder: Path, *options: str) -> Iterator[Path]:
    """Mount `source` on `folder`, which is made."""
    folder.mkdir()
    run("mount", *options, source, folder)
    try:
        yield folder
    finally:
        run("umount", folder)


def sparse(path: Path, size_bytes: int) -> Path:
    """Make a file of zeros that takes no space."""
    with path.open("wb") as file:
        file.truncate(size_bytes)
    return path
