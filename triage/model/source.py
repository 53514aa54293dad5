"""What a source of bytes is: a disk image, a device, or a part of one. It can be read and nothing else."""

from __future__ import annotations

from typing import Protocol


class ByteSource(Protocol):
    """Random read access to evidence.

    `read_into` fills as much of `view` as the source holds from `offset_bytes` on and returns the number of bytes
    filled; fewer than asked means the end of the source lies there. An unreadable range raises `OSError` (EIO).
    Safe to call from several threads at once.
    """

    @property
    def size_bytes(self) -> int:
        """Length of the source."""
        ...

    @property
    def sector_bytes(self) -> int:
        """Logical sector size: 512 for images, the kernel's figure for devices."""
        ...

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill `view` from `offset_bytes`; return the bytes filled."""
        ...

    def read_at_once(self, offset_bytes: int, view: memoryview) -> bool:
        """Fill all of `view`, or return False and note nothing: what lies there is then read part by part."""
        ...

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return up to `length_bytes` from `offset_bytes`, shorter only at the end of the source."""
        ...
