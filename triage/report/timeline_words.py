"""The timeline in words for people."""

from __future__ import annotations

from collections.abc import Mapping

from triage.model.event import EventKind, EventSource
from triage.model.text import N_, _, ngettext
from triage.model.timeline import ClockDoubt, DoubtKind, EncryptionRate, GoldenHours, MilestoneKind
from triage.report.words import moment, number, say

EVENT_KINDS: Mapping[str, str] = {
    EventKind.PROGRAM_DROPPED: N_("program dropped"),
    EventKind.PROGRAM_RUN: N_("program run"),
    EventKind.SERVICE_INSTALLED: N_("service installed"),
    EventKind.SERVICE_KEY_WRITTEN: N_("service key last written"),
    EventKind.SERVICE_STARTED: N_("service started"),
    EventKind.SERVICE_STOPPED: N_("service stopped"),
    EventKind.SERVICE_FAILED: N_("service failed"),
    EventKind.SETTING_CHANGED: N_("setting changed"),
    EventKind.ENCRYPTION_STARTED: N_("encryption started"),
    EventKind.KEY_WRITTEN: N_("key file written"),
    EventKind.FILE_ENCRYPTED: N_("file encrypted"),
    EventKind.FILE_PREPARED: N_("large file prepared"),
    EventKind.ORIGINAL_MOVED: N_("original moved away"),
    EventKind.NOTE_WRITTEN: N_("ransom note written"),
    EventKind.SHADOWS_DELETED: N_("deletion of shadow copies begun"),
    EventKind.FREE_SPACE_FILLED: N_("free space filled"),
    EventKind.LOG_CLEARED: N_("event log cleared"),
    EventKind.MALWARE_DETECTED: N_("malware detected"),
    EventKind.CONNECTION: N_("network connection"),
    EventKind.SYSTEM_STARTED: N_("Windows started"),
    EventKind.SYSTEM_STOPPED: N_("Windows shut down"),
    EventKind.SYSTEM_CRASHED: N_("ended without shutdown"),
    EventKind.CLOCK_CHANGED: N_("clock changed"),
}
EVENT_SOURCES: Mapping[str, str] = {
    EventSource.CHANGE_JOURNAL: N_("change journal"),
    EventSource.EVENT_LOG: N_("event log"),
    EventSource.REGISTRY: N_("registry"),
    EventSource.PREFETCH: "Prefetch",
    EventSource.AMCACHE: "Amcache",
    EventSource.SHIMCACHE: "ShimCache",
    EventSource.RECENT_FILE_CACHE: "RecentFileCache",
    EventSource.SCHEDULED_TASK: N_("scheduled task"),
    EventSource.FILE_NAME: N_("file name"),
    EventSource.TEXT_LOG: N_("text log"),
}
MILESTONES: Mapping[str, str] = {
    MilestoneKind.DROPPED: N_("first program dropped"),
    MilestoneKind.RUN: N_("first program run"),
    MilestoneKind.SERVICE_INSTALLED: N_("service installed"),
    MilestoneKind.SERVICE_KEY_WRITTEN: N_("service key last written"),
    MilestoneKind.CONNECTED: N_("first connection"),
    MilestoneKind.ENCRYPTION_STARTED: N_("encryption started"),
    MilestoneKind.FIRST_FILE_ENCRYPTED: N_("first file encrypted"),
    MilestoneKind.LAST_FILE_ENCRYPTED: N_("last file encrypted"),
    MilestoneKind.NOTE_WRITTEN: N_("first ransom note"),
    MilestoneKind.SHADOWS_DELETED: N_("deletion of shadow copies begun"),
    MilestoneKind.DETECTED: N_("malware detected"),
    MilestoneKind.LOG_CLEARED: N_("event log cleared"),
    MilestoneKind.LAST_START: N_("last start of Windows"),
    MilestoneKind.LAST_STOP: N_("last shutdown"),
}
_DOUBTS: Mapping[str, str] = {
    DoubtKind.LOCAL_TIME: N_(
        "{volume}: {count} entries come from logs in local time. They were converted by the time zone and the rule for "
        "summer time that the registry holds today ({time_zone}): if others held then, they are off."
    ),
    DoubtKind.NO_SUMMER_RULE: N_(
        "{volume}: {count} entries come from logs in local time. They were converted by the time zone that the "
        "registry names today ({time_zone}), which has no rule for summer time there: they may be an hour off."
    ),
    DoubtKind.HARDWARE_CLOCK: N_(
        "{volume}: this Windows keeps local time ({time_zone}) in the hardware clock, and the disk holds another "
        "system ({other}), which may keep UTC there: after it has run, the clock of Windows is off by the time zone."
    ),
    DoubtKind.CLOCK_CHANGED: N_(
        "Events say that the clock was set: {count}, from {first} to {last}, by {seconds} at most."
    ),
    DoubtKind.CLOCK_SET_BACK: N_(
        "{volume}: {trace} goes back in time by {seconds}: the clock was set back, or had been ahead before."
    ),
    DoubtKind.BEFORE_INSTALLATION: N_(
        "{volume}: {count} traces of the malware are older than this Windows, installed {installed}; an upgrade sets "
        "that date anew."
    ),
    DoubtKind.IN_THE_FUTURE: N_(
        "{volume}: {count} entries are later than this examination, the last {last}: that clock or the one of the "
        "examining machine is wrong."
    ),
    DoubtKind.FIRST_SIGN_EARLIER: N_(
        "The first dated trace of the malware is the last write of a registry key ({first}): the malware came "
        "then or earlier, and the golden hours began with it."
    ),
    DoubtKind.CHANGED_LATER: N_(
        "{count} encrypted files are dated only by the last change of their records, long after the others ({first} to "
        "{last}). A change of rights or attributes moves that time: they count neither for the pace nor for the end."
    ),
}
_MOMENTS = ("first", "last", "installed")
_MINUTE_SECONDS = 60
_HOUR_SECONDS = 60 * _MINUTE_SECONDS
_DAY_SECONDS = 24 * _HOUR_SECONDS


def doubt_line(doubt: ClockDoubt) -> str:
    """Return a doubt about the clock as a sentence."""
    return say(doubt.kind, _DOUBTS).format_map({name: _value(name, text) for name, text in doubt.values.items()})


def rate_line(rate: EncryptionRate) -> str:
    """Return how many files were encrypted, when and how fast."""
    return ngettext(
        "{files} file encrypted, {first} to {last}, at most {most} in a minute",
        "{files} files encrypted, {first} to {last}, at most {most} in a minute",
        rate.files,
    ).format(
        files=number(rate.files),
        first=moment(rate.first_utc),
        last=moment(rate.last_utc),
        most=number(rate.most_in_a_minute),
    )


def golden_line(golden: GoldenHours) -> str:
    """Return how much of the two golden hours was used."""
    used, estimate = duration(golden.used_seconds), duration(golden.estimate_seconds)
    if golden.used_seconds > golden.estimate_seconds:
        return _(
            "Golden hours (a practitioner's estimate): all {estimate} were used, the malware ran for {used}"
        ).format(estimate=estimate, used=used)
    said = (
        _("Golden hours (a practitioner's estimate): at least {used} of {estimate} were used")
        if golden.at_least
        else _("Golden hours (a practitioner's estimate): {used} of {estimate} were used")
    )
    return said.format(used=used, estimate=estimate)


def duration(seconds: int) -> str:
    """Return a length of time, rounded down: `40 s`, `35 min`, `1 h 05 min`, `2 h`, `3 d 4 h`."""
    days, rest = divmod(seconds, _DAY_SECONDS)
    hours, rest = divmod(rest, _HOUR_SECONDS)
    minutes, rest = divmod(rest, _MINUTE_SECONDS)
    if days > 0:
        form = _("{days} d {hours} h") if hours > 0 else _("{days} d")
    elif hours > 0:
        form = _("{hours} h {minutes:02} min") if minutes > 0 else _("{hours} h")
    else:
        form = _("{minutes} min") if minutes > 0 else _("{seconds} s")
    return form.format(days=number(days), hours=hours, minutes=minutes, seconds=rest)


def _value(name: str, text: str) -> str:
    if name in _MOMENTS:
        return moment(text)
    return duration(int(text)) if name == "seconds" and text.isdecimal() else text
