"""Small streams that lie one behind the other are read at once: one read and one wait for the disk for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from triage.pipeline.agenda import Item
from triage.volumes.extents import Extent

LONGEST_BYTES = 2 << 20
_LARGEST_STREAM_BYTES = 512 << 10
_MOST_STREAMS = 16
_WIDEST_GAP_BYTES = 16 << 10


class Stretch(NamedTuple):
    """Streams in the order in which they are read, and the stretch of their volume that holds them all.

    One that is not read at once stands alone, with a length of 0.
    """

    items: list[Item]
    volume_offset: int = 0
    length_bytes: int = 0

    def place_of(self, item: Item) -> slice:
        """Return which bytes of the stretch are one of its streams."""
        (extent,) = item.plan.extents
        start = extent.volume_offset - self.volume_offset
        return slice(start, start + extent.length_bytes)


def stretches(items: Iterator[Item]) -> Iterator[Stretch]:
    """Yield the streams in their order, joined where they can be read at once."""
    joined: list[Item] = []
    start = end = 0
    for item in items:
        extent = item.plan.only_extent
        if extent is None or extent.length_bytes > _LARGEST_STREAM_BYTES:
            if joined:
                yield Stretch(joined, start, end - start)
            joined = []
            yield Stretch([item])
            continue
        if joined and not (joined[0].source is item.source and _goes_on(extent, start, end, len(joined))):
            yield Stretch(joined, start, end - start)
            joined = []
        if not joined:
            start = extent.volume_offset
        joined.append(item)
        end = extent.volume_offset + extent.length_bytes
    if joined:
        yield Stretch(joined, start, end - start)


def _goes_on(extent: Extent, start: int, end: int, streams: int) -> bool:
    """Say whether a stream continues a stretch of so many streams."""
    is_near = 0 <= extent.volume_offset - end <= _WIDEST_GAP_BYTES
    return is_near and streams < _MOST_STREAMS and extent.volume_offset + extent.length_bytes - start <= LONGEST_BYTES
