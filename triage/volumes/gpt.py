"""The GUID partition table: its primary copy behind sector 0, or the backup at the end of the disk.

Source: UEFI Specification 2.10, 5.3 (header 5.3.2, entry array 5.3.3).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from uuid import UUID

from msgspec import Struct

from triage.model.gap import Gap, GapKind, Where
from triage.model.source import ByteSource
from triage.model.volume import Partition, PartitionScheme, gpt_partition_id
from triage.volumes.recognise import read_at

_SIGNATURE = b"EFI PART"
_HEADER = struct.Struct("<8s4xII4xQQ32xQIII")
_HEADER_BYTES = 92
_CRC_FIELD = slice(16, 20)
_ENTRY = struct.Struct("<16s16sQQ8x72s")
_MOST_ENTRIES = 4096
_LARGEST_ENTRY_BYTES = 4096
_LARGEST_OFFSET = (1 << 63) - 1

_TYPE_NAMES = {
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
    "e3c9e316-0b5c-4db8-817d-f92df00215ae": "Microsoft reserved",
    "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "Microsoft basic data",
    "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "Windows recovery",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "Windows dynamic disk metadata",
    "af9b60a0-1431-4f62-bc68-3311714a69ad": "Windows dynamic disk",
    "e75caf8f-f680-4cee-afa3-b001e56efc2d": "Windows storage spaces",
    "21686148-6449-6e6f-744e-656564454649": "BIOS boot",
    "0fc63daf-8483-4772-8e79-3d69d8477de4": "Linux",
    "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "Linux swap",
    "e6d6d379-f507-44c2-a23c-238f2a3df928": "Linux LVM",
    "a19d880f-05fc-4d3b-a006-743f0f84911e": "Linux RAID",
    "48465300-0000-11aa-aa11-00306543ecac": "HFS+",
    "7c3457ef-0000-11aa-aa11-00306543ecac": "APFS",
}


@dataclass(kw_only=True)
class GptTable:
    """What the table says, `disk_bytes` being the length of the disk.

    `damaged`: not all of it could be used, `gaps` say what.
    """

    damaged: bool = False
    disk_bytes: int = 0
    partitions: list[Partition] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class _Header(Struct, frozen=True, kw_only=True):
    """One copy of the header with its entry array; `sound` when both checksums are right."""

    offset_bytes: int
    sector_bytes: int
    backup_sector: int
    entry_bytes: int
    entries: bytes
    sound: bool


def read_gpt(source: ByteSource, sector_bytes: int) -> GptTable | None:
    """Read the table, addresses counted in sectors of `sector_bytes`; None where neither copy is there.

    A sound primary copy is taken, else a sound backup, else whatever copy has a sound header; the last two leave a gap.
    """
    primary = _read_header(source, sector_bytes, sector_bytes)
    if primary is not None and primary.sound:
        return _table_of(primary, None)
    last_sector = source.size_bytes // sector_bytes - 1
    backup = _read_header(source, last_sector * sector_bytes, sector_bytes)
    if backup is not None and backup.sound:
        return _table_of(backup, "the primary GPT is damaged; its backup at the end of the disk was used")
    unsound = primary or backup
    if unsound is None:
        return None
    return _table_of(unsound, "the entries of the GPT do not match their checksum, and there is no sound copy")


def _read_header(source: ByteSource, offset_bytes: int, sector_bytes: int) -> _Header | None:
    """Return the copy at `offset_bytes`; None where its header is not there or its own checksum is wrong."""
    raw = read_at(source, offset_bytes, sector_bytes) if offset_bytes > 0 else b""
    if len(raw) < _HEADER_BYTES:
        return None
    signature, header_bytes, crc, own_sector, other_sector, array_sector, count, entry_bytes, array_crc = (
        _HEADER.unpack_from(raw)
    )
    if signature != _SIGNATURE or not _HEADER_BYTES <= header_bytes <= len(raw):
        return None
    checked = bytearray(raw[:header_bytes])
    checked[_CRC_FIELD] = bytes(4)
    if zlib.crc32(checked) != crc or own_sector * sector_bytes != offset_bytes:
        return None
    if not _ENTRY.size <= entry_bytes <= _LARGEST_ENTRY_BYTES or count > _MOST_ENTRIES:
        return None
    array_offset = array_sector * sector_bytes
    array_bytes = count * entry_bytes if array_offset < source.size_bytes else 0
    entries = read_at(source, array_offset, array_bytes)
    return _Header(
        offset_bytes=offset_bytes,
        sector_bytes=sector_bytes,
        backup_sector=max(own_sector, other_sector),
        entry_bytes=entry_bytes,
        entries=entries,
        sound=len(entries) == count * entry_bytes and zlib.crc32(entries) == array_crc,
    )


def _table_of(header: _Header, damage: str | None) -> GptTable:
    table = GptTable(disk_bytes=min((header.backup_sector + 1) * header.sector_bytes, _LARGEST_OFFSET))
    where = Where(offset_bytes=header.offset_bytes)
    if damage is not None:
        table.gaps.append(Gap(kind=GapKind.PARTITION_TABLE, detail=damage, where=where))
    table.damaged = not header.sound
    entry_offsets = range(0, len(header.entries) - _ENTRY.size + 1, header.entry_bytes)
    for index, entry_offset in enumerate(entry_offsets, start=1):
        raw_type, raw_id, first_sector, last_sector, raw_name = _ENTRY.unpack_from(header.entries, entry_offset)
        if raw_type == bytes(16):
            continue
        end_bytes = (last_sector + 1) * header.sector_bytes
        if last_sector < first_sector or first_sector == 0 or end_bytes > _LARGEST_OFFSET:
            detail = f"entry {index} of the GPT spans sectors {first_sector} to {last_sector}, which cannot be"
            table.gaps.append(Gap(kind=GapKind.PARTITION_TABLE, detail=detail, where=where))
            table.damaged = True
            continue
        type_id = str(UUID(bytes_le=raw_type))
        table.partitions.append(
            Partition(
                index=index,
                scheme=PartitionScheme.GPT,
                offset_bytes=first_sector * header.sector_bytes,
                length_bytes=end_bytes - first_sector * header.sector_bytes,
                type_id=type_id,
                type_name=_TYPE_NAMES.get(type_id, ""),
                name=raw_name.decode("utf-16-le", "surrogatepass").split("\0", 1)[0],
                unique_id=gpt_partition_id(UUID(bytes_le=raw_id)),
            )
        )
    return table
