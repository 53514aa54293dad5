"""From what the journal holds to the report: counts, numbers and the verdict. This needs no evidence any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from triage.indicators.ms17_010 import load_fixes
from triage.model.entry import StreamState
from triage.model.evidence import Evidence
from triage.model.finding import Finding
from triage.model.gap import Gap, GapKind, Where
from triage.model.report import (
    CaseInfo,
    Coverage,
    FirstVerdict,
    Report,
    RescueSummary,
    Tool,
)
from triage.model.rescue import RescueOutcome
from triage.pipeline.gathered import Gathered
from triage.verdict.chronology import Chronology
from triage.verdict.cleanup import plan_cleanup
from triage.verdict.exposure import judge_exposure
from triage.verdict.judge import judge
from triage.verdict.materiality import weigh
from triage.verdict.timeline import build_timeline

_UNSAVED = {
    RescueOutcome.FAILED: "not rescued",
    RescueOutcome.INCOMPLETE: "rescued in part",
    RescueOutcome.INTERRUPTED: "not rescued, the run was interrupted",
}
IN_BAG = (
    RescueOutcome.RESCUED,
    RescueOutcome.DOUBTFUL,
    RescueOutcome.RECOVERABLE,
    RescueOutcome.INCOMPLETE,
)


def build_report(
    gathered: Gathered,
    *,
    tool: Tool,
    case: CaseInfo,
    evidence: Sequence[Evidence],
    destination: Path | None,
    deleted: bool = True,
) -> tuple[Report, Chronology]:
    """Number and weigh everything, judge it, and put it into one document; return with it all events in order."""
    enumerations = gathered.enumerations.values()
    ledger, unread = gathered.account.close(enumerations)
    unsaved = [] if destination is None else _not_rescued(gathered)
    unread += _not_tried_again(gathered)
    gaps = weigh(_numbered_gaps([*gathered.gaps, *unread, *_not_enumerated(gathered), *unsaved]))
    findings = _numbered_findings(gathered.findings.values())
    streams_by_state = _added_up(row.streams_by_state for row in ledger)
    coverage = Coverage(
        entries=sum(one.reconciliation.base_records for one in enumerations),
        deleted_entries=sum(one.reconciliation.deleted_entries for one in enumerations),
        streams=sum(one.reconciliation.streams for one in enumerations),
        streams_by_state=streams_by_state,
        bytes_by_state=_added_up(row.bytes_by_state for row in ledger),
        streams_by_form=dict(sorted((+gathered.forms).items())),
        windowed_streams=gathered.windowed,
        known_good_streams=streams_by_state.get(StreamState.KNOWN_GOOD, 0),
        known_good_dropped=gathered.known_good_dropped,
        bytes_total=sum(one.bytes_total for one in enumerations),
        bytes_read=gathered.bytes_read,
        reconciliation=tuple(one.reconciliation for one in enumerations),
        ledger=ledger,
    )
    events, chronology = tuple(gathered.events.values()), Chronology(findings, gathered.events.values())
    volumes, journals = tuple(gathered.volumes.values()), tuple(gathered.journals.values())
    verdict = judge(findings, gaps, events, volumes)
    report = Report(
        tool=msgspec.structs.replace(tool, indicator_sets=tuple(gathered.sets.values())),
        case=case,
        evidence=tuple(evidence),
        volumes=volumes,
        findings=findings,
        gaps=gaps,
        coverage=coverage,
        verdict=verdict,
        rescue=None if destination is None else _rescue_summary(gathered, destination),
        deleted=tuple(gathered.deleted.values()) if deleted else None,
        journals=journals,
        timeline=build_timeline(chronology, volumes=volumes, journals=journals, examined_utc=case.started_utc),
        cleanup=plan_cleanup(findings, volumes, events),
        exposure=tuple(judge_exposure(facts, load_fixes()) for facts in gathered.exposures.values()),
    )
    return report, chronology


def judge_first(gathered: Gathered) -> FirstVerdict:
    """Judge what is known before the long read: without indicators that is never more than inconclusive."""
    ledger, unread = gathered.account.close(gathered.enumerations.values())
    findings = _numbered_findings(gathered.findings.values())
    gaps = weigh(_numbered_gaps([*gathered.gaps, *unread, *_not_enumerated(gathered)]))
    return FirstVerdict(
        verdict=judge(findings, gaps, tuple(gathered.events.values()), tuple(gathered.volumes.values())),
        findings=findings,
        unread_streams=sum(row.streams_by_state.get(StreamState.INTERRUPTED, 0) for row in ledger),
    )


def _added_up(of_volumes: Iterable[dict[str, int]]) -> dict[str, int]:
    """Add up counts by state over the volumes, the states in their order."""
    total: Counter[str] = Counter()
    for counts in of_volumes:
        total.update(counts)
    return {state.value: total[state] for state in StreamState if state in total}


def _not_tried_again(gathered: Gathered) -> Iterator[Gap]:
    """Yield a gap where streams with unreadable ranges were to be read a second time."""
    if gathered.deferred:
        detail = f"the run ended before {len(gathered.deferred)} streams with unreadable ranges were read once more"
        yield Gap(kind=GapKind.INTERRUPTED, detail=detail)


def _not_enumerated(gathered: Gathered) -> Iterator[Gap]:
    """Yield a gap for each volume that was not enumerated, or one for all where the run did not get to volumes."""
    if not gathered.volumes:
        yield Gap(kind=GapKind.INTERRUPTED, detail="the run ended before the evidence was looked into")
    for volume in gathered.volumes.values():
        if volume.examined and volume.id not in gathered.enumerations:
            yield Gap(
                kind=GapKind.VOLUME_NOT_EXAMINED,
                detail="it is not known what is on this volume: its enumeration did not come to its end",
                where=Where(volume=volume.id),
                bytes=volume.length_bytes,
            )


def _not_rescued(gathered: Gathered) -> list[Gap]:
    """Return a gap for each user's file that was not saved, or not whole, and one for those that were not reached."""
    gaps = [
        Gap(
            kind=GapKind.NOT_RESCUED,
            detail=f"{_UNSAVED[file.outcome]}: {file.detail}" if file.detail else _UNSAVED[file.outcome],
            where=Where(volume=file.volume, path=file.path, other_paths=file.other_paths, mft_entry=file.mft_entry),
            bytes=file.size_bytes,
        )
        for file in gathered.rescued.values()
        if file.outcome in _UNSAVED
    ]
    unreached = (gathered.selected or 0) - len(gathered.rescued)
    if unreached > 0:
        detail = f"the run ended before {unreached} users' files were rescued"
        gaps.append(Gap(kind=GapKind.NOT_RESCUED, detail=detail))
    return gaps


def _rescue_summary(gathered: Gathered, destination: Path) -> RescueSummary:
    files = gathered.rescued.values()
    by_outcome = Counter(file.outcome for file in files)
    bytes_by_outcome: Counter[RescueOutcome] = Counter()
    for file in files:
        bytes_by_outcome[file.outcome] += file.size_bytes
    unsettled = (gathered.selected or 0) - len(gathered.rescued)
    if unsettled > 0:
        by_outcome[RescueOutcome.INTERRUPTED] += unsettled
    return RescueSummary(
        destination=str(destination),
        files=sum(by_outcome[outcome] for outcome in IN_BAG),
        bytes=sum(bytes_by_outcome[outcome] for outcome in IN_BAG),
        by_outcome={outcome.value: by_outcome[outcome] for outcome in RescueOutcome if by_outcome[outcome]},
        bytes_by_outcome={outcome.value: bytes_by_outcome[outcome] for outcome in RescueOutcome if by_outcome[outcome]},
    )


def _numbered_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Order the findings by place and give them ids, so that the same evidence gives the same report."""
    ordered = sorted(findings, key=lambda one: (*_place_key(one.where), one.kind, one.set, one.indicator))
    return tuple(msgspec.structs.replace(finding, id=f"F{number:06d}") for number, finding in enumerate(ordered, 1))


def _numbered_gaps(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    ordered = sorted(gaps, key=lambda one: (*_place_key(one.where), one.kind, one.detail))
    return tuple(msgspec.structs.replace(gap, id=f"G{number:06d}") for number, gap in enumerate(ordered, 1))


def _place_key(where: Where) -> tuple[int, str, int, str, str, int]:
    volume = where.volume or ""
    return (
        len(volume),
        volume,
        -1 if where.mft_entry is None else where.mft_entry,
        where.path or "",
        where.stream or "",
        -1 if where.offset_bytes is None else where.offset_bytes,
    )
