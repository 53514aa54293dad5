"""What is there of each sign: one pass over all findings, of which there may be a million."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from triage.model.event import Event, EventKind
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.verdict import Stage
from triage.verdict.signs import BY_NAME, Sign, sign_of

KEPT = 1000
IDS_NAMED = 20
_WORM_FILES = ("worm-file", "worm-digest", "worm-content")
_EMBEDDED = "installer-content"
# Times of findings that are of the infection itself; an encrypted file has the others from its original.
_OF_INFECTION = ("fn_created", "key_last_written", "event", "run_1", "first")

_BY_PROGRAM = (FindingKind.EXECUTION, FindingKind.EVENT_LOG, FindingKind.SCHEDULED_TASK)
_SEPARATOR = re.compile(r"[\\/]")

StreamPlace = tuple[str | None, int | None, str | None]


@dataclass(slots=True)
class Trace:
    """What is there of one sign: how many findings, `live` of them not deleted, the first thousand of them.

    `proves`: one of them is of high severity, so that it cannot be there for another reason.
    """

    sign: Sign
    count: int = 0
    live: int = 0
    proves: bool = False
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Take in one finding."""
        self.count += 1
        self.live += not finding.deleted
        self.proves = self.proves or finding.severity is Severity.HIGH
        if len(self.findings) < KEPT:
            self.findings.append(finding)

    @property
    def programs(self) -> frozenset[str] | None:
        """The programs of which this sign knows no more than the name; None where it rests on anything else."""
        named = [program_named(finding) for finding in self.findings]
        programs = frozenset(name for name in named if name is not None)
        return programs if named and None not in named else None

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its first findings."""
        return ids_of(self.findings)


Traces = dict[str, Trace]
"""The signs that are there, by name."""


def ids_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the ids of the first findings."""
    return tuple(finding.id for finding, _ in zip(findings, range(IDS_NAMED), strict=False))


def program_named(finding: Finding) -> str | None:
    """Return the program of which a finding knows the name alone: its file, a run of it, or a task that starts it."""
    if "matched" in finding.facts:  # a digest
        return None
    if finding.kind is FindingKind.NAME:
        path = finding.where.path
    else:
        path = finding.facts.get("program") if finding.kind in _BY_PROGRAM else None
    return None if path is None else _SEPARATOR.split(path)[-1].lower()


def gather_traces(findings: Iterable[Finding], events: Sequence[Event]) -> Traces:
    """Return the signs that findings and events show."""
    traces: Traces = {}
    embedded: list[tuple[Sign, Finding]] = []
    for finding in findings:
        sign = sign_of(finding)
        if sign is None:
            continue
        if sign.name == _EMBEDDED:
            embedded.append((sign, finding))
        else:
            _add(traces, sign, finding)
    _add_what_no_worm_carries(traces, embedded)
    _add_shadow_deletions(traces, events)
    return traces


def _add(traces: Traces, sign: Sign, finding: Finding) -> None:
    if sign.name not in traces:
        traces[sign.name] = Trace(sign)
    traces[sign.name].add(finding)


def _add_what_no_worm_carries(traces: Traces, embedded: Sequence[tuple[Sign, Finding]]) -> None:
    """Take in the encryptor's content where it is by itself: the worm's own file carries all of it inside."""
    if not embedded:
        return
    worms = {_stream(finding) for name in _WORM_FILES if name in traces for finding in traces[name].findings}
    for sign, finding in embedded:
        if _stream(finding) not in worms:
            _add(traces, sign, finding)


def _stream(finding: Finding) -> StreamPlace:
    where = finding.where
    return where.volume, where.mft_entry, where.stream


def _add_shadow_deletions(traces: Traces, events: Sequence[Event]) -> None:
    """Take in that shadow copies began to be deleted, which others do too, where the encryptor was there by then."""
    since = first_time(traces, Stage.ENCRYPTING)
    if since is None:
        return
    sign = BY_NAME["shadows-deleted"]
    count = sum(one.kind is EventKind.SHADOWS_DELETED and one.time_utc >= since for one in events)
    if count > 0:
        traces[sign.name] = Trace(sign, count=count, live=count)


def first_time(traces: Traces, stage: Stage) -> str | None:
    """Return the first time (UTC ISO 8601) that a sign of a stage, or of a later one, has of the infection itself."""
    times = (
        finding.times[name]
        for trace in traces.values()
        if trace.sign.stage is not None and trace.sign.stage >= stage
        for finding in trace.findings
        for name in _OF_INFECTION
        if name in finding.times
    )
    return min(times, default=None)


def has_live(traces: Traces, *names: str) -> bool:
    """Say whether one of these signs is there, and not only as deleted entries."""
    return any(name in traces and traces[name].live > 0 for name in names)
