r"""Programs that Windows itself has noted → findings: the malware's by path or SHA-1, though its files may be gone.

A path is judged by the same rules as the name of a file on the disk. That a program stands in a cache says that Windows
met it; whether it ran is told apart where the trace tells it. Programs of Windows that WannaCry runs, too, are
anybody's: they become events, and only where a time of their run is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from triage.artefacts.program_path import name_of, volume_path
from triage.indicators.digests import DigestTable, matched_digests
from triage.indicators.names import NameRules
from triage.model.event import Event, EventKind, EventSource
from triage.model.finding import Digests, Finding, FindingKind, Severity
from triage.model.gap import Where
from triage.model.indicator import Confidence, DigestIndicator
from triage.model.told import Told

DESTROYERS = frozenset({"vssadmin.exe", "wmic.exe", "bcdedit.exe", "wbadmin.exe"})
"""Programs of Windows by which shadow copies, backups and the repair at start are removed."""

WINDOWS_PROGRAMS = DESTROYERS | {"attrib.exe", "icacls.exe", "cscript.exe", "reg.exe", "cmd.exe", "taskkill.exe"}
"""Programs of Windows that WannaCry runs: FireEye profile, annotated decompilation of the encryptor."""

_IN_COMPUTED = "A program in the work directory whose name was computed from the computer name"


class SeenProgram(Struct, frozen=True, kw_only=True):
    """One program as a trace names it.

    `kind` and `times` are those of a finding; `run_utc` is when it ran, as far as that is told. `size_bytes` is 0 where
    unknown.
    """

    path: str
    where: Where
    source: EventSource
    kind: FindingKind = FindingKind.EXECUTION
    times: dict[str, str] = {}
    facts: dict[str, str] = {}
    run_utc: str | None = None
    sha1: str | None = None
    size_bytes: int | None = None


class Known(NamedTuple):
    """What programs are held against; `work_directories` are the names computed for this computer."""

    names: NameRules
    digests: DigestTable
    work_directories: frozenset[str] = frozenset()


class _Match(NamedTuple):
    indicator: str
    set: str
    family: str
    severity: Severity
    facts: dict[str, str]


def examine_programs(programs: Iterable[SeenProgram], known: Known) -> Told:
    """Return a finding for each program that is the malware's, by digest or else by path, and events for destroyers."""
    findings: list[Finding] = []
    events: list[Event] = []
    for program in programs:
        findings += judge_program(program, known)
        if program.run_utc is not None and name_of(program.path) in DESTROYERS:
            events.append(program_run(program, program.run_utc))
    return Told(findings=tuple(findings), events=tuple(events))


def judge_program(program: SeenProgram, known: Known) -> list[Finding]:
    """Return what it means that a program of this path or SHA-1 was met; nothing where it is not the malware's."""
    return [_finding(program, match) for match in _by_digest(program, known) or _by_path(program, known)]


def program_run(program: SeenProgram, run_utc: str) -> Event:
    """Return the event of a program that is anybody's."""
    return Event(
        time_utc=run_utc,
        kind=EventKind.PROGRAM_RUN,
        source=program.source,
        what=name_of(program.path),
        where=program.where,
        facts={"program": program.path, **program.facts},
    )


def _by_digest(program: SeenProgram, known: Known) -> list[_Match]:
    if program.sha1 is None or program.size_bytes == 0:
        return []
    digests = Digests(sha1=program.sha1)
    return [_of_digest(one, digests) for one in known.digests.match(digests, program.size_bytes or 1)]


def _of_digest(indicator: DigestIndicator, digests: Digests) -> _Match:
    facts = {
        "description": indicator.description,
        "confidence": indicator.confidence.value,
        "source": indicator.source,
        "matched": ", ".join(matched_digests(indicator, digests)),
    }
    return _Match(str(indicator.sha1), indicator.set, indicator.family, indicator.severity, facts)


def _by_path(program: SeenProgram, known: Known) -> list[_Match]:
    parent, _slash, name = volume_path(program.path).rpartition("/")
    rules = known.names
    computed = next((part for part in parent.lower().split("/") if part in known.work_directories), None)
    is_capitals = program.path == program.path.upper()  # prefetch files keep nothing else
    rule = rules.first(name, parent.lower() if computed is not None or is_capitals else parent, directory=False)
    if rule is not None and not rule.content_decides and (computed is None or rule.severity is Severity.HIGH):
        facts = {"description": rule.description, "confidence": rule.confidence.value, "source": rule.source}
        if computed is not None:
            facts["work_directory"] = computed
        return [_Match(rule.id, rules.info.name, rules.family, rule.severity, facts)]
    if computed is None:
        return []
    facts = {"description": _IN_COMPUTED, "confidence": Confidence.HIGH.value, "work_directory": computed}
    return [_Match("program-in-computed-work-directory", rules.info.name, rules.family, Severity.HIGH, facts)]


def _finding(program: SeenProgram, match: _Match) -> Finding:
    return Finding(
        family=match.family,
        kind=program.kind,
        indicator=match.indicator,
        set=match.set,
        severity=match.severity,
        where=program.where,
        times=program.times,
        digests=Digests(sha1=program.sha1),
        excerpt=program.path,
        facts={**match.facts, "program": program.path, "noted_in": program.source.value, **program.facts},
    )
