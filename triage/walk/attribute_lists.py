"""`$ATTRIBUTE_LIST`: what an entry says of its extension records, held against what these say themselves.

The enumeration does not follow the lists: each extension record names the entry that it extends, so no loop can arise.
But a list that names a record which is another's, or is lost, tells that attributes are missing.

Source: "NTFS Documentation" of the Linux-NTFS project, attribute `$ATTRIBUTE_LIST`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from triage.model.gap import Gap, GapKind, Where
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import MftTable

_LISTED = 64
_ENTRY = struct.Struct("<IHBBQQ")
_SHORTEST_ENTRY_BYTES = 26
_LONGEST_LIST_BYTES = 256 << 10  # what Windows makes at most


def check_lists(volume: NtfsVolume, table: MftTable) -> Iterator[Gap]:
    """Yield a gap for each entry whose list is damaged or names records that are not its own."""
    told = 0
    base = table.base
    for owner, offset in zip(table.list_owners.tolist(), table.list_offsets.tolist(), strict=True):
        detail = _fault(volume, table, owner, offset) if owner < len(base) and base[owner] else None
        if detail is None:
            continue
        told += 1
        if told <= _LISTED:
            where = Where(volume=volume.id, mft_entry=owner)
            yield Gap(kind=GapKind.MFT_RECORD, detail=f"$ATTRIBUTE_LIST {detail}", where=where)
    if told > _LISTED:
        detail = f"$ATTRIBUTE_LIST of {told - _LISTED} further records does not fit what is there"
        yield Gap(kind=GapKind.MFT_RECORD, detail=detail, where=Where(volume=volume.id, path="$MFT", mft_entry=0))


def _fault(volume: NtfsVolume, table: MftTable, owner: int, offset: int) -> str | None:
    """Say what is wrong with an entry's list, whose header is at `offset` of `$MFT`; None where nothing is."""
    content = volume.read_value(offset, _LONGEST_LIST_BYTES)
    if content is None:
        return "is unreadable: its other records cannot be checked"
    foreign = []
    position = 0
    while position + _SHORTEST_ENTRY_BYTES <= len(content):
        _, length, _, _, _, reference = _ENTRY.unpack_from(content, position)
        if length < _SHORTEST_ENTRY_BYTES or position + length > len(content):
            return "is damaged: its other records cannot be checked"
        if not _is_own(table, owner, reference & (1 << 48) - 1, reference >> 48):
            foreign.append(reference & (1 << 48) - 1)
        position += length
    if not foreign:
        return None
    return f"names {len(foreign)} attributes in records that are lost or not its own, the first in record {foreign[0]}"


def _is_own(table: MftTable, owner: int, entry: int, sequence: int) -> bool:
    entries = table.entries
    if entry >= len(entries.in_use) or not (entries.readable[entry] and entries.in_use[entry]):
        return False
    return entries.base_entry.item(entry) == owner and entries.sequence.item(entry) == sequence
