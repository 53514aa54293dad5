"""Event logs of Windows XP and 2003 (`.Evt`), read into the records of the newer ones; the only door to libevt.

Source: J. Metz, "Windows Event Log (EVT) format" (libevt). These logs have no checksums. What libevt finds outside of
the log's own range, as after a pulled plug, is taken too.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Container, Iterator

import pyevt

from triage.artefacts.event_chunk import LogDamage
from triage.artefacts.event_record import EventName, EventRecord
from triage.model.filetime import TICKS_PER_SECOND, UNIX_EPOCH_TICKS, filetime_to_iso

_RECORD_NUMBERS = struct.Struct("<II")
_RECORD_NUMBERS_AT = 24
_EVENT_NUMBER = 0xFFFF


def read_old_event_log(data: bytes, names: Container[EventName]) -> Iterator[EventRecord | LogDamage]:
    """Yield the records of the events named, and what of the log could not be read."""
    file = pyevt.file()
    try:
        file.open_file_object(io.BytesIO(data))
        counts = file.get_number_of_records(), file.get_number_of_recovered_records()
    except OSError as error:
        yield LogDamage(detail=f"cannot be read: {error}", offset_bytes=0, length_bytes=len(data))
        return
    expected = _expected_records(data)
    if sum(counts) < expected:
        detail = f"of {expected} records {expected - sum(counts)} are not there"
        yield LogDamage(detail=detail, offset_bytes=0, length_bytes=len(data))
    yield from _records(file.get_record, counts[0], names)
    yield from _records(file.get_recovered_record, counts[1], names)


def _records(
    get: Callable[[int], pyevt.record], count: int, names: Container[EventName]
) -> Iterator[EventRecord | LogDamage]:
    lost = 0
    for index in range(count):
        try:
            record = _record(get(index), names)
        except (OSError, ValueError):
            lost += 1
            continue
        if record is not None:
            yield record
    if lost > 0:
        yield LogDamage(detail=f"records that could not be decoded: {lost}", offset_bytes=0, length_bytes=0)


def _record(record: pyevt.record, names: Container[EventName]) -> EventRecord | None:
    """Return a record whose event is among `names`; its strings are `param1`, `param2`, …"""
    name = (record.get_source_name() or "").lower(), record.get_event_identifier() & _EVENT_NUMBER
    if name not in names:
        return None
    seconds = record.get_written_time_as_integer()
    strings = (record.get_string(index) or "" for index in range(record.get_number_of_strings()))
    return EventRecord(
        identifier=record.get_identifier(),
        time_utc=filetime_to_iso(seconds * TICKS_PER_SECOND + UNIX_EPOCH_TICKS) or "",
        provider=name[0],
        event=name[1],
        channel="",
        computer=record.get_computer_name() or "",
        data={f"param{number}": text for number, text in enumerate(strings, 1)},
        offset_bytes=record.get_offset(),
    )


def _expected_records(data: bytes) -> int:
    """Return how many records the header tells of; in a log that was not closed there may be more."""
    following, oldest = _RECORD_NUMBERS.unpack_from(data, _RECORD_NUMBERS_AT)
    return max(0, int(following) - int(oldest))
