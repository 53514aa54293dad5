"""Prefetch files → which of WannaCry's programs ran and when, and when tools of Windows ran that it uses.

The name is the one thing that is always told; the path within says much more. Windows servers keep no prefetch files
unless told to.
"""

from __future__ import annotations

from collections.abc import Iterator

from triage.artefacts.prefetch import Prefetch, program_of_name, read_prefetch
from triage.examiners.artefact_file import Pieces, Surroundings
from triage.examiners.names import NameExaminer
from triage.examiners.places import where_is
from triage.examiners.programs import WINDOWS_PROGRAMS, judge_program, name_of, program_run
from triage.examiners.services import FAMILY
from triage.model.entry import Subject
from triage.model.errors import ArtefactError
from triage.model.event import Event, EventSource
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind, Where
from triage.model.told import Told

INDICATOR_SET = "wannacry-prefetch"
_COMPONENTS = frozenset(f"{letter}.wnry" for letter in "bcrstu")
_LEAST_COMPONENTS = 3


def examine_prefetch(pieces: Pieces, subject: Subject, surroundings: Surroundings) -> Iterator[Told]:
    """Examine one prefetch file; of one that cannot be read, its own name still tells which program ran."""
    where, file_name = where_is(subject), subject.path.rpartition("/")[2]
    try:
        prefetch = read_prefetch(b"".join(bytes(piece) for piece in pieces), file_name)
    except ArtefactError as error:
        gap = Gap(kind=GapKind.ARTEFACT, detail=error.message, where=where, bytes=subject.size_bytes)
        program = program_of_name(file_name)
        finding = judge_program(program, surroundings.names, where, FindingKind.EXECUTION, times={}, facts={})
        yield Told(findings=() if finding is None else (finding,), gaps=(gap,))
        return
    if prefetch.damage:
        gap = Gap(kind=GapKind.ARTEFACT, detail=f"prefetch file {prefetch.damage}", where=where)
        yield Told(gaps=(gap,))
    finding = _finding(prefetch, surroundings.names, where)
    yield Told(findings=(finding,)) if finding is not None else Told(events=tuple(_events(prefetch, where)))


def _finding(prefetch: Prefetch, names: NameExaminer, where: Where) -> Finding | None:
    """Return a finding for a program of WannaCry's name, or for one that had several of its components loaded."""
    times = {f"run_{number}": time for number, time in enumerate(_run_times(prefetch), 1)}
    facts = _facts(prefetch)
    told = judge_program(prefetch.program_path, names, where, FindingKind.EXECUTION, times=times, facts=facts)
    if told is not None:
        return told
    components = {name_of(path) for path in prefetch.paths} & _COMPONENTS
    if len(components) < _LEAST_COMPONENTS:
        return None
    return Finding(
        family=FAMILY,
        kind=FindingKind.EXECUTION,
        indicator="loaded-components",
        set=INDICATOR_SET,
        severity=Severity.MEDIUM,
        where=where,
        times=times,
        excerpt=prefetch.program_path,
        facts={
            "description": "A program that had components of the encryptor open: it, or one that read all files",
            "components": ", ".join(sorted(components)),
            "program": prefetch.program_path,
            **facts,
        },
    )


def _events(prefetch: Prefetch, where: Where) -> Iterator[Event]:
    if prefetch.program.lower() in WINDOWS_PROGRAMS:
        for time in _run_times(prefetch):
            yield program_run(prefetch.program_path, EventSource.PREFETCH, where, time, _facts(prefetch))


def _run_times(prefetch: Prefetch) -> Iterator[str]:
    """Yield when the program ran, the latest first."""
    return (time for ticks in prefetch.run_times if (time := filetime_to_iso(ticks)) is not None)


def _facts(prefetch: Prefetch) -> dict[str, str]:
    return {"run_count": str(prefetch.run_count), "hash": f"{prefetch.hash:08X}", "version": str(prefetch.version)}
