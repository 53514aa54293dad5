"""The end of a session: the bag is closed, the report written, the case sealed, whatever came before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from triage import __version__
from triage.evidence.write_proof import UNREADABLE_FACT
from triage.model.change import Change
from triage.model.deleted import DeletedStream
from triage.model.errors import ExitCode, TriageError
from triage.model.escape import escape_line
from triage.model.evidence import Evidence
from triage.model.gap import Gap, GapKind, Where
from triage.model.report import CaseInfo, Report, Tool
from triage.model.rescue import RescueOutcome
from triage.model.verdict import Outcome
from triage.pipeline.assemble import build_report
from triage.pipeline.case_folder import MANIFEST_FOLDER, CaseFolder, now_utc
from triage.pipeline.gathered import Gathered, gather, read_ranges, stream_digests
from triage.pipeline.job import Job
from triage.pipeline.journal import GapRecord, JournalWriter, RescueRecord
from triage.pipeline.rows import RowKind, drop_torn_rows, read_rows
from triage.pipeline.watch import Ending
from triage.report.case import write_case
from triage.report.durable import durable_text
from triage.report.interface import CaseContents
from triage.report.read_map import blocks_of, has_unreadable, map_name, write_map
from triage.report.seal import Seal, SigningKey, seal_case
from triage.rescue.bag import copy_manifests, write_bag
from triage.rescue.vault import Vault
from triage.verdict.chronology import Chronology

LIBRARIES = (
    "pytsk3",
    "libregf-python",
    "libfwnt-python",
    "libscca-python",
    "libevt-python",
    "evtx",
    "pefile",
    "yara-python",
    "cryptography",
    "numpy",
)
UNSAVED = (RescueOutcome.FAILED, RescueOutcome.INCOMPLETE, RescueOutcome.INTERRUPTED)


class Result(Struct, frozen=True, kw_only=True):
    """What a run came to."""

    report: Report
    seal: Seal
    folder: Path
    exit_code: ExitCode


def finish(case: CaseFolder, job: Job, evidence: list[Evidence], ending: Ending, key: SigningKey) -> Result:
    """Close the bag, write the report, seal the case."""
    case.release()
    _note_evidence(case, evidence, ending)
    if job.rescue_to is not None:
        _close_bag(case, Path(job.rescue_to), ending)
    gathered = gather(case.journal)
    report, chronology = _report(gathered, job, evidence, ending)
    case.log(f"sealed{_anew(gathered)} with key {key.fingerprint}: {report.verdict.outcome.value}")
    drop_torn_rows(case.path)
    contents = CaseContents(
        report=report,
        fingerprint=key.fingerprint,
        digests=stream_digests(case.journal),
        excluded=gathered.account.excluded_folders(),
        deleted=read_rows(case.path, RowKind.DELETED, DeletedStream),
        changes=read_rows(case.path, RowKind.CHANGES, Change),
        events=chronology,
    )
    write_case(case.path, contents)
    _write_maps(case, report, gathered.unreadable)
    seal = seal_case(case.path, key, report.case.id)
    return Result(report=report, seal=seal, folder=case.path, exit_code=exit_code(report))


def _write_maps(case: CaseFolder, report: Report, unreadable: Set[int]) -> None:
    """Write the map of each piece of evidence of which something was unreadable; remove that of an earlier session."""
    for number, evidence in enumerate(report.evidence):
        path = case.path / map_name(number)
        ranges = read_ranges(case.journal, number) if number in unreadable else ()
        blocks = list(blocks_of(ranges, evidence.size_bytes))
        if has_unreadable(blocks):
            with durable_text(path) as out:
                write_map(report.tool, evidence, blocks, out)
        else:
            path.unlink(missing_ok=True)


def exit_code(report: Report) -> ExitCode:
    """Return the exit code of the contract: the first that holds of 1, 130, 10, 3."""
    if report.case.fatal is not None:
        return ExitCode.FATAL
    if report.case.interrupted:
        return ExitCode.INTERRUPTED
    if report.verdict.outcome is Outcome.INDICATORS_FOUND:
        return ExitCode.INDICATORS_FOUND
    if report.verdict.outcome is Outcome.INCONCLUSIVE or not all_saved(report):
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK


def all_saved(report: Report) -> bool:
    """Say whether every user's file that the rescue considered came to a good end."""
    outcomes = {} if report.rescue is None else report.rescue.by_outcome
    return not any(outcomes.get(outcome, 0) for outcome in UNSAVED)


def _report(gathered: Gathered, job: Job, evidence: list[Evidence], ending: Ending) -> tuple[Report, Chronology]:
    first = gathered.sessions[0]
    return build_report(
        gathered,
        tool=Tool(
            name="triage",
            version=__version__,
            indicator_sets=(),
            libraries={name: version(name) for name in LIBRARIES},
        ),
        case=CaseInfo(
            id=first.case_id,
            examiner=first.examiner,
            notes=first.notes,
            started_utc=first.started_utc,
            finished_utc=now_utc(),
            interrupted=ending.interrupted,
            sessions=len(gathered.sessions),
            profile=job.profile,
            command=first.command,
            fatal=ending.fatal,
            isolation=tuple(gathered.isolation),
        ),
        evidence=evidence,
        destination=None if job.rescue_to is None else Path(job.rescue_to),
        deleted=job.deleted,
    )


def _anew(gathered: Gathered) -> str:
    return " anew" if len(gathered.sessions) > 1 else ""


def _note_evidence(case: CaseFolder, evidence: Iterable[Evidence], ending: Ending) -> None:
    """Note in journal and log what the write proofs say against the evidence; it outlasts a resumed session.

    Evidence that was lost ends the run, which says so; when it is back, a resumed one compares it again.
    """
    gaps = [gap for one in evidence if not (ending.fatal and _is_gone(one)) for gap in _evidence_gaps(one)]
    journal = JournalWriter(case.journal)
    for gap in gaps:
        journal.add(GapRecord(gap))
        case.log(gap.detail)
    journal.close()


def _evidence_gaps(evidence: Evidence) -> Iterator[Gap]:
    proof = evidence.write_proof
    if proof is None:
        return
    unreadable = proof.before.get(UNREADABLE_FACT)
    if isinstance(unreadable, int):
        detail = f"{evidence.path}: no SHA-256, it cannot be read at or behind byte {unreadable}"
        yield Gap(kind=GapKind.READ_ERROR, detail=detail, where=Where(offset_bytes=unreadable))
    if proof.unchanged is False:
        how = "is gone and cannot be compared" if _is_gone(evidence) else "was written to during the run"
        yield Gap(kind=GapKind.EVIDENCE_CHANGED, detail=f"{evidence.path}: {how}")


def _is_gone(evidence: Evidence) -> bool:
    """Say whether nothing could be learnt of the evidence after the run: a disk that was unplugged."""
    after = None if evidence.write_proof is None else evidence.write_proof.after
    return after is not None and all(fact is None for fact in after.values())


def _close_bag(case: CaseFolder, destination: Path, ending: Ending) -> None:
    """Make a bag of what was rescued; a destination that cannot be used any more ends the run, not the seal."""
    try:
        gathered = gather(case.journal)
        if gathered.selected is None and _is_anothers(destination):
            return
        if ending.torn:
            _take_over(case, destination, gathered)
            gathered = gather(case.journal)
        write_bag(
            destination, gathered.rescued.values(), {"External-Identifier": escape_line(gathered.sessions[0].case_id)}
        )
        copy_manifests(destination, case.path / MANIFEST_FOLDER)
    except TriageError as error:
        case.log(f"the bag could not be closed: {error}")
        ending.fatal = ending.fatal or f"the bag could not be closed: {error}"


def _is_anothers(destination: Path) -> bool:
    """Say whether a destination that this case has not rescued to holds something: then nothing is written there."""
    return destination.is_dir() and any(destination.iterdir())


def _take_over(case: CaseFolder, destination: Path, gathered: Gathered) -> None:
    """Settle what a worker that was cut off left at the destination: what was committed is kept, the rest removed."""
    journal = JournalWriter(case.journal)
    try:
        Vault(
            destination,
            on_record=lambda file: journal.add(RescueRecord(file)),
            resume=True,
            done=tuple(gathered.rescued.values()),
        ).close()
    finally:
        journal.close()
