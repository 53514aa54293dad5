"""What one artefact tells: its findings, its dated events, and what of it could not be parsed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from triage.model.event import Event
from triage.model.finding import Finding
from triage.model.gap import Gap


class Told(Struct, frozen=True, kw_only=True):
    """What one artefact tells."""

    findings: tuple[Finding, ...] = ()
    events: tuple[Event, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Notes(NamedTuple):
    """Where what is met is noted at once, so that a run that dies later has not lost it."""

    finding: Callable[[Finding], None]
    event: Callable[[Event], None]
    gap: Callable[[Gap], None]

    def take(self, told: Told) -> None:
        """Note all that an artefact tells."""
        for finding in told.findings:
            self.finding(finding)
        for event in told.events:
            self.event(event)
        for gap in told.gaps:
            self.gap(gap)
