"""Services → findings, and `triage hive` on one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab.hives import (
    HIVE_TOOL,
    PLAIN_SERVICES,
    WORM_SERVICE,
    LabService,
    empty_hive,
    software_hive,
    system_hive,
    work_directory_service,
)
from tests.needs import needs_tool
from tests.parsed_hives import examine_hive_file, parse_system
from triage.artefacts.locate import HiveKind
from triage.examiners.services import examine_services
from triage.indicators.work_directory import work_directory_name
from triage.model.errors import ArtefactError
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where

WHERE = Where(volume="v2", path="WINDOWS/system32/config/system", mft_entry=77)
COMPUTER = "WIN7-PC"
COMPUTED = "xjzilhxs261"

pytestmark = needs_tool(HIVE_TOOL)


def examined(folder: Path, services: Sequence[LabService], *, control_sets: int = 1) -> tuple[Finding, ...]:
    path = folder / "SYSTEM"
    system_hive(path, computer_name=COMPUTER, services=services, control_sets=control_sets)
    system = parse_system(path.read_bytes(), WHERE)
    assert system.gaps == ()
    assert system.windows.computer_name == COMPUTER
    return examine_services(system, work_directory_name=work_directory_name(COMPUTER))


def service(name: str, image_path: str, display_name: str = "") -> LabService:
    return LabService(name=name, image_path=image_path, display_name=display_name)


@pytest.mark.parametrize(
    ("met", "indicator", "severity"),
    [
        (WORM_SERVICE, "worm-service", Severity.HIGH),
        (service("mssecsvc2.1", "x.exe"), "worm-service", Severity.HIGH),
        (service("fmssecsvc2.0", "x.exe"), "worm-service", Severity.HIGH),
        (service("MSSECSVC2", "x.exe"), "worm-service", Severity.HIGH),
        (service("harmless", r"D:\MSSecSvc.exe -m security"), "worm-service", Severity.HIGH),
        (service("harmless", "x.exe", "mssecsvc"), "worm-service", Severity.HIGH),
        (service("a", "x", "Microsoft Security Center (2.1) Service"), "worm-service", Severity.HIGH),
        (work_directory_service(COMPUTED), "computed-name-service", Severity.HIGH),
        (service(COMPUTED, "x.exe"), "computed-name-service", Severity.HIGH),
        (work_directory_service("abcdefgh123"), "installer-service", Severity.HIGH),
        (service("abcdefgh123", r'"C:\Intel\abcdefgh123\TASKSCHE.EXE" /i'), "installer-service", Severity.HIGH),
        (service("abcdefgh123", r'%ComSpec% /c "x"', "mssecsvc"), "worm-service", Severity.HIGH),
        (service("a", r"C:\WINDOWS\system32\cmd.exe /q /c C:\WINDOWS\mssecsvc.exe"), "worm-service", Severity.HIGH),
        (service("abcdefghijklmno999", r'cmd /c ""C:\my own\tasksche.exe" /i"'), "installer-service", Severity.HIGH),
        (service("abcdefghijklmno999", "TASKSCHE.EXE"), "installer-image-service", Severity.LOW),
        (service("Updater", r"C:\Tools\tasksche.exe /i"), "installer-image-service", Severity.LOW),
        (
            service("taskscheduler100", r'"C:\Program Files\Scheduler\tasksche.exe" /service'),
            "installer-image-service",
            Severity.LOW,
        ),
        (
            service("taskscheduler100", r"C:\Program Files\Scheduler\tasksche.exe /service"),
            "installer-image-service",
            Severity.LOW,
        ),
        (
            service("abcdefgh123", r'%ComSpec% /c "C:\ProgramData\abcdefgh123\tasksche.exe"'),
            "installer-service",
            Severity.HIGH,
        ),
        (service("abcdefgh123", r"%ProgramData%\abcdefgh123\tasksche"), "installer-service", Severity.HIGH),
        (service("a", r"C:\Windows\mssecsvc"), "worm-service", Severity.HIGH),
        (service("a", r"%ComSpec% /c C:\Windows\mssecsvc.exe"), "worm-service", Severity.HIGH),
        (service("a", r"cmd.exe /s/c (@C:\Windows\mssecsvc.exe>nul&x)"), "worm-service", Severity.HIGH),
        (service("a", r"cmd /cC:\Backup\backup.exe & C:\Windows\mssecsvc.exe"), "worm-service", Severity.HIGH),
        (
            service("abcdefgh12", r'cmd.exe /c "C:\x\tasksche.exe"'),
            "installer-image-service",
            Severity.MEDIUM,
        ),
    ],
)
def test_service_is_found(tmp_path: Path, met: LabService, indicator: str, severity: Severity) -> None:
    [finding] = examined(tmp_path, [*PLAIN_SERVICES, met])
    assert (finding.indicator, finding.severity, finding.kind) == (indicator, severity, FindingKind.SERVICE)
    assert finding.facts["service"] == met.name


@pytest.mark.parametrize(
    "harmless",
    [
        service("abcdefgh123", r"C:\Program Files\Backup\agent.exe"),
        service("Schedule", r"%SystemRoot%\system32\tasksche.exe.bak"),
        service("Schedule", r"C:\mytasksche.exe"),
        service("AntiyGuard", r'"C:\Program Files\Antiy\guard.exe" --block mssecsvc.exe'),
        service("AntiyGuard", r"C:\Program Files\Antiy\guard.exe --block C:\mssecsvc.exe tasksche.exe"),
        service("abcdefgh123", r'cmd.exe /d "C:\x\agent.exe" /c tasksche.exe'),
        service("abcdefgh123", ""),
        service("a", r"cmd.exe /c call :mssecsvc & x"),
        service("LabImmune", r"cmd.exe /c del %SystemRoot%\mssecsvc.exe"),
        service("abcdefgh123", r"%ComSpec% /c if exist C:\x\tasksche.exe del C:\x\tasksche.exe"),
        service("abcdefgh123", r"cmd.exe /c icacls C:\ProgramData\abcdefgh123\tasksche.exe /deny Everyone:X"),
        service("secsvc", r"%SystemRoot%\system32\svchost.exe", "Microsoft Security Center Service"),
    ],
)
def test_ordinary_services_are_not_found(tmp_path: Path, harmless: LabService) -> None:
    assert examined(tmp_path, [*PLAIN_SERVICES, harmless]) == ()


def test_finding_can_be_reproduced_by_hand(tmp_path: Path) -> None:
    first, second = examined(tmp_path, [WORM_SERVICE], control_sets=2)
    assert (first.where.volume, first.where.path, first.where.mft_entry) == ("v2", WHERE.path, 77)
    assert first.times == {"key_last_written": "2017-05-12T07:29:56.0000000Z"}
    assert first.excerpt == WORM_SERVICE.image_path
    assert first.facts == {
        "service": "mssecsvc2.0",
        "key": r"ControlSet001\Services\mssecsvc2.0",
        "control_set": "1",
        "control_set_role": "current",
        "display_name": "Microsoft Security Center (2.0) Service",
        "image_path": r"C:\WINDOWS\mssecsvc.exe -m security",
        "object_name": "LocalSystem",
        "type": "16",
        "start": "2",
    }
    assert (second.facts["control_set"], second.facts["control_set_role"]) == ("2", "last-known-good")
    offset = first.where.offset_bytes
    assert offset is not None
    assert b"mssecsvc2.0" in (tmp_path / "SYSTEM").read_bytes()[offset : offset + 90]


def test_only_a_control_set_that_holds_it_gives_a_finding(tmp_path: Path) -> None:
    old = LabService(name="mssecsvc2.0", image_path="x", control_sets=(2,))
    [finding] = examined(tmp_path, [old], control_sets=2)
    assert finding.facts["key"] == r"ControlSet002\Services\mssecsvc2.0"


def test_report_of_a_system_hive(tmp_path: Path) -> None:
    path = tmp_path / "copied.bin"
    system_hive(path, computer_name=COMPUTER, services=[*PLAIN_SERVICES, work_directory_service(COMPUTED)])
    report = examine_hive_file(path.read_bytes(), "copied.bin")
    assert (report.content, report.gaps) == (HiveKind.SYSTEM, ())
    assert report.services_by_control_set == {1: 4, 2: 4}
    assert report.windows.work_directory_name == COMPUTED
    assert [finding.indicator for finding in report.findings] == ["computed-name-service"] * 2
    assert report.findings[0].where.path == "copied.bin"
    assert (report.size.keys, report.size.values) == (26, 58)


def test_report_of_other_hives(tmp_path: Path) -> None:
    software_hive(tmp_path / "SOFTWARE", build="7601")
    software = examine_hive_file((tmp_path / "SOFTWARE").read_bytes(), "SOFTWARE")
    assert (software.content, software.windows.build) == (HiveKind.SOFTWARE, "7601")
    other = examine_hive_file(empty_hive(), "empty")
    assert (other.content, other.size.keys, other.size.values) == (HiveKind.OTHER, 1, 0)
    assert (other.findings, other.gaps) == ((), ())
    with pytest.raises(ArtefactError, match=r"notes\.txt: not a registry hive"):
        examine_hive_file(b"text" * 4096, "notes.txt")
