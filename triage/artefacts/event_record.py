"""Decodes records of an event log through the library `evtx`; this is the only door to it."""

from __future__ import annotations

import io
import re
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

import msgspec
from evtx import PyEvtxParser
from msgspec import Struct, field

from triage.artefacts.event_chunk import parsable

_MICROSECONDS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII)
_CAUSE_LETTERS = 200
_MOST_LEVELS = 4
_TEXT = "#text"
_ATTRIBUTES = "_attributes"


EventName = tuple[str, int]
"""Provider, in lower case, and number of an event: only together do they say what it is."""


class EventRecord(Struct, frozen=True, kw_only=True):
    """One record. `time_utc` is when it happened, ISO 8601 with seven decimals (the library tells six of them).

    `data` holds the event's own values by their names; those without one are `param1`, `param2`, …
    """

    identifier: int
    time_utc: str
    provider: str
    event: int
    channel: str
    computer: str
    data: Mapping[str, str]
    offset_bytes: int


class Decoded(NamedTuple):
    """The records of one chunk that were wanted, how many could not be decoded, and why the first of those."""

    records: list[EventRecord]
    lost: int
    cause: str


class _Provider(Struct, frozen=True):
    name: str = field(name="Name", default="")


class _TimeCreated(Struct, frozen=True):
    system_time: str = field(name="SystemTime")


class _System(Struct, frozen=True):
    """The element `System`: attributes of an element stand beside it."""

    event: int | str = field(name="EventID")
    time: _TimeCreated = field(name="TimeCreated_attributes")
    provider: _Provider = field(name="Provider_attributes", default=_Provider())
    channel: str | None = field(name="Channel", default=None)
    computer: str | None = field(name="Computer", default=None)


class _Event(Struct, frozen=True):
    system: _System = field(name="System")
    event_data: msgspec.Raw = field(name="EventData", default=msgspec.Raw(b"null"))
    user_data: msgspec.Raw = field(name="UserData", default=msgspec.Raw(b"null"))


class _Document(Struct, frozen=True):
    event: _Event = field(name="Event")


def decode(chunk: bytes | memoryview, places: Mapping[int, int], names: Container[EventName]) -> Decoded:
    """Decode records of a chunk, named by their identifiers, each with its place in the file.

    Of them those are returned whose event is among `names`.
    """
    found: list[EventRecord] = []
    cause, decoded = "", 0
    parser = PyEvtxParser(io.BytesIO(parsable(chunk)), number_of_threads=1, separate_json_attributes=True)
    records = parser.records_json()
    while True:
        try:
            raw = next(records)
            offset = places.get(raw["event_record_id"])
            if offset is not None:
                event = msgspec.json.decode(raw["data"], type=_Document).event
                if (event.system.provider.name.lower(), int(event.system.event)) in names:
                    found.append(_record(raw["event_record_id"], event, offset))
                decoded += 1
        except StopIteration:
            return Decoded(found, len(places) - decoded, cause)
        except (RuntimeError, ValueError) as error:  # this record; the next call goes on with the next one
            cause = cause or str(error)[:_CAUSE_LETTERS]


def _record(identifier: int, event: _Event, offset: int) -> EventRecord:
    """Return what an event says; ValueError where it does not tell when it happened."""
    system = event.system
    if _MICROSECONDS.fullmatch(system.time.system_time) is None:
        raise ValueError(f"not a time: {system.time.system_time}")
    data: dict[str, str] = {}
    for raw in (event.event_data, event.user_data):
        for name, value in _values(msgspec.json.decode(raw), 0):
            data[name or f"param{len(data) + 1}"] = value
    return EventRecord(
        identifier=identifier,
        time_utc=f"{system.time.system_time[:-1]}0Z",
        provider=system.provider.name.lower(),
        event=int(system.event),
        channel=system.channel or "",
        computer=system.computer or "",
        data=data,
        offset_bytes=offset,
    )


def _values(value: object, level: int, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of an element and of those within it, each with its element's name; "" for plain `Data`."""
    if isinstance(value, dict) and level < _MOST_LEVELS:
        for key, inner in value.items():
            if not key.endswith(_ATTRIBUTES):
                yield from _values(inner, level + 1, "" if key == _TEXT and name == "Data" else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, level + 1, name)
    elif isinstance(value, bool):
        yield name, str(value).lower()
    elif level > 0:
        yield name, "" if value is None else str(value)
