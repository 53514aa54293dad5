"""Scheduled tasks on a volume and in its registry: found wherever they lie, judged by the program that they start."""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.cases import Case, examine_here, run_case
from tests.conftest import LabDisk
from tests.lab.disk import BuiltDisk
from tests.lab.hive_logs import dirty_hive, new_log, with_sequences
from tests.lab.hives import HIVE_TOOL
from tests.lab.mounts import mount_for_writing
from tests.lab.tasks import TASKS, LabTask, job_file, software_with, task_actions, task_xml
from tests.needs import data_path, needs_data, needs_tool
from tests.parsed_hives import examine_hive_file
from tests.test_event_examiner import KNOWN, SUBJECT
from tests.test_registry_survey import COMPUTED, CONFIG, hive_of, software_of, volume_of
from triage.artefacts.hive import open_hive
from triage.artefacts.task_cache import TASK_CACHE, read_task_cache
from triage.examiners.artefact_file import Surroundings
from triage.examiners.scheduled_tasks import examine_job_file, examine_task_file
from triage.model.cleanup import CleanupAction
from triage.model.event import EventKind, EventSource
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import GapKind, Where
from triage.model.told import Told
from triage.model.verdict import Outcome, Stage

pytestmark = needs_tool("mkntfs", "ntfs-3g", HIVE_TOOL)

INSTALLER = rf"C:\ProgramData\{COMPUTED}\tasksche.exe"
TASK = LabTask(command="cmd.exe", arguments=f'/c "{INSTALLER}"')
OTHERS = LabTask(command=r"%SystemRoot%\System32\defrag.exe", arguments="-c")
FACTS = {
    "command": "cmd.exe",
    "arguments": f'/c "{INSTALLER}"',
    "command_line": f'cmd.exe /c "{INSTALLER}"',
    "program": INSTALLER,
    "author": r"WIN7-PC\alice",
    "enabled": "yes",
    "triggers": "boot",
    "registered_as_written": "2017-05-12T15:31:00",
    "user": "S-1-5-18",
    "run_level": "HighestAvailable",
    "noted_in": "scheduled-task",
}


WORM = r"C:\Windows\mssecsvc.exe"
WORM_AS_WRITTEN = (
    ("%ComSpec%", f"/c {WORM}", ""),
    (r"%SystemRoot%\system32\cmd.exe", f'/c "{WORM}"', ""),
    (r"C:\Windows\mssecsvc", "", ""),
    ("mssecsvc", "", r"C:\Windows"),
    ("cmd", f"/s/c {WORM}", ""),
    ("cmd", f"/c{WORM}", ""),
    ("cmd", f"/r {WORM}", ""),
    ("cmd", f"/c ({WORM})", ""),
    ("cmd", f"/c @{WORM}", ""),
    ("cmd", f"/c {WORM}&x", ""),
    ("cmd", f"/c {WORM}>nul", ""),
    ("cmd", f"/c {WORM} & C:\\Backup\\backup.exe --daily", ""),
    ("cmd", f'/c start "" /b {WORM}', ""),
)
INSTALLER_AS_WRITTEN = (
    ("%ComSpec%", r'/c "C:\ProgramData\abcdefghij123\tasksche.exe"', ""),
    (r"%ProgramData%\abcdefghij123\tasksche.exe", "", ""),
    (r"%ALLUSERSPROFILE%\abcdefghij123\tasksche.exe", "", ""),
    (r"%TEMP%\abcdefghij123\tasksche.exe", "", ""),
    (r"%LOCALAPPDATA%\Temp\abcdefghij123\tasksche.exe", "", ""),
    (r"%SystemDrive%\Intel\abcdefghij123\tasksche.exe", "", ""),
)
DETOURS = (
    (r"%HOMEDRIVE%\Windows\tasksche.exe", ""),
    (r"C:\Windows\\tasksche.exe", ""),
    (r"C:\Windows\.\tasksche.exe", ""),
    (r"C:\Windows\System32\..\tasksche.exe", ""),
    (r"C:/Windows/tasksche.exe", r"D:\Tools"),
    (r"\Windows\tasksche.exe", ""),
    (r".\tasksche.exe", r"C:\Windows"),
)
AGAINST_THE_MALWARE = (
    r"/c del %SystemRoot%\mssecsvc.exe",
    r"/c del/q %SystemRoot%\mssecsvc.exe",
    rf"/c icacls %ProgramData%\{COMPUTED}\tasksche.exe /deny Everyone:X",
    r"/c if exist %SystemRoot%\mssecsvc.exe del %SystemRoot%\mssecsvc.exe",
    r"/c copy nul %windir%\mssecsvc.exe",
    r"/c type nul>%windir%\mssecsvc.exe",
    r"/c echo %date% \Windows\mssecsvc.exe",
    r"/c del \\server\c$\Windows\mssecsvc.exe",
)
"""How an administrator immunises a computer, or cleans it."""


def judged(task: LabTask) -> Sequence[Finding]:
    """Return the findings of a task's file, which are those of its other forms, too."""
    subject = replace(SUBJECT, path=f"{TASKS}/tasksche")
    [told] = examine_task_file(iter([memoryview(task_xml(task))]), subject, Surroundings(KNOWN))
    assert told.gaps == ()
    [of_job] = examine_job_file(iter([memoryview(job_file(task))]), subject, Surroundings(KNOWN))
    assert [(one.indicator, one.severity) for one in of_job.findings] == [
        (one.indicator, one.severity) for one in told.findings
    ]
    return told.findings


def case_with(folder: Path, files: dict[str, bytes]) -> Case:
    """Return the case of a volume on which a task may be of the malware: the computed name is known."""
    hives = {f"{CONFIG}/SYSTEM": hive_of(folder), f"{CONFIG}/SOFTWARE": software_of(folder)}
    return examine_here(volume_of(folder, {**hives, **files}), folder / "case")


@pytest.mark.parametrize(
    ("command", "arguments", "folder", "rule", "severity"),
    [
        (r"C:\ProgramData\xjzilhxs261\tasksche.exe", "/i", "", "installer-in-work-directory", Severity.HIGH),
        (r'"C:\ProgramData\xjzilhxs261\tasksche.exe"', "", "", "installer-in-work-directory", Severity.HIGH),
        ("cmd", r"/d /c C:\Intel\xjzilhxs261\tasksche.exe", "", "installer-in-work-directory", Severity.HIGH),
        ("tasksche.exe", "", r"C:\ProgramData\xjzilhxs261", "installer-in-work-directory", Severity.HIGH),
        (r"%ProgramData%\xjzilhxs261\any.exe", "", "", "program-in-computed-work-directory", Severity.HIGH),
        (r"%windir%\mssecsvc.exe", "-m security", "", "worm-in-windows-directory", Severity.HIGH),
        (r"D:\mssecsvc.exe", "", "", "worm", Severity.MEDIUM),
        (r"C:\Program Files\Scheduler\tasksche.exe", "", "", "installer", Severity.LOW),
        *((*written, "worm-in-windows-directory", Severity.HIGH) for written in WORM_AS_WRITTEN),
        *((*written, "installer-in-work-directory", Severity.HIGH) for written in INSTALLER_AS_WRITTEN),
        *((path, "", folder, "installer-in-windows-directory", Severity.HIGH) for path, folder in DETOURS),
        (r"%PUBLIC%\abcdefghij123\tasksche.exe", "", "", "installer", Severity.LOW),
        ("tasksche.exe", "", r"C:\Tools", "installer", Severity.LOW),
        (r".\any.exe", "", rf"C:\Odd\{COMPUTED}", "program-in-computed-work-directory", Severity.HIGH),
    ],
)
def test_a_task_is_what_it_starts(command: str, arguments: str, folder: str, rule: str, severity: Severity) -> None:
    task = LabTask(
        command=command.replace(COMPUTED, "xjzilhxs261"), arguments=arguments.replace(COMPUTED, "xjzilhxs261")
    )
    task = replace(task, working_directory=folder.replace(COMPUTED, "xjzilhxs261"))
    [finding] = judged(task)
    assert (finding.kind, finding.indicator, finding.severity) == (FindingKind.SCHEDULED_TASK, rule, severity)


@pytest.mark.parametrize(
    "task",
    [
        OTHERS,
        LabTask(command=r"C:\Guard\guard.exe", arguments="--block mssecsvc.exe"),
        LabTask(command="cmd.exe", arguments=r"/c echo C:\Windows\tasksche.exe"),
        LabTask(command=r"C:\Program Files\mssecsvc.exe remover\remove.exe"),
        LabTask(command="findstr", arguments=r"tasksche.exe C:\log.txt", working_directory=r"C:\Windows"),
        LabTask(command="robocopy.exe", arguments=r". D:\evidence /E", working_directory=rf"C:\ProgramData\{COMPUTED}"),
        *(LabTask(command="cmd.exe", arguments=line) for line in AGAINST_THE_MALWARE),
    ],
)
def test_a_task_that_only_speaks_of_the_malware_is_none_of_its(task: LabTask) -> None:
    assert judged(task) == ()


@pytest.mark.parametrize(
    "folder",
    [
        TASKS,
        f"{TASKS}/Microsoft/Windows/Tasks/Deep",
        "Windows/SysWOW64/Tasks",
        "WINNT.1/SYSTEM32/TASKS",
        "Windows.old/Windows/System32/Tasks",
    ],
)
def test_a_task_is_found_whatever_it_is_called(tmp_path: Path, folder: str) -> None:
    name = "xj\u202e z{1}.LOG"
    case = case_with(tmp_path, {f"{folder}/{name}": task_xml(TASK), f"{folder}/Defrag": task_xml(OTHERS)})
    [finding] = case.findings(FindingKind.SCHEDULED_TASK)
    inner = folder.partition("asks")[2] or folder.partition("ASKS")[2]
    task = f"{inner}/{name}".replace("/", "\\")
    assert finding.where.path == f"{folder}/{name}"
    assert {**FACTS, "task": task}.items() <= finding.facts.items()
    assert finding.digests.sha256 == hashlib.sha256(task_xml(TASK)).hexdigest()
    assert finding.times.keys() >= {"fn_created", "si_modified"}
    assert case.report.gaps == ()


def test_a_task_with_a_second_name_elsewhere_is_called_as_windows_does() -> None:
    subject = replace(SUBJECT, path="Users/alice/copy", other_paths=("WINDOWS/system32/tasks/Lab/xjz",))
    [told] = examine_task_file(
        iter([memoryview(task_xml(LabTask(command="mssecsvc.exe")))]), subject, Surroundings(KNOWN)
    )
    [finding] = told.findings
    assert finding.facts["task"] == r"\Lab\xjz"
    assert (finding.where.path, finding.where.other_paths) == (subject.other_paths[0], (subject.path,))


def test_files_elsewhere_are_no_tasks(tmp_path: Path) -> None:
    places = ("Users/alice/Tasks", "Windows/Tasks", "Windows/System32/Tasks_Migrated", "Users/a/System32/Tasks")
    assert (
        case_with(tmp_path, {f"{one}/xjz": task_xml(TASK) for one in places}).findings(FindingKind.SCHEDULED_TASK) == []
    )


def test_a_job_of_windows_xp(tmp_path: Path) -> None:
    case = case_with(tmp_path, {"WINDOWS/Tasks/At1.job": job_file(TASK, triggers=[7]), "WINDOWS/Tasks/SA.DAT": b"x"})
    [finding] = case.findings(FindingKind.SCHEDULED_TASK)
    expected = {"task": "At1", "triggers": "logon", "last_run_local": "2017-05-12T15:31:02.500", "enabled": "yes"}
    assert expected.items() <= finding.facts.items()
    assert case.report.gaps == ()


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        (f"{TASKS}/x", task_xml(TASK)[:-8], "no well-formed XML"),
        (f"{TASKS}/x", b"\xff\xfe\x00\xd8", "no text in utf-16-le"),
        (f"{TASKS}/x", b"<!DOCTYPE Task><Task/>", "document type"),
        (f"{TASKS}/x", b"\xff\xfe" + bytes(1 << 20), "bytes not parsed"),
        ("Windows/Tasks/x.job", job_file(TASK)[:60], "need 70 bytes, have 60"),
        ("Windows/Tasks/x.job", job_file(TASK)[:-90], "triggers of a scheduled task"),
    ],
)
def test_a_task_that_cannot_be_read_is_a_gap(tmp_path: Path, path: str, data: bytes, said: str) -> None:
    case = case_with(tmp_path, {path: data})
    [gap] = case.report.gaps
    assert (gap.kind, gap.where.path, gap.material) == (GapKind.ARTEFACT, path, False)
    assert said in gap.detail
    assert len(case.findings(FindingKind.SCHEDULED_TASK)) == (1 if "triggers" in said else 0)


# --- the registry ---


def cached(folder: Path, actions: bytes | None, *, listed: bool = True) -> Told:
    data = software_with(folder / "SOFTWARE", {r"\Lab\xjz": actions, r"\Defrag": task_actions([OTHERS])}, listed=listed)
    report = examine_hive_file(data, "SOFTWARE")
    return Told(findings=report.findings, gaps=report.gaps)


@pytest.mark.parametrize("listed", [True, False])
def test_a_task_that_only_the_registry_knows(tmp_path: Path, listed: bool) -> None:
    worm = LabTask(command=r"C:\Windows\mssecsvc.exe")
    told = cached(tmp_path, task_actions([worm, OTHERS]), listed=listed)
    [finding] = told.findings
    assert told.gaps == ()
    assert (finding.indicator, finding.severity) == ("worm-in-windows-directory", Severity.HIGH)
    facts = {
        "task": r"\Lab\xjz",
        "program": worm.command,
        "command_line": worm.command,
        "author": "alice",
        "enabled": "not-told",
        "other_actions": "1",
        "listed": "yes" if listed else "no",
        "noted_in": "registry",
    }
    assert facts.items() <= finding.facts.items()
    assert finding.facts["key"].startswith(rf"{TASK_CACHE}\Tasks" + "\\{")
    assert finding.times == {
        "registered": filetime_to_iso(131_390_478_900_000_000),
        "last_run": filetime_to_iso(131_390_479_500_000_000),
        "key_last_written": finding.times["key_last_written"],
    }


def test_windows_7_keeps_what_a_task_does_in_its_file_alone(tmp_path: Path) -> None:
    assert cached(tmp_path, None) == Told()


@pytest.mark.parametrize(
    ("actions", "found"), [(b"", 0), (b"\x09\0", 0), (task_actions([LabTask(command="mssecsvc.exe")]) + b"x", 1)]
)
def test_damaged_actions_are_a_gap_that_names_the_key(tmp_path: Path, actions: bytes, found: int) -> None:
    told = cached(tmp_path, actions)
    [gap] = told.gaps
    assert gap.kind is GapKind.ARTEFACT
    assert gap.detail.startswith(rf"key \{TASK_CACHE}\Tasks")
    assert len(told.findings) == found


def test_only_the_log_shows_the_task(tmp_path: Path) -> None:
    states = [
        with_sequences(software_with(tmp_path / "hive", {r"\xjz": task_actions([task])}), 7, 7)
        for task in (OTHERS, TASK)
    ]
    files = {f"{CONFIG}/SOFTWARE": dirty_hive(states[0], 7), f"{CONFIG}/SOFTWARE.LOG1": new_log(states, 7)}
    [finding] = case_with(tmp_path, files).findings(FindingKind.SCHEDULED_TASK)
    assert (finding.facts["task"], finding.facts["view"]) == (r"\xjz", "after-replay")


@needs_data("plaso/SOFTWARE.xz")
def test_tasks_of_a_real_windows_7_are_nobodys() -> None:
    """81 tasks, without actions: their files are not there."""
    data = lzma.decompress(data_path("plaso/SOFTWARE.xz").read_bytes())
    hive = open_hive(data, where=Where())
    tasks = hive.key(rf"{TASK_CACHE}\Tasks")
    assert tasks is not None
    assert len(tasks.subkeys()) == 81
    assert list(read_task_cache(hive)) == []
    report = examine_hive_file(data, "SOFTWARE")
    assert [one for one in report.findings if one.kind is FindingKind.SCHEDULED_TASK] == []
    assert report.gaps == ()


# --- what follows ---


def test_one_task_alone_is_one_sign_and_removes_nothing(tmp_path: Path) -> None:
    case = case_with(tmp_path, {f"{TASKS}/xjz": task_xml(TASK)})
    verdict = case.report.verdict
    assert (verdict.outcome, verdict.stage) == (Outcome.INDICATORS_FOUND, Stage.INSTALLED)
    assert verdict.judgement is not None
    assert verdict.judgement.speaking_for == 1
    assert [row.sign for row in verdict.judgement.evidence if row.count > 0] == ["installer-task"]
    actions = {step.action for section in case.report.cleanup.sections for step in section.steps}
    assert actions == {CleanupAction.LOOK_AT}
    [event] = [one for one in case.report.timeline.events if one.kind is EventKind.SETTING_CHANGED]
    assert (event.source, event.what) == (EventSource.FN, "xjz")


def infected_with(disk: BuiltDisk, folder: Path, files: dict[str, bytes]) -> Case:
    """Return the case of an infected computer's volume with further files."""
    volume = folder / "volume.img"
    end = disk.volume_offset_bytes + disk.volume_bytes
    volume.write_bytes(disk.image.read_bytes()[disk.volume_offset_bytes : end])
    with mount_for_writing(volume) as root:
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
    return run_case([volume], folder / "case", sets=[disk.indicators])


def test_an_administrators_task_stays_on_an_infected_computer(lab_disk: LabDisk, tmp_path: Path) -> None:
    """What deletes the malware is none of it, and what starts a backup beside it is for a person."""
    both = LabTask(command="cmd.exe", arguments=rf"/c {WORM} & C:\Backup\backup.exe --daily")
    tasks = {
        "Immunise": LabTask(command="cmd.exe", arguments=AGAINST_THE_MALWARE[0]),
        "Both": both,
        "ComSpec": LabTask(command="%ComSpec%", arguments=f'/c "{WORM}"'),
    }
    files = {f"{TASKS}/IT/{name}": task_xml(task) for name, task in tasks.items()}
    case = infected_with(lab_disk(Stage.FINISHED), tmp_path, files)
    steps = [step for section in case.report.cleanup.sections for step in section.steps]
    of_tasks = {step.target.rpartition("\\")[2]: step.action for step in steps if r"\IT" in step.target}
    assert of_tasks == {"Both": CleanupAction.LOOK_AT, "ComSpec": CleanupAction.REMOVE_TASK}
    script = (case.folder / "cleanup.ps1").read_text()
    assert [name for name in tasks if rf"'\IT\{name}'" in script] == ["ComSpec"]


def test_a_task_goes_from_an_infected_computer(lab_disk: LabDisk, tmp_path: Path) -> None:
    """From evidence to seal: the task in its file, in the registry and as a `.job`, and the program that it starts."""
    software = software_with(tmp_path / "hive", {r"\Lab\xjz": task_actions([TASK])})
    files = {
        f"{TASKS}/Lab/xjz": task_xml(TASK),
        "Windows/Tasks/xjz.job": job_file(TASK),
        f"{CONFIG}/SOFTWARE": software,
    }
    case = infected_with(lab_disk(Stage.FINISHED), tmp_path, files)
    steps = [step for section in case.report.cleanup.sections for step in section.steps]
    [remove] = [step for step in steps if step.action is CleanupAction.REMOVE_TASK]
    assert (remove.target, remove.expected, remove.by_hand) == (r"\Lab\xjz", FACTS["command_line"], None)
    assert len(remove.why) == 2
    moved = {step.target for step in steps if step.action is CleanupAction.MOVE_FILE}
    assert {r"Windows\Tasks\xjz.job", rf"ProgramData\{COMPUTED}\tasksche.exe"} <= moved
    order = list(dict.fromkeys(step.action for step in steps))
    assert order.index(CleanupAction.REMOVE_TASK) < order.index(CleanupAction.STOP_PROGRAM)
    script, page = ((case.folder / name).read_text() for name in ("cleanup.ps1", "cleanup.html"))
    assert rf"Remove-FoundTask {remove.number} '\Lab\xjz' '{remove.expected}'" in script
    assert r"schtasks /Delete /TN &#34;\Lab\xjz&#34; /F" in page
    assert case.report.verdict.stage is Stage.FINISHED
    told = [one for one in case.report.timeline.events if one.kind is EventKind.SETTING_CHANGED and one.what == "xjz"]
    assert {one.source for one in told} == {EventSource.FN, EventSource.REGISTRY}
