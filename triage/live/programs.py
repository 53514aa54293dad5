"""The few system programs that prepare and let go of the stick, run so that a failure is one clear line."""

from __future__ import annotations

import subprocess
from pathlib import Path

from triage.live.problem import StickError
from triage.model.text import N_


def run_program(*command: str | Path, stdin: str = "") -> None:
    """Run a program to its end; `StickError` with its last line where it fails or is not there."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise StickError(N_("cannot run {program}: {reason}"), program=name, reason=error.strerror) from error
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        reason = lines[0].strip() if lines else str(done.returncode)
        raise StickError(N_("{program} failed: {reason}"), program=name, reason=reason)
