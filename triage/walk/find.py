"""Entries of a volume by what they are called: of a million names few are decoded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np

from triage.volumes.mft_records import I64, Mask
from triage.walk.mft import MftTable, Names
from triage.walk.paths import Paths

_TAIL_UNITS = 3
_KELVIN_SIGN = 0x212A  # the one letter beyond ASCII whose lower case is within


def find_entries(
    table: MftTable, paths: Paths, *, names: Collection[str], endings: Collection[str] = ()
) -> Iterator[tuple[int, str]]:
    """Yield entry and path of all files and directories that may be called so, an entry once for each of its paths."""
    called = entries_called(table, names=names, endings=endings)
    for entry in called[table.base[called]].tolist():
        for path in paths.of(entry):
            yield entry, path


def find_below(
    table: MftTable, paths: Paths, *, folders: Collection[str], is_wanted: Callable[[str], bool]
) -> Iterator[tuple[int, str]]:
    """Yield entry and path of all that lies, at any depth, below the directories of these names whose path is wanted.

    What lies there may be called anything. Names are sorted by parent only where there is such a directory; then a
    level costs what is in it.
    """
    called = entries_called(table, names=folders)
    called = called[table.base[called] & table.entries.directory[called]]
    tops = [entry for entry in called.tolist() if any(map(is_wanted, paths.of(entry)))]
    for entry in _below(table, tops) if tops else ():
        for path in paths.of(entry):
            yield entry, path


def _below(table: MftTable, tops: list[int]) -> list[int]:
    """Return the entries that have a name in these directories or those below them, and perhaps some more.

    Sequence numbers are not held against each other: the path that `Paths` makes of a name tells.
    """
    by_parent = np.argsort(table.names.parent, kind="stable")
    parents, owners, base = table.names.parent[by_parent], table.names.owner[by_parent], table.base
    seen, level = set(tops), tops
    while level:
        begins, ends = (np.searchsorted(parents, level, side=side).tolist() for side in ("left", "right"))
        names = zip(begins, ends, strict=True)
        children = {owner for begin, end in names for owner in owners[begin:end].tolist()}
        level = [entry for entry in children - seen if base[entry]]
        seen.update(level)
    return sorted(seen.difference(tops))


def entries_called(table: MftTable, *, names: Collection[str], endings: Collection[str] = ()) -> I64:
    """Return the entries, deleted ones too, that are called so, and perhaps some more.

    Only length and first letter are held against `names`, only three letters against `endings`. Both are ASCII in lower
    case; a name on disk may be in any.
    """
    columns = table.names
    rows = np.flatnonzero(_are_called(columns, names) | _end_in(columns, columns.offset, columns.length, endings))
    entries: I64 = np.unique(np.searchsorted(columns.first, rows, side="right") - 1)
    return entries


def names_ending(columns: Names, rows: I64, endings: Collection[str]) -> I64:
    """Return which of these rows of the names have such an ending, and perhaps some more, as `entries_called` does."""
    ending: I64 = rows[_end_in(columns, columns.offset[rows], columns.length[rows], endings)]
    return ending


def _are_called(columns: Names, names: Collection[str]) -> Mask:
    """Return the names that have length and first letter of one that is looked for."""
    wanted = [len(name) << 8 | ord(name[0]) for name in names]
    called: Mask = np.isin(columns.length // 2 << 8 | _letters(columns, columns.offset), wanted)
    return called


def _end_in(columns: Names, offset: I64, length: I64, endings: Collection[str]) -> Mask:
    """Return which names, by their places in the bytes, have the last letters of an ending."""
    end = offset + length
    tail_units = min(_TAIL_UNITS, max(map(len, endings), default=0))
    last = [_letters(columns, np.maximum(end - 2 * back, 0)) for back in range(1, tail_units + 1)]
    found = np.zeros(len(end), np.bool_)
    for ending in endings:
        alike = length >= 2 * len(ending)
        for letters, letter in zip(last, reversed(ending), strict=False):
            alike &= letters == ord(letter)
        found |= alike
    return found


def _letters(columns: Names, offset: I64) -> I64:
    """Return the UTF-16 units at these offsets, ASCII in lower case, 0 for all that is not ASCII."""
    blob = np.frombuffer(columns.blob + bytes(2), np.uint8)
    at = np.minimum(offset, len(blob) - 2)
    units: I64 = blob[at].astype(np.int64) | blob[at + 1].astype(np.int64) << 8
    units[(units >= ord("A")) & (units <= ord("Z"))] |= 0x20
    units[units == _KELVIN_SIGN] = ord("k")
    units[units >= 0x80] = 0
    return units
