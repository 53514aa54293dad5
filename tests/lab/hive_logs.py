"""Dirty hives of a lab PC with their transaction logs, as a power cut leaves them, in both formats.

From a hive before and after a change: the pages in which they differ become the log, and the hive stays as it was
before, marked dirty. Laid out after M. Suhanov, "Windows registry file format specification" ("Format of transaction
log files"); the checksum is `triage.artefacts.marvin32`, which its published vectors and logs of Windows hold to.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise

from tests.lab.hives import seal_base_block
from triage.artefacts.marvin32 import marvin32

BINS_AT = 4096
SECTOR_BYTES = 512
_SEED = 0x82EF4D887A4E55C5
_BLOCK_BYTES = 4096


def with_sequences(hive: bytes, primary: int, secondary: int, *, file_type: int = 0) -> bytes:
    """Return the hive with other sequence numbers and its checksum made right."""
    changed = hive[:4] + struct.pack("<II", primary, secondary) + hive[12:28] + struct.pack("<I", file_type) + hive[32:]
    return seal_base_block(changed)


def dirty_hive(hive: bytes, awaited: int) -> bytes:
    """Return the hive as it stands while entry `awaited` of its log is not written into it yet."""
    return with_sequences(hive, awaited + 1, awaited)


def new_log(states: Sequence[bytes], first: int, *, flags: int = 0) -> bytes:
    """Return a log of Windows 8.1 and later: entry `first` leads from the first state to the second, and so on."""
    entries = [_entry(before, after, first + number, flags) for number, (before, after) in enumerate(pairwise(states))]
    return with_sequences(states[0], first, first, file_type=6)[:SECTOR_BYTES] + b"".join(entries)


def old_log(before: bytes, after: bytes, sequence: int) -> bytes:
    """Return a log of Windows 2000 to 8: a bit for each 512 bytes of hive bins, and the pages that changed."""
    blocks = _changed_blocks(before, after)
    (bins_bytes,) = struct.unpack_from("<I", after, 40)
    bitmap = bytearray(bins_bytes // SECTOR_BYTES // 8)
    for offset, _content in blocks:
        bitmap[offset // _BLOCK_BYTES] = 0xFF
    vector = b"DIRT" + bytes(bitmap)
    vector += bytes(-len(vector) % SECTOR_BYTES)
    header = with_sequences(after, sequence, sequence, file_type=1)[:SECTOR_BYTES]
    return header + vector + b"".join(content for _offset, content in blocks)


def _entry(before: bytes, after: bytes, sequence: int, flags: int) -> bytes:
    blocks = _changed_blocks(before, after)
    body = b"".join(struct.pack("<II", offset, len(content)) for offset, content in blocks)
    body += b"".join(content for _offset, content in blocks)
    body += bytes(-(40 + len(body)) % SECTOR_BYTES)
    header = struct.pack("<4sIIIII", b"HvLE", 40 + len(body), flags, sequence, len(after) - BINS_AT, len(blocks))
    header += struct.pack("<Q", marvin32(_SEED, body))
    return header + struct.pack("<Q", marvin32(_SEED, header)) + body


def _changed_blocks(before: bytes, after: bytes) -> list[tuple[int, bytes]]:
    return [
        (at - BINS_AT, after[at : at + _BLOCK_BYTES])
        for at in range(BINS_AT, len(after), _BLOCK_BYTES)
        if before[at : at + _BLOCK_BYTES] != after[at : at + _BLOCK_BYTES]
    ]
