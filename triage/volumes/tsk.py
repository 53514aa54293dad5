"""The only door to pytsk3: The Sleuth Kit reads `$MFT` for the independent raw scan, through our own source."""

from __future__ import annotations

from collections.abc import Iterator

import pytsk3

from triage.model.errors import EvidenceLostError, VolumeError
from triage.model.source import ByteSource

_MFT_ENTRY = 0
_DATA = 0x80
_BLOCK_BYTES = 4 << 20
_TSK_ERRORS = (OSError, RuntimeError)  # its own, and what it makes of an error of the source


class _Image(pytsk3.Img_Info):
    """Hands the source's bytes to TSK, which keeps no error of ours: `lost` tells that the evidence is gone."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.lost: EvidenceLostError | None = None
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, length: int, /) -> bytes:
        try:
            return self._source.read(offset, length)
        except EvidenceLostError as error:
            self.lost = error
            raise OSError(error.message) from error

    def get_size(self) -> int:
        return self._source.size_bytes


def tsk_mft_blocks(source: ByteSource) -> Iterator[bytes]:
    """Yield `$MFT` of an NTFS volume in blocks, as TSK reads it; `VolumeError` where it cannot.

    The file system is named to TSK: left to guess, it refuses a volume on which traces of another one remain.
    """
    image = _Image(source)
    try:
        yield from _blocks(image)
    except VolumeError as error:
        if image.lost is not None:
            raise image.lost from error
        raise


def _blocks(image: _Image) -> Iterator[bytes]:
    try:
        file_system = pytsk3.FS_Info(image, 0, pytsk3.TSK_FS_TYPE_NTFS)
        file = file_system.open_meta(_MFT_ENTRY)
        attribute = next(one.info for one in file if one.info.type == _DATA)
        if attribute.size > image.get_size():
            raise VolumeError(f"The Sleuth Kit: $MFT of {attribute.size} bytes is larger than its volume")
        for offset in range(0, attribute.size, _BLOCK_BYTES):
            wanted = min(_BLOCK_BYTES, attribute.size - offset)
            block = file.read_random(offset, wanted, _DATA, attribute.id)
            if len(block) < wanted:
                raise VolumeError(f"The Sleuth Kit stops at byte {offset + len(block)} of {attribute.size}")
            yield block
    except (*_TSK_ERRORS, StopIteration) as error:
        raise VolumeError(f"The Sleuth Kit: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
