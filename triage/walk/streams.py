"""The streams of a volume: what each is called, how it is stored, where its bytes lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from triage.model.entry import FileTimes, StreamForm, StreamState, Subject
from triage.model.errors import ParseError, VolumeError
from triage.volumes.extents import MISSING, Extent, extents_of_runs, readable_end
from triage.volumes.lznt1 import Lznt1Content
from triage.volumes.mft_records import ATTRIBUTE_COMPRESSED, ATTRIBUTE_ENCRYPTED, ATTRIBUTE_SPARSE, I64, Mask
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.reparse import WOF_TAG, Content, sort_of
from triage.volumes.runs import HOLE, LOST, Run, count_clusters, decode_runs
from triage.volumes.wof import WOF_REPARSE_BYTES, WOF_STREAM, WofFormat, wof_format
from triage.walk.links import reparse_point
from triage.walk.mft import MftTable
from triage.walk.paths import Paths

_RECALLED = 0x1000 | 0x40000 | 0x400000  # offline, recall on open, recall on data access ([MS-FSCC] 2.6)
_SYSTEM_SPARSE = {("$badclus", "$Bad"), ("$extend/$usnjrnl", "$J")}
_READABLE_HOLES_BYTES = 64 << 30
_CHUNK = 512
_STREAM_FIELDS = (
    "owner",
    "attribute_id",
    "flags",
    "resident",
    "size_bytes",
    "initialized_bytes",
    "name_length",
    "pairs_offset",
)
_ENTRY_FIELDS = (
    "sequence",
    "created",
    "modified",
    "changed",
    "accessed",
    "dos_attributes",
    "reparse_tag",
    "reparse_offset",
)


class _Row(NamedTuple):
    """One stream and its entry, out of the table's columns; the fields are named and ordered as there."""

    head: int
    owner: int
    attribute_id: int
    flags: int
    resident: bool
    size_bytes: int
    initialized_bytes: int
    name_length: int
    pairs_offset: int
    sequence: int
    created: int
    modified: int
    changed: int
    accessed: int
    dos_attributes: int
    reparse_tag: int
    reparse_offset: int


class StreamPlan(Struct, frozen=True, kw_only=True):
    """One stream, ready to be read: its subject and either its place or the state in which it ends unread.

    A resident stream lies at `resident_offset` in `$MFT`; else `extents` say where the bytes are. With `wof` these two
    tell the place of the compressed bytes, with `lznt1` the extents do.
    """

    subject: Subject
    extents: list[Extent]
    resident_offset: int | None = None
    lznt1: Lznt1Content | None = None
    wof: WofContent | None = None
    unread: StreamState | None = None
    reason: str = ""

    @property
    def only_extent(self) -> Extent | None:
        """Where all of a stream lies in one place, as it is to be read; None for every other."""
        is_plain = self.unread is None and self.resident_offset is None and self.lznt1 is None and self.wof is None
        if not is_plain or len(self.extents) != 1:
            return None
        extent = self.extents[0]
        is_whole = extent.volume_offset >= 0 and extent.length_bytes == self.subject.size_bytes
        return extent if is_whole else None


class WofContent(Struct, frozen=True, kw_only=True):
    """How a stream is compressed by the Windows Overlay Filter, and how much there is of the compressed bytes."""

    form: WofFormat
    compressed_bytes: int


class Streams:
    """The catalogue of one volume's streams. `heads` are the rows of allocated entries' streams."""

    def __init__(self, volume: NtfsVolume, table: MftTable, paths: Paths) -> None:
        self.volume = volume
        self._table = table
        self._paths = paths
        rows = table.streams
        self.heads: I64 = np.flatnonzero(rows.head & table.base[rows.owner])
        self._repeats = self._find_repeats()
        self._continued = frozenset(rows.owner[~rows.head].tolist())
        self._cluster_bytes = volume.geometry.cluster_bytes
        self._most_clusters = volume.source.size_bytes // self._cluster_bytes
        self._most_holes_bytes = max(volume.source.size_bytes, _READABLE_HOLES_BYTES)

    def path(self, head: int) -> str:
        """Return the path under which the stream's entry is reported."""
        return self._paths.of(int(self._table.streams.owner[head]))[0]

    def name(self, head: int) -> str:
        """Return the stream's name, "" for the unnamed one."""
        rows = self._table.streams
        length = rows.name_length.item(head)
        if length == 0:
            return ""
        start = rows.name_offset.item(head)
        return rows.names[start : start + length].decode("utf-16-le", "surrogatepass")

    def are_links(self, heads: I64) -> Mask:
        """Tell the streams of entries that are a reparse point and nothing else: links, sockets."""
        rows = self._table.streams
        tags = self._table.entries.reparse_tag[rows.owner[heads]]
        of_links = [tag for tag in np.unique(tags).tolist() if tag != 0 and sort_of(tag).content is Content.NONE]
        are: Mask = np.isin(tags, of_links) & (rows.name_length[heads] == 0) & (rows.size_bytes[heads] == 0)
        return are

    def heads_of(self, entry: int) -> list[int]:
        """Return the rows of one entry's streams."""
        rows = self._table.streams
        first, last = np.searchsorted(rows.owner, (entry, entry + 1)).tolist()
        return [row for row in range(first, last) if rows.head[row]]

    def unnamed_head(self, entry: int) -> int | None:
        """Return the row of an entry's unnamed `$DATA`, or None where it has none."""
        return next((row for row in self.heads_of(entry) if self._table.streams.name_length[row] == 0), None)

    def allocated_extents(self, head: int) -> list[Extent]:
        """Return where a non-resident stream's clusters lie, holes left out; `ParseError` for a damaged run list."""
        rows = self._table.streams
        sizes = rows.size_bytes.item(head), rows.initialized_bytes.item(head)
        extents = extents_of_runs(self._runs(head), self._cluster_bytes, *sizes)
        return [one for one in extents if one.volume_offset != HOLE]

    def _find_repeats(self) -> dict[int, int]:
        """Number the streams that have their name from an earlier one of their entry, too; only damage makes them."""
        rows = self._table.streams
        order = np.lexsort((rows.name_length[self.heads], rows.owner[self.heads]))
        heads = self.heads[order]
        same = np.zeros(len(heads) + 1, bool)  # a stream's entry and length of name are those of the one before
        same[1:-1] = (np.diff(rows.owner[heads]) == 0) & (np.diff(rows.name_length[heads]) == 0)
        names: dict[tuple[int, str], int] = {}
        repeats: dict[int, int] = {}
        for head in heads[same[1:] | same[:-1]].tolist():
            key = rows.owner.item(head), self.name(head)
            repeats[head] = names[key] = names.get(key, -1) + 1
        return repeats

    def rows_on_disk(self, heads: I64) -> I64:
        """Return the rows that tell where the streams' bytes lie: their own, or that of the one that holds them."""
        rows = self._table.streams
        of_wof = rows.head & (self._table.entries.reparse_tag[rows.owner] == WOF_TAG)
        holding = np.flatnonzero(of_wof & (rows.name_length == 2 * len(WOF_STREAM)))
        held = np.flatnonzero(of_wof & (rows.name_length == 0))
        found = np.arange(len(rows.owner))
        of_owner = np.full(len(self._table.entries.in_use), -1)
        of_owner[rows.owner[holding]] = holding
        found[held] = np.where(of_owner[rows.owner[held]] >= 0, of_owner[rows.owner[held]], held)
        on_disk: I64 = found[heads]
        return on_disk

    def plan(self, head: int) -> StreamPlan:
        """Say what one stream is and how it is to be read."""
        return next(self.plans(np.array([head], dtype=np.int64)))

    def plans(self, heads: I64) -> Iterator[StreamPlan]:
        """Say it of many streams, in the order given."""
        for start in range(0, len(heads), _CHUNK):
            for row in self._rows(heads[start : start + _CHUNK]):
                yield self._plan(row)

    def _rows(self, heads: I64) -> Iterator[_Row]:
        """Turn the columns of some streams into rows, all at once: a number at a time costs ten times as much."""
        rows, entries = self._table.streams, self._table.entries
        owners = rows.owner[heads]
        of_stream = (getattr(rows, name)[heads].tolist() for name in _STREAM_FIELDS)
        of_entry = (getattr(entries, name)[owners].tolist() for name in _ENTRY_FIELDS)
        return map(_Row._make, zip(heads.tolist(), *of_stream, *of_entry, strict=True))

    def _plan(self, row: _Row) -> StreamPlan:
        subject = self._subject(row)
        if subject.form is StreamForm.WOF and subject.size_bytes > 0:
            return self._wof_plan(row, subject)
        try:
            state, reason = self._unreadable(row, subject)
            if state is not None:
                return StreamPlan(subject=subject, extents=[], unread=state, reason=reason)
            if row.resident:
                return StreamPlan(subject=subject, extents=[], resident_offset=row.pairs_offset)
            runs = self._runs(row.head)
            if subject.form is StreamForm.LZNT1:
                content = Lznt1Content(
                    runs=runs,
                    cluster_bytes=self._cluster_bytes,
                    size_bytes=row.size_bytes,
                    initialized_bytes=row.initialized_bytes,
                )
                return StreamPlan(subject=subject, extents=content.stored_extents(), lznt1=content)
        except ParseError as error:
            return StreamPlan(subject=subject, extents=[], unread=StreamState.PARTIAL, reason=f"run list: {error}")
        extents = extents_of_runs(runs, self._cluster_bytes, row.size_bytes, row.initialized_bytes)
        return StreamPlan(subject=subject, extents=extents)

    def _wof_plan(self, row: _Row, subject: Subject) -> StreamPlan:
        """Plan to read a compressed stream from the one that holds its bytes, which is planned on its own, too."""
        try:
            point = self.volume.read_value(row.reparse_offset, WOF_REPARSE_BYTES)
            form = wof_format(point or b"")
            head = next((head for head in self.heads_of(row.owner) if self.name(head) == WOF_STREAM), None)
            if head is None:
                raise VolumeError(f"it has no stream {WOF_STREAM}")
            stored = self.plan(head)
            if stored.unread is not None or stored.subject.form not in (StreamForm.PLAIN, StreamForm.RESIDENT):
                raise VolumeError(f"its {WOF_STREAM}: {stored.reason or stored.subject.form.value}")
        except VolumeError as error:
            reason = f"compressed by CompactOS (WOF): {error}"
            return StreamPlan(subject=subject, extents=[], unread=StreamState.NOT_DECODABLE, reason=reason)
        missing = sum(extent.length_bytes for extent in stored.extents if extent.volume_offset == MISSING)
        return StreamPlan(
            subject=subject,
            extents=stored.extents,
            resident_offset=stored.resident_offset,
            wof=WofContent(form=form, compressed_bytes=stored.subject.size_bytes - missing),
        )

    def _subject(self, row: _Row) -> Subject:
        paths = self._paths.of(row.owner)
        name = self.name(row.head) if row.name_length > 0 else ""
        return Subject(
            volume=self.volume.id,
            mft_entry=row.owner,
            sequence=row.sequence,
            attribute_id=row.attribute_id,
            path=paths[0],
            other_paths=tuple(paths[1:]),
            stream=name,
            size_bytes=row.size_bytes,
            initialized_bytes=row.initialized_bytes,
            form=_form(row),
            dos_attributes=row.dos_attributes,
            reparse_tag=row.reparse_tag,
            si=FileTimes(row.created, row.modified, row.changed, row.accessed),
            repeat=self._repeats.get(row.head, 0),
        )

    def _unreadable(self, row: _Row, subject: Subject) -> tuple[StreamState | None, str]:
        """Say in which state a stream ends that is not read at all, and why; (None, "") for all others."""
        content = sort_of(row.reparse_tag).content if row.reparse_tag != 0 and not subject.stream else None
        if content is Content.NONE and subject.size_bytes == 0:
            return StreamState.REPARSE_POINT, self._reparse_point(row)
        if subject.size_bytes == 0:
            return None, ""
        if subject.form is StreamForm.EFS:
            return StreamState.EFS_ENCRYPTED, "encrypted by Windows (EFS); the user's key is needed"
        if content is not None and not self._is_local(row):
            state = StreamState.NOT_DECODABLE if content is Content.ENCODED else StreamState.REPARSE_POINT
            place = "in another form" if content is Content.ENCODED else "elsewhere"
            return state, f"content lies {place}: {self._reparse_point(row)}"
        is_system_sparse = not row.resident and (subject.path.lower(), subject.stream) in _SYSTEM_SPARSE
        if is_system_sparse and self._allocated_bytes(row.head) < subject.size_bytes:
            return StreamState.SPARSE_SYSTEM, "sparse system stream"
        volume_bytes = self.volume.geometry.volume_bytes
        if not row.resident and row.size_bytes > volume_bytes and self._allocated_bytes(row.head) > volume_bytes:
            return StreamState.PARTIAL, "claims more clusters than the volume has: not read"
        if row.size_bytes > self._most_holes_bytes and self._missing_bytes(row, subject.form) > self._most_holes_bytes:
            return StreamState.PARTIAL, "more holes and clusters beyond the end than the evidence has bytes: not read"
        return None, ""

    def _is_local(self, row: _Row) -> bool:
        """Say whether a reparse point's content lies here all the same: a cloud file that was fetched, for example."""
        if row.resident:
            return not row.dos_attributes & _RECALLED
        allocated = self._allocated_bytes(row.head)
        return allocated >= row.size_bytes if row.dos_attributes & _RECALLED else allocated > 0

    def _reparse_point(self, row: _Row) -> str:
        point = reparse_point(self.volume, self._table, row.owner)
        return "" if point is None else point.described

    def _allocated_bytes(self, head: int) -> int:
        """Return how many bytes of clusters a stream has; `ParseError` where its run list is damaged."""
        return self._cluster_bytes * sum(run.clusters for run in self._runs(head) if run.cluster >= 0)

    def _missing_bytes(self, row: _Row, form: StreamForm) -> int:
        """Return how many bytes of a stream would be read as zeros because the evidence does not hold them."""
        if row.resident:
            return 0
        runs, there_bytes = self._runs(row.head), self.volume.source.size_bytes
        extents = extents_of_runs(runs, self._cluster_bytes, row.size_bytes, row.initialized_bytes)
        held = [min(one.length_bytes, there_bytes - one.volume_offset) for one in extents if one.volume_offset >= 0]
        end = row.size_bytes if form is StreamForm.LZNT1 else readable_end(extents, there_bytes)
        return end - sum(length for length in held if length > 0)

    def _runs(self, head: int) -> list[Run]:
        """Return the stream's whole run list, continued from its later pieces where it has some."""
        rows = self._table.streams
        runs = self._decode(head)
        owner = rows.owner.item(head)
        if owner not in self._continued:
            return runs
        row = head + 1
        while row < len(rows.owner) and rows.owner[row] == owner:
            if not rows.head[row] and self.name(row) == self.name(head):
                start, covered = rows.start_vcn.item(row), count_clusters(runs)
                if not covered <= start <= self._most_clusters:
                    break  # what is not covered is reported when the stream is read
                lost = [Run(LOST, start - covered)] if start > covered else []
                runs = [*runs, *lost, *self._decode(row)]
            row += 1
        return runs

    def _decode(self, row: int) -> list[Run]:
        rows = self._table.streams
        start = rows.pairs_offset.item(row)
        return decode_runs(rows.pairs[start : start + rows.pairs_length.item(row)])


def _form(row: _Row) -> StreamForm:
    if row.flags & ATTRIBUTE_ENCRYPTED:
        return StreamForm.EFS
    if row.reparse_tag == WOF_TAG and row.name_length == 0:
        return StreamForm.WOF
    if row.resident:
        return StreamForm.RESIDENT
    if row.flags & ATTRIBUTE_COMPRESSED:
        return StreamForm.LZNT1
    return StreamForm.SPARSE if row.flags & ATTRIBUTE_SPARSE else StreamForm.PLAIN
