"""The one guard: a fault of our own, on whatever hostile bytes, costs one gap and not the run."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from triage.model.errors import TriageError
from triage.model.gap import Gap, GapKind, Where


@contextmanager
def guarded(where: Where, note: Callable[[Gap], None]) -> Iterator[None]:
    """Turn any fault inside into a gap of kind `internal` at `where`; errors meant for the user pass."""
    try:
        yield
    except TriageError:
        raise
    except Exception as error:  # noqa: BLE001  # the one place that may
        last = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"fault of the program: {type(error).__name__}: {error} ({last.name}, line {last.lineno})"
        note(Gap(kind=GapKind.INTERNAL, detail=detail, where=where))
