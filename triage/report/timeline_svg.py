"""The timeline drawn: from its events to lines, marks and texts with their places, which the template puts into SVG.

What is drawn is the malware's time: from its first sign to its last, and what else happened around it. Nothing in here
is markup; texts from the evidence are escaped where the template writes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from triage.model.escape import escape_terminal
from triage.model.event import Event, EventKind
from triage.model.filetime import canonical_iso, unix_seconds
from triage.model.text import N_, _
from triage.model.timeline import Milestone, Timeline
from triage.report.timeline_axis import Axis, Cut, Tick
from triage.report.timeline_lane import RIGHT, WIDTH, Drawn, Lane, Steps, is_counted, lay_out
from triage.report.timeline_words import MILESTONES
from triage.report.words import say

_LEFT = 116.0
_LANE_GAP = 16.0
_AXIS_HEIGHT = 38.0
_CUTS_HEIGHT = 14.0
_BAR_WIDTH = 5.0
_NAME_LETTERS = 28
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


def draw(timeline: Timeline) -> Drawing | None:
    """Return the drawing; None where nothing of malware is dated."""
    minutes = Counter({unix_seconds(minute): count for minute, count in _minutes(timeline)})
    events = _drawn(timeline)
    if not events and not minutes:
        return None
    axis = Axis([*(one.seconds for one in events), *minutes, *(minute + 60 for minute in minutes)], _LEFT, RIGHT)
    step = axis.step_seconds(_BAR_WIDTH)
    bars = _binned(minutes, step)
    lanes: list[Lane] = []
    y = 0.0
    for kind in LaneKind:
        members = [one for one in events if _lane(one.event) is kind]
        counted = bars if kind is LaneKind.ENCRYPTION else {}
        if members or counted:
            lane = lay_out(_(LANES[kind]), members, axis, y + _LANE_GAP, Steps(step, counted))
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
        not_drawn=sum(not is_counted(one) for one in timeline.events)
        - sum(not is_counted(one.event) for one in events),
    )


def _minutes(timeline: Timeline) -> Iterator[tuple[str, int]]:
    """Yield the minutes that a report names as it should."""
    for minute, count in () if timeline.encryption is None else timeline.encryption.per_minute:
        when = canonical_iso(minute)
        if when is not None:
            yield when, count


def _drawn(timeline: Timeline) -> list[Drawn]:
    """Return the events that are drawn, by time: the malware's, and what else happened within an hour of those."""
    labels = {_identity(one.event): _label(one) for one in timeline.milestones}
    last_utc = "" if timeline.encryption is None else timeline.encryption.last_utc  # what is later was moved
    dated = [
        one
        for one in timeline.events
        if canonical_iso(one.time_utc) is not None and not (is_counted(one) and one.time_utc > last_utc)
    ]
    of_malware = [unix_seconds(one.time_utc) for one in dated if one.family is not None]
    if not of_malware:
        return []
    first, last = of_malware[0] - _AROUND_SECONDS, of_malware[-1] + _AROUND_SECONDS
    drawn = [Drawn(unix_seconds(one.time_utc), one, labels.get(_identity(one), "")) for one in dated]
    return [one for one in drawn if first <= one.seconds <= last]


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


def _binned(minutes: Counter[int], step_seconds: int) -> dict[int, int]:
    """Add up the minutes in steps of time; return the files of each step by its begin."""
    binned: Counter[int] = Counter()
    for minute, count in minutes.items():
        binned[minute // step_seconds * step_seconds] += count
    return dict(sorted(binned.items()))
