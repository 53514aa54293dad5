"""Names and paths of entries, deleted ones too, against rules and the names computed for this computer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.examiners.batches import encryption_started
from triage.examiners.places import times_of
from triage.indicators.names import NameRule, NameRules
from triage.indicators.work_directory import PARENT_DIRECTORIES, SHAPE
from triage.model.entry import FileTimes
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where
from triage.model.indicator import Confidence

_COMPUTED = "the work directory's name as computed from the computer name"
_SHAPED = "a directory named like the work directory, in a place where it may be"


class _Told(NamedTuple):
    """What a name tells, before it becomes a finding."""

    indicator: str
    kind: FindingKind
    severity: Severity
    facts: dict[str, str]


class NameExaminer:
    """Looks at one entry at a time; made for a million of them, so a name of no interest costs two look-ups.

    `computed_work_directories` are the names that the generator gives for the computer names in the hives.
    """

    def __init__(self, rules: NameRules, computed_work_directories: frozenset[str] = frozenset()) -> None:
        self.rules = rules
        self._computed = computed_work_directories

    def examine(
        self,
        path: str,
        *,
        volume: str,
        mft_entry: int,
        is_directory: bool,
        deleted: bool = False,
        si: FileTimes | None = None,
        fn: FileTimes | None = None,
    ) -> Sequence[Finding]:
        """Return what the path of one entry tells: at most one finding.

        `path` is `/`-separated from the volume's root, without a leading slash.
        """
        name = path.rpartition("/")[2]
        is_known = len(self.rules.candidates(name.lower())) > 0
        shaped = is_directory and (name in self._computed or name[-3:].isdigit())
        if not is_known and not shaped:
            return ()
        parent = path[: max(len(path) - len(name) - 1, 0)]
        rule = self.rules.first(name, parent, directory=is_directory) if is_known else None
        told = None if rule is None else _Told(rule.id, rule.kind, rule.severity, _rule_facts(rule, name))
        if told is None and shaped:
            told = self._work_directory(name, parent)
        if told is None:
            return ()
        return (
            Finding(
                family=self.rules.family,
                kind=told.kind,
                indicator=told.indicator,
                set=self.rules.info.name,
                severity=told.severity,
                where=Where(volume=volume, path=path, mft_entry=mft_entry),
                times=times_of(si, fn) | _time_in(name),
                facts=told.facts,
                deleted=deleted,
            ),
        )

    def _work_directory(self, name: str, parent: str) -> _Told | None:
        """Return what a directory's name says: much where computed, little where only the shape fits."""
        if name in self._computed:
            facts = {"description": _COMPUTED, "confidence": Confidence.HIGH.value}
            return _Told("work-directory-computed", FindingKind.WORK_DIRECTORY, Severity.HIGH, facts)
        if SHAPE.fullmatch(name) is not None and PARENT_DIRECTORIES.fullmatch(parent) is not None:
            facts = {"description": _SHAPED, "confidence": Confidence.LOW.value}
            return _Told("work-directory-shape", FindingKind.WORK_DIRECTORY, Severity.LOW, facts)
        return None


def _rule_facts(rule: NameRule, name: str) -> dict[str, str]:
    """Return what a rule has to say for itself, and the time that a batch file's name carries."""
    facts = {"description": rule.description, "confidence": rule.confidence.value, "source": rule.source}
    if rule.content_decides:
        facts["decided_by"] = "content"
    started = encryption_started(name)
    if started is not None:
        facts["encryption_started_utc"] = f"{started[:19]}Z"
    return facts


def _time_in(name: str) -> dict[str, str]:
    """Return the time that a batch file's name carries."""
    started = encryption_started(name)
    return {} if started is None else {"encryption_started": started}
