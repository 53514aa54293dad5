"""Streams that NTFS compressed (LZNT1): unit by unit, chunk by chunk, so that damage costs no more than it hit.

16 clusters of a stream are a unit. All of them on the disk: its bytes stand there as they are. All of them holes:
zeros. Else the clusters before the holes hold chunks, each of which decodes to 4096 bytes; a chunk's header tells its
length, so that the next one is found behind a damaged one. Chunks carry no checksum.

Sources: [MS-XCA] 2.5 (LZNT1); "NTFS Documentation" of the Linux-NTFS project, concept "Compression".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyfwnt
from msgspec import Struct

from triage.model.gap import GapKind
from triage.volumes.decoder import StreamDecoder
from triage.volumes.extents import MISSING, BadRange, Extent, ExtentReader
from triage.volumes.runs import HOLE, LOST, Run, count_clusters

UNIT_CLUSTERS = 16
CHUNK_BYTES = 4096
_HEADER_BYTES = 2
_SIGNATURE_MASK, _SIGNATURE = 0x7000, 0x3000
_LENGTH_MASK = 0x0FFF


class Lznt1Content(Struct, frozen=True, kw_only=True):
    """A compressed stream: its run list, and its sizes in bytes."""

    runs: Sequence[Run]
    cluster_bytes: int
    size_bytes: int
    initialized_bytes: int

    @property
    def covered_bytes(self) -> int:
        """How far the run list goes."""
        return min(count_clusters(self.runs) * self.cluster_bytes, self.size_bytes)

    def stored_extents(self) -> list[Extent]:
        """Return where the stored bytes lie, holes left out: the offsets are those in what is stored."""
        extents: list[Extent] = []
        position = 0
        for cluster, clusters in self.runs:
            if cluster != HOLE:
                length = clusters * self.cluster_bytes
                extents.append(Extent(position, length, MISSING if cluster == LOST else cluster * self.cluster_bytes))
                position += length
        return extents


class _Unit(NamedTuple):
    """How many clusters a unit has in all (fewer than 16 where the run list ends), how many of them on the disk.

    `sound` is False where some of these come behind a hole, as in no unit.
    """

    clusters: int
    stored: int
    sound: bool


class Lznt1Decoder(StreamDecoder):
    """Reads and decodes one compressed stream."""

    def __init__(self, reader: ExtentReader, content: Lznt1Content) -> None:
        """`reader` reads the content's stored extents."""
        super().__init__()
        self._content = content
        self._reader = reader

    def contents(self) -> Iterator[bytes]:
        """Yield what each unit decodes to; past the initialised size that is zeros."""
        content = self._content
        position = stored_at = 0
        for unit in _units(content.runs):
            length = min(unit.clusters * content.cluster_bytes, content.size_bytes - position)
            if length <= 0:
                return
            valid = max(min(content.initialized_bytes - position, length), 0)
            stored_bytes = unit.stored * content.cluster_bytes
            data = self._unit(unit, position, valid, stored_at, stored_bytes) if stored_bytes and valid else b""
            yield data.ljust(length, b"\0")
            position += length
            stored_at += stored_bytes

    def _unit(self, unit: _Unit, position: int, valid: int, stored_at: int, stored_bytes: int) -> bytes:
        """Return the valid bytes of a unit that has clusters on the disk."""
        if not unit.sound:
            damage = _damage("a unit's clusters lie behind a hole")
            self.add_bad(position, valid, damage.kind, damage.reason)
            return b""
        is_plain = unit.stored == unit.clusters
        data = bytearray(min(valid, stored_bytes) if is_plain else stored_bytes)
        self._reader.bad_ranges = []
        self._reader.read_into(stored_at, memoryview(data))
        unreadable = [bad._replace(stream_offset=bad.stream_offset - stored_at) for bad in self._reader.bad_ranges]
        if not is_plain:
            return self._chunks(_Stored(bytes(data), unreadable), position, valid)
        for bad in unreadable:
            self.add_bad(position + bad.stream_offset, bad.length_bytes, bad.kind, bad.reason)
        return bytes(data)

    def _chunks(self, stored: _Stored, position: int, valid: int) -> bytes:
        """Return what the chunks of a unit decode to; behind a damaged header the rest of the unit is lost."""
        content = bytearray()
        at = 0
        while len(content) < valid:
            start, wanted = len(content), min(CHUNK_BYTES, valid - len(content))
            end = None
            try:
                end = stored.chunk_end(at)
                content += stored.decode(at, end, wanted)
                at = end
            except _LostError as error:
                lost = valid - start if end is None else wanted
                self.add_bad(position + start, lost, error.kind, error.reason)
                content += bytes(lost)
                at = at if end is None else end
        return bytes(content)


class _LostError(Exception):
    """A chunk that cannot be had: the kind of gap, and why."""

    def __init__(self, kind: GapKind, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason


class _Stored:
    """The stored bytes of a compressed unit, and which of them could not be read."""

    def __init__(self, data: bytes, unreadable: Sequence[BadRange]) -> None:
        self._data = data
        self._unreadable = unreadable

    def chunk_end(self, at: int) -> int:
        """Return where the chunk that starts at `at` ends."""
        header = int.from_bytes(self._read(at, at + _HEADER_BYTES), "little")
        end = at + _HEADER_BYTES + (header & _LENGTH_MASK) + 1
        if header & _SIGNATURE_MASK != _SIGNATURE or end > len(self._data):
            raise _damage("a chunk's header is damaged")
        return end

    def decode(self, at: int, end: int, wanted: int) -> bytes:
        """Return the first so many bytes of what a chunk, its header with it, decodes to."""
        chunk = self._read(at, end)
        try:
            content: bytes = pyfwnt.lznt1_decompress(chunk, CHUNK_BYTES)
        except OSError as error:
            raise _damage("a chunk is damaged") from error
        if len(content) < wanted:
            raise _damage("a chunk decodes to too few bytes")
        return content[:wanted]

    def _read(self, start: int, end: int) -> bytes:
        for bad in self._unreadable:
            if bad.stream_offset < end and start < bad.stream_offset + bad.length_bytes:
                raise _LostError(bad.kind, bad.reason)
        return self._data[start:end]


def _damage(what: str) -> _LostError:
    return _LostError(GapKind.NOT_DECODABLE, f"LZNT1 not decoded: {what}")


def _units(runs: Sequence[Run]) -> Iterator[_Unit]:
    """Yield the units of a run list in order."""
    clusters = stored = 0
    sound = True
    for run in runs:
        left = run.clusters
        while left > 0:
            taken = min(left, UNIT_CLUSTERS - clusters)
            if run.cluster != HOLE:
                sound = sound and stored == clusters
                stored += taken
            clusters += taken
            left -= taken
            if clusters == UNIT_CLUSTERS:
                yield _Unit(clusters, stored, sound)
                clusters, stored, sound = 0, 0, True
    if clusters > 0:
        yield _Unit(clusters, stored, sound)
