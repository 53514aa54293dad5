"""Writes event logs of Windows XP (`.Evt`), apart from the product; after J. Metz, "Windows Event Log (EVT) format"."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from msgspec import Struct

_HEADER_BYTES = 48
_SIGNATURE = b"LfLe"
_RECORD = struct.Struct("<I4sIIIIHHHHIIIIII")


class OldEvent(Struct, frozen=True, kw_only=True):
    """One event; `time` counts seconds since 1970."""

    source: str
    event: int
    time: int
    strings: tuple[str, ...] = ()
    computer: str = "WINXP"


def write_old_event_log(events: Iterable[OldEvent]) -> bytes:
    """Return a closed log of these events."""
    records = [_record(event, number) for number, event in enumerate(events, 1)]
    body = b"".join(records)
    end, following = _HEADER_BYTES + len(body), len(records) + 1
    places = struct.pack("<IIII", _HEADER_BYTES, end, following, 1)
    head = struct.pack("<I4sII", _HEADER_BYTES, _SIGNATURE, 1, 1) + places
    head += struct.pack("<IIII", end + 40, 0, 0, _HEADER_BYTES)
    tail = struct.pack("<IIIII", 40, 0x11111111, 0x22222222, 0x33333333, 0x44444444) + places + struct.pack("<I", 40)
    return head + body + tail


def _record(event: OldEvent, number: int) -> bytes:
    names = f"{event.source}\0{event.computer}\0".encode("utf-16-le")
    strings_at = _RECORD.size + len(names)
    strings = "".join(f"{text}\0" for text in event.strings).encode("utf-16-le")
    size = -(-(strings_at + len(strings) + 4) // 4) * 4
    places = (strings_at, 0, strings_at, 0, strings_at + len(strings))
    times = (number, event.time, event.time)
    head = _RECORD.pack(size, _SIGNATURE, *times, event.event, 4, len(event.strings), 0, 0, 0, *places)
    return (head + names + strings).ljust(size - 4, b"\0") + struct.pack("<I", size)
