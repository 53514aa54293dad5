"""From the journal to the report: counts, numbers and the verdict. This needs no evidence any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from triage.model.entry import StreamState
from triage.model.evidence import Evidence
from triage.model.finding import Digests, Finding, FindingKind
from triage.model.gap import Gap, GapKind, Where
from triage.model.indicator import IndicatorSet
from triage.model.report import (
    CaseInfo,
    Coverage,
    Report,
    RescueSummary,
    StreamDigest,
    Tool,
)
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.model.volume import VolumeInfo
from triage.pipeline.journal import (
    EnumerationRecord,
    FindingRecord,
    GapRecord,
    RescueRecord,
    SelectionRecord,
    SessionRecord,
    SetsRecord,
    StreamRecord,
    VolumeRecord,
    read_journal,
)
from triage.verdict.judge import judge
from triage.verdict.materiality import weigh

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

FindingKey = tuple[Where, FindingKind, str, str]


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What the journal holds, each thing once: a restarted worker or a resumed run says some things again."""

    sessions: list[SessionRecord] = field(default_factory=list)
    sets: dict[str, IndicatorSet] = field(default_factory=dict)
    volumes: dict[str, VolumeInfo] = field(default_factory=dict)
    enumerations: dict[str, EnumerationRecord] = field(default_factory=dict)
    findings: dict[FindingKey, Finding] = field(default_factory=dict)
    gaps: dict[Gap, None] = field(default_factory=dict)
    rescued: dict[tuple[str, int, str], RescuedFile] = field(default_factory=dict)
    selected: int | None = None
    streams: Counter[StreamState] = field(default_factory=Counter)
    stream_bytes: Counter[StreamState] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    windowed: int = 0
    known_good: int = 0
    known_good_dropped: int = 0
    bytes_read: int = 0


def gather(journal: Path) -> Gathered:
    """Read the journal once."""
    gathered = Gathered()
    for record in _once(journal):
        match record:
            case StreamRecord():
                gathered.streams[record.state] += 1
                gathered.stream_bytes[record.state] += record.size_bytes
                gathered.forms[record.form] += 1
                gathered.windowed += record.windowed
                gathered.bytes_read += record.bytes_read
                gathered.known_good += record.known_good
                gathered.known_good_dropped += record.dropped
            case RescueRecord(file):
                gathered.rescued[file.volume, file.mft_entry, file.path] = file
            case FindingRecord(finding):
                key = (finding.where, finding.kind, finding.set, finding.indicator)
                gathered.findings.setdefault(key, finding)
            case GapRecord(gap):
                gathered.gaps[gap] = None
            case VolumeRecord(volume):
                known = gathered.volumes.get(volume.id)
                if known is None or known.windows is None:
                    gathered.volumes[volume.id] = volume
            case EnumerationRecord(reconciliation):
                gathered.enumerations[reconciliation.volume] = record
            case SetsRecord(sets):
                gathered.sets |= {one.name: one for one in sets}
            case SelectionRecord(files):
                gathered.selected = files
            case SessionRecord():
                gathered.sessions.append(record)
    return gathered


def stream_digests(journal: Path) -> Iterator[StreamDigest]:
    """Yield size, digests and name of every stream that was read whole, in the order of reading."""
    for record in _once(journal):
        if isinstance(record, StreamRecord) and record.sha256:
            name = f"{record.volume}/{record.path}"
            yield StreamDigest(
                record.size_bytes,
                Digests(md5=record.md5, sha256=record.sha256),
                f"{name}:{record.stream}" if record.stream else name,
            )


def build_report(
    gathered: Gathered, *, tool: Tool, case: CaseInfo, evidence: Sequence[Evidence], destination: Path | None
) -> Report:
    """Number and weigh everything, judge it, and put it into one document."""
    streams, stream_bytes, missing = _account(gathered)
    unread = [] if missing is None else [missing]
    unsaved = [] if destination is None else _not_rescued(gathered)
    gaps = weigh(_numbered_gaps([*gathered.gaps, *unread, *_not_enumerated(gathered), *unsaved]))
    findings = _numbered_findings(gathered.findings.values())
    enumerations = gathered.enumerations.values()
    coverage = Coverage(
        entries=sum(one.reconciliation.base_records for one in enumerations),
        deleted_entries=sum(one.reconciliation.deleted_entries for one in enumerations),
        streams=sum(one.reconciliation.streams for one in enumerations),
        streams_by_state={state.value: streams[state] for state in StreamState if streams[state]},
        bytes_by_state={state.value: stream_bytes[state] for state in StreamState if streams[state]},
        streams_by_form=dict(sorted(gathered.forms.items())),
        windowed_streams=gathered.windowed,
        known_good_streams=gathered.known_good,
        known_good_dropped=gathered.known_good_dropped,
        bytes_total=sum(one.bytes_total for one in enumerations),
        bytes_read=gathered.bytes_read,
        reconciliation=tuple(one.reconciliation for one in enumerations),
    )
    return Report(
        tool=msgspec.structs.replace(tool, indicator_sets=tuple(gathered.sets.values())),
        case=case,
        evidence=tuple(evidence),
        volumes=tuple(gathered.volumes.values()),
        findings=findings,
        gaps=gaps,
        coverage=coverage,
        verdict=judge(findings, gaps),
        rescue=None if destination is None else _rescue_summary(gathered, destination),
    )


def _account(gathered: Gathered) -> tuple[Counter[StreamState], Counter[StreamState], Gap | None]:
    """Add what was enumerated but has no record: the run ended before it. Each stream ends in exactly one state."""
    streams, stream_bytes = Counter(gathered.streams), Counter(gathered.stream_bytes)
    enumerations = gathered.enumerations.values()
    missing = sum(one.reconciliation.streams for one in enumerations) - streams.total()
    missing_bytes = sum(one.bytes_total for one in enumerations) - stream_bytes.total()
    if missing == 0:
        return streams, stream_bytes, None
    streams[StreamState.INTERRUPTED] += missing
    stream_bytes[StreamState.INTERRUPTED] += missing_bytes
    detail = f"the run ended before {missing} streams were read"
    return streams, stream_bytes, Gap(kind=GapKind.INTERRUPTED, detail=detail, bytes=missing_bytes)


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


def _once(journal: Path) -> Iterator[object]:
    """Yield the journal's records, each stream's only once.

    Two streams of one hash would be counted once; the account of streams would then not add up and say so.
    """
    seen: set[int] = set()
    for record in read_journal(journal):
        if isinstance(record, StreamRecord):
            key = hash((record.volume, record.mft_entry, record.stream))
            if key in seen:
                continue
            seen.add(key)
        yield record


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
