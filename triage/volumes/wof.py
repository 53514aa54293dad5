"""Files that the Windows Overlay Filter compressed (CompactOS, `compact /exe`): which way, and their content again.

Their unnamed stream has the size but no clusters. A reparse point ([MS-FSCC] 2.1.2.1: tag 0x80000017, with
WOF_EXTERNAL_INFO and FILE_PROVIDER_EXTERNAL_INFO_V1) names the algorithm; the stream `WofCompressedData` holds, as a
compressed resource of a WIM file does, the table of where each chunk but the first starts, then the chunks. A chunk
that would not shrink is stored as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from msgspec import Struct

from triage.model.errors import ParseError, VolumeError
from triage.model.gap import GapKind
from triage.volumes.decoder import StreamDecoder
from triage.volumes.lzx import decompress_lzx
from triage.volumes.xpress import decompress_xpress

WOF_STREAM = "WofCompressedData"
WOF_REPARSE_BYTES = 24
_PROVIDER_WIM, _PROVIDER_FILE = 1, 2
_VERSION = 1
_LARGEST_SIZE_OF_SHORT_ENTRIES = 0xFFFFFFFF
_TABLE_PIECE_ENTRIES = 4096

#: Returns so many bytes of the compressed stream from an offset on, never before that of the last call; `OSError`
#: where they are not all readable.
ReadAt = Callable[[int, int], bytes]


class WofFormat(Struct, frozen=True):
    """One way of compressing: the bytes that each chunk but the last decodes to, and the decoder of a chunk."""

    name: str
    chunk_bytes: int
    decompress: Callable[[bytes, int], bytes]


_FORMATS = {
    0: WofFormat("XPRESS4K", 4096, decompress_xpress),
    1: WofFormat("LZX", 32768, decompress_lzx),
    2: WofFormat("XPRESS8K", 8192, decompress_xpress),
    3: WofFormat("XPRESS16K", 16384, decompress_xpress),
}


def wof_format(reparse_point: bytes) -> WofFormat:
    """Return the format that a reparse point names; `VolumeError` where its content cannot be decoded."""
    if len(reparse_point) < WOF_REPARSE_BYTES:
        raise VolumeError("its reparse point is cut short")
    _tag, length, version, provider, file_version, algorithm = struct.unpack("<IHxxIIII", reparse_point)
    if length < WOF_REPARSE_BYTES - 8:
        raise VolumeError("its reparse point is cut short")
    if (version, provider) == (_VERSION, _PROVIDER_WIM):
        raise VolumeError("its content lies in a WIM file (WIMBoot)")
    if (version, provider, file_version) != (_VERSION, _PROVIDER_FILE, _VERSION) or algorithm not in _FORMATS:
        numbers = f"version {version}, provider {provider}, version {file_version}, algorithm {algorithm}"
        raise VolumeError(f"unknown form: {numbers}")
    return _FORMATS[algorithm]


class WofDecoder(StreamDecoder):
    """Decodes a compressed stream chunk by chunk: one that is damaged costs no other."""

    def __init__(
        self,
        form: WofFormat,
        size_bytes: int,
        compressed_bytes: int,
        *,
        read_table: ReadAt,
        read_chunk: ReadAt,
    ) -> None:
        """`VolumeError` where the compressed stream is shorter than its table: a damaged size ends here."""
        super().__init__()
        self._form = form
        self._size_bytes = size_bytes
        self._chunks = -(-size_bytes // form.chunk_bytes)
        self._entry = "I" if size_bytes <= _LARGEST_SIZE_OF_SHORT_ENTRIES else "Q"
        self._table_bytes = struct.calcsize(f"<{self._entry}") * (self._chunks - 1)
        self._data_bytes = compressed_bytes - self._table_bytes
        if self._data_bytes < self._chunks:  # each chunk has a byte at least
            raise VolumeError(f"{WOF_STREAM} of {compressed_bytes} bytes cannot hold {self._chunks} chunks")
        self._read_table = read_table
        self._read_chunk = read_chunk
        self._data_end = 0

    def contents(self) -> Iterator[bytes]:
        """Yield what each chunk decodes to."""
        start: int | None = 0
        position = 0
        for end in self._ends():
            length = min(self._form.chunk_bytes, self._size_bytes - position)
            try:
                content = self._content(start, end, length)
            except ParseError as error:
                reason = f"{self._form.name} (CompactOS) not decoded: {error.what}"
                self.add_bad(position, length, GapKind.NOT_DECODABLE, reason)
                content = bytes(length)
            except OSError as error:
                self.add_bad(position, length, GapKind.READ_ERROR, str(error))
                content = bytes(length)
            yield content
            start, position = end, position + length

    def _content(self, start: int | None, end: int | None, length: int) -> bytes:
        """Decode one chunk. A chunk is never longer than its content, and none starts before the one before ends."""
        if start is None or end is None:
            raise OSError("the table of compressed chunks is unreadable")
        if not (self._data_end <= start < end <= min(start + length, self._data_bytes)):
            raise ParseError("the table of compressed chunks is damaged")
        self._data_end = end
        data = self._read_chunk(self._table_bytes + start, end - start)
        return data if len(data) == length else self._form.decompress(data, length)

    def _ends(self) -> Iterator[int | None]:
        """Yield where each chunk ends, counted from the end of the table; None where the table is unreadable."""
        width = struct.calcsize(f"<{self._entry}")
        for first in range(0, self._chunks - 1, _TABLE_PIECE_ENTRIES):
            count = min(_TABLE_PIECE_ENTRIES, self._chunks - 1 - first)
            try:
                piece = self._read_table(first * width, count * width)
            except OSError:
                yield from [None] * count
            else:
                yield from struct.unpack(f"<{count}{self._entry}", piece)
        yield self._data_bytes
