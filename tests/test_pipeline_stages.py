"""Whole runs over lab disks: the verdict of each stage, what is rescued, and that strangers' tools accept the case."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

import bagit
import pytest

from tests.cases import Case, case_of, run_case, truth_by_name
from tests.conftest import LabDisk
from tests.lab import odd
from tests.lab.disk import BuiltDisk, DiskSpec
from tests.lab.mounts import mount_read_only, on_mount
from tests.lab.plan import Kind, Written
from tests.lab.tables import Layout
from tests.loops import run
from tests.needs import needs_tool
from triage.model.errors import ExitCode
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.rescue import RescueOutcome
from triage.model.verdict import Outcome, Stage
from triage.pipeline.assemble import IN_BAG
from triage.report.verify import verify_case
from triage.rescue.namemap import read_lines

_INFECTED = [stage for stage in Stage if stage is not Stage.NONE]
_WITH_CONTAINERS = [Stage.ENCRYPTING, Stage.FINISHED]
_SYSTEM_HIVE = "Windows/System32/config/SYSTEM"
_SAVED = (Kind.USER_INTACT, Kind.MOVED_ORIGINAL, Kind.PREPARED)
_PIECE_BYTES = 7_000_000


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _places(findings: Iterable[Finding]) -> set[str | None]:
    return {one.where.path for one in findings}


@pytest.mark.parametrize("stage", _INFECTED)
def test_each_stage_is_recognised(lab_disk: LabDisk, stage: Stage) -> None:
    case = case_of(lab_disk(stage))
    verdict = case.report.verdict
    assert (verdict.outcome, verdict.stage) == (Outcome.INDICATORS_FOUND, stage)
    assert case.exit_code is ExitCode.INDICATORS_FOUND
    assert verdict.reasons != ()
    assert set(verdict.reasons) <= {one.id for one in case.telling()}
    assert verdict.advice != ()
    assert case.report.gaps == ()


def test_a_healthy_disk_has_no_known_indicators(lab_disk: LabDisk) -> None:
    disk = lab_disk(Stage.NONE)
    case = case_of(disk)
    verdict = case.report.verdict
    assert (verdict.outcome, verdict.stage, verdict.reasons) == (Outcome.NO_KNOWN_INDICATORS, Stage.NONE, ())
    assert case.exit_code is ExitCode.OK
    assert case.report.gaps == ()
    assert case.telling() == []


@pytest.mark.parametrize("stage", Stage)
def test_look_alikes_are_seen_and_do_not_count(lab_disk: LabDisk, stage: Stage) -> None:
    quotes = {file.path for file in odd.look_alikes(Random(0), [odd.LookAlike.QUOTES])}
    planted = {file.path for file in odd.look_alikes(Random(0)) if not file.path.endswith(".ini")}
    findings = [one for one in case_of(lab_disk(stage)).report.findings if one.where.path in planted]
    assert _places(findings) == planted - quotes
    assert {one.severity for one in findings} == {Severity.LOW}


def test_without_look_alikes_a_healthy_disk_has_no_finding_at_all(lab_disk: LabDisk, tmp_path: Path) -> None:
    disk = lab_disk(spec=DiskSpec(stage=Stage.NONE, look_alikes=()))
    assert run_case([disk.image], tmp_path / "case", sets=[disk.indicators]).report.findings == ()


@pytest.mark.parametrize("stage", _WITH_CONTAINERS)
def test_every_encrypted_file_is_a_finding_and_nothing_else_is_one(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    found = [one for one in case_of(disk).findings(FindingKind.ENCRYPTED_FILE) if one.severity is Severity.HIGH]
    containers = disk.of_kind(Kind.ENCRYPTED, Kind.IN_PROGRESS, Kind.PREPARED)
    assert Counter(one.where.path for one in found) == Counter(one.path for one in containers)
    assert {one.where.path: one.digests.sha256 for one in found} == {one.path: one.sha256 for one in containers}


@pytest.mark.parametrize("stage", _INFECTED)
def test_every_stand_in_is_found_by_its_digest(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    found = case_of(disk).findings(FindingKind.DIGEST)
    stand_ins = disk.of_kind(Kind.STAND_IN)
    assert Counter(one.where.path for one in found) == Counter(one.path for one in stand_ins)
    assert {one.set for one in found} == {disk.indicators.stem}


@pytest.mark.parametrize("stage", Stage)
def test_services_are_found_in_every_control_set(lab_disk: LabDisk, stage: Stage) -> None:
    case = case_of(lab_disk(stage))
    services = [one for one in case.findings(FindingKind.SERVICE) if one in case.telling()]
    expected = Counter({"worm-service": 2}) if stage >= Stage.PROPAGATING else Counter()
    expected += Counter({"computed-name-service": 2}) if stage >= Stage.INSTALLED else Counter()
    assert Counter(one.indicator for one in services) == expected
    assert _places(services) <= {_SYSTEM_HIVE}


def test_work_directory_is_found_by_its_computed_name(lab_disk: LabDisk) -> None:
    disk = lab_disk(Stage.INSTALLED)
    (found,) = (one for one in case_of(disk).findings(FindingKind.WORK_DIRECTORY) if one in case_of(disk).telling())
    assert found.where.path == f"ProgramData/{disk.spec.work_directory}"
    assert found.severity is Severity.HIGH


def test_key_files_and_notes_are_found(lab_disk: LabDisk) -> None:
    disk = lab_disk(Stage.ENCRYPTING)
    case = case_of(disk)
    keys = [one.path for one in disk.of_kind(Kind.KEY_FILE) if not one.path.endswith("f.wnry")]
    assert _places(case.findings(FindingKind.KEY_FILE)) == set(keys)
    notes = {one.path for one in disk.of_kind(Kind.NOTE) if one.path.endswith(".txt")}
    assert notes <= _places(case.findings(FindingKind.RANSOM_NOTE))


def test_a_deleted_batch_file_tells_when_it_began(lab_disk: LabDisk) -> None:
    findings = [one for one in case_of(lab_disk(Stage.ENCRYPTING)).report.findings if one.deleted]
    assert [one.facts["encryption_started_utc"] for one in findings] == ["2017-05-12T07:31:30Z"]


@pytest.mark.parametrize("stage", Stage)
def test_the_windows_on_the_disk_is_described(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    (volume,) = case_of(disk).report.volumes
    assert (volume.examined, volume.filesystem, volume.label) == (True, "ntfs", disk.spec.label)
    assert (volume.offset_bytes, volume.length_bytes) == (disk.volume_offset_bytes, disk.volume_bytes)
    windows = volume.windows
    assert windows is not None
    assert windows.computer_name == disk.spec.computer_name
    assert (windows.product, windows.version, windows.build) == ("Windows 7 Ultimate", "6.1 Service Pack 1", "7601")
    assert windows.time_zone == "China Standard Time"
    assert (windows.current_control_set, windows.last_known_good_control_set) == (1, 2)
    assert windows.work_directory_name == disk.spec.work_directory


@pytest.mark.parametrize("stage", Stage)
def test_the_evidence_is_the_same_after_the_run(lab_disk: LabDisk, tmp_path: Path, stage: Stage) -> None:
    disk = lab_disk(stage)
    before, status = _sha256(disk.image), disk.image.stat()
    case = run_case([disk.image], tmp_path / "case", sets=[disk.indicators])
    assert _sha256(disk.image) == before
    assert disk.image.stat().st_mtime_ns == status.st_mtime_ns
    (evidence,) = case.report.evidence
    assert evidence.sha256 == before
    proof = evidence.write_proof
    assert proof is not None
    assert proof.unchanged is True
    assert proof.after == proof.before
    assert proof.before["sha256"] == before


def _saved(disk: BuiltDisk) -> dict[str, str | None]:
    return {one.path: one.sha256 for one in disk.of_kind(*_SAVED) if one.stream == ""}


@pytest.mark.parametrize("stage", Stage)
def test_exactly_the_intact_documents_are_rescued(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    case = case_of(disk)
    payload = {path for path in (case.bag / "data").rglob("*") if path.is_file()}
    rescued = {one.path: one.sha256 for one in case.files(*IN_BAG)}
    assert rescued == _saved(disk)
    assert {str(path.relative_to(case.bag / "data/v1")) for path in payload} == set(rescued)
    assert all(rescued[str(path.relative_to(case.bag / "data/v1"))] == _sha256(path) for path in payload)
    summary = case.report.rescue
    assert summary is not None
    assert (summary.files, summary.bytes) == (len(payload), sum(path.stat().st_size for path in payload))
    assert sum(summary.by_outcome.values()) == len(case.rescued)


@pytest.mark.parametrize("stage", _WITH_CONTAINERS)
def test_encrypted_files_are_not_copied(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    encrypted = {one.path for one in disk.of_kind(Kind.ENCRYPTED, Kind.IN_PROGRESS)}
    told = case_of(disk).files(RescueOutcome.ENCRYPTED)
    assert {one.path for one in told} == encrypted
    assert {one.bag_path for one in told} == {""}


@pytest.mark.parametrize("stage", _WITH_CONTAINERS)
def test_the_malwares_files_among_the_documents_are_quarantined(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    planted = {
        one.path for one in disk.of_kind(Kind.STAND_IN, Kind.NOTE) if one.path.startswith(("Users/", "Projects/"))
    }
    told = case_of(disk).files(RescueOutcome.QUARANTINED)
    assert {one.path for one in told} == planted
    assert all(one.detail != "" and one.bag_path == "" for one in told)


def test_prepared_files_are_told_to_be_restorable(lab_disk: LabDisk) -> None:
    disk = lab_disk(Stage.ENCRYPTING)
    told = {one.path for one in case_of(disk).files(RescueOutcome.RECOVERABLE)}
    assert told == {one.path for one in disk.of_kind(Kind.PREPARED)} != set()


def test_rescued_files_keep_their_times(lab_disk: LabDisk) -> None:
    disk = lab_disk(Stage.ENCRYPTING)
    case = case_of(disk)
    seen: set[int] = set()
    with mount_read_only(disk.image, disk.volume_offset_bytes) as folder:
        for one in case.files(*IN_BAG):
            original = Path(on_mount(folder, one.path).decode()).stat()
            copy = (case.bag / one.bag_path).stat()
            assert (copy.st_mtime_ns, copy.st_size) == (original.st_mtime_ns, original.st_size), one.path
            seen.add(copy.st_mtime_ns)
    assert len(seen) > 10
    assert {line.path for line in read_lines(case.bag)} == set(_saved(disk))


def test_every_stream_of_a_user_has_its_outcome_on_the_odd_disk(lab_disk: LabDisk) -> None:
    """Alternate streams become files of their own, hard links one, other links none; what is not decoded has failed."""
    disk = lab_disk(spec=DiskSpec(oddities=True))
    case = case_of(disk)
    truth = truth_by_name(disk)
    undecodable = {one.path for one in disk.streams if one.written is Written.EFS}
    wanted = {
        (one.path, one.stream)
        for one in disk.of_kind(*_SAVED)
        if one.path not in undecodable and one.stream != "Zone.Identifier" and (one.stream == "" or one.size_bytes > 0)
    }
    saved = [truth[line.path, line.stream] for line in read_lines(case.bag)]
    assert Counter((one.path, one.stream) for one in saved) == Counter(wanted)
    assert {one.path for one in case.files(RescueOutcome.FAILED)} == undecodable
    for line in read_lines(case.bag):
        true = truth[line.path, line.stream]
        assert {line.path, *line.other_paths} == {true.path, *true.other_paths}
        assert (line.sha256, _sha256(case.bag / line.bag_path)) == (true.sha256, true.sha256), ascii(line.path)


@pytest.fixture(params=["plain", "odd"])
def sealed(request: pytest.FixtureRequest, lab_disk: LabDisk) -> Case:
    return case_of(lab_disk(spec=DiskSpec(oddities=request.param == "odd")))


def test_bagit_accepts_the_bag(sealed: Case) -> None:
    bag = bagit.Bag(str(sealed.bag))
    assert bag.validate()
    assert len(bag.entries) > 20


@needs_tool("sha256sum")
def test_sha256sum_accepts_case_and_bag(sealed: Case) -> None:
    command = ("sha256sum", "--check", "--strict", "--quiet")
    subprocess.run((*command, "SHA256SUMS"), cwd=sealed.folder, check=True)
    subprocess.run((*command, "manifest-sha256.txt"), cwd=sealed.bag, check=True)
    subprocess.run((*command, "tagmanifest-sha256.txt"), cwd=sealed.bag, check=True)
    listed = {line[66:] for line in (sealed.folder / "SHA256SUMS").read_text().splitlines()}
    assert {"report.json", "report.html", "findings.jsonl", "digests.hashdeep", "allowed_signers"} <= listed


@needs_tool("ssh-keygen")
def test_ssh_keygen_accepts_the_signature(sealed: Case) -> None:
    signer = (sealed.folder / "allowed_signers").read_text().split()[0]
    command = ("ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", signer, "-n", "triage-report")
    sums = (sealed.folder / "SHA256SUMS").read_bytes()
    for message, code in ((sums, 0), (sums.replace(b"0", b"1", 1), 255)):
        checked = subprocess.run(
            (*command, "-s", "SHA256SUMS.sig"), cwd=sealed.folder, input=message, capture_output=True, check=False
        )
        assert checked.returncode == code, checked.stderr


def test_verify_accepts_the_case_and_names_what_was_changed(sealed: Case, tmp_path: Path) -> None:
    assert verify_case(sealed.folder).ok
    copy = tmp_path / "copy"
    shutil.copytree(sealed.folder, copy)
    victim = copy / "rescue" / sealed.files(RescueOutcome.RESCUED)[0].bag_path
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    (copy / "report.html").unlink()
    result = verify_case(copy)
    assert not result.ok
    told = " ".join(str(problem) for problem in result.problems)
    assert "report.html" in told
    assert victim.name in told or str(victim.name.encode("unicode_escape"))[2:-1] in told


@needs_tool("hashdeep")
def test_hashdeep_audits_the_bag_against_the_digests_of_the_case(lab_disk: LabDisk, tmp_path: Path) -> None:
    case = case_of(lab_disk(Stage.ENCRYPTING))
    payload = tmp_path / "data"
    shutil.copytree(case.bag / "data", payload)
    rescued = {f"v1/{one.path}" for one in case.files(*IN_BAG)}
    lines = (case.folder / "digests.hashdeep").read_text().splitlines(keepends=True)
    known = tmp_path / "known.hashdeep"
    known.write_text("".join(line for line in lines if line[0] in "%#" or line.split(",", 3)[3].rstrip() in rescued))
    command = ("hashdeep", "-a", "-l", "-r", "-k", str(known), "v1")
    assert "Audit passed" in run("env", "-C", str(payload), *command)
    victim = payload / "v1/Users/李雷/Documents/contract.pdf"
    victim.write_bytes(victim.read_bytes() + b" ")
    assert subprocess.run(command, cwd=payload, check=False, capture_output=True).returncode != 0


def _told(case: Case, volume: str = "v1") -> Counter[tuple[str, ...]]:
    """Return what a volume's findings say, without what differs from disk to disk: keys, entry numbers, times."""
    return Counter(
        (one.kind, one.indicator, one.severity, str(one.where.path), str(one.where.stream), str(one.deleted))
        for one in case.report.findings
        if one.where.volume == volume and one.kind is not FindingKind.YARA
    )


def _yara(case: Case, volume: str = "v1") -> set[tuple[str | None, str]]:
    """Return where rules matched in files; the volume's own metadata is not the same on each disk."""
    found = case.findings(FindingKind.YARA)
    return {
        (one.where.path, one.indicator)
        for one in found
        if one.where.volume == volume and one.severity is not Severity.LOW
    }


@pytest.mark.parametrize("layout", [Layout.MBR_LOGICAL, Layout.GPT, Layout.BARE])
def test_the_layout_makes_no_difference(lab_disk: LabDisk, layout: Layout) -> None:
    case, other = case_of(lab_disk(Stage.ENCRYPTING)), case_of(lab_disk(spec=DiskSpec(layout=layout)))
    volume = "v2" if layout is Layout.MBR_LOGICAL else "v1"
    assert _told(other, volume) == _told(case) != Counter()
    assert _yara(other, volume) == _yara(case) != set()
    assert other.report.verdict.stage is Stage.ENCRYPTING
    assert [one.filesystem for one in other.report.volumes if one.examined] == ["ntfs"]
    (examined,) = [one for one in other.report.volumes if one.examined]
    disk = lab_disk(spec=DiskSpec(layout=layout))
    assert (examined.id, examined.offset_bytes) == (volume, disk.volume_offset_bytes)
    assert {one.path for one in other.files(*IN_BAG)} == set(_saved(disk))


def test_a_volume_that_is_not_ntfs_is_listed_with_why(lab_disk: LabDisk) -> None:
    case = case_of(lab_disk(spec=DiskSpec(layout=Layout.MBR_LOGICAL)))
    first = case.report.volumes[0]
    assert (first.id, first.filesystem, first.examined) == ("v1", "ext4", False)
    assert "NTFS" in (first.why_not or "")


@pytest.mark.parametrize("first", ["disk.001", "disk.aa"])
def test_split_raw_is_the_same_disk(lab_disk: LabDisk, tmp_path: Path, first: str) -> None:
    disk = lab_disk(Stage.ENCRYPTING)
    case = case_of(disk)
    numbering = ("--numeric-suffixes=1", "-a", "3") if first.endswith("1") else ("-a", "2")
    run("split", "-b", str(_PIECE_BYTES), *numbering, disk.image, tmp_path / "disk.")
    split = run_case([tmp_path / first], tmp_path / "case", sets=[disk.indicators])
    assert split.report.evidence[0].format == "split"
    assert split.report.evidence[0].sha256 == case.report.evidence[0].sha256
    assert split.report.findings == case.report.findings
    assert split.digests() == case.digests()
    assert split.report.verdict == case.report.verdict


def test_two_evidence_paths_make_one_case(lab_disk: LabDisk, tmp_path: Path) -> None:
    infected, healthy = lab_disk(Stage.ENCRYPTING), lab_disk(Stage.NONE)
    both = run_case([healthy.image, infected.image], tmp_path / "case", sets=[infected.indicators])
    assert [(one.id, one.evidence) for one in both.report.volumes] == [("v1", 0), ("v2", 1)]
    for volume, disk in (("v1", healthy), ("v2", infected)):
        alone = case_of(disk)
        assert _told(both, volume) == _told(alone)
        assert _yara(both, volume) == _yara(alone)
        assert both.digests(volume) == alone.digests()
        rescued = [one for one in both.files(*IN_BAG) if one.volume == volume]
        assert {one.path: one.sha256 for one in rescued} == _saved(disk)
        assert all(_sha256(both.bag / one.bag_path) == one.sha256 for one in rescued)
    assert both.report.verdict.stage is Stage.ENCRYPTING
    assert both.report.coverage.streams == sum(case_of(one).report.coverage.streams for one in (healthy, infected))
