"""A file of the case is there whole or not at all, and still there after the plug is pulled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from triage.model.errors import ReportError


@contextmanager
def durable_text(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file for writing that takes the name `path` only when it is complete and on the disk.

    Errors: `ReportError` where the file cannot be written, a full disk for example; nothing half-written
    stays.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)
        try:
            with open(temporary, "x", encoding="utf-8", newline="\n") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise ReportError(
            f"cannot write {path}: {error.strerror}", hint="the case needs a writable folder with free space"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
