"""`triage hive`: lone hives of one Windows together, as text and as JSON; what does not fit is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import here
from tests.lab.exposed import ExposedWindows, update
from tests.lab.hives import HIVE_TOOL, WORM_SERVICE, LabService, system_hive, user_hive
from tests.needs import needs_tool
from triage.indicators.work_directory import work_directory_name
from triage.model.errors import ExitCode

COMPUTED = work_directory_name("WIN7-PC")
RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"

pytestmark = needs_tool(HIVE_TOOL)


@pytest.fixture
def hives(tmp_path: Path) -> list[Path]:
    """Return a user's hive, SOFTWARE and SYSTEM of one Windows, in that order."""
    user, software, system = (tmp_path / name for name in ("NTUSER.DAT", "SOFTWARE", "SYSTEM"))
    user_hive(user, {RUN: {COMPUTED: "x.exe"}})
    ExposedWindows().software(software, update("KB4012212"))
    system_hive(system, computer_name="WIN7-PC", services=(WORM_SERVICE,))
    return [user, software, system]


def test_hives_of_one_windows_are_joined(hives: list[Path]) -> None:
    told = here("hive", "--json", *hives)
    document = json.loads(told.out)
    assert (told.code, document["schema"]) == (ExitCode.INDICATORS_FOUND, "triage-hive/1")
    assert [one["content"] for one in document["hives"]] == ["system", "software", "user"]
    found = {finding["indicator"] for one in document["hives"] for finding in one["findings"]}
    assert found == {"worm-service", "computed-name-run-value"}
    assert (document["exposure"]["verdict"], document["exposure"]["decided_by"]) == ("protected", ["ms17-010-updates"])
    assert {row["check"] for row in document["exposure"]["rows"]} >= {"smb1-server", "ms17-010-updates", "dcom"}


def test_a_user_s_hive_alone_knows_neither_name_nor_exposure(hives: list[Path]) -> None:
    document = json.loads(here("hive", "--json", hives[0]).out)
    assert (document["hives"][0]["findings"], document["exposure"]) == ([], None)


def test_text_names_each_file_and_ends_with_the_exposure(hives: list[Path]) -> None:
    told = here("hive", *hives).out.splitlines()
    assert [line for line in told if line.startswith("file: ")] == [f"file: {path}" for path in reversed(hives)]
    [answer] = [line for line in told if line.startswith("MS17-010 (")]
    assert "PROTECTED. MS17-010 is closed" in answer
    row = "  [protected] MS17-010: installed updates: KB4012212 installed 2017-05-12"
    assert row in told
    assert "file: " not in here("hive", hives[2]).out


def test_service_of_the_last_known_good_control_set_is_told_as_such(tmp_path: Path) -> None:
    old = LabService(name="mssecsvc2.0", image_path="x", control_sets=(2,))
    system_hive(tmp_path / "SYSTEM", computer_name="WIN7-PC", services=(old,))
    told = here("hive", tmp_path / "SYSTEM")
    assert told.code is ExitCode.INDICATORS_FOUND
    assert r"HIGH worm-service [last-known-good]: ControlSet002\Services\mssecsvc2.0  x" in told.out
    assert "it runs only where Windows is started with its last known good configuration" in told.out


def test_what_does_not_fit_together_is_one_line(hives: list[Path], tmp_path: Path) -> None:
    system = hives[2]
    twice = here("hive", system, system)
    assert (twice.code, twice.error_line) == (
        ExitCode.USAGE,
        f"{system} and {system} are both SYSTEM hives; give the hives of one Windows at a time",
    )
    log = here("hive", *hives, "--log", system)
    assert (log.code, "--log goes with one hive only" in log.error_line) == (ExitCode.USAGE, True)
    (tmp_path / "notes").write_bytes(b"text" * 4096)
    for bad in ("notes", "none"):
        told = here("hive", *hives, tmp_path / bad)
        assert (told.code, told.out, bad in told.error_line) == (ExitCode.FATAL, "", True)
    assert here("hive").code is ExitCode.USAGE
