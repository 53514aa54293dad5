"""The case folder: made once, never over another one, with room reserved for the seal and a log of what was done."""

from __future__ import annotations

import fcntl
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from triage.model.errors import ReportError, UsageError
from triage.model.escape import escape_log
from triage.model.text import _
from triage.pipeline.journal import JOURNAL_NAME
from triage.pipeline.rows import rows_bytes
from triage.report.case_files import ALLOWED_SIGNERS, SIGNATURE, is_unlisted

LOG_NAME = "case.log"
MANIFEST_FOLDER = "rescue-manifest"
RESCUE_FOLDER = "rescue"
_RESERVE_NAME = ".reserved-for-the-seal"
_RESERVE_BYTES = 8 << 20
_RESERVE_BYTES_PER_STREAM = 768
_RESERVE_PER_ROW_BYTE = 4  # a row has its keys once more when it is rendered


class CaseFolder:
    """One case on disk, in the hands of one run: opening it a second time is refused until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / JOURNAL_NAME
        self._reserve = path / _RESERVE_NAME
        self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ReportError(
                _("another run is working on the case {path}").format(path=path),
                hint=_("wait for it, or give another folder"),
            ) from None

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
                _("cannot make the case folder {path}: {reason}").format(path=path, reason=error.strerror),
                hint=_("give another folder"),
            ) from error
        return cls(path)

    @classmethod
    def resume(cls, path: Path) -> CaseFolder:
        """Open a case to go on with it; `UsageError` where there is none."""
        if not (path / JOURNAL_NAME).is_file():
            raise UsageError(
                _("{path} is no case that can be resumed").format(path=path),
                hint=_("give the folder that --out named"),
            )
        return cls(path)

    @property
    def sealed(self) -> bool:
        """Whether a session has come to its end and nothing has been done to the case since."""
        return (self.path / SIGNATURE).exists()

    def unseal(self) -> None:
        """Remove the seal, and what further signers added: the case changes now, and no signature would fit."""
        for name in sorted(path.name for path in self.path.iterdir()):
            if is_unlisted(name) or name == ALLOWED_SIGNERS:
                (self.path / name).unlink()
                self.log(f"removed for a new session: {name}")

    def reserve(self, streams: int = 0) -> None:
        """Set space aside for report and seal; called again when the number of streams is known."""
        wanted = _RESERVE_BYTES + streams * _RESERVE_BYTES_PER_STREAM
        wanted += _RESERVE_PER_ROW_BYTE * rows_bytes(self.path)
        try:
            descriptor = os.open(self._reserve, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, wanted)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ReportError(
                _("not enough space for the report in {path}: {reason}").format(path=self.path, reason=error.strerror),
                hint=_("free some space or give another folder"),
            ) from error

    def release(self) -> None:
        """Give the reserved space back, for the seal."""
        self._reserve.unlink(missing_ok=True)

    def log(self, text: str) -> None:
        """Append a line to the case's log, with its time; on a full disk the space kept back serves for it."""
        line = f"{now_utc()} {escape_log(text)}\n"
        try:
            self._append(line)
        except OSError:
            self.release()
            try:
                self._append(line)
            except OSError as error:
                raise ReportError(
                    _("cannot write {path}: {reason}").format(path=self.path / LOG_NAME, reason=error.strerror)
                ) from error

    def _append(self, line: str) -> None:
        with (self.path / LOG_NAME).open("a", encoding="utf-8") as log:
            log.write(line)

    def discard(self) -> None:
        """Remove a case in which nothing was seen yet."""
        shutil.rmtree(self.path)

    def close(self) -> None:
        """Let others have the case."""
        os.close(self._lock)


def now_utc() -> str:
    """Return the time as the report writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
