"""The registry of a whole volume: logs beside hives, every user, the older copies in RegBack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cases import Case, entries_by_path, examine_here
from tests.lab.hive_logs import dirty_hive, new_log, old_log, with_sequences
from tests.lab.hives import (
    HIVE_TOOL,
    PLAIN_SERVICES,
    WORM_SERVICE,
    LabService,
    software_hive,
    system_hive,
    user_hive,
    work_directory_service,
)
from tests.lab.plan import Kind, LabFile
from tests.lab.volume import fill_volume, make_volume
from tests.mft_editor import DATA, MftEditor, attributes, runs
from tests.needs import needs_tool
from triage.evidence.open import open_evidence
from triage.indicators.work_directory import work_directory_name
from triage.model.errors import ExitCode
from triage.model.finding import Finding, FindingKind
from triage.model.gap import GapKind
from triage.model.verdict import Bearing, Outcome, Stage
from triage.model.volume import HibernationFile
from triage.volumes.ntfs import NtfsVolume

pytestmark = needs_tool("mkntfs", "ntfs-3g", HIVE_TOOL)

CONFIG = "Windows/System32/config"
COMPUTED = work_directory_name("WIN7-PC")
RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
AWAITED = 7


def hive_of(folder: Path, *services: LabService, computer_name: str = "WIN7-PC") -> bytes:
    path = folder / "hive"
    system_hive(path, computer_name=computer_name, services=(*PLAIN_SERVICES, *services), control_sets=1)
    return with_sequences(path.read_bytes(), AWAITED, AWAITED)


def software_of(folder: Path) -> bytes:
    software_hive(folder / "hive")
    return (folder / "hive").read_bytes()


def volume_of(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Make an NTFS volume with these files."""
    image = folder / "volume.img"
    make_volume(image, size_bytes=16 << 20, cluster_bytes=4096, offset_bytes=0, label="lab")
    fill_volume(image, [LabFile(path=path, content=content, kind=Kind.SYSTEM) for path, content in files.items()])
    return image


def case_with(folder: Path, files: Mapping[str, bytes]) -> Case:
    return examine_here(volume_of(folder, {f"{CONFIG}/SOFTWARE": software_of(folder), **files}), folder / "case")


def registry(case: Case) -> list[Finding]:
    return case.findings(FindingKind.SERVICE, FindingKind.REGISTRY)


@pytest.mark.parametrize("log_name", ["SYSTEM.LOG1", "system.log", "SYSTEM.LOG2"])
def test_only_the_log_beside_the_hive_shows_the_worm(tmp_path: Path, log_name: str) -> None:
    before, worm = hive_of(tmp_path), hive_of(tmp_path, WORM_SERVICE)
    make = old_log(before, worm, AWAITED) if log_name.endswith("log") else new_log([before, worm], AWAITED)
    hive = dirty_hive(before, AWAITED)
    case = case_with(tmp_path, {f"{CONFIG}/SYSTEM": hive, f"{CONFIG}/{log_name}": make})
    [finding] = registry(case)
    assert (finding.facts["view"], finding.where.path) == ("after-replay", f"{CONFIG}/SYSTEM")
    assert (case.report.verdict.outcome, case.report.verdict.stage) == (Outcome.INDICATORS_FOUND, Stage.PROPAGATING)
    assert [(gap.kind, gap.material) for gap in case.report.gaps] == [(GapKind.HIVE_DIRTY, False)]


def test_a_dirty_hive_that_is_whole_with_its_log_leaves_nothing_open(tmp_path: Path) -> None:
    before = hive_of(tmp_path)
    later = hive_of(tmp_path, LabService(name="Spooler", image_path="spoolsv.exe"))
    files = {f"{CONFIG}/SYSTEM": dirty_hive(before, AWAITED), f"{CONFIG}/SYSTEM.LOG1": new_log([before, later], 7)}
    case = case_with(tmp_path, files)
    assert (case.exit_code, case.report.verdict.outcome) == (ExitCode.OK, Outcome.NO_KNOWN_INDICATORS)


@pytest.mark.parametrize("log", [b"", b"no log " * 1000])
def test_a_dirty_hive_without_its_log_leaves_the_question_open(tmp_path: Path, log: bytes) -> None:
    files = {f"{CONFIG}/SYSTEM": dirty_hive(hive_of(tmp_path), AWAITED), f"{CONFIG}/SYSTEM.LOG1": log}
    case = case_with(tmp_path, files)
    assert case.exit_code is ExitCode.INCONCLUSIVE
    assert [gap.kind for gap in case.report.gaps if gap.material] == [GapKind.HIVE_DIRTY]
    [exposure] = case.report.exposure
    assert any(
        reason.startswith("The last changes to the registry were not written out") for reason in exposure.reasons
    )


def test_a_log_on_bad_sectors_is_not_replayed_and_named(tmp_path: Path) -> None:
    before, worm = hive_of(tmp_path), hive_of(tmp_path, WORM_SERVICE)
    log = f"{CONFIG}/SYSTEM.LOG1"
    files = {f"{CONFIG}/SYSTEM": dirty_hive(before, AWAITED), log: new_log([before, worm], AWAITED)}
    image = volume_of(tmp_path, {f"{CONFIG}/SOFTWARE": software_of(tmp_path), **files})
    point_beyond_the_end(image, log)
    case = examine_here(image, tmp_path / "case")
    [gap] = [gap for gap in case.report.gaps if gap.kind is GapKind.HIVE_DIRTY and gap.where.path == log]
    assert gap.material
    assert gap.detail.startswith("log not replayed: ")
    assert registry(case) == []


def test_every_user_and_the_one_of_the_services_is_looked_at(tmp_path: Path) -> None:
    user_hive(tmp_path / "hive", {RUN: {COMPUTED: rf'"C:\ProgramData\{COMPUTED}\tasksche.exe"'}})
    marked = (tmp_path / "hive").read_bytes()
    user_hive(tmp_path / "hive")
    plain = (tmp_path / "hive").read_bytes()
    hit = [
        "Users/李雷/NTUSER.DAT",
        "Users/Default/ntuser.dat",
        f"{CONFIG}/DEFAULT",
        "Windows/ServiceProfiles/x/NTUSER.DAT",
    ]
    files = {f"{CONFIG}/SYSTEM": hive_of(tmp_path), "Users/alice/NTUSER.DAT": plain, **dict.fromkeys(hit, marked)}
    case = case_with(tmp_path, files)
    assert {one.where.path for one in registry(case)} == set(hit)
    assert {one.indicator for one in registry(case)} == {"computed-name-run-value"}
    assert case.report.gaps == ()


@pytest.mark.parametrize("moved", ["Windows.old/WINDOWS", "windows.old.000/Windows"])
def test_a_windows_that_was_moved_aside_is_examined_and_does_not_describe_the_volume(
    tmp_path: Path, moved: str
) -> None:
    older_name = work_directory_name("OLD-PC")
    older = hive_of(tmp_path, WORM_SERVICE, work_directory_service(older_name), computer_name="OLD-PC")
    elsewhere = f"Backup/{older_name}/tasksche.exe"
    files = {
        f"{moved}/System32/config/SYSTEM": older,
        f"{moved}/System32/config/SOFTWARE": software_of(tmp_path),
        elsewhere: b"text",
        f"{CONFIG}/SYSTEM": hive_of(tmp_path),
    }
    case = case_with(tmp_path, files)
    assert {(one.indicator, one.where.path) for one in registry(case)} == {
        (indicator, f"{moved}/System32/config/SYSTEM") for indicator in ("worm-service", "computed-name-service")
    }
    assert all("does not start" in one.facts["installation"] for one in registry(case))
    assert [one.indicator for one in case.findings(FindingKind.NAME) if one.where.path == elsewhere] == [
        "installer-in-work-directory"
    ]
    windows = case.report.volumes[0].windows
    assert windows is not None
    assert (windows.computer_name, windows.folder) == ("WIN7-PC", "Windows")
    assert len(case.report.exposure) == 1
    judgement = case.report.verdict.judgement
    assert judgement is not None
    bearings = {row.sign: row.bearing for row in judgement.evidence}
    assert (bearings["worm-service"], bearings["installer-service"]) == (Bearing.FOR, Bearing.FOR)


def test_a_windows_that_was_moved_aside_alone_describes_the_volume(tmp_path: Path) -> None:
    config = "Windows.old/WINNT/System32/config"
    image = volume_of(tmp_path, {f"{config}/SYSTEM": hive_of(tmp_path), f"{config}/SOFTWARE": software_of(tmp_path)})
    windows = examine_here(image, tmp_path / "case").report.volumes[0].windows
    assert windows is not None
    assert (windows.computer_name, windows.folder) == ("WIN7-PC", "Windows.old/WINNT")


def test_a_windows_that_was_moved_aside_without_its_hive_leaves_the_question_open(tmp_path: Path) -> None:
    files = {f"{CONFIG}/SYSTEM": hive_of(tmp_path), "Windows.old/Windows/System32/config/x.txt": b"text"}
    case = case_with(tmp_path, files)
    assert case.exit_code is ExitCode.INCONCLUSIVE
    [gap] = [gap for gap in case.report.gaps if gap.material]
    assert (gap.kind, gap.where.path) == (GapKind.HIVE_MISSING, "windows.old/windows/system32/config")


def test_regback_is_an_older_witness(tmp_path: Path) -> None:
    other = LabService(name="mssecsvc2.1", image_path="x")
    files = {
        f"{CONFIG}/SYSTEM": hive_of(tmp_path, other),
        f"{CONFIG}/RegBack/SYSTEM": hive_of(tmp_path, WORM_SERVICE, other),
    }
    case = case_with(tmp_path, files)
    told = {
        (one.facts["service"], one.facts.get("view"), one.facts.get("removed_since"), one.where.path)
        for one in registry(case)
    }
    assert told == {
        ("mssecsvc2.1", None, None, f"{CONFIG}/SYSTEM"),
        ("mssecsvc2.1", "older-copy", "false", f"{CONFIG}/RegBack/SYSTEM"),
        ("mssecsvc2.0", "older-copy", "true", f"{CONFIG}/RegBack/SYSTEM"),
    }
    windows = case.report.volumes[0].windows
    assert windows is not None
    assert windows.computer_name == "WIN7-PC"
    assert (windows.hibernation_enabled, windows.fast_startup_enabled, windows.hibernation_file) == (None, None, None)


@pytest.mark.parametrize("copy", [b"", b"not a hive " * 1000])
def test_an_empty_or_damaged_older_copy_leaves_nothing_open(tmp_path: Path, copy: bytes) -> None:
    case = case_with(tmp_path, {f"{CONFIG}/SYSTEM": hive_of(tmp_path), f"{CONFIG}/RegBack/SYSTEM": copy})
    assert case.exit_code is ExitCode.OK
    assert [(gap.kind, gap.material) for gap in case.report.gaps] == [(GapKind.HIVE_DAMAGED, False)] * (copy != b"")


def test_an_older_copy_alone_is_no_system_hive(tmp_path: Path) -> None:
    case = case_with(tmp_path, {f"{CONFIG}/RegBack/SYSTEM": hive_of(tmp_path, WORM_SERVICE)})
    assert [gap.kind for gap in case.report.gaps if gap.material] == [GapKind.HIVE_MISSING]
    assert [one.facts["removed_since"] for one in registry(case)] == ["true"]
    windows = case.report.volumes[0].windows
    assert windows is not None
    assert (windows.product, windows.computer_name) == ("Windows 7 Ultimate", None)


@pytest.mark.parametrize(
    ("head", "state"),
    [
        (b"hibr", HibernationFile.HIBERNATED),
        (b"HIBR", HibernationFile.HIBERNATED),
        (b"wake", HibernationFile.RESUMED),
        (b"RSTR", HibernationFile.RESUMING),
        (bytes(4), HibernationFile.CLEARED),
        (b"text", HibernationFile.UNKNOWN),
        (b"", None),
    ],
)
def test_state_of_hibernation_is_told(tmp_path: Path, head: bytes, state: HibernationFile | None) -> None:
    switches = {"Power": {"HibernateEnabled": 1}, r"Session Manager\Power": {"HiberbootEnabled": 0}}
    system_hive(tmp_path / "hive", computer_name="WIN7-PC", services=PLAIN_SERVICES, control_numbers=switches)
    files = {f"{CONFIG}/SYSTEM": (tmp_path / "hive").read_bytes(), "hiberfil.sys": head.ljust(9000 * len(head), b"\0")}
    case = case_with(tmp_path, files)
    windows = case.report.volumes[0].windows
    assert windows is not None
    assert (windows.hibernation_enabled, windows.fast_startup_enabled) == (True, False)
    assert windows.hibernation_file is state


def point_beyond_the_end(image: Path, path: str) -> None:
    """Let a file's run list lead past the end of the volume."""
    with open_evidence(str(image)) as source:
        entry = entries_by_path(NtfsVolume(source, "v1"))[path]
    mft = MftEditor(image)
    record = mft.record(entry)
    [data] = [one for one in attributes(record) if one.type == DATA]
    [(_cluster, count)] = runs(record, data)
    pairs = data.offset + data.field(record, 32, "<H")
    record[pairs : pairs + 5] = bytes([0x31, count, 0, 0, 0x7F])
    mft.put(entry, record)
