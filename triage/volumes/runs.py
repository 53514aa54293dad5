"""Run lists: where a non-resident attribute's clusters lie.

Source: "NTFS Documentation" of the Linux-NTFS project, concept "Data Runs" (mapping pairs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.model.errors import ParseError

HOLE = -1
LOST = -2


class Run(NamedTuple):
    """A stretch of clusters: first cluster on the volume and how many.

    `HOLE` in its place: a sparse one. `LOST`: the piece of the run list that names it is missing.
    """

    cluster: int
    clusters: int


def decode_runs(mapping_pairs: bytes) -> list[Run]:
    """Decode mapping pairs up to their end mark; `ParseError` where they are cut short or impossible.

    A pair's header byte tells the length of the two little-endian numbers behind it: low nibble the run's length
    (unsigned), high nibble the signed step from the run before; no step means a hole.
    """
    runs: list[Run] = []
    position = 0
    cluster = 0
    end = len(mapping_pairs)
    while position < end:
        header = mapping_pairs[position]
        if header == 0:
            return runs
        length_end = position + 1 + (header & 0x0F)
        step_end = length_end + (header >> 4)
        if step_end > end or not 1 <= header & 0x0F <= 8 or header >> 4 > 8:
            raise ParseError("run list cut short", offset_bytes=position, need_bytes=step_end, have_bytes=end)
        length = int.from_bytes(mapping_pairs[position + 1 : length_end], "little")
        if length == 0 or length >> 48:
            raise ParseError(f"run of {length} clusters", offset_bytes=position)
        if step_end == length_end:
            runs.append(Run(HOLE, length))
        else:
            cluster += int.from_bytes(mapping_pairs[length_end:step_end], "little", signed=True)
            if cluster < 0 or cluster >> 48:
                raise ParseError(f"run at cluster {cluster}", offset_bytes=position)
            runs.append(Run(cluster, length))
        position = step_end
    raise ParseError("run list without its end mark", offset_bytes=end)


def count_clusters(runs: Sequence[Run]) -> int:
    """Return how many clusters the runs cover, holes included."""
    return sum(run.clusters for run in runs)
