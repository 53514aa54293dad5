r"""What speaks for a removal, beside one name: no clean-up step that removes anything rests on a name alone.

Programs of other makers have names that look generated, people keep notes of their own under any name, and a service
may name WannaCry's program because it guards against it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from triage.artefacts.command_line import StartedProgram
from triage.artefacts.program_path import volume_paths
from triage.model.event import Event
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.verdict import Stage
from triage.model.volume import VolumeInfo
from triage.verdict.signs import FAMILY, stage_of
from triage.verdict.stage import judge_stage
from triage.verdict.traces import program_named

_NAMES = frozenset({FindingKind.NAME, FindingKind.RANSOM_NOTE})
_CONTENTS = frozenset({FindingKind.DIGEST, FindingKind.YARA})
_OF_THAT_WINDOWS = frozenset(
    {
        FindingKind.SERVICE,
        FindingKind.REGISTRY,
        FindingKind.WORK_DIRECTORY,
        FindingKind.JOURNAL,
        FindingKind.EXECUTION,
        FindingKind.EVENT_LOG,
    }
)
"""What only an infection of that Windows leaves. A sample or strings in another file, an encrypted file that somebody
copied, and a name that was looked up do not tell that a file of this name is the malware's."""

_BY_THE_SAME_NAME = frozenset({FindingKind.NAME, FindingKind.EXECUTION, FindingKind.SCHEDULED_TASK})
"""A task, the file that it starts and the note of its run are held against the same rule by one and the same name."""

_PROGRAMS = ("mssecsvc.exe", "tasksche.exe")


class Computer(NamedTuple):
    """What a removal on one volume may rest on: the stage of its own computer, and the kinds of traces there.

    `apart` are those kinds of which something tells more than the name of a program; `named` are the programs of which
    a run is noted, by their names. A task is none of these: WannaCry makes none, and another maker's may start its own
    `tasksche.exe`.
    """

    stage: Stage | None
    kinds: frozenset[FindingKind]
    apart: frozenset[FindingKind]
    named: frozenset[str]


def computer_of(
    volume: VolumeInfo, volumes: Sequence[VolumeInfo], findings: Sequence[Finding], events: Sequence[Event]
) -> Computer:
    """Return what the traces of a volume and of those of the same computer tell, whatever else the case holds."""
    own = [one for one in volumes if _same_computer(one, volume)]
    ids = {one.id for one in own}
    met = [one for one in findings if one.where.volume in ids]
    happened = [one for one in events if one.where.volume in ids]
    telling = [one for one in met if stage_of(one) is not None and one.kind is not FindingKind.SCHEDULED_TASK]
    named = (program_named(one) for one in telling if one.kind is not FindingKind.NAME)
    return Computer(
        stage=judge_stage(met, events=happened, volumes=own).stage,
        kinds=frozenset(one.kind for one in telling),
        apart=frozenset(one.kind for one in telling if program_named(one) is None),
        named=frozenset(name for name in named if name is not None),
    )


def _same_computer(one: VolumeInfo, other: VolumeInfo) -> bool:
    """Say whether two volumes belong together: a Windows and its data, on its disk or under a letter that it gave."""
    if one.id == other.id:
        return True
    if (one.windows is None) is (other.windows is None):
        return False
    system, data = (other, one) if one.windows is None else (one, other)
    letters = () if system.windows is None else system.windows.drive_letters.values()
    return system.evidence == data.evidence or (data.partition is not None and data.partition.unique_id in letters)


def weighs(finding: Finding) -> bool:
    """Say whether a finding is of WannaCry, and of more than low severity."""
    return finding.family == FAMILY and finding.severity is not Severity.LOW


def is_certain(met: Sequence[Finding], computer: Computer) -> bool:
    """Say whether a stream is the malware's beyond doubt, by all findings that it has.

    Its digest says so; or its name or digest, and what it holds; or its name in the malware's own place, and another
    kind of trace on that Windows (of a note, encrypted files too): a run of the same name is that name again. A YARA
    rule alone never does: an analyst's note, a removal tool or an antivirus may hold the same strings.
    """
    if any(one.facts.keys() & {"known_good", "disagrees"} for one in met):
        return False
    if any(one.kind is FindingKind.WORK_DIRECTORY for one in met):
        return False
    telling = [one for one in met if weighs(one)]
    kinds = {one.kind for one in telling}
    high = {one.kind for one in telling if one.severity is Severity.HIGH}
    if FindingKind.DIGEST in high or (kinds & _CONTENTS and len(kinds & (_CONTENTS | _NAMES)) > 1):
        return True
    is_note = FindingKind.RANSOM_NOTE in high and FindingKind.ENCRYPTED_FILE in computer.kinds
    is_led_up_to = (
        not computer.apart.isdisjoint(_OF_THAT_WINDOWS) or len(computer.named - set(map(program_named, met))) > 0
    )
    return bool(high & _NAMES) and (is_note or is_led_up_to)


def is_corroborated(finding: Finding, computer: Computer) -> bool:
    """Say whether another kind of trace on that computer agrees with what stands in its registry or its tasks."""
    alike = _BY_THE_SAME_NAME if finding.kind is FindingKind.SCHEDULED_TASK else {finding.kind}
    return len(computer.kinds - alike) > 0


def starts_only_malware(programs: Sequence[StartedProgram], gone: Collection[str]) -> bool:
    r"""Say whether all that a service, value or task runs is the malware's: by its own name, or as a file that goes.

    Only programs count, not what they are told (`guard.exe --block mssecsvc.exe`); a command of the shell beside them
    does something else. `gone`: paths of files from the volume's root, with `\`, in lower case.
    """
    return len(programs) > 0 and all(_is_malware(one, gone) for one in programs)


def _is_malware(program: StartedProgram, gone: Collection[str]) -> bool:
    """Say whether a program is known by its name or by its place; a bare name, as of a built-in, tells none."""
    places = () if program.is_bare else volume_paths(program.path)
    return program.name in _PROGRAMS or any(place.replace("/", "\\").lower() in gone for place in places)
