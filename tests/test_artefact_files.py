"""Files in which Windows keeps traces, on a volume: found by their places, read in pieces, each for itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cases import Case, entries_by_path, examine_here
from tests.command import Hook, report_of, triage
from tests.lab.event_log import CHUNK_BYTES, write_event_log
from tests.lab.old_event_log import OldEvent, write_old_event_log
from tests.lab.prefetch import write_prefetch
from tests.lab.traces import LOGS, PREFETCH, program_ran, security_events, system_events
from tests.needs import needs_tool
from tests.test_registry_survey import volume_of
from triage.demo import unpack_demo
from triage.evidence.open import open_evidence
from triage.examiners.artefacts import ARTEFACT_FILES
from triage.indicators.load import load_indicators
from triage.model.event import EventKind
from triage.model.finding import FindingKind
from triage.model.gap import GapKind, Where
from triage.model.told import Notes
from triage.model.verdict import Stage
from triage.pipeline import artefacts
from triage.pipeline.discover import discover
from triage.pipeline.job import HIVES, TEXTS, WHOLE_VOLUME, artefact_row
from triage.pipeline.survey import Surveyor
from triage.walk.reader import StreamReader

pytestmark = needs_tool("mkntfs", "ntfs-3g")

SYSTEM_LOG = write_event_log(system_events(Stage.PROPAGATING, "xjzilhxs261"))
SECURITY_LOG = write_event_log(security_events(Stage.FINISHED))
OLD_LOG = write_old_event_log(
    [OldEvent(source="Service Control Manager", event=7036, time=1_494_576_665, strings=("mssecsvc2.0", "running"))]
)
WORM = program_ran(r"\WINDOWS\MSSECSVC.EXE", 0, version=30)


def case_with(folder: Path, files: Mapping[str, bytes]) -> Case:
    return examine_here(volume_of(folder, files), folder / "case")


def told(case: Case) -> dict[str, set[str]]:
    """Return the indicators that each file told."""
    found: dict[str, set[str]] = {}
    for one in case.findings(FindingKind.EVENT_LOG, FindingKind.EXECUTION):
        found.setdefault(one.where.path or "", set()).add(one.indicator)
    return found


@pytest.mark.parametrize("windows", ["Windows", "WINNT", "WINDOWS.0", "Windows.old.000/WIN10"])
def test_each_kind_of_file_is_found_in_its_place(tmp_path: Path, windows: str) -> None:
    files = {
        f"{windows}/System32/winevt/Logs/System.evtx": SYSTEM_LOG,
        f"{windows}/System32/winevt/Logs/Archive-Security-2017-05-12-08-11-05-123.evtx": SECURITY_LOG,
        f"{windows}/System32/config/SysEvent.Evt": OLD_LOG,
        f"{windows}/Prefetch/{WORM.file_name}": write_prefetch(WORM),
    }
    assert set(told(case_with(tmp_path, files))) == set(files)


def test_other_logs_and_other_places_are_left_to_the_streams(tmp_path: Path) -> None:
    files = {
        f"{LOGS}/Application.evtx": SYSTEM_LOG,
        "Users/alice/System.evtx": SYSTEM_LOG,
        f"Users/alice/{WORM.file_name}": write_prefetch(WORM),
    }
    case = case_with(tmp_path, files)
    assert told(case) == {}
    assert case.report.gaps == ()


def test_an_antivirus_log_is_read(tmp_path: Path) -> None:
    path = f"{LOGS}/Microsoft-Windows-Windows Defender%4Operational.evtx"
    assert set(told(case_with(tmp_path, {path: SYSTEM_LOG}))) == {path}


def test_a_long_log_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece ends within a chunk; what it tells is told all the same."""
    monkeypatch.setattr(artefacts, "StreamReader", lambda overlap_bytes: StreamReader(98_304, overlap_bytes))
    case = case_with(tmp_path, {f"{LOGS}/System.evtx": SYSTEM_LOG})
    assert told(case) == {f"{LOGS}/System.evtx": {"worm-service-installed", "worm-service-started"}}
    assert case.report.gaps == ()


def test_damage_is_a_gap_that_leaves_nothing_material_open(tmp_path: Path) -> None:
    damaged = SYSTEM_LOG[:4096] + b"\xff" * CHUNK_BYTES
    cut = write_prefetch(WORM)[:100]
    case = case_with(tmp_path, {f"{LOGS}/System.evtx": damaged, f"{PREFETCH}/{WORM.file_name}": cut})
    assert {(gap.kind, gap.where.path, gap.material) for gap in case.report.gaps} == {
        (GapKind.ARTEFACT, f"{LOGS}/System.evtx", False),
        (GapKind.ARTEFACT, f"{PREFETCH}/{WORM.file_name}", False),
    }
    assert told(case) == {f"{PREFETCH}/{WORM.file_name}": {"worm"}}


def test_a_file_longer_than_is_parsed_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = tuple(kind._replace(largest_bytes=1000) for kind in ARTEFACT_FILES)
    monkeypatch.setattr(artefacts, "ARTEFACT_FILES", short)
    case = case_with(tmp_path, {f"{LOGS}/System.evtx": SYSTEM_LOG})
    assert [gap.detail for gap in case.report.gaps] == [f"file of {len(SYSTEM_LOG)} bytes not parsed"]


def test_the_timeline_has_what_no_finding_tells(tmp_path: Path) -> None:
    case = case_with(tmp_path, {f"{LOGS}/System.evtx": SYSTEM_LOG, f"{LOGS}/Security.evtx": SECURITY_LOG})
    kinds = {event.kind for event in case.report.timeline.events if event.family is None}
    assert kinds == {EventKind.SYSTEM_STARTED, EventKind.SHADOWS_DELETED}


def test_what_comes_behind_the_files_is_put_down_to_the_volume(tmp_path: Path) -> None:
    """A worker that dies later has not died on the last file that was parsed."""
    begun: list[int] = []

    def begin(row: int, _where: Where) -> bool:
        begun.append(row)
        return True

    def note(_one: object) -> None:
        pass

    surveyor = Surveyor(load_indicators(), Notes(note, note, note))
    with open_evidence(volume_of(tmp_path, {f"{LOGS}/System.evtx": SYSTEM_LOG})) as source:
        [found] = discover([source], note)
        assert found.ntfs is not None
        survey = surveyor.survey(0, found, found.ntfs, begin=begin)
        entry = entries_by_path(survey.ntfs)[f"{LOGS}/System.evtx"]
    assert begun == [HIVES, artefact_row(entry), TEXTS, WHOLE_VOLUME]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_demo(tmp_path_factory.mktemp("artefacts"))


@pytest.mark.parametrize("times", [1, 99])
def test_a_file_that_kills_the_worker_costs_that_file(demo: Path, tmp_path: Path, times: int) -> None:
    """Killed once, by whatever, nothing is lost; each time: this file is left out and all others are not."""
    deadly = f"{LOGS}/System.evtx"
    hook = Hook(folder=tmp_path, act="die", place="artefact", path=f"v1/{deadly}", times=times)
    assert triage("run", demo, "--out", tmp_path / "case", hook=hook).code == 10
    report = report_of(tmp_path / "case")
    paths = {one.where.path for one in report.findings if one.kind is FindingKind.EVENT_LOG}
    gaps = [(gap.kind, gap.where.path) for gap in report.gaps]
    assert hook.times_reached == 2
    assert (deadly in paths) is (times == 1)
    assert gaps == ([] if times == 1 else [(GapKind.WORKER_DIED, deadly)])
    assert any(one.kind is FindingKind.EXECUTION for one in report.findings)
    assert report.coverage.streams_by_state.get("worker-died", 0) == 0
    assert triage("verify", tmp_path / "case").code == 0
