"""Files compressed by the Windows Overlay Filter (CompactOS): the stream with their bytes and their reparse point.

The chunks are wimlib's: a compressed resource of a WIM file is laid out as the stream is ("Windows Imaging File
Format", Microsoft 2007: header, lookup table, resource header). Reparse data: WOF_EXTERNAL_INFO and
FILE_PROVIDER_EXTERNAL_INFO_V1 ([MS-FSCC]).
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

from tests.loops import run

STREAM_NAME = "WofCompressedData"
REPARSE_TAG = 0x80000017
FILE_PROVIDER = 2
WIM_PROVIDER = 1
_SIZE_MASK = (1 << 56) - 1
_COMPRESSED = 4
_METADATA = 2
_LOOKUP_TABLE_HEADER = 0x30
_LOOKUP_ENTRY_BYTES = 50


class Algorithm(IntEnum):
    """The algorithms of FILE_PROVIDER_EXTERNAL_INFO_V1, and how long the chunks of each are."""

    XPRESS4K = 0
    LZX = 1
    XPRESS8K = 2
    XPRESS16K = 3

    @property
    def chunk_bytes(self) -> int:
        return {0: 4096, 1: 32768, 2: 8192, 3: 16384}[self.value]


def stored_stream(content: bytes, algorithm: Algorithm = Algorithm.XPRESS4K) -> bytes:
    """Return the stream of a content up to 4 GiB of which no chunk would shrink."""
    offsets = range(algorithm.chunk_bytes, len(content), algorithm.chunk_bytes)
    return b"".join(struct.pack("<I", offset) for offset in offsets) + content


def wof_streams(contents: Sequence[bytes], algorithm: Algorithm) -> list[bytes]:
    """Return the streams of some contents, compressed by wimlib."""
    with tempfile.TemporaryDirectory(prefix="triage-lab-") as name:
        folder, wim = Path(name) / "files", Path(name) / "files.wim"
        folder.mkdir()
        for number, content in enumerate(contents):
            (folder / f"{number}").write_bytes(content)
        kind = "lzx" if algorithm is Algorithm.LZX else "xpress"
        options = (f"--compress={kind}", f"--chunk-size={algorithm.chunk_bytes}", "--threads=1", "--no-acls")
        run("wimlib-imagex", "capture", folder, wim, *options)
        resources = _resources(wim.read_bytes())
    return [resources.get(hashlib.sha1(content).digest()) or stored_stream(content, algorithm) for content in contents]


def split(stream: bytes, size_bytes: int, algorithm: Algorithm) -> list[tuple[bytes, int]]:
    """Return each chunk of a stream that is compressed, and how long its content is."""
    count = -(-size_bytes // algorithm.chunk_bytes)
    starts = [0, *struct.unpack_from(f"<{count - 1}I", stream)]
    table_bytes = 4 * (count - 1)
    ends = [*starts[1:], len(stream) - table_bytes]
    lengths = [min(algorithm.chunk_bytes, size_bytes - first) for first in range(0, size_bytes, algorithm.chunk_bytes)]
    chunks = [stream[table_bytes + start : table_bytes + end] for start, end in zip(starts, ends, strict=True)]
    return list(zip(chunks, lengths, strict=True))


def reparse_point(algorithm: int, provider: int = FILE_PROVIDER) -> bytes:
    """Return the reparse point that sends a reader to the stream."""
    data = struct.pack("<IIII", 1, provider, 1, algorithm)
    return struct.pack("<IHH", REPARSE_TAG, len(data), 0) + data


def _resources(wim: bytes) -> dict[bytes, bytes]:
    """Return a WIM file's compressed resources by the SHA-1 of their content."""
    size, start, _ = struct.unpack_from("<QQQ", wim, _LOOKUP_TABLE_HEADER)
    found: dict[bytes, bytes] = {}
    for entry in range(start, start + (size & _SIZE_MASK), _LOOKUP_ENTRY_BYTES):
        packed, offset, _, _, _, digest = struct.unpack_from("<QQQHI20s", wim, entry)
        length, flags = packed & _SIZE_MASK, packed >> 56
        if flags & _COMPRESSED and not flags & _METADATA:
            found[digest] = wim[offset : offset + length]
    return found
