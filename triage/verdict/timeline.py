"""Findings and events → one timeline: a pure function, like the verdict."""

from __future__ import annotations

from collections.abc import Iterable

from triage.model.event import Event
from triage.model.timeline import Timeline


def build_timeline(events: Iterable[Event]) -> Timeline:
    """Return all events in the order of their time."""
    return Timeline(events=tuple(sorted(events, key=lambda one: (one.time_utc, one.kind, one.what))))
