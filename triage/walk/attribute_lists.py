"""Holds each `$ATTRIBUTE_LIST` against the records that are there: a lost named stream leaves no other trace.

Source: "NTFS Documentation" of the Linux-NTFS project, attribute `$ATTRIBUTE_LIST`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from triage.volumes.mft_records import Mask
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import Entries, MftTable

_LARGEST_LIST_BYTES = 256 << 10
_LISTED = struct.Struct("<IH10xQ")
_ENTRY_MASK = (1 << 48) - 1


def lost_attributes(volume: NtfsVolume, table: MftTable) -> Mask:
    """Tell the files whose list is unreadable, or names a record that is none of theirs: something of them is lost."""
    lost = np.zeros(len(table.entries.in_use), bool)
    for entry, offset in zip(table.list_owners.tolist(), table.list_offsets.tolist(), strict=True):
        if entry < len(lost) and table.base[entry]:
            content = volume.read_value(offset, _LARGEST_LIST_BYTES)
            lost[entry] = content is None or not all(_is_there(table.entries, entry, one) for one in _listed(content))
    return lost


def _listed(content: bytes) -> Iterator[int]:
    """Yield the references of a list, each once, in its order; one that is cut short ends it."""
    position, last = 0, -1
    while position + _LISTED.size <= len(content):
        _kind, length, reference = _LISTED.unpack_from(content, position)
        if reference != last:
            yield (last := reference)
        position += max(length, _LISTED.size)


def _is_there(entries: Entries, owner: int, reference: int) -> bool:
    record, sequence = reference & _ENTRY_MASK, reference >> 48
    if record == owner:
        return True
    return (
        record < len(entries.in_use)
        and bool(entries.readable[record])
        and bool(entries.in_use[record])
        and entries.base_entry.item(record) == owner
        and entries.sequence.item(record) == sequence
    )
