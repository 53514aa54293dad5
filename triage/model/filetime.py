"""FILETIME, the Windows time: 100 ns ticks since 1601-01-01 UTC ([MS-DTYP] 2.3.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TICKS_PER_SECOND = 10_000_000
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_LAST_SECOND = int((datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH).total_seconds())
UNIX_EPOCH_TICKS = 11_644_473_600 * TICKS_PER_SECOND


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
