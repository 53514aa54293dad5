"""Prefetch files → which of WannaCry's programs ran and when, and when tools of Windows ran that it uses.

The name is the one thing that is always told; the path within says much more. Windows servers keep no prefetch files
unless told to.
"""

from __future__ import annotations

from collections.abc import Iterator

from triage.artefacts.prefetch import Prefetch, program_of_name, read_prefetch
from triage.artefacts.program_path import name_of
from triage.examiners.artefact_file import Pieces, Surroundings
from triage.examiners.places import where_is
from triage.examiners.programs import WINDOWS_PROGRAMS, SeenProgram, judge_program, program_run
from triage.examiners.services import FAMILY
from triage.model.entry import Subject
from triage.model.errors import ArtefactError
from triage.model.event import Event, EventSource
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind
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
        named = SeenProgram(path=program_of_name(file_name), where=where, source=EventSource.PREFETCH)
        yield Told(findings=tuple(judge_program(named, surroundings.known)), gaps=(gap,))
        return
    if prefetch.damage:
        gap = Gap(kind=GapKind.ARTEFACT, detail=f"prefetch file {prefetch.damage}", where=where)
        yield Told(gaps=(gap,))
    program = SeenProgram(
        path=prefetch.program_path,
        where=where,
        source=EventSource.PREFETCH,
        times={f"run_{number}": time for number, time in enumerate(_run_times(prefetch), 1)},
        facts=_facts(prefetch),
    )
    findings = judge_program(program, surroundings.known) or _by_components(prefetch, program)
    yield Told(findings=tuple(findings)) if findings else Told(events=tuple(_events(prefetch, program)))


def _by_components(prefetch: Prefetch, program: SeenProgram) -> list[Finding]:
    """Return a finding for a program of another name that had several of the encryptor's components open."""
    components = {name_of(path) for path in prefetch.paths} & _COMPONENTS
    if len(components) < _LEAST_COMPONENTS:
        return []
    finding = Finding(
        family=FAMILY,
        kind=FindingKind.EXECUTION,
        indicator="loaded-components",
        set=INDICATOR_SET,
        severity=Severity.MEDIUM,
        where=program.where,
        times=program.times,
        excerpt=program.path,
        facts={
            "description": "A program that had components of the encryptor open: it, or one that read all files",
            "components": ", ".join(sorted(components)),
            "program": program.path,
            "noted_in": program.source.value,
            **program.facts,
        },
    )
    return [finding]


def _events(prefetch: Prefetch, program: SeenProgram) -> Iterator[Event]:
    if prefetch.program.lower() in WINDOWS_PROGRAMS:
        for time in _run_times(prefetch):
            yield program_run(program, time)


def _run_times(prefetch: Prefetch) -> Iterator[str]:
    """Yield when the program ran, the latest first."""
    return (time for ticks in prefetch.run_times if (time := filetime_to_iso(ticks)) is not None)


def _facts(prefetch: Prefetch) -> dict[str, str]:
    return {"run_count": str(prefetch.run_count), "hash": f"{prefetch.hash:08X}", "version": str(prefetch.version)}
