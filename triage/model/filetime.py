"""FILETIME, the Windows time: 100 ns ticks since 1601-01-01 UTC ([MS-DTYP] 2.3.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

TICKS_PER_SECOND = 10_000_000
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = int((datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH).total_seconds())
UNIX_EPOCH_TICKS = 11_644_473_600 * TICKS_PER_SECOND
_ISO = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,7}))?Z")


def filetime_to_iso(ticks: int) -> str | None:
    """Return UTC ISO 8601 with seven decimals and `Z`, which keeps the FILETIME whole; None for 0 and after 9999."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    if ticks <= 0 or seconds > _LAST_SECOND:
        return None
    moment = _EPOCH + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:07d}Z" if moment.year >= 1000 else None


def filetime_to_unix_ns(ticks: int) -> int:
    """Return nanoseconds since 1970-01-01 UTC (negative before)."""
    return (ticks - UNIX_EPOCH_TICKS) * 100


def canonical_iso(text: str) -> str | None:
    """Return a UTC time as `filetime_to_iso` writes it, so that times sort as text; None for what is no time."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    try:
        datetime.fromisoformat(match[1])
    except ValueError:
        return None
    return f"{match[1]}.{match[2] or '':0<7}Z"


def unix_seconds(utc_iso: str) -> int:
    """Return whole seconds since 1970-01-01 UTC of a canonical time, rounded down (negative before)."""
    return int((datetime.fromisoformat(utc_iso[:19] + "+00:00") - _UNIX_EPOCH).total_seconds())
