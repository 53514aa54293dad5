"""The enumeration: every entry, every `$FILE_NAME`, every stream of a volume, from `$MFT` first, in order.

Directory indexes are not walked: `$MFT` names everything once, in time linear in its records, and says of each entry
which directory it is in. The table keeps columns, not objects, so that a million files need some hundred bytes each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from triage.model.entry import FileTimes
from triage.model.gap import Gap, GapKind, Where
from triage.volumes.extents import BadRange
from triage.volumes.mft_records import (
    I64,
    INDEX_TYPES,
    RECORD_IN_USE,
    RECORD_IS_DIRECTORY,
    RECORD_IS_SPECIAL,
    U8,
    U16,
    U32,
    U64,
    Attributes,
    AttributeType,
    Mask,
    Records,
    gather_bytes,
    parse_records,
)
from triage.volumes.ntfs import NtfsVolume

DOS_NAMESPACE = 2
_REFERENCE_ENTRY = np.uint64((1 << 48) - 1)
_NAME_HEADER_BYTES = 66
UNKNOWN_TAG = 0xFFFFFFFF
_TAG_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """One row a record of `$MFT`, by entry number."""

    sequence: U16
    link_count: U16  # as the record tells it: how many names it has, DOS short names among them
    in_use: Mask
    directory: Mask
    special: Mask  # a file of $Extend or a view index
    readable: Mask
    odd: Mask  # readable, but not as every sound record is
    indexes: Mask  # holds attributes of an index, as only directories and special records do
    empty: Mask
    base_entry: I64  # of an extension record, the entry it extends; of a base record, itself; -1 where it has none
    base_sequence: U16  # of an extension record, the sequence number under which it names the entry it extends
    created: U64
    modified: U64
    changed: U64
    accessed: U64
    dos_attributes: U32
    reparse_tag: U32
    reparse_offset: I64  # where the header of the reparse point's attribute stands in `$MFT`; -1 where there is none

    def times(self, entry: int) -> FileTimes:
        """Return the times of an entry's `$STANDARD_INFORMATION`."""
        return FileTimes(
            self.created.item(entry),
            self.modified.item(entry),
            self.changed.item(entry),
            self.accessed.item(entry),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NameColumns:
    """One row a `$FILE_NAME`; `offset` and `length` tell its place in the names' bytes, UTF-16LE.

    `in_use` is that of the record in which the attribute stands, which may be an extension of its owner.
    """

    owner: I64
    in_use: Mask
    parent: I64
    parent_sequence: U16
    namespace: U8
    offset: I64
    length: I64


@dataclass(frozen=True, slots=True, kw_only=True)
class Names(NameColumns):
    """All names, by owner with DOS short names last: those of an entry are `first[entry]` to `first[entry + 1]`."""

    first: I64
    blob: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamColumns:
    """One row a `$DATA` attribute or a later piece of one.

    `pairs_offset` points into the mapping pairs' bytes; of a resident stream it is the content's byte offset in `$MFT`.
    `in_use` is that of the record in which the attribute stands, which may be an extension of its owner.
    """

    owner: I64
    in_use: Mask
    attribute_id: U16
    flags: U16
    resident: Mask
    start_vcn: U64
    size_bytes: U64
    initialized_bytes: U64
    name_offset: I64
    name_length: I64
    pairs_offset: I64
    pairs_length: I64


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRows(StreamColumns):
    """All streams, ordered by owner and starting VCN.

    `head` marks the first piece (VCN 0) of each stream; the pieces in extension records behind it continue it.
    """

    head: Mask
    names: bytes
    pairs: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MftTable:
    """All of a volume's `$MFT`, and what of it could not be read.

    `list_owners` and `list_offsets` are the entries with an `$ATTRIBUTE_LIST`, and where its header stands in `$MFT`.
    """

    entries: Entries
    names: Names
    streams: StreamRows
    list_owners: I64
    list_offsets: I64
    gaps: list[Gap]

    @property
    def base(self) -> Mask:
        """Entries that are base records and allocated: files and directories."""
        own: Mask = self.entries.base_entry == np.arange(len(self.entries.base_entry))
        return own & self.entries.in_use & self.entries.readable


def read_mft(volume: NtfsVolume) -> MftTable:
    """Enumerate the volume."""
    collector = _Collector(volume)
    for first_entry, block, bad_ranges in volume.mft_blocks():
        collector.add_block(first_entry, block, bad_ranges)
    return collector.finish()


class _Collector:
    """Gathers the columns of one block after another."""

    def __init__(self, volume: NtfsVolume) -> None:
        self._volume = volume
        self._gaps: list[Gap] = []
        self._firsts: list[int] = []
        self._entries: list[Entries] = []
        self._names: list[NameColumns] = []
        self._streams: list[StreamColumns] = []
        self._lists: list[tuple[I64, I64]] = []
        self._name_blob = bytearray()
        self._stream_names = bytearray()
        self._pairs = bytearray()

    def add_block(self, first_entry: int, block: bytearray, bad_ranges: list[BadRange]) -> None:
        """Add the records of one block; blocks may come in any order."""
        self._firsts.append(first_entry)
        record_bytes = self._volume.geometry.record_bytes
        records, attributes = parse_records(block, record_bytes, first_entry)
        for bad in bad_ranges:
            where = Where(volume=self._volume.id, path="$MFT", mft_entry=0, offset_bytes=bad.stream_offset)
            detail = f"records of $MFT unreadable: {bad.reason}"
            self._gaps.append(Gap(kind=GapKind.MFT_RECORD, detail=detail, where=where, bytes=bad.length_bytes))
            first = bad.stream_offset // record_bytes - first_entry
            last = -(-(bad.stream_offset + bad.length_bytes) // record_bytes) - first_entry
            records.whole[first:last] = False
            records.empty[first:last] = False
        owner = _owners(records)
        self._add_entries(records, attributes, owner)
        self._add_names(records, attributes, owner)
        self._add_streams(records, attributes, owner)
        lists = np.flatnonzero(attributes.type == AttributeType.ATTRIBUTE_LIST)
        self._lists.append((owner[attributes.row[lists]], _in_mft(records, attributes.offset[lists])))

    def _add_entries(self, records: Records, attributes: Attributes, owner: I64) -> None:
        flags = records.flags
        created, modified, changed, accessed, dos_attributes = _standard_information(records, attributes)
        reparse_tag, reparse_offset = _reparse_points(records, attributes)
        self._entries.append(
            Entries(
                sequence=records.sequence,
                in_use=_in_use(records),
                link_count=records.link_count,
                directory=(flags & RECORD_IS_DIRECTORY) != 0,
                special=(flags & RECORD_IS_SPECIAL) != 0,
                readable=records.whole,
                odd=records.odd,
                indexes=_have_indexes(records, attributes),
                empty=records.empty,
                base_entry=np.where(records.whole, owner, -1),
                base_sequence=records.base_sequence,
                created=created,
                modified=modified,
                changed=changed,
                accessed=accessed,
                dos_attributes=dos_attributes,
                reparse_tag=reparse_tag,
                reparse_offset=reparse_offset,
            )
        )

    def _add_names(self, records: Records, attributes: Attributes, owner: I64) -> None:
        rows = np.flatnonzero(
            (attributes.type == AttributeType.FILE_NAME)
            & attributes.resident
            & (attributes.content_bytes >= _NAME_HEADER_BYTES)
        )
        flat = records.data.reshape(-1)
        content = attributes.content_offset[rows]
        length = flat[content + 64].astype(np.int64) * 2
        fits = _NAME_HEADER_BYTES + length <= attributes.content_bytes[rows]
        rows, content, length = rows[fits], content[fits], length[fits]
        parent = _u64(flat, content)
        offset = np.cumsum(length) - length + len(self._name_blob)
        self._name_blob += gather_bytes(flat, content + _NAME_HEADER_BYTES, length)
        self._names.append(
            NameColumns(
                owner=owner[attributes.row[rows]],
                in_use=_in_use(records)[attributes.row[rows]],
                parent=(parent & _REFERENCE_ENTRY).astype(np.int64),
                parent_sequence=(parent >> np.uint64(48)).astype(np.uint16),
                namespace=flat[content + 65],
                offset=offset,
                length=length,
            )
        )

    def _add_streams(self, records: Records, attributes: Attributes, owner: I64) -> None:
        rows = np.flatnonzero(attributes.type == AttributeType.DATA)
        flat = records.data.reshape(-1)
        resident = attributes.resident[rows]
        name_length = attributes.name_bytes[rows]
        pairs_length = np.where(resident, 0, attributes.content_bytes[rows])
        in_mft = _in_mft(records, attributes.content_offset[rows])
        pairs_offset = np.where(resident, in_mft, np.cumsum(pairs_length) - pairs_length + len(self._pairs))
        name_offset = np.cumsum(name_length) - name_length + len(self._stream_names)
        self._stream_names += gather_bytes(flat, attributes.name_offset[rows], name_length)
        self._pairs += gather_bytes(flat, attributes.content_offset[rows], pairs_length)
        self._streams.append(
            StreamColumns(
                owner=owner[attributes.row[rows]],
                in_use=_in_use(records)[attributes.row[rows]],
                attribute_id=attributes.id[rows],
                flags=attributes.flags[rows],
                resident=resident,
                start_vcn=attributes.start_vcn[rows],
                size_bytes=attributes.size_bytes[rows],
                initialized_bytes=attributes.initialized_bytes[rows],
                name_offset=name_offset,
                name_length=name_length,
                pairs_offset=pairs_offset,
                pairs_length=pairs_length,
            )
        )

    def finish(self) -> MftTable:
        """Join the blocks' columns and order names and streams by their owners."""
        in_order = np.argsort(self._firsts)
        entries = _join(self._entries, in_order)
        _give_to_base(entries)
        _read_far_tags(self._volume, entries)
        count = len(entries.in_use)
        names = _join(self._names, in_order)
        names = _take(names, _belongs(names, entries))
        names = _take(names, np.lexsort((names.namespace == DOS_NAMESPACE, names.owner)))
        streams = _join(self._streams, in_order)
        streams = _take(streams, _belongs(streams, entries))
        streams = _take(streams, np.lexsort((streams.start_vcn, streams.owner)))
        return MftTable(
            entries=entries,
            names=Names(
                first=np.searchsorted(names.owner, np.arange(count + 1)),
                blob=bytes(self._name_blob),
                **{name: getattr(names, name) for name in NameColumns.__slots__},
            ),
            streams=StreamRows(
                head=streams.start_vcn == 0,
                names=bytes(self._stream_names),
                pairs=bytes(self._pairs),
                **{name: getattr(streams, name) for name in StreamColumns.__slots__},
            ),
            list_owners=np.concatenate([owners for owners, _ in self._lists]),
            list_offsets=np.concatenate([offsets for _, offsets in self._lists]),
            gaps=self._gaps,
        )


def _in_mft(records: Records, offsets: I64) -> I64:
    """Turn offsets in a block's data into offsets in `$MFT`."""
    in_mft: I64 = offsets + records.first_entry * records.data.shape[1]
    return in_mft


def _in_use(records: Records) -> Mask:
    in_use: Mask = (records.flags & RECORD_IN_USE) != 0
    return in_use


def _belongs(columns: NameColumns | StreamColumns, entries: Entries) -> Mask:
    """Tell the attributes that are their owner's; a freed extension record still names the file it once extended."""
    owner = np.minimum(columns.owner, len(entries.in_use) - 1)
    belongs: Mask = (columns.owner == owner) & (columns.in_use == entries.in_use[owner])
    return belongs


def _owners(records: Records) -> I64:
    """Return the entry to which each record belongs: itself, or the one that it extends.

    The reference of a base record is all zeros; that of an extension of `$MFT`, entry 0, has a sequence number.
    """
    own = np.arange(records.first_entry, records.first_entry + len(records.whole))
    is_base = (records.base_entry == 0) & (records.base_sequence == 0)
    return np.where(is_base, own, records.base_entry.astype(np.int64))


def _standard_information(records: Records, attributes: Attributes) -> tuple[U64, U64, U64, U64, U32]:
    """Return created, modified, changed, accessed and DOS attributes of each record; zeros where it has none."""
    rows = np.flatnonzero(
        (attributes.type == AttributeType.STANDARD_INFORMATION) & attributes.resident & (attributes.content_bytes >= 36)
    )
    flat = records.data.reshape(-1)
    content, target = attributes.content_offset[rows], attributes.row[rows]

    def times(number: int) -> U64:
        column = np.zeros(len(records.whole), np.uint64)
        column[target] = _u64(flat, content + 8 * number)
        return column

    dos_attributes = np.zeros(len(records.whole), np.uint32)
    dos_attributes[target] = _u32(flat, content + 32)
    return times(0), times(1), times(2), times(3), dos_attributes


def _have_indexes(records: Records, attributes: Attributes) -> Mask:
    have = np.zeros(len(records.whole), bool)
    have[attributes.row[np.isin(attributes.type, INDEX_TYPES)]] = True
    return have


def _reparse_points(records: Records, attributes: Attributes) -> tuple[U32, I64]:
    """Return tag and place of each record's reparse point: 0 and -1 for none, all ones for a tag not known yet."""
    tags, places = np.zeros(len(records.whole), np.uint32), np.full(len(records.whole), -1, np.int64)
    points = np.flatnonzero(attributes.type == AttributeType.REPARSE_POINT)
    tags[attributes.row[points]] = UNKNOWN_TAG
    places[attributes.row[points]] = _in_mft(records, attributes.offset[points])
    near = points[attributes.resident[points] & (attributes.content_bytes[points] >= _TAG_BYTES)]
    tags[attributes.row[near]] = _u32(records.data.reshape(-1), attributes.content_offset[near])
    return tags, places


def _give_to_base(entries: Entries) -> None:
    """Give the reparse points that stand in extension records to the entries that they belong to."""
    own = np.arange(len(entries.in_use))
    known = (entries.base_entry >= 0) & (entries.base_entry < len(own))
    moved = np.flatnonzero((entries.reparse_tag != 0) & entries.in_use & known & (entries.base_entry != own))
    owner = entries.base_entry[moved]
    entries.reparse_tag[owner] = entries.reparse_tag[moved]
    entries.reparse_offset[owner] = entries.reparse_offset[moved]


def _read_far_tags(volume: NtfsVolume, entries: Entries) -> None:
    """Read the tags of reparse points that stand outside `$MFT`: links with long targets."""
    for entry in np.flatnonzero((entries.reparse_tag == UNKNOWN_TAG) & entries.in_use).tolist():
        tag = volume.read_value(entries.reparse_offset.item(entry), _TAG_BYTES)
        if tag is not None and len(tag) == _TAG_BYTES:
            entries.reparse_tag[entry] = int.from_bytes(tag, "little")


def _u32(flat: U8, offsets: I64) -> U32:
    picked = flat[offsets[:, None] + np.arange(4)]
    return np.ascontiguousarray(picked).view("<u4").reshape(-1)


def _u64(flat: U8, offsets: I64) -> U64:
    picked = flat[offsets[:, None] + np.arange(8)]
    return np.ascontiguousarray(picked).view("<u8").reshape(-1)


_Columns = TypeVar("_Columns", Entries, NameColumns, StreamColumns)


def _join(parts: list[_Columns], in_order: I64) -> _Columns:
    """Join the columns of all blocks, so ordered."""
    kind = type(parts[0])
    return kind(**{name: np.concatenate([getattr(parts[at], name) for at in in_order]) for name in kind.__slots__})


def _take(columns: _Columns, chosen: Mask | I64) -> _Columns:
    """Return the chosen rows of all columns, in the order chosen."""
    kind = type(columns)
    return kind(**{name: getattr(columns, name)[chosen] for name in kind.__slots__})
