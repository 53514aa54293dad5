"""What all decoders of compressed streams have in common: blocks of content, and the ranges that are not right."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from triage.model.gap import GapKind
from triage.volumes.extents import BadRange

_MOST_BAD_RANGES = 256


class StreamDecoder(ABC):
    """Decodes a stream from its start to its end; what cannot be decoded is zeros and a range in `bad_ranges`."""

    def __init__(self) -> None:
        self.bad_ranges: list[BadRange] = []

    @abstractmethod
    def contents(self) -> Iterator[bytes]:
        """Yield the content piece by piece, in pieces of any length."""

    def blocks(self, block_bytes: int) -> Iterator[bytes]:
        """Yield the content in blocks of so many bytes; the last one may be shorter."""
        pending = bytearray()
        for content in self.contents():
            pending += content
            while len(pending) >= block_bytes:
                yield bytes(pending[:block_bytes])
                del pending[:block_bytes]
        if pending:
            yield bytes(pending)

    def add_bad(self, position: int, length: int, kind: GapKind, reason: str) -> None:
        """Note a range, together with the one before where they touch; of too many the last ones become one."""
        if self.bad_ranges:
            last = self.bad_ranges[-1]
            touches = last.stream_offset + last.length_bytes == position and (last.kind, last.reason) == (kind, reason)
            if touches or len(self.bad_ranges) == _MOST_BAD_RANGES:
                self.bad_ranges[-1] = last._replace(length_bytes=position + length - last.stream_offset)
                return
        self.bad_ranges.append(BadRange(position, length, reason, kind))
