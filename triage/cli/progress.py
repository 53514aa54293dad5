"""Progress for people, on standard error: a bar on a terminal, plain lines elsewhere, nothing with `--quiet`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from tqdm import tqdm

from triage.model.escape import escape_terminal
from triage.model.report import FirstVerdict
from triage.model.text import _
from triage.pipeline.board import Board, Phase
from triage.pipeline.supervise import Observer
from triage.report.text import first_verdict

_LINE_SECONDS = 10.0
_SHOWN_CHARACTERS = 40
_USUAL_COLUMNS, _USUAL_ROWS = 80, 25


def _phase_words(phase: Phase) -> str:
    words = {
        Phase.STARTING: _("starting"),
        Phase.ENUMERATING: _("reading the file table"),
        Phase.HIVES: _("reading the registry"),
        Phase.READING: _("reading files"),
        Phase.COMMITTING: _("securing rescued files"),
        Phase.ENDED: _("writing the report"),
    }
    return words[phase]


def observer(*, quiet: bool) -> Observer:
    """Return the observer that fits standard error."""
    if quiet:
        return Quiet()
    return Bar() if sys.stderr is not None and sys.stderr.isatty() else Lines()


class Quiet(Observer):
    """No progress; only what the user should know at once."""

    def warn(self, text: str) -> None:
        """Say it on a line of its own."""
        _say(text)


class Bar(Quiet):
    """A bar with bytes, rate, time left and what is being done."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None

    def look(self, board: Board) -> None:
        """Show where the worker is."""
        with suppress(OSError):
            bar = self._open(board.bytes_total) if self._bar is None else self._bar
            bar.total = board.bytes_total or None
            bar.n = board.bytes_done
            bar.ncols = _columns()
            bar.set_description_str(_phase_words(board.phase), refresh=False)
            bar.set_postfix_str(_shown(board.text), refresh=False)
            bar.refresh()

    def hashing(self, total_bytes: int) -> Callable[[int], None]:
        """Show the evidence being hashed."""
        self.close()
        bar = self._open(total_bytes)
        bar.set_description_str(_("hashing the evidence"))

        def progress(count: int) -> None:
            with suppress(OSError):
                bar.update(count)

        return progress

    def first_verdict(self, first: FirstVerdict) -> None:
        """Say it above the bar."""
        self.warn(first_verdict(first))

    def warn(self, text: str) -> None:
        """Say it above the bar."""
        with suppress(OSError):
            tqdm.write(_line(text), file=sys.stderr, end="")

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            with suppress(OSError):
                self._bar.close()
            self._bar = None

    def _open(self, total_bytes: int) -> tqdm[NoReturn]:
        # Both sizes are given: where a terminal does not know its own, tqdm would show nothing.
        self._bar = tqdm(
            total=total_bytes or None,
            unit="B",
            unit_scale=True,
            ncols=_columns(),
            nrows=_USUAL_ROWS,
            file=sys.stderr,
        )
        return self._bar


class Lines(Quiet):
    """A line every few seconds, for logs and serial consoles."""

    def __init__(self) -> None:
        self._phase: Phase | None = None
        self._due = 0.0
        self._started = 0.0

    def look(self, board: Board) -> None:
        """Say where the worker is, when it entered a phase or some time has passed."""
        now, phase = time.monotonic(), board.phase
        if phase is not self._phase:
            self._started = now
        elif now < self._due:
            return
        self._phase, self._due = phase, now + _LINE_SECONDS
        amounts = f": {_reading(board, now - self._started)}" if phase is Phase.READING else ""
        _say(_phase_words(phase) + amounts)

    def first_verdict(self, first: FirstVerdict) -> None:
        """Say it on a line of its own."""
        _say(first_verdict(first))

    def hashing(self, total_bytes: int) -> Callable[[int], None]:
        """Say every few seconds how much of the evidence is hashed."""
        done, due = 0, 0.0
        label = _("hashing the evidence")

        def progress(count: int) -> None:
            nonlocal done, due
            done += count
            if time.monotonic() >= due:
                due = time.monotonic() + _LINE_SECONDS
                amounts = f"{tqdm.format_sizeof(done, 'B')}/{tqdm.format_sizeof(total_bytes, 'B')}"
                _say(f"{label}: {amounts}")

        return progress


def _columns() -> int:
    """Return the terminal's width; a serial console does not know its own."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS
    except OSError:
        return _USUAL_COLUMNS


def _say(text: str) -> None:
    """Write a line on standard error; a terminal that has gone is no reason to end the job."""
    with suppress(OSError):
        sys.stderr.write(_line(text))
        sys.stderr.flush()


def _line(text: str) -> str:
    return f"triage: {escape_terminal(text)}\n"


def _reading(board: Board, seconds: float) -> str:
    done, total = board.bytes_done, board.bytes_total
    rate = done / seconds if seconds > 0 else 0.0
    left = tqdm.format_interval((total - done) / rate) if rate > 0 else "?"
    amounts = f"{tqdm.format_sizeof(done, 'B')}/{tqdm.format_sizeof(total, 'B')}"
    time_left = _("{time} left").format(time=left)
    text = f"{amounts}, {tqdm.format_sizeof(rate, 'B/s')}, {time_left}"
    return f"{text}, {_shown(board.text)}" if board.text else text


def _shown(text: str) -> str:
    safe = escape_terminal(text)
    return safe if len(safe) <= _SHOWN_CHARACTERS else "…" + safe[-_SHOWN_CHARACTERS:]
