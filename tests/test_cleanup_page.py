"""`cleanup.html`: says first that it is for later, names each step in order, and hostile text in it is harmless."""

from __future__ import annotations

import html
import io
from collections.abc import Iterator

import msgspec
import pytest

from tests.sample_report import HOSTILE, contents, sample_report
from tests.test_report_html import Page
from triage.model.cleanup import ByHand, CleanupAction, CleanupPlan, CleanupSection, CleanupStep
from triage.model.report import Report
from triage.model.text import set_language
from triage.model.volume import HibernationFile
from triage.report.cleanup_page import BY_HAND, REASONS, TITLES, write_page
from triage.report.view import ROWS_SHOWN

SERVICE = r"ControlSet001\Services\mssecsvc2.0"
HIVE = r"Windows\System32\config\SYSTEM"


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language("en")


def step(action: CleanupAction, number: int = 1, **values: str | None) -> CleanupStep:
    return msgspec.convert({"number": number, "action": action, "target": "t", **values}, CleanupStep)


def report_with(*steps: CleanupStep, **place: str | None) -> Report:
    section = {"volume": "v2", "serial": "9C3A-11F0", "computer_name": "PC", "windows_folder": "Windows", **place}
    plan = CleanupPlan(sections=(msgspec.convert({**section, "steps": steps}, CleanupSection),) if steps else ())
    return msgspec.structs.replace(sample_report(), cleanup=plan)


def render(report: Report) -> str:
    out = io.StringIO()
    write_page(contents(report), out)
    return out.getvalue()


def test_it_is_for_later_then_each_action_in_order_then_the_check_list() -> None:
    steps = [step(action, number, expected="e") for number, action in enumerate(CleanupAction, start=1)]
    words = Page(render(report_with(*steps, letter="D:"))).words
    order = [
        "Rescue and image first", "never on the evidence", "1 material gap", "Before anything else", "Windows of PC",
        "Volume v2, drive D:, serial number 9C3A-11F0", *(TITLES[action] for action in CleanupAction), "Afterwards",
        "schtasks", "MS17-010 is installed", "Done by",
    ]  # fmt: skip
    at = 0
    for expected in order:
        found = words.find(expected, at)
        assert found >= 0, expected
        at = found


def test_nothing_to_remove_says_so_and_asks_for_nothing() -> None:
    for report in (report_with(), report_with(step(CleanupAction.LOOK_AT, by_hand="uncertain"))):
        words = Page(render(report)).words
        assert "Nothing to remove was found" in words
        assert "Before anything else" not in words
        assert "Done by" not in words


def test_each_action_and_each_doubt_has_words() -> None:
    assert (set(TITLES), set(REASONS), set(BY_HAND)) == (set(CleanupAction), set(CleanupAction), set(ByHand))


def test_the_commands_check_before_they_disable() -> None:
    text = render(report_with(step(CleanupAction.DISABLE_SERVICE, hive=HIVE, key=SERVICE), letter="D:"))
    lines = [line.split("</code>")[0] for line in text.replace("&#34;", '"').split('<code class="line">')[1:]]
    assert lines[:4] == [
        rf'reg load HKLM\triage-offline "D:\{HIVE}"',
        rf'reg query "HKLM\triage-offline\{SERVICE}" /v ImagePath',
        rf'reg add "HKLM\triage-offline\{SERVICE}" /v Start /t REG_DWORD /d 4 /f',
        r"reg unload HKLM\triage-offline",
    ]


@pytest.mark.parametrize("key", ['a" /f & format', "a%PATH%b", "a\nb", "a^b", "服务"])
def test_a_name_that_a_command_line_would_not_take_has_no_command(key: str) -> None:
    text = render(report_with(step(CleanupAction.DISABLE_SERVICE, hive=HIVE, key=key)))
    assert "reg load" not in text


def test_hostile_names_are_shown_and_do_nothing() -> None:
    evil = HOSTILE + "\"'>&{{7*7}}"
    steps = [step(action, target=evil, hive=evil, key=evil, expected=evil) for action in CleanupAction]
    report = report_with(*steps, volume=evil, serial=evil, letter=evil, computer_name=evil)
    text = render(msgspec.structs.replace(report, case=msgspec.structs.replace(report.case, id=evil, examiner=evil)))
    text.encode("utf-8")
    page = Page(text)
    assert "<script" not in text
    assert not set(text) & set("\x1b\u202e\u2028\ud800\x00")
    assert "{{7*7}}" in page.words
    assert not [item for item in page.attributes if item[1] in ("src", "href", "style") or item[1].startswith("on")]


def test_a_long_list_is_cut_and_counted() -> None:
    steps = [step(CleanupAction.MOVE_FILE, number) for number in range(1, ROWS_SHOWN + 8)]
    assert "7 more in report.json." in Page(render(report_with(*steps))).words


@pytest.mark.parametrize("state", HibernationFile)
def test_the_hibernation_file_is_worth_keeping(state: HibernationFile) -> None:
    report = report_with(step(CleanupAction.CLOSE_HOLE))
    windows = msgspec.structs.replace(report.volumes[1].windows, hibernation_file=state)  # type: ignore[type-var]
    volume = msgspec.structs.replace(report.volumes[1], windows=windows)
    words = Page(render(msgspec.structs.replace(report, volumes=(report.volumes[0], volume)))).words
    assert "Hibernation file: " in words
    assert "keep it" in words


@pytest.mark.parametrize("place", [{"serial": ""}, {"computer_name": None}, {"windows_folder": None}])
def test_a_computer_that_no_script_can_tell_is_for_hands(place: dict[str, str | None]) -> None:
    assert "All by hand" in Page(render(report_with(step(CleanupAction.CLOSE_HOLE), **place))).words


def test_no_command_deletes_the_task_of_another_windows() -> None:
    """Whoever types it does so on the Windows that was started, which may have a task of that name."""
    ours = step(CleanupAction.REMOVE_TASK, target=r"\IT\Daily")
    theirs = step(CleanupAction.REMOVE_TASK, 2, target=r"\IT\Old", by_hand=ByHand.OTHER_WINDOWS)
    text = html.unescape(render(report_with(ours, theirs)))
    assert r'schtasks /Delete /TN "\IT\Daily" /F' in text
    assert r"\IT\Old" in text
    assert r'/TN "\IT\Old"' not in text


def test_what_sets_the_boot_data_back_stands_as_commands() -> None:
    text = render(report_with(step(CleanupAction.RESTORE_RECOVERY)))
    assert "bcdedit /set {default} recoveryenabled yes" in text
    assert "bcdedit /set {default} bootstatuspolicy displayallfailures" in text


@pytest.mark.parametrize(
    ("version", "is_xp"),
    [("5.1 Service Pack 3", True), ("5.2", True), ("6.0", False), ("10.0 1709", False), (None, False)],
)
def test_windows_xp_gets_the_switches_that_it_has(version: str | None, is_xp: bool) -> None:
    report = report_with(step(CleanupAction.CLOSE_HOLE))
    windows = msgspec.structs.replace(report.volumes[1].windows, version=version)  # type: ignore[type-var]
    volume = msgspec.structs.replace(report.volumes[1], windows=windows)
    text = render(msgspec.structs.replace(report, volumes=(report.volumes[0], volume)))
    of_xp = (
        "/v SMBDeviceEnabled /t REG_DWORD /d 0",
        "netsh firewall set portopening protocol=TCP port=445 mode=disable name=deny445",
    )
    of_others = ("/v SMB1 /t REG_DWORD /d 0", "netsh advfirewall firewall add rule")
    assert [command in text for command in (*of_xp, *of_others)] == [is_xp] * 2 + [not is_xp] * 2
