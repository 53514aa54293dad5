"""The program that a service's `ImagePath`, a `Run` value or a scheduled task starts, told apart from its arguments.

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
    r"""A program as it is written there, with `\`. `by_cmd`: it is started through `cmd.exe /c`."""

    path: str
    by_cmd: bool = False

    @property
    def name(self) -> str:
        """Its file name in lower case."""
        return self.path.rpartition("\\")[2].lower()

    @property
    def folder(self) -> str:
        """The name of the folder that it lies in, `""` where none is named."""
        return self.path.rpartition("\\")[0].rpartition("\\")[2]


def started_program(image_path: str) -> StartedProgram:
    """Return the program that a command line starts."""
    path, arguments = _split(image_path)
    program = StartedProgram(path)
    command = _COMMAND.match(arguments) if program.name in _SHELLS else None
    if command is None:
        return program
    path, _arguments = _split(arguments[command.end() :])
    return StartedProgram(path, by_cmd=True)


def _split(command_line: str) -> tuple[str, str]:
    """Return a command line's program, and what follows it."""
    match = _PROGRAM.match(command_line)
    if match is None:
        return "", command_line
    path = match["quoted"] or match["plain"] or match["word"] or ""
    return path.strip().replace("/", "\\"), command_line[match.end() :]
