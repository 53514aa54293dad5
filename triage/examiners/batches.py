"""The batch file that makes the ransom window's shortcut: its name says when the encryption began.

It is called `<rand><time>.bat`: a number of the C run-time library's `rand`, at most 32767, and ten digits of Unix time
(FireEye profile; published examples). It deletes itself within seconds, so that mostly free records of `$MFT` and the
change journal still know the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from triage.artefacts.usn_journal import ChangeColumns
from triage.indicators.names import NameRules
from triage.model.filetime import TICKS_PER_SECOND, UNIX_EPOCH_TICKS, filetime_to_iso
from triage.model.finding import Finding, FindingKind
from triage.model.gap import Where

_NAME = re.compile(r"([0-9]{1,5})([0-9]{10})\.bat", re.IGNORECASE | re.ASCII)
_LARGEST_RAND = 0x7FFF
_ENDING = ".bat"
_MOST = 1000


def encryption_started(name: str) -> str | None:
    """Return the time in a batch file's name as UTC ISO 8601; None where it is no such name."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[1]) > _LARGEST_RAND:
        return None
    return filetime_to_iso(int(match[2]) * TICKS_PER_SECOND + UNIX_EPOCH_TICKS)


class _Noted(NamedTuple):
    """Where the journal first names a batch file, and when."""

    offset_bytes: int
    time: int


class BatchExaminer:
    """Takes the records of one journal and keeps the batch files that they name, the first thousand of them.

    `path_of` gives the path of a name in the directory of a reference.
    """

    def __init__(self, rules: NameRules, path_of: Callable[[str, int], str]) -> None:
        self._rules = rules
        self._path_of = path_of
        self._noted: dict[tuple[str, int], _Noted] = {}

    def add(self, columns: ChangeColumns) -> None:
        """Take some records."""
        rows = [row for row, name in enumerate(columns.names) if name[-len(_ENDING) :].lower() == _ENDING]
        for row in rows:
            name = columns.names[row]
            if len(self._noted) < _MOST and encryption_started(name) is not None:
                key = name, columns.parent.item(row)
                self._noted.setdefault(key, _Noted(columns.usn.item(row), columns.time.item(row)))

    def findings(self, journal: Where) -> list[Finding]:
        """Return a finding for each batch file, judged by the rules for names like one that is still there."""
        return [
            finding
            for (name, parent), noted in self._noted.items()
            if (finding := self._finding(name, self._path_of(name, parent), noted, journal)) is not None
        ]

    def _finding(self, name: str, path: str, noted: _Noted, journal: Where) -> Finding | None:
        rule = self._rules.first(name, path.rpartition("/")[0], directory=False)
        if rule is None:
            return None
        times = {"encryption_started": encryption_started(name), "journal_first": filetime_to_iso(noted.time)}
        return Finding(
            family=self._rules.family,
            kind=FindingKind.JOURNAL,
            indicator=rule.id,
            set=self._rules.info.name,
            severity=rule.severity,
            where=replace(journal, offset_bytes=noted.offset_bytes),
            times={key: moment for key, moment in times.items() if moment is not None},
            excerpt=path,
            facts={"description": rule.description, "confidence": rule.confidence.value, "source": rule.source},
        )
