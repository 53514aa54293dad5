"""The program that a service's `ImagePath` or a `Run` value starts, told apart from its arguments.

Without quotation marks a path may hold spaces: it ends where an extension of programs does, or where a switch or
another path begins. `cmd.exe /c` is looked through.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PROGRAM = re.compile(
    r"""\s*(?:"+(?P<quoted>[^"]*)"*|(?P<plain>(?:(?!\s(?:/|-|[a-z]:))[^"])*?\.(?:exe|com|sys|bat|cmd|scr|dll))(?=[\s"]|$)|(?P<word>\S*))""",
    re.IGNORECASE | re.DOTALL,
)
_COMMAND = re.compile(r"(?:\s+/[^\s/]+)*?\s+/[ck](?=[\s\"])", re.IGNORECASE)
_SHELLS = ("cmd.exe", "cmd")


class StartedProgram(NamedTuple):
    """A program by its lower-case file name and the folder that it lies in, `""` where none is named.

    `by_cmd`: it is started through `cmd.exe /c`.
    """

    name: str
    folder: str
    by_cmd: bool = False


def started_program(image_path: str) -> StartedProgram:
    """Return the program that a command line starts."""
    path, arguments = _split(image_path)
    program = _of_path(path)
    command = _COMMAND.match(arguments) if program.name in _SHELLS else None
    if command is None:
        return program
    path, _arguments = _split(arguments[command.end() :])
    return _of_path(path)._replace(by_cmd=True)


def _split(command_line: str) -> tuple[str, str]:
    """Return a command line's program, as it is written there, and what follows it."""
    match = _PROGRAM.match(command_line)
    if match is None:
        return "", command_line
    path = match["quoted"] or match["plain"] or match["word"] or ""
    return path, command_line[match.end() :]


def _of_path(path: str) -> StartedProgram:
    parent, _slash, name = path.strip().replace("/", "\\").rpartition("\\")
    return StartedProgram(name.lower(), parent.rpartition("\\")[2])
