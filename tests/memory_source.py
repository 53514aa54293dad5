"""A source of bytes in memory, for tests; some of it may be unreadable."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence


class MemorySource:
    """Satisfies `triage.model.source.ByteSource`; a read that touches `unreadable` raises EIO."""

    def __init__(self, data: bytes, *, sector_bytes: int = 512, unreadable: Sequence[int] = range(0)) -> None:
        self.data = data
        self.size_bytes = len(data)
        self.sector_bytes = sector_bytes
        self.unreadable = unreadable

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill `view` from `offset_bytes`."""
        data = self.read(offset_bytes, len(view))
        view[: len(data)] = data
        return len(data)

    def read_at_once(self, offset_bytes: int, view: memoryview) -> bool:
        """Fill all of `view`, or return False."""
        try:
            return self.read_into(offset_bytes, view) == len(view)
        except OSError:
            return False

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return up to `length_bytes` from `offset_bytes`."""
        if offset_bytes < 0 or length_bytes < 0:
            raise ValueError(f"negative offset {offset_bytes} or length {length_bytes}")
        if any(offset_bytes <= bad < offset_bytes + length_bytes for bad in self.unreadable):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.data[offset_bytes : offset_bytes + length_bytes]
