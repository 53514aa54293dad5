"""Names that only the change journal still knows: of files whose record is free again, or another file's.

The journal names a file by MFT entry and sequence number. NTFS raises the number when it frees a record, so a reference
tells whether the record still is, last was, or is no more that file's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from triage.artefacts.usn_journal import ChangeColumns
from triage.model.change import FILE_DELETE, RENAME_OLD_NAME, split_reference
from triage.volumes.mft_records import Mask
from triage.walk.mft import MftTable
from triage.walk.paths import Paths

_MOST_FILES = 250_000
_DEEPEST = 256
_DIRECTORY = 0x10
_ENTRY_MASK = np.uint64((1 << 48) - 1)


@dataclass(slots=True)
class JournalledFile:
    """What the journal last said of one file; `parent` is its directory's reference, times are FILETIME, 0 for none.

    `former` is name and directory before the last rename.
    """

    name: str
    parent: int
    directory: bool = False
    deleted: int = 0
    former: tuple[str, int] | None = None


class FormerNames:
    """Gathers, of the files that are not there any more, the last names; `left_out` counts those beyond a limit."""

    def __init__(self, table: MftTable, paths: Paths) -> None:
        self._entries = table.entries
        self._paths = paths
        self._files: dict[int, JournalledFile] = {}
        self.left_out = 0

    def add(self, columns: ChangeColumns) -> None:
        """Take some records, in order."""
        rows = np.flatnonzero((columns.version != 4) & (columns.file_high == 0) & ~self._is_there(columns))
        fields = (columns.file, columns.parent, columns.reason, columns.time, columns.attributes)
        for row, *values in zip(rows.tolist(), *(field[rows].tolist() for field in fields), strict=True):
            reference, parent, reason, time, attributes = values
            name = columns.names[row]
            file = self._files.get(reference)
            if file is None:
                if len(self._files) >= _MOST_FILES:
                    self.left_out += 1
                    continue
                file = self._files[reference] = JournalledFile(name, parent)
            if reason & RENAME_OLD_NAME:
                file.former = name, parent
            file.name, file.parent = name, parent
            file.directory = attributes & _DIRECTORY != 0
            if reason & FILE_DELETE:
                file.deleted = time

    def of_record(self, entry: int, sequence: int) -> JournalledFile | None:
        """Return what the journal says of the file that a free record last was."""
        return self._files.get(_reference(entry, sequence - 1)) or self._files.get(_reference(entry, sequence))

    def without_record(self) -> Iterator[tuple[int, int, JournalledFile]]:
        """Yield entry and sequence number of each file that has no record any more, and what the journal says of it."""
        entries = self._entries
        for reference, file in sorted(self._files.items()):
            entry, sequence = split_reference(reference)
            is_free = entry < len(entries.in_use) and not entries.in_use[entry] and entries.readable[entry]
            if not is_free or entries.sequence.item(entry) not in (sequence, sequence + 1):
                yield entry, sequence, file

    def path(self, name: str, parent: int) -> str:
        """Return the path of a name in a directory that may be gone, too; under the orphan root where nothing tells."""
        names = [name]
        for _level in range(_DEEPEST):
            path = self._paths.folder(*split_reference(parent))
            above = self._files.get(parent) if self._paths.is_orphan(path) else None
            if above is None:
                break
            names.append(above.name)
            parent = above.parent
        return "/".join([path, *reversed(names)] if path else reversed(names))

    def former_path(self, file: JournalledFile) -> str | None:
        """Return the path before the last rename; None where there was none."""
        if file.former is None or file.former == (file.name, file.parent):
            return None
        return self.path(*file.former)

    def _is_there(self, columns: ChangeColumns) -> Mask:
        """Tell the records of files that are still there."""
        entry = columns.file & _ENTRY_MASK
        known = entry < len(self._entries.in_use)
        entry = np.where(known, entry, np.uint64(0))
        same = self._entries.sequence[entry] == columns.file >> np.uint64(48)
        there: Mask = known & same & self._entries.in_use[entry]
        return there


def _reference(entry: int, sequence: int) -> int:
    return sequence % 0x10000 << 48 | entry
