"""What events of one log tell together: a start or a crash that two providers note, a clock that a sleep seems to set.

Kernel and log service each note a start (12, 6005) and a crash (41, 6008), in either order. A wake from sleep is noted
as a change of the clock (Kernel-General 1) between a record that sleep begins (Kernel-Power 42) and one that tells both
its ends (Power-Troubleshooter 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from triage.artefacts.event_record import EventName, EventRecord
from triage.examiners.system_events import SYSTEM_EVENTS, examine_system_event
from triage.model.event import Event, EventKind
from triage.model.finding import Finding
from triage.model.gap import Where

_SLEEPS: EventName = ("microsoft-windows-kernel-power", 42)
_WOKE: EventName = ("microsoft-windows-power-troubleshooter", 1)
SYSTEM_LOG_EVENTS = SYSTEM_EVENTS.keys() | {_SLEEPS, _WOKE}

_TOLD_TWICE = (EventKind.SYSTEM_STARTED, EventKind.SYSTEM_CRASHED)
_SAME_START_SECONDS = 600
_SAME_MOMENT_SECONDS = 120


class SystemLog:
    """Judges the events of `SYSTEM_LOG_EVENTS` of one log in order; what the next ones may change is held."""

    def __init__(self) -> None:
        self._held: dict[EventKind, Event] = {}
        self._sleeps_since = ""

    def examine(self, record: EventRecord, where: Where) -> Iterator[Finding | Event]:
        """Yield what is settled by a record: what it tells itself, or what was held."""
        name = record.provider, record.event
        if name == _SLEEPS:
            self._sleeps_since = record.time_utc
        elif name == _WOKE:
            self._drop_change(record.data.get("SleepTime", ""), record.data.get("WakeTime", ""))
        else:
            told = examine_system_event(record, where)
            if isinstance(told, Event) and told.kind in _TOLD_TWICE:
                yield from self._take_start(told)
            elif isinstance(told, Event) and told.kind is EventKind.CLOCK_CHANGED:
                yield from self._take_change(told)
            elif told is not None:
                yield told

    def rest(self) -> Iterator[Event]:
        """Yield what is held when the log has ended."""
        yield from self._held.values()
        self._held.clear()

    def _take_start(self, event: Event) -> Iterator[Event]:
        """Hold a start or a crash; one that another provider told of the same start is joined with it."""
        held = self._held.pop(event.kind, None)
        if held is None:
            self._held[event.kind] = event
        elif held.facts["event"] != event.facts["event"] and _near(
            held.time_utc, event.time_utc, within_seconds=_SAME_START_SECONDS
        ):
            first, other = sorted((held, event), key=lambda one: one.time_utc)
            also = {"also_event": other.facts["event"], "also_record": other.facts["record"]}
            yield replace(first, facts={**other.facts, **first.facts, **also})
        else:
            self._held[event.kind] = event
            yield held

    def _take_change(self, event: Event) -> Iterator[Event]:
        """Hold a change of the clock but that by which it was set on after the sleep that was told last."""
        yield from self._held_change()
        forward = not event.facts.get("changed_by_seconds", "-").startswith("-")
        if not (forward and _near(self._sleeps_since, event.facts.get("old_time", ""))):
            self._held[event.kind] = event

    def _held_change(self) -> Iterator[Event]:
        held = self._held.pop(EventKind.CLOCK_CHANGED, None)
        if held is not None:
            yield held

    def _drop_change(self, sleep: str, wake: str) -> None:
        """Forget the change that is held where it is that from the beginning of a sleep to its end."""
        held = self._held.get(EventKind.CLOCK_CHANGED)
        if held is None:
            return
        if _near(sleep, held.facts.get("old_time", "")) and _near(wake, held.facts.get("new_time", "")):
            del self._held[EventKind.CLOCK_CHANGED]


def _near(one: str, other: str, *, within_seconds: int = _SAME_MOMENT_SECONDS) -> bool:
    """Say whether two times (ISO 8601, UTC) are the same but for some seconds; not where one is none."""
    try:
        apart = datetime.fromisoformat(one) - datetime.fromisoformat(other)
    except (ValueError, TypeError):
        return False
    return abs(apart.total_seconds()) <= within_seconds
