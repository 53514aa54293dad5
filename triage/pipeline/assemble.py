"""From the journal to the report: counts, numbers and the verdict. This needs no evidence any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from triage.indicators.ms17_010 import load_fixes
from triage.model.change import JournalSummary
from triage.model.deleted import DeletedSummary
from triage.model.entry import StreamState
from triage.model.event import Event, EventKind, EventSource
from triage.model.evidence import Evidence
from triage.model.exposure_facts import ExposureFacts
from triage.model.finding import Digests, Finding, FindingKind
from triage.model.gap import Gap, GapKind, Where
from triage.model.indicator import IndicatorSet
from triage.model.isolation import Isolation
from triage.model.read_map import ReadRange, ReadState
from triage.model.report import (
    CaseInfo,
    Coverage,
    FirstVerdict,
    Report,
    RescueSummary,
    StreamDigest,
    Tool,
)
from triage.model.rescue import FileKey, RescuedFile, RescueOutcome
from triage.model.volume import VolumeInfo
from triage.pipeline.journal import (
    ChangesRecord,
    DeferredRecord,
    DeletedRecord,
    EnumerationRecord,
    EventRecord,
    ExcludedRecord,
    ExposureRecord,
    FindingRecord,
    GapRecord,
    IsolationRecord,
    ReadRecord,
    RescueRecord,
    SelectionRecord,
    SessionRecord,
    SetsRecord,
    StreamRecord,
    VolumeRecord,
    read_journal,
)
from triage.pipeline.ledger import Account
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
_OF_A_READING = (
    GapKind.READ_ERROR,
    GapKind.NOT_DECODABLE,
    GapKind.WORKER_DIED,
    GapKind.INTERRUPTED,
    GapKind.INTERNAL,
)
_READ_ANEW = (StreamState.PARTIAL, StreamState.NOT_DECODABLE, StreamState.WORKER_DIED, StreamState.TIMED_OUT)

_OF_NAMES = (FindingKind.NAME, FindingKind.RANSOM_NOTE, FindingKind.KEY_FILE)

FindingKey = tuple[Where, FindingKind, str, str]
EventKey = tuple[str, EventKind, EventSource, str, Where]
StreamKey = tuple[str, int, str, int]


class Healed(NamedTuple):
    """A stream that a resumed run read whole, and the record of the reading before, which was not."""

    before: StreamRecord
    record: StreamRecord


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What the journal holds, each thing once: a restarted worker or a resumed run says some things again.

    `deferred` are streams that the run did not get to try again; they are among the other counts. `unreadable` are the
    numbers of the pieces of evidence of which something could not be read. `gaps_before` are those of files of traces
    that earlier workers told: each worker examines all of them, and what the last one told of a volume counts.
    """

    sessions: list[SessionRecord] = field(default_factory=list)
    sets: dict[str, IndicatorSet] = field(default_factory=dict)
    volumes: dict[str, VolumeInfo] = field(default_factory=dict)
    enumerations: dict[str, EnumerationRecord] = field(default_factory=dict)
    isolation: dict[Isolation, None] = field(default_factory=dict)
    findings: dict[FindingKey, Finding] = field(default_factory=dict)
    without_digests: dict[tuple[str, int, str], list[FindingKey]] = field(default_factory=dict)
    events: dict[EventKey, Event] = field(default_factory=dict)
    gaps: dict[Gap, None] = field(default_factory=dict)
    gaps_before: dict[Gap, None] = field(default_factory=dict)
    rescued: dict[FileKey, RescuedFile] = field(default_factory=dict)
    selected: int | None = None
    account: Account = field(default_factory=Account)
    forms: Counter[str] = field(default_factory=Counter)
    windowed: int = 0
    known_good_dropped: int = 0
    bytes_read: int = 0
    deferred: dict[StreamKey, DeferredRecord] = field(default_factory=dict)
    unreadable: set[int] = field(default_factory=set)
    deleted: dict[str, DeletedSummary] = field(default_factory=dict)
    journals: dict[str, JournalSummary] = field(default_factory=dict)
    exposures: dict[tuple[str | None, str], ExposureFacts] = field(default_factory=dict)

    def find(self, finding: Finding) -> None:
        """Take in a finding; one of a name waits for the digests of its file, which is read later."""
        key = finding.where, finding.kind, finding.set, finding.indicator
        self.findings.setdefault(key, finding)
        where = finding.where
        if finding.kind in _OF_NAMES and where.volume is not None and where.mft_entry is not None:
            self.without_digests.setdefault((where.volume, where.mft_entry, where.stream or ""), []).append(key)

    def count(self, stream: StreamRecord) -> None:
        """Count the one record of a stream."""
        if stream.sha256:
            for key in self.without_digests.pop(_name(stream), ()):
                digests = Digests(md5=stream.md5, sha256=stream.sha256)
                if not self.findings[key].deleted:
                    self.findings[key] = msgspec.structs.replace(self.findings[key], digests=digests)
        self.account.add(stream)
        self._add_up(stream, 1)

    def recount(self, healed: Healed) -> None:
        """Count a stream by its later record, no longer by its first."""
        self.account.take_back(healed.before)
        self._add_up(healed.before, -1)
        self.count(healed.record)

    def _add_up(self, stream: StreamRecord, sign: int) -> None:
        self.forms[stream.form] += sign
        self.windowed += sign * stream.windowed
        self.bytes_read += sign * stream.bytes_read
        self.known_good_dropped += sign * stream.dropped

    def begin_worker(self) -> None:
        """A worker begins: what is told of files of traces until now may be told better by it."""
        self.gaps_before |= {gap: None for gap in self.gaps if gap.kind is GapKind.ARTEFACT}
        self.gaps = {gap: None for gap in self.gaps if gap.kind is not GapKind.ARTEFACT}

    def end_survey(self, volume: str) -> None:
        """A volume's survey has ended, so that its files of traces have been examined anew."""
        self.gaps_before = {gap: None for gap in self.gaps_before if gap.where.volume != volume}

    def drop_gaps_of_readings(self, streams: Set[tuple[str, int, str]]) -> None:
        """Drop what earlier readings did not see of streams that were read whole since."""
        self.gaps = {
            gap: None
            for gap in self.gaps
            if not _is_of_a_reading(gap)
            or (gap.where.volume, gap.where.mft_entry, gap.where.stream or "") not in streams
        }


def gather(journal: Path, *, until_bytes: int | None = None) -> Gathered:
    """Read the journal once, or its first so many bytes."""
    gathered = Gathered()
    healed: set[tuple[str, int, str]] = set()
    repeated: set[tuple[str, int, str]] = set()  # damage gave an entry one name twice: whose a gap is, is not known
    for record in _once(journal, until_bytes):
        match record:
            case StreamRecord():
                gathered.count(record)
                if record.repeat > 0:
                    repeated.add(_name(record))
                if gathered.deferred:
                    gathered.deferred.pop(_key(record), None)
            case Healed():
                gathered.recount(record)
                healed.add(_name(record.record))
            case ExcludedRecord():
                gathered.account.exclude(record)
            case DeferredRecord(stream):
                gathered.deferred[_key(stream)] = record
            case ReadRecord(evidence, ranges):
                if any(one.state is not ReadState.READ for one in ranges):
                    gathered.unreadable.add(evidence)
            case RescueRecord(file):
                gathered.rescued[file.key] = file
            case FindingRecord(finding):
                gathered.find(finding)
            case EventRecord(event):
                gathered.events[event.time_utc, event.kind, event.source, event.what, event.where] = event
            case GapRecord(gap):
                gathered.gaps[gap] = None
            case VolumeRecord(volume):
                known = gathered.volumes.get(volume.id)
                if known is None or known.windows is None:
                    gathered.volumes[volume.id] = volume
            case EnumerationRecord(reconciliation):
                gathered.enumerations[reconciliation.volume] = record
                gathered.end_survey(reconciliation.volume)
            case ExposureRecord(facts):
                gathered.exposures[facts.volume, facts.windows] = facts
            case IsolationRecord(isolation):
                gathered.isolation[isolation] = None
            case SetsRecord(sets):
                gathered.begin_worker()
                gathered.sets |= {one.name: one for one in sets}
            case SelectionRecord(files):
                gathered.selected = files
            case DeletedRecord(deleted):
                gathered.deleted[deleted.volume] = deleted
            case ChangesRecord(changes):
                gathered.journals[changes.volume] = changes
            case SessionRecord():
                gathered.sessions.append(record)
    gathered.gaps |= gathered.gaps_before
    if healed:
        gathered.drop_gaps_of_readings(healed - repeated)
    for one in gathered.deferred.values():
        gathered.count(one.stream)
        for finding in one.findings:
            gathered.find(finding)
        gathered.gaps |= dict.fromkeys(one.gaps)
    return gathered


def _key(stream: StreamRecord) -> StreamKey:
    return stream.volume, stream.mft_entry, stream.stream, stream.repeat


def _is_of_a_reading(gap: Gap) -> bool:
    """Say whether reading a stream gave this gap: of run lists a range is missing; the enumeration tells the whole."""
    return gap.kind in _OF_A_READING or (gap.kind is GapKind.RUN_LIST and gap.where.offset_bytes is not None)


def _name(stream: StreamRecord) -> tuple[str, int, str]:
    return stream.volume, stream.mft_entry, stream.stream


def read_ranges(journal: Path, evidence: int) -> Iterator[ReadRange]:
    """Yield what all sessions noted of one piece of evidence."""
    for record in read_journal(journal):
        if isinstance(record, ReadRecord) and record.evidence == evidence:
            yield from record.ranges


def stream_digests(journal: Path) -> Iterator[StreamDigest]:
    """Yield size, digests and name of every stream that was read whole, in the order of reading."""
    for one in _once(journal):
        record = one.record if isinstance(one, Healed) else one
        if isinstance(record, StreamRecord) and record.sha256:
            name = f"{record.volume}/{record.path}"
            yield StreamDigest(
                record.size_bytes,
                Digests(md5=record.md5, sha256=record.sha256),
                f"{name}:{record.stream}" if record.stream else name,
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


def _once(journal: Path, until_bytes: int | None = None) -> Iterator[object]:
    """Yield the journal's records, each stream's only once, and `Healed` where a later one was read whole at last.

    Two streams of one hash would be counted once; the account of streams would then not add up and say so.
    """
    seen: set[int] = set()
    not_whole: dict[int, StreamRecord] = {}
    for record in read_journal(journal, until_bytes=until_bytes):
        if isinstance(record, StreamRecord):
            key = hash(_key(record))
            if key in seen:
                before = not_whole.get(key)
                if record.sha256 and before is not None and _key(before) == _key(record):
                    yield Healed(not_whole.pop(key), record)
                continue
            seen.add(key)
            if not record.sha256 and record.state in _READ_ANEW:
                not_whole[key] = record
        elif isinstance(record, DeferredRecord) and hash(_key(record.stream)) in seen:
            continue
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
