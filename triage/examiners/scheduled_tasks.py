r"""Scheduled tasks → findings: those that start the malware's program, held against the rules for any other program.

No analysis of WannaCry tells of a task; whoever comes back after it, or copies it, may use one. So there are no rules
of tasks here: not a task's name counts, nor its arguments, but the program that it starts, by `programs.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from triage.artefacts.command_line import programs_run
from triage.artefacts.hive import Hive
from triage.artefacts.job_file import parse_job
from triage.artefacts.scheduled_task import ScheduledTask, TaskProgram
from triage.artefacts.task_cache import CachedTask, read_task_cache
from triage.artefacts.task_xml import parse_task_xml
from triage.examiners.artefact_file import Pieces, Surroundings
from triage.examiners.places import times_of, where_is
from triage.examiners.programs import Known, SeenProgram, judge_program
from triage.model.entry import Subject
from triage.model.errors import ParseError
from triage.model.event import EventSource
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Digests, Finding, FindingKind
from triage.model.gap import Gap, GapKind, Where
from triage.model.told import Told

_FOLDER = re.compile(r".*?/(?:system32|syswow64)/tasks/", re.IGNORECASE | re.DOTALL)
_YES = {True: "yes", False: "no", None: "not-told"}


def examine_task_file(pieces: Pieces, subject: Subject, surroundings: Surroundings) -> Iterator[Told]:
    r"""Examine an XML file below `System32\Tasks`; its path there is the task's name."""
    paths = (subject.path, *subject.other_paths)
    inside = next((path for path in paths if _FOLDER.match(path)), subject.path)
    name = "\\" + _FOLDER.sub("", inside, count=1).replace("/", "\\")
    others = tuple(path for path in paths if path != inside)
    placed = replace(subject, path=inside, other_paths=others)  # a link elsewhere does not tell whose task it is
    yield _examine_file(parse_task_xml, name, pieces, placed, surroundings.known)


def examine_job_file(pieces: Pieces, subject: Subject, surroundings: Surroundings) -> Iterator[Told]:
    """Examine a `.job` file; without its ending it has the task's name."""
    name = subject.path.rpartition("/")[2].rpartition(".")[0]
    yield _examine_file(parse_job, name, pieces, subject, surroundings.known)


def examine_task_cache(hive: Hive, known: Known) -> Told:
    """Examine the tasks that a SOFTWARE hive knows, whether their files are there or not."""
    findings: list[Finding] = []
    gaps: list[Gap] = []
    for cached in read_task_cache(hive):
        where = replace(hive.where, offset_bytes=cached.offset_bytes)
        if cached.problem:
            detail = rf"key \{cached.key_path}: Actions: {cached.problem}"
            gaps.append(Gap(kind=GapKind.ARTEFACT, detail=detail, where=where))
        facts = {"key": cached.key_path, "listed": _YES[cached.is_listed]}
        times = _times_of_key(cached)
        findings += _judge(cached.name, cached.task, where, EventSource.REGISTRY, times, facts, known)
    return Told(findings=tuple(findings), gaps=tuple(gaps))


def _examine_file(
    parse: Callable[[bytes], ScheduledTask], name: str, pieces: Pieces, subject: Subject, known: Known
) -> Told:
    data, where = b"".join(bytes(piece) for piece in pieces), where_is(subject)
    try:
        task = parse(data)
    except ParseError as error:
        return Told(gaps=(_gap(str(error), where, len(data)),))
    digests = Digests(sha256=hashlib.sha256(data).hexdigest())
    times = times_of(subject.si, subject.fn)
    findings = _judge(name, task, where, EventSource.SCHEDULED_TASK, times, {}, known)
    gaps = (_gap(task.damage, where, len(data)),) if task.damage else ()
    return Told(findings=tuple(replace(one, digests=digests) for one in findings), gaps=gaps)


def _gap(problem: str, where: Where, length: int) -> Gap:
    return Gap(kind=GapKind.ARTEFACT, detail=f"scheduled task: {problem}", where=where, bytes=length)


def _times_of_key(cached: CachedTask) -> dict[str, str]:
    told = {
        "registered": filetime_to_iso(cached.registered),
        "last_run": filetime_to_iso(cached.last_run),
        "key_last_written": filetime_to_iso(cached.key_last_written),
    }
    return {name: time for name, time in told.items() if time is not None}


def _judge(
    name: str,
    task: ScheduledTask,
    where: Where,
    source: EventSource,
    times: dict[str, str],
    facts: dict[str, str],
    known: Known,
) -> Iterator[Finding]:
    """Yield what it means that a task starts these programs."""
    for program in task.programs:
        for path in _started(program, known):
            started = SeenProgram(
                path=path,
                where=where,
                source=source,
                kind=FindingKind.SCHEDULED_TASK,
                times=times,
                facts={"task": name, **_facts(task, program), **facts},
            )
            yield from judge_program(started, known)


def _started(program: TaskProgram, known: Known) -> Iterable[str]:
    """Return the path of each program that is run, once.

    Windows looks for a bare name in several places: only a name of the malware's is taken to be that of a file in the
    working directory. `robocopy.exe` is not there.
    """
    folder = program.working_directory.strip().strip('"').rstrip("\\/")
    run = programs_run(program.line, folder)
    in_folder = {one.path for one in run if folder and one.is_bare and known.names.candidates(one.name)}
    return dict.fromkeys(rf"{folder}\{one.path}" if one.path in in_folder else one.path for one in run)


def _facts(task: ScheduledTask, program: TaskProgram) -> dict[str, str]:
    """Return what the task says, values that are not there left out."""
    facts = {
        "command": program.command,
        "arguments": program.arguments,
        "command_line": f"{program.command} {program.arguments}".strip(),
        "working_directory": program.working_directory,
        "enabled": _YES[task.enabled],
        "hidden": _YES[True] if task.hidden else "",
        "triggers": ", ".join(task.triggers),
        "author": task.author,
        "registered_as_written": task.registered,
        "user": task.user,
        "run_level": task.run_level,
        "last_run_local": task.last_run,
        "other_actions": str(len(task.programs) + len(task.others) - 1),
    }
    return {name: text for name, text in facts.items() if text not in ("", "0")}
