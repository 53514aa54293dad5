"""Rescues files in a process of its own that dies by SIGKILL at a given point; run by the tests of the
rescue.

Arguments: bag, journal, number of files, the step to die at, how often it is let through before. The journal
gets one line for each report, as a case's journal does.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from unittest.mock import patch

import msgspec

from tests.rescue_samples import save
from triage.model.rescue import RescuedFile
from triage.rescue import committer
from triage.rescue.committer import BatchLimits, Committer
from triage.rescue.filesystem import FileSystem
from triage.rescue.vault import Vault

_P = ParamSpec("_P")
_R = TypeVar("_R")


def content(number: int) -> bytes:
    """Return what file `number` holds."""
    return f"content of {number}\n".encode() * (number + 1)


def path(number: int) -> str:
    """Return where file `number` lies on the volume."""
    return f"Users/Li/Documents/{number % 4}/报告 {number}.txt"


def read_journal(journal: Path) -> list[RescuedFile]:
    """Return the reports that got into the journal."""
    if not journal.exists():
        return []
    return [msgspec.json.decode(line, type=RescuedFile) for line in journal.read_bytes().splitlines()]


def rescue(bag: Path, journal: Path, files: int) -> None:
    """Rescue the files, going on with what is there."""
    with journal.open("ab", buffering=0) as lines:
        vault = Vault(
            bag,
            on_record=lambda record: _write(lines.fileno(), record),
            resume=True,
            done=read_journal(journal),
            limits=BatchLimits(files=5, seconds=3600),
        )
        for number in range(files):
            save(vault, path(number), content(number))
        vault.close()


def _write(descriptor: int, record: RescuedFile) -> None:
    os.write(descriptor, msgspec.json.encode(record) + b"\n")


def _dying(call: Callable[_P, _R], let_through: int) -> Callable[_P, _R]:
    remaining = let_through

    def counted(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        nonlocal remaining
        if remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        remaining -= 1
        return call(*args, **kwargs)

    return counted


def _arm(step: str, let_through: int) -> None:
    owner, name = STEPS[step]
    patch.object(owner, name, _dying(getattr(owner, name), let_through)).start()


#: What is called at each step, and where it is looked up.
STEPS: Final[dict[str, tuple[object, str]]] = {
    "append": (Committer, "_append"),
    "sync": (FileSystem, "sync"),
    "read back": (committer, "digests_from_device"),
    "rename": (committer, "rename_without_replacing"),
    "report": (sys.modules[__name__], "_write"),
}

if __name__ == "__main__":
    _arm(sys.argv[4], int(sys.argv[5]))
    rescue(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
