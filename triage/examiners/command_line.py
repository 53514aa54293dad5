"""What a started program was told to do, as one would type it: an action is told from a text that speaks of it.

Whoever searches logs for the malware's command lines writes them, too, within the command line of another program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triage.examiners.programs import name_of

_FIRST_WORD = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))(?P<rest>.*)', re.DOTALL)
_SHELL = "cmd"
_SHELL_RUNS = re.compile(r"(?:/[a-z](?::[a-z]+)? )*?/[ck] ?(?P<line>.*)", re.IGNORECASE)
_PART = re.compile(r'(?:"[^"]*"?|\^.|[^"^&|])+')
_PROGRAM_ENDING = ".exe"


def line_run(program: str, command: str) -> str:
    """Return the line that a program runs: its bare name and what follows; of `cmd.exe` that behind `/c`.

    Spaces are single ones. Empty where the command line is that of another program than was started, or of a
    `cmd.exe` that runs no line.
    """
    first = _FIRST_WORD.fullmatch(command)
    name = name_of(program).removesuffix(_PROGRAM_ENDING)
    if first is None or name_of(first["quoted"] or first["plain"] or "").removesuffix(_PROGRAM_ENDING) != name:
        return ""
    rest = " ".join(first["rest"].split())
    if name != _SHELL:
        return f"{name} {rest}"
    runs = _SHELL_RUNS.fullmatch(rest)
    if runs is None:
        return ""
    line = runs["line"]
    return line[1:-1].strip() if len(line) > 1 and line[0] == line[-1] == '"' else line


def commands_of(line: str) -> Iterator[str]:
    """Yield the commands of a line of `cmd.exe`, parted by `&` and `|`; within quotes both are text."""
    return (part[0].strip() for part in _PART.finditer(line))
