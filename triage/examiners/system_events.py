"""What event logs tell of the computer itself: starts, ends, clock changes, emptied logs, what an antivirus met.

They are no traces of WannaCry but where an antivirus names it. Sources: Microsoft, "Microsoft Defender Antivirus event
IDs"; message texts of the providers EventLog, User32, Kernel-General, Kernel-Power and Security-Auditing.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime
from typing import NamedTuple

from triage.artefacts.event_record import EventName, EventRecord
from triage.examiners.event_facts import facts_of
from triage.examiners.services import FAMILY
from triage.model.event import Event, EventKind, EventSource
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where

INDICATOR_SET = "wannacry-detections"
LEAST_CLOCK_CHANGE_SECONDS = 60
_KERNEL = "microsoft-windows-kernel-general"
_LOG = "microsoft-windows-eventlog"
_AUDITING = "microsoft-windows-security-auditing"
_ANTIVIRUS = ("microsoft-windows-windows defender", "microsoft antimalware")
LOG_CLEARED: EventName = (_LOG, 1102)
_UNEXPECTED_END: EventName = ("eventlog", 6008)
_THREAT = "Threat Name"
_WANNACRY = re.compile(r"wanna|wncry|wcry|wanadecrypt", re.IGNORECASE)
_SYSTEMTIME = struct.Struct("<8H")


class _Meaning(NamedTuple):
    """What an event means, which value says whom or what it concerns, and which others are told."""

    kind: EventKind
    what: str = ""
    values: tuple[str, ...] = ()


SYSTEM_EVENTS: dict[EventName, _Meaning] = {
    (_KERNEL, 12): _Meaning(EventKind.SYSTEM_STARTED),
    ("eventlog", 6005): _Meaning(EventKind.SYSTEM_STARTED),
    (_KERNEL, 13): _Meaning(EventKind.SYSTEM_STOPPED),
    ("eventlog", 6006): _Meaning(EventKind.SYSTEM_STOPPED),
    ("user32", 1074): _Meaning(EventKind.SYSTEM_STOPPED, "", ("param1", "param3", "param5", "param7")),
    ("microsoft-windows-kernel-power", 41): _Meaning(EventKind.SYSTEM_CRASHED, "", ("BugcheckCode",)),
    _UNEXPECTED_END: _Meaning(EventKind.SYSTEM_CRASHED),
    (_KERNEL, 1): _Meaning(EventKind.CLOCK_CHANGED, "", ("OldTime", "NewTime", "Reason")),
    (_AUDITING, 4616): _Meaning(EventKind.CLOCK_CHANGED, "", ("PreviousTime", "NewTime", "ProcessName")),
    (_LOG, 104): _Meaning(EventKind.LOG_CLEARED, "Channel", ("SubjectUserName",)),
    LOG_CLEARED: _Meaning(EventKind.LOG_CLEARED, "Channel", ("SubjectUserName",)),
    **{
        (provider, number): _Meaning(
            EventKind.MALWARE_DETECTED, _THREAT, ("Path", "Process Name", "Action Name", "Detection User")
        )
        for provider in _ANTIVIRUS
        for number in (1116, 1117)
    },
}


def examine_system_event(record: EventRecord, where: Where) -> Finding | Event | None:
    """Return what an event of `SYSTEM_EVENTS` says; None for a clock that was only set right."""
    meaning = SYSTEM_EVENTS[record.provider, record.event]
    what = record.data.get(meaning.what, "") or (record.channel if meaning.what else record.computer)
    facts = facts_of(record, *meaning.values)
    if meaning.kind is EventKind.CLOCK_CHANGED:
        seconds = _clock_change(record)
        if seconds is not None and abs(seconds) < LEAST_CLOCK_CHANGE_SECONDS:
            return None
        facts |= {} if seconds is None else {"changed_by_seconds": f"{seconds:.0f}"}
    if meaning.kind is EventKind.MALWARE_DETECTED and _WANNACRY.search(what):
        return _detection(record, where, what, facts)
    if (record.provider, record.event) == _UNEXPECTED_END:
        facts |= _last_alive(record.data.get("Binary", ""))
    return Event(
        time_utc=record.time_utc,
        kind=meaning.kind,
        source=EventSource.EVENT_LOG,
        what=what,
        where=where,
        facts=facts,
    )


def _detection(record: EventRecord, where: Where, threat: str, facts: dict[str, str]) -> Finding:
    return Finding(
        family=FAMILY,
        kind=FindingKind.EVENT_LOG,
        indicator="antivirus-detection",
        set=INDICATOR_SET,
        severity=Severity.MEDIUM,
        where=where,
        times={"event": record.time_utc},
        excerpt=threat,
        facts={"description": "An antivirus named a file so", "threat": threat, **facts},
    )


def _clock_change(record: EventRecord) -> float | None:
    """Return by how much the clock was moved forward; None where the event does not tell."""
    old, new = record.data.get("OldTime") or record.data.get("PreviousTime"), record.data.get("NewTime")
    try:
        return (datetime.fromisoformat(new or "") - datetime.fromisoformat(old or "")).total_seconds()
    except (ValueError, TypeError):
        return None


def _last_alive(binary: str) -> dict[str, str]:
    """Return when the computer was last seen running: the second SYSTEMTIME of the event's data, in UTC."""
    try:
        year, month, _weekday, day, hour, minute, second, millisecond = _SYSTEMTIME.unpack_from(
            bytes.fromhex(binary), _SYSTEMTIME.size
        )
        moment = datetime(year, month, day, hour, minute, second, millisecond * 1000, tzinfo=UTC)
    except (ValueError, struct.error):
        return {}
    return {"last_alive_utc": f"{moment:%Y-%m-%dT%H:%M:%S}.{millisecond:03d}0000Z"}
