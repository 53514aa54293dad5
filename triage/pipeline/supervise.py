"""The supervisor: opens the case, has the worker watched, and seals what there is. It alone has the key.

It parses nothing of the evidence. A worker that dies is started again; what it had under way is then tried alone, and
left out, with a gap, only when a worker dies on that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from triage import __version__
from triage.evidence.destination import check_destination
from triage.evidence.device import refuse_if_mounted_read_write, set_read_only
from triage.evidence.open import open_evidence
from triage.evidence.source import EvidenceSource
from triage.evidence.write_proof import DIGEST_FACT, take_after, take_before
from triage.examiners.yara_rules import compile_rules
from triage.indicators.load import load_indicators
from triage.model.errors import RescueError, TriageError
from triage.model.evidence import Evidence, EvidenceFormat, WriteProof
from triage.model.text import _
from triage.pipeline.case_folder import CaseFolder, now_utc
from triage.pipeline.finish import Result, exit_code, finish
from triage.pipeline.gathered import gather
from triage.pipeline.job import Job, Options
from triage.pipeline.journal import JournalWriter, SessionRecord, drop_torn_line
from triage.pipeline.launch import WorkerProcess
from triage.pipeline.resume import check_resumable
from triage.pipeline.watch import Ending, Observer, Stop, run_worker
from triage.report.html import prepare_pages
from triage.report.seal import SigningKey
from triage.rescue.committer import destination_error

__all__ = ("Observer", "Result", "exit_code", "supervise")


class _StoppedError(Exception):
    """The user asked to stop while the evidence was hashed."""


def supervise(
    options: Options, key: SigningKey, observer: Observer, stop: Stop, waiting: WorkerProcess | None = None
) -> Result:
    """Do a whole run, with a worker that waits for its job where there is one.

    Raises `TriageError` where no case can be made, or not sealed.
    """
    job = options.job
    warnings = _check_lists(job)
    with ExitStack() as stack:
        sources = [stack.enter_context(_open(path)) for path in job.evidence]
        _check_destinations(job, sources)
        folder = Path(job.case_folder)
        case = CaseFolder.resume(folder) if job.resumed else CaseFolder.create(folder)
        stack.callback(case.close)
        try:
            proofs: Sequence[WriteProof]
            proofs = [take_before(source, hash_evidence=False, progress=_nothing) for source in sources]
            _begin_session(case, options, _describe(sources, proofs))
            for warning in warnings:
                case.log(warning)
                observer.warn(warning)
            ending, proofs = _examine(case, options, sources, proofs, observer, stop, waiting)
        except TriageError:  # nothing was seen yet: no room for the report, no destination, no disk image
            if not job.resumed and not gather(case.journal).volumes:
                case.discard()
            raise
        return finish(case, job, _describe(sources, proofs), ending, key)


def _examine(
    case: CaseFolder,
    options: Options,
    sources: Sequence[EvidenceSource],
    proofs: Sequence[WriteProof],
    observer: Observer,
    stop: Stop,
    waiting: WorkerProcess | None,
) -> tuple[Ending, Sequence[WriteProof]]:
    """Have the worker do its part, between the two halves of the proof that nothing was written."""
    hash_evidence = options.hash_evidence
    try:
        if hash_evidence:
            proofs = [
                take_before(source, hash_evidence=True, progress=_hashing(source, observer, stop, asked_before=0))
                for source in sources
            ]
        observer.close()
        ending = run_worker(case, options.job, observer, stop, waiting=waiting, meanwhile=prepare_pages)
    except _StoppedError:
        ending = Ending(interrupted=True)
        hash_evidence = False
    asked = stop()
    try:
        proofs = [
            take_after(source, proof, progress=_hashing(source, observer, stop, asked) if hash_evidence else _nothing)
            for source, proof in zip(sources, proofs, strict=True)
        ]
    except _StoppedError:
        ending.interrupted = True
    observer.close()
    return ending, proofs


def _check_lists(job: Job) -> tuple[str, ...]:
    """Load rules and lists before anything is read, so that an error in them costs nothing; return the warnings."""
    load_indicators(
        [Path(path) for path in job.ioc],
        [Path(path) for path in job.known_good],
        [Path(path) for path in job.extra_sets],
    )
    return compile_rules([Path(path) for path in job.rules]).warnings


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


def _check_destinations(job: Job, sources: Sequence[EvidenceSource]) -> None:
    """Refuse a case or rescue folder that cannot be used, before anything is read."""
    case = Path(job.case_folder)
    check_destination(case, sources)
    if job.rescue_to is None:
        return
    rescue = Path(job.rescue_to)
    if case.resolve().is_relative_to(rescue.resolve()):
        raise RescueError(
            _("the rescue destination {path} would hold the case folder").format(path=rescue),
            hint=_("give another folder, or leave --rescue-to out"),
        )
    if rescue.parent == case and not job.resumed:
        return  # it is made with the case
    check_destination(rescue, sources)
    if not job.resumed and rescue.exists() and any(rescue.iterdir()):
        raise RescueError(_("the rescue destination %s is not empty") % rescue, hint=_("name a new folder"))


def _hashing(source: EvidenceSource, observer: Observer, stop: Stop, asked_before: int) -> Callable[[int], None]:
    """Return what is told of the bytes hashed; it ends the hashing when the user asks to stop (once more)."""
    show = observer.hashing(source.size_bytes)

    def progress(count: int) -> None:
        show(count)
        if stop() > asked_before:
            raise _StoppedError

    return progress


def _nothing(_count: int) -> None:
    """Tell nobody of the bytes hashed: none are."""


def _describe(sources: Sequence[EvidenceSource], proofs: Sequence[WriteProof]) -> list[Evidence]:
    described = []
    for source, proof in zip(sources, proofs, strict=True):
        digest = proof.before.get(DIGEST_FACT)
        sha256 = digest if isinstance(digest, str) else None
        described.append(msgspec.structs.replace(source.describe(), sha256=sha256, write_proof=proof))
    return described


def _begin_session(case: CaseFolder, options: Options, evidence: Sequence[Evidence]) -> None:
    """Note the session in journal and log; when resuming, only where the case can go on with this evidence."""
    if options.job.resumed:
        drop_torn_line(case.journal)
        check_resumable(case, options.job, evidence)
        case.unseal()
    case.reserve()
    if options.job.rescue_to is not None:
        _make_destination(Path(options.job.rescue_to))
    journal = JournalWriter(case.journal)
    journal.add(
        SessionRecord(
            case_id=options.case_id,
            examiner=options.examiner,
            notes=options.notes,
            started_utc=now_utc(),
            command=options.command,
            job=options.job,
            evidence=tuple(evidence),
            hash_evidence=options.hash_evidence,
        )
    )
    journal.close()
    case.log(f"{'resumed' if options.job.resumed else 'started'}, triage {__version__}: {' '.join(options.command)}")


def _make_destination(destination: Path) -> None:
    """Make the folder for rescued files where it is not there; `RescueError` where that cannot be."""
    try:
        destination.mkdir(exist_ok=True)
    except OSError as error:
        raise destination_error(destination, error) from error
