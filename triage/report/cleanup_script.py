"""`cleanup.ps1`: the plan as a script to be reviewed, and run later by a person on that Windows. Nothing here runs it.

PowerShell 2.0, which Windows 7 has; of Windows XP few have it, so `cleanup.html` says each step for hands, too. The
script is ASCII: read in any code page it is the same text. What the evidence calls things stands in single-quoted
literals, in which PowerShell expands nothing ("about_Quoting_Rules", Microsoft), other characters as code units.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, assert_never

from triage.model.cleanup import CleanupAction, CleanupPlan, CleanupSection, CleanupStep
from triage.report.interface import CaseContents, Renderer

_FUNCTIONS = Path(__file__).parent / "templates" / "cleanup.ps1"
_RUNS = re.compile(r"[\x20-\x7e]+|[^\x20-\x7e]+")
_HIVE = re.compile(r".*\\System32\\config\\(SYSTEM|SOFTWARE|DEFAULT)", re.IGNORECASE)


def write_script(case: CaseContents, out: TextIO) -> None:
    """Write the script; where nothing is to be removed it only says so."""
    out.write(_FUNCTIONS.read_text(encoding="ascii"))
    out.writelines(line + "\n" for line in _main(case.report.cleanup))


def literal(text: str) -> str:
    """Return a PowerShell expression that gives exactly `text`, in printable ASCII whatever `text` holds.

    Where UTF-8 is read in another code page its bytes can turn into quotation marks: so none is written.
    """
    parts = [_literal_run(run) for run in _RUNS.findall(text)]
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})" if parts else "''"


def _literal_run(run: str) -> str:
    if run.isascii() and run.isprintable():
        quoted = run.replace("'", "''")
        return f"'{quoted}'"
    return f"(U '{run.encode('utf-16-be', 'surrogatepass').hex()}')"


def _main(plan: CleanupPlan) -> Iterator[str]:
    yield ""
    yield "# --- what was found ---"
    yield ""
    yield "try {"
    if plan.removes:
        yield "    Test-Surroundings"
        for section in plan.sections:
            yield from _section(section, plan)
        yield "    if (-not $Known) { throw 'nothing was done: this is not the computer, or its disk is not here' }"
        yield "    if (-not $Apply) { Say 'Nothing was changed. With -Apply it would be done.' }"
        yield "    Say ('Finished; ' + $Left + ' steps were left. Go on with the check list of cleanup.html.')"
    else:
        yield "    Say 'Nothing to remove was found.'"
    yield "}"
    yield "catch { $Failed = $true; Say ('STOPPED at step ' + $Step + ': ' + $_.Exception.Message) }"
    yield "finally { Dismount-Hive }"
    yield "if ($Failed) { exit 1 }"


def _section(section: CleanupSection, plan: CleanupPlan) -> Iterator[str]:
    yield f"    # volume {section.volume}"
    if not section.has_script:
        yield "    # by hand, all of it: nothing is known by which a script could tell this computer; see cleanup.html"
        return
    serial = literal(section.serial.replace("-", ""))
    if section.computer_name is not None and section.windows_folder is not None:
        yield f"    if (Enter-Windows {literal(section.computer_name)} {serial} {literal(section.windows_folder)}) {{"
    elif any(one.windows_folder is not None for one in plan.sections):
        yield f"    if ($Known -and (Enter-Volume {serial})) {{"
    else:
        yield f"    if (Enter-Volume {serial}) {{"
        yield "        $Known = $true"
    for step in section.steps:
        yield f"        {_call(step, serial)}" if step.by_hand is None else f"        # {step.number}: by hand"
    yield "    }"


def _call(step: CleanupStep, serial: str) -> str:
    """Return the one line that does a step."""
    target, expected = literal(step.target), literal(step.expected)
    match step.action:
        case CleanupAction.DISABLE_SERVICE:
            return f"Disable-FoundService {step.number} {literal(step.key)} {expected}"
        case CleanupAction.REMOVE_SERVICE:
            return f"Remove-FoundService {step.number} {literal(step.key)} {expected}"
        case CleanupAction.REMOVE_PENDING_DELETION:
            return f"Remove-PendingDeletion {step.number} {literal(step.key)} {target} {expected}"
        case CleanupAction.KEEP_FILE:
            return f"Copy-KeptFile {step.number} {serial} {target} {expected}"
        case CleanupAction.REMOVE_TASK:
            return f"Remove-FoundTask {step.number} {target} {expected}"
        case CleanupAction.STOP_PROGRAM:
            return f"Stop-FoundProgram {step.number} {target} {expected}"
        case CleanupAction.REMOVE_VALUE:
            return f"Remove-FoundValue {step.number} {_settings(step, serial)} {target} {expected}"
        case CleanupAction.CLEAR_WALLPAPER:
            return f"Clear-FoundWallpaper {step.number} {_settings(step, serial)} {target} {expected}"
        case CleanupAction.MOVE_FILE:
            return f"Move-FoundFile {step.number} {serial} {target} {expected}"
        case CleanupAction.RESTORE_RECOVERY:
            return f"Restore-Recovery {step.number}"
        case CleanupAction.CLOSE_HOLE:
            return f"Close-Hole {step.number}"
        case CleanupAction.LOOK_AT:
            return f"# {step.number}: by hand"
        case _:
            assert_never(step.action)


def _settings(step: CleanupStep, serial: str) -> str:
    """Return by what the script finds the key: the drive, whose settings they are (by home directory), the key."""
    hive = _HIVE.fullmatch(step.hive)
    owner = step.hive.rpartition("\\")[0] if hive is None else ".DEFAULT" if hive[1].upper() == "DEFAULT" else ""
    return f"{serial} {literal(owner)} {literal(step.key)}"


SCRIPT = Renderer(file_name="cleanup.ps1", write=write_script)
