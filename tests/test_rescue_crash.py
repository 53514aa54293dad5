"""A rescue killed at any step: nothing reported is lost, nothing is there twice, the next run completes the bag."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rescue_crash import STEPS, content, path, read_journal, rescue
from tests.rescue_samples import sha256
from triage.rescue.staging import STAGING

FILES = 23


@pytest.mark.parametrize("let_through", [1, 2])
@pytest.mark.parametrize("step", STEPS)
def test_killed_rescue_is_completed_by_the_next(tmp_path: Path, step: str, let_through: int) -> None:
    bag, journal = tmp_path / "bag", tmp_path / "journal"
    for calls in (let_through, 0):  # the second one dies at once: what it takes over must survive that, too
        command = (sys.executable, "-m", "tests.rescue_crash", bag, journal, str(FILES), step, str(calls))
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        for record in read_journal(journal):
            assert sha256((bag / record.bag_path).read_bytes()) == record.sha256
    rescue(bag, journal, FILES)
    assert not (bag / STAGING).exists()
    payload = {str(file.relative_to(bag / "data/v1")): file for file in bag.glob("data/**/*") if file.is_file()}
    assert {name: file.read_bytes() for name, file in payload.items()} == {path(n): content(n) for n in range(FILES)}
    records = read_journal(journal)
    assert sorted(record.path for record in records) == sorted(payload)
