"""The only door to pytsk3: The Sleuth Kit's view of a volume, through our own read-only source.

TSK decodes what the fast path does not (LZNT1), and reads `$MFT` for the independent raw scan.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytsk3

from triage.model.errors import VolumeError
from triage.model.source import ByteSource

_TSK_DATA = 0x80


class _Image(pytsk3.Img_Info):
    """Hands the source's bytes to TSK."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, length: int, /) -> bytes:
        return self._source.read(offset, length)

    def get_size(self) -> int:
        return self._source.size_bytes


class TskVolume:
    """TSK's NTFS of one volume; each thread opens its own, because TSK's handles are not shared safely."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._local = threading.local()

    def _file_system(self) -> pytsk3.FS_Info:
        cached: pytsk3.FS_Info | None = getattr(self._local, "file_system", None)
        if cached is None:
            try:
                cached = pytsk3.FS_Info(_Image(self._source), 0, pytsk3.TSK_FS_TYPE_NTFS)
            except OSError as error:
                raise VolumeError(f"The Sleuth Kit cannot open this NTFS: {_one_line(error)}") from error
            self._local.file_system = cached
        return cached

    def stream_blocks(self, mft_entry: int, stream: str, block_bytes: int) -> Iterator[bytes]:
        """Yield a `$DATA` stream's content in blocks, decoded; `VolumeError` where TSK cannot."""
        try:
            file = self._file_system().open_meta(mft_entry)
            attribute = _find_data(file, stream)
            offset = 0
            while offset < attribute.size:
                wanted = min(block_bytes, attribute.size - offset)
                block = file.read_random(offset, wanted, _TSK_DATA, attribute.id)
                if not block:
                    raise VolumeError(f"The Sleuth Kit stops at byte {offset} of {attribute.size}")
                yield block
                offset += len(block)
        except OSError as error:
            raise VolumeError(f"The Sleuth Kit: {_one_line(error)}") from error


def _find_data(file: pytsk3.File, stream: str) -> pytsk3._AttributeInfo:
    wanted = stream.encode("utf-8", "surrogatepass")
    for attribute in file:
        if attribute.info.type == _TSK_DATA and (attribute.info.name or b"") in (
            wanted,
            b"$Data" if not stream else wanted,
        ):
            return attribute.info
    raise VolumeError(f"The Sleuth Kit does not see the stream {stream!r}")


def _one_line(error: OSError) -> str:
    return " ".join(str(error).split())
