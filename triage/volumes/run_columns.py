"""Run lists of many streams decoded at once: one pair of each list a step, so that a million lists cost seconds.

The same rules as `runs.py`, which decodes one list; a damaged list keeps the runs before the damage and is marked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage.volumes.mft_records import I64, U8, U64, Mask
from triage.volumes.runs import HOLE

_LARGEST = np.uint64(1 << 48)
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(9)], np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunColumns:
    """One row a run: whose list it is of, its first cluster in the stream and on the volume (or `HOLE`), how many."""

    of: I64
    vcn: I64
    cluster: I64
    clusters: I64

    def take(self, chosen: Mask | I64) -> RunColumns:
        """Return the chosen rows of all columns."""
        return RunColumns(**{name: getattr(self, name)[chosen] for name in RunColumns.__slots__})


def join_runs(parts: list[RunColumns]) -> RunColumns:
    """Join the columns of several."""
    return RunColumns(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in RunColumns.__slots__}
    )


def decode_run_columns(pairs: bytes, offsets: I64, lengths: I64) -> tuple[RunColumns, Mask]:
    """Decode the lists at `pairs[offset : offset + length]`; return their runs, by step, and which lists are damaged.

    VCNs count from the start of each list.
    """
    flat = np.frombuffer(pairs + bytes(32), dtype=np.uint8)
    ends = offsets + lengths
    damaged = np.zeros(len(offsets), bool)
    active, position = np.arange(len(offsets)), offsets.astype(np.int64)
    cluster, vcn = np.zeros(len(offsets), np.int64), np.zeros(len(offsets), np.int64)
    steps: list[RunColumns] = [_NO_RUNS]
    while active.size:
        unended = position >= ends[active]
        damaged[active[unended]] = True
        going_on = ~unended & (flat[np.where(unended, 0, position)] != 0)
        active, position = active[going_on], position[going_on]
        header = flat[position].astype(np.int64)
        length_size, step_size = header & 15, header >> 4
        end = position + 1 + length_size + step_size
        bad = (length_size < 1) | (length_size > 8) | (step_size > 8) | (end > ends[active])
        length = _number(flat, position + 1, np.where(bad, 0, length_size))
        step = _signed(flat, position + 1 + length_size, np.where(bad, 0, step_size))
        target = cluster[active] + step
        bad |= (length == 0) | (length >= _LARGEST) | (target < 0) | (target >> 48 != 0)
        damaged[active[bad]] = True
        active, end, target, step_size = active[~bad], end[~bad], target[~bad], step_size[~bad]
        clusters = length[~bad].astype(np.int64)
        steps.append(
            RunColumns(
                of=active,
                vcn=vcn[active],
                cluster=np.where(step_size == 0, HOLE, target),
                clusters=clusters,
            )
        )
        cluster[active] = target
        vcn[active] += clusters
        position = end
    return join_runs(steps), damaged


def _number(flat: U8, offsets: I64, sizes: I64) -> U64:
    """Return little-endian numbers of up to eight bytes."""
    picked = np.ascontiguousarray(flat[offsets[:, None] + np.arange(8)]).view("<u8").reshape(-1)
    return picked & _MASKS[sizes]


def _signed(flat: U8, offsets: I64, sizes: I64) -> I64:
    """Return little-endian signed numbers of up to eight bytes; 0 where there are none."""
    unused = (8 * (8 - np.maximum(sizes, 1))).astype(np.uint64)
    shifted: U64 = _number(flat, offsets, sizes) << unused
    return shifted.view(np.int64) >> unused.astype(np.int64)


_NO_RUNS = RunColumns(
    of=np.empty(0, np.int64),
    vcn=np.empty(0, np.int64),
    cluster=np.empty(0, np.int64),
    clusters=np.empty(0, np.int64),
)
