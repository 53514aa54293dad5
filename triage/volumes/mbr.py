"""The MBR partition table: four primary entries, and the chain of extended boot records behind one of them.

Source: UEFI Specification 2.10, 5.2 (legacy and protective MBR); the chain of logical partitions as Linux
(block/partitions/msdos.c) and Windows read it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from triage.model.gap import Gap, GapKind, Where
from triage.model.source import ByteSource
from triage.model.volume import Partition, PartitionScheme, mbr_partition_id
from triage.volumes.recognise import read_at

MBR_BYTES = 512
_ENTRY = struct.Struct("<B3xB3xII")
_SIGNATURE = slice(440, 444)
_ENTRIES_OFFSET = 446
_END_MARK = b"\x55\xaa"
_PROTECTIVE_TYPE = 0xEE
_EXTENDED_TYPES = frozenset({0x05, 0x0F, 0x85})
_FIRST_LOGICAL_INDEX = 5
_LONGEST_CHAIN = 256

_TYPE_NAMES = {
    0x01: "FAT12",
    0x04: "FAT16 < 32 MiB",
    0x06: "FAT16",
    0x07: "NTFS / exFAT",
    0x0B: "FAT32",
    0x0C: "FAT32 LBA",
    0x0E: "FAT16 LBA",
    0x11: "hidden FAT12",
    0x14: "hidden FAT16 < 32 MiB",
    0x16: "hidden FAT16",
    0x17: "hidden NTFS",
    0x1B: "hidden FAT32",
    0x1C: "hidden FAT32 LBA",
    0x1E: "hidden FAT16 LBA",
    0x27: "Windows recovery",
    0x42: "Windows dynamic disk",
    0x82: "Linux swap",
    0x83: "Linux",
    0x8E: "Linux LVM",
    0xA5: "FreeBSD",
    0xAF: "HFS+",
    0xEF: "EFI system",
    0xFB: "VMware VMFS",
    0xFD: "Linux RAID",
}


@dataclass(kw_only=True)
class MbrTable:
    """What sector 0 says, nothing where it does not end in 55AA.

    `protective`: it announces a GPT. `damaged`: not all of it could be used, `gaps` say what.
    """

    protective: bool = False
    damaged: bool = False
    partitions: list[Partition] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def add_damage(self, detail: str, offset_bytes: int) -> None:
        """Note a part of the table that could not be used."""
        self.damaged = True
        where = Where(offset_bytes=offset_bytes)
        self.gaps.append(Gap(kind=GapKind.PARTITION_TABLE, detail=detail, where=where))


class _Entry(NamedTuple):
    slot: int
    status: int
    type: int
    start_sector: int
    sectors: int

    @property
    def extended(self) -> bool:
        return self.type in _EXTENDED_TYPES

    @property
    def plausible(self) -> bool:
        """The status is 0x80 (active) or 0; anything else is text or code that happens to lie there."""
        return self.status in (0x00, 0x80)


def read_mbr(source: ByteSource, sector_bytes: int) -> MbrTable:
    """Read the table and its extended chains, addresses counted in sectors of `sector_bytes`.

    The extended partition itself is no volume and is not listed. Primary partitions have the index of their
    slot, 1 to 4, logical ones follow from 5.
    """
    table = MbrTable()
    sector = read_at(source, 0, MBR_BYTES)
    entries = _entries_of(sector)
    if entries is None:
        return table
    signature = int.from_bytes(sector[_SIGNATURE], "little")
    for entry in entries:
        if not entry.plausible:
            table.add_damage(f"entry {entry.slot} of the MBR is not a partition entry", 0)
        elif entry.type == _PROTECTIVE_TYPE:
            table.protective = True
        elif not entry.extended:
            table.partitions.append(_partition(entry.slot, entry, entry.start_sector, sector_bytes, signature))
    logical = (
        found
        for entry in entries
        if entry.plausible and entry.extended
        for found in _logical_entries(source, entry, sector_bytes, table)
    )
    for index, (entry, start_sector) in enumerate(logical, start=_FIRST_LOGICAL_INDEX):
        table.partitions.append(_partition(index, entry, start_sector, sector_bytes, signature))
    return table


def _logical_entries(
    source: ByteSource, extended: _Entry, sector_bytes: int, table: MbrTable
) -> Iterator[tuple[_Entry, int]]:
    """Follow one chain of extended boot records; yield each logical entry with its first sector on the disk.

    Each record holds one logical partition, relative to the record, and a link relative to the extended
    partition. A chain that leaves the extended partition, comes back to itself or does not end is followed as
    far as it goes.
    """
    seen: set[int] = set()
    record_sector = extended.start_sector
    while True:
        offset_bytes = record_sector * sector_bytes
        entries = _entries_of(read_at(source, offset_bytes, MBR_BYTES))
        if entries is None:
            table.add_damage(
                "an extended boot record is missing or damaged; logical partitions after it are not seen",
                offset_bytes,
            )
            return
        seen.add(record_sector)
        for entry in entries:
            if not entry.plausible:
                table.add_damage(
                    f"entry {entry.slot} of an extended boot record is not a partition entry", offset_bytes
                )
            elif not entry.extended:
                yield entry, record_sector + entry.start_sector
        link = next((entry for entry in entries if entry.plausible and entry.extended), None)
        if link is None:
            return
        if link.start_sector >= extended.sectors:
            table.add_damage("the chain of logical partitions leaves the extended partition", offset_bytes)
            return
        record_sector = extended.start_sector + link.start_sector
        if record_sector in seen:
            table.add_damage("the chain of logical partitions comes back to itself", offset_bytes)
            return
        if len(seen) == _LONGEST_CHAIN:
            table.add_damage(f"the chain of logical partitions has more than {_LONGEST_CHAIN} records", offset_bytes)
            return


def _entries_of(sector: bytes) -> list[_Entry] | None:
    """Return the entries that are in use; None where the sector does not end in 55AA."""
    if len(sector) < MBR_BYTES or sector[510:512] != _END_MARK:
        return None
    entries = [
        _Entry(slot, *_ENTRY.unpack_from(sector, _ENTRIES_OFFSET + (slot - 1) * _ENTRY.size)) for slot in range(1, 5)
    ]
    return [entry for entry in entries if entry.type != 0 and entry.sectors != 0]


def _partition(index: int, entry: _Entry, start_sector: int, sector_bytes: int, signature: int) -> Partition:
    return Partition(
        index=index,
        scheme=PartitionScheme.MBR,
        offset_bytes=start_sector * sector_bytes,
        length_bytes=entry.sectors * sector_bytes,
        type_id=f"{entry.type:02x}",
        type_name=_TYPE_NAMES.get(entry.type, ""),
        unique_id=mbr_partition_id(signature, start_sector * sector_bytes),
    )
