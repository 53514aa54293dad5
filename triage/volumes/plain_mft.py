"""A second, deliberately plain way to the records of `$MFT`, for a witness where The Sleuth Kit is none.

It shares no code with the enumeration: boot sector, first record, attribute list and mapping pairs are read here once
more, number by number. Where that one finds the later pieces of `$MFT` by looking for its extension records, this one
follows `$ATTRIBUTE_LIST`, as Windows does.

Source: "NTFS Documentation" of the Linux-NTFS project.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from triage.model.errors import VolumeError
from triage.model.source import ByteSource

_LIST, _DATA, _END = 0x20, 0x80, 0xFFFFFFFF
_SECTOR = 512
_BLOCK_BYTES = 4 << 20
_Runs = list[tuple[int, int]]  # first byte on the volume, length in bytes


def plain_mft_blocks(source: ByteSource) -> Iterator[bytes]:
    """Yield `$MFT` in blocks of whole records; `VolumeError` where it is not found."""
    try:
        mft = _PlainMft(source)
        runs, size = mft.find()
    except (struct.error, IndexError, ValueError, OSError) as error:
        raise VolumeError(f"$MFT not found: {error}") from error
    position = 0
    pending = bytearray()
    for start, length in runs:
        length = max(min(length, size - position), 0)
        there = max(min(length, source.size_bytes - start), 0)
        for offset in range(0, there, _BLOCK_BYTES):
            pending += source.read(start + offset, min(_BLOCK_BYTES, there - offset))
            whole = len(pending) // mft.record_bytes * mft.record_bytes
            yield bytes(pending[:whole])
            del pending[:whole]
        pending += bytes((length - there) % mft.record_bytes)  # beyond the evidence: no records, but their alignment
        position += length


class _PlainMft:
    def __init__(self, source: ByteSource) -> None:
        self._source = source
        boot = source.read(0, _SECTOR)
        sector_bytes, code = struct.unpack_from("<HB", boot, 11)
        self._cluster_bytes = sector_bytes * code if code <= 128 else sector_bytes << 256 - code
        self._places = struct.unpack_from("<QQ", boot, 48)
        self.record_bytes = 1 << 256 - boot[64] if boot[64] > 128 else boot[64] * self._cluster_bytes

    def find(self) -> tuple[_Runs, int]:
        """Return where `$MFT` lies, and its size in bytes."""
        record = self._first_record()
        data = [at for at in _attributes(record, _DATA) if _vcn(record, at) == 0]
        size: int = struct.unpack_from("<Q", record, data[0] + 48)[0]
        runs = self._runs(record, data[0])
        for at in _attributes(record, _LIST):
            for vcn, entry in _listed(self._list(record, at)):
                if vcn > 0:
                    runs += self._piece(runs, entry, vcn)
        return runs, size

    def _first_record(self) -> bytes:
        """Return the first record, or its copy in `$MFTMirr`."""
        for place in self._places:
            try:
                return _mend(self._source.read(place * self._cluster_bytes, self.record_bytes))
            except (OSError, ValueError, struct.error):
                continue
        raise ValueError("no first record")

    def _piece(self, known: _Runs, entry: int, vcn: int) -> _Runs:
        """Return the runs of a later piece, whose record lies in an earlier one."""
        wanted = entry * self.record_bytes
        for start, length in known:
            if wanted < length:
                record = _mend(self._source.read(start + wanted, self.record_bytes))
                for at in _attributes(record, _DATA):
                    if _vcn(record, at) == vcn:
                        return self._runs(record, at)
            wanted -= length
        raise ValueError(f"record {entry} of a later piece is not in an earlier one")

    def _list(self, record: bytes, at: int) -> bytes:
        if record[at + 8] == 0:
            length, offset = struct.unpack_from("<IH", record, at + 16)
            return record[at + offset : at + offset + length]
        size = struct.unpack_from("<Q", record, at + 48)[0]
        return b"".join(self._source.read(start, length) for start, length in self._runs(record, at))[:size]

    def _runs(self, record: bytes, at: int) -> _Runs:
        """Return the runs of an attribute's mapping pairs."""
        position = at + struct.unpack_from("<H", record, at + 32)[0]
        cluster, runs = 0, []
        while record[position]:
            count, step = record[position] & 15, record[position] >> 4
            clusters = int.from_bytes(record[position + 1 : position + 1 + count], "little")
            cluster += int.from_bytes(record[position + 1 + count : position + 1 + count + step], "little", signed=True)
            runs.append((cluster * self._cluster_bytes, clusters * self._cluster_bytes))
            position += 1 + count + step
        return runs


def _mend(record: bytes) -> bytes:
    """Put back the bytes that the update sequence replaces; `ValueError` for what is no whole record."""
    mended = bytearray(record)
    magic, array, count = struct.unpack_from("<4sHH", record)
    if magic != b"FILE":
        raise ValueError("no record")
    for number in range(1, count):
        if record[number * _SECTOR - 2 : number * _SECTOR] != record[array : array + 2]:
            raise ValueError("torn record")
        mended[number * _SECTOR - 2 : number * _SECTOR] = record[array + 2 * number : array + 2 * number + 2]
    return bytes(mended)


def _attributes(record: bytes, wanted: int) -> Iterator[int]:
    """Yield the places of a record's unnamed attributes of one type."""
    at = struct.unpack_from("<H", record, 20)[0]
    while (kind := struct.unpack_from("<I", record, at)[0]) != _END:
        if kind == wanted and record[at + 9] == 0:
            yield at
        at += struct.unpack_from("<I", record, at + 4)[0] or len(record)


def _vcn(record: bytes, at: int) -> int:
    vcn: int = struct.unpack_from("<Q", record, at + 16)[0]
    return vcn


def _listed(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield first VCN and record of each piece of the unnamed `$DATA` in an attribute list."""
    at = 0
    while at + 26 <= len(content):
        kind, length, name_length, _, vcn, reference = struct.unpack_from("<IHBBQQ", content, at)
        if kind == _DATA and name_length == 0:
            yield vcn, reference & (1 << 48) - 1
        at += length or len(content)
