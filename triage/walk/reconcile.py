"""Holds the enumeration against what must be there, because damage to `$MFT` raises no exception.

Two witnesses are independent: the bits of `$MFT:$BITMAP` say which records are allocated; a raw scan of `$MFT`, read
through The Sleuth Kit (where that does not open the volume, plainly again) and walked by code of its own, says how
many `$DATA` attributes there are. And every sound record has its attributes in order, as many names as it counts and,
unless it is a directory, content.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from triage.evidence.slice import UNREADABLE_SECTOR, BlankingSource
from triage.model.errors import VolumeError
from triage.model.gap import Gap, GapKind, Where
from triage.model.report import Reconciliation, Witness
from triage.volumes.mft_records import I64, U8, Mask
from triage.volumes.ntfs import MFT_ENTRY, NtfsVolume
from triage.volumes.plain_mft import plain_mft_blocks
from triage.volumes.tsk import tsk_mft_blocks
from triage.walk.mft import MftTable
from triage.walk.streams import Streams

_LISTED = 64
_FILE = int.from_bytes(b"FILE", "little")
_DATA = 0x80


def reconcile(volume: NtfsVolume, table: MftTable, streams: Streams, orphans: int) -> tuple[Reconciliation, list[Gap]]:
    """Return both equations of a volume and a gap for each record that disagrees; the ledger compares the sums."""
    gaps: list[Gap] = []
    entries = table.entries
    own = np.arange(len(entries.in_use))
    base = table.base
    extension = entries.readable & entries.in_use & (entries.base_entry != own)
    bits = _bitmap_bits(volume, len(own), gaps)
    allocated = entries.in_use & entries.readable if bits is None else bits
    unreadable = ~entries.readable & (allocated | ~entries.empty if bits is None else allocated)
    gaps += _unreadable_gaps(volume, unreadable)
    gaps += _unsound_gaps(volume, table, streams)
    if bits is not None:
        gaps += _bitmap_gaps(volume, bits, base | extension, entries.readable)
    counted, witness = _count_data_attributes(volume, gaps)
    return Reconciliation(
        volume=volume.id,
        base_records=int(base.sum()),
        extension_records=int(extension.sum()),
        unreadable_records=int(unreadable.sum()),
        bitmap_bits=None if bits is None else int(bits.sum()),
        streams=len(streams.heads),
        data_attributes=counted,
        counted_by=witness,
        deleted_entries=int((entries.readable & ~entries.in_use).sum()),
        orphans=orphans,
    ), gaps


def _bitmap_bits(volume: NtfsVolume, count: int, gaps: list[Gap]) -> Mask | None:
    raw = volume.read_bitmap()
    if raw is None:
        gaps.append(Gap(kind=GapKind.MFT_BITMAP, detail="$MFT:$BITMAP is unreadable", where=_mft(volume)))
        return None
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little").astype(bool)
    beyond = int(bits[count:].sum())
    if beyond:
        detail = f"$MFT:$BITMAP marks {beyond} records beyond the end of $MFT"
        gaps.append(Gap(kind=GapKind.MFT_BITMAP, detail=detail, where=_mft(volume)))
    padded = np.zeros(count, bool)
    padded[: min(count, len(bits))] = bits[:count]
    return padded


def _unreadable_gaps(volume: NtfsVolume, unreadable: Mask) -> Iterator[Gap]:
    detail = "MFT record unreadable: its file, names and streams are not known"
    return _listed(volume, GapKind.MFT_RECORD, unreadable, detail, volume.geometry.record_bytes)


def _unsound_gaps(volume: NtfsVolume, table: MftTable, streams: Streams) -> Iterator[Gap]:
    """List the readable records that have lost something; what they still have was examined."""
    entries, rows = table.entries, table.streams
    count = len(entries.in_use)
    lost_name = table.base & (np.diff(table.names.first) != entries.link_count)
    has_content = np.zeros(count, bool)
    has_content[rows.owner[streams.heads[rows.name_length[streams.heads] == 0]]] = True
    owner = np.where(entries.readable & (entries.base_entry < count), entries.base_entry, MFT_ENTRY)
    may_have_indexes = entries.directory | entries.special
    may_have_indexes[MFT_ENTRY] = True  # it has a bitmap, that of the records
    odd = entries.odd | (entries.indexes & ~may_have_indexes[owner])
    lost_content = table.base & ~entries.directory & ~entries.special & ~has_content
    losses = (
        (
            _lost_starts(table, streams),
            "MFT record of a file that has lost the beginning of a stream: that stream is not known",
        ),
        (
            _of_another_use(table),
            "MFT record extends another use of the record that it names: its attributes may not be that file's",
        ),
        (odd & entries.in_use, "MFT record damaged: some of its attributes are lost (the others were examined)"),
        (lost_name, "MFT record of a file that has lost a name (its content was examined)"),
        (lost_content, "MFT record of a file that has lost its content"),
    )
    for mask, detail in losses:
        yield from _listed(volume, GapKind.MFT_RECORD, mask, detail)


def _lost_starts(table: MftTable, streams: Streams) -> Mask:
    """Tell the files that have a later piece of a stream, but not its first one."""
    rows = table.streams
    lost = np.zeros(len(table.entries.in_use), bool)
    later = {
        (rows.owner.item(row), streams.name(row))
        for row in np.flatnonzero(~rows.head & table.base[rows.owner]).tolist()
    }
    for owner, name in later:
        lost[owner] |= all(streams.name(head) != name for head in streams.heads_of(owner))
    return lost


def _of_another_use(table: MftTable) -> Mask:
    """Tell the extension records that name their base record by a sequence number that it does not have."""
    entries, base = table.entries, table.base
    extension = np.flatnonzero(entries.readable & entries.in_use & ~base)
    extension = extension[entries.base_entry[extension] < len(base)]
    owner = entries.base_entry[extension]
    mistaken = np.zeros(len(base), bool)
    mistaken[extension] = base[owner] & (entries.base_sequence[extension] != entries.sequence[owner])
    return mistaken


def _bitmap_gaps(volume: NtfsVolume, bits: Mask, in_use: Mask, readable: Mask) -> Iterator[Gap]:
    """List records on which record and bitmap disagree; unreadable ones have their own gaps."""
    disagreements = (
        (bits & ~in_use & readable, "marked allocated in $MFT:$BITMAP, but the record is not in use"),
        (~bits & in_use, "record in use, but not marked in $MFT:$BITMAP (it was examined)"),
    )
    for mask, detail in disagreements:
        yield from _listed(volume, GapKind.MFT_BITMAP, mask, detail)


def _listed(volume: NtfsVolume, kind: GapKind, mask: Mask, detail: str, bytes_each: int | None = None) -> Iterator[Gap]:
    """Yield a gap for each record of the mask, those beyond the first so many together."""
    entries = np.flatnonzero(mask)
    for entry in entries[:_LISTED].tolist():
        yield Gap(kind=kind, detail=detail, where=Where(volume=volume.id, mft_entry=entry), bytes=bytes_each)
    more = len(entries) - _LISTED
    if more > 0:
        together = f"{more} further records, from entry {entries[_LISTED]} to {entries[-1]}: {detail}"
        size = None if bytes_each is None else more * bytes_each
        yield Gap(kind=kind, detail=together, where=_mft(volume), bytes=size)


def _count_data_attributes(volume: NtfsVolume, gaps: list[Gap]) -> tuple[int | None, Witness | None]:
    """Count with the first witness that can read `$MFT`."""
    record_bytes, source = volume.geometry.record_bytes, BlankingSource(volume.mended_source)
    reasons: list[str] = []
    for witness, blocks in ((Witness.SLEUTH_KIT, tsk_mft_blocks), (Witness.PLAIN_SCAN, plain_mft_blocks)):
        try:
            return count_data_attributes(blocks(source), record_bytes), witness
        except VolumeError as error:
            reasons.append(str(error))
    detail = f"streams not counted a second time: {'; '.join(reasons)}"
    gaps.append(Gap(kind=GapKind.MFT_STREAM_COUNT, detail=detail, where=_mft(volume)))
    return None, None


def count_data_attributes(blocks: Iterator[bytes], record_bytes: int) -> int:
    """Count the `$DATA` attributes that start a stream (VCN 0) in records in use.

    Written apart from the enumeration on purpose. It looks only at bytes that fixups never replace: an attribute starts
    at a multiple of eight, a fixup replaces the last two bytes of 512, so type, low half of the length, resident flag
    and the low 48 bits of the VCN stand as they are.
    """
    count = 0
    for block in blocks:
        flat = np.frombuffer(block, np.uint8)
        start = np.arange(0, len(block) - record_bytes + 1, record_bytes)
        start = start[_number(flat, start, 4) == _FILE]
        if UNREADABLE_SECTOR in block:
            lost = [UNREADABLE_SECTOR in block[at : at + record_bytes] for at in start.tolist()]
            start = start[~np.array(lost, np.bool_)]
        start = start[_number(flat, start + 22, 2) & 1 == 1]
        position, end = start + _number(flat, start + 20, 2), start + record_bytes - 24
        while position.size:
            going_on = position <= end
            position, end = position[going_on], end[going_on]
            kind, length = _number(flat, position, 4), _number(flat, position + 4, 2)
            continues = (flat[position + 8] != 0) & (_number(flat, position + 16, 6) != 0)
            is_last = (kind > _DATA) | (length < 24)
            count += int(np.count_nonzero(~is_last & (kind == _DATA) & ~continues))
            position, end = (position + length)[~is_last], end[~is_last]
    return count


def _number(flat: U8, offset: I64, size_bytes: int) -> I64:
    """Return the little-endian numbers at these offsets."""
    number = np.zeros(len(offset), np.int64)
    for place in range(size_bytes):
        number |= flat[offset + place].astype(np.int64) << 8 * place
    return number


def _mft(volume: NtfsVolume) -> Where:
    return Where(volume=volume.id, path="$MFT", mft_entry=MFT_ENTRY)
