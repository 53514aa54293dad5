"""The supervisor's care: dead workers, foreign writes, unreadable evidence; nothing is lost and nothing silent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.command import (
    Hook,
    copied,
    kill,
    report_of,
    said_in,
    seen,
    start,
    triage,
    unreadable_at,
    wait_until,
    workers_of,
)
from tests.needs import needs_device, needs_tool
from tests.sample_report import sample_report
from triage.model.errors import ExitCode
from triage.model.gap import GapKind
from triage.model.report import Report
from triage.model.verdict import Outcome
from triage.pipeline.supervise import exit_code


def kinds(report: Report) -> set[GapKind]:
    return {gap.kind for gap in report.gaps}


def assert_verified(case: Path) -> None:
    assert triage("verify", case).code == 0


@pytest.mark.parametrize("place", ["volume", "hive", "stream"])
def test_a_worker_killed_from_outside_costs_nothing(image: Path, undisturbed: Path, tmp_path: Path, place: str) -> None:
    hook = Hook(folder=tmp_path, act="die", place=place, at=20)
    assert triage("run", image, "--out", tmp_path / "case", hook=hook).code == 10
    assert seen(tmp_path / "case") == seen(undisturbed)
    assert "the worker died (exit -9): to be tried alone" in (tmp_path / "case" / "case.log").read_text()
    assert_verified(tmp_path / "case")


def test_a_worker_killed_again_and_again_costs_nothing(image: Path, undisturbed: Path, tmp_path: Path) -> None:
    hook = Hook(folder=tmp_path, act="die", at=15, times=3)
    assert triage("run", image, "--out", tmp_path / "case", hook=hook).code == 10
    assert hook.times_reached >= 3
    assert seen(tmp_path / "case") == seen(undisturbed)
    assert_verified(tmp_path / "case")


def test_a_stream_that_kills_every_worker_costs_that_stream(image: Path, undisturbed: Path, tmp_path: Path) -> None:
    deadly = next(one for one in report_of_streams(undisturbed) if one.endswith(".pdf"))
    hook = Hook(folder=tmp_path, act="die", path=f"v1/{deadly}", times=99)
    assert triage("run", image, "--out", tmp_path / "case", hook=hook).code == 10
    report, whole = report_of(tmp_path / "case"), report_of(undisturbed)
    assert [(gap.kind, gap.where.path, gap.material) for gap in report.gaps] == [
        (GapKind.NOT_RESCUED, deadly, False),
        (GapKind.WORKER_DIED, deadly, True),
    ]
    assert report.coverage.streams_by_state["worker-died"] == 1
    assert report.coverage.streams_by_state["read"] == whole.coverage.streams_by_state["read"] - 1
    assert report.rescue is not None
    assert report.rescue.by_outcome["failed"] == 1
    assert hook.times_reached == 2
    assert_verified(tmp_path / "case")


def report_of_streams(case: Path) -> list[str]:
    lines = (case / "digests.hashdeep").read_text().splitlines()
    return [line.split(",", 3)[3].removeprefix("v1/") for line in lines if not line.startswith(("%", "#"))]


@pytest.mark.parametrize(
    ("place", "lost"),
    [
        ("volume", GapKind.VOLUME_NOT_EXAMINED),
        ("hive", GapKind.WORKER_DIED),
        ("trace", GapKind.WORKER_DIED),
    ],
)
def test_a_part_of_a_volume_that_kills_every_worker_is_a_gap(
    image: Path, tmp_path: Path, place: str, lost: GapKind
) -> None:
    hook = Hook(folder=tmp_path, act="die", place=place, times=99)
    code = triage("run", image, "--out", tmp_path / "case", hook=hook).code
    report = report_of(tmp_path / "case")
    assert code == (3 if place == "volume" else 10)
    assert {lost, GapKind.WORKER_DIED} <= kinds(report)
    assert hook.times_reached == 2
    assert_verified(tmp_path / "case")


def test_workers_that_always_die_end_the_run_which_is_sealed(image: Path, tmp_path: Path) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text("import os, sys\nif 'triage.pipeline.worker' in sys.orig_argv: raise SystemExit(9)\n")
    ran = triage("run", image, "--out", tmp_path / "case", PYTHONPATH=str(tmp_path))
    assert ran.code == 1
    assert "The run ended early: the worker died too often" in ran.out
    assert kinds(report_of(tmp_path / "case")) == {GapKind.INTERRUPTED}
    assert_verified(tmp_path / "case")


def test_the_last_words_of_a_worker_stand_in_the_log_and_nowhere_else(image: Path, tmp_path: Path) -> None:
    broken = tmp_path / "sitecustomize.py"
    words = "raise SystemExit('a\\x1b fault')"
    broken.write_text(f"import sys\nif 'triage.pipeline.worker' in sys.orig_argv: {words}\n")
    ran = triage("run", image, "--out", tmp_path / "case", "--quiet", PYTHONPATH=str(tmp_path))
    assert ran.code == 1
    assert ran.err == ""
    assert r"given up; SystemExit: a\x1b fault" in (tmp_path / "case" / "case.log").read_text()


def test_a_supervisor_that_is_killed_takes_its_worker_along_and_nothing_is_lost(
    image: Path, undisturbed: Path, tmp_path: Path
) -> None:
    case = tmp_path / "case"
    hook = Hook(folder=tmp_path, act="wait", at=25)
    with start("run", image, "--out", case, hook=hook) as process:
        wait_until(hook.is_reached, process)
        (worker,) = workers_of(process.pid)
        process.kill()
        process.wait()
    assert ends(worker)
    assert triage("verify", case).code == 1
    with (case / "journal.jsonl").open("a") as journal:
        journal.write('["stream","v1",')  # a write that was cut off
    resumed = triage("run", "--resume", case)
    assert resumed.code == 10
    assert seen(case) == seen(undisturbed)
    assert report_of(case).case.sessions == 2
    assert_verified(case)


def ends(process: int) -> bool:
    """Say whether a process comes to its end; one that does not is ended. A zombie waits for its parent only."""
    try:
        for _ in range(1000):
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            time.sleep(0.01)
    except OSError:
        return True
    kill(process)
    return False


def test_a_foreign_write_during_the_run_is_seen_and_said(image: Path, tmp_path: Path) -> None:
    evidence = copied(image, tmp_path)
    case = tmp_path / "case"
    hook = Hook(folder=tmp_path, act="write", at=5, written=evidence)
    ran = triage("run", evidence, "--out", case, "--no-rescue", "--hash-evidence", hook=hook)
    report = report_of(case)
    proof = report.evidence[0].write_proof
    assert proof is not None
    assert proof.after is not None
    assert proof.unchanged is False
    assert proof.before["sha256"] != proof.after["sha256"]
    assert report.evidence[0].sha256 == proof.before["sha256"]
    assert kinds(report) == {GapKind.EVIDENCE_CHANGED}
    assert ran.code == 10
    assert f"WARNING: something wrote to {evidence} during the run" in ran.out
    said_in(case, [f"WARNING: something wrote to {evidence} during the run", "CHANGED"])
    assert "was written to during the run" in (case / "case.log").read_text()
    assert_verified(case)


def test_evidence_that_nobody_wrote_to_is_unchanged(undisturbed: Path) -> None:
    proof = report_of(undisturbed).evidence[0].write_proof
    assert proof is not None
    assert proof.unchanged is True


def test_warnings_about_rules_are_said_and_logged(image: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yar"
    rules.write_text('rule empty { condition: "text" }\n')
    case = tmp_path / "case"
    ran = triage("run", image, "--out", case, "--no-rescue", "--quiet", "--rules", rules)
    assert ran.err.startswith(f"triage: {rules}: ")
    assert ran.err.removeprefix("triage: ") in (case / "case.log").read_text()


@needs_tool("nbdfuse", "nbdkit")
@needs_device("/dev/fuse")
def test_evidence_that_cannot_be_hashed_is_a_gap(image: Path, tmp_path: Path) -> None:
    """One range of the disk is unreadable, outside all files."""
    case = tmp_path / "case"
    with unreadable_at(image, tmp_path / "disk", offset_bytes=image.stat().st_size - 512) as evidence:
        triage("run", evidence, "--out", case, "--no-rescue", "--hash-evidence")
        gaps = [gap for gap in report_of(case).gaps if gap.kind is GapKind.READ_ERROR]
        assert [str(evidence) in gap.detail and gap.material for gap in gaps] == [True]
    assert report_of(case).evidence[0].sha256 is None


@pytest.mark.parametrize(
    ("outcome", "unsaved", "interrupted", "fatal", "code"),
    [
        (Outcome.NO_KNOWN_INDICATORS, (), False, None, ExitCode.OK),
        (Outcome.NO_KNOWN_INDICATORS, ("failed",), False, None, ExitCode.INCONCLUSIVE),
        (Outcome.NO_KNOWN_INDICATORS, ("incomplete",), False, None, ExitCode.INCONCLUSIVE),
        (Outcome.NO_KNOWN_INDICATORS, ("interrupted",), False, None, ExitCode.INCONCLUSIVE),
        (Outcome.NO_KNOWN_INDICATORS, ("encrypted", "quarantined", "doubtful"), False, None, ExitCode.OK),
        (Outcome.INCONCLUSIVE, (), False, None, ExitCode.INCONCLUSIVE),
        (Outcome.INDICATORS_FOUND, ("failed",), False, None, ExitCode.INDICATORS_FOUND),
        (Outcome.INDICATORS_FOUND, (), True, None, ExitCode.INTERRUPTED),
        (Outcome.INDICATORS_FOUND, (), True, "full", ExitCode.FATAL),
    ],
)
def test_of_several_exit_codes_the_first_that_holds(
    outcome: Outcome, unsaved: tuple[str, ...], interrupted: bool, fatal: str | None, code: ExitCode
) -> None:
    sample = sample_report()
    assert sample.rescue is not None
    report = replace(
        sample,
        case=replace(sample.case, interrupted=interrupted, fatal=fatal),
        verdict=replace(sample.verdict, outcome=outcome),
        rescue=replace(sample.rescue, by_outcome=dict.fromkeys(("rescued", *unsaved), 1)),
    )
    assert exit_code(report) is code
    assert exit_code(replace(report, rescue=None)) is code or unsaved != ()
