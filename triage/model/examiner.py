"""The protocol by which one read of a stream feeds everything that wants its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from triage.model.entry import Subject
from triage.model.finding import Finding
from triage.model.gap import Gap


class Examiner(Protocol):
    """Looks at the bytes of one stream at a time; each thread has its own instance.

    A stream comes as `begin`, then `feed` once for each window (never for an empty stream), then `end`. Windows are in
    order; each is at most the reader's buffer long. `window[fresh:]` is new; `window[:fresh]` repeats the tail of the
    window before, so that a pattern across the border is seen. `offset_bytes` is the place of `window[0]` in the
    stream. The window is only valid during the call. `complete` is False when the stream could not be read whole.
    """

    def begin(self, subject: Subject) -> None:
        """Start a stream."""
        ...

    def feed(self, window: memoryview, offset_bytes: int, fresh: int) -> None:
        """Look at one window."""
        ...

    def end(self, *, complete: bool) -> Sequence[Finding | Gap]:
        """End the stream; return what was found and what could not be examined."""
        ...
