"""Event logs of Windows XP and 2003 → the same findings and events as the newer ones, by the same judges."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from triage.artefacts.event_record import EventName, EventRecord
from triage.artefacts.old_event_log import read_old_event_log
from triage.examiners.artefact_file import Pieces, Surroundings
from triage.examiners.event_logs import EventExaminer, damage_gaps
from triage.examiners.process_events import PROCESS_STARTED
from triage.examiners.service_events import SERVICE_EVENTS
from triage.examiners.system_events import LOG_CLEARED
from triage.examiners.system_log import SYSTEM_LOG_EVENTS
from triage.model.entry import Subject
from triage.model.told import Told

_SAME_EVENT: dict[EventName, tuple[EventName, dict[str, str]]] = {
    ("security", 592): (PROCESS_STARTED, {"param2": "NewProcessName"}),
    ("security", 517): (LOG_CLEARED, {"param4": "SubjectUserName"}),
}
"""Events that have got another provider, number and names of values since."""


def examine_old_event_log(pieces: Pieces, subject: Subject, surroundings: Surroundings) -> Iterator[Told]:
    """Examine a log; it is no longer than `largest_bytes` in the table of files."""
    examiner = EventExaminer(subject, surroundings)
    names = SERVICE_EVENTS.keys() | SYSTEM_LOG_EVENTS | _SAME_EVENT.keys()
    damages = []
    for one in read_old_event_log(b"".join(bytes(piece) for piece in pieces), names):
        if isinstance(one, EventRecord):
            yield examiner.examine(_translated(one))
        else:
            damages.append(one)
    yield examiner.rest()
    yield Told(gaps=tuple(damage_gaps(damages, subject)))


def _translated(record: EventRecord) -> EventRecord:
    same = _SAME_EVENT.get((record.provider, record.event))
    if same is None:
        return record
    (provider, event), values = same
    data = {values.get(name, name): text for name, text in record.data.items()}
    return replace(record, provider=provider, event=event, data=data, channel="Security")
