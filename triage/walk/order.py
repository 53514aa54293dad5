"""The order in which streams are read: tiers first, within a tier along the disk, so that the heads move one way."""

from __future__ import annotations

import numpy as np

from triage.volumes.mft_records import I64, Mask
from triage.walk.mft import MftTable

_LATE = np.int64(1) << 62


def first_offsets(table: MftTable, heads: I64, mft_offset: int, cluster_bytes: int) -> I64:
    """Return each stream's first byte on the volume, in bytes; streams without clusters stand where their record is.

    Only the first mapping pair of each run list is decoded, for all streams at once.
    """
    rows = table.streams
    pairs = np.frombuffer(rows.pairs + bytes(18), dtype=np.uint8)
    resident = rows.resident[heads]
    start = np.where(resident, len(rows.pairs), rows.pairs_offset[heads])
    header = pairs[start].astype(np.int64)
    length_bytes, step_bytes = header & 15, header >> 4
    cluster = np.zeros(len(heads), np.int64)
    for place in range(6):
        byte = pairs[start + 1 + length_bytes + place].astype(np.int64)
        cluster |= np.where(place < step_bytes, byte << (8 * place), 0)
    clusters_known = ~resident & (step_bytes > 0) & (step_bytes <= 6)
    in_mft = mft_offset + np.where(resident, rows.pairs_offset[heads], 0)
    return np.where(clusters_known, cluster * cluster_bytes, np.where(resident, in_mft, _LATE))


def in_several_runs(table: MftTable, heads: I64) -> Mask:
    """Tell which streams' run lists have a second run, whatever it is; for all streams at once."""
    rows = table.streams
    pairs = np.frombuffer(rows.pairs + bytes(32), dtype=np.uint8)
    outside = rows.resident[heads] | (rows.pairs_length[heads] == 0)
    start = np.where(outside, len(rows.pairs), rows.pairs_offset[heads])
    header = pairs[start].astype(np.int64)
    several: Mask = ~outside & (pairs[start + 1 + (header & 15) + (header >> 4)] != 0)
    return several


def reading_order(offsets: I64) -> I64:
    """Return the positions of the streams in reading order: along the disk."""
    return np.argsort(offsets, kind="stable")
