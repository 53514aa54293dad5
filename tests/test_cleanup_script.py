"""`cleanup.ps1`, read by a parser: it says what the plan says and nothing else, whatever the evidence calls things."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tree_sitter import Node

from tests.powershell import Call, arguments_of, calls, methods, name_of, nodes, parsed, text_of, value_of
from tests.sample_report import HOSTILE, contents, sample_report
from triage.model.cleanup import ByHand, CleanupAction, CleanupPlan, CleanupSection, CleanupStep
from triage.report.cleanup_script import literal, write_script

OUR_CALLS = r"(?:Disable|Remove|Stop|Clear)-Found\w+|Remove-Pending\w+|Copy-\w+|Move-\w+|Restore-\w+|Close-\w+"
PROGRAMS = {"reg.exe", "bcdedit.exe", "netsh.exe"}
CMDLETS = {"Set-StrictMode", "Write-Host", "Get-WmiObject", "Where-Object", "New-Object", "Out-Null"}
OBJECTS = (
    "Collections.ArrayList", "IO.FileStream", "Security.Principal.WindowsPrincipal", "-ComObject Schedule.Service",
)  # fmt: skip
WRITING = {
    ("[IO.File]::AppendAllText", 3), ("[IO.File]::Copy", 2), ("[IO.File]::Move", 2),
    ("[IO.Directory]::CreateDirectory", 1), (".SetValue", 2), (".SetValue", 3), (".DeleteValue", 1),
    (".DeleteSubKeyTree", 1), (".Delete", 0), (".Terminate", 0), (".StopService", 0), (".ChangeStartMode", 1),
    (".DeleteTask", 2),
}  # fmt: skip
HARMLESS = {
    (".Add", 1), (".Close", 0), (".ComputeHash", 1), (".Connect", 0), (".ContainsKey", 1), (".GetFolder", 1),
    (".GetString", 1), (".GetSubKeyNames", 0), (".GetTask", 1), (".GetValue", 1), (".GetValue", 3), (".IsInRole", 1),
    (".Item", 1), (".LastIndexOf", 1), (".OpenSubKey", 1), (".OpenSubKey", 2),
    (".PadLeft", 2), (".Replace", 2), (".Split", 1), (".StartsWith", 1), (".Substring", 1), (".Substring", 2),
    (".ToArray", 0), (".ToLower", 0), (".ToString", 1), (".ToUpper", 0), (".Trim", 0), (".TrimEnd", 1),
    ("[BitConverter]::ToString", 1), ("[Convert]::ToInt32", 2), ("[GC]::Collect", 0),
    ("[GC]::WaitForPendingFinalizers", 0), ("[IO.File]::Exists", 1),
    ("[Math]::Max", 2), ("[IO.Path]::Combine", 2), ("[IO.Path]::GetFileName", 1), ("[IO.Path]::GetRandomFileName", 0),
    ("[IO.Path]::GetTempPath", 0), ("[Security.Cryptography.SHA256]::Create", 0),
    ("[Security.Principal.WindowsIdentity]::GetCurrent", 0), ("[Text.Encoding]::GetEncoding", 1),
}  # fmt: skip
QUOTES = "'\"`$(){};|&#\u2018\u2019\u201a\u201b\u201c\u201d\u201e\n\r\0\u2028\x1b[31m李雷\U0001f600\ud800"


def script(*sections: CleanupSection) -> str:
    out = io.StringIO()
    report = msgspec.structs.replace(sample_report(), cleanup=CleanupPlan(sections=sections))
    write_script(contents(report), out)
    return out.getvalue()


def section(*steps: CleanupStep, **other: str | None) -> CleanupSection:
    place = {"volume": "v1", "serial": "CAFE-F00D", "computer_name": "WIN7-PC", "windows_folder": "Windows"}
    return msgspec.convert({**place, **other, "steps": steps}, CleanupSection)


def step(action: CleanupAction, number: int = 1, **values: str) -> CleanupStep:
    return msgspec.convert({"number": number, "action": action, **values}, CleanupStep)


def steps_called(text: str) -> list[Call]:
    return calls(_found(text), OUR_CALLS)


def _found(text: str) -> Node:
    """Return the tree of the part that differs from case to case."""
    return parsed(text[text.index("# --- what was found ---") :])


@given(st.text(st.characters()) | st.text(QUOTES))
@example("")
@example(HOSTILE)
@example("' + (Remove-Item C:\\) + '")
def test_a_literal_is_one_line_of_ascii_that_gives_the_text_back(text: str) -> None:
    written = literal(text)
    assert written.isascii()
    assert written.isprintable()
    [call] = calls(parsed(f"Say {written}"), "Say")
    assert [argument.encode("utf-16", "surrogatepass") for argument in call.arguments] == [
        text.encode("utf-16", "surrogatepass")
    ]


@given(st.lists(st.text(st.characters(), max_size=12) | st.text(QUOTES, max_size=12), min_size=3, max_size=3))
def test_hostile_names_stay_values_of_one_call(names: Sequence[str]) -> None:
    target, key, expected = (name.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for name in names)
    text = script(section(step(CleanupAction.REMOVE_PENDING_DELETION, 7, target=target, key=key, expected=expected)))
    assert text.isascii()
    [call] = steps_called(text)
    assert call == Call("Remove-PendingDeletion", ("7", key, target, expected))
    assert len(list(nodes(_found(text), "command"))) == len(list(nodes(_found(text.replace("\\", "x")), "command")))


EACH = [
    (
        step(CleanupAction.DISABLE_SERVICE, 1, target="a", key=r"ControlSet001\Services\a", expected="a.exe"),
        Call("Disable-FoundService", ("1", r"ControlSet001\Services\a", "a.exe")),
    ),
    (
        step(CleanupAction.REMOVE_SERVICE, 2, target="a", key=r"ControlSet001\Services\a", expected="a.exe"),
        Call("Remove-FoundService", ("2", r"ControlSet001\Services\a", "a.exe")),
    ),
    (
        step(CleanupAction.KEEP_FILE, 3, target=r"w\00000000.pky", expected="ab" * 32),
        Call("Copy-KeptFile", ("3", "CAFEF00D", r"w\00000000.pky", "ab" * 32)),
    ),
    (
        step(CleanupAction.REMOVE_TASK, 11, target="\\李雷\\x", hive=r"W\System32\Tasks\x", expected="cmd.exe /c x'"),
        Call("Remove-FoundTask", ("11", "\\李雷\\x", "cmd.exe /c x'")),
    ),
    (
        step(CleanupAction.STOP_PROGRAM, 4, target="tasksche.exe", expected="cd" * 32),
        Call("Stop-FoundProgram", ("4", "tasksche.exe", "cd" * 32)),
    ),
    (
        step(
            CleanupAction.REMOVE_VALUE, 5,
            target="xjz", key="Software\\Run", hive="Users\\李雷\\NTUSER.DAT", expected="C:\\x.exe",
        ),
        Call("Remove-FoundValue", ("5", "CAFEF00D", "Users\\李雷", "Software\\Run", "xjz", "C:\\x.exe")),
    ),
    (
        step(
            CleanupAction.REMOVE_VALUE, 6,
            target="wd", key="WanaCrypt0r", hive="Windows\\System32\\config\\SOFTWARE", expected="C:\\x",
        ),
        Call("Remove-FoundValue", ("6", "CAFEF00D", "", "WanaCrypt0r", "wd", "C:\\x")),
    ),
    (
        step(
            CleanupAction.CLEAR_WALLPAPER, 7,
            target="Wallpaper", key="Control Panel\\Desktop", hive="W\\system32\\Config\\default", expected="C:\\b",
        ),
        Call("Clear-FoundWallpaper", ("7", "CAFEF00D", ".DEFAULT", "Control Panel\\Desktop", "Wallpaper", "C:\\b")),
    ),
    (
        step(CleanupAction.MOVE_FILE, 8, target=r"Windows\tasksche.exe", expected="cd" * 32),
        Call("Move-FoundFile", ("8", "CAFEF00D", r"Windows\tasksche.exe", "cd" * 32)),
    ),
    (step(CleanupAction.RESTORE_RECOVERY, 9), Call("Restore-Recovery", ("9",))),
    (step(CleanupAction.CLOSE_HOLE, 10), Call("Close-Hole", ("10",))),
]  # fmt: skip


@pytest.mark.parametrize(("one", "call"), EACH)
def test_each_step_is_one_call_with_all_that_it_checks(one: CleanupStep, call: Call) -> None:
    assert steps_called(script(section(one))) == [call]


def test_what_is_left_to_a_person_is_not_in_the_script() -> None:
    steps = [
        step(CleanupAction.MOVE_FILE, number, target=str(number), by_hand=why) for number, why in enumerate(ByHand)
    ]
    steps.append(step(CleanupAction.LOOK_AT, 9, target="x", by_hand=ByHand.UNCERTAIN))
    assert steps_called(script(section(*steps))) == []


@pytest.mark.parametrize(
    "other",
    [
        {"serial": ""},
        {"computer_name": None},
        {"windows_folder": None},
        {"computer_name": "a\nb"},
        {"windows_folder": "W\u202e"},
    ],
)
def test_a_computer_that_cannot_be_told_has_no_steps(other: dict[str, str | None]) -> None:
    text = script(section(step(CleanupAction.MOVE_FILE, target="a", expected="b"), **other))
    assert calls(_found(text), f"Enter-.*|{OUR_CALLS}") == []


def test_steps_stand_behind_the_check_of_their_computer_or_drive() -> None:
    one = step(CleanupAction.MOVE_FILE, target="a", expected="b")
    data = {"serial": "1234-ABCD", "computer_name": None, "windows_folder": None}
    text = script(section(one), section(one, **data))
    entered = calls(_found(text), "(?:Enter|Move)-.*")
    assert [call.name for call in entered] == ["Enter-Windows", "Move-FoundFile", "Enter-Volume", "Move-FoundFile"]
    assert [call.arguments for call in entered if call.name.startswith("Enter")] == [
        ("WIN7-PC", "CAFEF00D", "Windows"),
        ("1234ABCD",),
    ]
    assert "if ($Known -and (Enter-Volume '1234ABCD')) {" in text
    assert "if (Enter-Volume '1234ABCD') {" in script(section(one, **data))


def test_a_plan_that_removes_nothing_gives_a_script_that_only_says_so() -> None:
    for text in (script(), script(section(step(CleanupAction.LOOK_AT, target="x")))):
        assert [name_of(one) for one in nodes(_found(text), "command")] == ["Say", "Say", "Dismount-Hive"]
        assert "Say 'Nothing to remove was found.'" in text


def test_the_script_can_do_nothing_but_what_is_known() -> None:
    text = script(section(*(one for one, _call in EACH)))
    tree = parsed(text)
    functions = {text_of(next(nodes(one, "function_name"))) for one in nodes(tree, "function_statement")}
    called = {text_of(one) for one in nodes(tree, "command_name")}
    assert called - functions <= PROGRAMS | CMDLETS
    made = {text_of(one).split("(")[0] for one in nodes(tree, "command") if name_of(one) == "New-Object"}
    assert made == {"New-Object " + name for name in OBJECTS}
    assert methods(tree) == WRITING | HARMLESS
    assert not re.search(
        r"iex|Invoke|DownloadString|WebClient|Start-Process|Remove-Item|schtasks|vssadmin|-Recurse", text
    )


def test_each_call_gives_a_function_as_many_values_as_it_takes() -> None:
    tree = parsed(script(section(*(one for one, _call in EACH))))
    takes = {
        text_of(next(nodes(one, "function_name"))): len(list(nodes(one, "script_parameter")))
        for one in nodes(tree, "function_statement")
    }
    for call in nodes(tree, "command"):
        if name_of(call) in takes:
            assert len(arguments_of(call)) == takes[name_of(call)], text_of(call)


def test_every_writing_line_stands_behind_the_switch() -> None:
    """Each function that writes asks for -Apply in its own body, but the one that writes the log."""
    for function in nodes(parsed(script()), "function_statement"):
        name = text_of(next(nodes(function, "function_name")))
        if methods(function) & WRITING and name != "Say":
            assert "$Apply" in text_of(function), name


def test_a_task_is_deleted_last_behind_the_checks_of_what_it_starts() -> None:
    """From another Windows it is left, and that is said; Task Scheduler's own view decides, not a file."""
    functions = {
        text_of(next(nodes(one, "function_name"))): one for one in nodes(parsed(script()), "function_statement")
    }
    remove = functions["Remove-FoundTask"]
    conditions = [text_of(one).partition("{")[0].strip() for one in nodes(remove, "if_statement")]
    assert conditions == [
        "if ($Offline)",
        "if ($actions.Count -ne 1 -or $actions.Item(1).Type -ne 0)",
        "if ($now -cne $Runs)",
        "if ($Apply)",
    ]
    first, *between, last = nodes(remove, "if_statement")
    assert [name_of(one) for one in nodes(first, "command")] == ["Skip-Task"]
    assert all("throw" in text_of(one) for one in between)
    assert (".DeleteTask", 2) in methods(last)
    assert "$script:Left += 1" in text_of(functions["Skip-Task"])


def test_windows_xp_gets_the_switches_that_it_has() -> None:
    """Before Windows Vista neither the value SMB1 nor `netsh advfirewall` is there."""
    functions = {
        text_of(next(nodes(one, "function_name"))): one for one in nodes(parsed(script()), "function_statement")
    }
    [choice] = [one for one in nodes(functions["Close-Hole"], "if_statement") if "Version.Major -lt 6" in text_of(one)]
    assert [name_of(one) for one in nodes(choice, "command")] == ["Set-Switch", "Close-PortOfXP"]
    assert "'NetBT' 'SMBDeviceEnabled'" in text_of(choice)
    assert len(list(nodes(choice, "flow_control_statement"))) == 1
    called = [" ".join(text_of(one).split()) for one in nodes(functions["Close-PortOfXP"], "command")]
    assert "netsh.exe firewall set portopening protocol=TCP port=445 mode=disable name=deny445" in " ".join(called)
    assert "advfirewall" not in " ".join(called)


def test_the_same_plan_gives_the_same_bytes() -> None:
    sections = section(*(one for one, _call in EACH))
    assert script(sections) == script(sections)
    assert value_of(parsed(literal("a'b"))) == "a'b"
