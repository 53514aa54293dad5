"""Tells a disk with bad sectors from one that is gone, so that a run does not go on knocking at an empty slot."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import Final

from triage.evidence.read_log import ReadLog
from triage.model.errors import EvidenceLostError
from triage.model.text import _

#: So many reads in a row have to fail before it is looked whether the evidence is still there.
PATIENCE: Final = 16
_GONE: Final = frozenset({errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM, errno.ENOTCONN, errno.ESTALE})


class LossWatch:
    """Counts failures; where they do not stop, asks for places that could be read before. `error` once it is gone."""

    def __init__(self, path: str, log: ReadLog, can_read: Callable[[int], bool]) -> None:
        self._path = path
        self._log = log
        self._can_read = can_read
        self._lock = threading.Lock()
        self._reads_before = -1
        self._in_a_row = 0
        self.error: EvidenceLostError | None = None

    def failed(self, error: OSError, offset_bytes: int, length_bytes: int) -> None:
        """Note a failed read; `EvidenceLostError` where the evidence is gone."""
        self._log.note_failed(offset_bytes, length_bytes)
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if self._log.reads == self._reads_before else 1
            self._reads_before = self._log.reads
            suspicious = error.errno in _GONE or self._in_a_row % PATIENCE == 0
            if self.error is None and suspicious and self._is_gone():
                self.error = EvidenceLostError(
                    _("{path} cannot be read any more, nowhere ({reason} at byte {offset})").format(
                        path=self._path, reason=error.strerror, offset=offset_bytes
                    ),
                    hint=_("check its connection; triage run --resume goes on"),
                )
        if self.error is not None:
            raise self.error from error

    def _is_gone(self) -> bool:
        places = self._log.samples()
        return len(places) > 0 and not any(self._can_read(place) for place in places)
