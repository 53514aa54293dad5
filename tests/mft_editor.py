"""Changes MFT records of a volume in a file, for tests that damage their evidence or make what no tool makes.

Written apart from the product, after the NTFS documentation of the Linux-NTFS project: boot sector, FILE record with
its update sequence, attribute header, mapping pairs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

STRIDE_BYTES = 512
FIRST_ATTRIBUTE = 0x14
FLAGS = 0x16
SEQUENCE = 0x10
USED_BYTES = 0x18
ATTRIBUTE_LIST = 0x20
FILE_NAME = 0x30
DATA = 0x80
_ATTRIBUTE_LIST = 0x20
_END = 0xFFFFFFFF


class Attribute(Struct, frozen=True, kw_only=True):
    """One attribute of a record: where its header starts, and what that says."""

    offset: int
    type: int
    length: int
    non_resident: bool
    name: str

    def field(self, record: bytes | bytearray, offset: int, form: str) -> int:
        """Return a number of the attribute's header."""
        value: int = struct.unpack_from(form, record, self.offset + offset)[0]
        return value


class MftEditor:
    """Reads and writes MFT records by number, through `$MFT`'s own runs; `volume` is a volume in a file of its own."""

    def __init__(self, volume: Path) -> None:
        self._path = volume
        boot = self.read(0, 512)
        sector_bytes: int
        cluster_sectors: int
        sector_bytes, cluster_sectors = struct.unpack_from("<Hb", boot, 0x0B)
        self.mft_cluster: int
        self.mirror_cluster: int
        self.mft_cluster, self.mirror_cluster = struct.unpack_from("<QQ", boot, 0x30)
        code: int = struct.unpack_from("<b", boot, 0x40)[0]
        self.cluster_bytes = sector_bytes * (cluster_sectors if cluster_sectors > 0 else 1 << -cluster_sectors)
        self.record_bytes = 1 << -code if code < 0 else code * self.cluster_bytes
        mft = _without_fixups(self.read(self.mft_cluster * self.cluster_bytes, self.record_bytes))
        (data,) = (one for one in attributes(mft) if one.type == DATA)
        self.runs = list(runs(mft, data))

    @property
    def records(self) -> int:
        """How many records the known runs of `$MFT` hold."""
        return sum(count for _, count in self.runs) * self.cluster_bytes // self.record_bytes

    def read(self, offset: int, length: int) -> bytearray:
        """Return bytes of the volume."""
        with self._path.open("rb") as file:
            file.seek(offset)
            return bytearray(file.read(length))

    def write(self, offset: int, data: bytes | bytearray) -> None:
        """Put bytes into the volume."""
        with self._path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def offset(self, entry: int) -> int:
        """Return where a record lies on the volume."""
        wanted = entry * self.record_bytes
        for cluster, count in self.runs:
            if wanted < count * self.cluster_bytes:
                return cluster * self.cluster_bytes + wanted
            wanted -= count * self.cluster_bytes
        raise ValueError(f"no MFT record {entry}")

    def raw(self, entry: int) -> bytearray:
        """Return a record as it stands on the volume."""
        return self.read(self.offset(entry), self.record_bytes)

    def record(self, entry: int) -> bytearray:
        """Return a record with the bytes that its update sequence replaces put back."""
        return _without_fixups(self.raw(entry))

    def put(self, entry: int, record: bytearray) -> None:
        """Write a record with its update sequence applied again."""
        self.write(self.offset(entry), with_fixups(record))


def attributes(record: bytes | bytearray) -> Iterator[Attribute]:
    """Yield the attributes of a sound record whose fixups are put back."""
    (position,) = struct.unpack_from("<H", record, FIRST_ATTRIBUTE)
    while (kind := struct.unpack_from("<I", record, position)[0]) != _END:
        length, non_resident, name_length, name_offset = struct.unpack_from("<IBBH", record, position + 4)
        start = position + name_offset
        name = bytes(record[start : start + 2 * name_length]).decode("utf-16-le", "surrogatepass")
        yield Attribute(offset=position, type=kind, length=length, non_resident=non_resident != 0, name=name)
        position += length


def runs(record: bytes | bytearray, attribute: Attribute) -> Iterator[tuple[int, int]]:
    """Yield first cluster and number of clusters of each run of a non-resident attribute without holes."""
    position = attribute.offset + attribute.field(record, 0x20, "<H")
    cluster = 0
    while record[position] != 0:
        middle = position + 1 + (record[position] & 0xF)
        end = middle + (record[position] >> 4)
        cluster += int.from_bytes(record[middle:end], "little", signed=True)
        yield cluster, int.from_bytes(record[position + 1 : middle], "little")
        position = end


def split_mft(volume: Path, entry: int) -> None:
    """Have `$MFT`'s run list end in an extension record, as that of a large volume does; `entry` is one without names.

    Its base record gets an `$ATTRIBUTE_LIST` behind its first attribute, and keeps half of its only run.
    """
    mft = MftEditor(volume)
    base, extension = mft.record(0), mft.record(entry)
    ((cluster, clusters),) = mft.runs
    half = clusters // 2
    found = list(attributes(base))
    (data,) = (one for one in found if one.type == DATA)
    tail = bytearray(base[data.offset : data.offset + 72])
    struct.pack_into("<IIBBH", tail, 0, DATA, 72, 1, 0, 64)
    struct.pack_into("<QQHxxxxxx", tail, 0x10, half, clusters - 1, 64)
    tail[40:64] = bytes(24)  # sizes stand in the first piece only
    tail[64:] = struct.pack("<BHIx", 0x42, clusters - half, cluster + half)
    listed = [(one.type, 0, 0, one.field(base, 14, "<H")) for one in found]
    listed.insert(found.index(data) + 1, (DATA, half, entry, data.field(base, 14, "<H")))
    references = b"".join(
        struct.pack("<IHBBQHIHH6x", kind, 32, 0, 26, vcn, number, 0, _sequence(mft, number), identifier)
        for kind, vcn, number, identifier in listed
    )
    header = struct.pack("<IIBBHHHIHxx", _ATTRIBUTE_LIST, 24 + len(references), 0, 0, 24, 0, 0x40, len(references), 24)
    struct.pack_into("<Q", base, data.offset + 0x18, half - 1)
    pairs = struct.pack("<BHIx", 0x42, half, cluster)
    place = data.offset + data.field(base, 0x20, "<H")
    base[place : place + len(pairs)] = pairs
    mft.put(0, _with_attributes(base, [header + references], behind=found[0]))
    struct.pack_into("<HIH", extension, 0x20, 0, 0, _sequence(mft, 0))
    mft.put(entry, _with_attributes(extension, [tail], behind=None))


def _sequence(mft: MftEditor, entry: int) -> int:
    number: int = struct.unpack_from("<H", mft.record(entry), SEQUENCE)[0]
    return number


def _with_attributes(record: bytearray, new: list[bytes | bytearray], behind: Attribute | None) -> bytearray:
    """Return a record with more attributes: behind one, or in the place of all."""
    first: int = struct.unpack_from("<H", record, FIRST_ATTRIBUTE)[0]
    used: int = struct.unpack_from("<I", record, USED_BYTES)[0]
    start = first if behind is None else behind.offset + behind.length
    rest = record[start:used] if behind is not None else struct.pack("<II", _END, 0)
    content = b"".join((bytes(record[:start]), *map(bytes, new), bytes(rest)))
    changed = bytearray(content.ljust(len(record), b"\0"))
    struct.pack_into("<I", changed, USED_BYTES, len(content))
    return changed


def with_fixups(record: bytes | bytearray) -> bytearray:
    """Return a record as it is stored: the last two bytes of each stride replaced by the update sequence number."""
    stored = bytearray(record)
    array = struct.unpack_from("<H", stored, 4)[0]
    for stride, end in enumerate(range(STRIDE_BYTES, len(stored) + 1, STRIDE_BYTES), start=1):
        stored[array + 2 * stride : array + 2 * stride + 2] = stored[end - 2 : end]
        stored[end - 2 : end] = stored[array : array + 2]
    return stored


def _without_fixups(stored: bytearray) -> bytearray:
    record = bytearray(stored)
    array = struct.unpack_from("<H", record, 4)[0]
    for stride, end in enumerate(range(STRIDE_BYTES, len(record) + 1, STRIDE_BYTES), start=1):
        record[end - 2 : end] = record[array + 2 * stride : array + 2 * stride + 2]
    return record
