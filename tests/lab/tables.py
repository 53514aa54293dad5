"""Where a volume lies on a disk: partition tables written by sfdisk, and the empty disk image with one."""

from __future__ import annotations

import os
import subprocess
from enum import StrEnum
from pathlib import Path

SECTOR_BYTES = 512
_MIB = 1024 * 1024
_NTFS_GPT = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
_CHUNK_BYTES = 64 * 1024


class Layout(StrEnum):
    """The partition table: none, MBR with one primary partition, MBR with a logical one, or GPT.

    The disk with the logical partition has a small ext2 volume in its first primary one.
    """

    BARE = "bare"
    MBR = "mbr"
    MBR_LOGICAL = "mbr-logical"
    GPT = "gpt"


_OFFSETS = {Layout.BARE: 0, Layout.MBR: _MIB, Layout.MBR_LOGICAL: 4 * _MIB, Layout.GPT: _MIB}


def volume_offset(layout: Layout) -> int:
    """Return where the NTFS volume starts, in bytes."""
    return _OFFSETS[layout]


def assemble(volume: Path, image: Path, layout: Layout) -> None:
    """Make a sparse disk image with a partition table that holds the volume."""
    size_bytes = volume.stat().st_size
    copy_sparse(volume, image, _OFFSETS[layout])
    if layout is Layout.BARE:
        return
    os.truncate(image, _OFFSETS[layout] + size_bytes + _MIB)
    script = _script(layout, _OFFSETS[layout] // SECTOR_BYTES, size_bytes // SECTOR_BYTES)
    subprocess.run(("sfdisk", "--quiet", image), input=script.encode(), check=True, capture_output=True)
    if layout is Layout.MBR_LOGICAL:
        options = ("-q", "-F", "-t", "ext2", "-E", f"offset={_MIB}", "-L", "other")
        subprocess.run(("mke2fs", *options, image, "1024k"), check=True, capture_output=True)


def copy_sparse(source: Path, target: Path, offset_bytes: int) -> None:
    """Copy a file into another at an offset; zeros take no space."""
    with source.open("rb") as reader, target.open("wb") as writer:
        position = offset_bytes
        while chunk := reader.read(_CHUNK_BYTES):
            if chunk.count(0) != len(chunk):
                writer.seek(position)
                writer.write(chunk)
            position += len(chunk)
        writer.truncate(position)


def _script(layout: Layout, start: int, sectors: int) -> str:
    """Return sfdisk's input; fixed identifiers make the table the same each time."""
    if layout is Layout.GPT:
        head = "label: gpt\nlabel-id: 3F1A0B2C-0000-4000-8000-000000002017\nunit: sectors\n"
        uuid = "3F1A0B2C-0000-4000-8000-000000000001"
        return f'{head}start={start}, size={sectors}, type={_NTFS_GPT}, uuid={uuid}, name="Windows"\n'
    head = "label: dos\nlabel-id: 0x20170512\nunit: sectors\n"
    if layout is Layout.MBR:
        return f"{head}start={start}, size={sectors}, type=7, bootable\n"
    mebi = _MIB // SECTOR_BYTES
    primary = f"start={mebi}, size={mebi}, type=83\n"
    extended = f"start={start - mebi}, size={sectors + mebi}, type=f\n"
    return f"{head}1 : {primary}2 : {extended}5 : start={start}, size={sectors}, type=7\n"
