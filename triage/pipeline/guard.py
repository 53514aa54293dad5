"""The one guard: a fault of our own, on whatever hostile bytes, costs one gap and not the run."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self

from triage.model.errors import TriageError
from triage.model.gap import Gap, GapKind, Where


class Guard:
    """A context that turns any fault inside into a gap of kind `internal`; errors meant for the user pass.

    So does a lack of memory, which meets whichever thread asks next: the worker ends, and the next one tries alone what
    was under way.

    `at` says where the evidence is being looked at. Afterwards `caught` tells whether there was a fault. One guard
    serves a thread for all its streams: it is entered once for each of them.
    """

    def __init__(self, note: Callable[[Gap], None]) -> None:
        self._note = note
        self._where: Callable[[], Where] | Where = Where()
        self.caught = False

    def at(self, where: Callable[[], Where] | Where) -> Self:
        """Set the place of the next fault; a callable is only asked when there is one."""
        self._where = where
        return self

    def __enter__(self) -> Self:
        self.caught = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, (TriageError, MemoryError)):
            return False
        last = traceback.extract_tb(trace)[-1]
        detail = f"fault of the program: {type(error).__name__}: {error} ({last.name}, line {last.lineno})"
        where = self._where if isinstance(self._where, Where) else self._where()
        self._note(Gap(kind=GapKind.INTERNAL, detail=detail, where=where))
        self.caught = True
        return True
