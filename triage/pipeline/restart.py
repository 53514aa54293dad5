"""What to do after a worker died: try what it had under way alone, and leave out what kills it alone."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from triage.pipeline.job import Job, LeftOut, Token

MOST_DEATHS = 64


class Restarts:
    """Decides on the next worker's job. `job` is None when too many have died."""

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job
        self._deaths = 0
        self._deaths_idle = 0

    def after_death(self, under_way: Sequence[Token], cause: str, *, hung: bool = False) -> str:
        """Prepare the next job; return in words what was decided. `cause` says how the worker died.

        What was under way becomes suspect: the next worker tries it again, streams one after the other before all
        others. Nothing is condemned for one death, which may have come from outside: only a suspect that was under way
        alone when a second worker died is left out from now on.
        """
        self._deaths += 1
        self._deaths_idle += not under_way
        if self.job is None or self._deaths >= MOST_DEATHS or self._deaths_idle > 1:
            self.job = None
            return "given up"
        if len(under_way) == 1 and under_way[0] in self.job.suspects:
            left_out = (*self.job.left_out, LeftOut(under_way[0], cause, hung))
            suspects = tuple(token for token in self.job.suspects if token not in under_way)
            self.job = msgspec.structs.replace(self.job, left_out=left_out, suspects=suspects, resumed=True)
            return f"left out from now on: {_words(under_way)}"
        suspects = tuple(dict.fromkeys((*self.job.suspects, *under_way)))
        self.job = msgspec.structs.replace(self.job, suspects=suspects, resumed=True)
        return f"to be tried alone: {_words(under_way)}" if under_way else "nothing was under way"


def _words(tokens: Sequence[Token]) -> str:
    return ", ".join(f"volume {token.volume + 1} row {token.row}" for token in tokens)
