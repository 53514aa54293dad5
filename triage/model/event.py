"""What happened and when: one dated trace is an `Event`; the timeline of a case is all of them in order."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from triage.model.gap import Where


class EventKind(StrEnum):
    """What happened."""

    PROGRAM_DROPPED = "program-dropped"
    PROGRAM_RUN = "program-run"
    SERVICE_INSTALLED = "service-installed"
    SERVICE_KEY_WRITTEN = "service-key-written"
    SERVICE_STARTED = "service-started"
    SERVICE_STOPPED = "service-stopped"
    SERVICE_FAILED = "service-failed"
    SETTING_CHANGED = "setting-changed"
    ENCRYPTION_STARTED = "encryption-started"
    KEY_WRITTEN = "key-written"
    FILE_ENCRYPTED = "file-encrypted"
    FILE_PREPARED = "file-prepared"
    ORIGINAL_MOVED = "original-moved"
    NOTE_WRITTEN = "note-written"
    SHADOWS_DELETED = "shadows-deleted"
    FREE_SPACE_FILLED = "free-space-filled"
    LOG_CLEARED = "log-cleared"
    MALWARE_DETECTED = "malware-detected"
    CONNECTION = "connection"
    SYSTEM_STARTED = "system-started"
    SYSTEM_STOPPED = "system-stopped"
    SYSTEM_CRASHED = "system-crashed"
    CLOCK_CHANGED = "clock-changed"


class EventSource(StrEnum):
    """Which trace tells it. `SI` and `FN` are the times of `$STANDARD_INFORMATION` and `$FILE_NAME`."""

    SI = "$SI"
    FN = "$FN"
    CHANGE_JOURNAL = "change-journal"
    EVENT_LOG = "event-log"
    PREFETCH = "prefetch"
    REGISTRY = "registry"
    AMCACHE = "amcache"
    SHIMCACHE = "shimcache"
    RECENT_FILE_CACHE = "recent-file-cache"
    SCHEDULED_TASK = "scheduled-task"
    FILE_NAME = "file-name"
    TEXT_LOG = "text-log"


class Event(Struct, frozen=True, kw_only=True):
    """One dated trace in one place.

    `time_utc` is ISO 8601 with seven decimals (what a source tells less exactly ends in zeros). `what` names the
    program, service, file or computer concerned. `family` is the malware it is a trace of; None for what any computer
    has (a start, a change of the clock), which a stage may weigh only together with traces of the malware. `facts` are
    further values as text.
    """

    time_utc: str
    kind: EventKind
    source: EventSource
    what: str
    where: Where
    family: str | None = None
    facts: dict[str, str] = {}
