"""Settings that WannaCry leaves in SOFTWARE and users' hives, files that vanish at the next start, and look-alikes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.hives import HIVE_TOOL, PLAIN_SERVICES, software_hive, system_hive, user_hive
from tests.needs import needs_tool
from triage.artefacts.hive import open_hive
from triage.artefacts.locate import HiveKind
from triage.artefacts.pending_renames import PendingRename
from triage.artefacts.system import read_system
from triage.examiners.registry import ExaminedHive, examine_hive
from triage.indicators.work_directory import work_directory_name
from triage.model.finding import FindingKind, Severity
from triage.model.gap import Where
from triage.model.verdict import Stage
from triage.verdict.signs import stage_of

pytestmark = needs_tool(HIVE_TOOL)

COMPUTED = work_directory_name("WIN7-PC")
RUN = r"Microsoft\Windows\CurrentVersion\Run"
WORK = rf"C:\ProgramData\{COMPUTED}"
DOCUMENT = r"C:\Users\a\Documents\report.docx"


def examined(path: Path, kind: HiveKind) -> ExaminedHive:
    hive = open_hive(path.read_bytes(), where=Where(path=path.name))
    told = examine_hive(hive, kind, frozenset({COMPUTED}))
    assert hive.gaps == ()
    return told


@pytest.mark.parametrize(
    ("key", "name", "text", "indicator", "stage"),
    [
        ("WanaCrypt0r", "wd", WORK, "work-directory-value", Stage.INSTALLED),
        (r"Wow6432Node\WanaCrypt0r", "WD", WORK, "work-directory-value", Stage.INSTALLED),
        (RUN, COMPUTED, rf'"{WORK}\tasksche.exe"', "computed-name-run-value", Stage.FINISHED),
        (rf"Wow6432Node\{RUN}", COMPUTED, "anything", "computed-name-run-value", Stage.FINISHED),
        (RUN, "abcdefgh123", r'"C:\Intel\abcdefgh123\tasksche.exe"', "installer-run-value", Stage.FINISHED),
        (RUN, "abcdefgh123", r"%ComSpec% /c %TEMP%\abcdefgh123\tasksche", "installer-run-value", Stage.FINISHED),
        (RUN, "abcdefgh123", r"cmd /c x&C:\abcdefgh123\.\tasksche.exe", "installer-run-value", Stage.FINISHED),
        (RUN, "Updater", r"D:\tasksche.exe /i", "installer-image-run-value", None),
        (RUN, "taskscheduler100", r'"C:\Scheduler\tasksche.exe"', "installer-image-run-value", None),
    ],
)
@pytest.mark.parametrize("of_user", [False, True])
def test_settings_are_found_in_software_and_in_users_hives(
    tmp_path: Path, key: str, name: str, text: str, indicator: str, stage: Stage | None, of_user: bool
) -> None:
    path = tmp_path / "hive"
    if of_user:
        user_hive(path, {rf"Software\{key}": {name: text}})
    else:
        software_hive(path, settings={key: {name: text}})
    [finding] = examined(path, HiveKind.USER if of_user else HiveKind.SOFTWARE).findings
    assert (finding.kind, finding.indicator, finding.excerpt) == (FindingKind.REGISTRY, indicator, text)
    assert (finding.facts["value"], finding.facts["key"].casefold()[-len(key) :]) == (name, key.casefold())
    assert finding.times == {"key_last_written": "2017-05-12T08:11:05.0000000Z"}
    assert path.read_bytes()[finding.where.offset_bytes or 0 :][:2] == b"nk"
    assert stage_of(finding) is stage


def test_wallpaper_of_the_ransom_note(tmp_path: Path) -> None:
    picture = r"C:\Users\a\Desktop\@WanaDecryptor@.bmp"
    user_hive(tmp_path / "hive", {r"Control Panel\Desktop": {"Wallpaper": picture}})
    [finding] = examined(tmp_path / "hive", HiveKind.USER).findings
    assert (finding.indicator, finding.severity, stage_of(finding)) == (
        "ransom-wallpaper",
        Severity.HIGH,
        Stage.FINISHED,
    )


def test_look_alikes_are_no_findings(tmp_path: Path) -> None:
    harmless = {
        "abcdefgh123": r"C:\Program Files\Backup\agent.exe",
        "tasksche": r"C:\Windows\System32\tasksche.exe.bak",
        "Schedule": r"C:\mytasksche.exe",
        "abcdefgh124": r"cmd.exe /c del C:\abcdefgh124\tasksche.exe",
        "Guard": r"C:\guard.exe --block C:\tasksche.exe",
    }
    notes = {r"Software\Notes": {"wd": WORK, "Run": "tasksche.exe"}}
    wallpaper = {r"Control Panel\Desktop": {"Wallpaper": r"C:\pictures\about @WanaDecryptor@.bmp.jpg"}}
    user_hive(tmp_path / "hive", {rf"Software\{RUN}": harmless, **notes, **wallpaper})
    assert examined(tmp_path / "hive", HiveKind.USER).findings == ()


def pending(path: Path, *strings: str) -> ExaminedHive:
    system_hive(path, computer_name="WIN7-PC", services=PLAIN_SERVICES, control_sets=1, pending_renames=strings)
    return examined(path, HiveKind.SYSTEM)


def test_pending_deletions_are_decoded_with_their_warning(tmp_path: Path) -> None:
    filler = r"C:\Windows\Temp\hibsys.WNCRYT"
    strings = [rf"\??\{DOCUMENT}", "", r"\??\C:\new.dll", r"!\??\C:\old.dll", rf"\??\{filler}", ""]
    told = pending(tmp_path / "SYSTEM", *strings)
    [finding] = told.findings
    assert (finding.indicator, finding.severity, finding.excerpt) == ("pending-deletions", Severity.MEDIUM, filler)
    assert stage_of(finding) is Stage.ENCRYPTING
    assert finding.facts["key"] == r"ControlSet001\Control\Session Manager"
    assert (finding.facts["deletions"], finding.facts["renames"]) == ("2", "1")
    assert finding.facts["files"].split("\n") == [DOCUMENT, filler, r"C:\new.dll -> C:\old.dll"]
    assert "vanish at the next start" in finding.facts["warning"]
    assert told.system is not None
    [operations] = [one.operations for one in told.system.pending_renames]
    assert operations == (
        PendingRename(source=DOCUMENT, target=""),
        PendingRename(source=r"C:\new.dll", target=r"C:\old.dll"),
        PendingRename(source=filler, target=""),
    )


@pytest.mark.parametrize(
    ("path", "indicator", "severity"),
    [
        (rf"{WORK}\tasksche.exe", "pending-program-deletions", Severity.MEDIUM),
        (DOCUMENT, "pending-user-file-deletions", Severity.LOW),
        (r"C:\Users\a\AppData\Local\Temp\setup.tmp", None, None),
        (r"C:\Windows\Installer\MSI12.tmp", None, None),
    ],
)
def test_other_pending_deletions(tmp_path: Path, path: str, indicator: str | None, severity: Severity | None) -> None:
    findings = pending(tmp_path / "SYSTEM", rf"\??\{path}", "").findings
    assert [(one.indicator, one.severity) for one in findings] == ([] if indicator is None else [(indicator, severity)])
    assert [stage_of(one) for one in findings] == [None] * len(findings)


def test_a_list_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "SYSTEM"
    strings = (rf"\??\{DOCUMENT}", "", "tail")
    system_hive(path, computer_name="WIN7-PC", services=(), control_sets=1, pending_renames=strings)
    tail = "tail".encode("utf-16-le")
    cut = path.read_bytes().replace(tail + bytes(4), tail + b"y\0y\0")
    hive = open_hive(cut, where=Where())
    [renames] = read_system(hive).pending_renames
    assert renames.operations == (PendingRename(source=DOCUMENT, target=""),)
    assert [gap.detail for gap in hive.gaps] == [
        r"key \ControlSet001\Control\Session Manager: the list of files to rename at the next start is cut off"
    ]
