"""Files compressed by the Windows Overlay Filter (CompactOS), with chunks that are stored as they are.

Layout after the WIM format's compressed resources: offsets of all chunks but the first, then the chunks; one
that would not shrink is stored. Reparse data: WOF_EXTERNAL_INFO and FILE_PROVIDER_EXTERNAL_INFO_V1 ([MS-FSCC]).
"""

from __future__ import annotations

import struct

STREAM_NAME = "WofCompressedData"
_TAG = 0x80000017
_CHUNK_BYTES = 4096
_FILE_PROVIDER = 2
_XPRESS4K = 0


def wof_stream(content: bytes) -> bytes:
    """Return the `WofCompressedData` stream of a content up to 4 GiB."""
    offsets = range(_CHUNK_BYTES, len(content), _CHUNK_BYTES)
    return b"".join(struct.pack("<I", offset) for offset in offsets) + content


def wof_reparse_data() -> bytes:
    """Return the reparse point that sends a reader to the stream."""
    data = struct.pack("<IIII", 1, _FILE_PROVIDER, 1, _XPRESS4K)
    return struct.pack("<IHH", _TAG, len(data), 0) + data
