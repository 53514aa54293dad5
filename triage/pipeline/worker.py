"""The worker process: it alone opens evidence and parses hostile bytes, and it has no key.

Started by the supervisor as `python -m triage.pipeline.worker BOARD PARENT`, with the job as JSON on standard input,
the board's descriptor inherited, and the supervisor's process id. It answers by its exit code; an error for the user
goes to standard output as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

import msgspec

from triage.model.errors import EvidenceError, ExitCode, TriageError
from triage.pipeline.board import Board
from triage.pipeline.examine import examine
from triage.pipeline.isolate import isolate
from triage.pipeline.job import Job, WorkerError

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> int:
    """Do the job on standard input."""
    # Ctrl-C reaches the whole process group; the supervisor asks the worker to stop through the board.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    board, parent = Board(int(sys.argv[1])), int(sys.argv[2])
    _die_with(parent)
    job = msgspec.convert(json.loads(sys.stdin.buffer.read()), Job)
    try:
        isolate(job)
        examine(job, board)
    except TriageError as error:
        told = WorkerError(message=error.message, hint=error.hint, of_evidence=isinstance(error, EvidenceError))
        sys.stdout.write(json.dumps(msgspec.to_builtins(told)))
        return ExitCode.FATAL
    return ExitCode.OK


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the supervisor is gone: nobody would seal what it goes on to see."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(ExitCode.FATAL)


if __name__ == "__main__":
    sys.exit(main())
