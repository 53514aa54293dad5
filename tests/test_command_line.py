"""What a command line runs: by `CreateProcess`, and by `cmd.exe` within it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triage.artefacts.command_line import programs_run, shell_line
from triage.artefacts.program_path import volume_paths

LONGEST = 65_536
"""Characters; twice as many as Windows takes."""

PIECES = (
    *'()"^&|<>@%\\/,;=: \t\n',
    "cmd /c ",
    "cmd.exe/k",
    "%ComSpec%",
    "start ",
    "start /d ",
    "call ",
    "if ",
    "if exist x ",
    "for (",
    "for /f ('cmd /c ",
    "else ",
    "do ",
    "rem ",
    "del",
    "C:\\a b",
    "..\\",
    ".exe",
    "x",
)


def run(line: str) -> list[str]:
    """Return what a line runs; a built-in command with `!`."""
    return [f"!{one.path}" if one.is_builtin else one.path for one in programs_run(line)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r'"C:\Program Files\x.exe" -a', r"C:\Program Files\x.exe"),
        (r"C:\Program Files\Foo - Bar\x.exe -a", r"C:\Program Files\Foo - Bar\x.exe"),
        (r"C:\Program Files\Foo\x /service", r"C:\Program Files\Foo\x.exe"),
        (r"C:\Program Files\Foo\x argument", r"C:\Program Files\Foo\x.exe"),
        (r"C:\tools\x C:\Windows\y.exe", r"C:\tools\x.exe"),
        (r"findstr tasksche.exe C:\log.txt", "findstr.exe"),
        (r"C:\a\x.exe.bak", r"C:\a\x.exe.bak"),
        (r"%Tool%", "%Tool%"),
        ("cmd.exe /q", "cmd.exe"),
    ],
)
def test_one_program_ends_where_windows_ends_it(line: str, expected: str) -> None:
    assert run(line) == [expected]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a", ["a.exe"]),
        ("a & b && c || d | e", ["a.exe", "b.exe", "c.exe", "d.exe", "e.exe"]),
        ('a "x & y" ^& z', ["a.exe"]),
        ("(a & (b)) & c", ["a.exe", "b.exe", "c.exe"]),
        ("a>x 2>&1 b", ["a.exe"]),
        (">x a", ["a.exe"]),
        ("2>nul a&b", ["a.exe", "b.exe"]),
        ("m^ssecsvc", ["mssecsvc.exe"]),
        ('"C:\\a b\\x.exe" /i', [r"C:\a b\x.exe"]),
        ('"C:\\a b\\x.exe"', [r"C:\a b\x.exe"]),
        ('"C:\\a\\x.exe" "y"', [r"C:\a\x.exe y"]),
        ('""C:\\a b\\x.exe" /i"', [r"C:\a b\x.exe"]),
        ('"a & b"', ["a.exe", "b.exe"]),
        ("C:\\a b\\x.exe", [r"C:\a.exe"]),
        ("if exist a\\b.exe del x", ["!del"]),
        ('if not "%a%"=="b" (c & d) else e', ["c.exe", "d.exe", "e.exe"]),
        ("if /i a equ b c", ["c.exe"]),
        ("if errorlevel 1 c", ["c.exe"]),
        ("for %i in (a b) do @c %i", ["c.exe"]),
        ("""for /f "tokens=1" %i in ('a ^| b "x)"') do (c & d)""", ["a.exe", "b.exe", "c.exe", "d.exe"]),
        ("call a & call :label", ["a.exe", "!:label"]),
        ('start "a title" /d "C:\\x y" /b C:\\z.exe', [r"C:\z.exe"]),
        ('start /wait "" x', ["x.exe"]),
        ("start/b x", ["x.exe"]),
        ('start "C:\\x.exe"', ["!start"]),
        ("rem x & y", ["!rem"]),
        ("echo.x&cd\\&DEL/q z", ["!echo", "!cd", "!del"]),
        ("del.exe", ["del.exe"]),
        ("cmd/c a & b", ["a.exe", "b.exe"]),
        ("%ComSpec% /c cmd /c a ^& b", ["a.exe", "b.exe"]),
        ("", []),
    ],
)
@pytest.mark.parametrize("shell", ["cmd /c ", r"C:\Windows\System32\CMD.EXE /q /v:on /K", "%ComSpec% /r "])
def test_commands_of_a_shell_are_told_from_text(shell: str, line: str, expected: list[str]) -> None:
    assert run(shell + line) == expected
    assert all(one.by_cmd for one in programs_run(shell + line))


def test_s_takes_the_quotes_always() -> None:
    assert shell_line(r' /c "C:\a b\x.exe"') == r'"C:\a b\x.exe"'
    assert shell_line(r' /s/c "C:\a b\x.exe"') == r"C:\a b\x.exe"


def test_a_relative_path_lies_in_the_working_directory_and_a_bare_name_anywhere() -> None:
    programs = programs_run(r"cmd /c .\a & b & \c & %d%\e & sub\f", '"C:\\x\\"')
    paths = [volume_paths(one.path)[0] for one in programs]
    assert paths == ["x/a.exe", "b.exe", "c.exe", "%d%/e.exe", "x/sub/f.exe"]
    assert [one.is_bare for one in programs] == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("path", "places"),
    [
        (r"C:\Windows\\x\.\..\y.exe", ("Windows/y.exe",)),
        (r"\Windows\x.exe. ", ("Windows/x.exe",)),
        (r"\\localhost\c$\x", ("x",)),
        (r"%ComSpec%", ("Windows/System32/cmd.exe",)),
        (r"%homedrive%\x", ("x",)),
        (r"%AllUsersProfile%\x", ("ProgramData/x", "Documents and Settings/All Users/x")),
        (r"%LocalAppData%\Temp\x", ("Users/%USERNAME%/AppData/Local/Temp/x",)),
        (r"%ProgramFiles(x86)%\x", ("Program Files (x86)/x",)),
        (r"%OWN%\..\x", ("x",)),
        (r"%windir%x", ("%windir%x",)),
    ],
)
def test_a_path_is_the_same_however_it_is_written(path: str, places: tuple[str, ...]) -> None:
    assert volume_paths(path) == places


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@example("cmd /c " * 20)
def test_any_line_is_read(line: str) -> None:
    for one in programs_run(line, "C:\\w"):
        assert one.path
        assert len(one.path) <= len(line) + len("C:\\w\\.exe")


@pytest.mark.parametrize("start", ["", "cmd /c ", 'cmd /c "', "C:\\"])
@pytest.mark.parametrize("piece", PIECES)
def test_a_long_hostile_line_is_read(piece: str, start: str) -> None:
    """Anything worse than linear shows as a test that does not end."""
    programs_run((start + piece * LONGEST)[:LONGEST])
