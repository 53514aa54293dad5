"""All dated traces of a case in order: what `timeline.jsonl` holds and the timeline is built from.

There may be a million of them, nearly all encrypted files. What is kept is a row for each; the event itself is made
whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from triage.model.event import Event, EventKind
from triage.model.filetime import canonical_iso
from triage.model.finding import Finding
from triage.verdict.dating import Dated, dates_of, event_of

_KINDS = tuple(EventKind)
_RANK = {kind: rank for rank, kind in enumerate(_KINDS)}


class _Row(NamedTuple):
    """A dated trace: rows sort by time, then in the order in which the kinds of events happen; `number` is unique."""

    time_utc: str
    rank: int
    number: int
    trace: Event | Finding
    time_name: str


class Chronology:
    """The events of a case in the order of their times; may be iterated any number of times.

    What several findings tell of one thing at one moment is one event. `undated` counts the findings and events that
    should be in it and have no time.
    """

    def __init__(self, findings: Iterable[Finding], events: Iterable[Event] = ()) -> None:
        self.undated = 0
        self._rows: list[_Row] = []
        for event in sorted(events, key=_order):
            self._add_event(event)
        for finding in findings:
            self._add_finding(finding)
        self._rows.sort()

    def __iter__(self) -> Iterator[Event]:
        """Yield the events."""
        moment: tuple[str, int] | None = None
        told: set[tuple[str, str, str | None, str | None]] = set()
        for row in self._rows:
            event = _event(row)
            if (row.time_utc, row.rank) != moment:
                moment = row.time_utc, row.rank
                told.clear()
            key = (event.source, event.what, event.where.volume, event.where.path)
            if key not in told:
                told.add(key)
                yield event

    def last(self, fits: Callable[[Event], bool]) -> Event | None:
        """Return the last event that fits, None where none does."""
        return next((event for row in reversed(self._rows) if fits(event := _event(row))), None)

    def _add_event(self, event: Event) -> None:
        moment = canonical_iso(event.time_utc)
        if moment is None:
            self.undated += 1
        else:
            self._rows.append(_Row(moment, _RANK[event.kind], len(self._rows), event, ""))

    def _add_finding(self, finding: Finding) -> None:
        dates = dates_of(finding)
        if dates == ():
            self.undated += 1
        for dated in dates or ():
            self._rows.append(_Row(dated.time_utc, _RANK[dated.kind], len(self._rows), finding, dated.time_name))


def _order(event: Event) -> tuple[str, str, str, str, str]:
    return event.time_utc, event.source, event.what, event.where.volume or "", event.where.path or ""


def _event(row: _Row) -> Event:
    """Return the event of a row."""
    if isinstance(row.trace, Event):
        return row.trace if row.trace.time_utc == row.time_utc else replace(row.trace, time_utc=row.time_utc)
    return event_of(row.trace, Dated(row.time_utc, _KINDS[row.rank], row.time_name))
