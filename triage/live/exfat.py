"""Looks into an exFAT volume without mounting it: its serial number, its length, and every name it holds or held.

Source: Microsoft, "exFAT file system specification" (learn.microsoft.com/windows/win32/fileio/exfat-specification):
3.1 main boot sector, 4 FAT, 6 and 7 directory entries.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from msgspec import Struct

from triage.model.errors import ParseError
from triage.model.source import ByteSource

_BOOT_BYTES = 512
_NAME = b"EXFAT   "
_GEOMETRY = struct.Struct("<72xQI4xIIII4xBB")
_END_MARK = b"\x55\xaa"
_ENTRY_BYTES = 32
_IN_USE = 0x80
_END_OF_DIRECTORY = 0x00
_ROOT_TABLES = frozenset({0x81, 0x82, 0x83, 0x03, 0xA0})  # bitmap, up-case table, label (none: 03), volume GUID
_FILE, _STREAM, _FILE_NAME = 0x05, 0x40, 0x41  # without the bit for "in use": what was deleted keeps the rest
_DIRECTORY_ATTRIBUTE = 0x10
_NO_FAT_CHAIN = 0x02
_NAME_CHARACTERS = 15
_END_OF_CHAIN = 0xFFFFFFFF
_LONGEST_DIRECTORY_BYTES = 1 << 20


class ExfatVolume(Struct, frozen=True, kw_only=True):
    """`names` are the paths in the root and one level below, deleted ones too, in the order of the directory."""

    serial: int
    length_bytes: int
    names: tuple[str, ...]


class _Directory(Struct, frozen=True):
    first_cluster: int
    length_bytes: int | None
    """None for the root, whose length its FAT chain tells."""
    contiguous: bool


class _Named(Struct, frozen=True):
    name: str
    folder: _Directory | None


def read_exfat(source: ByteSource) -> ExfatVolume:
    """Read the volume; `ParseError` where it is no exFAT, or its directories are damaged."""
    reader = _Reader(source)
    names = []
    for one in reader.entries(_Directory(reader.root_cluster, None, False)):
        names.append(one.name)
        if one.folder is not None:
            names += [f"{one.name}/{inner.name}" for inner in reader.entries(one.folder)]
    return ExfatVolume(serial=reader.serial, length_bytes=reader.length_bytes, names=tuple(names))


class _Reader:
    """The geometry of one volume, and its directories."""

    def __init__(self, source: ByteSource) -> None:
        sector = source.read(0, _BOOT_BYTES)
        if len(sector) < _BOOT_BYTES or sector[3:11] != _NAME or sector[510:] != _END_MARK:
            raise ParseError("exFAT boot sector")
        sectors, fat, heap, clusters, root, serial, sector_shift, cluster_shift = _GEOMETRY.unpack_from(sector)
        if not 9 <= sector_shift <= 12 or not 0 <= cluster_shift <= 25 - sector_shift:
            raise ParseError("exFAT sector or cluster size", offset_bytes=108)
        self._source = source
        self._fat_offset = fat << sector_shift
        self._heap_offset = heap << sector_shift
        self._clusters = clusters
        self._cluster_bytes = 1 << (sector_shift + cluster_shift)
        self.root_cluster = root
        self.serial = serial
        self.length_bytes = sectors << sector_shift

    def entries(self, folder: _Directory) -> Iterator[_Named]:
        """Yield what a directory holds or held. An entry set that is torn, as only a fault leaves it, is an error."""
        waiting: list[bytes] = []
        for entry in self._raw_entries(folder):
            kind = entry[0] & ~_IN_USE
            if waiting:
                waiting.append(entry)
                if len(waiting) == 1 + waiting[0][1]:
                    yield _named(waiting)
                    waiting = []
            elif kind == _FILE:
                waiting = [entry]
            elif entry[0] not in _ROOT_TABLES:
                raise ParseError(f"exFAT directory entry of type {entry[0]:02x}")
        if waiting:
            raise ParseError("exFAT directory that ends within an entry set")

    def _raw_entries(self, folder: _Directory) -> Iterator[bytes]:
        for cluster in self._chain(folder):
            data = self._source.read(self._heap_offset + (cluster - 2) * self._cluster_bytes, self._cluster_bytes)
            if len(data) < self._cluster_bytes:
                raise ParseError("exFAT directory", need_bytes=self._cluster_bytes, have_bytes=len(data))
            for position in range(0, len(data), _ENTRY_BYTES):
                if data[position] == _END_OF_DIRECTORY:
                    return
                yield data[position : position + _ENTRY_BYTES]

    def _chain(self, folder: _Directory) -> Iterator[int]:
        """Yield the clusters of a directory; one without end, or much longer than a new volume's, is an error."""
        cluster, seen_bytes = folder.first_cluster, 0
        while cluster != _END_OF_CHAIN and (folder.length_bytes is None or seen_bytes < folder.length_bytes):
            if not 2 <= cluster < self._clusters + 2:
                raise ParseError(f"exFAT cluster {cluster} of a directory")
            if seen_bytes >= _LONGEST_DIRECTORY_BYTES:
                raise ParseError("exFAT directory that is too long")
            yield cluster
            seen_bytes += self._cluster_bytes
            cluster = cluster + 1 if folder.contiguous else self._next(cluster)

    def _next(self, cluster: int) -> int:
        entry = self._source.read(self._fat_offset + cluster * 4, 4)
        if len(entry) < 4:
            raise ParseError("exFAT file allocation table")
        return int.from_bytes(entry, "little")


def _named(entry_set: list[bytes]) -> _Named:
    """Return the name of a file's entry set, and the directory behind it where it is one that is in use."""
    file, *others = entry_set
    if len(others) < 2 or others[0][0] & ~_IN_USE != _STREAM:
        raise ParseError("exFAT entry set without its stream")
    if any(other[0] & ~_IN_USE != _FILE_NAME for other in others[1 : 1 - (-others[0][3] // _NAME_CHARACTERS)]):
        raise ParseError("exFAT entry set without its name")
    name = b"".join(other[2:] for other in others[1:])[: 2 * others[0][3]].decode("utf-16-le", "replace")
    (attributes,) = struct.unpack_from("<H", file, 4)
    if not attributes & _DIRECTORY_ATTRIBUTE or not file[0] & _IN_USE:
        return _Named(name, None)
    first_cluster, length_bytes = struct.unpack_from("<IQ", others[0], 20)
    return _Named(name, _Directory(first_cluster, length_bytes, bool(others[0][1] & _NO_FAT_CHAIN)))
