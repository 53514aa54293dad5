"""The text screen of the boot menu's first entry: what this is, what was found, and the command to type."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from triage import __version__
from triage.cli.listing import volume_line
from triage.live.disks import Disk, disks_of_pc
from triage.live.obstacles import obstacles
from triage.live.problem import Problem
from triage.live.state import StickState, read_state
from triage.model.escape import escape_terminal
from triage.model.text import _
from triage.report.words import size

_MOST_COLUMNS = 100


def show_screen() -> None:
    """Look at the PC and show the screen; a disk that is failing takes its time."""
    click.echo(_("Looking at the disks of this PC ..."))
    state = read_state()
    disks = disks_of_pc(state.disk)
    columns = min(shutil.get_terminal_size().columns, _MOST_COLUMNS)
    click.echo(screen_text(state, disks, obstacles(disks), columns), nl=False)


def screen_text(state: StickState, disks: Sequence[Disk], found: Iterable[Problem], columns: int) -> str:
    """Return the screen, lines ended by newlines; nothing in it can command a terminal."""
    lines = (
        *_heading(columns),
        *_stick(state),
        "",
        *_disks(disks),
        *_problems((*state.problems, *found), columns),
        *_what_to_type(state, disks),
    )
    return "".join(escape_terminal(line) + "\n" for line in lines)


def disk_line(disk: Disk) -> str:
    """Return a disk on one line: `/dev/sda  500 GB  ATA  WDC WD5000AAKX`."""
    kind = _("removable") if disk.removable else ""
    return "  ".join(word for word in (str(disk.node), size(disk.size_bytes), disk.bus, kind, disk.model) if word)


def new_case_folder(state: StickState) -> Path:
    """Return a name for a case on the stick that is not taken."""
    return Path(state.mount_point or "") / f"case-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _heading(columns: int) -> Iterator[str]:
    yield "=" * columns
    yield _("TRIAGE {version}: examines this PC for ransomware. Nothing is written to its disks.").format(
        version=__version__
    )
    yield "=" * columns


def _stick(state: StickState) -> Iterator[str]:
    if state.mount_point is None:
        yield _("STICK: NOTHING CAN BE SAVED; see below")
    else:
        yield _("Stick: {disk}, {free} free at {folder}").format(
            disk=state.disk, free=size(state.free_bytes), folder=state.mount_point
        )


def _disks(disks: Sequence[Disk]) -> Iterator[str]:
    yield _("Disks of this PC")
    for disk in disks:
        yield f"  {disk_line(disk)}"
        yield from (f"    {volume_line(volume)}" for volume in disk.volumes)
        if not disk.examinable:
            yield "    " + _("cannot be examined: {reason}").format(reason=disk.unreadable)
    if not disks:
        yield "  " + _("none")


def _problems(problems: Sequence[Problem], columns: int) -> Iterator[str]:
    if problems:
        yield ""
        yield _("ATTENTION")
    for problem in problems:
        yield from textwrap.wrap(str(problem), columns - 4, initial_indent="  ! ", subsequent_indent="    ")


def _what_to_type(state: StickState, disks: Sequence[Disk]) -> Iterator[str]:
    nodes = [str(disk.node) for disk in disks if disk.examinable and not disk.removable]
    yield ""
    if state.mount_point is not None and nodes:
        yield _("To examine and rescue, type this and press Enter:")
        yield ""
        yield f"  triage run {' '.join(nodes)} --out {new_case_folder(state)}"
        yield ""
    yield _("To look only: triage list DISK. To end: poweroff")
