"""Programs that were run → findings and events: one judgement for all traces that name a program by its path.

A path is held against the rules of names (`indicators/data/wannacry_names.toml`): in its own place the name is telling,
in another it may be something else's. Programs of Windows that WannaCry runs too are dated, without being called its.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from triage.examiners.names import NameExaminer
from triage.model.event import Event, EventKind, EventSource
from triage.model.finding import Finding, FindingKind
from triage.model.gap import Where

WINDOWS_PROGRAMS = frozenset(
    f"{name}.exe"
    for name in (
        "vssadmin",
        "wmic",
        "bcdedit",
        "wbadmin",
        "attrib",
        "icacls",
        "cscript",
        "reg",
        "cmd",
        "taskkill",
    )
)
"""Programs of Windows that WannaCry runs, in lower case: FireEye profile, annotated decompilation of the encryptor."""

_VOLUME = re.compile(
    r"(?:\\\\\?\\|\\\?\?\\)?(?:[a-z]:|\\device\\[^\\]+|\\volume\{[^}\\]*\}|\\device\\mup\\[^\\]+\\[^\\]+)\\"
)


def path_on_volume(path: str) -> str:
    r"""Return a program's path as rules of names want it: `C:\X\Y.EXE` or `\DEVICE\…\X\Y.EXE` becomes `x/y.exe`."""
    return _VOLUME.sub("", path.lower(), count=1).replace("\\", "/").removeprefix("/")


def name_of(path: str) -> str:
    """Return a program's name in lower case."""
    return path_on_volume(path).rpartition("/")[2]


def judge_program(
    path: str,
    names: NameExaminer,
    where: Where,
    kind: FindingKind,
    *,
    times: Mapping[str, str],
    facts: Mapping[str, str],
) -> Finding | None:
    """Return what it means that the program of this path was run; None where its name is not WannaCry's."""
    for told in names.examine(path_on_volume(path), volume=where.volume or "", mft_entry=0, is_directory=False):
        return Finding(
            family=told.family,
            kind=kind,
            indicator=told.indicator,
            set=told.set,
            severity=told.severity,
            where=where,
            times=dict(times),
            excerpt=path,
            facts={**told.facts, "program": path, **facts},
        )
    return None


def program_run(path: str, source: EventSource, where: Where, time_utc: str, facts: Mapping[str, str]) -> Event:
    """Return the event of a program of Windows."""
    return Event(
        time_utc=time_utc,
        kind=EventKind.PROGRAM_RUN,
        source=source,
        what=name_of(path),
        where=where,
        facts={"program": path, **facts},
    )
