"""The worker's process. It can be started before its job is known: it loads its libraries while others are loaded here.

So nothing is imported here that takes time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import msgspec

from triage.pipeline.board import Board
from triage.pipeline.job import Job, WorkerError

_LAST_WORDS_BYTES = 4096
UTF8_MODE = ("-X", "utf8")
"""Has Python take names on disks for UTF-8 in any locale (PEP 540)."""

# numpy's linear algebra starts threads as soon as it is loaded; we use none of it, and a thread that runs before the
# worker is confined would stay free.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@contextmanager
def early_worker() -> Iterator[WorkerProcess | None]:
    """Start a worker that waits for its job; None where it cannot be started now: whoever needs it is told then."""
    try:
        worker = WorkerProcess(Board.create())
    except OSError:
        yield None
        return
    with worker:
        yield worker


class WorkerProcess:
    """One worker, which waits for its job; left as a context it is ended, if it is still there."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._errors = os.memfd_create("triage-worker-errors")
        command = [sys.executable, *UTF8_MODE, "-m", "triage.pipeline.worker", str(board.descriptor), str(os.getpid())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            pass_fds=(board.descriptor,),
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self._errors >= 0:
            os.close(self._errors)
            self._errors = -1

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, negative where a signal ended it; None while it runs."""
        return self._process.poll()

    def send(self, job: Job) -> None:
        """Hand the job over; a worker that is dead already shows in its exit code."""
        if self._process.stdin is None:
            return
        try:
            # Paths are bytes to the kernel: in Python's form they may hold what only ASCII with escapes can carry.
            self._process.stdin.write(json.dumps(msgspec.to_builtins(job)).encode("ascii"))
            self._process.stdin.close()
        except BrokenPipeError:
            return

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def told(self) -> WorkerError | None:
        """Return the error for the user that it told at its end; None where there was none."""
        answer = b"" if self._process.stdout is None else self._process.stdout.read()
        return msgspec.json.decode(answer, type=WorkerError) if answer else None

    def last_words(self) -> str:
        """Return the last line that it wrote on standard error: of a fault, the one that names it."""
        size = os.fstat(self._errors).st_size
        tail = os.pread(self._errors, _LAST_WORDS_BYTES, max(size - _LAST_WORDS_BYTES, 0))
        lines = tail.decode("utf-8", "replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")
