"""What the live system's units run: `python3 -m triage.live stick`, `screen`, `auto`.

Each imports what it needs when it is asked for: the PC is not ready before they are.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from triage.model.errors import TriageError
from triage.model.escape import escape_terminal
from triage.model.text import set_language

_SHELL = "/bin/bash"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--lang", metavar="LOCALE", help="Language of what is shown, for example en or zh_CN.")
def live(lang: str | None) -> None:
    """Do what the live system's units ask for; people use the command `triage`."""
    # The kernel's own console has 512 glyphs, none of them Chinese; a serial terminal shows what its user's PC can.
    language = "en" if os.environ.get("TERM") == "linux" else lang
    if language is not None:
        os.environ["LANGUAGE"] = language
    set_language(language)


@live.command()
def stick() -> None:
    """Find the stick, grow and mount its data partition, lock every other disk."""
    from triage.live.stick import prepare_stick

    state = prepare_stick()
    for problem in state.problems:
        click.echo(escape_terminal(f"triage: {problem}"), err=True)


@live.command()
@click.option("--shell", default=_SHELL, show_default=True, metavar="FILE", help="What runs below the screen.")
def screen(shell: str) -> None:
    """Show this PC and the command to type, then give a shell."""
    from triage.live.screen import show_screen

    click.clear()
    show_screen()
    _become(shell)


@live.command()
def auto() -> None:
    """Examine every fixed disk, rescue, seal, tell the result, and power off; stay where somebody wants to."""
    from triage.live.unattended import examine_unattended

    if examine_unattended():
        _become(_SHELL)


def _become(shell: str) -> NoReturn:
    sys.stdout.flush()
    os.execv(shell, (f"-{Path(shell).name}",))  # noqa: S606  # the leading dash makes it a login shell


def main() -> None:
    """Run a command; what cannot be done is one clear line."""
    try:
        live(prog_name="python3 -m triage.live")
    except TriageError as error:
        click.echo(escape_terminal(f"triage: {error}"), err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
