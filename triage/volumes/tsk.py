"""The only door to pytsk3: The Sleuth Kit's view of a volume, through our own read-only source.

TSK decodes what the fast path does not (LZNT1), and reads `$MFT` for the independent raw scan.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytsk3

from triage.evidence.slice import BlankingSource
from triage.model.errors import EvidenceLostError, VolumeError
from triage.model.source import ByteSource

_TSK_DATA = 0x80
_TSK_ERRORS = (OSError, RuntimeError)  # its own, and what it makes of an error of the source


class _Image(pytsk3.Img_Info):
    """Hands the source's bytes to TSK."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.unreadable = False
        self.lost: EvidenceLostError | None = None
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, length: int, /) -> bytes:
        try:
            return self._source.read(offset, length)
        except OSError:
            self.unreadable = True
            raise
        except EvidenceLostError as error:
            self.unreadable, self.lost = True, error
            raise OSError(error.message) from error

    def get_size(self) -> int:
        return self._source.size_bytes


class TskVolume:
    """TSK's NTFS of one volume; each thread opens its own, because TSK's handles are not shared safely."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._local = threading.local()

    @property
    def unreadable(self) -> bool:
        """Whether the last stream of this thread ended because the source could not be read."""
        image: _Image | None = getattr(self._local, "image", None)
        return image is not None and image.unreadable

    def _file_system(self) -> pytsk3.FS_Info:
        cached: pytsk3.FS_Info | None = getattr(self._local, "file_system", None)
        if cached is None:
            self._local.image = _Image(self._source)
            cached = self._local.file_system = _opened(self._local.image)
        self._local.image.unreadable = False
        return cached

    def stream_blocks(self, mft_entry: int, stream: str, block_bytes: int) -> Iterator[bytes]:
        """Yield a `$DATA` stream's content in blocks, decoded; `VolumeError` where TSK cannot."""
        yield from _blocks(self._file_system, mft_entry, stream, block_bytes)

    def mft_blocks(self, block_bytes: int) -> Iterator[bytes]:
        """Yield the content of `$MFT`, unreadable sectors as `UNREADABLE_SECTOR`; `VolumeError` where TSK cannot.

        TSK keeps what it has read, so this one has a handle of its own. `EvidenceLostError` passes.
        """
        image = _Image(BlankingSource(self._source))
        try:
            yield from _blocks(lambda: _opened(image), 0, "", block_bytes)
        except VolumeError as error:
            if image.lost is not None:
                raise image.lost from error
            raise


def _opened(image: _Image) -> pytsk3.FS_Info:
    try:
        return pytsk3.FS_Info(image, 0, pytsk3.TSK_FS_TYPE_NTFS)
    except _TSK_ERRORS as error:
        raise VolumeError(f"The Sleuth Kit cannot open this NTFS: {_one_line(error)}") from error


def _blocks(
    file_system: Callable[[], pytsk3.FS_Info], mft_entry: int, stream: str, block_bytes: int
) -> Iterator[bytes]:
    try:
        opened = file_system()
        file = opened.open_meta(mft_entry)
        attribute = _find_data(file, stream)
        offset = 0
        while offset < attribute.size:
            wanted = min(block_bytes, attribute.size - offset)
            block = file.read_random(offset, wanted, _TSK_DATA, attribute.id)
            if not block:
                raise VolumeError(f"The Sleuth Kit stops at byte {offset} of {attribute.size}")
            yield block
            offset += len(block)
    except _TSK_ERRORS as error:
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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
