"""Whole runs for tests: the case of one or more evidence paths, run once and read back from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from tests.lab.disk import BuiltDisk
from tests.lab.plan import TrueStream
from triage.model.errors import ExitCode
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind
from triage.model.profile import Profile
from triage.model.report import CaseInfo, Report, Tool
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.pipeline.assemble import build_report
from triage.pipeline.board import Board
from triage.pipeline.case_folder import RESCUE_FOLDER
from triage.pipeline.examine import examine
from triage.pipeline.gathered import gather
from triage.pipeline.job import Job, Options
from triage.pipeline.journal import JOURNAL_NAME, RescueRecord, StreamRecord, read_journal
from triage.pipeline.supervise import Observer, exit_code, supervise
from triage.report.document import load_report
from triage.report.seal import SigningKey
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import read_mft
from triage.walk.paths import ROOT_ENTRY, Paths

_MOMENT = "2017-05-12T08:11:05Z"


class Case(Struct, frozen=True, kw_only=True):
    """A finished case: its report as it stands in the folder, and each stream and each rescued file of the journal."""

    folder: Path
    report: Report
    exit_code: ExitCode
    streams: tuple[StreamRecord, ...]
    rescued: tuple[RescuedFile, ...]

    @property
    def bag(self) -> Path:
        return self.folder / RESCUE_FOLDER

    def findings(self, *kinds: FindingKind) -> list[Finding]:
        return [one for one in self.report.findings if one.kind in kinds]

    def telling(self) -> list[Finding]:
        """Return the findings that make a verdict: those of more than low severity."""
        return [one for one in self.report.findings if one.severity is not Severity.LOW]

    def gaps(self, *kinds: GapKind) -> list[Gap]:
        return [one for one in self.report.gaps if one.kind in kinds]

    def files(self, *outcomes: RescueOutcome) -> list[RescuedFile]:
        return [one for one in self.rescued if one.outcome in outcomes]

    def digests(self, volume: str = "v1") -> dict[tuple[str, str], str]:
        """Return the SHA-256 of each stream that was read whole, by path and stream."""
        return {(one.path, one.stream): one.sha256 for one in self.streams if one.volume == volume and one.sha256}


_of_disks: dict[Path, Case] = {}


def case_of(disk: BuiltDisk) -> Case:
    """Return the case of a lab disk, run at the first call; whoever changes its folder works on a copy."""
    if disk.image not in _of_disks:
        _of_disks[disk.image] = run_case([disk.image], disk.image.with_name("case"), sets=[disk.indicators])
    return _of_disks[disk.image]


def truth_by_name(disk: BuiltDisk) -> dict[tuple[str, str], TrueStream]:
    """Return the disk's streams that are there by each of their paths and the stream's name."""
    there = [one for one in disk.streams if not one.deleted]
    return {(path, one.stream): one for one in there for path in (one.path, *one.other_paths)}


def paths_by_entry(volume: NtfsVolume) -> dict[int, set[str]]:
    """Return all paths of all allocated entries but the root and those that have lost or never had a name."""
    table = read_mft(volume)
    paths = Paths(table)
    found = {entry: set(paths.of(entry)) for entry in np.flatnonzero(table.base).tolist() if entry != ROOT_ENTRY}
    return {entry: names for entry, names in found.items() if not any(map(paths.is_orphan, names))}


def entries_by_path(volume: NtfsVolume) -> dict[str, int]:
    """Return the entry behind each path of a volume."""
    return {path: entry for entry, paths in paths_by_entry(volume).items() for path in paths}


def run_case(
    evidence: Sequence[Path],
    folder: Path,
    *,
    sets: Sequence[Path] = (),
    rescue: bool = True,
    deleted: bool = True,
    profile: Profile = Profile.FULL,
    observer: Observer | None = None,
    yara_timeout_seconds: int = 60,
) -> Case:
    """Run everything from evidence to seal, with the worker in a process of its own and the evidence hashed."""
    rescue_to = str(folder / RESCUE_FOLDER) if rescue and profile is Profile.FULL else None
    job = msgspec.structs.replace(
        _job(evidence, folder, sets, rescue_to=rescue_to),
        profile=profile,
        deleted=deleted,
        yara_timeout_seconds=yara_timeout_seconds,
    )
    options = Options(job=job, case_id="test", hash_evidence=True)
    result = supervise(options, SigningKey.generate(), observer or Observer(), lambda: False)
    report = load_report(folder / "report.json")
    assert report == result.report
    return _case(folder, report, result.exit_code)


def examine_here(evidence: Path, folder: Path, **options: object) -> Case:
    """Examine and judge without rescue, seal and second process: for the many runs of a test that does damage.

    `options` are those of the job that differ from the usual ones.
    """
    folder.mkdir()
    job = msgspec.structs.replace(_job([evidence], folder, (), rescue_to=None), **options)
    examine(job, Board.create())
    tool = Tool(name="triage", version="test", indicator_sets=())
    info = CaseInfo(id="test", examiner="", notes="", started_utc=_MOMENT, finished_utc=_MOMENT, interrupted=False)
    gathered = gather(folder / JOURNAL_NAME)
    report, _chronology = build_report(gathered, tool=tool, case=info, evidence=(), destination=None)
    return _case(folder, report, exit_code(report))


def _job(evidence: Sequence[Path], folder: Path, sets: Sequence[Path], *, rescue_to: str | None) -> Job:
    return Job(
        evidence=tuple(map(str, evidence)),
        case_folder=str(folder),
        rescue_to=rescue_to,
        extra_sets=tuple(map(str, sets)),
    )


def _case(folder: Path, report: Report, code: ExitCode) -> Case:
    records = list(read_journal(folder / JOURNAL_NAME))
    return Case(
        folder=folder,
        report=report,
        exit_code=code,
        streams=tuple(one for one in records if isinstance(one, StreamRecord)),
        rescued=tuple(one.file for one in records if isinstance(one, RescueRecord)),
    )
