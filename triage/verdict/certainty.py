"""Which times tell when something happened, and which only that it happened by then.

A registry key has one time for all its values, that of its last write; the last change of an encrypted file's record is
moved by whoever changes its rights. Both are never too early, and may be years too late.
"""

from __future__ import annotations

from collections.abc import Iterator

from triage.model.event import Event, EventKind, EventSource
from triage.model.filetime import unix_seconds
from triage.model.timeline import ClockDoubt, DoubtKind
from triage.verdict.chronology import Chronology
from triage.verdict.power import PowerSurvey

LONGEST_PAUSE_SECONDS = 60 * 60
"""Files whose records were changed this long after the one before them were not encrypted in one go with it."""

_LAST_WRITES = ("key_last_written", "cache_updated")


class CertaintySurvey:
    """Takes all events in order and says of each whether malware was at work at its time.

    Up to the last file whose time nothing moves, every time of an encryption holds.
    """

    def __init__(self, chronology: Chronology, power: PowerSurvey) -> None:
        last = chronology.last(lambda event: event.kind is EventKind.FILE_ENCRYPTED and not _is_movable(event))
        self._certain_until_utc = "" if last is None else last.time_utc
        self._power = power
        self._first: Event | None = None
        self._last_encrypted: int | None = None
        self._moved: list[str] = []

    def is_sign(self, event: Event) -> bool:
        """Take the next event; return whether its time is that of the malware's own doing."""
        if event.family is None:
            return False
        self._first = self._first or event
        if event.kind is not EventKind.FILE_ENCRYPTED:
            return not _is_last_write(event)
        moment, last = unix_seconds(event.time_utc), self._last_encrypted
        if event.time_utc > self._certain_until_utc and last is not None:
            pause = moment - last - self._power.off_seconds(last, moment)
            if pause > LONGEST_PAUSE_SECONDS:
                self._moved.append(event.time_utc)
                return False
        self._last_encrypted = moment
        return True

    def result(self) -> Iterator[ClockDoubt]:
        """Yield what follows for the timeline."""
        if self._first is not None and _is_last_write(self._first):
            yield ClockDoubt(kind=DoubtKind.FIRST_SIGN_EARLIER, values={"first": self._first.time_utc})
        if self._moved:
            values = {"count": str(len(self._moved)), "first": self._moved[0], "last": self._moved[-1]}
            yield ClockDoubt(kind=DoubtKind.CHANGED_LATER, values=values)


def _is_movable(event: Event) -> bool:
    """Whether an encrypted file is dated by the last change of its record."""
    return event.source is EventSource.SI


def _is_last_write(event: Event) -> bool:
    return event.facts.get("time") in _LAST_WRITES
