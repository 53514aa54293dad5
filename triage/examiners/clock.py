"""What the times of a text mean: most logs of Windows tell local time and do not say of which zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple


class Clock(NamedTuple):
    """The zone of a computer: the minutes to be added to its local time for UTC, None where that is not known."""

    bias_minutes: int | None = None
    zone: str | None = None

    def utc(self, moment: datetime, *, is_local: bool) -> str | None:
        """Return a log's time as UTC ISO 8601 with seven decimals; None where it cannot be told."""
        if is_local and self.bias_minutes is None:
            return None
        try:
            moment += timedelta(minutes=(self.bias_minutes or 0) if is_local else 0)
        except OverflowError:
            return None
        return f"{moment.replace(tzinfo=UTC):%Y-%m-%dT%H:%M:%S}.0000000Z" if moment.year >= 1000 else None

    def words(self, *, is_local: bool) -> str:
        """Return what the times of a log were taken for."""
        if not is_local:
            return "UTC, as the log's header says"
        if self.bias_minutes is None:
            return "local time, its zone is not known"
        zone = self.zone or "the computer's zone"
        return f"local time; {self.bias_minutes:+d} minutes to UTC by {zone}, summer time not counted"
