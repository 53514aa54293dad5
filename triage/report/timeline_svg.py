"""The timeline drawn: from its events to lines, marks and texts with their places, which the template puts into SVG.

What is drawn is the malware's time: from its first sign to its last, and what else happened around it. Nothing in here
is markup; texts from the evidence are escaped where the template writes them.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from triage.model.escape import escape_terminal
from triage.model.event import Event, EventKind
from triage.model.filetime import canonical_iso, unix_seconds
from triage.model.text import N_, _
from triage.model.timeline import Milestone, Timeline
from triage.report.timeline_axis import Axis, Cut, Tick
from triage.report.timeline_words import EVENT_KINDS, MILESTONES
from triage.report.words import moment, number, say

WIDTH = 960.0
_LEFT = 116.0
_RIGHT = WIDTH - 8
_ROW_HEIGHT = 16.0
_MOST_ROWS = 4
_MARK_HEIGHT = 18.0
_BARS_HEIGHT = 62.0
_LANE_GAP = 16.0
_AXIS_HEIGHT = 38.0
_CUTS_HEIGHT = 14.0
_BAR_WIDTH = 5.0
_NEAR = 7.0
_LETTER_WIDTH = 6.6
_NAME_LETTERS = 28
_TITLE_LINES = 8
_AROUND_SECONDS = 60 * 60


class LaneKind(StrEnum):
    """What stands side by side, top to bottom."""

    MALWARE = "malware"
    ENCRYPTION = "encryption"
    SHADOWS = "shadows"
    WINDOWS = "windows"


LANES = {
    LaneKind.MALWARE: N_("Malware"),
    LaneKind.ENCRYPTION: N_("Encryption"),
    LaneKind.SHADOWS: N_("Shadow copies"),
    LaneKind.WINDOWS: "Windows",
}
_LANE_OF = {
    EventKind.ENCRYPTION_STARTED: LaneKind.ENCRYPTION,
    EventKind.KEY_WRITTEN: LaneKind.ENCRYPTION,
    EventKind.FILE_ENCRYPTED: LaneKind.ENCRYPTION,
    EventKind.FILE_PREPARED: LaneKind.ENCRYPTION,
    EventKind.ORIGINAL_MOVED: LaneKind.ENCRYPTION,
    EventKind.NOTE_WRITTEN: LaneKind.ENCRYPTION,
    EventKind.FREE_SPACE_FILLED: LaneKind.ENCRYPTION,
    EventKind.SHADOWS_DELETED: LaneKind.SHADOWS,
    EventKind.LOG_CLEARED: LaneKind.WINDOWS,
    EventKind.SYSTEM_STARTED: LaneKind.WINDOWS,
    EventKind.SYSTEM_STOPPED: LaneKind.WINDOWS,
    EventKind.SYSTEM_CRASHED: LaneKind.WINDOWS,
    EventKind.CLOCK_CHANGED: LaneKind.WINDOWS,
}
_SHAPES = {
    EventKind.SYSTEM_STARTED: "start",
    EventKind.SYSTEM_STOPPED: "stop",
    EventKind.SYSTEM_CRASHED: "crash",
    EventKind.CLOCK_CHANGED: "clock",
}


class Mark(NamedTuple):
    """One event, or several that lie too close to be told apart; `title` names them."""

    x: float
    y: float
    shape: str
    title: str


class Label(NamedTuple):
    """A text, and the mark that it belongs to below it."""

    x: float
    y: float
    text: str
    mark_x: float
    mark_y: float


class Bar(NamedTuple):
    """The files that were encrypted in one step of time."""

    x: float
    y: float
    width: float
    height: float
    title: str


class Lane(NamedTuple):
    """One lane: its name, its base line, and what stands on it."""

    name: str
    y: float
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    bars: tuple[Bar, ...]


class Drawing(NamedTuple):
    """All that is drawn. `bar_minutes` is what a bar stands for, `highest` how many files the highest one counts."""

    width: float
    height: float
    axis_y: float
    lanes: tuple[Lane, ...]
    spans: tuple[tuple[float, float], ...]
    ticks: tuple[Tick, ...]
    cuts: tuple[Cut, ...]
    bar_minutes: int
    highest: int
    not_drawn: int


class _Drawn(NamedTuple):
    """An event that is drawn: when, in seconds since 1970, and its words where it is labelled."""

    seconds: int
    event: Event
    label: str


def draw(timeline: Timeline) -> Drawing | None:
    """Return the drawing; None where nothing of malware is dated."""
    minutes = Counter({unix_seconds(minute): count for minute, count in _minutes(timeline)})
    events = _drawn(timeline)
    if not events and not minutes:
        return None
    axis = Axis([*(one.seconds for one in events), *minutes, *(minute + 60 for minute in minutes)], _LEFT, _RIGHT)
    step = axis.step_seconds(_BAR_WIDTH)
    bars = _binned(minutes, step)
    lanes: list[Lane] = []
    y = 0.0
    for kind in LaneKind:
        members = [one for one in events if _lane(one.event) is kind]
        counted = bars if kind is LaneKind.ENCRYPTION else {}
        if members or counted:
            lane = _lay_out(kind, members, axis, y + _LANE_GAP, counted, step)
            lanes.append(lane)
            y = lane.y
    cuts = tuple(axis.cuts())
    return Drawing(
        width=WIDTH,
        height=y + _AXIS_HEIGHT + (_CUTS_HEIGHT if cuts else 0),
        axis_y=y,
        lanes=tuple(lanes),
        spans=tuple(axis.stretches()),
        ticks=tuple(axis.ticks()),
        cuts=cuts,
        bar_minutes=step // 60,
        highest=max(bars.values(), default=0),
        not_drawn=sum(not _is_counted(one) for one in timeline.events)
        - sum(not _is_counted(one.event) for one in events),
    )


def _minutes(timeline: Timeline) -> Iterator[tuple[str, int]]:
    """Yield the minutes that a report names as it should."""
    for minute, count in () if timeline.encryption is None else timeline.encryption.per_minute:
        when = canonical_iso(minute)
        if when is not None:
            yield when, count


def _drawn(timeline: Timeline) -> list[_Drawn]:
    """Return the events that are drawn, by time: the malware's, and what else happened within an hour of those."""
    labels = {_identity(one.event): _label(one) for one in timeline.milestones}
    dated = [one for one in timeline.events if canonical_iso(one.time_utc) is not None]
    of_malware = [unix_seconds(one.time_utc) for one in dated if one.family is not None]
    if not of_malware:
        return []
    first, last = of_malware[0] - _AROUND_SECONDS, of_malware[-1] + _AROUND_SECONDS
    drawn = [_Drawn(unix_seconds(one.time_utc), one, labels.get(_identity(one), "")) for one in dated]
    return [one for one in drawn if first <= one.seconds <= last]


def _is_counted(event: Event) -> bool:
    """Say whether the bars count this event."""
    return event.kind is EventKind.FILE_ENCRYPTED and "renames" not in event.facts


def _identity(event: Event) -> tuple[str, str, str, str | None]:
    return event.time_utc, event.kind, event.what, event.where.path


def _label(milestone: Milestone) -> str:
    """Return the words of a milestone: `07:31:02 service installed: mssecsvc2.0`."""
    event = milestone.event
    words = f"{event.time_utc[11:19]} {say(milestone.kind, MILESTONES)}"
    if _lane(event) is not LaneKind.MALWARE:
        return words
    return f"{words}: {_shortened(event.what)}"


def _shortened(name: str) -> str:
    shown = escape_terminal(name)
    return shown if len(shown) <= _NAME_LETTERS else f"{shown[: _NAME_LETTERS - 1]}…"


def _lane(event: Event) -> LaneKind:
    return _LANE_OF.get(event.kind, LaneKind.MALWARE)


def _lay_out(
    kind: LaneKind, members: Sequence[_Drawn], axis: Axis, top: float, counted: dict[int, int], step: int
) -> Lane:
    """Place what stands in one lane below `top`: labels, marks, and bars below these."""
    marked = [one for one in members if one.label or not _is_counted(one.event)]
    labelled = [(axis.place(one.seconds), one.label) for one in marked if one.label]
    rows = list(_rows(labelled))
    mark_y = top + _ROW_HEIGHT * (max((row for row, *_label in rows), default=-1) + 1) + _MARK_HEIGHT / 2
    base = mark_y + _MARK_HEIGHT / 2 + (_BARS_HEIGHT if counted else 0)
    labels = tuple(
        Label(x, mark_y - _MARK_HEIGHT / 2 - row * _ROW_HEIGHT, text, at, mark_y) for row, x, text, at in rows
    )
    bars = tuple(_bars(counted, axis, base, step))
    return Lane(_(LANES[kind]), base, tuple(_marks(marked, axis, mark_y)), labels, bars)


def _rows(labels: Iterable[tuple[float, str]]) -> Iterator[tuple[int, float, str, float]]:
    """Yield row, place, text and mark of each label for which there is room; row 0 is nearest to the marks.

    From right to left, so that the line from a label down to its mark passes on the left of all texts below it.
    """
    begins = [_RIGHT + _NEAR] * _MOST_ROWS
    for mark_x, text in sorted(labels, reverse=True):
        width = text_width(text)
        x = min(mark_x, _RIGHT - width)
        for row, begin in enumerate(begins):
            if x + width + _NEAR <= begin:
                begins[row] = x
                yield row, x, text, mark_x
                break
            if begin < mark_x:  # the line would cross that text
                break


def text_width(text: str) -> float:
    """Return about how wide a text is: letters of East Asian scripts are twice as wide."""
    return sum(_LETTER_WIDTH * (1.8 if unicodedata.east_asian_width(letter) in "WF" else 1) for letter in text)


def _marks(members: Sequence[_Drawn], axis: Axis, y: float) -> Iterator[Mark]:
    """Yield the marks; events of one shape that lie nearer than the eye can tell apart are one."""
    groups: dict[str, list[tuple[float, list[Event]]]] = {}
    for one in members:
        x = axis.place(one.seconds)
        shape = _SHAPES.get(one.event.kind, "dot" if one.event.family is not None else "ring")
        group = groups.setdefault(shape, [])
        if group and x - group[-1][0] < _NEAR:
            group[-1][1].append(one.event)
        else:
            group.append((x, [one.event]))
    for shape, group in groups.items():
        for x, events in group:
            yield Mark(round(x, 1), round(y, 1), shape, _title(events))


def _title(events: Sequence[Event]) -> str:
    """Return what a mark stands for, a line an event."""
    lines = [f"{moment(one.time_utc)} · {say(one.kind, EVENT_KINDS)}: {one.what}" for one in events[:_TITLE_LINES]]
    return " / ".join([*lines, f"+{number(len(events) - _TITLE_LINES)}"] if len(events) > _TITLE_LINES else lines)


def _binned(minutes: Counter[int], step_seconds: int) -> dict[int, int]:
    """Add up the minutes in steps of time; return the files of each step by its begin."""
    binned: Counter[int] = Counter()
    for minute, count in minutes.items():
        binned[minute // step_seconds * step_seconds] += count
    return dict(sorted(binned.items()))


def _bars(counted: dict[int, int], axis: Axis, base: float, step_seconds: int) -> Iterator[Bar]:
    """Yield a bar for each step in which files were encrypted; the smallest can still be seen."""
    highest = max(counted.values(), default=1)
    for begin, count in counted.items():
        x = axis.place(begin)
        width = max(axis.place(begin + step_seconds) - x - 1, 1.5)
        height = max(count / highest * _BARS_HEIGHT, 1.5)
        title = f"{datetime.fromtimestamp(begin, tz=UTC):%Y-%m-%d %H:%M} UTC: {number(count)}"
        yield Bar(round(x, 1), round(base - height, 1), round(width, 1), round(height, 1), title)
