"""Watches the worker: starts it, shows how it goes on, starts another one when it died, ends it when asked."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from triage.model.errors import EvidenceError, ExitCode, ReportError
from triage.model.report import FirstVerdict
from triage.model.text import _
from triage.pipeline.assemble import judge_first
from triage.pipeline.board import Board, Phase
from triage.pipeline.case_folder import CaseFolder
from triage.pipeline.gathered import gather
from triage.pipeline.hang import HangWatch, Patience
from triage.pipeline.job import Job, WorkerError
from triage.pipeline.journal import drop_torn_line
from triage.pipeline.launch import WorkerProcess
from triage.pipeline.restart import Restarts

_LOOK_SECONDS = 0.1
PATIENCE = Patience()

Stop = Callable[[], int]
"""Says how many times the user has asked to stop: once to end after what is under way, twice to end at once."""


class Observer:
    """Sees how a run goes on; the terminal's progress bar is one. This one looks away."""

    def look(self, board: Board) -> None:
        """Look at the board, several times a second."""

    def hashing(self, total_bytes: int) -> Callable[[int], None]:
        """Return what is told of the bytes hashed for `--hash-evidence`."""
        del total_bytes
        return lambda _count: None

    def first_verdict(self, first: FirstVerdict) -> None:
        """Take in what metadata, hives and names tell, before the long read."""

    def warn(self, text: str) -> None:
        """Take in what the user should know at once; it stands in the case's log too."""

    def close(self) -> None:
        """The worker, or the hashing, has ended."""


@dataclass(slots=True)
class Ending:
    """How a session ended. `torn`: the worker was cut off, so that journal and bag were not closed by it.

    `judged_first`: a first verdict was told, before the long read.
    """

    interrupted: bool = False
    fatal: str | None = None
    torn: bool = False
    judged_first: bool = False


@dataclass(slots=True)
class _Run:
    """How one worker ended: its exit code, the error that it told, its last line on standard error, how it hung."""

    code: int = 0
    told: WorkerError | None = None
    last_words: str = ""
    hung: str = ""

    @property
    def cause(self) -> str:
        """How it died, in words."""
        if self.hung:
            return self.hung
        if self.code == -signal.SIGSYS:
            return "it tried a system call that it must not make"
        if self.code < 0:
            return f"ended by signal {-self.code}, {signal.strsignal(-self.code)}"
        return f"exit code {self.code}, {self.last_words}"


def run_worker(
    case: CaseFolder,
    job: Job,
    observer: Observer,
    stop: Stop,
    *,
    waiting: WorkerProcess | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Ending:
    """Run workers until one ends by itself; never the same way twice into the same death.

    `waiting` is one that was started before and has no job yet; `meanwhile` is called once while the first one works.
    Raises `EvidenceError` where the worker refused a new case's evidence before it had seen a volume.
    """
    ending = Ending()
    restarts = Restarts(job)
    board = Board.create() if waiting is None else waiting.board
    try:
        while restarts.job is not None:
            board.reset()
            observer.look(board)
            with waiting or WorkerProcess(board) as worker:
                worker.send(restarts.job)
                meanwhile()
                run = _watch(case, restarts.job, worker, observer, stop, ending)
            waiting, meanwhile = None, lambda: None
            ending.torn = run.code != ExitCode.OK
            drop_torn_line(case.journal)
            if run.told is not None:
                _settle_error(run.told, case, job, ending)
                break
            if run.code == ExitCode.OK or ending.interrupted or ending.fatal is not None:
                break
            decided = restarts.after_death(board.under_way, run.cause, hung=run.hung != "")
            case.log(f"the worker died (exit {run.code}): {decided}; {run.hung or run.last_words}")
        else:
            ending.fatal = "the worker died too often; what was not read is in the gaps"
    finally:
        observer.close()
        board.close()
    return ending


def _watch(case: CaseFolder, job: Job, worker: WorkerProcess, observer: Observer, stop: Stop, ending: Ending) -> _Run:
    """Watch one worker to its end, or end it where it hangs."""
    run, board = _Run(), worker.board
    reserved = False
    hangs = HangWatch(worker.pid, PATIENCE.with_rules(job.yara_timeout_seconds))
    end = os.pidfd_open(worker.pid)
    while (code := worker.code) is None:
        _pass_on(stop(), worker, observer, ending)
        if not reserved and board.phase >= Phase.READING:
            reserved = True
            _reserve(case, board, ending)
        _judge_first(case, board, observer, ending)
        observer.look(board)
        run.hung = run.hung or hangs.look(board.slots, time.monotonic())
        if run.hung:
            worker.kill()
        select.select([end], [], [], _LOOK_SECONDS)
    os.close(end)
    _judge_first(case, board, observer, ending)
    observer.look(board)
    run.code, run.told, run.last_words = code, worker.told(), worker.last_words()
    return run


def _pass_on(asked: int, worker: WorkerProcess, observer: Observer, ending: Ending) -> None:
    """Ask the worker to stop, or end it: what it has not written by then is read again after `--resume`."""
    if asked > 0 and not ending.interrupted:
        ending.interrupted = True
        worker.board.ask_to_stop()
        observer.warn(_("stopping after what is under way; Ctrl-C once more ends it at once"))
    if asked > 1:
        worker.kill()


def _judge_first(case: CaseFolder, board: Board, observer: Observer, ending: Ending) -> None:
    """Judge, once, what the journal held when metadata, hives and names were in: what came later does not count."""
    if ending.judged_first or board.surveyed_bytes == 0:
        return
    ending.judged_first = True
    first = judge_first(gather(case.journal, until_bytes=board.surveyed_bytes))
    case.log(f"first verdict, before the long read: {first.verdict.outcome.value}")
    observer.first_verdict(first)


def _reserve(case: CaseFolder, board: Board, ending: Ending) -> None:
    """Set space aside for a report of so many streams; where there is none, the job ends."""
    try:
        case.reserve(board.streams_total)
    except ReportError as error:
        ending.fatal = str(error)
        board.ask_to_stop()


def _settle_error(told: WorkerError, case: CaseFolder, job: Job, ending: Ending) -> None:
    """Take in an error that ended the worker: of a case with nothing in it that is all, else it is sealed."""
    if told.of_evidence and not job.resumed and not gather(case.journal).volumes:
        raise EvidenceError(told.message, hint=told.hint)
    ending.fatal = ending.fatal or (f"{told.message} ({told.hint})" if told.hint else told.message)
    case.log(f"ended early: {ending.fatal}")
