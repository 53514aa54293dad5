"""The job that the supervisor hands to its worker: everything the worker needs to know, and no key."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from triage.model.gap import Where
from triage.model.profile import Profile


class Token(Struct, frozen=True):
    """A piece of work that is under way: a whole volume, its hives, traces of what is gone, one file in which Windows
    keeps traces (`artefact_row`), or one stream (its row).

    Rows are those of the enumeration, the same each time the same evidence is enumerated: a token outlives the worker
    that died on it.
    """

    volume: int
    row: int


YARA_TIMEOUT_SECONDS = 60
WHOLE_VOLUME = -1
HIVES = -2
TRACES = -3
TEXTS = -4
_FIRST_ARTEFACT = -5


def artefact_row(entry: int) -> int:
    """Return the row that stands for parsing the file of this MFT entry before streams are read."""
    return _FIRST_ARTEFACT - entry


Begin = Callable[[int, Where], bool]
"""Asks whether a piece of work of a volume, by its row, may be done, and says that it is under way there."""


class LeftOut(Struct, frozen=True):
    """What kills every worker and is left out, and in words how; `hung` says that it had to be ended."""

    token: Token
    cause: str
    hung: bool = False


class Job(Struct, frozen=True, kw_only=True):
    """What to examine and how. Paths are absolute. `rescue_to` is None with `--no-rescue` and in the quick profile.

    `suspects` were under way when a worker died: they are tried alone, first. `left_out` are those on which it died
    alone. With `deleted` the deleted entries are listed. `resumed` says that the journal already holds records of
    streams which need not be read again.
    """

    evidence: tuple[str, ...]
    case_folder: str
    rescue_to: str | None
    profile: Profile = Profile.FULL
    rules: tuple[str, ...] = ()
    ioc: tuple[str, ...] = ()
    known_good: tuple[str, ...] = ()
    extra_sets: tuple[str, ...] = ()
    yara_timeout_seconds: int = YARA_TIMEOUT_SECONDS
    threads: int = 2
    deleted: bool = True
    resumed: bool = False
    suspects: tuple[Token, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


class Options(Struct, frozen=True, kw_only=True):
    """One run as its user asked for it. `job.case_folder` is the case; `job.resumed` goes on with it."""

    job: Job
    case_id: str
    examiner: str = ""
    notes: str = ""
    command: tuple[str, ...] = ()
    hash_evidence: bool = False


class WorkerError(Struct, frozen=True, kw_only=True):
    """An error that ends the job, as the worker tells it; `of_evidence` says that the evidence cannot be used."""

    message: str
    hint: str
    of_evidence: bool
