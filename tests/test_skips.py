"""The skip policy: with everything switched on no test is skipped unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.skips import ALLOWED_SKIPS, VARIABLE

REPOSITORY = Path(__file__).resolve().parent.parent
CONFTEST = """
from pathlib import Path
from tests.skips import enforce

def pytest_configure(config):
    enforce(config, Path(__file__).with_name("allowed.txt"))
"""
TESTS = """
import pytest

def test_passes(): pass

@pytest.mark.skipif(True, reason="needs a moon")
def test_marked(): pass

@pytest.mark.parametrize("number", [1, 2])
def test_within(number):
    if number == 2:
        pytest.skip("needs a sun")

@pytest.fixture
def star():
    pytest.skip("needs a star")

def test_of_a_fixture(star): pass

@pytest.mark.xfail(reason="known")
def test_expected_to_fail(): raise ValueError
"""
MODULE = 'import pytest\npytest.importorskip("no_such_package")\ndef test_in_module(): pass\n'
SKIPPED = {
    "test_some.py::test_marked": "needs a moon",
    "test_some.py::test_within[2]": "needs a sun",
    "test_some.py::test_of_a_fixture": "needs a star",
    "test_module.py": "no_such_package",
}


def run_tests(folder: Path, *, everything: bool, allowed: list[str]) -> subprocess.CompletedProcess[str]:
    for name, text in {
        "conftest.py": CONFTEST,
        "test_some.py": TESTS,
        "test_module.py": MODULE,
        "allowed.txt": "".join(f"# a reason\n{line}\n\n" for line in allowed),
        "pytest.ini": "[pytest]\n",
    }.items():
        (folder / name).write_text(text)
    environment = dict(os.environ, PYTHONPATH=str(REPOSITORY), **{VARIABLE: "1" if everything else "0"})
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, folder)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_skip_that_is_not_allowed_fails_the_run_and_is_named(tmp_path: Path) -> None:
    ended = run_tests(tmp_path, everything=True, allowed=["test_some.py::test_marked"])
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    named = ended.stdout.partition("skipped although")[2]
    for name, reason in SKIPPED.items():
        assert (f"\n{name}: " in named and reason in named) == (name != "test_some.py::test_marked")
    assert "test_expected_to_fail" not in named


def test_allowed_skips_pass(tmp_path: Path) -> None:
    assert run_tests(tmp_path, everything=True, allowed=list(SKIPPED)).returncode == pytest.ExitCode.OK


def test_elsewhere_a_test_may_be_skipped(tmp_path: Path) -> None:
    assert run_tests(tmp_path, everything=False, allowed=[]).returncode == pytest.ExitCode.OK


def test_this_suite_has_the_policy(pytestconfig: pytest.Config) -> None:
    on = any(type(plugin).__name__ == "SkipPolicy" for plugin in pytestconfig.pluginmanager.get_plugins())
    assert on == (os.environ.get(VARIABLE) == "1")


def test_each_allowed_skip_has_a_reason_and_a_test() -> None:
    lines = [line for line in ALLOWED_SKIPS.read_text().splitlines() if line]
    for above, line in pairwise(lines):
        if not line.startswith("#"):
            assert above.startswith("# "), line
            assert (REPOSITORY / line.partition("::")[0]).is_file(), line
