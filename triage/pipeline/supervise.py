"""The supervisor: opens the case, watches the worker, judges, writes the report and seals it. It alone has the key.

It parses nothing of the evidence. A worker that dies is started again; what it had under way is then tried alone, and
left out, with a gap, only when a worker dies on that alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from triage import __version__
from triage.evidence.destination import check_destination
from triage.evidence.device import refuse_if_mounted_read_write, set_read_only
from triage.evidence.open import open_evidence
from triage.evidence.source import EvidenceSource
from triage.evidence.write_proof import DIGEST_FACT, take_after, take_before
from triage.examiners.yara_rules import compile_rules
from triage.indicators.load import load_indicators
from triage.model.errors import EvidenceError, ExitCode, TriageError, UsageError
from triage.model.evidence import Evidence, EvidenceFormat, WriteProof
from triage.model.report import CaseInfo, Report, Tool
from triage.model.text import _
from triage.model.verdict import Outcome
from triage.pipeline.assemble import Gathered, build_report, gather, stream_digests
from triage.pipeline.board import Board, Phase
from triage.pipeline.case_folder import MANIFEST_FOLDER, CaseFolder
from triage.pipeline.job import Job
from triage.pipeline.journal import JournalWriter, SessionRecord, drop_torn_line
from triage.pipeline.restart import Restarts
from triage.pipeline.worker import WorkerError
from triage.report.case import write_case
from triage.report.seal import Seal, SigningKey, seal_case
from triage.rescue.bag import copy_manifests, write_bag

LIBRARIES = ("pytsk3", "libregf-python", "yara-python", "cryptography", "numpy")
_LOOK_SECONDS = 0.1


class Observer:
    """Sees how a run goes on; the terminal's progress bar is one. This one looks away."""

    def look(self, board: Board) -> None:
        """Look at the board, several times a second."""

    def hashing(self, total_bytes: int) -> Callable[[int], None]:
        """Return what is told of the bytes hashed for `--hash-evidence`; 0 where none are."""
        del total_bytes
        return lambda _count: None

    def close(self) -> None:
        """The worker has ended."""


class Options(Struct, frozen=True, kw_only=True):
    """One run as its user asked for it. `job.case_folder` is the case; `resume` goes on with it."""

    job: Job
    case_id: str
    examiner: str = ""
    notes: str = ""
    command: tuple[str, ...] = ()
    hash_evidence: bool = False
    resume: bool = False


class Result(Struct, frozen=True, kw_only=True):
    """What a run came to."""

    report: Report
    seal: Seal
    folder: Path
    exit_code: ExitCode


@dataclass(slots=True)
class _Ending:
    """How the worker's part ended."""

    interrupted: bool = False
    fatal: str | None = None


def supervise(options: Options, key: SigningKey, observer: Observer, stop: Callable[[], bool]) -> Result:
    """Do a whole run. `stop` says whether the user asked to stop. Raises `TriageError` where no case can be made."""
    job = options.job
    _check_lists(job)
    with ExitStack() as stack:
        sources = [stack.enter_context(_open(path)) for path in job.evidence]
        case_folder = Path(job.case_folder)
        check_destination(case_folder, sources)
        if job.rescue_to is not None:
            check_destination(_first_existing(Path(job.rescue_to)), sources)
        case = CaseFolder.resume(case_folder) if options.resume else CaseFolder.create(case_folder)
        proofs = _take_before(sources, options, observer)
        evidence = [_describe(source, proof) for source, proof in zip(sources, proofs, strict=True)]
        _begin_session(case, options, evidence)
        try:
            ending = _run_worker(case, options, observer, stop)
        except EvidenceError:
            if not options.resume and not gather(case.journal).volumes:
                case.discard()
            raise
        proofs = [
            take_after(source, proof, progress=_hashing(source, options, observer))
            for source, proof in zip(sources, proofs, strict=True)
        ]
        evidence = [_describe(source, proof) for source, proof in zip(sources, proofs, strict=True)]
        return _finish(case, options, evidence, ending, key)


def _check_lists(job: Job) -> None:
    """Load rules and lists once before anything is read, so that an error in them costs nothing."""
    load_indicators(
        [Path(path) for path in job.ioc],
        [Path(path) for path in job.known_good],
        [Path(path) for path in job.extra_sets],
    )
    compile_rules([Path(path) for path in job.rules])


def _open(path: str) -> EvidenceSource:
    """Open evidence that nobody can write meanwhile; a device is set read-only."""
    source = open_evidence(path)
    try:
        refuse_if_mounted_read_write(path)
        if source.format is EvidenceFormat.DEVICE:
            set_read_only(path)
    except BaseException:
        source.close()
        raise
    return source


def _first_existing(folder: Path) -> Path:
    """Return the folder, or the first of its parents that is there: the case folder is made later."""
    while not folder.exists() and not folder.parent.exists():
        folder = folder.parent
    return folder


def _take_before(sources: list[EvidenceSource], options: Options, observer: Observer) -> list[WriteProof]:
    return [
        take_before(source, hash_evidence=options.hash_evidence, progress=observer.hashing(source.size_bytes))
        for source in sources
    ]


def _hashing(source: EvidenceSource, options: Options, observer: Observer) -> Callable[[int], None]:
    return observer.hashing(source.size_bytes if options.hash_evidence else 0)


def _describe(source: EvidenceSource, proof: WriteProof) -> Evidence:
    digest = proof.before.get(DIGEST_FACT)
    sha256 = digest if isinstance(digest, str) else None
    return msgspec.structs.replace(source.describe(), sha256=sha256, write_proof=proof)


def _begin_session(case: CaseFolder, options: Options, evidence: list[Evidence]) -> None:
    """Note the session in journal and log; when resuming, only with the same evidence."""
    if options.resume:
        drop_torn_line(case.journal)
        _refuse_other_evidence(gather(case.journal).sessions[0], evidence)
    case.reserve()
    journal = JournalWriter(case.journal)
    journal.add(
        SessionRecord(
            case_id=options.case_id,
            examiner=options.examiner,
            notes=options.notes,
            started_utc=_now(),
            command=options.command,
            job=options.job,
            evidence=tuple(evidence),
        )
    )
    journal.close()
    case.log(f"{'resumed' if options.resume else 'started'}, triage {__version__}: {' '.join(options.command)}")


def _refuse_other_evidence(first: SessionRecord, evidence: list[Evidence]) -> None:
    """Compare what identifies evidence: size, and for files each fact of their status."""
    for before, now in zip(first.evidence, evidence, strict=False):
        same_file = before.format is EvidenceFormat.DEVICE or _status(before) == _status(now)
        if before.size_bytes != now.size_bytes or before.format is not now.format or not same_file:
            raise EvidenceError(
                _("{path} is not the evidence of this case any more: size or time differ").format(path=now.path),
                hint=_("give the same evidence, or start a new case with --out"),
            )
    if len(first.evidence) != len(evidence):
        raise UsageError(_("this case has {count} evidence paths; give the same").format(count=len(first.evidence)))


def _status(evidence: Evidence) -> dict[str, str | int | bool | None]:
    proof = evidence.write_proof
    return {} if proof is None else {name: fact for name, fact in proof.before.items() if DIGEST_FACT not in name}


def _run_worker(case: CaseFolder, options: Options, observer: Observer, stop: Callable[[], bool]) -> _Ending:
    """Run workers until one ends by itself; never the same way twice into the same death."""
    ending = _Ending()
    restarts = Restarts(msgspec.structs.replace(options.job, resumed=options.resume))
    board = Board.create()
    try:
        while restarts.job is not None:
            board.reset()
            code, told = _run_once(case, restarts.job, board, observer, stop, ending)
            if code == ExitCode.OK:
                break
            if told is not None:
                _settle_error(told, case, ending)
                break
            if ending.interrupted:
                break
            died = restarts.after_death(board.under_way)
            case.log(f"the worker died (exit {code}): {died}")
            drop_torn_line(case.journal)
        else:
            ending.fatal = "the worker died too often; what was not read is in the gaps"
    finally:
        observer.close()
    return ending


def _run_once(
    case: CaseFolder, job: Job, board: Board, observer: Observer, stop: Callable[[], bool], ending: _Ending
) -> tuple[int, WorkerError | None]:
    """Run one worker; return its exit code and the error it told, if any."""
    command = [sys.executable, "-m", "triage.pipeline.worker", str(board.descriptor), str(os.getpid())]
    reserved = False
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(board.descriptor,),
        start_new_session=True,
    ) as worker:
        _send(worker, job)
        while worker.poll() is None:
            if stop() and not ending.interrupted:
                ending.interrupted = True
                board.ask_to_stop()
            if not reserved and board.phase >= Phase.READING:
                case.reserve(board.streams_total)
                reserved = True
            observer.look(board)
            time.sleep(_LOOK_SECONDS)
        answer = worker.stdout.read() if worker.stdout is not None else b""
    told = msgspec.json.decode(answer, type=WorkerError) if answer else None
    return worker.returncode, told


def _send(worker: subprocess.Popen[bytes], job: Job) -> None:
    """Hand the job over; a worker that is dead already shows in its exit code."""
    if worker.stdin is None:
        return
    try:
        worker.stdin.write(msgspec.json.encode(job))
        worker.stdin.close()
    except BrokenPipeError:
        return


def _settle_error(told: WorkerError, case: CaseFolder, ending: _Ending) -> None:
    """Take in an error that ended the worker: it ends the run, or only the examination if anything was seen."""
    if not gather(case.journal).enumerations:
        case.release()
        raise EvidenceError(told.message, hint=told.hint)
    ending.fatal = f"{told.message} ({told.hint})" if told.hint else told.message
    case.log(f"ended early: {ending.fatal}")


def _finish(case: CaseFolder, options: Options, evidence: list[Evidence], ending: _Ending, key: SigningKey) -> Result:
    """Close the bag, write the report, seal the case."""
    case.release()
    gathered = gather(case.journal)
    first = gathered.sessions[0]
    report = build_report(
        gathered,
        tool=Tool(name="triage", version=__version__, indicator_sets=(), libraries=_library_versions()),
        case=CaseInfo(
            id=first.case_id,
            examiner=first.examiner,
            notes=first.notes,
            started_utc=first.started_utc,
            finished_utc=_now(),
            interrupted=ending.interrupted,
            sessions=len(gathered.sessions),
            command=first.command,
            fatal=ending.fatal,
        ),
        evidence=evidence,
        destination=None if options.job.rescue_to is None else Path(options.job.rescue_to),
    )
    _close_bag(case, options, gathered, first.case_id)
    case.log(f"sealed with key {key.fingerprint}: {report.verdict.outcome.value}")
    write_case(case.path, report, stream_digests(case.journal), key.fingerprint)
    seal = seal_case(case.path, key, first.case_id)
    return Result(report=report, seal=seal, folder=case.path, exit_code=exit_code(report))


def _close_bag(case: CaseFolder, options: Options, gathered: Gathered, case_id: str) -> None:
    if options.job.rescue_to is None:
        return
    destination = Path(options.job.rescue_to)
    try:
        write_bag(destination, gathered.rescued.values(), {"External-Identifier": case_id})
        copy_manifests(destination, case.path / MANIFEST_FOLDER)
    except TriageError as error:
        case.log(f"the bag could not be closed: {error}")
        raise


def exit_code(report: Report) -> ExitCode:
    """Return the exit code of the contract: the first that holds of 1, 130, 10, 3."""
    if report.case.fatal is not None:
        return ExitCode.FATAL
    if report.case.interrupted:
        return ExitCode.INTERRUPTED
    if report.verdict.outcome is Outcome.INDICATORS_FOUND:
        return ExitCode.INDICATORS_FOUND
    outcomes = {} if report.rescue is None else report.rescue.by_outcome
    unsaved = any(outcomes.get(name, 0) for name in ("failed", "incomplete", "interrupted"))
    if report.verdict.outcome is Outcome.INCONCLUSIVE or unsaved:
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK


def _library_versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
