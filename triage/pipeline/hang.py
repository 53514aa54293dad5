"""Says when a worker hangs, which ends it: what does not come to an end by itself would keep the run for ever.

Judged by each thread's place on the board. Computing is told from waiting, because a failing disk may well take an hour
over one window, but no decoder and no rule does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from triage.pipeline.board import Slot

_LOOK_SECONDS: Final = 1.0
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


class Patience(Struct, frozen=True):
    """How long a thread may compute, and take altogether, over one window of a stream without getting on.

    Over the files and hives of a whole volume it may take `volume_factor` times as long.
    """

    computing_seconds: float = 600
    seconds: float = 7200
    volume_factor: float = 12

    def with_rules(self, yara_timeout_seconds: int) -> Patience:
        """Leave the rules their time too."""
        return Patience(self.computing_seconds + yara_timeout_seconds, self.seconds, self.volume_factor)


class _Still(Struct, frozen=True):
    """A place on the board, since when it has been like that, and the processor time its thread had taken by then."""

    slot: Slot
    since: float
    computed_seconds: float


class HangWatch:
    """Looks at one worker's threads. `now` is monotonic time in seconds."""

    def __init__(self, process: int, patience: Patience) -> None:
        self._process = process
        self._patience = patience
        self._still: dict[int, _Still] = {}
        self._due = 0.0

    def look(self, slots: Sequence[Slot], now: float) -> str:
        """Return which thread hangs and how, in words; "" where none does. Looks once a second at most."""
        if now < self._due:
            return ""
        self._due = now + _LOOK_SECONDS
        before, self._still = self._still, {}
        for slot in slots:
            computed = _computed_seconds(self._process, slot.thread)
            still = before.get(slot.thread)
            if still is None or still.slot != slot:
                still = _Still(slot, now, computed)
            self._still[slot.thread] = still
            factor = self._patience.volume_factor if slot.token.row < 0 else 1  # no stream's row
            if computed - still.computed_seconds > self._patience.computing_seconds * factor:
                return f"it computed for {computed - still.computed_seconds:.0f} s without getting on"
            if now - still.since > self._patience.seconds * factor:
                return f"it did not get on for {now - still.since:.0f} s"
        return ""


def _computed_seconds(process: int, thread: int) -> float:
    """Return the processor time that a thread has taken; 0 where it is gone (proc_pid_stat(5), fields 14 and 15)."""
    try:
        fields = Path(f"/proc/{process}/task/{thread}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
