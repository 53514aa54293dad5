"""`evidence-N.map`: what of a disk was read and what could not be, for GNU ddrescue to go on with.

Form: manual of GNU ddrescue, chapter "Mapfile structure". `ddrescue -m`, `ddrescuelog` and ddrescueview read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

import numpy as np

from triage.model.escape import escape_line
from triage.model.evidence import Evidence
from triage.model.read_map import ReadRange, ReadState
from triage.model.report import Tool

# What was read once counts as read, whatever came before or after; a sector tried alone says more than a failed block.
_WEIGHTS = {ReadState.UNTRIED: 0, ReadState.FAILED: 1, ReadState.BAD: 2, ReadState.READ: 3}
_STATES = tuple(_WEIGHTS)


def map_name(number: int) -> str:
    """Return the name of the map of a piece of evidence, which are numbered from 0."""
    return f"evidence-{number + 1}.map"


def has_unreadable(blocks: Iterable[ReadRange]) -> bool:
    """Say whether there is anything to tell."""
    return any(one.state in (ReadState.FAILED, ReadState.BAD) for one in blocks)


def blocks_of(ranges: Iterable[ReadRange], size_bytes: int) -> Iterator[ReadRange]:
    """Yield the whole evidence in order, block behind block, no two neighbours in the same state.

    `ranges` may overlap, in any order; what they leave out was never asked for.
    """
    edges: list[tuple[int, int, int]] = []
    for state, offset, length in ((one.state, one.offset_bytes, one.length_bytes) for one in ranges):
        if length > 0:
            edges += ((offset, _WEIGHTS[state], 1), (min(offset + length, size_bytes), _WEIGHTS[state], -1))
    table = np.array(sorted(edges), np.int64).reshape(-1, 3)
    covered = np.zeros((len(_STATES), len(table)), np.int64)
    for weight in range(1, len(_STATES)):
        covered[weight] = np.cumsum(np.where(table[:, 1] == weight, table[:, 2], 0))
    places = table[:, 0]
    last_of_place = np.flatnonzero(np.append(places[1:] != places[:-1], True)) if len(places) else np.empty(0, np.int64)
    position, state = 0, ReadState.UNTRIED
    for at in last_of_place.tolist():
        then = _STATES[max((weight for weight in range(1, len(_STATES)) if covered[weight, at] > 0), default=0)]
        if then is state:
            continue
        if int(places[at]) > position:
            yield ReadRange(state, position, int(places[at]) - position)
            position = int(places[at])
        state = then
    if position < size_bytes:
        yield ReadRange(state, position, size_bytes - position)


def write_map(tool: Tool, evidence: Evidence, blocks: Iterable[ReadRange], out: TextIO) -> None:
    """Write the map of one piece of evidence."""
    out.write(f"# Mapfile. Created by {tool.name} {tool.version}\n")
    out.write(f"# {escape_line(evidence.path)}\n")
    out.write("# '+' read, '-' sector unreadable, '*' within a read that failed, '?' never asked for\n")
    out.write("# current_pos  current_status  current_pass\n")
    out.write("0x00000000     ?               1\n")
    out.write("#      pos        size  status\n")
    for block in blocks:
        out.write(f"0x{block.offset_bytes:08X}  0x{block.length_bytes:08X}  {block.state}\n")
