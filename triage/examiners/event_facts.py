"""The values of an event as facts of a finding or an entry of the timeline."""

from __future__ import annotations

import re

from triage.artefacts.event_record import EventRecord

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])| +")
_MOST_LETTERS = 2048


def facts_of(record: EventRecord, *values: str) -> dict[str, str]:
    """Return what identifies a record, and those of these values that it has: `ServiceName` becomes `service_name`."""
    facts = {"event": str(record.event), "record": str(record.identifier), "computer": record.computer}
    for value in values:
        text = record.data.get(value, "")
        if text:
            facts[_WORD.sub("_", value).lower()] = text[:_MOST_LETTERS]
    return facts
