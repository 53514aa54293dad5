"""The fuzz: a thousand damaged disks; a case is the same bytes each time; what it is there to notice, it notices."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import run
from tests.fuzz.mutations import mutate
from tests.fuzz.run import Ended, Runner
from tests.fuzz.templates import Template, build
from tests.needs import needs_device, needs_root, needs_tool
from triage.pipeline import ledger, survey
from triage.volumes import mft_records
from triage.walk import reconcile
from triage.walk.reader import StreamReader

pytestmark = [
    needs_root(),
    needs_tool("mkntfs", "ntfs-3g", "hivexregedit", "wimlib-imagex", "sfdisk", "umount"),
    needs_device("/dev/fuse"),
]
_FIND_WITHIN = 240


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def templates(state: Path) -> list[Template]:
    return build(state / "templates")


@pytest.fixture(scope="module")
def runner(templates: list[Template], state: Path) -> Iterator[Runner]:
    """One that was warm before the test plants its fault: what is forked later has it."""
    with Runner(templates, state) as warm:
        yield warm


def _fuzz(cases: int, state: Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "tests.fuzz", "--cases", str(cases), "--state", state)
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_thousand_damaged_disks(state: Path, templates: list[Template]) -> None:
    ran = _fuzz(1000, state)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("1000 cases, 0 failed")


def test_a_case_is_the_same_bytes_wherever_it_is_tried(templates: list[Template], tmp_path: Path) -> None:
    again = build(tmp_path / "templates")
    assert [one.disk for one in again] == [one.disk for one in templates]
    sound = {one.name: one.disk for one in templates}
    mutants = [mutate(templates, case) for case in range(60)]
    assert mutants == [mutate(again, case) for case in range(60)]
    assert sum(mutant.disk != sound[mutant.template] for mutant in mutants) > 50  # zeros may replace zeros
    assert len({mutant.disk for mutant in mutants}) > 50


def test_a_disk_that_is_not_damaged_keeps_all_its_checks(templates: list[Template]) -> None:
    for template in templates:
        data = bytearray(template.anatomy.data)
        for seal in template.anatomy.seals:
            seal.renew(data)
        assert data == template.disk


def test_it_goes_on_where_it_ended(state: Path, templates: list[Template], tmp_path: Path) -> None:
    (tmp_path / "templates").symlink_to(state / "templates")
    results = tmp_path / "results.jsonl"
    assert _fuzz(8, tmp_path).returncode == 0
    first = results.read_bytes().splitlines()
    results.write_bytes(b"\n".join(first[:5]) + b'\n{"case":')
    assert _fuzz(12, tmp_path).stdout.startswith("12 cases")
    lines = results.read_bytes().splitlines()
    assert lines[:5] == first[:5]
    assert len(lines) == 12


def _segfault(*_: object) -> None:
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def _spin(*_: object) -> None:
    while True:
        pass


def _sleep(*_: object) -> None:
    time.sleep(3600)


def _allocate(*_: object) -> None:
    kept: list[bytes] = []
    while True:
        kept.append(bytes(1 << 26))


def _fail(*_: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (_segfault, "ended by SIGSEGV"),
        (_spin, "more than 1 CPU seconds"),
        (_sleep, "no end in 2 seconds"),
        (_allocate, "MemoryError"),
        (_fail, "internal: fault of the program: ZeroDivisionError"),
    ],
)
def test_what_breaks_a_run_costs_its_case_and_is_found(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, plant: Callable[[object], None], found: str
) -> None:
    monkeypatch.setattr(survey, "read_mft", plant)
    monkeypatch.setattr(run, "CPU_SECONDS", 1)
    monkeypatch.setattr(run, "WALL_SECONDS", 2 if plant is _sleep else 300)
    ended = list(runner.run([0], jobs=1))
    assert [one.case for one in ended] == [0]
    assert found in ended[0].problems[0]


def _first_problem(runner: Runner) -> Ended:
    return next(one for one in runner.run(range(_FIND_WITHIN), jobs=2) if one.problems)


def test_a_bounds_check_that_is_taken_out_is_found(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that keeps an attribute's name, content and run list within it."""
    read = mft_records._read_headers

    def unchecked(*columns: np.ndarray) -> tuple[mft_records.Attributes, mft_records.Mask]:
        found, broken = read(*columns)
        return found, np.zeros_like(broken)

    monkeypatch.setattr(mft_records, "_read_headers", unchecked)
    assert "internal: fault of the program" in _first_problem(runner).problems[0]


def test_a_disagreement_that_nobody_tells_is_found(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_bitmap_gaps", lambda *_: ())
    monkeypatch.setattr(reconcile, "_unreadable_gaps", lambda *_: ())
    monkeypatch.setattr(reconcile, "_unsound_gaps", lambda *_: ())
    monkeypatch.setattr(ledger, "_gaps", lambda *_: ())
    assert "and no gap says so" in _first_problem(runner).problems[0]


def test_a_stream_that_is_left_out_silently_is_found(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamReader, "gaps", lambda *_: [])
    assert "and no gap says so" in _first_problem(runner).problems[0]
