"""Where the structures of a small disk lie, so that damage can be done to them and not only to bytes at random.

Written apart from the product, after the NTFS documentation of the Linux-NTFS project, M. Suhanov's "Windows registry
file format specification", [MS-XCA] 2.5 for LZNT1 and the UEFI specification (chapter 5) for partition tables.
"""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

SECTOR_BYTES = 512
_GPT_ENTRIES = 4
_GPT_HEADER = ((0, 8), (8, 4), (12, 4), (16, 4), (24, 8), (32, 8), (40, 8), (48, 8), (72, 8), (80, 4), (84, 4), (88, 4))
_BOOT = ((3, 8), (11, 2), (13, 1), (40, 8), (48, 8), (56, 8), (64, 1), (68, 1), (510, 2))
_RECORD = ((0, 4), (4, 2), (6, 2), (16, 2), (18, 2), (20, 2), (22, 2), (24, 4), (28, 4), (32, 6), (38, 2), (40, 2))
_ATTRIBUTE = ((0, 4), (4, 4), (8, 1), (9, 1), (10, 2), (12, 2), (14, 2))
_RESIDENT = ((16, 4), (20, 2))
_NONRESIDENT = ((16, 8), (24, 8), (32, 2), (34, 1), (40, 8), (48, 8), (56, 8))
_FILE_NAME = ((0, 6), (6, 2), (8, 8), (40, 8), (48, 8), (56, 4), (60, 4), (64, 1), (65, 1))
_LIST_ENTRY = ((0, 4), (4, 2), (6, 1), (7, 1), (8, 8), (16, 6), (22, 2), (24, 2))
_INDEX_NODE = ((0, 4), (4, 4), (8, 4), (12, 1))
_INDEX_ENTRY = ((0, 6), (6, 2), (8, 2), (10, 2), (12, 1))
_BASE_BLOCK = ((0, 4), (4, 4), (8, 4), (20, 4), (24, 4), (28, 4), (32, 4), (36, 4), (40, 4), (508, 4))
_CELLS = {
    b"nk": ((2, 2), (4, 8), (16, 4), (20, 4), (24, 4), (28, 4), (36, 4), (40, 4), (44, 4), (48, 4), (72, 2), (74, 2)),
    b"vk": ((2, 2), (4, 4), (8, 4), (12, 4), (16, 2)),
    b"sk": ((4, 4), (8, 4), (12, 4), (16, 4)),
    b"lf": ((2, 2), (4, 4), (8, 4)),
    b"lh": ((2, 2), (4, 4), (8, 4)),
    b"li": ((2, 2), (4, 4)),
    b"ri": ((2, 2), (4, 4)),
}
_LIST, _NAME, _DATA, _ROOT, _ALLOCATION, _BITMAP, _REPARSE = 0x20, 0x30, 0x80, 0x90, 0xA0, 0xB0, 0xC0
_END = 0xFFFFFFFF
_VOLUME_BITMAP_ENTRY = 6


class Field(NamedTuple):
    """A number of a structure; one of more than eight bytes is a stretch of many."""

    offset: int
    width: int


class Seal(NamedTuple):
    """A check over a stretch of the disk that a change has to get past: `renew` makes it hold again."""

    offset: int
    length: int
    renew: Callable[[bytearray], None]


class Record(NamedTuple):
    """An MFT record: where it lies, and its attributes' offsets and lengths."""

    offset: int
    attributes: tuple[Field, ...]


class Anatomy:
    """A disk with its structures. `data` has all fixups put back: `renew` of each seal makes it a disk again.

    `streams` are the headers of all `$DATA` attributes that are not resident, but that of `$MFT`.
    """

    def __init__(self, disk: bytes, volume_offset: int) -> None:
        self.data = bytearray(disk)
        self.fields: dict[str, list[Field]] = defaultdict(list)
        self.seals: list[Seal] = []
        self.records: list[Record] = []
        self.streams: list[Field] = []
        self.record_bytes = 0
        self._volume = volume_offset
        self._boot()
        self._mft()
        if volume_offset > 0:
            self._tables()

    def _add(self, group: str, at: int, form: tuple[tuple[int, int], ...]) -> None:
        self.fields[group] += [Field(at + offset, width) for offset, width in form]

    def _number(self, at: int, width: int) -> int:
        return int.from_bytes(self.data[at : at + width], "little")

    def _boot(self) -> None:
        sector_bytes, sectors = struct.unpack_from("<HB", self.data, self._volume + 11)
        self._cluster_bytes = sector_bytes * sectors
        (code,) = struct.unpack_from("<b", self.data, self._volume + 64)
        self.record_bytes = 1 << -code if code < 0 else code * self._cluster_bytes
        self._add("boot sector", self._volume, _BOOT)
        self._add("boot sector", self._volume + self._number(self._volume + 40, 8) * sector_bytes, _BOOT)

    def _mft(self) -> None:
        """Put all fixups back first: an attribute may lie in one record and its content in a block of an index."""
        first = self._volume + self._number(self._volume + 48, 8) * self._cluster_bytes
        self._unprotect(first, self.record_bytes)
        starts = self._record_starts(first)
        for at in starts:
            if at != first:
                self._unprotect(at, self.record_bytes)
            if self._number(at + 32, 6) == 0 and self._number(at + 38, 2) > 0:  # extends the first record
                starts += self._record_starts(at)
        mirror = self._volume + self._number(self._volume + 56, 8) * self._cluster_bytes
        for at in range(mirror, mirror + 4 * self.record_bytes, self.record_bytes):
            self._unprotect(at, self.record_bytes)
            self._add("$MFTMirr", at, _RECORD)
        for entry, at in enumerate(starts):
            if self.data[at : at + 4] == b"FILE":
                self._record(entry, at)

    def _record_starts(self, record: int) -> list[int]:
        """Return where the records lie that a record's own `$DATA` holds."""
        (pieces,) = (self._extents(at) for at in self._attributes(record) if self._number(at, 4) == _DATA)
        return [at for start, length in pieces for at in range(start, start + length, self.record_bytes)]

    def _unprotect(self, at: int, length: int) -> None:
        """Put back what a block's update sequence replaced, and remember to apply it again."""
        if bytes(self.data[at : at + 4]) not in (b"FILE", b"INDX"):
            return
        array = at + self._number(at + 4, 2)
        number = bytes(self.data[array : array + 2])
        ends = range(at + SECTOR_BYTES, at + length + 1, SECTOR_BYTES)
        for stride, end in enumerate(ends, start=1):
            self.data[end - 2 : end] = self.data[array + 2 * stride : array + 2 * stride + 2]

        def renew(data: bytearray) -> None:
            for stride, end in enumerate(ends, start=1):
                data[array + 2 * stride : array + 2 * stride + 2] = data[end - 2 : end]
                data[end - 2 : end] = number

        self.seals.append(Seal(at, length, renew))

    def _record(self, entry: int, at: int) -> None:
        starts = list(self._attributes(at))
        self.records.append(Record(at, tuple(Field(start, self._number(start + 4, 4)) for start in starts)))
        self._add("record of $MFT" if entry == 0 else "record header", at, _RECORD)
        for start in starts:
            if self._number(at + 22, 2) & 1:
                self._attribute(entry, start)

    def _attributes(self, record: int) -> Iterator[int]:
        at = record + self._number(record + 20, 2)
        while self._number(at, 4) != _END:
            yield at
            at += self._number(at + 4, 4)

    def _attribute(self, entry: int, at: int) -> None:
        kind, resident = self._number(at, 4), self.data[at + 8] == 0
        self._add("record of $MFT" if entry == 0 else "attribute header", at, _ATTRIBUTE)
        sizes = "resident value" if resident else "sizes and VCNs"
        self._add("record of $MFT" if entry == 0 else sizes, at, _RESIDENT if resident else _NONRESIDENT)
        if self.data[at + 9] > 0:
            self.fields["attribute name"].append(Field(at + self._number(at + 10, 2), 2 * self.data[at + 9]))
        if not resident:
            if kind == _DATA and entry > 0:
                self.streams.append(Field(at, self._number(at + 4, 4)))
            group = "run list of $MFT" if (entry, kind) == (0, _DATA) else "run list"
            self.fields[group] += [field for pair in self._pairs(at) for field in pair]
        pieces = [self._value(at)] if resident else [piece for piece in self._extents(at) if piece[1] > 0]
        self._content(entry, kind, at, pieces)

    def _value(self, at: int) -> tuple[int, int]:
        return at + self._number(at + 20, 2), self._number(at + 16, 4)

    def _content(self, entry: int, kind: int, at: int, pieces: list[tuple[int, int]]) -> None:
        """Take in what an attribute holds; `pieces` are its places on the disk."""
        if kind == _NAME:
            self._add("$FILE_NAME", pieces[0][0], _FILE_NAME)
            self.fields["$FILE_NAME"].append(Field(pieces[0][0] + 66, pieces[0][1] - 66))
        elif kind == _LIST:
            for start, length in pieces:
                self._list(start, length)
        elif kind == _REPARSE:
            for start, length in pieces:
                self.fields["reparse point"] += [Field(start, 4), Field(start + 4, 2)]
                self.fields["reparse point"] += [Field(start + more, 4) for more in range(8, length - 3, 4)]
        elif kind == _BITMAP and entry == 0:
            self.fields["$MFT:$BITMAP"] += [Field(start, min(length, 64)) for start, length in pieces]
        elif kind == _ROOT:
            self._add("index", pieces[0][0], ((0, 4), (4, 4), (8, 4), (12, 1)))
            self._index(pieces[0][0] + 16)
        elif kind == _ALLOCATION:
            for start, length in pieces:
                for block in range(start, start + length - 4095, 4096):
                    if self.data[block : block + 4] != b"INDX":
                        continue
                    self._unprotect(block, 4096)
                    self._add("index", block, _RECORD[:3])
                    self._index(block + 24)
        elif kind == _DATA:
            self._data(entry, at, pieces)

    def _list(self, start: int, length: int) -> None:
        at = start
        while at < start + length and self._number(at + 4, 2) > 0:
            self._add("$ATTRIBUTE_LIST", at, _LIST_ENTRY)
            at += self._number(at + 4, 2)

    def _index(self, node: int) -> None:
        self._add("index", node, _INDEX_NODE)
        at, end = node + self._number(node, 4), node + self._number(node + 4, 4)
        while at < end and self._number(at + 8, 2) > 0:
            self._add("index", at, _INDEX_ENTRY)
            at += self._number(at + 8, 2)

    def _data(self, entry: int, at: int, pieces: list[tuple[int, int]]) -> None:
        start, length = at + self._number(at + 10, 2), 2 * self.data[at + 9]
        name = self.data[start : start + length].decode("utf-16-le", "surrogatepass")
        first = pieces[0][0] if pieces else 0
        if entry == _VOLUME_BITMAP_ENTRY:
            self.fields["$Bitmap"] += [Field(start, length) for start, length in pieces]
        elif name == "WofCompressedData":
            self.fields["WOF table"] += [Field(first + 4 * number, 4) for number in range(8)]
            self.fields["WOF chunks"] += [Field(start, length) for start, length in pieces]
        elif self._number(at + 12, 2) & 0xFF and self.data[at + 8] == 1:
            for start, length in pieces:
                self._compressed(start, length)
        elif self.data[first : first + 4] == b"regf":
            self._hive(pieces)

    def _compressed(self, start: int, length: int) -> None:
        """Find the chunks of LZNT1 units: a header of two bytes with the length, then tokens."""
        at = start
        while at < start + length - 2 and self._number(at, 2) & 0x7000 == 0x3000:
            chunk_bytes = (self._number(at, 2) & 0xFFF) + 3
            self.fields["LZNT1"] += [Field(at, 2), Field(at + 2, chunk_bytes - 2)]
            at += chunk_bytes

    def _hive(self, pieces: list[tuple[int, int]]) -> None:
        """Find header, bins and cells of a hive that lies in one piece."""
        start, length = pieces[0][0], min(pieces[0][1], 4096 + self._number(pieces[0][0] + 40, 4))
        self._add("hive header", start, _BASE_BLOCK)

        def renew(data: bytearray) -> None:
            checksum = 0
            for (word,) in struct.iter_unpack("<I", data[start : start + 508]):
                checksum ^= word
            struct.pack_into("<I", data, start + 508, checksum)

        self.seals.append(Seal(start, SECTOR_BYTES, renew))
        hive_bin = start + 4096
        while hive_bin < start + length and self.data[hive_bin : hive_bin + 4] == b"hbin":
            self._add("hive bin", hive_bin, ((0, 4), (4, 4), (8, 4)))
            self._hive_cells(hive_bin + 32, hive_bin + self._number(hive_bin + 8, 4))
            hive_bin += self._number(hive_bin + 8, 4)

    def _hive_cells(self, at: int, end: int) -> None:
        while at < end:
            (size,) = struct.unpack_from("<i", self.data, at)
            form = _CELLS.get(bytes(self.data[at + 4 : at + 6]), ())
            self._add("hive cell", at, ((0, 4), (4, 2), *((4 + offset, width) for offset, width in form)))
            self.fields["hive data"].append(Field(at + 4, abs(size) - 4))
            at += max(abs(size), 8)

    def _tables(self) -> None:
        """Find the partition table: of an MBR four entries, of a GPT the first ones of both copies."""
        for entry in range(446, 510, 16):
            self._add("partition table", entry, ((0, 1), (4, 1), (8, 4), (12, 4)))
        self._add("partition table", 510, ((0, 2),))
        for header in (SECTOR_BYTES, len(self.data) - SECTOR_BYTES):
            if self.data[header : header + 8] == b"EFI PART":
                self._gpt(header)

    def _gpt(self, header: int) -> None:
        form = (
            (0, 8),
            (8, 4),
            (12, 4),
            (16, 4),
            (24, 8),
            (32, 8),
            (40, 8),
            (48, 8),
            (72, 8),
            (80, 4),
            (84, 4),
            (88, 4),
        )
        self._add("partition table", header, form)
        entries = self._number(header + 72, 8) * SECTOR_BYTES
        length = self._number(header + 80, 4) * self._number(header + 84, 4)
        for entry in range(entries, entries + 128 * _GPT_ENTRIES, 128):
            self._add("partition table", entry, ((0, 4), (32, 8), (40, 8), (48, 8)))

        def renew_entries(data: bytearray) -> None:
            struct.pack_into("<I", data, header + 88, zlib.crc32(data[entries : entries + length]))

        def renew_header(data: bytearray) -> None:
            data[header + 16 : header + 20] = bytes(4)
            struct.pack_into("<I", data, header + 16, zlib.crc32(data[header : header + 92]))

        self.seals.append(Seal(entries, length, renew_entries))
        self.seals.append(Seal(header, 92, renew_header))

    def _pairs(self, at: int) -> Iterator[tuple[Field, ...]]:
        """Yield header byte, length and step of each mapping pair of a non-resident attribute."""
        position, end = at + self._number(at + 32, 2), at + self._number(at + 4, 4)
        while position < end and self.data[position] != 0:
            count, step = self.data[position] & 15, self.data[position] >> 4
            fields = (Field(position, 1), Field(position + 1, count), Field(position + 1 + count, step))
            yield fields if step > 0 else fields[:2]
            position += 1 + count + step

    def _extents(self, at: int) -> list[tuple[int, int]]:
        """Return where on the disk a non-resident attribute lies, and how many bytes each piece has; no holes."""
        pieces: list[tuple[int, int]] = []
        cluster = 0
        for pair in self._pairs(at):
            length = self._number(pair[1].offset, pair[1].width) * self._cluster_bytes
            if len(pair) == 3:
                step = self.data[pair[2].offset : pair[2].offset + pair[2].width]
                cluster += int.from_bytes(step, "little", signed=True)
                pieces.append((self._volume + cluster * self._cluster_bytes, length))
        return pieces
