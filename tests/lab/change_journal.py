"""Writes a change journal as Windows does, for volumes that no Windows has touched: ntfs-3g keeps none.

Apart from the product, after USN_RECORD_V2, _V3 and _V4 of Microsoft's winioctl.h: records at multiples of eight bytes,
each with its own offset in it; one that does not fit into the rest of a page of 4096 bytes begins the next.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from tests.lab.mounts import mount_for_writing
from tests.mft_editor import FILE_NAME, MftEditor, attributes

PAGE_BYTES = 4096
_EXTEND_ENTRY, _CONTENT_OFFSET = 11, 0x14
CREATE, DELETE, OLD_NAME, NEW_NAME, CLOSE = 0x100, 0x200, 0x1000, 0x2000, 0x80000000


class LabChange(Struct, frozen=True, kw_only=True):
    """One record to be written; `file` and `parent` are references, entry and sequence number."""

    name: str = ""
    file: tuple[int, int] = (100, 1)
    parent: tuple[int, int] = (5, 5)
    reason: int = CREATE
    time: int = 131390502650000000
    source: int = 0
    attributes: int = 0x20
    version: int = 2
    extents: tuple[tuple[int, int], ...] = ()


def record(change: LabChange, usn: int) -> bytes:
    """Return one record, filled up to a multiple of eight bytes."""
    name = change.name.encode("utf-16-le", "surrogatepass")
    file, parent = _reference(change.file), _reference(change.parent)
    stamp = (usn, change.time, change.reason, change.source, 0, change.attributes)
    if change.version == 2:
        body = struct.pack("<QQqqIIIIHH", file, parent, *stamp, len(name), 60) + name
    elif change.version == 3:
        body = struct.pack("<QQQQqqIIIIHH", file, 0, parent, 0, *stamp, len(name), 76) + name
    else:
        flags = (usn, change.reason, change.source, 0, len(change.extents), 16)
        body = struct.pack("<QQQQqIIIHH", file, 0, parent, 0, *flags)
        body += b"".join(struct.pack("<qq", *extent) for extent in change.extents)
    length = -(-(8 + len(body)) // 8) * 8
    return (struct.pack("<IHH", length, change.version, 0) + body).ljust(length, b"\0")


def journal(changes: Iterable[LabChange], start: int = 0) -> bytes:
    """Return the journal's bytes from the offset `start` on."""
    data = bytearray()
    for change in changes:
        length = len(record(change, 0))
        if len(data) // PAGE_BYTES != (len(data) + length - 1) // PAGE_BYTES:
            data += bytes(-len(data) % PAGE_BYTES)
        data += record(change, start + len(data))
    return bytes(data)


def add_journal(volume: Path, data: bytes, start: int) -> None:
    """Put the journal on an unmounted volume; what is before `start`, a multiple of the page, is a hole.

    ntfs-3g lets nobody write into `$Extend`: the file is made in the root, then its record says another parent.
    """
    with mount_for_writing(volume) as folder:
        file = folder / "$UsnJrnl"
        file.write_bytes(b"")
        with open(os.fsencode(file) + b":$J", "wb") as stream:
            stream.truncate(start)
            stream.seek(start)
            stream.write(data)
        entry = file.stat().st_ino
    editor = MftEditor(volume)
    made = editor.record(entry)
    for name in attributes(made):
        if name.type == FILE_NAME:
            content = name.offset + name.field(made, _CONTENT_OFFSET, "<H")
            struct.pack_into("<Q", made, content, _reference((_EXTEND_ENTRY, _EXTEND_ENTRY)))
    editor.put(entry, made)


def _reference(reference: tuple[int, int]) -> int:
    entry, sequence = reference
    return entry | sequence << 48
