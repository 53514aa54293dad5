"""Going on with a case: what its first session asked for, and whether evidence and destination are still those."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from triage.model.errors import EvidenceError, RescueError, UsageError
from triage.model.evidence import Evidence, EvidenceFormat
from triage.model.text import _
from triage.pipeline.case_folder import CaseFolder
from triage.pipeline.finish import all_saved
from triage.pipeline.gathered import Gathered, gather
from triage.pipeline.job import Job
from triage.pipeline.journal import JOURNAL_NAME, SessionRecord, read_journal
from triage.report.case_files import REPORT
from triage.report.document import load_report


def first_session(case: Path, evidence: Sequence[str]) -> SessionRecord:
    """Return the first session of a case, its job made to go on. `UsageError` where it cannot be found again.

    `evidence` are the paths given with `--resume`, none or the same as at first; all paths are absolute.
    """
    records = read_journal(case / JOURNAL_NAME)
    first = next((record for record in records if isinstance(record, SessionRecord)), None)
    if first is None:
        raise UsageError(
            _("{path} is no case that can be resumed").format(path=case),
            hint=_("give the folder that --out named"),
        )
    if str(case) != first.job.case_folder or (evidence and tuple(evidence) != first.job.evidence):
        raise UsageError(
            _("case or evidence is not where the first run had it: {case}, {evidence}").format(
                case=first.job.case_folder, evidence=", ".join(first.job.evidence)
            ),
            hint=_("put it back there, or start a new case with --out"),
        )
    return msgspec.structs.replace(first, job=msgspec.structs.replace(first.job, resumed=True))


def check_resumable(case: CaseFolder, job: Job, evidence: Sequence[Evidence]) -> None:
    """Raise `TriageError` where there is nothing to go on with, or not with this evidence and destination."""
    gathered = gather(case.journal)
    _refuse_other_evidence(gathered.sessions[0].evidence, evidence)
    if case.sealed:
        _refuse_complete(case.path)
    if job.rescue_to is not None:
        _refuse_other_destination(Path(job.rescue_to), gathered)


def _refuse_complete(case: Path) -> None:
    report = load_report(case / REPORT)
    if not report.case.interrupted and report.case.fatal is None and all_saved(report):
        raise UsageError(
            _("the case {path} is complete: nothing is left to do").format(path=case),
            hint=_("triage verify {path} checks it").format(path=case),
        )


def _refuse_other_evidence(before: Sequence[Evidence], now: Sequence[Evidence]) -> None:
    """Compare what stays with the same evidence when its disk is connected again: size, and of files the times."""
    for then, one in zip(before, now, strict=True):
        same_file = then.format is EvidenceFormat.DEVICE or _status(then) == _status(one)
        if then.size_bytes != one.size_bytes or then.format is not one.format or not same_file:
            raise EvidenceError(
                _("{path} is not the evidence of this case any more: size or time differ").format(path=one.path),
                hint=_("give the same evidence, or start a new case with --out"),
            )


def _status(evidence: Evidence) -> dict[str, str | int | bool | None]:
    """Return size and time of each segment; inode and status change are other ones after a mount or a rename."""
    proof = evidence.write_proof
    facts = {} if proof is None else proof.before
    return {name: fact for name, fact in facts.items() if name.endswith((".size_bytes", ".modified_utc"))}


def _refuse_other_destination(destination: Path, gathered: Gathered) -> None:
    """Refuse a destination that lacks what was rescued to it: another disk may be mounted there, or none."""
    saved = [file.bag_path for file in gathered.rescued.values() if file.bag_path]
    missing = sum(not (destination / path).exists() for path in saved)
    if missing > 0:
        raise RescueError(
            _("{missing} of {count} files rescued before are not at {path}").format(
                missing=missing, count=len(saved), path=destination
            ),
            hint=_("connect that disk and mount it there, or start a new case with --out"),
        )
