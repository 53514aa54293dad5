"""The time axis of the drawn timeline: hours in which nothing happened are cut out, so that minutes can be seen."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

_MOST_CUTS = 4
_SHORTEST_CUT_SECONDS = 20 * 60
_SHORTEST_AXIS_SECONDS = 10 * 60
_CUT_WIDTH = 56.0
_MARGIN = 12.0
_TICK_WIDTH = 66.0
_DAY_SECONDS = 24 * 60 * 60
_LAST_MOMENT = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
STEPS_SECONDS = tuple(
    60 * minutes
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2 * 1440, 7 * 1440, 30 * 1440, 365 * 1440)
)


class Span(NamedTuple):
    """A stretch of time that is drawn, in seconds since 1970, and where it begins."""

    start: int
    end: int
    x: float


class Cut(NamedTuple):
    """A time that is cut out: the middle of its place, and how long it is."""

    x: float
    seconds: int


class Tick(NamedTuple):
    """A mark of the axis; `time` is a clock time, `date` stands below it; either may be empty."""

    x: float
    time: str
    date: str


class Axis:
    """Maps times to places from `left` to `right`; all spans have one scale."""

    def __init__(self, moments: Collection[int], left: float, right: float) -> None:
        """Lay out the axis for these times, of which there is at least one."""
        bounds = _bounds(sorted(set(moments)))
        drawn_seconds = sum(end - start for start, end in bounds)
        room = right - left - _CUT_WIDTH * (len(bounds) - 1) - 2 * _MARGIN * len(bounds)
        self.scale = room / drawn_seconds
        spans, x = [], left + _MARGIN
        for start, end in bounds:
            spans.append(Span(start, end, x))
            x += (end - start) * self.scale + _CUT_WIDTH + 2 * _MARGIN
        self.spans = tuple(spans)

    def place(self, moment: int) -> float:
        """Return where a time is; one that is cut out or outside is moved to the nearest one drawn."""
        span = next((one for one in reversed(self.spans) if one.start <= moment), self.spans[0])
        return span.x + (min(max(moment, span.start), span.end) - span.start) * self.scale

    def stretches(self) -> Iterator[tuple[float, float]]:
        """Yield from where to where each span goes, its margins included."""
        for span in self.spans:
            yield span.x - _MARGIN, span.x + (span.end - span.start) * self.scale + _MARGIN

    def cuts(self) -> Iterator[Cut]:
        """Yield what is cut out between the spans."""
        for before, after in pairwise(self.spans):
            yield Cut(after.x - _MARGIN - _CUT_WIDTH / 2, after.start - before.end)

    def step_seconds(self, width: float) -> int:
        """Return the smallest round step of time that is at least so wide."""
        return next((step for step in STEPS_SECONDS if step * self.scale >= width), STEPS_SECONDS[-1])

    def ticks(self) -> Iterator[Tick]:
        """Yield the ticks, left to right; spans and steps are so wide that no two of their texts overlap."""
        step = self.step_seconds(_TICK_WIDTH)
        told = ""
        for span in self.spans:
            first = -(-span.start // step) * step
            for moment in range(first, min(span.end, _LAST_MOMENT) + 1, step) or (span.start,):
                when = datetime.fromtimestamp(moment, tz=UTC)
                date = f"{when:%Y-%m-%d}"
                time = f"{when:%H:%M}" if step < _DAY_SECONDS else ""
                yield Tick(self.place(moment), time, date if date != told else "")
                told = date


def _bounds(moments: list[int]) -> list[tuple[int, int]]:
    """Return what is drawn: all from first to last, without the gaps that are long against the rest."""
    drawn_seconds = moments[-1] - moments[0]
    cuts: list[tuple[int, int]] = []
    for seconds, start, end in sorted(((end - start, start, end) for start, end in pairwise(moments)), reverse=True):
        if len(cuts) == _MOST_CUTS or seconds < max(_SHORTEST_CUT_SECONDS, (drawn_seconds - seconds) // 2):
            break
        cuts.append((start, end))
        drawn_seconds -= seconds
    edges = [moments[0], *(edge for cut in sorted(cuts) for edge in cut), moments[-1]]
    edges[-1] += max(_SHORTEST_AXIS_SECONDS - drawn_seconds, 0)
    return list(zip(edges[::2], edges[1::2], strict=True))
