"""Sets in an unmounted volume what no tool on Linux sets: a stream's initialised size, and times of names.

After the NTFS documentation of the Linux-NTFS project: boot sector, FILE record with its update sequence,
attribute header, mapping pairs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from tests.mft_editor import FILE_NAME, MftEditor, attributes

_STANDARD_INFORMATION = 0x10
_CONTENT_OFFSET = 0x14
_DATA = 0x80
_END = 0xFFFFFFFF
_SECTOR_BYTES = 512
_INITIALIZED_SIZE = 0x38


def set_initialized_size(volume: Path, record: int, stream: str, initialized_bytes: int) -> None:
    """Change the size behind which a non-resident stream of an MFT record reads as zeros."""
    with volume.open("r+b") as file:
        position, size_bytes = _record_position(file, record)
        data = _read_record(file, position, size_bytes)
        attribute = _find_data(data, stream)
        struct.pack_into("<Q", data, attribute + _INITIALIZED_SIZE, initialized_bytes)
        _write_record(file, position, data)


def set_times(volume: Path, record: int, *, si: Sequence[int], fn: Sequence[int]) -> None:
    """Set the times (FILETIME: creation, content, record, access) of an MFT record and of all names in it."""
    editor = MftEditor(volume)
    data = editor.record(record)
    for attribute in attributes(data):
        if attribute.type in (_STANDARD_INFORMATION, FILE_NAME):
            content = attribute.offset + attribute.field(data, _CONTENT_OFFSET, "<H")
            is_name = attribute.type == FILE_NAME
            struct.pack_into("<4Q", data, content + (8 if is_name else 0), *(fn if is_name else si))
    editor.put(record, data)


def _record_position(file: BinaryIO, record: int) -> tuple[int, int]:
    """Return offset and length of an MFT record, following the runs of `$MFT`."""
    file.seek(0)
    boot = file.read(_SECTOR_BYTES)
    sector_bytes, sectors = struct.unpack_from("<HB", boot, 0x0B)
    (mft_cluster,) = struct.unpack_from("<Q", boot, 0x30)
    (exponent,) = struct.unpack_from("<b", boot, 0x40)
    cluster_bytes = sector_bytes * sectors
    size_bytes = 1 << -exponent if exponent < 0 else exponent * cluster_bytes
    mft = _read_record(file, mft_cluster * cluster_bytes, size_bytes)
    wanted = record * size_bytes
    for cluster, count in _runs(mft, _find_data(mft, "")):
        if wanted < count * cluster_bytes:
            return cluster * cluster_bytes + wanted, size_bytes
        wanted -= count * cluster_bytes
    raise ValueError(f"no MFT record {record}")


def _runs(record: bytearray, attribute: int) -> Iterator[tuple[int, int]]:
    """Yield first cluster and number of clusters of each run of an attribute without holes."""
    position = attribute + struct.unpack_from("<H", record, attribute + 0x20)[0]
    cluster = 0
    while record[position] != 0:
        count_bytes, offset_bytes = record[position] & 0xF, record[position] >> 4
        middle = position + 1 + count_bytes
        cluster += int.from_bytes(record[middle : middle + offset_bytes], "little", signed=True)
        yield cluster, int.from_bytes(record[position + 1 : middle], "little")
        position = middle + offset_bytes


def _find_data(record: bytearray, stream: str) -> int:
    """Return the offset of the non-resident `$DATA` attribute of that name."""
    (position,) = struct.unpack_from("<H", record, 0x14)
    while (kind := struct.unpack_from("<I", record, position)[0]) != _END:
        length, non_resident, name_length, name_offset = struct.unpack_from("<IBBH", record, position + 4)
        start = position + name_offset
        name = bytes(record[start : start + 2 * name_length]).decode("utf-16-le")
        if kind == _DATA and non_resident == 1 and name == stream:
            return int(position)
        position += length
    raise ValueError(f"no non-resident stream {stream!r} in the record")


def _read_record(file: BinaryIO, position: int, size_bytes: int) -> bytearray:
    """Read a record and put back the bytes that its update sequence replaces."""
    file.seek(position)
    record = bytearray(file.read(size_bytes))
    array = struct.unpack_from("<H", record, 4)[0]
    for sector, end in enumerate(range(_SECTOR_BYTES, size_bytes + 1, _SECTOR_BYTES), start=1):
        record[end - 2 : end] = record[array + 2 * sector : array + 2 * sector + 2]
    return record


def _write_record(file: BinaryIO, position: int, record: bytearray) -> None:
    """Write a record with its update sequence applied again."""
    array = struct.unpack_from("<H", record, 4)[0]
    for sector, end in enumerate(range(_SECTOR_BYTES, len(record) + 1, _SECTOR_BYTES), start=1):
        record[array + 2 * sector : array + 2 * sector + 2] = record[end - 2 : end]
        record[end - 2 : end] = record[array : array + 2]
    file.seek(position)
    file.write(record)
