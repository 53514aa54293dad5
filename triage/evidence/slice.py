"""Views of a source that are sources too: a stretch of it, or the same bytes with some replaced or blanked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from triage.evidence.salvage import Salvage
from triage.model.source import ByteSource

#: What stands for a sector that cannot be read, in its first 512 bytes and every 512 after.
UNREADABLE_SECTOR: Final = b"unreadable sector\n".ljust(512, b"\xee")


class SliceSource:
    """`length_bytes` of `source` from `offset_bytes` on, such as a volume of a disk; satisfies `ByteSource`.

    Where the underlying source ends earlier the slice does too: `size_bytes` is what can be read.
    """

    def __init__(self, source: ByteSource, offset_bytes: int, length_bytes: int) -> None:
        if offset_bytes < 0 or length_bytes < 0:
            raise ValueError(f"negative slice: offset {offset_bytes}, length {length_bytes}")
        self.source = source
        self.offset_bytes = offset_bytes
        self.size_bytes = max(0, min(length_bytes, source.size_bytes - offset_bytes))
        self.sector_bytes = source.sector_bytes

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill `view` from `offset_bytes` of the slice; return the bytes filled, fewer only at its end."""
        room_bytes = self._room(offset_bytes)
        if room_bytes <= 0:
            return 0
        if room_bytes < len(view):
            view = view[:room_bytes]
        return self.source.read_into(self.offset_bytes + offset_bytes, view)

    def read_at_once(self, offset_bytes: int, view: memoryview) -> bool:
        """Fill all of `view`, or return False and note nothing."""
        is_within = len(view) <= self._room(offset_bytes)
        return is_within and self.source.read_at_once(self.offset_bytes + offset_bytes, view)

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return up to `length_bytes` from `offset_bytes` of the slice, shorter only at its end."""
        length_bytes = min(length_bytes, self._room(offset_bytes))
        return self.source.read(self.offset_bytes + offset_bytes, length_bytes) if length_bytes > 0 else b""

    def _room(self, offset_bytes: int) -> int:
        """Return the bytes from `offset_bytes` to the end; a negative one would leave the slice."""
        if offset_bytes < 0:
            raise ValueError(f"negative offset {offset_bytes}")
        return self.size_bytes - offset_bytes


class OverlaySource:
    """`source` with other bytes shown at some offsets, nothing written; satisfies `ByteSource`.

    It presents a volume's backup boot sector in the place of a damaged one. A replaced range is not read from
    `source` when a read asks for nothing else, so an unreadable sector can be replaced too.
    """

    def __init__(self, source: ByteSource, replacements: Mapping[int, bytes]) -> None:
        """`replacements` maps an offset in bytes to what stands there instead; they do not overlap."""
        self.source = source
        self.size_bytes = source.size_bytes
        self.sector_bytes = source.sector_bytes
        self._replacements = tuple(sorted(replacements.items()))

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill `view` from `offset_bytes`; return the bytes filled, fewer only at the end."""
        if offset_bytes < 0:
            raise ValueError(f"negative offset {offset_bytes}")
        end_bytes = min(offset_bytes + len(view), self.size_bytes)
        position = offset_bytes
        for start, data in self._replacements:
            stop = start + len(data)
            if stop <= position or start >= end_bytes:
                continue
            if position < start:
                self.source.read_into(position, view[position - offset_bytes : start - offset_bytes])
            first, last = max(position, start), min(stop, end_bytes)
            view[first - offset_bytes : last - offset_bytes] = data[first - start : last - start]
            position = last
        if position < end_bytes:
            self.source.read_into(position, view[position - offset_bytes : end_bytes - offset_bytes])
        return max(0, end_bytes - offset_bytes)

    def read_at_once(self, offset_bytes: int, view: memoryview) -> bool:
        """Fill all of `view`, or return False and note nothing."""
        if not self.source.read_at_once(offset_bytes, view):
            return False
        for start, data in self._replacements:
            first, last = max(offset_bytes, start), min(offset_bytes + len(view), start + len(data))
            if first < last:
                view[first - offset_bytes : last - offset_bytes] = data[first - start : last - start]
        return True

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return up to `length_bytes` from `offset_bytes`, shorter only at the end."""
        buffer = bytearray(max(0, min(length_bytes, self.size_bytes - offset_bytes)))
        self.read_into(offset_bytes, memoryview(buffer))
        return bytes(buffer)


class BlankingSource:
    """`source` with a pattern in place of unreadable sectors, for a reader that would stop at them; a `ByteSource`.

    Whoever gets its bytes looks for `UNREADABLE_SECTOR` before believing them. For one thread at a time.
    """

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.size_bytes = source.size_bytes
        self.sector_bytes = source.sector_bytes
        self._salvage = Salvage(source, thorough=True)
        self._buffer = memoryview(bytearray())  # kept: new memory for each read costs as much as reading

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill `view` from `offset_bytes`; return the bytes filled, fewer only at the end."""
        try:
            return self.source.read_into(offset_bytes, view)
        except OSError:
            filled_bytes = max(0, min(len(view), self.size_bytes - offset_bytes))
            for missing in self._salvage.read_into(offset_bytes, view[:filled_bytes]):
                first = missing.offset_bytes - offset_bytes
                sectors = -(-missing.length_bytes // len(UNREADABLE_SECTOR))
                view[first : first + missing.length_bytes] = (UNREADABLE_SECTOR * sectors)[: missing.length_bytes]
            return filled_bytes

    def read_at_once(self, offset_bytes: int, view: memoryview) -> bool:
        """Fill all of `view`, or return False and note nothing."""
        return self.source.read_at_once(offset_bytes, view)

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return up to `length_bytes` from `offset_bytes`, shorter only at the end."""
        wanted_bytes = max(0, min(length_bytes, self.size_bytes - offset_bytes))
        if len(self._buffer) < wanted_bytes:
            self._buffer = memoryview(bytearray(wanted_bytes))
        self.read_into(offset_bytes, self._buffer[:wanted_bytes])
        return bytes(self._buffer[:wanted_bytes])
