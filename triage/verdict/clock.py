"""How far the clock of the examined computer can be trusted: each reason for doubt, with its figures.

Every time of a case was read off that clock. Nothing on a disk proves that it was right; some traces show that it was
not, or that what was read off it may have been converted wrongly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from triage.model.change import JournalSummary
from triage.model.event import Event, EventKind, EventSource
from triage.model.filetime import canonical_iso, unix_seconds
from triage.model.timeline import ClockDoubt, DoubtKind
from triage.model.volume import VolumeInfo

SMALLEST_STEP_SECONDS = 60
_LOCAL, _RULE_UNKNOWN = "local time", "unknown"
_OF_OTHER_SYSTEMS = frozenset({"ext4", "btrfs", "xfs", "swap", "lvm", "luks"})


class ClockSurvey:
    """Takes all events in order; `examined_utc` is when the case was begun, by the clock of the examining machine."""

    def __init__(self, volumes: Sequence[VolumeInfo], journals: Sequence[JournalSummary], examined_utc: str) -> None:
        self._windows = {one.id: one.windows for one in volumes if one.windows is not None}
        self._others = sorted({one.filesystem for one in volumes} & _OF_OTHER_SYSTEMS)
        self._journals = journals
        self._examined_utc = canonical_iso(examined_utc)
        self._local: Counter[tuple[DoubtKind, str, str]] = Counter()
        self._too_early: Counter[str] = Counter()
        self._logs: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._changes: list[Event] = []
        self._future: Counter[str] = Counter()
        self._last_utc = ""

    def add(self, event: Event) -> None:
        """Take the next event."""
        volume = event.where.volume or ""
        windows = self._windows.get(volume)
        self._last_utc = event.time_utc
        if event.facts.get("clock", "").startswith(_LOCAL):
            has_rule = event.facts.get("summer_time") != _RULE_UNKNOWN
            kind = DoubtKind.LOCAL_TIME if has_rule else DoubtKind.NO_SUMMER_RULE
            self._local[kind, volume, event.facts.get("time_zone", "")] += 1
        if event.source is EventSource.EVENT_LOG and event.facts.get("record", "").isdecimal():
            log = volume, event.where.path or ""
            self._logs.setdefault(log, []).append((int(event.facts["record"]), unix_seconds(event.time_utc)))
        if event.kind is EventKind.CLOCK_CHANGED:
            self._changes.append(event)
        if event.family is not None and windows is not None and windows.installed_utc is not None:
            self._too_early[volume] += event.time_utc < windows.installed_utc
        if self._examined_utc is not None:
            self._future[volume] += event.time_utc > self._examined_utc

    def result(self) -> tuple[ClockDoubt, ...]:
        """Return the reasons for doubt."""
        return (*self._of_conversion(), *self._of_setting(), *self._of_order())

    def _of_conversion(self) -> Iterator[ClockDoubt]:
        """Yield where local time was, or may have been, taken for UTC or the other way round."""
        for (kind, volume, time_zone), count in self._local.items():
            yield _doubt(kind, volume=volume, count=count, time_zone=time_zone)
        for volume, windows in self._windows.items():
            if self._others and windows.hardware_clock_is_utc is False:
                yield _doubt(
                    DoubtKind.HARDWARE_CLOCK,
                    volume=volume,
                    time_zone=windows.time_zone or "",
                    other=", ".join(self._others),
                )

    def _of_setting(self) -> Iterator[ClockDoubt]:
        """Yield where the clock was set: an event says so, or what is written in order goes back in time."""
        if self._changes:
            first, last = self._changes[0], self._changes[-1]
            steps = (event.facts.get("changed_by_seconds", "").removeprefix("-") for event in self._changes)
            yield _doubt(
                DoubtKind.CLOCK_CHANGED,
                count=len(self._changes),
                first=first.time_utc,
                last=last.time_utc,
                seconds=max((int(step) for step in steps if step.isdecimal()), default=0),
            )
        steps_back = [(one.volume, "$UsnJrnl", one.set_back_seconds) for one in self._journals]
        steps_back += [(volume, log, _step_back(records)) for (volume, log), records in self._logs.items()]
        for volume, trace, seconds in steps_back:
            if seconds >= SMALLEST_STEP_SECONDS:
                yield _doubt(DoubtKind.CLOCK_SET_BACK, volume=volume, trace=trace, seconds=seconds)

    def _of_order(self) -> Iterator[ClockDoubt]:
        """Yield what happened when it cannot have."""
        for volume, count in (+self._too_early).items():
            installed = self._windows[volume].installed_utc or ""
            yield _doubt(DoubtKind.BEFORE_INSTALLATION, volume=volume, count=count, installed=installed)
        for volume, count in (+self._future).items():
            yield _doubt(DoubtKind.IN_THE_FUTURE, volume=volume, count=count, last=self._last_utc)


def _step_back(records: list[tuple[int, int]]) -> int:
    """Return how far the times of a log (seconds) go back at most in the order of its records' numbers."""
    latest = accumulate((seconds for _number, seconds in sorted(records)), max)
    return max(high - seconds for high, (_number, seconds) in zip(latest, sorted(records), strict=True))


def _doubt(kind: DoubtKind, **values: str | int) -> ClockDoubt:
    return ClockDoubt(kind=kind, values={name: str(value) for name, value in values.items()})
