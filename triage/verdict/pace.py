"""How fast the malware worked, and for how long: files encrypted in each minute, and the two golden hours."""

from __future__ import annotations

from collections import Counter

from triage.model.event import Event, EventKind
from triage.model.filetime import unix_seconds
from triage.model.timeline import EncryptionRate, GoldenHours
from triage.verdict.power import PowerSurvey, last_alive_utc

MINUTES_LISTED = 1440
_MINUTE_CHARACTERS = len("2017-05-12T07:44")


class RateSurvey:
    """Takes all events in order and counts the encrypted files that are dated one by one.

    What the change journal says of many renames together, it says with their first and last time only: that is no file
    of its own. A file whose time was moved later is counted, in no minute.
    """

    def __init__(self) -> None:
        self._minutes: Counter[str] = Counter()
        self._doubtful = 0
        self._first_utc = ""
        self._last_utc = ""

    def add(self, event: Event, *, is_sign: bool) -> None:
        """Take the next event; `is_sign` where malware was at work at that moment."""
        if event.kind is not EventKind.FILE_ENCRYPTED or "renames" in event.facts:
            return
        if event.family is not None and not is_sign:
            self._doubtful += 1
        else:
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
            files=files + self._doubtful,
            first_utc=self._first_utc,
            last_utc=self._last_utc,
            per_minute=tuple(sorted((f"{minute}:00Z", count) for minute, count in busiest)),
            minutes_not_listed=len(self._minutes) - len(busiest),
            files_not_listed=files - sum(count for _minute, count in busiest),
            files_doubtful=self._doubtful,
        )


class GoldenHoursSurvey:
    """Takes all events in order and measures from the malware's first trace to the end of its work.

    That is the last file that it encrypted. Until there is one, it is its last sign or the last shutdown. The hours in
    which the computer was off, as `power` tells in the end, are not used.
    """

    def __init__(self, power: PowerSurvey) -> None:
        self._power = power
        self._started_utc: str | None = None
        self._ended_utc = ""
        self._at_least = False
        self._encrypts = False

    def add(self, event: Event, *, is_sign: bool) -> None:
        """Take the next event; `is_sign` where malware was at work at that moment."""
        if self._started_utc is None and event.family is not None:
            self._started_utc = self._ended_utc = event.time_utc
            self._at_least = not is_sign
        if self._started_utc is None:
            return
        if is_sign and event.kind is EventKind.FILE_ENCRYPTED:
            self._encrypts, self._ended_utc = True, event.time_utc
        elif not self._encrypts:
            stopped = event.time_utc if event.kind is EventKind.SYSTEM_STOPPED else last_alive_utc(event)
            self._ended_utc = max(self._ended_utc, (event.time_utc if is_sign else stopped) or "")

    def result(self) -> GoldenHours | None:
        """Return what was used; None where nothing of the malware is dated."""
        if self._started_utc is None:
            return None
        started, ended = unix_seconds(self._started_utc), unix_seconds(self._ended_utc)
        off_seconds = self._power.off_seconds(started, ended)
        return GoldenHours(
            started_utc=self._started_utc,
            ended_utc=self._ended_utc,
            used_seconds=ended - started - off_seconds,
            off_seconds=off_seconds,
            at_least=self._at_least,
        )
