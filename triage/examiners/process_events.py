"""What event logs tell of programs that were started (4688, on Windows XP 592): WannaCry's own, and its command lines.

Windows notes them only where that was switched on, and command lines only where that was, too. The lines stand in the
encryptor as they are here (annotated decompilation; FireEye profile; Microsoft WannaCrypt page). Each counts only as
the whole line that the started program runs: whoever looks for the malware writes the same within another command.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from triage.artefacts.command_line import StartedProgram, programs_run, shell_line, split_program
from triage.artefacts.event_record import EventName, EventRecord
from triage.artefacts.program_path import name_of
from triage.examiners.event_facts import facts_of
from triage.examiners.programs import DESTROYERS, Known, SeenProgram, judge_program, program_run
from triage.examiners.services import FAMILY
from triage.model.event import Event, EventKind, EventSource
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where

PROCESS_STARTED: EventName = ("microsoft-windows-security-auditing", 4688)
INDICATOR_SET = "wannacry-commands"
TEXTS = (
    "mssecsvc",
    "tasksche.exe",
    "taskdl.exe",
    "taskse.exe",
    "taskhsvc.exe",
    "@WanaDecryptor@",
    "vssadmin",
    "shadowcopy",
    "bcdedit",
    "wbadmin",
    "/grant Everyone:F",
)
"""What stands in every event that is looked at: of the others there may be a million."""

_FACTS = ("NewProcessName", "CommandLine", "ParentProcessName", "SubjectUserName")


class _Rule(NamedTuple):
    """A line of WannaCry's, as the encryptor has it run: all of it, nothing before and nothing behind."""

    indicator: str
    severity: Severity
    pattern: re.Pattern[str]
    description: str


def _rule(indicator: str, severity: Severity, pattern: str, description: str) -> _Rule:
    return _Rule(indicator, severity, re.compile(pattern, re.IGNORECASE | re.DOTALL), description)


_COMMANDS = (
    _rule(
        "run-value-command",
        Severity.HIGH,
        r'reg(?:\.exe)? add "?HK[^"<>|&]*\\CurrentVersion\\Run"? /v "[a-z]{8,15}[0-9]{3}" /t REG_SZ '
        r'/d "?(?:\\")?[a-z]:\\(?:[^"<>|&]*\\)?tasksche\.exe(?:\\")?"? /f',
        "Has the installer started at every logon, under a name of the generator's shape",
    ),
    _rule(
        "installer-command",
        Severity.HIGH,
        r'"?[a-z]:\\(?:[^"<>|&]*\\)?[a-z]{8,15}[0-9]{3}\\tasksche\.exe"?',
        "Starts the installer from a directory with a name of the generator's shape",
    ),
    _rule(
        "window-command",
        Severity.HIGH,
        r"start /b @WanaDecryptor@\.exe vs",
        "Starts the ransom window",
    ),
    _rule(
        "recovery-command",
        Severity.MEDIUM,
        r"vssadmin delete shadows /all /quiet & wmic shadowcopy delete & bcdedit /set \{default\} bootstatuspolicy "
        r"ignoreallfailures & bcdedit /set \{default\} recoveryenabled no & wbadmin delete catalog -quiet",
        "Removes shadow copies, recovery and backups in one line, word for word that of WannaCry",
    ),
    _rule(
        "rights-command",
        Severity.MEDIUM,
        r"icacls(?:\.exe)? \. /grant Everyone:F /T /C /Q",
        "Opens the work directory to everybody, word for word as WannaCry does",
    ),
)
_SHADOWS = re.compile(
    r"(?:vssadmin\.exe delete shadows|wmic\.exe (?:/\S+ )*shadowcopy (?:where .+ )?delete)\b",
    re.IGNORECASE,
)
_ATTEMPT = "an attempt: the command was run, whether it succeeded is not told"


def examine_process_event(record: EventRecord, where: Where, known: Known) -> Finding | Event | None:
    """Return what the start of a program says: WannaCry's own, its commands, or a tool that removes shadow copies."""
    program, command = record.data.get("NewProcessName", ""), record.data.get("CommandLine", "")
    facts = facts_of(record, *_FACTS)
    started = SeenProgram(
        path=program,
        where=where,
        source=EventSource.EVENT_LOG,
        kind=FindingKind.EVENT_LOG,
        times={"event": record.time_utc},
        facts=facts,
    )
    line = _line_run(program, command)
    finding = next(iter(judge_program(started, known)), None) or _command(line, record, where, facts)
    if finding is not None:
        return finding
    if any(_SHADOWS.match(_as_typed(one)) for one in _programs_run(program, command)):
        return Event(
            time_utc=record.time_utc,
            kind=EventKind.SHADOWS_DELETED,
            source=EventSource.EVENT_LOG,
            what=name_of(program),
            where=where,
            facts={"shows": _ATTEMPT, **facts},
        )
    if name_of(program) in DESTROYERS:
        return program_run(started, record.time_utc)
    return None


def _programs_run(program: str, command: str) -> tuple[StartedProgram, ...]:
    """Return what a command line runs; nothing where it is that of another program than was started."""
    return programs_run(command) if name_of(split_program(command)[0]) == name_of(program) else ()


def _as_typed(program: StartedProgram) -> str:
    return f"{program.name} {' '.join(program.arguments.split())}"


def _line_run(program: str, command: str) -> str:
    """Return the line that a program runs, in single spaces: its bare name and what follows; of `cmd.exe` its own line.

    Empty where there is none, or the command line is that of another program than was started.
    """
    path, arguments = split_program(command)
    name = name_of(path)
    if name != name_of(program):
        return ""
    line = shell_line(arguments) if name == "cmd.exe" else f"{name.removesuffix('.exe')} {arguments}"
    return " ".join((line or "").split())


def _command(line: str, record: EventRecord, where: Where, facts: dict[str, str]) -> Finding | None:
    rule = next((one for one in _COMMANDS if one.pattern.fullmatch(line)), None)
    if rule is None:
        return None
    return Finding(
        family=FAMILY,
        kind=FindingKind.EVENT_LOG,
        indicator=rule.indicator,
        set=INDICATOR_SET,
        severity=rule.severity,
        where=where,
        times={"event": record.time_utc},
        excerpt=record.data.get("CommandLine", ""),
        facts={"description": rule.description, **facts},
    )
