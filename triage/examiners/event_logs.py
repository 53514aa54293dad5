"""Event logs → findings and dated events: which events are looked at, and what may be many bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache

from triage.artefacts.event_chunk import LogDamage
from triage.artefacts.event_log import Wanted, read_event_log
from triage.artefacts.event_record import EventRecord
from triage.examiners import process_events, service_events
from triage.examiners.artefact_file import Pieces, Surroundings
from triage.examiners.places import where_is
from triage.examiners.process_events import PROCESS_STARTED, examine_process_event
from triage.examiners.service_events import SERVICE_EVENTS, STATE_CHANGE, ServiceEvents
from triage.examiners.system_events import SYSTEM_EVENTS, examine_system_event
from triage.model.entry import Subject
from triage.model.event import Event
from triage.model.finding import Finding
from triage.model.gap import Gap, GapKind, Where
from triage.model.told import Told

MOST_OF_A_KIND = 1000
"""So many findings of one indicator, or events of one kind, are told of one log; what is more is counted in a gap."""
_MOST_DAMAGES = 200


class EventExaminer:
    """Examines the records of one log in order."""

    def __init__(self, subject: Subject, surroundings: Surroundings) -> None:
        self._subject = subject
        self._known = surroundings.known
        self._services = ServiceEvents(surroundings.known.work_directories)
        self._told: Counter[str] = Counter()

    def examine(self, record: EventRecord) -> Told:
        """Return what one record tells: a finding, an event or nothing."""
        one = self._judge(record, where_is(self._subject, record.offset_bytes))
        if one is None:
            return Told()
        kind = one.indicator if isinstance(one, Finding) else str(one.kind)
        self._told[kind] += 1
        if self._told[kind] > MOST_OF_A_KIND:
            return Told()
        return Told(findings=(one,)) if isinstance(one, Finding) else Told(events=(one,))

    def left_out(self) -> Iterator[Gap]:
        """Yield a gap for each kind of which there were too many to tell."""
        for kind, count in sorted(self._told.items()):
            if count > MOST_OF_A_KIND:
                detail = f"further records that were read but are not listed: {kind}, {count - MOST_OF_A_KIND}"
                yield Gap(kind=GapKind.ARTEFACT, detail=detail, where=where_is(self._subject))

    def _judge(self, record: EventRecord, where: Where) -> Finding | Event | None:
        name = record.provider, record.event
        if name in SERVICE_EVENTS:
            return self._services.examine(record, where)
        if name == PROCESS_STARTED:
            return examine_process_event(record, where, self._known)
        return examine_system_event(record, where) if name in SYSTEM_EVENTS else None


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
    yield Told(gaps=(*damage_gaps(damages, subject), *examiner.left_out()))


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
        events=(SERVICE_EVENTS.keys() | SYSTEM_EVENTS.keys()) - {STATE_CHANGE},
        events_by_text=(STATE_CHANGE, PROCESS_STARTED),
        texts={*service_events.TEXTS, *process_events.TEXTS, *work_directories},
    )
