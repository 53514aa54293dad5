"""The run without a person: every fixed disk into one case on the stick, the result in plain sight, and power off.

The run itself is the command `triage run` in a process of its own, so that Ctrl-C, exit codes and the case are those of
the command.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from pathlib import Path

from triage.live.cmdline import boot_option
from triage.live.consoles import Consoles
from triage.live.disks import Disk, disks_of_pc
from triage.live.obstacles import obstacles
from triage.live.problem import Problem, StickError
from triage.live.programs import run_program
from triage.live.result import result_lines, sealed_case
from triage.live.screen import disk_line, new_case_folder
from triage.live.state import read_state
from triage.model.text import N_, _

OPTION = "triage.auto"
REPORT_ONLY = "report"
STAY_SECONDS = 60
# PID 1 mounts and unmounts: what we start ourselves may not.
_MOUNT_UNIT = "media-triage.mount"
_STICK_UNIT = "triage-stick.service"


def examine_unattended() -> bool:
    """Do the whole run; return whether somebody wants to stay, or has to look because nothing could be saved."""
    consoles = Consoles()
    stays = _examine(consoles)
    if stays:
        consoles.say(_("To leave the shell for the text screen: exit. To end: poweroff"))
    return stays


def _examine(consoles: Consoles) -> bool:
    state = read_state()
    disks = disks_of_pc(state.disk)
    chosen = [disk for disk in disks if disk.examinable and not disk.removable]
    left_out = tuple(_left_out(disks))
    for problem in (*state.problems, *obstacles(disks), *left_out):
        consoles.say(f"! {problem}")
    if state.mount_point is None or not chosen:
        consoles.say(_("Nothing was examined."), loud=True)
        return True
    case = new_case_folder(state)
    _run(case, chosen, left_out, consoles)
    sealed = sealed_case(case)
    for line in result_lines(case.name, sealed):
        consoles.say(line.text, loud=line.loud)
    return sealed is None or _end(consoles)


def _left_out(disks: Sequence[Disk]) -> Iterator[Problem]:
    for disk in disks:
        fields = {"disk": disk_line(disk), "reason": disk.unreadable}
        if not disk.examinable:
            yield Problem(message=N_("left out, cannot be examined: {disk}: {reason}"), fields=fields)
        elif disk.removable:
            yield Problem(message=N_("left out, removable: {disk}"), fields=fields)


def _run(case: Path, disks: Sequence[Disk], left_out: Sequence[Problem], consoles: Consoles) -> None:
    """Run the command to its end and pass on what it says; Ctrl-C is for it, not for us."""
    for disk in disks:
        consoles.say(_("Examining {disk}").format(disk=disk_line(disk)))
    command = [sys.executable, "-m", "triage", "run", *(str(disk.node) for disk in disks), "--out", str(case)]
    command += ["--examiner", "unattended", "--notes", "; ".join(map(str, left_out))]
    if boot_option(OPTION) == REPORT_ONLY:
        command.append("--no-rescue")
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                consoles.say(line.rstrip("\n"))
    finally:
        signal.signal(signal.SIGINT, before)


def _end(consoles: Consoles) -> bool:
    """Let go of the stick and power off; return whether somebody pressed a key to stay."""
    os.sync()
    try:
        run_program("systemctl", "stop", _MOUNT_UNIT)
        consoles.say(_("The stick is complete and may be taken out when the PC is off."))
    except StickError as error:
        consoles.say(f"! {error.problem}")
    consoles.say(_("Powering off in {seconds} s. Press a key to stay.").format(seconds=STAY_SECONDS), loud=True)
    if _key_within(STAY_SECONDS):
        run_program("systemctl", "restart", _STICK_UNIT)
        return True
    run_program("systemctl", "poweroff")
    return False


def _key_within(seconds: float) -> bool:
    """Wait for a key; what was typed before does not count. Without a terminal nobody can press one."""
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return False
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSAFLUSH)
        ready, _out, _odd = select.select([descriptor], [], [], seconds)
        return bool(ready)
    except KeyboardInterrupt:  # Ctrl-C is a key, too
        return True
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
