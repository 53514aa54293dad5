"""The timeline of a case: what happened, in order, each line with the trace that tells it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from triage.model.event import Event

GOLDEN_SECONDS = 2 * 60 * 60


class MilestoneKind(StrEnum):
    """What an event was the first or the last of. Only the last starts and stops are not the malware's."""

    DROPPED = "dropped"
    RUN = "run"
    SERVICE_INSTALLED = "service-installed"
    SERVICE_KEY_WRITTEN = "service-key-written"
    CONNECTED = "connected"
    ENCRYPTION_STARTED = "encryption-started"
    FIRST_FILE_ENCRYPTED = "first-file-encrypted"
    LAST_FILE_ENCRYPTED = "last-file-encrypted"
    NOTE_WRITTEN = "note-written"
    SHADOWS_DELETED = "shadows-deleted"
    DETECTED = "detected"
    LOG_CLEARED = "log-cleared"
    LAST_START = "last-start"
    LAST_STOP = "last-stop"


class Milestone(Struct, frozen=True, kw_only=True):
    """An event that a reader looks for first."""

    kind: MilestoneKind
    event: Event


class EncryptionRate(Struct, frozen=True, kw_only=True):
    """How fast files were encrypted, from the encrypted files that lie on the disk, each dated by itself.

    `per_minute` holds the busiest minutes, in order, each with the files that were encrypted in it: all of them, unless
    the dates are so scattered that `minutes_not_listed` others, of `files_not_listed` files, are left out. The time of
    `files_doubtful` others was moved later: they are in no minute, and not the last file.
    """

    files: int
    first_utc: str
    last_utc: str
    per_minute: tuple[tuple[str, int], ...]
    minutes_not_listed: int = 0
    files_not_listed: int = 0
    files_doubtful: int = 0

    @property
    def most_in_a_minute(self) -> int:
        """How many files the busiest minute saw."""
        return max(count for _minute, count in self.per_minute)


class GoldenHours(Struct, frozen=True, kw_only=True):
    """How long the malware has run, against the two hours in which, the first article says, files can be saved.

    Those `estimate_seconds` are a practitioner's estimate, nothing measured. `used_seconds` go from the first sign of
    the malware to the last file that it encrypted (where there is none: to its last sign, or the last shutdown after
    it), less the `off_seconds` in which the computer is known to have been off. They are `at_least` so many where the
    first sign is dated by a time that something later may have moved.
    """

    started_utc: str
    ended_utc: str
    used_seconds: int
    off_seconds: int
    at_least: bool = False
    estimate_seconds: int = GOLDEN_SECONDS


class DoubtKind(StrEnum):
    """Why the clock, or what was read off it, may have been wrong."""

    LOCAL_TIME = "local-time"
    NO_SUMMER_RULE = "no-summer-rule"
    HARDWARE_CLOCK = "hardware-clock"
    CLOCK_CHANGED = "clock-changed"
    CLOCK_SET_BACK = "clock-set-back"
    BEFORE_INSTALLATION = "before-installation"
    IN_THE_FUTURE = "in-the-future"
    FIRST_SIGN_EARLIER = "first-sign-earlier"
    CHANGED_LATER = "changed-later"


class ClockDoubt(Struct, frozen=True, kw_only=True):
    """One reason to doubt; `values` are what its sentence names."""

    kind: DoubtKind
    values: dict[str, str]


class Timeline(Struct, frozen=True, kw_only=True):
    """The events of a case, by time, as far as a report holds them; `timeline.jsonl` has all.

    `by_kind` counts all events; `not_listed` of them are not among `events`. `undated` counts the
    findings that should be among them and have no time.
    """

    milestones: tuple[Milestone, ...] = ()
    encryption: EncryptionRate | None = None
    golden_hours: GoldenHours | None = None
    doubts: tuple[ClockDoubt, ...] = ()
    by_kind: dict[str, int] = {}
    undated: int = 0
    not_listed: int = 0
    events: tuple[Event, ...] = ()
