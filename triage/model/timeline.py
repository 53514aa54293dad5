"""The timeline of a case: what happened, in order, each line with the trace that tells it."""

from __future__ import annotations

from msgspec import Struct

from triage.model.event import Event


class Timeline(Struct, frozen=True, kw_only=True):
    """The events of a case, by time."""

    events: tuple[Event, ...] = ()
