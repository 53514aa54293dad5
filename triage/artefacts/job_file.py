"""Scheduled tasks of Windows 2000 to 2003: one `.job` file a task in `Windows\\Tasks`. Later ones keep them beside XML.

A fixed part of 68 bytes, a number of running instances, then strings, each behind the number of its UTF-16 units
(terminator included): application, parameters, working directory, author, comment. The triggers have their own offset.

Source: [MS-TSCH] 2.4 (.JOB file format); flags and kinds of triggers as in `mstask.h`.
"""

from __future__ import annotations

import struct
from datetime import datetime

from triage.artefacts.regf import decode_utf16
from triage.artefacts.scheduled_task import ScheduledTask, TaskProgram
from triage.model.errors import ParseError

_FIXED = struct.Struct("<HH16sHHHHHHIIIII8H")
_STRINGS_AT_LEAST = _FIXED.size + 2  # behind the number of running instances
_FILE_VERSION = 1
_DISABLED, _HIDDEN = 0x4, 0x200
_TRIGGER_BYTES = 48
_TRIGGER_KIND_AT = 32
_KINDS = ("time", "calendar", "calendar", "calendar", "calendar", "idle", "boot", "logon")
"""Once, daily, weekly, monthly by date and by weekday, when idle, at the start of Windows, when a user logs on."""


def parse_job(data: bytes) -> ScheduledTask:
    """Parse a task; ParseError where not even its program can be read. What is damaged behind it is left out."""
    if len(data) < _STRINGS_AT_LEAST:
        raise ParseError("no scheduled task", need_bytes=_STRINGS_AT_LEAST, have_bytes=len(data))
    _product, version, _uuid, strings_at, triggers_at, *rest = _FIXED.unpack_from(data)
    flags, last_run = rest[8], rest[9:]
    if version != _FILE_VERSION or strings_at < _STRINGS_AT_LEAST:
        raise ParseError("no scheduled task: another version", offset_bytes=2)
    command, at = _string(data, strings_at)
    parts, damage = [command], ""
    try:
        while len(parts) < 4:
            part, at = _string(data, at)
            parts.append(part)
        triggers = _triggers(data, triggers_at)
    except ParseError as error:
        triggers, damage = (), str(error)
    _command, arguments, working_directory, author = (*parts, "", "", "")[:4]
    return ScheduledTask(
        programs=(TaskProgram(command, arguments, working_directory),),
        enabled=flags & _DISABLED == 0,
        hidden=flags & _HIDDEN != 0,
        triggers=triggers,
        author=author,
        last_run=_local_time(last_run),
        damage=damage,
    )


def _string(data: bytes, at: int) -> tuple[str, int]:
    """Return the string at an offset, and where it ends."""
    have = len(data) - at
    need = 2 + 2 * int.from_bytes(data[at : at + 2], "little")
    if have < need:
        raise ParseError("string of a scheduled task", offset_bytes=at, need_bytes=need, have_bytes=have)
    return decode_utf16(data[at + 2 : at + need]).partition("\0")[0], at + need


def _triggers(data: bytes, at: int) -> tuple[str, ...]:
    have = len(data) - at
    need = 2 + int.from_bytes(data[at : at + 2], "little") * _TRIGGER_BYTES
    if at < _STRINGS_AT_LEAST or have < need:
        raise ParseError("triggers of a scheduled task", offset_bytes=at, need_bytes=need, have_bytes=have)
    kinds = (
        struct.unpack_from("<I", data, one + _TRIGGER_KIND_AT)[0] for one in range(at + 2, at + need, _TRIGGER_BYTES)
    )
    return tuple(_KINDS[kind] if kind < len(_KINDS) else f"kind {kind}" for kind in kinds)


def _local_time(fields: list[int]) -> str:
    """Return a SYSTEMTIME as ISO 8601 without a zone; "" where it is none, as of a task that never ran."""
    year, month, _weekday, day, hour, minute, second, milliseconds = fields
    try:
        moment = datetime(year, month, day, hour, minute, second, milliseconds * 1000)  # noqa: DTZ001  # local time
    except ValueError:
        return ""
    return moment.isoformat(timespec="milliseconds")
