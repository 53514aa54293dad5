"""The events that a reader looks for first, by one table: the first or the last of a kind."""

from __future__ import annotations

from typing import NamedTuple

from triage.model.event import Event, EventKind
from triage.model.timeline import Milestone, MilestoneKind

_ORDER = {kind: place for place, kind in enumerate(MilestoneKind)}


class Rule(NamedTuple):
    """The first (or the last) event of these kinds is this milestone.

    With `of_malware` only what is a trace of malware counts. What any computer has counts from the malware's first sign
    on, the last starts and stops always.
    """

    milestone: MilestoneKind
    kinds: tuple[EventKind, ...]
    of_malware: bool = True
    is_last: bool = False


RULES: tuple[Rule, ...] = (
    Rule(MilestoneKind.DROPPED, (EventKind.PROGRAM_DROPPED,)),
    Rule(MilestoneKind.RUN, (EventKind.PROGRAM_RUN,)),
    Rule(MilestoneKind.SERVICE_INSTALLED, (EventKind.SERVICE_INSTALLED,)),
    Rule(MilestoneKind.SERVICE_KEY_WRITTEN, (EventKind.SERVICE_KEY_WRITTEN,)),
    Rule(MilestoneKind.CONNECTED, (EventKind.CONNECTION,)),
    Rule(MilestoneKind.ENCRYPTION_STARTED, (EventKind.ENCRYPTION_STARTED, EventKind.KEY_WRITTEN)),
    Rule(MilestoneKind.FIRST_FILE_ENCRYPTED, (EventKind.FILE_ENCRYPTED,)),
    Rule(MilestoneKind.LAST_FILE_ENCRYPTED, (EventKind.FILE_ENCRYPTED,), is_last=True),
    Rule(MilestoneKind.NOTE_WRITTEN, (EventKind.NOTE_WRITTEN,)),
    Rule(MilestoneKind.SHADOWS_DELETED, (EventKind.SHADOWS_DELETED,), of_malware=False),
    Rule(MilestoneKind.DETECTED, (EventKind.MALWARE_DETECTED,), of_malware=False),
    Rule(MilestoneKind.LOG_CLEARED, (EventKind.LOG_CLEARED,), of_malware=False),
    Rule(MilestoneKind.LAST_START, (EventKind.SYSTEM_STARTED,), of_malware=False, is_last=True),
    Rule(MilestoneKind.LAST_STOP, (EventKind.SYSTEM_STOPPED,), of_malware=False, is_last=True),
)


_BY_KIND = {kind: tuple(rule for rule in RULES if kind in rule.kinds) for kind in EventKind}


class MilestoneSurvey:
    """Takes all events in order."""

    def __init__(self) -> None:
        self._found: dict[MilestoneKind, Event] = {}
        self._is_infected = False

    def add(self, event: Event, *, is_sign: bool) -> None:
        """Take the next event; `is_sign` where malware was at work at that moment: its last deed is one such."""
        self._is_infected |= event.family is not None
        for rule in _BY_KIND[event.kind]:
            if rule.of_malware and event.family is None:
                continue
            if rule.is_last and rule.of_malware and not is_sign:
                continue
            if rule.is_last or (self._is_infected and rule.milestone not in self._found):
                self._found[rule.milestone] = event

    def result(self) -> tuple[Milestone, ...]:
        """Return the milestones by time."""
        ordered = sorted(self._found.items(), key=lambda one: (one[1].time_utc, _ORDER[one[0]]))
        return tuple(Milestone(kind=kind, event=event) for kind, event in ordered)
