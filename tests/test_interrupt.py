"""Ctrl-C and its kin: the case is sealed as it stands, and `--resume` comes to what an undisturbed run comes to."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import (
    Hook,
    copied,
    ended,
    gated,
    report_of,
    said_in,
    seen,
    start,
    tree,
    triage,
    wait_until,
)
from tests.needs import needs_tool
from triage.model.gap import GapKind
from triage.model.verdict import Outcome


@pytest.fixture(scope="module")
def _stopped(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case whose run was interrupted after some streams; never changed."""
    case = tmp_path_factory.mktemp("stopped") / "case"
    hook = Hook(folder=case.parent, act="wait", at=30)
    stopped_by(signal.SIGINT, "run", image, "--out", case, hook=hook)
    return case


@pytest.fixture
def stopped(_stopped: Path) -> Path:
    """The interrupted case, in the place where it was made, and as it was sealed after the test."""
    return _stopped


def stopped_by(number: signal.Signals, *arguments: str | Path, hook: Hook) -> str:
    """Interrupt a run when its worker has come to the hook; return what it said until it stopped."""
    with start(*arguments, hook=hook) as process:
        wait_until(hook.is_reached, process)
        os.killpg(process.pid, number)  # as a terminal does
        said = said_until(process, "once more")
        hook.gate.touch()
        assert ended(process).code == 130
    return said


def said_until(process: subprocess.Popen[bytes], words: str) -> str:
    """Return what a process says on standard error up to the line with `words`."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = process.stderr.readline().decode()
        assert line != "", said
        said += line
    return said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_case_is_sealed_and_resumes_to_the_same(
    image: Path, undisturbed: Path, tmp_path: Path, number: signal.Signals
) -> None:
    case = tmp_path / "case"
    hook = Hook(folder=tmp_path, act="wait", at=30)
    said = stopped_by(number, "run", image, "--out", case, "--quiet", hook=hook)
    assert said == "triage: stopping after what is under way; Ctrl-C once more ends it at once\n"
    report, whole = report_of(case), report_of(undisturbed)
    assert report.case.interrupted
    assert report.case.fatal is None
    assert sum(report.coverage.streams_by_state.values()) == report.coverage.streams == whole.coverage.streams
    assert report.coverage.streams_by_state["interrupted"] > 0
    assert report.coverage.streams_by_state["read"] > 0
    assert GapKind.INTERRUPTED in {gap.kind for gap in report.gaps}
    said_in(case, ["The run was interrupted; this is what was examined until then."])
    assert triage("verify", case).code == 0

    assert triage("run", "--resume", case).code == 10
    assert seen(case) == seen(undisturbed)
    assert (report_of(case).case.sessions, report_of(case).case.interrupted) == (2, False)
    assert triage("verify", case).code == 0
    log = (case / "case.log").read_text().splitlines()
    assert [line.split(" ")[1].rstrip(",") for line in log] == [
        "started", "first", "sealed", "removed", "removed", "removed", "resumed", "first", "sealed",
    ]  # fmt: skip
    assert " sealed anew with key " in log[-1]
    assert not (case / ".reserved-for-the-seal").exists()
    assert sorted(path.name for path in (case / "rescue").iterdir()) == [
        "bag-info.txt", "bagit.txt", "data", "manifest-sha256.txt", "name-map.jsonl", "tagmanifest-sha256.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_sealed_already_ends_as_it_would(image: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Nobody reads its output, so that it waits there with the case sealed."""
    case = tmp_path / "case"
    with start("run", image, "--out", case, "--json") as process:
        wait_until((case / "SHA256SUMS.sig").exists, process)
        process.send_signal(number)
        ran = ended(process)
    assert ran.code == 10
    assert len(ran.out) > 1 << 16  # more than a pipe holds
    assert not report_of(case).case.interrupted


def ignored_by(process: int) -> int:
    """Return the signals that a process ignores, as bits (proc_pid_status(5))."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))


def test_a_run_that_was_to_outlive_its_terminal_does(image: Path, undisturbed: Path, tmp_path: Path) -> None:
    """`nohup` starts a command with SIGHUP ignored."""
    case = tmp_path / "case"
    hook = Hook(folder=tmp_path, act="wait", at=30)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start("run", image, "--out", case, "--quiet", hook=hook)
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        wait_until(hook.is_reached, process)
        ignored = ignored_by(process.pid)
        os.killpg(process.pid, signal.SIGHUP)
        hook.gate.touch()
        assert ended(process).code == 10
    assert ignored & 1 << (signal.SIGHUP - 1)
    assert not report_of(case).case.interrupted
    assert seen(case) == seen(undisturbed)


def test_a_second_interrupt_ends_at_once_and_seals_all_the_same(image: Path, undisturbed: Path, tmp_path: Path) -> None:
    """The worker hangs, as on a disk that does not answer."""
    case = tmp_path / "case"
    hook = Hook(folder=tmp_path, act="wait", at=30)
    with start("run", image, "--out", case, hook=hook) as process:
        wait_until(hook.is_reached, process)
        process.send_signal(signal.SIGINT)
        said_until(process, "once more")
        process.send_signal(signal.SIGINT)
        assert ended(process).code == 130
    assert report_of(case).case.interrupted
    assert triage("verify", case).code == 0
    assert not (case / "rescue" / ".rescue-staging").exists()
    assert triage("run", "--resume", case).code == 10
    assert seen(case) == seen(undisturbed)
    assert triage("verify", case).code == 0


def test_interrupted_before_anything_is_known(image: Path, undisturbed: Path, tmp_path: Path) -> None:
    """No verdict can be that nothing was found."""
    case = tmp_path / "case"
    hook = Hook(folder=tmp_path, act="wait", place="volume")
    with start("run", image, "--out", case, hook=hook) as process:
        wait_until(hook.is_reached, process)
        process.send_signal(signal.SIGINT)
        said_until(process, "once more")
        process.send_signal(signal.SIGINT)
        assert ended(process).code == 130
    report = report_of(case)
    assert report.verdict.outcome is Outcome.INCONCLUSIVE
    assert [gap.material for gap in report.gaps] == [True]
    assert triage("verify", case).code == 0
    assert triage("run", "--resume", case).code == 10
    assert seen(case) == seen(undisturbed)


@needs_tool("nbdfuse", "nbdkit")
def test_interrupted_while_the_evidence_is_hashed(image: Path, undisturbed: Path, tmp_path: Path) -> None:
    case, gate = tmp_path / "case", tmp_path / "gate"
    with gated(image, tmp_path / "disk", gate) as evidence:
        with start("run", evidence, "--out", case, "--hash-evidence") as process:
            wait_until((case / "journal.jsonl").exists, process)
            process.send_signal(signal.SIGINT)
            gate.touch()
            assert ended(process).code == 130
        report = report_of(case)
        assert report.verdict.outcome is Outcome.INCONCLUSIVE
        assert report.evidence[0].sha256 is None
        assert triage("verify", case).code == 0
        assert triage("run", "--resume", case).code == 10
        assert seen(case) == seen(undisturbed)
        assert report_of(case).evidence[0].sha256 == hashlib.sha256(image.read_bytes()).hexdigest()


class TestResumeRefused:
    """Nothing of the case changes, and one line says why."""

    @pytest.fixture
    def case(self, stopped: Path) -> Iterator[Path]:
        before = tree(stopped)
        yield stopped
        assert tree(stopped) == before

    def test_with_options_that_would_change_the_job(self, case: Path) -> None:
        for option in (
            "--out",
            "--rescue-to",
            "--rules",
            "--ioc",
            "--known-good",
            "--examiner",
            "--notes",
            "--case-id",
        ):
            ran = triage("run", "--resume", case, option, "x")
            assert (ran.code, ran.error_line) == (2, f"{option} cannot be given with --resume")
        assert triage("run", "--resume", case, "--no-rescue").code == 2
        assert triage("run", "--resume", case, "--yara-timeout", "3").code == 2

    def test_with_other_evidence(self, case: Path, tmp_path: Path) -> None:
        ran = triage("run", "--resume", case, tmp_path / "other.img")
        assert ran.code == 2
        assert "not where the first run had it" in ran.error_line

    def test_when_the_case_has_moved(self, case: Path, tmp_path: Path) -> None:
        moved = tmp_path / "moved"
        shutil.copytree(case, moved)
        ran = triage("run", "--resume", moved)
        assert ran.code == 2
        assert f"not where the first run had it: {case}, " in ran.error_line

    def test_when_there_is_no_case(self, case: Path, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "none", case / "report.json"):
            ran = triage("run", "--resume", path)
            assert (ran.code, ran.error_line) == (
                2,
                f"{path} is no case that can be resumed; give the folder that --out named",
            )

    def test_when_the_evidence_has_gone(self, case: Path, image: Path) -> None:
        image.rename(image.with_name("away"))
        try:
            ran = triage("run", "--resume", case)
        finally:
            image.with_name("away").rename(image)
        assert (ran.code, ran.error_line) == (1, f"{image} does not exist; check the spelling")

    def test_while_another_run_has_the_case(self, case: Path) -> None:
        held = os.open(case, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            ran = triage("run", "--resume", case)
        finally:
            os.close(held)
        assert ran.code == 1
        assert "another run is working on the case" in ran.error_line

    def test_when_rescued_files_are_not_there(self, case: Path) -> None:
        """Another disk is mounted, or none."""
        bag = case / "rescue"
        bag.rename(case.with_name("unplugged"))
        bag.mkdir()
        try:
            ran = triage("run", "--resume", case)
        finally:
            shutil.rmtree(bag)
            case.with_name("unplugged").rename(bag)
        assert ran.code == 1
        assert "files rescued before are not at" in ran.error_line


def test_resume_with_changed_evidence_is_refused(image: Path, tmp_path: Path) -> None:
    evidence, case = copied(image, tmp_path), tmp_path / "case"
    stopped_by(signal.SIGINT, "run", evidence, "--out", case, hook=Hook(folder=tmp_path, act="wait", at=9))
    before = tree(case)
    with evidence.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    ran = triage("run", "--resume", case)
    assert (ran.code, tree(case) == before) == (1, True)
    assert "is not the evidence of this case any more: size or time differ" in ran.error_line


def test_a_complete_case_is_left_as_it_is(undisturbed: Path) -> None:
    before = tree(undisturbed)
    ran = triage("run", "--resume", undisturbed)
    assert (ran.code, tree(undisturbed) == before) == (2, True)
    assert "is complete: nothing is left to do" in ran.error_line
