"""Shuts the calling process in, then tries to get out: what is told is what was tried, not what was asked for.

All of it is for good: neither the process nor a thread of it can take it back. It is done before other threads run,
because Landlock confines the calling thread and those that it starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from triage.isolation import landlock
from triage.isolation.kernel import open_local_socket
from triage.isolation.limits import capabilities, drop_privileges, limit_resources, memory_bound, memory_limit
from triage.isolation.seccomp import Refusal, forbid
from triage.model.gap import Gap, GapKind
from triage.model.isolation import Attempt, Isolation

_SYSTEM_LIBRARIES: Final = (Path("/usr"), Path("/lib"), Path("/lib64"))
_OWN_PROCESS: Final = Path("/proc/self")
_OWN_THREADS: Final = Path("/proc/self/task")
_OWN_PACKAGE: Final = Path(__file__).parent.parent
_ANY_FOLDER: Final = "/"
_ANY_DEVICE: Final = "/dev/null"
_NO_PROGRAM: Final = "/nonexistent/program"


class Needs(Struct, frozen=True, kw_only=True):
    """What a process has to reach beside its own code: files and folders to read, folders to list, to write beneath."""

    readable: tuple[Path, ...]
    listable: tuple[Path, ...]
    writable: tuple[Path, ...]
    evidence_bytes: int


def confine(needs: Needs) -> tuple[Isolation, Gap | None]:
    """Confine this process as far as the kernel can; return what holds, and a gap where that is not all."""
    troubles: list[str] = []
    abi, filtered = 0, False
    with _noted("limits", troubles):
        limit_resources(memory_limit(needs.evidence_bytes))
    with _noted("privileges", troubles):
        drop_privileges()
    with _noted("Landlock", troubles):
        abi = _enter_landlock(needs)
    with _noted("seccomp", troubles):
        forbid(Refusal.NOT_PERMITTED)
        filtered = True
    refused = tuple(attempt for attempt, act in _ATTEMPTS.items() if _is_refused(act))
    with _noted("seccomp", troubles):
        if filtered:  # what was tried until here had to be survived; from now on an attempt shows
            forbid(Refusal.DEATH)
    isolation = Isolation(
        landlock_abi=abi,
        seccomp=filtered,
        refused=refused,
        allowed=tuple(attempt for attempt in Attempt if attempt not in refused),
        memory_bytes=memory_bound(),
        capabilities=capabilities(),
    )
    return isolation, _gap(isolation, troubles)


def _enter_landlock(needs: Needs) -> int:
    """Return the version of Landlock that is in force from now on; `OSError` where it is not."""
    threads = len(list(_OWN_THREADS.iterdir()))
    if threads > 1:
        raise OSError(f"{threads - 1} other threads run already and would stay free")
    abi = landlock.version()
    if abi < landlock.OLDEST_USED:
        raise OSError(f"version {abi} of this kernel lets no file be moved between folders")
    landlock.restrict(abi, _allowed(needs))
    return abi


def _allowed(needs: Needs) -> Iterator[tuple[Path, landlock.Right]]:
    yield from ((path, landlock.READ) for path in (*_code(), *needs.readable))
    yield from ((path, landlock.LIST) for path in needs.listable)
    yield from ((path, landlock.WRITE) for path in needs.writable)


def _code() -> Iterator[Path]:
    """Yield where Python and its libraries lie, for what is imported late."""
    yield from _SYSTEM_LIBRARIES
    yield _OWN_PROCESS
    yield _OWN_PACKAGE
    yield from (folder for folder in map(Path, sys.path) if folder.absolute() != Path.cwd())


def _read_elsewhere() -> None:
    os.close(os.open(_ANY_FOLDER, os.O_RDONLY | os.O_DIRECTORY))


def _write_elsewhere() -> None:
    os.close(os.open(_ANY_DEVICE, os.O_WRONLY))


def _reach_network() -> None:
    os.close(open_local_socket())


def _run_program() -> None:
    os.execv(_NO_PROGRAM, (_NO_PROGRAM,))  # noqa: S606  # it is not there: an error of another kind, or none of ours


def _reach_other_process() -> None:
    os.kill(os.getppid(), 0)


_ATTEMPTS: Final[Mapping[Attempt, Callable[[], None]]] = {
    Attempt.READ_ELSEWHERE: _read_elsewhere,
    Attempt.WRITE_ELSEWHERE: _write_elsewhere,
    Attempt.NETWORK: _reach_network,
    Attempt.PROGRAM: _run_program,
    Attempt.OTHER_PROCESS: _reach_other_process,
}


def _is_refused(act: Callable[[], None]) -> bool:
    try:
        act()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _gap(isolation: Isolation, troubles: list[str]) -> Gap | None:
    """Return what does not hold as one gap; None where all does."""
    open_ways = [f"not kept from: {', '.join(isolation.allowed)}"] if isolation.allowed else []
    if not open_ways and not troubles:
        return None
    detail = f"the process that parses evidence is not fully isolated; {'; '.join((*troubles, *open_ways))}"
    return Gap(kind=GapKind.NOT_ISOLATED, detail=detail)


@contextmanager
def _noted(what: str, troubles: list[str]) -> Iterator[None]:
    """Note why a part does not come into force, and go on with the others."""
    try:
        yield
    except OSError as error:
        troubles.append(f"{what}: {error.strerror or error}")
