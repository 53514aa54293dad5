"""Names and paths of entries, deleted ones too, against rules and the names computed for this computer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from triage.examiners.batches import encryption_started
from triage.examiners.places import times_of
from triage.indicators.names import NameRule, NameRules
from triage.indicators.work_directory import PARENT_DIRECTORIES, SHAPE
from triage.model.entry import FileTimes
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where
from triage.model.indicator import Confidence

_COMPUTED = "the work directory's name as computed from the computer name"
_ALONE = "no other name of the malware is in this directory, where it leaves several"
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
        known = self._computed
        rule = self.rules.first(name, parent, directory=is_directory, work_directories=known) if is_known else None
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


class Company:
    """Which names lie beside each other: notes, windows and components come together, a namesake by itself.

    Takes each entry that a rule knows; then tells how much the name of one weighs.
    """

    def __init__(self, rules: NameRules) -> None:
        every = (rule for table in (rules.by_name, rules.by_extension) for some in table.values() for rule in some)
        self._alone = {rule.id: rule.alone for rule in every if rule.alone is not None}
        self._first: dict[str, str] = {}
        self._with_others: set[str] = set()

    def add(self, finding: Finding) -> None:
        """Take in the finding of a name."""
        folder, _slash, name = (finding.where.path or "").lower().rpartition("/")
        if self._first.setdefault(folder, name) != name:
            self._with_others.add(folder)

    def can_be_alone(self, finding: Finding) -> bool:
        """Say whether it matters for a finding what else is in its directory."""
        return finding.indicator in self._alone

    def weighed(self, finding: Finding) -> Finding:
        """Return a finding as heavy as its company makes it; all names have been added before."""
        folder = (finding.where.path or "").lower().rpartition("/")[0]
        alone = self._alone.get(finding.indicator)
        if alone is None or folder in self._with_others:
            return finding
        return replace(finding, severity=alone, facts={**finding.facts, "alone": _ALONE})


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
