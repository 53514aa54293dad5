"""When the computer was off: what is encrypted by a program is not encrypted then."""

from __future__ import annotations

from triage.model.event import Event, EventKind
from triage.model.filetime import canonical_iso, unix_seconds


class PowerSurvey:
    """Takes all events in order and keeps the times, in seconds since 1970, in which the computer was off.

    A shutdown and the next start enclose one. Where the plug was pulled, Windows notes at the next start when it was
    last alive. Malware at work in between shows that the computer was not off, up to its last sign.
    """

    def __init__(self) -> None:
        self._off: list[tuple[int, int]] = []
        self._stopped_utc: str | None = None
        self._sign_utc = ""
        self._starts: list[tuple[str, str]] = []  # each with the malware's last sign before it

    def add(self, event: Event, *, is_sign: bool) -> None:
        """Take the next event; `is_sign` where malware was at work at that moment."""
        if is_sign:
            self._stopped_utc, self._sign_utc = None, event.time_utc
        if event.kind is EventKind.SYSTEM_STOPPED:
            self._stopped_utc = event.time_utc
        elif event.kind is EventKind.SYSTEM_STARTED:
            self._starts.append((event.time_utc, self._sign_utc))
            if self._stopped_utc is not None:
                self._note(self._stopped_utc, event.time_utc)
                self._stopped_utc = None
        elif (alive_utc := last_alive_utc(event)) is not None:
            later = [start for start in self._starts if start[0] > alive_utc]
            started_utc, sign_utc = later[0] if later else (event.time_utc, self._sign_utc)
            self._note(max(alive_utc, sign_utc), started_utc)

    def off_seconds(self, begin: int, end: int) -> int:
        """Return how long it was off between two moments."""
        return sum(max(0, min(end, until) - max(begin, since)) for since, until in self._off)

    def _note(self, since_utc: str, until_utc: str) -> None:
        since, until = unix_seconds(since_utc), unix_seconds(until_utc)
        since = max(since, self._off[-1][1]) if self._off else since  # what two traces tell is counted once
        if since < until:
            self._off.append((since, until))


def last_alive_utc(event: Event) -> str | None:
    """Return until when a computer was on that ended without shutdown; None where the event does not tell."""
    if event.kind is not EventKind.SYSTEM_CRASHED:
        return None
    alive_utc = canonical_iso(event.facts.get("last_alive_utc", ""))
    return alive_utc if alive_utc is not None and alive_utc < event.time_utc else None
