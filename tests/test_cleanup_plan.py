"""The clean-up plan: what was found goes, in order, item by item; what is needed, doubtful or a user's never does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.cases import case_of
from tests.conftest import LabDisk
from tests.lab.hives import HIVE_TOOL, system_hive
from tests.lab.plan import Kind
from tests.needs import needs_tool
from triage.artefacts.hive import open_hive
from triage.artefacts.locate import HiveKind
from triage.examiners.registry import examine_hive
from triage.model.cleanup import ByHand, CleanupAction, CleanupPlan, CleanupStep
from triage.model.finding import USERS_DELETIONS, Digests, Finding, FindingKind, Severity
from triage.model.gap import Where
from triage.model.verdict import Stage
from triage.model.volume import Partition, PartitionScheme, VolumeInfo, WindowsInfo, mbr_partition_id
from triage.verdict.cleanup import plan_cleanup

SYSTEM = "Windows/System32/config/SYSTEM"
SHA256 = "ab" * 32
REMOVING = tuple(one for one in CleanupAction if one not in (CleanupAction.LOOK_AT, CleanupAction.KEEP_FILE))
PARTITION = Partition(
    index=1,
    scheme=PartitionScheme.MBR,
    offset_bytes=1 << 20,
    length_bytes=1 << 30,
    unique_id=mbr_partition_id(0x12345678, 1 << 20),
)


def volume(volume_id: str = "v1", windows: WindowsInfo | None = None, serial: str = "0123456789ABCDEF") -> VolumeInfo:
    return VolumeInfo(
        id=volume_id, evidence=0, offset_bytes=0, length_bytes=1, filesystem="ntfs", examined=True, serial=serial,
        windows=windows, partition=PARTITION,
    )  # fmt: skip


WINDOWS = volume(windows=WindowsInfo(computer_name="WIN7-PC", folder="Windows"))


def finding(kind: FindingKind, path: str, severity: Severity = Severity.HIGH, **other: object) -> Finding:
    plain = Finding(
        id="F1",
        family="wannacry",
        kind=kind,
        indicator="x",
        set="s",
        severity=severity,
        where=Where(volume="v1", path=path),
        digests=Digests(sha256=SHA256),
    )
    return replace(plain, **other)


TASK_FILE = "Windows/System32/Tasks/xjz"
TASK_LINE = r"C:\ProgramData\xjz\tasksche.exe"
WORM_IMAGE = r"C:\Windows\mssecsvc.exe -m security"


def service(name: str = "mssecsvc2.0", image: str = WORM_IMAGE, **facts: str) -> Finding:
    key = rf"ControlSet001\Services\{name}"
    told = {"service": name, "key": key, "image_path": image, **facts}
    return finding(FindingKind.SERVICE, SYSTEM, indicator="worm-service", facts=told)


def setting(indicator: str, path: str = "Users/a/NTUSER.DAT", **facts: str) -> Finding:
    told = {"key": "Software\\Run", "value": "xjz", "data": TASK_LINE, **facts}
    return finding(FindingKind.REGISTRY, path, indicator=indicator, facts=told)


def task(command: str = TASK_LINE, path: str = TASK_FILE, **facts: str) -> Finding:
    told = {"task": "\\xjz", "program": command, "command": command, "command_line": command, **facts}
    return finding(FindingKind.SCHEDULED_TASK, path, indicator="installer-in-work-directory", facts=told)


RAN = finding(
    FindingKind.EXECUTION,
    "Windows/Prefetch/MSSECSVC.EXE-1.pf",
    indicator="worm-in-windows-directory",
    facts={"program": r"\WINDOWS\MSSECSVC.EXE"},
)
ENCRYPTED = finding(FindingKind.ENCRYPTED_FILE, "Users/a/b.doc.WNCRY")
"""Other kinds of traces of that Windows; by themselves they are no step."""


def steps_of(*findings: Finding, at: VolumeInfo = WINDOWS) -> list[CleanupStep]:
    plan = plan_cleanup(findings, [at])
    return [step for section in plan.sections for step in section.steps]


def infected(*findings: Finding) -> list[CleanupStep]:
    """Return the steps where other kinds of traces agree."""
    return steps_of(*findings, RAN, ENCRYPTED)


def told(steps: Sequence[CleanupStep]) -> list[tuple[CleanupAction, str]]:
    return [(step.action, step.target) for step in steps]


def test_nothing_found_is_a_plan_with_nothing_to_do() -> None:
    plan = plan_cleanup([], [WINDOWS])
    assert (plan, plan.removes) == (CleanupPlan(), False)


def test_the_order_is_that_of_the_actions_and_steps_are_counted_through_all_volumes() -> None:
    findings = [
        finding(FindingKind.NAME, "Windows/tasksche.exe"),
        finding(FindingKind.NAME, "Odd/tasksche.exe", Severity.LOW),
        setting("installer-run-value"),
        setting("ransom-wallpaper"),
        finding(FindingKind.KEY_FILE, "ProgramData/x/00000000.pky"),
        setting("pending-deletions", SYSTEM, **{USERS_DELETIONS: json.dumps(["C:\\Users\\a\\b.doc"])}),
        service(),
        task(),
        finding(FindingKind.NAME, "mssecsvc.exe", where=Where(volume="v0", path="mssecsvc.exe")),
    ]
    plan = plan_cleanup(findings, [volume("v0"), WINDOWS])
    assert [section.volume for section in plan.sections] == ["v1", "v0"]
    steps = [step for section in plan.sections for step in section.steps]
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert [step.action for step in plan.sections[0].steps] == list(CleanupAction)


def test_a_service_is_removed_only_as_long_as_it_starts_the_same() -> None:
    disable, remove, _close = infected(service())
    assert (disable.action, remove.action) == (CleanupAction.DISABLE_SERVICE, CleanupAction.REMOVE_SERVICE)
    for step in (disable, remove):
        assert (step.expected, step.key) == (WORM_IMAGE, r"ControlSet001\Services\mssecsvc2.0")
        assert (step.hive, step.why, step.by_hand) == (r"Windows\System32\config\SYSTEM", ("F1",), None)


def test_a_task_in_its_file_and_in_the_registry_is_one_step() -> None:
    cached = replace(task(path="Windows/System32/config/SOFTWARE"), id="F2")
    step, _close = steps_of(task(), cached, ENCRYPTED)
    assert (step.action, step.target, step.expected) == (CleanupAction.REMOVE_TASK, "\\xjz", TASK_LINE)
    assert (step.hive, step.why, step.by_hand) == (r"Windows\System32\Tasks\xjz", ("F1", "F2"), None)


def test_a_job_file_is_the_whole_task_and_is_moved_like_a_file() -> None:
    step, _close = steps_of(task(path="Windows/Tasks/xjz.job"), ENCRYPTED)
    assert (step.action, step.target, step.expected) == (CleanupAction.MOVE_FILE, r"Windows\Tasks\xjz.job", SHA256)


@pytest.mark.parametrize(
    "left",
    [
        task(other_actions="1"),
        task("cmd.exe", arguments=rf"/c {TASK_LINE} & C:\Backup\backup.exe --daily"),
        task("cmd.exe", arguments=rf"/c {TASK_LINE} & del C:\x"),
        setting("installer-run-value", data=rf"cmd /c {TASK_LINE} & C:\Backup\backup.exe"),
        task(r"C:\Guard\guard.exe", command_line=r"C:\Guard\guard.exe --block mssecsvc.exe"),
        replace(task(), severity=Severity.LOW),
    ],
)
def test_a_task_or_value_that_may_be_somebodys_is_looked_at(left: Finding) -> None:
    assert {action for action, _target in told(steps_of(left, ENCRYPTED))} == {CleanupAction.LOOK_AT}


def test_a_task_goes_that_a_shell_starts() -> None:
    step, _close = steps_of(task("%ComSpec%", arguments=f'/c "{TASK_LINE}"'), ENCRYPTED)
    assert step.action is CleanupAction.REMOVE_TASK


@pytest.mark.parametrize("other", [finding(FindingKind.NAME, "Windows/tasksche.exe"), RAN])
def test_one_name_told_twice_removes_no_task(other: Finding) -> None:
    """Another maker's task may start its own `tasksche.exe`, which has run."""
    assert {action for action, _target in told(steps_of(task(r"C:\Windows\tasksche.exe"), other))} == {
        CleanupAction.LOOK_AT
    }


@pytest.mark.parametrize(
    ("ran", "action"),
    [(r"\WINDOWS\TASKSCHE.EXE", CleanupAction.LOOK_AT), (r"\WINDOWS\MSSECSVC.EXE", CleanupAction.MOVE_FILE)],
)
def test_a_file_and_a_run_by_its_own_name_are_one_trace(ran: str, action: CleanupAction) -> None:
    """Another maker's program may have this name in this place, and have run."""
    file = replace(finding(FindingKind.NAME, "Windows/tasksche.exe"), id="F2")
    steps = steps_of(file, replace(RAN, facts={"program": ran}))
    assert {step.action for step in steps if "F2" in step.why} - {CleanupAction.STOP_PROGRAM} == {action}


def test_a_run_that_a_digest_tells_is_more_than_a_name() -> None:
    ran = replace(RAN, facts={"program": r"C:\Windows\tasksche.exe", "matched": "sha1"})
    assert (CleanupAction.MOVE_FILE, r"Windows\tasksche.exe") in told(
        steps_of(finding(FindingKind.NAME, "Windows/tasksche.exe"), ran)
    )


def test_a_task_whose_file_is_called_like_a_job_is_removed_as_a_task() -> None:
    step, _close = steps_of(task(path="Windows/System32/Tasks/x.job"), ENCRYPTED)
    assert (step.action, step.target) == (CleanupAction.REMOVE_TASK, "\\xjz")


@pytest.mark.parametrize("other", [service("a", r"C:\tasksche.exe"), finding(FindingKind.NAME, "Windows/tasksche.exe")])
def test_a_task_speaks_for_no_other_removal(other: Finding) -> None:
    assert {action for action, _target in told(steps_of(task(), other))} <= {
        CleanupAction.LOOK_AT,
        CleanupAction.REMOVE_TASK,
        CleanupAction.CLOSE_HOLE,
    }


def test_a_task_goes_with_the_file_that_it_starts() -> None:
    """Whatever that file is called: the plan moves it away."""
    window = finding(FindingKind.DIGEST, "ProgramData/x/u.exe", facts={"description": "ransom window"})
    steps = steps_of(window, task(r"C:\ProgramData\x\u.exe"))
    assert (CleanupAction.REMOVE_TASK, "\\xjz") in told(steps)


@pytest.mark.parametrize(
    ("found", "doubt"),
    [
        (task(task="\\a\x1bb"), ByHand.NAME),
        (task(path="Windows.old/Windows/System32/Tasks/xjz"), ByHand.OTHER_WINDOWS),
        (task(path="WINNT/SysWOW64/Tasks/a/xjz"), ByHand.OTHER_WINDOWS),
        (service("a\nb"), ByHand.NAME),
        (service("a\\b"), ByHand.NAME),
        (service(image="C:\\\ud800\\mssecsvc.exe"), ByHand.NAME),
        (finding(FindingKind.NAME, "Windows/tasksche.exe", digests=Digests()), ByHand.UNCHECKED),
        (finding(FindingKind.NAME, "a\\b/tasksche.exe"), ByHand.NAME),
        (finding(FindingKind.NAME, "Windows /tasksche.exe"), ByHand.NAME),
        (finding(FindingKind.NAME, "a\x1b[1m/tasksche.exe"), ByHand.NAME),
        (finding(FindingKind.NAME, "../tasksche.exe"), ByHand.NAME),
        (finding(FindingKind.NAME, "a\ud800/tasksche.exe"), ByHand.NAME),
        (setting("installer-run-value", value="a\u202eb"), ByHand.NAME),
        (replace(service(), where=Where(volume="v1", path="WINNT/System32/config/SYSTEM")), ByHand.OTHER_WINDOWS),
    ],
)
def test_what_a_script_could_mistake_is_left_to_a_person(found: Finding, doubt: ByHand) -> None:
    assert {step.by_hand for step in infected(found) if step.why} == {doubt}


@pytest.mark.parametrize("name", ["报告/tasksche.exe", "O\u2019Brien/tasksche.exe", "a'b $(c) `d/tasksche.exe"])
def test_unusual_but_plain_names_are_named(name: str) -> None:
    [move] = [step for step in infected(finding(FindingKind.NAME, name)) if step.action is CleanupAction.MOVE_FILE]
    assert (move.target, move.by_hand) == (name.replace("/", "\\"), None)


@pytest.mark.parametrize(
    "found",
    [
        replace(service(), severity=Severity.LOW),
        replace(service(), family="other"),
        setting("pending-program-deletions", SYSTEM),
        setting("pending-user-file-deletions", SYSTEM),
        finding(FindingKind.NAME, "a/tasksche.exe", Severity.LOW),
        finding(FindingKind.NAME, "a/r.wnry", Severity.MEDIUM),
        finding(FindingKind.YARA, "Users/a/Documents/notes.txt"),
        finding(FindingKind.DIGEST, "a/x.exe", family="user"),
        finding(FindingKind.DIGEST, "a/x.exe", facts={"disagrees": "size"}),
        finding(FindingKind.DIGEST, "a/x.exe", facts={"known_good": "yes"}),
        finding(FindingKind.WORK_DIRECTORY, "ProgramData/xjzilhxs261"),
        finding(FindingKind.NAME, "a.txt", where=Where(volume="v1", path="a.txt", stream="mssecsvc.exe")),
        service(image=""),
        service("AntiyGuard", r'"C:\Program Files\Antiy\guard.exe" --block mssecsvc.exe'),
        service("AntiyGuard", r"C:\Program Files\Antiy\guard.exe --block C:\Windows\mssecsvc.exe"),
    ],
)
def test_what_is_doubtful_is_only_looked_at_even_where_other_traces_agree(found: Finding) -> None:
    [step] = [one for one in infected(found) if one.action is not CleanupAction.CLOSE_HOLE]
    assert (step.action, step.why, step.by_hand) == (CleanupAction.LOOK_AT, ("F1",), ByHand.UNCERTAIN)


A_SAMPLE = finding(FindingKind.DIGEST, "Samples/x.bin", facts={"description": "the worm"})
STRINGS = finding(FindingKind.YARA, "Users/a/notes.txt", indicator="WannaCry_Worm_Strings")
COPIED = finding(FindingKind.ENCRYPTED_FILE, "From Bob/b.doc.WNCRY")
OWN_NOTE = finding(FindingKind.RANSOM_NOTE, "Users/a/Documents/@Please_Read_Me@.txt", indicator="ransom-note")


@pytest.mark.parametrize(
    ("found", "others"),
    [
        (finding(FindingKind.NAME, "Users/a/Documents/recipebook100/b.wnry"), [OWN_NOTE, A_SAMPLE, STRINGS, COPIED]),
        (OWN_NOTE, [A_SAMPLE, STRINGS]),
        (service(image=r"C:\Program Files\Scheduler\tasksche.exe"), [replace(A_SAMPLE, severity=Severity.LOW)]),
        (setting("installer-image-run-value"), []),
        (setting("ransom-wallpaper"), []),
    ],
)
def test_a_name_alone_removes_nothing(found: Finding, others: list[Finding]) -> None:
    named = replace(found, id="F2")
    assert {step.action for step in steps_of(named, *others) if "F2" in step.why} == {CleanupAction.LOOK_AT}
    elsewhere = replace(RAN, where=Where(volume="v9", path="x"))
    assert {step.action for step in steps_of(named, elsewhere, *others) if "F2" in step.why} == {CleanupAction.LOOK_AT}
    assert CleanupAction.LOOK_AT not in {step.action for step in infected(named, *others) if "F2" in step.why}


def test_a_note_among_encrypted_files_goes() -> None:
    assert (CleanupAction.MOVE_FILE, r"Users\a\Documents\@Please_Read_Me@.txt") in told(steps_of(OWN_NOTE, COPIED))


@pytest.mark.parametrize(
    ("image", "is_removed"),
    [
        (r"C:\Windows\mssecsvc.exe -m security", True),
        (r'"C:\Program Files\a b\MSSECSVC.EXE" -m security', True),
        (r'cmd.exe /c "C:\ProgramData\xjzilhxs261\tasksche.exe"', True),
        (r'"C:\Windows\system32\cmd.exe" /c "C:\a b\tasksche.exe"', True),
        (r"C:\Users\a\Sample.exe -m security", True),
        (r'%ComSpec% /s/c (start "" /b "C:\Windows\mssecsvc.exe" >nul)', True),
        (r"%HOMEDRIVE%\Users\.\a\sample", True),
        (r"%ALLUSERSPROFILE%\a\b.exe", True),
        (r"cmd.exe /c C:\Windows\mssecsvc.exe & C:\Windows\tasksche.exe", True),
        (r"cmd.exe /c C:\Windows\mssecsvc.exe & C:\Backup\backup.exe --daily", False),
        (r"cmd.exe /c C:\Windows\mssecsvc.exe & del C:\x", False),
        (r"cmd.exe /c del %SystemRoot%\mssecsvc.exe", False),
        (r"cmd.exe /c C:\Windows\mssecsvc.exe & del", False),
        (r"robocopy.exe C:\a D:\a", False),
        (r"C:\robocopy.exe C:\a D:\a", True),
        (r"C:\Users\a\other.exe -m security", False),
        (r"cmd.exe /c echo mssecsvc.exe", False),
        (r"C:\Windows\notmssecsvc.exe", False),
        (r"C:\mssecsvc.exe\guard.exe", False),
        (r"C:\Windows\system32\svchost.exe -k mssecsvc.exe", False),
    ],
)
def test_a_service_goes_where_its_program_is_the_malwares(image: str, is_removed: bool) -> None:
    sample = finding(FindingKind.DIGEST, "Users/a/sample.exe", facts={"description": "the worm"})
    on_xp = finding(FindingKind.DIGEST, "Documents and Settings/All Users/a/b.exe", facts={"description": "installer"})
    in_root = [finding(FindingKind.DIGEST, name, facts={"description": "x"}) for name in ("del", "robocopy.exe")]
    actions = {step.action for step in steps_of(service(image=image), sample, on_xp, *in_root)}
    assert (CleanupAction.REMOVE_SERVICE in actions) is is_removed


@pytest.mark.parametrize(
    "found",
    [
        finding(FindingKind.NAME, "Windows/mssecsvc.exe", deleted=True),
        service(view="older-copy"),
        finding(FindingKind.YARA, "pagefile.sys", Severity.LOW, facts={"weakened": "pieces"}),
        finding(FindingKind.EXECUTION, "Windows/Prefetch/TASKSCHE.EXE-1.pf"),
        finding(FindingKind.ENCRYPTED_FILE, "Users/a/b.doc.WNCRY"),
        finding(FindingKind.NAME, "Users/a/b.doc.WNCRY", Severity.LOW),
        finding(FindingKind.NAME, "Windows/Temp/hibsys.WNCRYT"),
        finding(FindingKind.NAME, "ProgramData/x/f.wnry"),
    ],
)
def test_what_is_gone_or_needed_or_a_mere_trace_is_no_step(found: Finding) -> None:
    assert infected(found) == []


def test_two_signs_of_medium_weight_agree() -> None:
    weak = [finding(kind, "a/r.wnry", Severity.MEDIUM) for kind in (FindingKind.NAME, FindingKind.YARA)]
    assert told(steps_of(*weak)[:1]) == [(CleanupAction.MOVE_FILE, "a\\r.wnry")]


def test_each_hard_link_goes_but_those_that_are_named_like_what_is_needed() -> None:
    links = ("Windows/x", "Users/a/b.docx.WNCRY", "Users/a/00000000.pky")
    digest = finding(
        FindingKind.DIGEST, "", where=Where(volume="v1", path=links[1], other_paths=links[:1], mft_entry=7)
    )
    name = finding(FindingKind.NAME, "", where=Where(volume="v1", path="Windows/qeriuwjhrf", mft_entry=7))
    key = finding(FindingKind.KEY_FILE, "", where=Where(volume="v1", path=links[2], mft_entry=7))
    without_key = told(steps_of(digest, name))
    assert without_key == [
        (CleanupAction.MOVE_FILE, r"Windows\qeriuwjhrf"),
        (CleanupAction.MOVE_FILE, r"Windows\x"),
        (CleanupAction.CLOSE_HOLE, ""),
        (CleanupAction.LOOK_AT, r"Users\a\b.docx.WNCRY"),
    ]
    assert told(steps_of(digest, name, key))[:2] == [
        (CleanupAction.KEEP_FILE, r"Users\a\00000000.pky"),
        (CleanupAction.KEEP_FILE, r"Users\a\b.docx.WNCRY"),
    ]


def test_a_program_is_ended_once_however_many_copies_lie_about() -> None:
    notes = [finding(FindingKind.RANSOM_NOTE, f"Users/{one}/@WanaDecryptor@.exe") for one in "abc"]
    ended = [step for step in infected(*notes) if step.action is CleanupAction.STOP_PROGRAM]
    assert [(step.target, step.expected) for step in ended] == [("@WanaDecryptor@.exe", SHA256)]


def test_only_users_files_are_taken_off_the_list_of_deletions() -> None:
    listed = {USERS_DELETIONS: json.dumps(["C:\\Users\\李雷\\a.doc.WNCRY", "C:\\b\n.doc"]), "value": "Pending"}
    first, second, _close = steps_of(setting("pending-deletions", SYSTEM, **listed))
    assert (first.action, first.target) == (CleanupAction.REMOVE_PENDING_DELETION, "Pending")
    assert {first.expected: first.by_hand, second.expected: second.by_hand} == {
        "C:\\Users\\李雷\\a.doc.WNCRY": None,
        "C:\\b\n.doc": ByHand.NAME,
    }


@pytest.mark.parametrize("indicator", ["pending-program-deletions", "pending-user-file-deletions"])
def test_originals_are_taken_off_any_list_of_a_computer_on_which_the_worm_was_at_work(indicator: str) -> None:
    listed = setting(indicator, SYSTEM, **{USERS_DELETIONS: json.dumps(["C:\\Projects\\orders.csv"])})
    listed = replace(listed, id="F2", severity=Severity.LOW)
    for others, action in (
        ([], CleanupAction.LOOK_AT),
        ([RAN], CleanupAction.LOOK_AT),
        ([service()], CleanupAction.REMOVE_PENDING_DELETION),
        ([OWN_NOTE], CleanupAction.REMOVE_PENDING_DELETION),
    ):
        assert [step.action for step in steps_of(listed, *others) if "F2" in step.why] == [action]


def pending_steps(folder: Path, *renames: str, severity: Severity | None = None) -> list[CleanupStep]:
    """Return the steps for a list in a hive, on a computer where the worm's service is."""
    system_hive(folder / "hive", computer_name="A", services=(), control_sets=1, pending_renames=renames)
    hive = open_hive((folder / "hive").read_bytes(), where=Where(volume="v1", path=SYSTEM))
    findings = examine_hive(hive, HiveKind.SYSTEM).findings
    assert severity is None or {one.severity for one in findings} == {severity}
    return [step for step in steps_of(service(), *findings) if step.action is CleanupAction.REMOVE_PENDING_DELETION]


@needs_tool(HIVE_TOOL)
def test_of_a_list_in_a_hive_installers_and_the_malware_keep_their_entries(tmp_path: Path) -> None:
    document, moved = r"C:\Users\a\Documents\report.docx", r"C:\Windows\Temp\3.WNCRYT"
    others = [r"\??\C:\new.dll", r"!\??\C:\old.dll", r"\??\C:\Windows\tasksche.exe", ""]
    others += [r"\??\C:\Users\a\Desktop\@WanaDecryptor@.exe", ""]
    renames = [rf"\??\{document}", "", *others, rf"\??\{moved}", ""]
    taken_off = pending_steps(tmp_path, *renames)
    assert {step.expected for step in taken_off} == {document, moved}
    assert {step.key for step in taken_off} == {r"ControlSet001\Control\Session Manager"}


@needs_tool(HIVE_TOOL)
def test_plain_originals_are_taken_off_a_list_without_any_container(tmp_path: Path) -> None:
    users = [
        r"C:\Users\a\Documents\contract.pdf", r"C:\Projects\orders.csv", r"D:\photo.jpg", r"UNC\server\share\a.xls",
        r"C:\Users\a\AppData\Local\Microsoft\Outlook\a.pst",
    ]  # fmt: skip
    others = [
        r"C:\Windows\Temp\a.doc", r"C:\Config.Msi\1.rbf", r"C:\Program Files\A\readme.txt", r"E:\setup\a.tmp",
        r"C:\$Recycle.Bin\x.txt", r"C:\ProgramData\a\b.xml", r"C:\9f2e1c", r"C:\Users\a\AppData\Local\Temp\a.txt",
    ]  # fmt: skip
    for antivirus in ([], [r"C:\Windows\tasksche.exe"]):
        renames = [part for path in (*others, *antivirus, *users) for part in (rf"\??\{path}", "")]
        taken_off = pending_steps(tmp_path, *renames, severity=Severity.MEDIUM if antivirus else Severity.LOW)
        assert {step.expected for step in taken_off} == set(users)


def test_what_the_encryptor_switched_off_is_switched_on_only_where_it_had_finished() -> None:
    for wallpaper in ([], [setting("ransom-wallpaper")]):
        actions = [step.action for step in infected(service(), *wallpaper)]
        assert (CleanupAction.RESTORE_RECOVERY in actions) is (len(wallpaper) > 0)
        assert CleanupAction.CLOSE_HOLE in actions


@pytest.mark.parametrize(
    ("version", "has_boot_data"), [("5.1 Service Pack 3", False), ("6.1", True), ("10.0", True), (None, True)]
)
def test_windows_xp_has_no_boot_data_to_set_back(version: str | None, has_boot_data: bool) -> None:
    windows = volume(windows=WindowsInfo(computer_name="A", folder="Windows", version=version))
    [section] = plan_cleanup([service(), setting("ransom-wallpaper"), RAN], [windows]).sections
    assert [len(section.of(CleanupAction.RESTORE_RECOVERY)), len(section.of(CleanupAction.CLOSE_HOLE))] == [
        int(has_boot_data),
        1,
    ]


def test_letters_are_those_that_the_windows_gave_to_the_partition() -> None:
    letters = {"C:": "mbr:12345678:512", "D:": PARTITION.unique_id}
    windows = volume(windows=WindowsInfo(computer_name="A", folder="Windows", drive_letters=letters))
    found = [finding(FindingKind.NAME, "Windows/mssecsvc.exe"), service()]
    [section] = plan_cleanup(found, [windows]).sections
    assert (section.letter, section.serial, section.computer_name) == ("D:", "89AB-CDEF", "A")
    [section] = plan_cleanup(found, [WINDOWS]).sections
    assert section.letter == ""


@pytest.mark.parametrize("evidence", [0, 1])
def test_each_windows_has_a_section_of_its_own_and_steps_by_its_own_traces(evidence: int) -> None:
    second = replace(
        volume("v2", WindowsInfo(computer_name="SECOND", folder="WINNT"), serial="00000000FEEDF00D"), evidence=evidence
    )
    place = Where(volume="v2", path="WINNT/System32/config/SYSTEM")
    ran = replace(RAN, where=Where(volume="v2", path="WINNT/Prefetch/a.pf"))
    findings = [service(), RAN, setting("ransom-wallpaper"), replace(service(), where=place)]
    plan = plan_cleanup([*findings, ran], [volume("v0"), WINDOWS, second])
    told = [(one.volume, one.computer_name, one.windows_folder, one.serial) for one in plan.sections]
    assert told == [("v1", "WIN7-PC", "Windows", "89AB-CDEF"), ("v2", "SECOND", "WINNT", "FEED-F00D")]
    assert {step.by_hand for section in plan.sections for step in section.steps} == {None}
    restored = [len(section.of(CleanupAction.RESTORE_RECOVERY)) for section in plan.sections]
    assert restored == [1, 0]
    [_first, alone] = plan_cleanup(findings, [volume("v0"), WINDOWS, second]).sections
    assert {step.action for step in alone.steps} == {CleanupAction.LOOK_AT}


@pytest.mark.parametrize(
    ("evidence", "letters", "is_moved"), [(0, {}, True), (1, {}, False), (1, {"D:": PARTITION.unique_id}, True)]
)
def test_a_data_drive_belongs_to_the_windows_of_its_disk_or_its_letter(
    evidence: int, letters: dict[str, str], is_moved: bool
) -> None:
    data = replace(volume("v2"), evidence=evidence)
    windows = volume(windows=WindowsInfo(computer_name="A", folder="Windows", drive_letters=letters))
    helper = finding(FindingKind.NAME, "", where=Where(volume="v2", path="taskdl.exe"))
    [section] = plan_cleanup([RAN, helper], [windows, data]).sections
    assert (len(section.of(CleanupAction.MOVE_FILE)) == 1) is is_moved


NAMES = st.sampled_from(
    [
        "report.docx", "a.doc.WNCRY", "1.WNCRYT", "hibsys.WNCRYT", "big.iso.wncyr", "00000000.pky", "00000000.EKY",
        "00000000.dky", "00000000.res", "hiberfil.sys", "notes.txt", "photo.jpg", "old.wcry", "c.wnry", "f.wnry",
    ]
)  # fmt: skip
PLACES = st.sampled_from(["", "Users/a/Documents/", "ProgramData/xjzilhxs261/", "Windows/", "$RECYCLE/"])
FINDINGS = st.builds(
    finding,
    kind=st.sampled_from(FindingKind),
    path=st.builds(str.__add__, PLACES, NAMES),
    severity=st.sampled_from(Severity),
)


@given(st.lists(FINDINGS, max_size=12))
def test_nothing_that_is_needed_is_ever_removed(findings: list[Finding]) -> None:
    needed = ("wncry", "wncryt", "wncyr", "wcry", "pky", "eky", "dky", "res", "sys")
    for step in infected(*findings):
        if step.action in REMOVING:
            name = step.target.rpartition("\\")[2].lower()
            assert name.rpartition(".")[2] not in needed
            assert name not in ("c.wnry", "f.wnry")


@given(st.lists(FINDINGS.filter(lambda one: one.kind is not FindingKind.DIGEST), max_size=12))
def test_no_document_is_removed_for_what_it_contains(findings: list[Finding]) -> None:
    """A rule on content never removes a document; what else could is its digest, or a name that is the malware's."""
    named = {one.where.path for one in findings if one.kind in (FindingKind.NAME, FindingKind.RANSOM_NOTE)}
    for step in infected(*findings):
        if step.action is CleanupAction.MOVE_FILE:
            assert step.target.replace("\\", "/") in named


def _paths(plan: CleanupPlan, *actions: CleanupAction) -> set[str]:
    return {step.target.replace("\\", "/") for section in plan.sections for step in section.of(*actions)}


@pytest.mark.parametrize("stage", Stage)
def test_lab_disk_of_each_stage(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    plan = case_of(disk).report.cleanup
    stand_ins = {one.path for one in disk.of_kind(Kind.STAND_IN)} - {f"ProgramData/{disk.spec.work_directory}/c.wnry"}
    notes = {one.path for one in disk.of_kind(Kind.NOTE)}
    assert _paths(plan, CleanupAction.MOVE_FILE) == stand_ins | notes
    assert plan.removes is (stage is not Stage.NONE)
    kept = {one.path for one in disk.of_kind(Kind.KEY_FILE)}
    assert _paths(plan, CleanupAction.KEEP_FILE) == {path for path in kept if not path.endswith("f.wnry")}
    services = _paths(plan, CleanupAction.DISABLE_SERVICE)
    worm, starter = {"mssecsvc2.0"}, {disk.spec.work_directory}
    assert services == (set() if stage < 2 else worm if stage < 3 else worm | starter)
    assert services == _paths(plan, CleanupAction.REMOVE_SERVICE)
    assert {step.by_hand for section in plan.sections for step in section.of(*REMOVING)} <= {None}


@pytest.mark.parametrize("stage", Stage)
def test_each_file_that_goes_has_the_digest_that_the_disk_has(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    true = {one.path: one.sha256 for one in disk.streams if not one.deleted and one.stream == ""}
    for section in case_of(disk).report.cleanup.sections:
        assert section.serial == "CAFE-F00D"
        for step in section.of(CleanupAction.MOVE_FILE, CleanupAction.KEEP_FILE):
            assert step.expected == true[step.target.replace("\\", "/")]
