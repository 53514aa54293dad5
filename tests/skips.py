"""The skip policy: where everything is switched on, a test that is skipped all the same makes the run fail.

On with `TRIAGE_TEST_ALL=1`. `allowed-skips.txt` names the tests that may be skipped even then, one node id a line.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "TRIAGE_TEST_ALL"
ALLOWED_SKIPS = Path(__file__).with_name("allowed-skips.txt")


def enforce(config: pytest.Config, allowed_skips: Path = ALLOWED_SKIPS) -> None:
    """Switch the policy on where the environment asks for it; called by `pytest_configure`."""
    if os.environ.get(VARIABLE) == "1":
        lines = (line.strip() for line in allowed_skips.read_text(encoding="utf-8").splitlines())
        config.pluginmanager.register(SkipPolicy(frozenset(line for line in lines if line and line[0] != "#")))


class SkipPolicy:
    """Notes each test, and each module of tests, that is skipped and not allowed to be."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._refused: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at how a test ended; one that is expected to fail is no skipped one."""
        if not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Look at how the collection of a module ended."""
        self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Make the run a failed one."""
        if self._refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was skipped."""
        if self._refused:
            terminalreporter.section(f"skipped although {VARIABLE}=1, and not in {ALLOWED_SKIPS.name}")
        for name, reason in sorted(self._refused.items()):
            terminalreporter.line(f"{name}: {reason}")

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and report.nodeid not in self._allowed:
            self._refused[report.nodeid] = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
