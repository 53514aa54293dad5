"""How fast the malware worked, and for how long: files encrypted in each minute, and the two golden hours."""

from __future__ import annotations

from collections import Counter

from triage.model.event import Event, EventKind
from triage.model.filetime import unix_seconds
from triage.model.timeline import EncryptionRate, GoldenHours

MINUTES_LISTED = 1440
_MINUTE_CHARACTERS = len("2017-05-12T07:44")


class RateSurvey:
    """Takes all events in order and counts the encrypted files that are dated one by one.

    What the change journal says of many renames together, it says with their first and last time only: that is no file
    of its own.
    """

    def __init__(self) -> None:
        self._minutes: Counter[str] = Counter()
        self._first_utc = ""
        self._last_utc = ""

    def add(self, event: Event) -> None:
        """Take the next event."""
        if event.kind is EventKind.FILE_ENCRYPTED and "renames" not in event.facts:
            self._minutes[event.time_utc[:_MINUTE_CHARACTERS]] += 1
            self._first_utc = self._first_utc or event.time_utc
            self._last_utc = event.time_utc

    def result(self) -> EncryptionRate | None:
        """Return the counts; None where no encrypted file is dated."""
        if not self._minutes:
            return None
        busiest = self._minutes.most_common(MINUTES_LISTED)
        files = self._minutes.total()
        return EncryptionRate(
            files=files,
            first_utc=self._first_utc,
            last_utc=self._last_utc,
            per_minute=tuple(sorted((f"{minute}:00Z", count) for minute, count in busiest)),
            minutes_not_listed=len(self._minutes) - len(busiest),
            files_not_listed=files - sum(count for _minute, count in busiest),
        )


class GoldenHoursSurvey:
    """Takes all events in order and measures from the malware's first sign to the end of its work.

    That is the last file that it encrypted. Until there is one, it is its last sign or the last shutdown. A shutdown
    and the next start enclose a time that was not used, unless something of the malware is dated in between.
    """

    def __init__(self) -> None:
        self._started_utc: str | None = None
        self._ended_utc = ""
        self._encrypts = False
        self._off_since: str | None = None
        self._off_seconds = 0
        self._off_seconds_at_end = 0

    def add(self, event: Event) -> None:
        """Take the next event."""
        is_malware = event.family is not None
        if self._started_utc is None and is_malware:
            self._started_utc = event.time_utc
        if self._started_utc is None:
            return
        encrypts = is_malware and event.kind is EventKind.FILE_ENCRYPTED
        self._encrypts |= encrypts
        self._follow_power(event)
        if encrypts or (not self._encrypts and (is_malware or event.kind is EventKind.SYSTEM_STOPPED)):
            self._ended_utc = event.time_utc
            self._off_seconds_at_end = self._off_seconds

    def result(self) -> GoldenHours | None:
        """Return what was used; None where nothing of the malware is dated."""
        if self._started_utc is None:
            return None
        lasted = unix_seconds(self._ended_utc) - unix_seconds(self._started_utc)
        return GoldenHours(
            started_utc=self._started_utc,
            ended_utc=self._ended_utc,
            used_seconds=lasted - self._off_seconds_at_end,
            off_seconds=self._off_seconds_at_end,
        )

    def _follow_power(self, event: Event) -> None:
        if event.kind is EventKind.SYSTEM_STOPPED:
            self._off_since = event.time_utc
        elif event.kind is EventKind.SYSTEM_STARTED and self._off_since is not None:
            self._off_seconds += unix_seconds(event.time_utc) - unix_seconds(self._off_since)
            self._off_since = None
        elif event.family is not None:
            self._off_since = None
