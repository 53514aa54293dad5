"""A session in a live system that has been started: its menu, its screen and keyboard, and a shell on a serial line."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from msgspec import Struct

from tests.boot.machine import FIRMWARE_FILES, QEMU, Machine
from tests.boot.stick import TOOLS
from tests.loops import run
from tests.needs import needs_root, needs_tool

SWITCH = "TRIAGE_TEST_BOOT"
PICTURES = "TRIAGE_TEST_PICTURES"
# Software emulation on a busy machine: an order of magnitude above what was measured.
MENU_SECONDS, SHELL_SECONDS, RESULT_SECONDS, OFF_SECONDS = 180, 600, 600, 300
DRAWING_SECONDS = 2
_PROMPT = "root@triage"
_UNIT, _SAID = "without-limits.service", "/tmp/said"

_INSIDE = Path(__file__).with_name("inside")


def needs_boot() -> list[pytest.MarkDecorator]:
    """Skip, by name, where booting was not asked for or what it needs is not there."""
    missing = [str(file) for file in FIRMWARE_FILES if not file.exists()]
    return [
        pytest.mark.skipif(os.environ.get(SWITCH) != "1", reason=f"needs {SWITCH}=1"),
        pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}"),
        needs_root(),
        needs_tool(QEMU, "identify", *TOOLS),
    ]


class Node(Struct, frozen=True):
    """A disk in the running system, and its first partition."""

    disk: str
    part: str


class Picture(Struct, frozen=True):
    """What the screen showed: its size in pixels and how many colours; a black one has one."""

    width: int
    height: int
    colours: int


class Session:
    """The session; `console` has the text screen as well, `shell` only a shell with the same limits."""

    def __init__(self, running: Machine, folder: Path, name: str) -> None:
        self._running = running
        self._name = name
        # Where screenshots go: the folder that TRIAGE_TEST_PICTURES names, to be looked at.
        self._pictures = Path(os.environ.get(PICTURES, folder))
        self._pictures.mkdir(parents=True, exist_ok=True)
        self.console = running.serial
        self.shell = running.second

    def start(self, entry: int) -> None:
        """Choose the menu's entry, counted from 0, and wait for the shell below the text screen."""
        self.console.expect("executed automatically", MENU_SECONDS)
        time.sleep(DRAWING_SECONDS)
        self.picture("menu")
        self._running.qmp.press(*["down"] * entry, "ret")
        self.console.expect("To end: poweroff", SHELL_SECONDS)
        # What runs speaks on the console as well: a shell with all limits of this one goes to the second port.
        self.console.send("stty -F /dev/ttyS1 -echo; setsid bash </dev/ttyS1 >/dev/ttyS1 2>&1 &\n")
        self.shell.expect(_PROMPT, SHELL_SECONDS)

    def upload(self, name: str) -> str:
        """Copy a program of `inside` into the running system; return the command that starts it."""
        self.shell.upload(_INSIDE / name, f"/tmp/{name}")
        return f"python3 /tmp/{name}"

    def run_without_limits(self, command: str) -> tuple[int, str]:
        """Have the first process run a command, as root can; return its exit code and what it printed."""
        unit = ("[Service]", "Type=oneshot", f"ExecStart=/usr/bin/env {command}", f"StandardOutput=truncate:{_SAID}")
        lines = " ".join(f"'{line}'" for line in (*unit, "StandardError=inherit"))
        self.shell.run(f"printf '%s\\n' {lines} >/run/systemd/system/{_UNIT}; systemctl daemon-reload")
        return self.shell.run(f"systemctl start {_UNIT}; code=$?; cat {_SAID}; (exit $code)")

    def find(self, serial: str) -> Node:
        """Wait for the first partition of the disk with this serial number."""
        found = f"ls -d /dev/disk/by-id/*{serial}*-part1 | head -n 1"
        wait = f'for i in $(seq 60); do [ -n "$({found})" ] && break; sleep 1; done >/dev/null 2>&1'
        part = self.shell.run(f"{wait}; readlink -f $({found})")[1].strip()
        return Node(part.removesuffix("1").removesuffix("p"), part)

    def read_only(self) -> dict[str, str]:
        """Return the read-only flag of each block device by its node."""
        lines = self.shell.run("cd /sys/class/block; grep . */ro; cd")[1].splitlines()
        return {f"/dev/{line.partition('/')[0]}": line.rpartition(":")[2] for line in lines}

    def wait_for_screen(self) -> None:
        """Wait until the text screen, and below it its shell, is on the screen."""
        process = "$(systemctl show --property MainPID --value triage-screen@tty1)"
        shown = f"readlink /proc/{process}/exe | grep -q bash"
        code, said = self.shell.run(f"for i in $(seq 120); do {shown} && break; sleep 1; done; {shown}", SHELL_SECONDS)
        assert code == 0, said

    def type_on_screen(self, text: str) -> None:
        """Type on the PC's own keyboard."""
        self._running.qmp.type(text)

    def picture(self, name: str) -> Picture:
        """Save what is on the screen and look at it."""
        path = self._running.qmp.screenshot(self._pictures / f"{self._name}-{name}.png")
        width, height, colours = run("identify", "-format", "%w %h %k", path).split()
        return Picture(int(width), int(height), int(colours))

    def wait_until_off(self) -> None:
        """Wait until the PC has switched itself off."""
        self._running.wait_until_off(OFF_SECONDS)
