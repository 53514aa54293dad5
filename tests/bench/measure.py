"""Runs commands and measures them: wall seconds, and the peak of memory of all their processes together."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_SAMPLE_SECONDS = 0.05


def drop_caches() -> None:
    """Have the kernel forget all file contents, so that the next reader meets the disk; needs root."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def run(command: Sequence[str | Path], *, expected: int = 0) -> float:
    """Run a command with its output thrown away; return its wall seconds. Another exit code is an error."""
    started = time.perf_counter()
    with _started(command, expected):
        pass
    return time.perf_counter() - started


def peak_memory(command: Sequence[str | Path]) -> int:
    """Run a command and return the peak of its memory in bytes.

    Apart from `run`, because looking costs: the kernel stops a process to add up its pages.
    """
    with _started(command) as process:
        sampler = _Sampler(process.pid)
        sampler.start()
        process.wait()
        sampler.stop()
    return sampler.peak_bytes


@contextmanager
def _started(command: Sequence[str | Path], expected: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process:
            yield process
        if process.returncode != expected:
            errors.seek(0)
            told = errors.read().decode(errors="replace")[-500:]
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {told}")


def alternate(runs: int, first: Callable[[], float], second: Callable[[], float]) -> list[tuple[float, float]]:
    """Run two things in turn; return their seconds pair by pair."""
    return [(first(), second()) for _ in range(runs)]


def ratios(pairs: Sequence[tuple[float, float]], digits: int = 2) -> str:
    """Return the ratio first to second of all pairs as `median (minimum to maximum)`."""
    values = sorted(first / second for first, second in pairs)
    return f"{statistics.median(values):.{digits}f} ({values[0]:.{digits}f} to {values[-1]:.{digits}f})"


class _Sampler(threading.Thread):
    """Adds up the proportional set sizes of a process and all its descendants, twenty times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(_pss_bytes, _tree(self._pid))))

    def stop(self) -> None:
        """Stop sampling."""
        self._ended.set()
        self.join()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
