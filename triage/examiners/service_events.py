"""What event logs tell of services: installed, started, stopped, failed to start → findings where they are WannaCry's.

The service of the generated name runs `cmd.exe /c "…"`, which never answers the service control manager: that it does
not start in time (7009, 7000) is part of the pattern. Events 7045 and 7036 name services as they are displayed.
"""

from __future__ import annotations

from typing import NamedTuple

from triage.artefacts.event_record import EventName, EventRecord
from triage.examiners.event_facts import facts_of
from triage.examiners.services import FAMILY, service_rule
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where

INDICATOR_SET = "wannacry-service-events"
_MANAGER = "service control manager"
_AUDITING = "microsoft-windows-security-auditing"
_FACTS = (
    "ImagePath",
    "ServiceFileName",
    "ServiceType",
    "StartType",
    "ServiceStartType",
    "AccountName",
    "ServiceAccount",
    "SubjectUserName",
    "param1",
    "param2",
)
_STATES = {"1": "stopped", "4": "started", "stopped": "stopped", "running": "started"}  # SERVICE_STOPPED, _RUNNING


class _Fields(NamedTuple):
    """Which of an event's values name the service and its image, and what happened to it."""

    service: str
    image: str
    happened: str


SERVICE_EVENTS: dict[EventName, _Fields] = {
    (_MANAGER, 7045): _Fields("ServiceName", "ImagePath", "installed"),
    (_AUDITING, 4697): _Fields("ServiceName", "ServiceFileName", "installed"),
    (_MANAGER, 7000): _Fields("param1", "", "failed"),
    (_MANAGER, 7009): _Fields("param2", "", "failed"),
    (_MANAGER, 7036): _Fields("param1", "", ""),
}
STATE_CHANGE: EventName = (_MANAGER, 7036)
"""Of every service, and often: only those in which a name of WannaCry's stands are looked at."""
TEXTS = ("mssecsvc", "Microsoft Security Center (2.")


class ServiceEvents:
    """Judges the events of one log in order; `names` are those that the work directory's service may have."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._installed: dict[str, tuple[str, Severity]] = {}

    def examine(self, record: EventRecord, where: Where) -> Finding | None:
        """Return what an event of `SERVICE_EVENTS` says of WannaCry's services; None for those of others."""
        fields = SERVICE_EVENTS[record.provider, record.event]
        service, image = record.data.get(fields.service, ""), record.data.get(fields.image, "")
        key, state = _key_and_state(record)
        rule = service_rule(service, service, image, self._names) or service_rule(key, "", "", self._names)
        rule = rule or self._installed.get(service)
        if rule is None:
            return None
        if image:
            self._installed[service] = rule  # that it fails to start is told by its name alone
        happened = fields.happened or state
        return Finding(
            family=FAMILY,
            kind=FindingKind.EVENT_LOG,
            indicator=f"{rule[0]}-{happened}",
            set=INDICATOR_SET,
            severity=rule[1],
            where=where,
            times={"event": record.time_utc},
            excerpt=image or service,
            facts={"service": service, **facts_of(record, *_FACTS)},
        )


def _key_and_state(record: EventRecord) -> tuple[str, str]:
    """Return the service's own name and what it has become; the text beside is in the language of that Windows."""
    text = _STATES.get(record.data.get("param2", ""), "changed")
    try:
        binary = bytes.fromhex(record.data.get("Binary", "")).decode("utf-16-le", "replace").rstrip("\0")
    except ValueError:
        return "", text
    key, _slash, number = binary.rpartition("/")
    return key, _STATES.get(number, text)
