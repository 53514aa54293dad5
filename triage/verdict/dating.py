"""Findings → dated events: which of a finding's times means what, in one table.

A time on a disk dates one thing and not another. The `$STANDARD_INFORMATION` times of an encrypted file are copied from
its original, all but the time of the last change of its record; those of the malware's helpers come out of its archive.
`docs/method.md` tells for each row why that time is taken.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

from triage.model.event import Event, EventKind, EventSource
from triage.model.filetime import canonical_iso
from triage.model.finding import Finding, FindingKind, Severity

_CREATED = ("fn_created", "si_created")
_RENAMED = ("journal_first", "journal_last")
_RUNS = tuple(f"run_{number}" for number in range(1, 9))
_NOTE = "[@!].*"


class Reading(NamedTuple):
    """One row: what the times of such findings date; with `event` None they date nothing.

    Of `times` the first one that the finding has counts, or with `each` all of them. `indicator` and `file` are
    patterns for what matched and for the name of the file; None fits all. Of the rows of a kind the first one that fits
    counts.
    """

    finding: FindingKind
    event: EventKind | None
    times: tuple[str, ...] = ()
    indicator: str | None = None
    file: str | None = None
    each: bool = False


READINGS: tuple[Reading, ...] = (
    Reading(FindingKind.DIGEST, EventKind.NOTE_WRITTEN, _CREATED, file=_NOTE),
    Reading(FindingKind.DIGEST, EventKind.PROGRAM_DROPPED, _CREATED),
    Reading(FindingKind.YARA, EventKind.NOTE_WRITTEN, _CREATED, file=_NOTE),
    Reading(FindingKind.YARA, None, indicator="WannaCry_(?:EncryptedFile|Note|Batch|Script)_.*"),
    Reading(FindingKind.YARA, EventKind.PROGRAM_DROPPED, _CREATED),
    Reading(FindingKind.NAME, EventKind.ORIGINAL_MOVED, ("si_changed",), "moved-original"),
    Reading(FindingKind.NAME, EventKind.FREE_SPACE_FILLED, _CREATED, "free-space-filler"),
    Reading(FindingKind.NAME, EventKind.ENCRYPTION_STARTED, ("encryption_started", *_CREATED), "shortcut-.*"),
    Reading(FindingKind.NAME, EventKind.PROGRAM_DROPPED, _CREATED),
    Reading(FindingKind.WORK_DIRECTORY, EventKind.PROGRAM_DROPPED, _CREATED),
    Reading(FindingKind.SERVICE, EventKind.SERVICE_KEY_WRITTEN, ("key_last_written",)),
    Reading(FindingKind.REGISTRY, EventKind.SETTING_CHANGED, ("key_last_written",)),
    Reading(FindingKind.KEY_FILE, EventKind.KEY_WRITTEN, ("fn_created", "si_modified"), "key-state.*", each=True),
    Reading(FindingKind.KEY_FILE, EventKind.KEY_WRITTEN, _CREATED),
    Reading(FindingKind.RANSOM_NOTE, EventKind.PROGRAM_DROPPED, _CREATED, "ransom-text"),
    Reading(FindingKind.RANSOM_NOTE, EventKind.NOTE_WRITTEN, _CREATED),
    Reading(FindingKind.ENCRYPTED_FILE, EventKind.FILE_ENCRYPTED, ("encrypted", "si_changed", "fn_created")),
    Reading(FindingKind.JOURNAL, EventKind.FILE_ENCRYPTED, _RENAMED, "encrypted-rename", each=True),
    Reading(FindingKind.JOURNAL, EventKind.FILE_PREPARED, _RENAMED, "prepared-rename", each=True),
    Reading(FindingKind.JOURNAL, EventKind.ORIGINAL_MOVED, _RENAMED, "moved-original-rename", each=True),
    Reading(FindingKind.JOURNAL, EventKind.ENCRYPTION_STARTED, ("encryption_started", "journal_first"), "shortcut-.*"),
    Reading(FindingKind.EXECUTION, EventKind.PROGRAM_RUN, (*_RUNS, "cache_updated", "key_last_written"), each=True),
    Reading(FindingKind.EVENT_LOG, EventKind.SERVICE_INSTALLED, ("event",), ".*-service-installed"),
    Reading(FindingKind.EVENT_LOG, EventKind.SERVICE_STARTED, ("event",), ".*-service-started"),
    Reading(FindingKind.EVENT_LOG, EventKind.SERVICE_STOPPED, ("event",), ".*-service-stopped"),
    Reading(FindingKind.EVENT_LOG, EventKind.SERVICE_FAILED, ("event",), ".*-service-failed"),
    Reading(FindingKind.EVENT_LOG, EventKind.SETTING_CHANGED, ("event",), ".*-service-changed|run-value-command"),
    Reading(FindingKind.EVENT_LOG, EventKind.SHADOWS_DELETED, ("event",), "recovery-command"),
    Reading(FindingKind.EVENT_LOG, EventKind.MALWARE_DETECTED, ("event",), "antivirus-detection"),
    Reading(FindingKind.EVENT_LOG, EventKind.PROGRAM_RUN, ("event",)),
    Reading(FindingKind.SCHEDULED_TASK, EventKind.SETTING_CHANGED, ("registered", *_CREATED, "key_last_written")),
    Reading(FindingKind.NETWORK, EventKind.CONNECTION, ("first", "last"), each=True),
)

_SOURCE_OF_TIME = {
    "si": EventSource.SI,
    "fn": EventSource.FN,
    "key": EventSource.REGISTRY,
    "journal": EventSource.CHANGE_JOURNAL,
    "run": EventSource.PREFETCH,
    "event": EventSource.EVENT_LOG,
    "encryption": EventSource.FILE_NAME,
    "first": EventSource.TEXT_LOG,
    "last": EventSource.TEXT_LOG,
}
_SOURCES = frozenset(EventSource)
_WORD = re.compile("[a-z]+")
_LAST_PART = re.compile(r".*[\\/](?=.)", re.DOTALL)
_NAMING_FACTS = ("service", "service_name", "task", "program", "threat", "value")
_NAMED_BY_EXCERPT = (FindingKind.JOURNAL, FindingKind.EVENT_LOG)
_TOLD_FACTS = ("renames", "clock", "time_zone", "summer_time", "record", "encrypted_doubt")


_BY_KIND = {kind: tuple(row for row in READINGS if row.finding is kind) for kind in FindingKind}


class Dated(NamedTuple):
    """One time of one finding, and what it dates; `time_utc` sorts as text."""

    time_utc: str
    kind: EventKind
    time_name: str


def dates_of(finding: Finding) -> tuple[Dated, ...] | None:
    """Return what a finding dates; None for one that is to date nothing: of low severity, since what it found may be
    anybody's, or told by other findings.
    """
    if finding.severity is Severity.LOW:
        return None
    reading = _reading(finding)
    if reading is None:
        return ()
    if reading.event is None:
        return None
    moments = ((name, canonical_iso(finding.times.get(name, ""))) for name in reading.times)
    dated = (Dated(moment, reading.event, name) for name, moment in moments if moment is not None)
    return tuple(dated if reading.each else islice(dated, 1))


def event_of(finding: Finding, dated: Dated) -> Event:
    """Return the event that a finding tells by one of its times; `facts` name both."""
    told = {name: finding.facts[name] for name in _TOLD_FACTS if name in finding.facts}
    return Event(
        time_utc=dated.time_utc,
        kind=dated.kind,
        source=_source(finding, dated.time_name),
        what=_what(finding),
        where=finding.where,
        family=finding.family,
        facts={"finding": finding.id, "time": dated.time_name, **told},
    )


def _reading(finding: Finding) -> Reading | None:
    rows = _BY_KIND[finding.kind]
    return next(
        (row for row in rows if _fits(row.indicator, finding.indicator) and _fits(row.file, _file(finding))), None
    )


def _fits(pattern: str | None, text: str) -> bool:
    return pattern is None or re.fullmatch(pattern, text, re.DOTALL) is not None


def _source(finding: Finding, time_name: str) -> EventSource:
    """Return which trace a time is from: a file's times their attribute, of others the finding or the name says it."""
    told = finding.facts.get("encrypted_from", "si") if time_name == "encrypted" else time_name
    word = _WORD.match(told)
    noted_in = finding.facts.get("noted_in", "")
    if noted_in in _SOURCES and time_name not in _CREATED:
        return EventSource(noted_in)
    return _SOURCE_OF_TIME.get("" if word is None else word[0], EventSource.SI)


def _what(finding: Finding) -> str:
    """Return the service, program or value that a finding names, else the file, of a path the last part."""
    for name in _NAMING_FACTS:
        if name in finding.facts:
            return _LAST_PART.sub("", finding.facts[name])
    if finding.kind is FindingKind.NETWORK:
        return finding.indicator
    return finding.excerpt if finding.kind in _NAMED_BY_EXCERPT and finding.excerpt else _file(finding)


def _file(finding: Finding) -> str:
    return (finding.where.path or finding.indicator).rpartition("/")[2]
