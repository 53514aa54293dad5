"""Cross-linked files: clusters that two streams, or two places of one, claim. One of the two has lost its content.

All run lists are decoded at once, one pair of each a step, so that a million streams cost a few array operations.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from triage.model.gap import Gap, GapKind, Where
from triage.volumes.mft_records import I64
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.run_columns import decode_run_columns
from triage.walk.mft import MftTable
from triage.walk.streams import Streams

_LISTED = 64
_BAD_CLUSTERS_ENTRY = 8


def cross_links(volume: NtfsVolume, table: MftTable, streams: Streams) -> Iterator[Gap]:
    """Yield a gap for each pair of streams that share clusters, and for each stream with some beyond the volume."""
    row, first, clusters = _runs(table)
    cluster_bytes = volume.geometry.cluster_bytes
    beyond = first + clusters - -(-volume.geometry.volume_bytes // cluster_bytes)
    outside: dict[int, int] = {}
    for at in np.flatnonzero(beyond > 0).tolist():
        outside[row.item(at)] = outside.get(row.item(at), 0) + min(beyond.item(at), clusters.item(at))
    for number, (stream, count) in enumerate(outside.items()):
        if number == _LISTED:
            yield _more(volume, len(outside) - _LISTED, "claim clusters beyond the end of the volume")
            break
        yield _gap(
            streams, table, stream, "some of its clusters lie beyond the end of the volume", count * cluster_bytes
        )
    pairs = _shared(row, first, clusters)
    for number, ((one, other), count) in enumerate(pairs.items()):
        if number == _LISTED:
            yield _more(volume, len(pairs) - _LISTED, "share clusters with another one")
            break
        yield _gap(streams, table, one, _claims(streams, table, one, other), count * cluster_bytes)


def _runs(table: MftTable) -> tuple[I64, I64, I64]:
    """Return row, first cluster and number of clusters of every run on the disk of every allocated stream."""
    rows = table.streams
    wanted = ~rows.resident & table.base[rows.owner] & (rows.owner != _BAD_CLUSTERS_ENTRY)
    row: I64 = np.flatnonzero(wanted)
    found, _damaged = decode_run_columns(rows.pairs, rows.pairs_offset[row], rows.pairs_length[row])
    found = found.take(found.cluster >= 0)
    return row[found.of], found.cluster, found.clusters


def _shared(row: I64, first: I64, clusters: I64) -> dict[tuple[int, int], int]:
    """Return how many clusters each pair of rows shares: of each run those that an earlier one has already."""
    order = np.argsort(first, kind="stable")
    row, first, end = row[order], first[order], (first + clusters)[order]
    furthest = np.maximum.accumulate(end)
    holder = np.maximum.accumulate(np.where(end == furthest, np.arange(len(end)), 0))
    shared: dict[tuple[int, int], int] = {}
    for at in (np.flatnonzero(first[1:] < furthest[:-1]) + 1).tolist():
        pair = row.item(at), row.item(holder.item(at - 1))
        shared[pair] = shared.get(pair, 0) + min(end.item(at), furthest.item(at - 1)) - first.item(at)
    return shared


def _claims(streams: Streams, table: MftTable, one: int, other: int) -> str:
    owner = table.streams.owner.item(other)
    if one == other:
        return "its run list names the same clusters twice: it has lost some of its content"
    return f"cross-linked: some of its clusters are also those of {streams.path(other)!r} (entry {owner})"


def _gap(streams: Streams, table: MftTable, row: int, detail: str, size: int) -> Gap:
    where = Where(
        volume=streams.volume.id,
        path=streams.path(row),
        stream=streams.name(row) or None,
        mft_entry=table.streams.owner.item(row),
    )
    return Gap(kind=GapKind.RUN_LIST, detail=detail, where=where, bytes=size)


def _more(volume: NtfsVolume, count: int, what: str) -> Gap:
    return Gap(kind=GapKind.RUN_LIST, detail=f"{count} further streams {what}", where=Where(volume=volume.id))
