"""Pieces of fragmented files, read while the heads pass them and held until the rest of their file comes.

A file of a few hundred kilobytes in two places costs a hard disk two long movements of its heads, as long as reading
two megabytes each, when it is read at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.evidence.slice import OverlaySource
from triage.model.errors import EvidenceLostError
from triage.model.source import ByteSource
from triage.model.volume import VolumeInfo
from triage.pipeline.job import Token
from triage.volumes.extents import MISSING, Extent
from triage.volumes.runs import HOLE

LARGEST_IN_PIECES_BYTES = 8 << 20
_MOST_HELD_BYTES = 48 << 20
_MOST_EXTENTS = 64


class Piece(NamedTuple):
    """An extent of a stream that is read before the stream's turn, at its own place on the volume."""

    source: ByteSource
    info: VolumeInfo
    token: Token
    extent: Extent

    @property
    def size_bytes(self) -> int:
        """Its length."""
        return self.extent.length_bytes


def in_pieces(extents: Sequence[Extent]) -> list[Extent]:
    """Return the extents of a stream that is read in pieces, along the volume.

    None are returned where it lies in one place, or is too large to be held.
    """
    on_disk = sorted((one for one in extents if one.volume_offset not in (HOLE, MISSING)), key=lambda one: one[2])
    is_small = sum(one.length_bytes for one in on_disk) <= LARGEST_IN_PIECES_BYTES
    return on_disk if is_small and 1 < len(on_disk) <= _MOST_EXTENTS else []


class HeldPieces:
    """The pieces read so far, within a bound: what does not fit is read when its file's turn comes."""

    def __init__(self) -> None:
        self._held: dict[Token, dict[int, bytes]] = {}
        self._bytes = 0

    def take(self, piece: Piece) -> None:
        """Read a piece; one that cannot be read is left to its file's turn, which tells of it."""
        extent = piece.extent
        if self._bytes + extent.length_bytes > _MOST_HELD_BYTES:
            return
        try:
            data = piece.source.read(extent.volume_offset, extent.length_bytes)
        except (OSError, EvidenceLostError):
            return
        if len(data) == extent.length_bytes:
            self._held.setdefault(piece.token, {})[extent.volume_offset] = data
            self._bytes += len(data)

    def give(self, token: Token, volume: ByteSource) -> ByteSource:
        """Return what a stream is read from: its volume, with the pieces held for it in their places."""
        held = self._held.pop(token, None)
        if held is None:
            return volume
        self._bytes -= sum(map(len, held.values()))
        return OverlaySource(volume, held)
