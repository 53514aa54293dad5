"""Where the unattended run speaks: on its own screen and on the kernel's other consoles, such as the serial line."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from triage.model.escape import escape_terminal

_ACTIVE = Path("/sys/class/tty/console/active")
_DEV = Path("/dev")
_SCREENS = "tty0"  # stands for the virtual terminal in front, which is ours


class Consoles:
    """Says the same line everywhere; a console that does not take it (no such port, nobody there) is passed over."""

    def __init__(self) -> None:
        self._others = [descriptor for name in _other_consoles() if (descriptor := _open(_DEV / name)) is not None]

    def say(self, line: str = "", *, loud: bool = False) -> None:
        """Write a line; `loud` ones stand out on a screen, nothing in a line can command a terminal."""
        safe = escape_terminal(line)
        click.echo(click.style(safe, reverse=True, bold=True) if loud else safe)
        sys.stdout.flush()
        for descriptor in self._others:
            with suppress(OSError):
                os.write(descriptor, f"{safe}\r\n".encode(errors="backslashreplace"))


def _other_consoles() -> list[str]:
    try:
        own = os.ttyname(sys.stdout.fileno()).removeprefix("/dev/")
    except OSError:
        own = ""
    try:
        return [name for name in _ACTIVE.read_text().split() if name not in (_SCREENS, own)]
    except OSError:
        return []


def _open(node: Path) -> int | None:
    """Open a console without waiting for somebody at its other end, and without becoming its session."""
    try:
        descriptor = os.open(node, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    os.set_blocking(descriptor, True)
    return descriptor
