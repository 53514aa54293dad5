"""What can go wrong, in one hierarchy: each class carries its exit code, each message fits one line.

Damage met while reading evidence is *not* an exception that reaches the user: it becomes a `Gap` (see `gap.py`) at the
smallest unit. These errors are for what ends the job or the command.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the report contract; of several, the first that holds of 1, 130, 10, 3."""

    OK = 0
    FATAL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INDICATORS_FOUND = 10
    INTERRUPTED = 130


class TriageError(Exception):
    """Base of all errors that reach the user: `message` says what is wrong, `hint` what to do (one line each)."""

    exit_code: ExitCode = ExitCode.FATAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class EvidenceError(TriageError):
    """Evidence that cannot be opened or must not be: missing, empty, a directory, mounted read-write."""


class EvidenceLostError(EvidenceError):
    """Evidence that was read before and cannot be any more, wherever: a disk that died or was unplugged."""


class VolumeError(TriageError):
    """A volume or partition table that cannot be opened as asked."""


class ArtefactError(TriageError):
    """An artefact file (hive, log) that cannot be parsed at all."""


class UsageError(TriageError):
    """Wrong arguments."""

    exit_code = ExitCode.USAGE


class IndicatorError(UsageError):
    """An indicator list, allow-list or YARA rule with an error: names file, line and reason."""


class RescueError(TriageError):
    """The rescue destination cannot be used or stopped being usable (full, read-only, on the evidence)."""


class ReportError(TriageError):
    """The case folder cannot be written, sealed or verified."""


class ParseError(ValueError):
    """Bytes that do not follow their format: what was read, where, how much was needed and how much there was."""

    def __init__(self, what: str, *, offset_bytes: int = 0, need_bytes: int = 0, have_bytes: int = 0) -> None:
        detail = f"{what} at offset {offset_bytes}"
        if need_bytes or have_bytes:
            detail += f": need {need_bytes} bytes, have {have_bytes}"
        super().__init__(detail)
        self.what = what
        self.offset_bytes = offset_bytes
        self.need_bytes = need_bytes
        self.have_bytes = have_bytes
