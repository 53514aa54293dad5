"""The chronology of a case → its timeline: a pure function, like the verdict.

A chronology may hold a million events, a report must not. So the timeline has the milestones, the files encrypted in
each minute and those events that tell most; what it leaves out is counted.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence

from triage.model.change import JournalSummary
from triage.model.event import Event, EventKind
from triage.model.filetime import unix_seconds
from triage.model.timeline import Milestone, Timeline
from triage.model.volume import VolumeInfo
from triage.verdict.certainty import CertaintySurvey
from triage.verdict.chronology import Chronology
from triage.verdict.clock import ClockSurvey
from triage.verdict.milestones import MilestoneSurvey
from triage.verdict.pace import GoldenHoursSurvey, RateSurvey
from triage.verdict.power import PowerSurvey

EVENTS_LISTED = 500
_MANY_OF_A_KIND = (
    EventKind.FILE_ENCRYPTED,
    EventKind.FILE_PREPARED,
    EventKind.ORIGINAL_MOVED,
    EventKind.NOTE_WRITTEN,
)


def build_timeline(
    chronology: Chronology,
    *,
    volumes: Sequence[VolumeInfo],
    journals: Sequence[JournalSummary],
    examined_utc: str,
) -> Timeline:
    """Return the timeline; `volumes`, `journals` and when the case was begun tell how far its clock can be trusted."""
    counts: Counter[EventKind] = Counter()
    power = PowerSurvey()
    certainty = CertaintySurvey(chronology, power)
    milestones, rate, golden_hours = MilestoneSurvey(), RateSurvey(), GoldenHoursSurvey(power)
    clock = ClockSurvey(volumes, journals, examined_utc)
    for event in chronology:
        counts[event.kind] += 1
        is_sign = certainty.is_sign(event)
        power.add(event, is_sign=is_sign)
        milestones.add(event, is_sign=is_sign)
        rate.add(event, is_sign=is_sign)
        golden_hours.add(event, is_sign=is_sign)
        clock.add(event)
    listed = _listed(chronology, milestones.result())
    return Timeline(
        milestones=milestones.result(),
        encryption=rate.result(),
        golden_hours=golden_hours.result(),
        doubts=(*clock.result(), *certainty.result()),
        by_kind={kind.value: counts[kind] for kind in EventKind if kind in counts},
        undated=chronology.undated,
        not_listed=counts.total() - len(listed),
        events=listed,
    )


def _listed(chronology: Chronology, milestones: Sequence[Milestone]) -> tuple[Event, ...]:
    """Return the events that a report lists, in order: `EVENTS_LISTED` of them at most."""
    chosen = tuple(one.event for one in milestones)
    of_malware = [event.time_utc for event in chosen if event.family is not None]
    span = (unix_seconds(of_malware[0]), unix_seconds(of_malware[-1])) if of_malware else None
    ranked = ((*_rank(event, chosen, span), number, event) for number, event in enumerate(chronology))
    first = heapq.nsmallest(EVENTS_LISTED, ranked)
    return tuple(event for *_rank, _number, event in sorted(first, key=lambda row: row[2]))


def _rank(event: Event, chosen: tuple[Event, ...], span: tuple[int, int] | None) -> tuple[int, int]:
    """Return how soon an event is listed: milestones and the malware's own steps, then what else happened, that nearest
    to the malware's span first (without malware the latest), and last what it did to file after file.
    """
    if event in chosen:
        return 0, 0
    if event.kind in _MANY_OF_A_KIND:
        return 3, 0
    if event.family is not None:
        return 1, 0
    moment = unix_seconds(event.time_utc)
    return 2, -moment if span is None else max(span[0] - moment, moment - span[1], 0)
