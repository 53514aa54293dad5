"""Entries of a volume by what they are called: of a million names few are decoded."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from triage.volumes.mft_records import I64, Mask
from triage.walk.mft import MftTable, Names
from triage.walk.paths import Paths

_TAIL_UNITS = 3


def find_entries(
    table: MftTable, paths: Paths, *, names: Collection[str], endings: Collection[str] = ()
) -> Iterator[tuple[int, str]]:
    """Yield entry and path of all that is called so, and perhaps more: only length and first or last letters are held
    against `names` and `endings` (lower case; at least three letters). An entry comes once for each of its paths.
    """
    columns = table.names
    rows = np.flatnonzero(_are_called(columns, names) | _end_in(columns, endings))
    owners = np.searchsorted(columns.first, rows, side="right") - 1
    base = table.base
    for entry in dict.fromkeys(owners.tolist()):
        if base[entry]:
            for path in paths.of(entry):
                yield entry, path


def _are_called(columns: Names, names: Collection[str]) -> Mask:
    """Return the names that have length and first letter of one that is looked for."""
    wanted = [len(name) << 8 | ord(name[0]) for name in names]
    called: Mask = np.isin(columns.length // 2 << 8 | _letters(columns, columns.offset), wanted)
    return called


def _end_in(columns: Names, endings: Collection[str]) -> Mask:
    """Return the names whose last letters are those of an ending."""
    found = np.zeros(len(columns.offset), np.bool_)
    end = columns.offset + columns.length
    for ending in endings:
        alike = columns.length >= 2 * len(ending)
        for back, letter in enumerate(reversed(ending[-_TAIL_UNITS:]), 1):
            alike &= _letters(columns, np.maximum(end - 2 * back, 0)) == ord(letter) | 0x20
        found |= alike
    return found


def _letters(columns: Names, offset: I64) -> I64:
    """Return the low bytes of the UTF-16 units at these offsets, in lower case where they are letters."""
    blob = np.frombuffer(columns.blob + bytes(1), np.uint8)
    letters: I64 = blob[np.minimum(offset, len(blob) - 1)].astype(np.int64) | 0x20
    return letters
