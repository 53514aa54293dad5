"""The case folder: made once, never over another one, with room reserved for the seal and a log of what was done."""

from __future__ import annotations

import errno
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from triage.model.errors import ReportError
from triage.model.text import _
from triage.pipeline.journal import JOURNAL_NAME

LOG_NAME = "case.log"
MANIFEST_FOLDER = "rescue-manifest"
RESCUE_FOLDER = "rescue"
_RESERVE_NAME = ".reserved-for-the-seal"
_RESERVE_BYTES = 8 << 20
_RESERVE_BYTES_PER_STREAM = 768


class CaseFolder:
    """One case on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / JOURNAL_NAME
        self._reserve = path / _RESERVE_NAME

    @classmethod
    def create(cls, path: Path) -> CaseFolder:
        """Make a new case folder; `ReportError` where something is there already."""
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            raise ReportError(
                _("{path} exists already; a case is never overwritten").format(path=path),
                hint=_("give a new folder, or --resume {path} to go on with that case").format(path=path),
            ) from None
        except OSError as error:
            raise ReportError(
                _("cannot make the case folder {path}: {reason}").format(path=path, reason=error.strerror)
            ) from error
        return cls(path)

    @classmethod
    def resume(cls, path: Path) -> CaseFolder:
        """Open a case that a run was interrupted in."""
        folder = cls(path)
        if not folder.journal.is_file():
            raise ReportError(
                _("{path} is no case that can be resumed: it has no journal").format(path=path),
                hint=_("give the folder that --out named"),
            )
        return folder

    def reserve(self, streams: int = 0) -> None:
        """Set space aside for report and seal; called again when the number of streams is known."""
        wanted = _RESERVE_BYTES + streams * _RESERVE_BYTES_PER_STREAM
        try:
            descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, wanted)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                self._reserve.write_bytes(bytes(wanted))
                return
            raise ReportError(
                _("not enough space for the report in {path}: {reason}").format(path=self.path, reason=error.strerror),
                hint=_("free some space or give another folder"),
            ) from error

    def release(self) -> None:
        """Give the reserved space back, for the seal."""
        self._reserve.unlink(missing_ok=True)

    def log(self, line: str) -> None:
        """Append a line to the case's log, with its time."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with (self.path / LOG_NAME).open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{moment} {' '.join(line.split())}\n")

    def discard(self) -> None:
        """Remove a case in which nothing was seen yet."""
        shutil.rmtree(self.path)
