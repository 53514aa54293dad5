"""What the journal holds, each thing once: a restarted worker or a resumed run says some things again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from triage.model.change import JournalSummary
from triage.model.deleted import DeletedSummary
from triage.model.entry import StreamState
from triage.model.event import Event, EventKind, EventSource
from triage.model.exposure_facts import ExposureFacts
from triage.model.finding import Digests, Finding, FindingKind
from triage.model.gap import Gap, GapKind, Where
from triage.model.indicator import IndicatorSet
from triage.model.isolation import Isolation
from triage.model.read_map import ReadRange, ReadState
from triage.model.report import StreamDigest
from triage.model.rescue import FileKey, RescuedFile
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
    """What the journal holds.

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


def _key(stream: StreamRecord) -> StreamKey:
    return stream.volume, stream.mft_entry, stream.stream, stream.repeat


def _is_of_a_reading(gap: Gap) -> bool:
    """Say whether reading a stream gave this gap: of run lists a range is missing; the enumeration tells the whole."""
    return gap.kind in _OF_A_READING or (gap.kind is GapKind.RUN_LIST and gap.where.offset_bytes is not None)


def _name(stream: StreamRecord) -> tuple[str, int, str]:
    return stream.volume, stream.mft_entry, stream.stream
