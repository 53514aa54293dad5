r"""Which programs a command line runs: the one grammar by which services, `Run` values, tasks and events are read.

`CreateProcessW` (Microsoft) takes what stands in quotes; without them it tries each part that ends at a space, `.exe`
added where there is no extension. A reader of evidence cannot try: a path with spaces goes on as long as a `\` follows,
and ends where an extension of programs does, or where a switch or another path begins. What `cmd.exe` is told to run is
read as `cmd.exe` reads it (`shell_line.py`). Other programs that run programs are not looked through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from triage.artefacts.program_path import name_of, volume_path
from triage.artefacts.shell_line import (
    BUILT_IN,
    DELIMITERS,
    keeps_quotes,
    line_of_options,
    shell_commands,
    without_outer_quotes,
)

_SHELL = "cmd.exe"
_MOST_SHELLS = 8
"""So many shells within each other are read, and so many `call` and `start` before a program."""

_SEPARATED = re.compile(r"[\\/:]")
_SPACE = re.compile(r"\s")
_ABSOLUTE = re.compile(r"[a-z]:|[\\/%:]", re.IGNORECASE)
_OTHER_BEGINS = re.compile(r'\s(?=[/"%\\]|-\S|[a-z]:)|"', re.IGNORECASE)
_PROGRAM_ENDS = re.compile(r"\.(?:exe|com|sys|bat|cmd|scr|dll)(?=\s|$)", re.IGNORECASE)
_ENDS_LIKE_PROGRAM = re.compile(r".*\.(?:exe|com|bat|cmd)", re.IGNORECASE | re.DOTALL)
_FIRST_WORD = re.compile(r'\S*?(?=[\s"]|$)')
_D = re.escape(DELIMITERS)
_SHELL_WORD = re.compile(rf'[{_D}]*(?P<word>(?:"[^"]*"?|[^"{_D}])*)')
_BEFORE_SWITCH = re.compile(rf'[{_D}]*(?P<word>(?:[^"/{_D}]*\\)?[a-z%]+(?:\.exe)?)(?=/)', re.IGNORECASE)
_BUILT_IN_WORD = re.compile(r"[a-z]+(?=$|[./\\:+(\[])", re.IGNORECASE)
_TITLE = re.compile(r'\s*"[^"]*"?')
_START_OPTION = re.compile(
    rf'[{_D}]*/(?:(?:d|node|affinity)(?=[\s"])[{_D}]*(?:"[^"]*"?|[^"{_D}])+|[^\s"]*)', re.IGNORECASE
)


class StartedProgram(NamedTuple):
    r"""A program as it is written, without quotes; `arguments` stand behind it.

    `by_cmd`: a shell starts it. `is_builtin`: it is a command of the shell itself, `path` is its name.
    """

    path: str
    arguments: str = ""
    by_cmd: bool = False
    is_builtin: bool = False

    @property
    def name(self) -> str:
        """Its file name in lower case."""
        return name_of(self.path)

    @property
    def is_bare(self) -> bool:
        """Nothing says where it lies: Windows looks for it."""
        return _SEPARATED.search(self.path) is None

    @property
    def folder(self) -> str:
        """The name of the folder that it lies in, `""` where none is named."""
        return volume_path(self.path).rpartition("/")[0].rpartition("/")[2]


def programs_run(line: str, working_directory: str = "") -> tuple[StartedProgram, ...]:
    r"""Return what a command line runs, in its order; `folder\x.exe` and `.\x.exe` lie in the working directory.

    A name without a folder stays as it is: Windows looks for it in several places.
    """
    return tuple(_located(one, working_directory) for one in _programs(*split_program(line)))


def split_program(line: str) -> tuple[str, str]:
    """Return the program that `CreateProcessW` finds at a line's start, and what follows it."""
    line = line.lstrip()
    if line.startswith('"'):
        path, _quote, rest = line.lstrip('"').partition('"')
        return _with_ending(path.strip()), rest
    path = _unquoted_path(line)
    return _with_ending(path), line[len(path) :]


def shell_line(arguments: str) -> str | None:
    """Return the line that `cmd.exe` with these arguments runs, without the outer quotes (`cmd /?`); None if none."""
    told = line_of_options(arguments)
    if told is None:
        return None
    line, strips = told
    program = None if strips else keeps_quotes(line)
    if program is not None and _SEPARATED.search(program) and _unquoted_path(program) == program:
        return line
    return without_outer_quotes(line)


def _programs(path: str, arguments: str, shells: int = 0) -> Iterator[StartedProgram]:
    """Yield a program, or what it runs where it is a shell."""
    line = shell_line(arguments) if name_of(path) == _SHELL and shells < _MOST_SHELLS else None
    if line is None:
        if path:
            yield StartedProgram(path, arguments, by_cmd=shells > 0)
        return
    for command in shell_commands(line):
        yield from _of_command(command, shells + 1)


def _of_command(command: str, shells: int) -> Iterator[StartedProgram]:
    """Yield what one command of a shell runs; `call` and `start` run what follows them."""
    word, rest = _split_command(command)
    for _ in range(_MOST_SHELLS):
        following = rest if word == "call" else _behind_start(rest) if word == "start" else ""
        if following.strip(DELIMITERS) == "":
            break
        word, rest = _split_command(following)
    if word in BUILT_IN or word.startswith(":"):
        yield StartedProgram(word, rest, by_cmd=True, is_builtin=True)
    elif word:
        yield from _programs(_with_ending(word), rest, shells)


def _split_command(command: str) -> tuple[str, str]:
    """Return a command's first word, a built-in command's in lower case, and what follows it.

    Of a built-in command and of the shell the switches need no space.
    """
    glued = _BEFORE_SWITCH.match(command)
    if glued is not None and (glued["word"].lower() in BUILT_IN or name_of(_with_ending(glued["word"])) == _SHELL):
        return glued["word"].lower(), command[glued.end() :]
    match = _SHELL_WORD.match(command)
    if match is None:
        return "", command
    word, rest = match["word"].replace('"', ""), command[match.end() :]
    builtin = _BUILT_IN_WORD.match(word)
    if builtin is None or builtin[0].lower() not in BUILT_IN or _ENDS_LIKE_PROGRAM.fullmatch(word):
        return word, rest
    return builtin[0].lower(), word[builtin.end() :] + rest


def _behind_start(arguments: str) -> str:
    """Return what `start` starts: behind its options and the first quotes, which hold a title ("start", Microsoft)."""
    at, has_title = 0, False
    while True:
        part = _START_OPTION.match(arguments, at)
        if part is None and not has_title:
            part, has_title = _TITLE.match(arguments, at), True
        if part is None:
            return arguments[at:]
        at = part.end()


def _unquoted_path(line: str) -> str:
    first = _FIRST_WORD.match(line)
    word = "" if first is None else first[0]
    if _SEPARATED.search(word) is None:
        return word
    other = _OTHER_BEGINS.search(line)
    path = line if other is None else line[: other.start()]
    ending = _PROGRAM_ENDS.search(path)
    if ending is not None:
        return path[: ending.end()]
    name = _SEPARATED.split(path)[-1]
    return path[: len(path) - len(name)] + _SPACE.split(name, maxsplit=1)[0]


def _with_ending(path: str) -> str:
    """Return a path with the extension that Windows adds where there is none; a variable may stand for a whole path."""
    name = _SEPARATED.split(path)[-1]
    return path if name == "" or "." in name or name.endswith("%") else f"{path}.exe"


def _located(program: StartedProgram, folder: str) -> StartedProgram:
    path, folder = program.path, folder.strip().strip('"').rstrip("\\/")
    if folder == "" or _ABSOLUTE.match(path) or program.is_bare:
        return program
    return program._replace(path=rf"{folder}\{path}")
