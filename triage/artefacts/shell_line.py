r"""How `cmd.exe` reads what it is given to run: its commands, told apart from conditions and from targets.

Source: "cmd", "Redirecting command input and output" and `cmd /?` of Microsoft; the order of the phases as observed and
described in "How does the Windows Command Interpreter (CMD.EXE) parse scripts?" (Stack Overflow, 4094699). A line of
one process is read, not a batch file: nothing is run, so variables that the line itself sets have no value here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

DELIMITERS = " \t\r\v\f,;="
_BUILT_IN = """
assoc break call cd chdir cls color copy date del dir dpath echo endlocal erase exit for ftype goto if keys md mkdir
mklink move path pause popd prompt pushd rd rem ren rename rmdir set setlocal shift start time title type ver verify vol
"""
BUILT_IN = frozenset(_BUILT_IN.split())
"""Commands of the shell itself: no program of these names is looked for."""

_BETWEEN = frozenset(DELIMITERS + "\n&|@()")
_ENDS = frozenset("&|\n")
_TARGET = frozenset("<>")
_OPTION = re.compile(rf"[{re.escape(DELIMITERS)}]*/(?P<letter>[a-z?])", re.IGNORECASE)
_OPTION_VALUE = re.compile(rf'[^/"{re.escape(DELIMITERS)}]*')
_KEYWORD = re.compile(r"(?P<word>if|for|else|do|rem)(?![\w.:\\-])", re.IGNORECASE)
_TESTS = frozenset({"exist", "defined", "errorlevel", "cmdextversion"})
_COMPARISONS = frozenset({"equ", "neq", "lss", "leq", "gtr", "geq"})
_KEEPS_NO_QUOTES = frozenset("&<>()@^|")


def line_of_options(arguments: str) -> tuple[str, bool] | None:
    """Return what stands behind `/c`, `/k` or `/r`, and whether `/s` stands before; None where nothing is to be run.

    The letter needs no space on either side: `/s/c`, `/cC:\\x.exe`.
    """
    at, strips = 0, False
    while (option := _OPTION.match(arguments, at)) is not None:
        letter = option["letter"].lower()
        if letter in "ckr":
            return arguments[option.end() :].lstrip(), strips
        strips |= letter == "s"
        value = _OPTION_VALUE.match(arguments, option.end())
        at = option.end() if value is None else value.end()
    return None


def keeps_quotes(line: str) -> str | None:
    """Return what stands between the only two quotes of a line that begins with one, if it can be a program's name.

    If it is one, the shell leaves the quotes (`cmd /?`).
    """
    inner = line[1 : line.rfind('"')]
    if line.count('"') != 2 or " " not in inner or not _KEEPS_NO_QUOTES.isdisjoint(inner):
        return None
    return inner


def without_outer_quotes(line: str) -> str:
    """Return a line without its first and its last quote, if it begins with one; what follows the last stays."""
    if not line.startswith('"'):
        return line
    last = line.rfind('"')
    return line[1:] if last == 0 else line[1:last] + line[last + 1 :]


def shell_commands(line: str) -> Iterator[str]:
    """Yield each command of a line with its arguments: what stands for a condition or a redirection is left out.

    Both branches of `if` are yielded. Time grows with the length alone; any text gives something.
    """
    return _Reader(line).commands()


class _Reader:
    """Reads a line once, from its start to its end; `_depth` counts the parentheses that are open."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0
        self._depth = 0

    def commands(self) -> Iterator[str]:
        while self._skip_to_command():
            keyword = _KEYWORD.match(self._line, self._at)
            word = "" if keyword is None else keyword["word"].lower()
            if word in ("", "rem"):
                command = self._command()
                if word == "rem":
                    self._at = len(self._line)
                if command.strip(DELIMITERS):
                    yield command
                continue
            self._at += len(word)
            if word == "if":
                self._condition()
            elif word == "for":
                yield from self._for()

    def _skip_to_command(self) -> bool:
        """Go to where the next command begins; False at the end."""
        line = self._line
        while self._at < len(line) and line[self._at] in _BETWEEN:
            if line[self._at] == "(":
                self._depth += 1
            elif line[self._at] == ")":
                self._depth = max(0, self._depth - 1)
            self._at += 1
        return self._at < len(line)

    def _condition(self) -> None:
        word = self._word().lower()
        while word in ("/i", "not"):
            word = self._word().lower()
        if word in _TESTS or self._word().lower() in _COMPARISONS:
            self._word()

    def _for(self) -> Iterator[str]:
        """Go behind the set of a `for`. Where `/f` reads what a command writes, another shell runs that command."""
        opening = self._line.find("(", self._at)
        if opening < 0:
            self._at = len(self._line)
            return
        options = self._line[self._at : opening].lower()
        self._at, in_quotes = opening + 1, False
        while self._at < len(self._line) and (in_quotes or self._line[self._at] != ")"):
            in_quotes ^= self._line[self._at] == '"'
            self._at += 1
        members = self._line[opening + 1 : self._at].strip()
        self._at += 1
        if "/f" in options and members[:1] in ("'", "`"):
            yield f"cmd /c {members[1:-1].replace('^', '')}"

    def _word(self) -> str:
        """Return the next word as it stands, its quotes kept."""
        line = self._line
        while self._at < len(line) and line[self._at] in DELIMITERS:
            self._at += 1
        start, in_quotes = self._at, False
        while self._at < len(line) and (in_quotes or not self._ends_word(line[self._at])):
            in_quotes ^= line[self._at] == '"'
            self._at += 1
        return line[start : self._at]

    def _ends_word(self, char: str) -> bool:
        return char in DELIMITERS or char in _TARGET or self._ends_command(char)

    def _ends_command(self, char: str) -> bool:
        return char in _ENDS or (char == ")" and self._depth > 0)

    def _command(self) -> str:
        """Return one command up to what ends it, without the carets that took special characters' meaning."""
        line, text, in_quotes = self._line, list[str](), False
        while self._at < len(line):
            char = line[self._at]
            if not in_quotes and self._ends_command(char):
                break
            if not in_quotes and char in _TARGET:
                self._redirection(text)
                continue
            if not in_quotes and char == "^":
                self._at += 1
                char = line[self._at : self._at + 1]
            elif char == '"':
                in_quotes = not in_quotes
            text.append(char)
            self._at += 1
        return "".join(text)

    def _redirection(self, text: list[str]) -> None:
        """Go behind a redirection, and take the number of its handle from the text: `2>nul`, `>>log.txt`, `2>&1`."""
        if text[-1:] and text[-1].isdigit() and (len(text) == 1 or text[-2] in DELIMITERS):
            text.pop()
        while self._line[self._at : self._at + 1] in ("<", ">", "&"):
            self._at += 1
        self._word()
        text.append(" ")
