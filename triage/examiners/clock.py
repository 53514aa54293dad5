"""What the times of a text mean: most logs of Windows tell local time and do not say of which zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from triage.artefacts.time_zone import TimeZone


class Clock(NamedTuple):
    """The clock of a Windows, by its zone; None where that is not known."""

    zone: TimeZone | None = None

    def utc(self, moment: datetime, *, is_local: bool) -> str | None:
        """Return a log's time as UTC ISO 8601 with seven decimals; None where it cannot be told."""
        if is_local and self.zone is None:
            return None
        try:
            utc = self.zone.utc(moment) if is_local and self.zone is not None else moment
        except OverflowError:
            return None
        return f"{utc.replace(tzinfo=UTC):%Y-%m-%dT%H:%M:%S}.0000000Z" if utc.year >= 1000 else None

    def facts(self, *, is_local: bool) -> dict[str, str]:
        """Return what the times of a log were taken for: `clock` in words; of local time which zone, which rule."""
        if not is_local:
            return {"clock": "UTC, as the log's header says"}
        if self.zone is None:
            return {"clock": "local time, its zone is not known"}
        name, summer = self.zone.name or "the computer's zone", self.zone.summer_time
        told = f"local time; {self.zone.bias_minutes:+d} minutes to UTC by {name}"
        if summer is not None:
            rule = f"in summer {summer.summer_bias_minutes:+d}, by the rule that the registry holds today"
            return {"clock": f"{told}, {rule}", "time_zone": name, "summer_time": "by-rule"}
        if self.zone.has_rule:
            rule = "without summer time, as the registry says today"
            return {"clock": f"{told}, {rule}", "time_zone": name, "summer_time": "none"}
        rule = "no rule for summer time in the registry: in summer it may be an hour off"
        return {"clock": f"{told}; {rule}", "time_zone": name, "summer_time": "unknown"}
