"""The streams of a volume: what each is called, how it is stored, where its bytes lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from triage.model.entry import FIRST_USER_ENTRY, StreamForm, StreamState, Subject
from triage.model.errors import ParseError
from triage.volumes.extents import Extent, extents_of_runs
from triage.volumes.mft_records import ATTRIBUTE_COMPRESSED, ATTRIBUTE_ENCRYPTED, ATTRIBUTE_SPARSE, I64
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.runs import HOLE, Run, count_clusters, decode_runs
from triage.walk.mft import MftTable
from triage.walk.paths import Paths

# Reparse tags whose unnamed $DATA does not hold the file's content ([MS-FSCC] 2.1.2.1).
REPARSE_WOF = 0x80000017
_PLACEHOLDERS = {
    0x80000013: "data deduplication",
    0x80000006: "HSM",
    0xC0000004: "HSM",
    0x80000008: "WIM mount",
}
_CLOUD_MASK, _CLOUD_TAG = 0xFFFF0FFF, 0x9000001A
_SYSTEM_SPARSE = {"$Bad", "$J"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """One stream, ready to be read: its subject and either its place or the state in which it ends unread.

    A resident stream lies at `resident_offset` in `$MFT`; `through_tsk` asks for The Sleuth Kit's decoder; else
    `extents` say where the bytes are.
    """

    subject: Subject
    extents: list[Extent]
    resident_offset: int | None = None
    through_tsk: bool = False
    unread: StreamState | None = None
    reason: str = ""


class Streams:
    """The catalogue of one volume's streams. `heads` are the rows of allocated entries' streams."""

    def __init__(self, volume: NtfsVolume, table: MftTable, paths: Paths) -> None:
        self.volume = volume
        self._table = table
        self._paths = paths
        rows = table.streams
        self.heads: I64 = np.flatnonzero(rows.head & table.base[rows.owner])
        self._continued = frozenset(rows.owner[~rows.head].tolist())
        self._cluster_bytes = volume.geometry.cluster_bytes

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

    def heads_of(self, entry: int) -> list[int]:
        """Return the rows of one entry's streams."""
        rows = self._table.streams
        first, last = np.searchsorted(rows.owner, (entry, entry + 1)).tolist()
        return [row for row in range(first, last) if rows.head[row]]

    def unnamed_head(self, entry: int) -> int | None:
        """Return the row of an entry's unnamed `$DATA`, or None where it has none."""
        return next((row for row in self.heads_of(entry) if self._table.streams.name_length[row] == 0), None)

    def plans(self, heads: I64) -> Iterator[StreamPlan]:
        """Yield the streams in the order given."""
        for head in heads.tolist():
            yield self.plan(head)

    def plan(self, head: int) -> StreamPlan:
        """Say what a stream is and how it is to be read."""
        rows = self._table.streams
        subject = self._subject(head)
        state, reason = self._unreadable(head, subject)
        if state is not None:
            return StreamPlan(subject=subject, extents=[], unread=state, reason=reason)
        if rows.resident[head]:
            return StreamPlan(subject=subject, extents=[], resident_offset=rows.pairs_offset.item(head))
        if subject.form is StreamForm.LZNT1:
            return StreamPlan(subject=subject, extents=[], through_tsk=True)
        try:
            runs = self._runs(head)
        except ParseError as error:
            return StreamPlan(subject=subject, extents=[], unread=StreamState.PARTIAL, reason=f"run list: {error}")
        extents = extents_of_runs(runs, self._cluster_bytes, subject.size_bytes, subject.initialized_bytes)
        return StreamPlan(subject=subject, extents=extents)

    def _subject(self, head: int) -> Subject:
        rows, entries = self._table.streams, self._table.entries
        entry = rows.owner.item(head)
        paths = self._paths.of(entry)
        name = self.name(head)
        tag = entries.reparse_tag.item(entry)
        return Subject(
            volume=self.volume.id,
            mft_entry=entry,
            sequence=entries.sequence.item(entry),
            attribute_id=rows.attribute_id.item(head),
            path=paths[0],
            other_paths=tuple(paths[1:]),
            stream=name,
            size_bytes=rows.size_bytes.item(head),
            initialized_bytes=rows.initialized_bytes.item(head),
            form=self._form(head, name, tag),
            dos_attributes=entries.dos_attributes.item(entry),
            reparse_tag=tag,
            si=entries.times(entry),
        )

    def _form(self, head: int, name: str, tag: int) -> StreamForm:
        rows = self._table.streams
        flags = rows.flags.item(head)
        if flags & ATTRIBUTE_ENCRYPTED:
            return StreamForm.EFS
        if tag == REPARSE_WOF and not name:
            return StreamForm.WOF
        if rows.resident[head]:
            return StreamForm.RESIDENT
        if flags & ATTRIBUTE_COMPRESSED:
            return StreamForm.LZNT1
        return StreamForm.SPARSE if flags & ATTRIBUTE_SPARSE else StreamForm.PLAIN

    def _unreadable(self, head: int, subject: Subject) -> tuple[StreamState | None, str]:
        """Say in which state a stream ends that is not read at all, and why; (None, "") for all others."""
        if subject.size_bytes == 0:
            return None, ""
        if subject.form is StreamForm.EFS:
            return StreamState.EFS_ENCRYPTED, "encrypted by Windows (EFS); the user's key is needed"
        if subject.form is StreamForm.WOF:
            return StreamState.NOT_DECODABLE, "compressed by CompactOS (WOF); not decoded yet"
        tag = subject.reparse_tag
        if not subject.stream and (tag in _PLACEHOLDERS or tag & _CLOUD_MASK == _CLOUD_TAG):
            kind = _PLACEHOLDERS.get(tag, "cloud placeholder")
            return StreamState.REPARSE_POINT, f"content lies elsewhere ({kind}, reparse tag 0x{tag:08X})"
        if subject.stream in _SYSTEM_SPARSE and subject.form is not StreamForm.RESIDENT and self._is_system(subject):
            allocated = int(self._allocated_clusters(head)) * self._cluster_bytes
            if allocated < subject.size_bytes:
                return StreamState.SPARSE_SYSTEM, "sparse system stream"
        return None, ""

    def _is_system(self, subject: Subject) -> bool:
        return subject.mft_entry < FIRST_USER_ENTRY or subject.path.startswith("$Extend/")

    def _allocated_clusters(self, head: int) -> int:
        try:
            return sum(run.clusters for run in self._runs(head) if run.cluster != HOLE)
        except ParseError:
            return 0

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
                if rows.start_vcn.item(row) != count_clusters(runs):
                    break  # a piece is missing: what is not covered is reported when the stream is read
                runs = runs + self._decode(row)
            row += 1
        return runs

    def _decode(self, row: int) -> list[Run]:
        rows = self._table.streams
        start = rows.pairs_offset.item(row)
        return decode_runs(rows.pairs[start : start + rows.pairs_length.item(row)])
