"""Whatever bytes make the worker do, it costs one gap and that entry; and what holds of its isolation is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cases import Case, run_case
from tests.command import Hook, copied, ended, report_of, said_in, start, triage, wait_until, workers_of
from tests.needs import needs_landlock
from triage.demo import unpack_demo
from triage.model.gap import GapKind
from triage.model.isolation import Attempt
from triage.pipeline import watch
from triage.pipeline.hang import Patience

pytestmark = needs_landlock()

STREAM = "Users/alice/Documents/contract.pdf"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """Two disks, so that there are two volumes."""
    folder = tmp_path_factory.mktemp("disks")
    first = unpack_demo(folder)
    return first, Path(copied(first, tmp_path_factory.mktemp("second")))


@pytest.fixture(scope="module", params=[True, False], ids=["rescue", "no rescue"])
def undisturbed(
    request: pytest.FixtureRequest, images: Sequence[Path], tmp_path_factory: pytest.TempPathFactory
) -> Case:
    return run_case(images, tmp_path_factory.mktemp("undisturbed") / "case", rescue=request.param)


def attacked(
    images: Sequence[Path],
    undisturbed: Case,
    folder: Path,
    act: str,
    monkeypatch: pytest.MonkeyPatch,
    yara_timeout_seconds: int = 60,
) -> Case:
    """Return the case of a run in which one stream of the second volume attacks whoever examines it."""
    hook = Hook(folder=folder, act=act, path=f"v2/{STREAM}", written=images[0])
    for name, value in hook.environment().items():
        monkeypatch.setenv(name, value)
    rescue = undisturbed.report.rescue is not None
    case = run_case(images, folder / "case", rescue=rescue, yara_timeout_seconds=yara_timeout_seconds)
    assert hook.is_reached()
    return case


def assert_costs_one_stream(case: Case, undisturbed: Case, kind: GapKind) -> None:
    """Check that one gap and one stream make the whole difference, that all is told and that the case is whole."""
    gaps = [(gap.kind, gap.where.volume, gap.where.path) for gap in case.report.gaps]
    wanted = [(kind, "v2", STREAM)]
    rescue = undisturbed.report.rescue
    if rescue is not None:
        wanted = sorted([*wanted, (GapKind.NOT_RESCUED, "v2", STREAM)])
        assert case.report.rescue is not None
        assert case.report.rescue.files == rescue.files - 1
    assert sorted(gaps) == wanted
    assert case.report.findings == undisturbed.report.findings
    lost = {"v2": {(STREAM, "")}}
    for volume in ("v1", "v2"):
        before = undisturbed.digests(volume)
        kept = {name: digest for name, digest in before.items() if name not in lost.get(volume, ())}
        assert case.digests(volume) == kept
    assert case.report.coverage.streams == sum(case.report.coverage.streams_by_state.values())
    assert [one.write_proof and one.write_proof.unchanged for one in case.report.evidence] == [True, True]
    assert triage("verify", case.folder).code == 0


@pytest.mark.parametrize("act", ["crash", "allocate", "socket", "run", "fork", "signal"])
def test_what_kills_the_worker_costs_one_stream(
    act: str, images: Sequence[Path], undisturbed: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = attacked(images, undisturbed, tmp_path, act, monkeypatch)
    assert_costs_one_stream(case, undisturbed, GapKind.WORKER_DIED)
    (gap,) = case.gaps(GapKind.WORKER_DIED)
    how = {"crash": "signal 11", "allocate": "MemoryError"}.get(act, "a system call that it must not make")
    assert how in gap.detail
    assert case.report.coverage.streams_by_state["worker-died"] == 1


@pytest.mark.parametrize("act", ["outside", "change-evidence", "read-elsewhere", "chmod"])
def test_what_is_refused_costs_one_stream(
    act: str, images: Sequence[Path], undisturbed: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode = images[0].stat().st_mode
    case = attacked(images, undisturbed, tmp_path, act, monkeypatch)
    assert_costs_one_stream(case, undisturbed, GapKind.INTERNAL)
    assert "PermissionError" in case.report.gaps[-1].detail + case.report.gaps[0].detail
    assert not (tmp_path / "outside").exists()
    assert images[0].stat().st_mode == mode


def test_a_hang_costs_one_stream(
    images: Sequence[Path], undisturbed: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A match that never ends keeps all threads from running; it is known by the processor time it takes."""
    monkeypatch.setattr(watch, "PATIENCE", Patience(computing_seconds=1))
    case = attacked(images, undisturbed, tmp_path, "spin", monkeypatch, yara_timeout_seconds=1)
    assert_costs_one_stream(case, undisturbed, GapKind.WORKER_DIED)
    assert "without getting on" in case.gaps(GapKind.WORKER_DIED)[0].detail
    assert case.report.coverage.streams_by_state["timed-out"] == 1


def test_every_thread_of_the_worker_is_confined(images: Sequence[Path], tmp_path: Path) -> None:
    hook = Hook(folder=tmp_path, act="wait", at=3)
    with start("run", images[0], "--out", tmp_path / "case", hook=hook) as process:
        wait_until(hook.is_reached, process)
        (worker,) = workers_of(process.pid)
        statuses = [path.read_text() for path in Path(f"/proc/{worker}/task").glob("*/status")]
        limits = Path(f"/proc/{worker}/limits").read_text()
        first_killed = Path(f"/proc/{worker}/oom_score_adj").read_text()
        hook.gate.touch()
        ended(process)
    facts = [dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line) for status in statuses]
    assert len(facts) > 3
    assert {one["Seccomp"] for one in facts} == {"2"}
    assert {one["Seccomp_filters"] for one in facts} == {"2"}
    assert {one["NoNewPrivs"] for one in facts} == {"1"}
    assert {int(one["CapPrm"], 16) & ~0b1110 for one in facts} == {0}
    bounds = {line[:26].strip(): line[26:47].strip() for line in limits.splitlines()}
    assert bounds["Max core file size"] == "0"
    assert int(bounds["Max data size"]) == report_of(tmp_path / "case").case.isolation[0].memory_bytes
    assert first_killed.strip() == "1000"


def test_what_holds_is_told(undisturbed: Case) -> None:
    (isolation,) = undisturbed.report.case.isolation
    assert isolation.landlock_abi >= 2
    assert isolation.seccomp
    assert set(isolation.refused) == set(Attempt)
    assert isolation.allowed == ()
    said_in(
        undisturbed.folder, [f"Landlock {isolation.landlock_abi}", "seccomp", "changing other files", "the network"]
    )


def test_what_does_not_hold_is_a_gap(images: Sequence[Path], tmp_path: Path) -> None:
    hook = Hook(folder=tmp_path, act="", place="walls")
    ran = triage("run", images[0], "--out", tmp_path / "case", "--no-rescue", hook=hook)
    report = report_of(tmp_path / "case")
    assert [(gap.kind, gap.material) for gap in report.gaps] == [(GapKind.NOT_ISOLATED, False)]
    assert "Landlock: Function not implemented" in report.gaps[0].detail
    assert report.case.isolation[0].allowed == (Attempt.READ_ELSEWHERE, Attempt.WRITE_ELSEWHERE)
    assert ran.code == 10
    said_in(tmp_path / "case", ["NOT kept from: reading other files, changing other files", "the network"])
    assert "NOT kept from: reading other files, changing other files" in ran.out


def test_segments_of_evidence_are_found_from_within(images: Sequence[Path], tmp_path: Path) -> None:
    whole = images[0].read_bytes()
    half = len(whole) // 2 // 512 * 512
    segments = [tmp_path / "disk.001", tmp_path / "disk.002"]
    for segment, content in zip(segments, (whole[: len(whole) - half], whole[len(whole) - half :]), strict=True):
        segment.write_bytes(content)
    assert triage("run", segments[0], "--out", tmp_path / "case", "--no-rescue").code == 10
    report = report_of(tmp_path / "case")
    assert len(report.evidence[0].segments) == 2
    assert report.gaps == ()
