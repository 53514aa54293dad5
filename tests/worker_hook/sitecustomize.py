"""Makes the worker of a test do at a chosen place what hostile bytes could make it do; Python imports this by itself.

`WORKER_HOOK` is JSON: `place` is where (`volume`: before a file table is read, `hive`: before one is parsed, `trace`:
before deleted entries are, `artefact`: before such a file is parsed, `stream`: when a stream begins; `walls`: nowhere,
but the kernel has no Landlock), `path` which file or stream, behind its volume's name, else the one of number `at`.
`act` is `wait` (go on when `gate` is there; all later streams wait too), `write` (a byte to the file `gate`, once),
`die` (the first `times` workers that come there), or, every time, one of `_ATTACKS`. Each time adds a byte to
`reached`.

The worker is confined by then: the files of the test are opened before.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

if "triage.pipeline.worker" in sys.orig_argv and "WORKER_HOOK" in os.environ:
    from triage.examiners.artefact_file import Examine, Pieces, Surroundings
    from triage.examiners.artefacts import ARTEFACT_FILES
    from triage.examiners.digest import DigestExaminer
    from triage.isolation import landlock
    from triage.model.entry import Subject
    from triage.model.told import Told
    from triage.pipeline import artefacts, registry, survey, traces

    _hook = json.loads(os.environ["WORKER_HOOK"])
    _flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    _reached, _gate = os.open(_hook["reached"], _flags), Path(_hook["gate"])
    _written = os.open(_gate, os.O_RDWR) if _hook["act"] == "write" else -1
    _outside = Path(_hook["reached"]).with_name("outside")
    _nowhere = os.open(os.devnull, os.O_RDWR)
    _numbers = itertools.count(1)
    _begin = DigestExaminer.begin

    def _tear_journal() -> None:
        """Leave half a line, as a death in the middle of a write does; no other thread can write behind it."""
        for descriptor in os.listdir("/proc/self/fd"):
            if os.path.basename(os.path.realpath(f"/proc/self/fd/{descriptor}")) == "journal.jsonl":
                journal = os.dup(int(descriptor))
                os.dup2(_nowhere, int(descriptor))
                time.sleep(0.01)  # a write that is under way ends
                os.write(journal, b'["gap",{"kind":"read-')

    def _allocate() -> None:
        hoard = []
        while True:
            hoard.append(bytes(64 << 20))

    def _fork_for_ever() -> None:
        while True:
            os.fork()

    _ATTACKS: dict[str, Callable[[], object]] = {
        "crash": lambda: ctypes.string_at(0),
        "spin": lambda: re.match(r"(a+)+$", "a" * 64 + "b"),
        "sleep": lambda: ctypes.CDLL(None).pause(),
        "allocate": _allocate,
        "socket": socket.socket,
        "run": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": _fork_for_ever,
        "outside": lambda: _outside.write_bytes(b"x"),
        "change-evidence": lambda: _gate.write_bytes(b"x"),
        "read-elsewhere": Path("/etc/passwd").read_bytes,
        "chmod": lambda: _gate.chmod(0o777),
        "signal": lambda: os.kill(os.getppid(), signal.SIGTERM),
    }

    def _act() -> None:
        os.write(_reached, b"x")
        times = os.fstat(_reached).st_size
        if _hook["act"] == "wait":
            while not _gate.exists():
                time.sleep(0.01)
        elif _hook["act"] == "write" and times == 1:
            os.pwrite(_written, b"x", os.fstat(_written).st_size - 1)
        elif _hook["act"] == "die" and times <= _hook["times"]:
            _tear_journal()
            os.kill(os.getpid(), signal.SIGKILL)
        elif _hook["act"] in _ATTACKS:
            _ATTACKS[_hook["act"]]()

    def _hooked_begin(self: DigestExaminer, subject: Subject) -> None:
        number = next(_numbers)
        others_too = _hook["act"] == "wait" and 0 < _hook["at"] < number
        if _hook["path"] == f"{subject.volume}/{subject.path}" or number == _hook["at"] or others_too:
            _act()
        _begin(self, subject)

    _P = ParamSpec("_P")
    _T = TypeVar("_T")

    def _hooked(function: Callable[_P, _T]) -> Callable[_P, _T]:
        def wrapped(*arguments: _P.args, **named: _P.kwargs) -> _T:
            _act()
            return function(*arguments, **named)

        return wrapped

    def _hooked_examine(examine: Examine) -> Examine:
        def wrapped(pieces: Pieces, subject: Subject, surroundings: Surroundings) -> Iterator[Told]:
            if _hook["path"] == f"{subject.volume}/{subject.path}":
                _act()
            return examine(pieces, subject, surroundings)

        return wrapped

    def _missing() -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    if _hook["place"] == "walls":
        landlock.version = _missing
    elif _hook["place"] == "stream":
        DigestExaminer.begin = _hooked_begin  # type: ignore[method-assign]
    elif _hook["place"] == "volume":
        survey.read_mft = _hooked(survey.read_mft)  # type: ignore[attr-defined]
    elif _hook["place"] == "artefact":
        artefacts.ARTEFACT_FILES = tuple(  # type: ignore[attr-defined]
            kind._replace(examine=_hooked_examine(kind.examine)) for kind in ARTEFACT_FILES
        )
    elif _hook["place"] == "trace":
        traces.examine_deleted = _hooked(traces.examine_deleted)  # type: ignore[attr-defined]
    else:
        registry.open_or_gap = _hooked(registry.open_or_gap)  # type: ignore[attr-defined]
