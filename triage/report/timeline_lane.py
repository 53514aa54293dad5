"""One lane of the drawn timeline: where its texts, marks and bars stand."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from triage.model.event import Event, EventKind
from triage.report.timeline_axis import Axis
from triage.report.timeline_words import EVENT_KINDS
from triage.report.words import moment, number, say

WIDTH = 960.0
RIGHT = WIDTH - 8
_ROW_HEIGHT = 16.0
_MOST_ROWS = 4
_MARK_HEIGHT = 18.0
_BARS_HEIGHT = 62.0
_NEAR = 7.0
_LETTER_WIDTH = 6.6
_TITLE_LINES = 8
_SHAPES = {
    EventKind.SYSTEM_STARTED: "start",
    EventKind.SYSTEM_STOPPED: "stop",
    EventKind.SYSTEM_CRASHED: "crash",
    EventKind.CLOCK_CHANGED: "clock",
}


class Drawn(NamedTuple):
    """An event that is drawn: when, in seconds since 1970, and its words where it is labelled."""

    seconds: int
    event: Event
    label: str


class Steps(NamedTuple):
    """The files that were encrypted, by the begin (seconds since 1970) of each step of so many seconds."""

    seconds: int
    files: Mapping[int, int]


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


def is_counted(event: Event) -> bool:
    """Say whether the bars count this event."""
    return event.kind is EventKind.FILE_ENCRYPTED and "renames" not in event.facts


def lay_out(name: str, members: Sequence[Drawn], axis: Axis, top: float, steps: Steps) -> Lane:
    """Place what stands in one lane below `top`: labels, marks, and below these a bar for each of the steps."""
    marked = [one for one in members if one.label or not is_counted(one.event)]
    labelled = [(axis.place(one.seconds), one.label) for one in marked if one.label]
    rows = list(_rows(labelled))
    mark_y = top + _ROW_HEIGHT * (max((row for row, *_label in rows), default=-1) + 1) + _MARK_HEIGHT / 2
    base = mark_y + _MARK_HEIGHT / 2 + (_BARS_HEIGHT if steps.files else 0)
    labels = tuple(
        Label(x, mark_y - _MARK_HEIGHT / 2 - row * _ROW_HEIGHT, text, at, mark_y) for row, x, text, at in rows
    )
    bars = tuple(_bars(steps, axis, base))
    return Lane(name, base, tuple(_marks(marked, axis, mark_y)), labels, bars)


def _rows(labels: Iterable[tuple[float, str]]) -> Iterator[tuple[int, float, str, float]]:
    """Yield row, place, text and mark of each label for which there is room; row 0 is nearest to the marks.

    From right to left, so that the line from a label down to its mark passes on the left of all texts below it.
    """
    begins = [RIGHT + _NEAR] * _MOST_ROWS
    for mark_x, text in sorted(labels, reverse=True):
        width = text_width(text)
        x = min(mark_x, RIGHT - width)
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


def _marks(members: Sequence[Drawn], axis: Axis, y: float) -> Iterator[Mark]:
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


def _bars(steps: Steps, axis: Axis, base: float) -> Iterator[Bar]:
    """Yield a bar for each step in which files were encrypted; the smallest can still be seen."""
    highest = max(steps.files.values(), default=1)
    for begin, count in steps.files.items():
        x = axis.place(begin)
        width = max(axis.place(begin + steps.seconds) - x - 1, 1.5)
        height = max(count / highest * _BARS_HEIGHT, 1.5)
        title = f"{datetime.fromtimestamp(begin, tz=UTC):%Y-%m-%d %H:%M} UTC: {number(count)}"
        yield Bar(round(x, 1), round(base - height, 1), round(width, 1), round(height, 1), title)
