"""Deleted entries: records of `$MFT` not in use that still hold names or streams, and what is left of each stream.

NTFS frees a deleted file's clusters and leaves its record as it was until another file needs it. So each cluster of its
run list is in use again (`$Bitmap`), free, or claimed by several deleted streams of which one at most can be right. All
of this is counted over columns: linear in the entries, and in the volume's size only by one bit a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triage.model.deleted import Recoverability
from triage.model.gap import Gap, GapKind, Where
from triage.volumes.cluster_bitmap import used_before
from triage.volumes.mft_records import I64, Mask
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.run_columns import RunColumns, decode_run_columns, join_runs
from triage.volumes.runs import HOLE
from triage.walk.mft import MftTable
from triage.walk.reader import StreamReader
from triage.walk.streams import Streams

BITMAP_ENTRY = 6
_MOST_BYTES = np.uint64(1 << 62)
_MOST_CLUSTERS = np.uint64(1 << 48)
_CLASSES = tuple(Recoverability)
_ADD = np.add.at


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedStreams:
    """Columns, one row a stream of a deleted entry, in the order of entries; `head` is its row in the enumeration.

    The five `…_bytes` tell what became of the stream's bytes; holes are in none of them. `entries` are all deleted
    entries, those without a stream too. `contested_in_all` and `reused_in_all` count the bytes of each cluster once.
    """

    entries: I64
    head: I64
    size_bytes: I64
    resident_bytes: I64
    free_bytes: I64
    contested_bytes: I64
    reused_bytes: I64
    unknown_bytes: I64
    contested_in_all: int
    reused_in_all: int

    def recoverability(self) -> list[Recoverability]:
        """Return the class of each stream."""
        nothing_free = (self.free_bytes == 0) & (self.contested_bytes == 0)
        choices = (
            (self.size_bytes == 0, Recoverability.EMPTY),
            (self.resident_bytes > 0, Recoverability.RESIDENT),
            (self.unknown_bytes > 0, Recoverability.UNKNOWN),
            ((self.reused_bytes > 0) & nothing_free, Recoverability.REUSED),
            (self.reused_bytes > 0, Recoverability.PARTLY_REUSED),
            (self.contested_bytes > 0, Recoverability.CONTESTED),
        )
        codes: NDArray[np.intp] = np.select(
            [chosen for chosen, _class in choices],
            [_CLASSES.index(one) for _chosen, one in choices],
            _CLASSES.index(Recoverability.FREE),
        )
        return [_CLASSES[code] for code in codes.tolist()]


def deleted_entries(table: MftTable) -> I64:
    """Return the numbers of the deleted entries that still hold a name or a stream."""
    entries, count = table.entries, len(table.entries.in_use)
    holding = np.diff(table.names.first) > 0
    holding[table.streams.owner] = True
    dead: Mask = (entries.base_entry == np.arange(count)) & entries.readable & ~entries.in_use
    return np.flatnonzero(dead & holding)


def examine_deleted(volume: NtfsVolume, table: MftTable, streams: Streams) -> tuple[DeletedStreams, list[Gap]]:
    """Tell of each deleted stream what is left of it; what could not be told is one gap for all."""
    entries = deleted_entries(table)
    rows = table.streams
    is_deleted = np.zeros(len(table.entries.in_use), bool)
    is_deleted[entries] = True
    head = np.flatnonzero(rows.head & is_deleted[rows.owner])
    size = np.minimum(rows.size_bytes[head], _MOST_BYTES).astype(np.int64)
    resident = rows.resident[head]
    runs, damaged = _runs(volume, table, streams, head, np.where(resident, 0, size), is_deleted)
    gaps: list[Gap] = []
    fate = _fate_of_runs(volume, streams, runs.runs, gaps)
    cluster_bytes = volume.geometry.cluster_bytes
    columns = np.zeros((5, len(head)), np.int64)
    columns[0] = np.where(resident, size, 0)
    for column, clusters in zip(columns[1:4], (fate.free, fate.contested, fate.reused), strict=True):
        _ADD(column, runs.runs.of, clusters * cluster_bytes - np.where(clusters > 0, runs.slack_bytes, 0))
    covered = runs.hole_bytes + columns[1:4].sum(axis=0)
    columns[4] = np.where(resident, 0, np.maximum(np.minimum(size, volume.geometry.volume_bytes) - covered, 0))
    lost = int((damaged & (columns[4] > 0)).sum())
    if lost > 0:
        detail = f"run lists of deleted streams damaged: {lost}; where all their clusters lay is not known"
        where = Where(volume=volume.id, path="$MFT", mft_entry=0)
        gaps.append(Gap(kind=GapKind.RUN_LIST, detail=detail, where=where, material=False))
    return DeletedStreams(
        entries=entries,
        head=head,
        size_bytes=size,
        resident_bytes=columns[0],
        free_bytes=columns[1],
        contested_bytes=columns[2],
        reused_bytes=columns[3],
        unknown_bytes=columns[4],
        contested_in_all=fate.contested_in_all * cluster_bytes,
        reused_in_all=fate.reused_in_all * cluster_bytes,
    ), gaps


@dataclass(frozen=True, slots=True, kw_only=True)
class _ContentRuns:
    """The runs that hold content, `of` counting deleted streams; `slack_bytes` of each run lie behind the content."""

    runs: RunColumns
    slack_bytes: I64
    hole_bytes: I64  # one row a stream


def _runs(
    volume: NtfsVolume, table: MftTable, streams: Streams, head: I64, size: I64, is_deleted: Mask
) -> tuple[_ContentRuns, Mask]:
    """Lay the run lists over the streams' sizes, up to the volume's end; tell which of them are damaged."""
    rows = table.streams
    cluster_bytes = volume.geometry.cluster_bytes
    piece, of = _pieces(table, streams, head, is_deleted)
    decoded, damaged_pieces = decode_run_columns(rows.pairs, rows.pairs_offset[piece], rows.pairs_length[piece])
    start = rows.start_vcn[piece]
    damaged_pieces |= start >= _MOST_CLUSTERS
    damaged = np.zeros(len(head), bool)
    damaged[of[damaged_pieces]] = True
    stream = of[decoded.of]
    vcn = decoded.vcn + np.minimum(start, _MOST_CLUSTERS).astype(np.int64)[decoded.of]
    content = -(-size // cluster_bytes)
    clusters = np.clip(content[stream] - vcn, 0, decoded.clusters)
    hole_bytes = np.zeros(len(head), np.int64)
    is_hole = decoded.cluster == HOLE
    _ADD(hole_bytes, stream[is_hole], np.minimum(clusters * cluster_bytes, size[stream])[is_hole])
    beyond = volume.geometry.volume_bytes // cluster_bytes - decoded.cluster
    on_volume = np.clip(clusters, 0, np.maximum(beyond, 0))
    real = ~is_hole & (on_volume > 0)
    runs = RunColumns(of=stream, vcn=vcn, cluster=decoded.cluster, clusters=on_volume).take(real)
    return _split_last(runs, content, content * cluster_bytes - size, hole_bytes), damaged


def _split_last(runs: RunColumns, content: I64, slack: I64, hole_bytes: I64) -> _ContentRuns:
    """Make a run of its own of the cluster in which a stream ends: its slack is that of exactly one cluster."""
    is_last = (runs.vcn + runs.clusters == content[runs.of]) & (slack[runs.of] > 0)
    last = runs.take(is_last)
    length = last.clusters
    last = RunColumns(
        of=last.of, vcn=last.vcn + length - 1, cluster=last.cluster + length - 1, clusters=np.ones_like(length)
    )
    front = RunColumns(of=runs.of, vcn=runs.vcn, cluster=runs.cluster, clusters=runs.clusters - is_last)
    front = front.take(front.clusters > 0)
    return _ContentRuns(
        runs=join_runs([front, last]),
        slack_bytes=np.concatenate([np.zeros(len(front.of), np.int64), slack[last.of]]),
        hole_bytes=hole_bytes,
    )


def _pieces(table: MftTable, streams: Streams, head: I64, is_deleted: Mask) -> tuple[I64, I64]:
    """Return the rows of all pieces of the deleted non-resident streams, and of which stream each is a piece."""
    rows = table.streams
    own = np.flatnonzero(~rows.resident[head])
    later: list[int] = []
    of_later: list[int] = []
    continued = np.flatnonzero(~rows.head & is_deleted[rows.owner] & ~rows.resident).tolist()
    number_of = {row: number for number, row in enumerate(head.tolist())} if continued else {}
    for row in continued:
        name = streams.name(row)
        start = next((one for one in streams.heads_of(rows.owner.item(row)) if streams.name(one) == name), None)
        if start in number_of:
            later.append(row)
            of_later.append(number_of[start])
    return np.concatenate([head[own], np.array(later, np.int64)]), np.concatenate([own, np.array(of_later, np.int64)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fate:
    """How many clusters of each run are free, contested and reused; and of the last two how many there are in all."""

    free: I64
    contested: I64
    reused: I64
    contested_in_all: int = 0
    reused_in_all: int = 0


def _fate_of_runs(volume: NtfsVolume, streams: Streams, runs: RunColumns, gaps: list[Gap]) -> _Fate:
    """Cut the volume where any run begins or ends: within a stretch all clusters have the same claims on them."""
    ends = runs.cluster + runs.clusters
    cuts = np.unique(np.concatenate([runs.cluster, ends]))
    used = used_before(_bitmap_windows(volume, streams, gaps), cuts) if len(cuts) > 0 else cuts
    if used is None or gaps:
        if not gaps:
            gaps.append(_no_bitmap(volume, "it ends before the volume does"))
        nothing = np.zeros(len(runs.of), np.int64)
        return _Fate(free=nothing, contested=nothing, reused=nothing)
    first, last = np.searchsorted(cuts, runs.cluster), np.searchsorted(cuts, ends)
    claims = np.cumsum(np.bincount(first, minlength=len(cuts)) - np.bincount(last, minlength=len(cuts)))[:-1]
    used_here = np.diff(used)
    free_here = np.diff(cuts) - used_here
    contested_here = np.where(claims > 1, free_here, 0)

    def within(stretches: I64) -> I64:
        total: I64 = np.concatenate([[0], np.cumsum(stretches)])
        clusters: I64 = total[last] - total[first]
        return clusters

    return _Fate(
        free=within(free_here - contested_here),
        contested=within(contested_here),
        reused=within(used_here),
        contested_in_all=int(contested_here.sum()),
        reused_in_all=int(used_here[claims > 0].sum()),
    )


def _bitmap_windows(volume: NtfsVolume, streams: Streams, gaps: list[Gap]) -> Iterator[memoryview]:
    head = streams.unnamed_head(BITMAP_ENTRY)
    if head is None:
        gaps.append(_no_bitmap(volume, "it is missing"))
        return
    plan, reader = streams.plan(head), StreamReader()
    for window in reader.windows(volume, plan):
        yield window.view[window.fresh :]
    if reader.gaps(plan):
        gaps.append(_no_bitmap(volume, reader.reason))


def _no_bitmap(volume: NtfsVolume, reason: str) -> Gap:
    detail = f"$Bitmap: {reason}; what of the deleted files is still free is not known"
    where = Where(volume=volume.id, path="$Bitmap", mft_entry=BITMAP_ENTRY)
    return Gap(kind=GapKind.READ_ERROR, detail=detail, where=where, material=False)
