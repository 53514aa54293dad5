"""What was found out about the stick, for the screen and the unattended run: a small file that ends with the power."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from triage.live.problem import Problem
from triage.model.text import N_

RUN_FOLDER = Path("/run/triage")
"""Where the state lies; udev's rule reads `stick-diskseq` there."""
_DISKSEQ = "stick-diskseq"
_STATE = "stick.json"
_NOT_PREPARED = Problem(
    message=N_("the stick was not prepared: the system did not get that far"),
    hint=N_("to try once more, type: systemctl restart triage-stick; exit"),
)


class StickState(Struct, frozen=True, kw_only=True):
    """The stick as it was prepared. `mount_point` is None where nothing can be saved on it."""

    disk: str | None = None
    partition: str | None = None
    mount_point: str | None = None
    free_bytes: int = 0
    problems: tuple[Problem, ...] = ()


def write_diskseq(diskseq: str) -> None:
    """Tell udev's rule which disk is the stick: the one disk that it leaves writable."""
    RUN_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    (RUN_FOLDER / _DISKSEQ).write_text(f"{diskseq}\n")


def forget_diskseq() -> None:
    """Have udev's rule lock every disk: no stick is known."""
    (RUN_FOLDER / _DISKSEQ).unlink(missing_ok=True)


def write_state(state: StickState) -> None:
    """Leave the state for the other commands, whole or not at all."""
    RUN_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = RUN_FOLDER / f".{_STATE}"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    fresh.replace(RUN_FOLDER / _STATE)


def read_state() -> StickState:
    """Return the state; a stick that was not prepared in this session is one with that problem."""
    try:
        return msgspec.json.decode((RUN_FOLDER / _STATE).read_bytes(), type=StickState)
    except FileNotFoundError:
        return StickState(problems=(_NOT_PREPARED,))
