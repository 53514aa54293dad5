"""Findings → what would have to go from that Windows, item by item: a pure function, like the verdict.

Caution decides: a step that removes names one thing that was found and what has to be there still. What decryption or
recovery may need is never removed. A name alone, a doubtful sign or a low one only asks a person to look
(`cleanup_proof.py`). Each computer's steps rest on what was found on that computer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from triage.artefacts.command_line import programs_run
from triage.artefacts.scheduled_task import TaskProgram
from triage.model.cleanup import ByHand, CleanupAction, CleanupPlan, CleanupSection, CleanupStep
from triage.model.escape import safe_name
from triage.model.event import Event
from triage.model.finding import USERS_DELETIONS, Finding, FindingKind
from triage.model.verdict import Stage
from triage.model.volume import VolumeInfo, WindowsInfo
from triage.verdict.cleanup_proof import Computer, computer_of, is_certain, is_corroborated, starts_only_malware, weighs

_NEEDED = re.compile(r"(?:.*/)?(?:0{8}\.(?:pky|eky|dky|res)|[cf]\.wnry|hiberfil\.sys|.*\.(?:wncryt?|wncyr|wcry))", re.I)
"""What keys, recovery or a later proof hang on: key files, the list and the configuration of this infection,
encrypted files and moved originals."""

_OF_FILES = (
    FindingKind.DIGEST,
    FindingKind.NAME,
    FindingKind.YARA,
    FindingKind.RANSOM_NOTE,
    FindingKind.KEY_FILE,
    FindingKind.WORK_DIRECTORY,
)
_OLDER_COPY = "older-copy"
_JOB_ENDING = ".job"
_VALUE_STEPS: Mapping[str, CleanupAction] = {
    "work-directory-value": CleanupAction.REMOVE_VALUE,
    "computed-name-run-value": CleanupAction.REMOVE_VALUE,
    "installer-run-value": CleanupAction.REMOVE_VALUE,
    "installer-image-run-value": CleanupAction.REMOVE_VALUE,
    "ransom-wallpaper": CleanupAction.CLEAR_WALLPAPER,
}
_STARTING = ("installer-run-value", "installer-image-run-value")
_PENDING = ("pending-deletions", "pending-program-deletions", "pending-user-file-deletions")
_OWN_PLACE = re.compile(r"(.*)\\(?:System32\\config|(?:System32|SysWOW64)\\Tasks)\\", re.I)
"""Where the hives and the tasks of a Windows lie, behind its directory."""

_IN_REGISTRY = (FindingKind.SERVICE, FindingKind.REGISTRY, FindingKind.SCHEDULED_TASK)
_ORDER = tuple(CleanupAction)


def plan_cleanup(
    findings: Sequence[Finding], volumes: Sequence[VolumeInfo], events: Sequence[Event] = ()
) -> CleanupPlan:
    """Return the plan: the steps of each volume in the order of `CleanupAction`, numbered through all volumes."""
    by_volume: dict[str, list[Finding]] = {}
    for finding in findings:
        if not finding.deleted and finding.where.volume is not None:
            by_volume.setdefault(finding.where.volume, []).append(finding)
    number = 0
    sections: list[CleanupSection] = []
    in_order = sorted(volumes, key=lambda one: one.windows is None)
    for volume in in_order:
        if volume.id not in by_volume:
            continue
        computer = computer_of(volume, volumes, findings, events)
        steps = _steps(by_volume[volume.id], volume.windows, computer)
        if steps:
            numbered = tuple(replace(step, number=at) for at, step in enumerate(steps, start=number + 1))
            number += len(numbered)
            sections.append(_section(volume, in_order, numbered))
    return CleanupPlan(sections=tuple(sections))


def _section(volume: VolumeInfo, volumes: Iterable[VolumeInfo], steps: tuple[CleanupStep, ...]) -> CleanupSection:
    partition = "" if volume.partition is None else volume.partition.unique_id
    named = [one.windows.drive_letters for one in (volume, *volumes) if one.windows is not None]
    letters = (letter for letters in named for letter, told in letters.items() if told == partition != "")
    serial = (volume.serial or "")[-8:]
    return CleanupSection(
        volume=volume.id,
        serial=f"{serial[:4]}-{serial[4:]}" if serial else "",
        letter=next(letters, ""),
        computer_name=None if volume.windows is None else volume.windows.computer_name,
        windows_folder=None if volume.windows is None else volume.windows.folder,
        steps=steps,
    )


def _steps(findings: Sequence[Finding], windows: WindowsInfo | None, computer: Computer) -> list[CleanupStep]:
    """Return a volume's steps in order."""
    folder = "" if windows is None else windows.folder or ""
    steps = [*_file_steps(findings, computer)]
    steps += _programs(steps)
    gone = {step.target.lower() for step in steps if step.action is CleanupAction.MOVE_FILE}
    steps += (_of_this_windows(step, folder) for step in _registry_steps(findings, computer, gone))
    steps = _once_each_task(steps)
    if windows is not None and any(step.action is not CleanupAction.LOOK_AT for step in steps):
        has_boot_data = computer.stage is Stage.FINISHED and not windows.is_before_vista  # which `bcdedit` had changed
        steps += [_step(CleanupAction.RESTORE_RECOVERY)] if has_boot_data else []
        steps.append(_step(CleanupAction.CLOSE_HOLE))
    return sorted(steps, key=lambda step: (_ORDER.index(step.action), step.hive, step.key, step.target))


def _of_this_windows(step: CleanupStep, folder: str) -> CleanupStep:
    """Leave a step to a person where it is about a hive or a task of another Windows than the one described."""
    place = _OWN_PLACE.match(step.hive)
    if place is None or place[1].lower() == folder.lower():
        return step
    return replace(step, by_hand=ByHand.OTHER_WINDOWS)


def _registry_steps(findings: Iterable[Finding], computer: Computer, gone: Collection[str]) -> Iterator[CleanupStep]:
    """Yield what becomes of each service, value and task; `gone` are the files that the plan moves away."""
    for finding in findings:
        if finding.facts.get("view") == _OLDER_COPY or finding.kind not in _IN_REGISTRY:
            continue
        if finding.indicator in _PENDING:
            yield from _pending(finding, computer)
        elif not weighs(finding) or not is_corroborated(finding, computer):
            yield _look_at(finding)
        elif finding.kind is FindingKind.SERVICE and _starts_only_malware(finding.facts.get("image_path", ""), gone):
            yield from _service(finding)
        elif finding.kind is FindingKind.SCHEDULED_TASK and _task_is_only_for_malware(finding, gone):
            yield _task(finding)
        elif finding.indicator in _VALUE_STEPS and _value_is_only_for_malware(finding, gone):
            yield _value(finding)
        else:
            yield _look_at(finding)


def _service(finding: Finding) -> Iterator[CleanupStep]:
    name, image = finding.facts.get("service", ""), finding.facts.get("image_path", "")
    doubt = ByHand.NAME if "\\" in name else _doubt(name, image)
    for action in (CleanupAction.DISABLE_SERVICE, CleanupAction.REMOVE_SERVICE):
        yield _of_registry(action, finding, target=name, expected=image, by_hand=doubt)


def _starts_only_malware(line: str, gone: Collection[str]) -> bool:
    return starts_only_malware(programs_run(line), gone)


def _value_is_only_for_malware(finding: Finding, gone: Collection[str]) -> bool:
    """Say whether a value starts nothing else. One of the computed name, or that starts nothing, is its own."""
    return finding.indicator not in _STARTING or _starts_only_malware(finding.facts.get("data", ""), gone)


def _task_is_only_for_malware(finding: Finding, gone: Collection[str]) -> bool:
    """Say whether a task starts the malware's programs and does nothing else."""
    facts = finding.facts
    program = TaskProgram(facts.get("command", ""), facts.get("arguments", ""))
    run = programs_run(program.line, facts.get("working_directory", ""))
    return "other_actions" not in facts and starts_only_malware(run, gone)


def _task(finding: Finding) -> CleanupStep:
    """Return the step of a task; a `.job` file is the whole task, and goes where the malware's files go."""
    path, name, command = finding.where.path or "", finding.facts.get("task", ""), finding.facts.get("command_line", "")
    if path.lower().endswith(_JOB_ENDING) and _OWN_PLACE.match(_windows_path(path)) is None:
        return _of_file(CleanupAction.MOVE_FILE, path, finding.digests.sha256 or "", [finding])
    action = CleanupAction.REMOVE_TASK
    return _of_registry(action, finding, target=name, expected=command, by_hand=_doubt(name, command))


def _once_each_task(steps: Sequence[CleanupStep]) -> list[CleanupStep]:
    """Join the steps of a task that was found in its file and in the registry."""
    tasks: dict[tuple[str, str, ByHand | None], CleanupStep] = {}
    for step in (one for one in steps if one.action is CleanupAction.REMOVE_TASK):
        same = (step.target.casefold(), step.expected, step.by_hand)
        tasks[same] = replace(tasks[same], why=(*tasks[same].why, *step.why)) if same in tasks else step
    return [*(step for step in steps if step.action is not CleanupAction.REMOVE_TASK), *tasks.values()]


def _value(finding: Finding) -> CleanupStep:
    name, data = finding.facts.get("value", ""), finding.facts.get("data", "")
    action = _VALUE_STEPS[finding.indicator]
    return _of_registry(action, finding, target=name, expected=data, by_hand=_doubt(name, data))


def _pending(finding: Finding, computer: Computer) -> Iterator[CleanupStep]:
    """Yield a step for each user's file that the next start would delete; the list's other entries stay.

    On an infected computer any of them may be an original that WannaCry could not delete at once, whatever else
    stands on the list; on another one only a list with WannaCry's own names is more than somebody's to look at.
    """
    is_infected = computer.stage is not None and computer.stage >= Stage.PROPAGATING
    users = json.loads(finding.facts.get(USERS_DELETIONS, "[]")) if is_infected or weighs(finding) else []
    for path in users:
        value = finding.facts.get("value", "")
        action = CleanupAction.REMOVE_PENDING_DELETION
        yield _of_registry(action, finding, target=value, expected=path, by_hand=_doubt(path))
    if not users:
        yield _look_at(finding)


def _of_registry(
    action: CleanupAction, finding: Finding, *, target: str, expected: str, by_hand: ByHand | None
) -> CleanupStep:
    return replace(
        _step(action, finding),
        target=target,
        hive=_windows_path(finding.where.path or ""),
        key=finding.facts.get("key", ""),
        expected=expected,
        by_hand=by_hand,
    )


def _file_steps(findings: Iterable[Finding], computer: Computer) -> Iterator[CleanupStep]:
    """Yield what becomes of each file with a finding, by all its names; a stream beside its content is for a person."""
    by_file: dict[tuple[int | str, str], list[Finding]] = {}
    for finding in findings:
        if finding.kind in _OF_FILES and finding.where.path is not None and "weakened" not in finding.facts:
            entry = finding.where.mft_entry
            file = finding.where.path if entry is None else entry
            by_file.setdefault((file, finding.where.stream or ""), []).append(finding)
    for (_file, stream), met in by_file.items():
        if stream == "":
            yield from _of_content(met, computer)
        elif any(weighs(finding) for finding in met):
            yield replace(_look_at(met[0]), target=f"{_windows_path(met[0].where.path or '')}:{stream}")


def _of_content(met: Sequence[Finding], computer: Computer) -> Iterator[CleanupStep]:
    """Yield the steps of one file. Of hard links each name is judged: one that is needed stays where it is."""
    sha256 = next((finding.digests.sha256 for finding in met if finding.digests.sha256 is not None), "")
    needed = [name for name in _names(met) if _NEEDED.fullmatch(name) is not None]
    others = [name for name in _names(met) if name not in needed]
    is_key = any(finding.kind is FindingKind.KEY_FILE for finding in met)
    is_malware = len(others) > 0 and is_certain(met, computer)
    for name in needed:
        if is_key:
            yield _of_file(CleanupAction.KEEP_FILE, name, sha256, met)
        elif is_malware:
            yield replace(_of_file(CleanupAction.LOOK_AT, name, sha256, met), by_hand=ByHand.UNCERTAIN)
    if is_malware:
        for name in others:
            yield _of_file(CleanupAction.MOVE_FILE, name, sha256, met)
    elif others:
        yield replace(_look_at(met[0]), why=tuple(finding.id for finding in met))


def _names(met: Iterable[Finding]) -> Iterable[str]:
    """Return each path of a file once, in the order in which they were found."""
    paths = (path for finding in met for path in (finding.where.path, *finding.where.other_paths))
    return dict.fromkeys(path for path in paths if path is not None)


def _of_file(action: CleanupAction, path: str, sha256: str, met: Sequence[Finding]) -> CleanupStep:
    named = all(safe_name(part) == part for part in path.split("/"))
    doubt = ByHand.NAME if not named else ByHand.UNCHECKED if sha256 == "" else None
    return CleanupStep(
        number=0,
        action=action,
        target=_windows_path(path),
        expected=sha256,
        why=tuple(finding.id for finding in met),
        by_hand=doubt,
    )


def _programs(steps: Iterable[CleanupStep]) -> list[CleanupStep]:
    """Return a step for each program that may run: once for one content, however many copies lie about."""
    moved = (step for step in steps if step.action is CleanupAction.MOVE_FILE and step.by_hand is None)
    programs = {step.expected: step for step in moved if step.target.lower().endswith(".exe")}
    return [
        replace(step, action=CleanupAction.STOP_PROGRAM, target=step.target.rpartition("\\")[2])
        for step in programs.values()
    ]


def _doubt(*texts: str) -> ByHand | None:
    """Say whether a person has to take over: what cannot be printed cannot be reviewed in a script either."""
    return None if all(text.isprintable() for text in texts) else ByHand.NAME


def _look_at(finding: Finding) -> CleanupStep:
    place = [finding.where.path or "", finding.facts.get("key", ""), finding.facts.get("value", "")]
    target = " ".join(_windows_path(part) for part in place if part)
    return replace(_step(CleanupAction.LOOK_AT, finding), target=target, by_hand=ByHand.UNCERTAIN)


def _step(action: CleanupAction, *why: Finding) -> CleanupStep:
    return CleanupStep(number=0, action=action, why=tuple(finding.id for finding in why))


def _windows_path(path: str) -> str:
    return path.replace("/", "\\")
