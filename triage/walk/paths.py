"""Paths, rebuilt from parent references: each name says its directory by entry and sequence number.

A sequence number tells whether that directory is still the one that was meant. What has no parent any more goes under
an orphan root, as in The Sleuth Kit.
"""

from __future__ import annotations

from codecs import utf_16_le_decode

from triage.walk.mft import DOS_NAMESPACE, MftTable

ROOT_ENTRY = 5
ORPHAN_ROOT = "$OrphanFiles"
_LONGEST_CHAIN = 4096


class Paths:
    """Names and paths of one volume's entries; directories' paths are remembered, files' are not."""

    def __init__(self, table: MftTable) -> None:
        self._entries = table.entries
        self._names = table.names
        self._directories: dict[int, str] = {ROOT_ENTRY: ""}
        self._parent_paths: dict[tuple[int, int, bool], str] = {}
        self._first: list[int] = table.names.first.tolist()
        self._parents: list[int] = table.names.parent.tolist()
        self._parent_sequences: list[int] = table.names.parent_sequence.tolist()
        self._namespaces: list[int] = table.names.namespace.tolist()
        self._offsets: list[int] = table.names.offset.tolist()
        self._lengths: list[int] = table.names.length.tolist()
        self._sequences: list[int] = table.entries.sequence.tolist()
        self._in_use: list[bool] = table.entries.in_use.tolist()
        self._is_directory: list[bool] = table.entries.directory.tolist()

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

    def folder(self, entry: int, sequence: int) -> str:
        """Return the path of a directory by its reference, even if deleted; under the orphan root where it is gone."""
        return self._parent_path(entry, sequence, alive=False)

    def is_orphan(self, path: str) -> bool:
        """Say whether the path lies under the orphan root."""
        return path.startswith(ORPHAN_ROOT + "/")

    def _path_of_row(self, row: int, entry: int) -> str:
        reference = self._parents[row], self._parent_sequences[row], self._in_use[entry]
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
            alive = self._in_use[entry]
            entry, sequence = self._parents[row], self._parent_sequences[row]
        for directory, row in reversed(chain):
            name = self._name(row)
            path = f"{path}/{name}" if path else name
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
