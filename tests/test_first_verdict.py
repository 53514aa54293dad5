"""The first verdict: told before the long read, from metadata, hives and names alone, and never more than "so far"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cases import run_case
from tests.command import Hook, ended, on_terminal, report_of, start, triage, wait_until
from tests.conftest import LabDisk
from tests.test_interrupt import said_until
from triage.demo import unpack_demo
from triage.model.finding import FindingKind
from triage.model.profile import Profile
from triage.model.report import FirstVerdict
from triage.model.verdict import Outcome, Stage
from triage.pipeline.supervise import Observer

_OF_CONTENT = {FindingKind.DIGEST, FindingKind.YARA, FindingKind.ENCRYPTED_FILE}
_FOUND = "so far, from names and registry alone: INDICATORS FOUND: WANNACRY. Stage: 4 of 5, encrypting."


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_demo(tmp_path_factory.mktemp("demo"))


class _Listener(Observer):
    def __init__(self) -> None:
        self.told: list[FirstVerdict] = []

    def first_verdict(self, first: FirstVerdict) -> None:
        self.told.append(first)


@pytest.mark.parametrize("profile", Profile)
def test_it_knows_names_and_hives_and_nothing_of_the_content(
    lab_disk: LabDisk, tmp_path: Path, profile: Profile
) -> None:
    """However quickly the content is read: what the journal held at that moment is judged."""
    disk, listener = lab_disk(Stage.ENCRYPTING), _Listener()
    sets = [disk.indicators]
    case = run_case([disk.image], tmp_path / "case", sets=sets, rescue=False, profile=profile, observer=listener)
    (first,) = listener.told
    assert (first.verdict.outcome, first.verdict.stage) == (Outcome.INDICATORS_FOUND, Stage.ENCRYPTING)
    kinds = {one.kind for one in first.findings}
    assert kinds & _OF_CONTENT == set()
    assert kinds >= {FindingKind.NAME, FindingKind.SERVICE, FindingKind.KEY_FILE, FindingKind.WORK_DIRECTORY}
    assert {one.kind for one in case.report.findings} >= kinds | {FindingKind.DIGEST, FindingKind.ENCRYPTED_FILE}
    assert first.unread_streams == case.report.coverage.streams


def test_without_findings_it_is_inconclusive_and_the_end_refines_it(lab_disk: LabDisk, tmp_path: Path) -> None:
    listener = _Listener()
    case = run_case([lab_disk(Stage.NONE).image], tmp_path / "case", rescue=False, observer=listener)
    (first,) = listener.told
    assert first.verdict.outcome is Outcome.INCONCLUSIVE
    assert case.report.verdict.outcome is Outcome.NO_KNOWN_INDICATORS


def test_it_is_told_before_the_long_read(image: Path, tmp_path: Path) -> None:
    hook = Hook(folder=tmp_path, act="wait", at=1)
    with start("run", image, "--out", tmp_path / "case", "--no-rescue", hook=hook) as process:
        wait_until(hook.is_reached, process)  # at the first stream
        said = said_until(process, "so far")
        assert re.search(
            rf"^triage: {re.escape(_FOUND)} The content of [0-9]+ streams is not read yet\.$", said, re.MULTILINE
        )
        assert not hook.gate.exists()
        hook.gate.touch()
        assert ended(process).code == 10
    log = (tmp_path / "case" / "case.log").read_text()
    assert " first verdict, before the long read: indicators-found\n" in log


def test_it_is_told_once_although_a_worker_dies(image: Path, tmp_path: Path) -> None:
    hook = Hook(folder=tmp_path, act="die", at=5)
    ran = triage("run", image, "--out", tmp_path / "case", "--no-rescue", hook=hook)
    assert ran.code == 10
    assert ran.err.count("so far") == 1


def test_quiet_and_json_stay_as_they_are(image: Path, tmp_path: Path) -> None:
    quiet = triage("run", image, "--out", tmp_path / "quiet", "--no-rescue", "--quiet")
    assert (quiet.code, quiet.err) == (10, "")
    as_json = triage("run", image, "--out", tmp_path / "json", "--no-rescue", "--json")
    assert (as_json.code, as_json.err) == (10, "")
    assert as_json.out == (tmp_path / "json" / "report.json").read_text()


def test_on_a_terminal_it_stands_above_the_bar(image: Path, tmp_path: Path) -> None:
    shown = on_terminal("run", image, "--out", tmp_path / "case", "--no-rescue")
    assert _FOUND in shown.out
    assert shown.out.index(_FOUND) < shown.out.index("Why")
    assert report_of(tmp_path / "case").verdict.outcome is Outcome.INDICATORS_FOUND
