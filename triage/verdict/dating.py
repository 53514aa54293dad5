"""Findings → dated events: which of a finding's times means what, in one table.

A time on a disk dates one thing and not another. The `$STANDARD_INFORMATION` times of an encrypted file are copied from
its original, all but the time of the last change of its record; those of the malware's helpers come out of its archive.
`docs/method.md` tells for each row why that time is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from triage.model.event import Event, EventKind, EventSource
from triage.model.filetime import canonical_iso
from triage.model.finding import Finding, FindingKind, Severity

_CREATED = ("fn_created", "si_created")
_ANY = re.compile(".*", re.DOTALL)
_NO_NOTE = re.compile(r"(?![@!]).*", re.DOTALL)


class Reading(NamedTuple):
    """One row: what the times of such findings date.

    Of `times` the first one that the finding has counts, or with `each` all of them. `indicator` is held against the
    whole name of what matched, `name` against that of the file.
    """

    finding: FindingKind
    event: EventKind
    times: tuple[str, ...]
    indicator: re.Pattern[str] = _ANY
    name: re.Pattern[str] = _ANY
    each: bool = False


READINGS: tuple[Reading, ...] = (
    Reading(FindingKind.DIGEST, EventKind.PROGRAM_DROPPED, _CREATED, name=_NO_NOTE),
    Reading(
        FindingKind.YARA,
        EventKind.PROGRAM_DROPPED,
        _CREATED,
        re.compile(r"(?!WannaCry_(?:EncryptedFile|Note|Batch|Script)_).*"),
        _NO_NOTE,
    ),
    Reading(
        FindingKind.NAME,
        EventKind.PROGRAM_DROPPED,
        _CREATED,
        re.compile(r"(?!moved-original|free-space-filler|shortcut-|extension-|back-directory).*"),
    ),
    Reading(FindingKind.NAME, EventKind.ORIGINAL_MOVED, ("si_changed",), re.compile("moved-original")),
    Reading(FindingKind.NAME, EventKind.FREE_SPACE_FILLED, _CREATED, re.compile("free-space-filler")),
    Reading(
        FindingKind.NAME,
        EventKind.ENCRYPTION_STARTED,
        ("encryption_started", *_CREATED),
        re.compile("shortcut-.*"),
    ),
    Reading(FindingKind.WORK_DIRECTORY, EventKind.PROGRAM_DROPPED, _CREATED),
    Reading(FindingKind.SERVICE, EventKind.SERVICE_INSTALLED, ("key_last_written",)),
    Reading(FindingKind.REGISTRY, EventKind.SETTING_CHANGED, ("key_last_written",)),
    Reading(FindingKind.KEY_FILE, EventKind.KEY_WRITTEN, _CREATED),
    Reading(FindingKind.KEY_FILE, EventKind.KEY_WRITTEN, ("si_modified",), re.compile("key-state.*")),
    Reading(FindingKind.RANSOM_NOTE, EventKind.PROGRAM_DROPPED, _CREATED, re.compile("ransom-text")),
    Reading(FindingKind.RANSOM_NOTE, EventKind.NOTE_WRITTEN, _CREATED, re.compile("(?!ransom-text).*")),
    Reading(FindingKind.ENCRYPTED_FILE, EventKind.FILE_ENCRYPTED, ("encrypted", "si_changed", "fn_created")),
    Reading(
        FindingKind.JOURNAL,
        EventKind.FILE_ENCRYPTED,
        ("journal_first", "journal_last"),
        re.compile("encrypted-rename"),
        each=True,
    ),
    Reading(
        FindingKind.JOURNAL,
        EventKind.FILE_PREPARED,
        ("journal_first", "journal_last"),
        re.compile("prepared-rename"),
        each=True,
    ),
    Reading(
        FindingKind.JOURNAL,
        EventKind.ORIGINAL_MOVED,
        ("journal_first", "journal_last"),
        re.compile("moved-original-rename"),
        each=True,
    ),
    Reading(
        FindingKind.EXECUTION,
        EventKind.PROGRAM_RUN,
        (*(f"run_{number}" for number in range(1, 9)), "cache_updated", "key_last_written"),
        each=True,
    ),
    Reading(FindingKind.EXECUTION, EventKind.PROGRAM_DROPPED, ("file_created",)),
    Reading(FindingKind.NETWORK, EventKind.CONNECTION, ("event", "first", "last"), each=True),
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
_LAST_PART = re.compile(r".*[\\/](?=.)", re.DOTALL)
_NAMING_FACTS = ("service", "program", "value", "host")
_TOLD_FACTS = ("renames",)
_BY_KIND = {kind: tuple(row for row in READINGS if row.finding is kind) for kind in FindingKind}


class Dated(NamedTuple):
    """One time of one finding, and what it dates; `time_utc` sorts as text."""

    time_utc: str
    kind: EventKind
    time_name: str


def dates_of(finding: Finding) -> Iterator[Dated]:
    """Yield what a finding dates. One of low severity dates nothing: what it found may be anybody's."""
    if finding.severity is Severity.LOW:
        return
    for row in _BY_KIND[finding.kind]:
        if row.indicator.fullmatch(finding.indicator) is None or row.name.fullmatch(_file_name(finding)) is None:
            continue
        for name in row.times:
            moment = canonical_iso(finding.times.get(name, ""))
            if moment is not None:
                yield Dated(moment, row.event, name)
                if not row.each:
                    break


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


def _source(finding: Finding, time_name: str) -> EventSource:
    """Return which trace a time is from: the finding says so, or the name of the time does."""
    noted_in = finding.facts.get("noted_in", "")
    if noted_in in set(EventSource):
        return EventSource(noted_in)
    told = finding.facts.get("encrypted_from", "si_changed") if time_name == "encrypted" else time_name
    return _SOURCE_OF_TIME.get(told.partition("_")[0], EventSource.SI)


def _what(finding: Finding) -> str:
    """Return the service, program, value or host that a finding names, else the file; of a path the last part."""
    named = next((finding.facts[name] for name in _NAMING_FACTS if name in finding.facts), None)
    return _file_name(finding) if named is None else _LAST_PART.sub("", named)


def _file_name(finding: Finding) -> str:
    return _LAST_PART.sub("", finding.where.path or finding.indicator)
