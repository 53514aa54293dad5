"""Renames in the change journal → findings: the journal still tells of the encryption when its files are gone.

The encryptor writes `X.WNCRYT` beside `X` and renames it to `X.WNCRY` when it is complete; a large file that it only
prepares becomes `X.WNCYR`; an original that it does not overwrite becomes `<number>.WNCRYT` in another directory
(annotated decompilation of the encryptor; 360 recovery report; Telefonica file restorer).
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from triage.artefacts.usn_journal import U64, ChangeColumns
from triage.model.change import RENAME_NEW_NAME, RENAME_OLD_NAME, join_reference
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where

FAMILY = "wannacry"
INDICATOR_SET = "wannacry-renames"
_ENDINGS = (".wncry", ".wncryt", ".wncyr")
_MOVED_ORIGINAL = re.compile(r"[0-9]{1,10}\.wncryt")
_MOST_PENDING = 65_536
_MOST_TIMES = 4_000_000
_NONE: U64 = np.zeros(0, np.uint64)


class _Rule(NamedTuple):
    indicator: str
    severity: Severity
    description: str


_ENCRYPTED = _Rule(
    "encrypted-rename", Severity.HIGH, "Renamed from its temporary name .WNCRYT to .WNCRY: a file was encrypted"
)
_PREPARED = _Rule(
    "prepared-rename", Severity.MEDIUM, "Renamed to .WNCYR, the rest of its name kept: a large file was prepared"
)
_MOVED = _Rule(
    "moved-original-rename", Severity.MEDIUM, "Renamed to a number with .WNCRYT: a plain original was moved away"
)
_OTHER = _Rule("ending-rename", Severity.LOW, "Renamed to an ending of the encryptor in a way that is not its own")


@dataclass(slots=True)
class _Count:
    """The renames that one rule has met: how many, the first and last time, the first one's place and names."""

    offset_bytes: int
    example: str
    first: int
    last: int
    count: int = 0

    def add(self, time: int) -> None:
        self.count += 1
        self.first, self.last = min(self.first, time), max(self.last, time)


class RenameTimes:
    """When files got the name of an encrypted one, by file reference: two columns, for millions of them."""

    def __init__(self, files: U64 = _NONE, times: U64 = _NONE) -> None:
        self._files = files
        self._times = times

    def of(self, entry: int, sequence: int) -> int | None:
        """Return the last such time (FILETIME) of the file that an MFT record holds; None where there is none."""
        reference = np.uint64(join_reference(entry, sequence))
        row = int(np.searchsorted(self._files, reference, side="right")) - 1
        return int(self._times[row]) if row >= 0 and self._files[row] == reference else None


class RenameExaminer:
    """Takes the records of one journal in order and counts what the encryptor's renames look like."""

    def __init__(self) -> None:
        self._old_names: dict[tuple[int, int], str] = {}
        self._files, self._times = array("Q"), array("Q")
        self._counts: dict[_Rule, _Count] = {}

    def add(self, columns: ChangeColumns) -> None:
        """Take some records. A rename is a pair: the record of the old name and that of the new one, of one file."""
        renames = np.flatnonzero(columns.reason & np.uint64(RENAME_OLD_NAME | RENAME_NEW_NAME))
        reasons, times = columns.reason[renames].tolist(), columns.time[renames].tolist()
        files = zip(columns.file[renames].tolist(), columns.file_high[renames].tolist(), strict=True)
        offsets = columns.usn[renames].tolist()
        for row, reason, time, file, offset in zip(renames.tolist(), reasons, times, files, offsets, strict=True):
            name = columns.names[row]
            if reason & RENAME_OLD_NAME:
                if len(self._old_names) >= _MOST_PENDING:
                    self._old_names.clear()  # old names without a new one: a journal is not like that
                self._old_names[file] = name
            elif (old := self._old_names.pop(file, None)) is not None:
                self._examine(old, name, time, offset, file)

    def findings(self, journal: Where) -> list[Finding]:
        """Return one finding for each kind of rename that occurred."""
        return [_finding(rule, count, journal) for rule, count in self._counts.items()]

    def times(self) -> RenameTimes:
        """Return when each file got its last name, the first millions of them."""
        files, times = np.frombuffer(self._files, np.uint64), np.frombuffer(self._times, np.uint64)
        order = np.argsort(files, kind="stable")
        return RenameTimes(files[order], times[order])

    def _examine(self, old: str, new: str, time: int, offset_bytes: int, file: tuple[int, int]) -> None:
        rule = _rule(old.lower(), new.lower())
        if rule in (_ENCRYPTED, _PREPARED) and file[1] == 0 and len(self._files) < _MOST_TIMES:
            self._files.append(file[0])
            self._times.append(time)
        if rule is not None:
            count = self._counts.setdefault(rule, _Count(offset_bytes, f"{old} → {new}", time, time))
            count.add(time)


def _rule(old: str, new: str) -> _Rule | None:
    """Return what kind of rename it is, by both names in lower case; None for all that do not concern us."""
    if not new.endswith(_ENDINGS):
        return None
    stem, _dot, ending = new.rpartition(".")
    if ending == "wncry" and old in (f"{stem}.wncryt", f"{stem}.wncyr"):
        return _ENCRYPTED
    if ending == "wncyr" and old in (stem, f"{stem}.wncryt"):
        return _PREPARED
    if _MOVED_ORIGINAL.fullmatch(new) and not old.endswith(_ENDINGS):
        return _MOVED
    return _OTHER


def _finding(rule: _Rule, count: _Count, journal: Where) -> Finding:
    times = {"journal_first": filetime_to_iso(count.first), "journal_last": filetime_to_iso(count.last)}
    return Finding(
        family=FAMILY,
        kind=FindingKind.JOURNAL,
        indicator=rule.indicator,
        set=INDICATOR_SET,
        severity=rule.severity,
        where=replace(journal, offset_bytes=count.offset_bytes),
        times={name: moment for name, moment in times.items() if moment is not None},
        excerpt=count.example,
        facts={"description": rule.description, "renames": str(count.count)},
    )
