"""Paths, rebuilt from parent references: each name says its directory by entry and sequence number.

A sequence number tells whether that directory is still the one that was meant. What has no parent any more goes under
an orphan root, as in The Sleuth Kit.
"""

from __future__ import annotations

from codecs import utf_16_le_decode

import numpy as np

from triage.volumes.mft_records import I64
from triage.walk.mft import DOS_NAMESPACE, MftTable

ROOT_ENTRY = 5
ORPHAN_ROOT = "$OrphanFiles"
_LONGEST_CHAIN = 4096
_SEQUENCE_BITS = np.uint64(16)
_LONGEST_PATH = 32_767  # what Windows can name


class Paths:
    """Names and paths of one volume's entries; directories' paths are remembered, files' are not."""

    def __init__(self, table: MftTable) -> None:
        self._entries = table.entries
        self._names = table.names
        self._directories: dict[int, str] = {ROOT_ENTRY: ""}
        self._parent_paths: dict[tuple[int, int, bool], str] = {}
        # Views, not lists: a number at a time comes nearly as fast, and a million entries need no more memory.
        self._first: memoryview[int] = table.names.first.data
        self._parents: memoryview[int] = table.names.parent.data
        self._parent_sequences: memoryview[int] = table.names.parent_sequence.data
        self._namespaces: memoryview[int] = table.names.namespace.data
        self._offsets: memoryview[int] = table.names.offset.data
        self._lengths: memoryview[int] = table.names.length.data
        self._sequences: memoryview[int] = table.entries.sequence.data
        self._in_use: memoryview[int] = table.entries.in_use.data
        self._is_directory: memoryview[int] = table.entries.directory.data

    def of(self, entry: int) -> list[str]:
        """Return the paths of all of an entry's names but the DOS short ones (those only where it has no other).

        The first is the one it is reported under, the others are its further hard links. An entry without any name is
        named after its number.
        """
        if entry == ROOT_ENTRY:
            return [""]
        begin, end = self._first[entry], self._first[entry + 1]
        if end == begin + 1:
            return [self._path_of_row(begin, entry)]
        paths = [self._path_of_row(row, entry) for row in range(begin, end) if self._namespaces[row] != DOS_NAMESPACE]
        if not paths and begin < end:
            paths = [self._path_of_row(begin, entry)]
        return paths or [f"{ORPHAN_ROOT}/entry-{entry}"]

    def of_name(self, row: int) -> str:
        """Return the path that one row of the names gives its entry."""
        return self._path_of_row(row, self._names.owner.item(row))

    def folder(self, entry: int, sequence: int, *, alive: bool = False) -> str:
        """Return the path of a directory by its reference; under the orphan root where it is gone.

        A deleted one counts but where what lies in it is `alive`, as in the paths of allocated entries.
        """
        return self._parent_path(entry, sequence, alive=alive)

    def count_orphans(self, entries: I64) -> int:
        """Return how many paths of these allocated entries lie under the orphan root: each parent is looked up once."""
        names, wanted = self._names, np.zeros(len(self._sequences), np.bool_)
        wanted[entries] = True
        counts = np.diff(names.first)
        rows = np.flatnonzero(np.repeat(wanted, counts) & (names.namespace != DOS_NAMESPACE))
        references = names.parent[rows].astype(np.uint64) << _SEQUENCE_BITS | names.parent_sequence[rows]
        parents, times = np.unique(references, return_counts=True)
        orphans: int = sum(
            count
            for reference, count in zip(parents.tolist(), times.tolist(), strict=True)
            if self.is_orphan(self._parent_path(*divmod(reference, 1 << 16), alive=True) + "/")
        )
        wanted[np.searchsorted(names.first, rows, side="right") - 1] = False
        unnamed = np.flatnonzero(wanted).tolist()
        return orphans + sum(self.is_orphan(path) for entry in unnamed for path in self.of(entry))

    def is_orphan(self, path: str) -> bool:
        """Say whether the path lies under the orphan root."""
        return path.startswith(ORPHAN_ROOT + "/")

    def _path_of_row(self, row: int, entry: int) -> str:
        reference = self._parents[row], self._parent_sequences[row], bool(self._in_use[entry])
        parent = self._parent_paths.get(reference)
        if parent is None:
            parent = self._parent_paths[reference] = self._parent_path(*reference[:2], alive=reference[2])
        name = self._name(row)
        return f"{parent}/{name}" if parent else name

    def _name(self, row: int) -> str:
        start = self._offsets[row]
        return utf_16_le_decode(self._names.blob[start : start + self._lengths[row]], "surrogatepass")[0]

    def _parent_path(self, entry: int, sequence: int, *, alive: bool) -> str:
        """Climb from a directory to the root, then name the whole chain downwards."""
        chain: list[tuple[int, int]] = []
        seen: set[int] = set()
        while True:
            if not self._is_parent(entry, sequence, alive=alive):
                path = f"{ORPHAN_ROOT}/{entry}-{sequence}"
                break
            known = self._directories.get(entry)
            if known is not None:
                path = known
                break
            row = self._first[entry]
            if entry in seen or row == self._first[entry + 1] or len(chain) > _LONGEST_CHAIN:
                path = f"{ORPHAN_ROOT}/{entry}-{sequence}"
                break
            seen.add(entry)
            chain.append((entry, row))
            alive = bool(self._in_use[entry])
            entry, sequence = self._parents[row], self._parent_sequences[row]
        for directory, row in reversed(chain):
            name = self._name(row)
            path = f"{path}/{name}" if path else name
            if len(path) > _LONGEST_PATH:
                path = f"{ORPHAN_ROOT}/{directory}-{self._sequences[directory]}"
            self._directories[directory] = path
        return path

    def _is_parent(self, entry: int, sequence: int, *, alive: bool) -> bool:
        """Say whether the reference still means that directory; deleting it raised its sequence number by one."""
        if not 0 <= entry < len(self._sequences) or not self._is_directory[entry]:
            return False
        now: int = self._sequences[entry]
        if self._in_use[entry]:
            return now == sequence
        return not alive and now in (sequence, sequence + 1)
