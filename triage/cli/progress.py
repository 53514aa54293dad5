"""Progress for people, on standard error: a bar on a terminal, plain lines elsewhere, nothing with `--quiet`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NoReturn

from tqdm import tqdm

from triage.model.escape import escape_terminal
from triage.model.text import _
from triage.pipeline.board import Board, Phase
from triage.pipeline.supervise import Observer

_LINE_SECONDS = 10.0
_SHOWN_CHARACTERS = 40


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
        return Observer()
    return Bar() if sys.stderr.isatty() else Lines()


class Bar(Observer):
    """A bar with bytes, rate, time left and what is being done."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None

    def look(self, board: Board) -> None:
        """Show where the worker is."""
        bar = self._open(board.bytes_total, _phase_words(board.phase))
        bar.total = board.bytes_total or None
        bar.n = board.bytes_done
        bar.set_description_str(_phase_words(board.phase), refresh=False)
        bar.set_postfix_str(_shown(board.text), refresh=False)
        bar.refresh()

    def hashing(self, total_bytes: int) -> Callable[[int], None]:
        """Show the evidence being hashed."""
        self.close()
        if total_bytes == 0:
            return super().hashing(total_bytes)
        bar = self._open(total_bytes, _("hashing the evidence"))

        def progress(count: int) -> None:
            bar.update(count)
            if bar.n >= total_bytes:
                self.close()

        return progress

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open(self, total_bytes: int, words: str) -> tqdm[NoReturn]:
        if self._bar is None:
            self._bar = tqdm(
                total=total_bytes or None,
                desc=words,
                unit="B",
                unit_scale=True,
                dynamic_ncols=True,
                file=sys.stderr,
            )
        return self._bar


class Lines(Observer):
    """A line every few seconds, for logs and serial consoles."""

    def __init__(self) -> None:
        self._phase: Phase | None = None
        self._due = 0.0
        self._started = 0.0

    def look(self, board: Board) -> None:
        """Say where the worker is, when it entered a phase or some time has passed."""
        now, phase = time.monotonic(), board.phase
        if phase is not self._phase:
            self._started = now if phase is Phase.READING else self._started
        elif now < self._due:
            return
        self._phase, self._due = phase, now + _LINE_SECONDS
        line = _phase_words(phase)
        if phase is Phase.READING:
            line += f": {_reading(board, now - self._started)}"
        sys.stderr.write(f"triage: {line}\n")
        sys.stderr.flush()

    def hashing(self, total_bytes: int) -> Callable[[int], None]:
        """Say that the evidence is being hashed."""
        if total_bytes > 0:
            sys.stderr.write(f"triage: {_('hashing the evidence')}\n")
        return lambda _count: None


def _reading(board: Board, seconds: float) -> str:
    done, total = board.bytes_done, board.bytes_total
    rate = done / seconds if seconds > 0 else 0.0
    left = tqdm.format_interval((total - done) / rate) if rate > 0 else "?"
    amounts = f"{tqdm.format_sizeof(done, 'B')}/{tqdm.format_sizeof(total, 'B')}"
    text = f"{amounts}, {tqdm.format_sizeof(rate, 'B/s')}, {_('{time} left').format(time=left)}"
    return f"{text}, {_shown(board.text)}" if board.text else text


def _shown(text: str) -> str:
    safe = escape_terminal(text)
    return safe if len(safe) <= _SHOWN_CHARACTERS else "…" + safe[-_SHOWN_CHARACTERS:]
