"""Event logs → findings and dated events: which events are looked at, and what may be many bounded."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache

from msgspec.structs import replace

from triage.artefacts.event_chunk import LogDamage
from triage.artefacts.event_log import Wanted, read_event_log
from triage.artefacts.event_record import EventRecord
from triage.examiners import process_events, service_events
from triage.examiners.artefact_file import Pieces, Surroundings
from triage.examiners.places import where_is
from triage.examiners.process_events import PROCESS_STARTED, examine_process_event
from triage.examiners.service_events import SERVICE_EVENTS, STATE_CHANGE, ServiceEvents
from triage.examiners.system_log import SYSTEM_LOG_EVENTS, SystemLog
from triage.model.entry import Subject
from triage.model.event import Event
from triage.model.finding import Finding
from triage.model.gap import Gap, GapKind, Where
from triage.model.told import Told

MOST_AT_ONCE = 500
"""So many findings of one indicator, or events of one kind, of one log are told as they come."""
MOST_AT_EACH_END = 250
"""So many of the oldest and of the newest of the others are told, too; what lies between is counted in a gap."""
_MOST_DAMAGES = 200

_One = Finding | Event


class EventExaminer:
    """Examines the records of one log in order."""

    def __init__(self, subject: Subject, surroundings: Surroundings) -> None:
        self._subject = subject
        self._known = surroundings.known
        self._services = ServiceEvents(surroundings.known.work_directories)
        self._system = SystemLog()
        self._kinds: defaultdict[str, _Kind] = defaultdict(_Kind)

    def examine(self, record: EventRecord) -> Told:
        """Return what one record tells, alone or with those before it."""
        return _told(self._admitted(self._judge(record, where_is(self._subject, record.offset_bytes))))

    def rest(self) -> Told:
        """Return what is left when the log has ended, and a gap for each kind of which there were too many to tell."""
        told = list(self._admitted(self._system.rest()))
        gaps = []
        for name, kind in sorted(self._kinds.items()):
            told += kind.ends
            if kind.left_out > 0:
                detail = f"further records that were read but are not listed: {name}, {kind.left_out}"
                gaps.append(Gap(kind=GapKind.ARTEFACT, detail=detail, where=where_is(self._subject)))
        return replace(_told(told), gaps=tuple(gaps))

    def _admitted(self, ones: Iterable[_One]) -> Iterator[_One]:
        return (one for one in ones if self._kinds[_name(one)].admits(one))

    def _judge(self, record: EventRecord, where: Where) -> Iterable[_One]:
        name = record.provider, record.event
        if name in SERVICE_EVENTS:
            return filter(None, (self._services.examine(record, where),))
        if name == PROCESS_STARTED:
            return filter(None, (examine_process_event(record, where, self._known),))
        return self._system.examine(record, where) if name in SYSTEM_LOG_EVENTS else ()


class _Kind:
    """How much was told of one kind; `ends` are the oldest and the newest of what came later, by their time."""

    def __init__(self) -> None:
        self._at_once = 0
        self.ends: list[_One] = []
        self.left_out = 0

    def admits(self, one: _One) -> bool:
        """Say whether this one is told at once; if not it is kept, of too many all but the middle one.

        By time, as a log that began anew at its first chunk has its oldest records within.
        """
        self._at_once += 1
        if self._at_once <= MOST_AT_ONCE:
            return True
        insort(self.ends, one, key=_time)
        if len(self.ends) > 2 * MOST_AT_EACH_END:
            del self.ends[MOST_AT_EACH_END]
            self.left_out += 1
        return False


def _name(one: _One) -> str:
    return one.indicator if isinstance(one, Finding) else str(one.kind)


def _time(one: _One) -> str:
    return one.times["event"] if isinstance(one, Finding) else one.time_utc


def _told(ones: Iterable[_One]) -> Told:
    listed = tuple(ones)
    findings = tuple(one for one in listed if isinstance(one, Finding))
    return Told(findings=findings, events=tuple(one for one in listed if isinstance(one, Event)))


def examine_event_log(pieces: Pieces, subject: Subject, surroundings: Surroundings) -> Iterator[Told]:
    """Examine a log of Windows Vista or later."""
    examiner = EventExaminer(subject, surroundings)
    damages: list[LogDamage] = []
    wanted = _wanted(surroundings.known.work_directories)
    for one in read_event_log(pieces, wanted, threads=surroundings.threads):
        if isinstance(one, EventRecord):
            yield examiner.examine(one)
        else:
            _add(damages, one)
    yield examiner.rest()
    yield Told(gaps=tuple(damage_gaps(damages, subject)))


def damage_gaps(damages: Iterable[LogDamage], subject: Subject) -> Iterator[Gap]:
    """Yield a gap for each damage of a log; of very many the last ones together."""
    listed = sorted(damages, key=lambda one: one.offset_bytes)
    for one in listed[:_MOST_DAMAGES]:
        where = where_is(subject, one.offset_bytes)
        yield Gap(kind=GapKind.ARTEFACT, detail=f"event log: {one.detail}", where=where, bytes=one.length_bytes)
    more = listed[_MOST_DAMAGES:]
    if more:
        where, length = where_is(subject, more[0].offset_bytes), sum(one.length_bytes for one in more)
        detail = f"event log: {len(more)} more damages like these"
        yield Gap(kind=GapKind.ARTEFACT, detail=detail, where=where, bytes=length)


def _add(damages: list[LogDamage], one: LogDamage) -> None:
    """Add a damage; the same one right behind the last is joined with it."""
    last = damages[-1] if damages else None
    if last is not None and last.detail == one.detail and last.offset_bytes + last.length_bytes == one.offset_bytes:
        damages[-1] = LogDamage(
            detail=one.detail, offset_bytes=last.offset_bytes, length_bytes=last.length_bytes + one.length_bytes
        )
    else:
        damages.append(one)


@cache
def _wanted(work_directories: frozenset[str]) -> Wanted:
    return Wanted(
        events=(SERVICE_EVENTS.keys() | SYSTEM_LOG_EVENTS) - {STATE_CHANGE},
        events_by_text=(STATE_CHANGE, PROCESS_STARTED),
        texts={*service_events.TEXTS, *process_events.TEXTS, *work_directories},
    )
