"""Stops or kills the worker of a test at a chosen place; Python imports this by itself from the PYTHONPATH.

`WORKER_HOOK` is JSON: `place` is where (`volume`: before a file table is read, `hive`: before one is parsed, `stream`:
when a stream begins), `path` which stream, else the one of number `at`. `act` is `wait` (make `reached`, go on when
`gate` is there; all later streams wait too), `die` (the first `times` workers that come there) or `write` (a byte to
the file `gate`, once).
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

if "triage.pipeline.worker" in sys.orig_argv and "WORKER_HOOK" in os.environ:
    from triage.examiners.digest import DigestExaminer
    from triage.model.entry import Subject
    from triage.pipeline import registry, survey

    _hook = json.loads(os.environ["WORKER_HOOK"])
    _reached, _gate = Path(_hook["reached"]), Path(_hook["gate"])
    _numbers = itertools.count(1)
    _begin = DigestExaminer.begin

    def _tear_journal() -> None:
        """Leave half a line, as a death in the middle of a write does."""
        for descriptor in os.listdir("/proc/self/fd"):
            if os.path.basename(os.path.realpath(f"/proc/self/fd/{descriptor}")) == "journal.jsonl":
                os.write(int(descriptor), b'["gap",{"kind":"read-')

    def _act() -> None:
        with _reached.open("a") as reached:
            reached.write("x")
        if _hook["act"] == "wait":
            while not _gate.exists():
                time.sleep(0.01)
        elif _hook["act"] == "write" and _reached.stat().st_size == 1:
            with _gate.open("r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(b"x")
        elif _hook["act"] == "die" and _reached.stat().st_size <= _hook["times"]:
            _tear_journal()
            os.kill(os.getpid(), signal.SIGKILL)

    def _hooked_begin(self: DigestExaminer, subject: Subject) -> None:
        number = next(_numbers)
        others_too = _hook["act"] == "wait" and 0 < _hook["at"] < number
        if subject.path == _hook["path"] or number == _hook["at"] or others_too:
            _act()
        _begin(self, subject)

    _P = ParamSpec("_P")
    _T = TypeVar("_T")

    def _hooked(function: Callable[_P, _T]) -> Callable[_P, _T]:
        def wrapped(*arguments: _P.args, **named: _P.kwargs) -> _T:
            _act()
            return function(*arguments, **named)

        return wrapped

    if _hook["place"] == "stream":
        DigestExaminer.begin = _hooked_begin  # type: ignore[method-assign]
    elif _hook["place"] == "volume":
        survey.read_mft = _hooked(survey.read_mft)  # type: ignore[attr-defined]
    else:
        registry.open_or_gap = _hooked(registry.open_or_gap)  # type: ignore[attr-defined]
