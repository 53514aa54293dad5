"""An NTFS volume in a file of its own: made by mkntfs, filled through ntfs-3g, touched up where no tool can."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.lab.mft_edit import set_initialized_size, set_times
from tests.lab.mounts import mount_for_writing, on_mount
from tests.lab.plan import LabFile, Written
from tests.lab.tables import SECTOR_BYTES
from tests.loops import run, sparse

SERIAL = 0x2017_0512_CAFE_F00D
_COMPRESSED_DIRECTORY = 0x810
_ARCHIVE = 0x20
_PIECE_BYTES = 4096
_SERIAL_OFFSET = 0x48


def make_volume(
    path: Path,
    *,
    size_bytes: int,
    cluster_bytes: int,
    offset_bytes: int,
    label: str,
    sector_bytes: int = SECTOR_BYTES,
) -> None:
    """Format a new file; the serial number, which mkntfs draws at random, is set in both boot sectors."""
    sparse(path, size_bytes)
    geometry = ("-s", str(sector_bytes), "-c", str(cluster_bytes), "-H", "255", "-S", "63")
    start = ("-p", str(offset_bytes // sector_bytes))
    run("mkntfs", "-F", "-Q", "-q", *geometry, *start, "-L", label, path)
    with path.open("r+b") as file:
        for boot_sector in (0, size_bytes - sector_bytes):
            file.seek(boot_sector + _SERIAL_OFFSET)
            file.write(struct.pack("<Q", SERIAL))


def fill_volume(path: Path, files: Sequence[LabFile]) -> None:
    """Write the plan in its order, so that MFT entries follow it; then links, times, renames, deletions."""
    records: dict[int, LabFile] = {}
    cut: list[tuple[int, LabFile]] = []
    with mount_for_writing(path) as folder:
        for file in files:
            if file.written is not Written.FRAGMENTED:
                _write(folder, file)
        _write_in_turns(folder, [file for file in files if file.written is Written.FRAGMENTED])
        for file in files:
            record = _complete(folder, file)
            records.setdefault(record, file)
            if file.initialized_bytes is not None:
                cut.append((record, file))
        directories = _directories(folder, files)
        for file in files:
            if file.deleted:
                os.unlink(on_mount(folder, file.path))
    for record, file in cut:
        if file.initialized_bytes is not None:
            set_initialized_size(path, record, file.stream, file.initialized_bytes)
    for record, file in records.items():
        set_times(path, record, si=_si_times(file), fn=(_named(file),) * 4)
    for record, moments in directories.items():
        made, last = min(moments), max(moments)
        set_times(path, record, si=(made, last, last, last), fn=(made,) * 4)


def _si_times(file: LabFile) -> tuple[int, int, int, int]:
    """Return the times of `$STANDARD_INFORMATION` in their order: creation, content, record, access."""
    return file.filetime, file.modified or file.filetime, file.changed or file.filetime, file.filetime


def _named(file: LabFile) -> int:
    return file.named or file.filetime


def _directories(folder: Path, files: Sequence[LabFile]) -> dict[int, list[int]]:
    """Return the records of all directories that hold files, and when each of these came."""
    moments: dict[int, list[int]] = {}
    for file in files:
        parent = file.path.rstrip("/").rpartition("/")[0]
        while parent:
            moments.setdefault(os.stat(on_mount(folder, parent)).st_ino, []).append(_named(file))
            parent = parent.rpartition("/")[0]
    return moments


def _write(folder: Path, file: LabFile) -> None:
    """Write the bytes of one stream."""
    path = file.moved_from or file.path
    parent = on_mount(folder, path.rstrip("/").rpartition("/")[0])
    os.makedirs(parent, exist_ok=True)
    if path.endswith("/"):
        os.makedirs(on_mount(folder, path), exist_ok=True)
        return
    if file.written is Written.COMPRESSED:
        os.setxattr(parent, "system.ntfs_attrib", struct.pack("<I", _COMPRESSED_DIRECTORY))
    target = on_mount(folder, path, file.stream)
    if file.written in (Written.WOF, Written.SPARSE):
        _write_sparse(target, file.content, holes_only=file.written is Written.WOF)
    else:
        _write_file(target, file.content)


def _complete(folder: Path, file: LabFile) -> int:
    """Give an entry its last name, its links, its attributes, and at last its reparse point; return its record."""
    target = on_mount(folder, file.path)
    if file.moved_from:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(on_mount(folder, file.moved_from), target)
    for link in file.links:
        os.link(target, on_mount(folder, link))
    if file.dos_attributes != 0:
        os.setxattr(target, "system.ntfs_attrib", struct.pack("<I", file.dos_attributes | _ARCHIVE))
    if file.written is Written.EFS:
        os.setxattr(target, "system.ntfs_efsinfo", _efs_header())
    record = os.stat(target).st_ino  # ntfs-3g does not open every reparse point
    if file.reparse_data:
        os.setxattr(target, "system.ntfs_reparse_data", file.reparse_data)
    return record


def _write_file(path: bytes, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _write_sparse(path: bytes, content: bytes, *, holes_only: bool) -> None:
    """Write a stream whose zeros, or all of which, are holes."""
    with open(path, "wb") as file:
        file.truncate(len(content))
        for start in range(0, 0 if holes_only else len(content), _PIECE_BYTES * 16):
            piece = content[start : start + _PIECE_BYTES * 16]
            if piece.count(0) != len(piece):
                file.seek(start)
                file.write(piece)


def _write_in_turns(folder: Path, files: Sequence[LabFile]) -> None:
    """Write several files a piece at a time each, so that none of them lies in one run."""
    with ExitStack() as stack:
        opened: list[tuple[io.FileIO, bytes]] = []
        for file in files:
            path = on_mount(folder, file.path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            opened.append((stack.enter_context(io.FileIO(path, "w")), file.content))
        for start in range(0, max((len(content) for _, content in opened), default=0), _PIECE_BYTES):
            for writer, content in opened:
                writer.write(content[start : start + _PIECE_BYTES])


def _efs_header() -> bytes:
    """Return an `$EFS` attribute without a usable key: version 2, no key fields ([MS-EFSR] 2.2.2.1)."""
    return struct.pack("<IIII", 0x254, 0, 2, 0).ljust(0x254, b"\0")
