"""Events → findings, dated events or nothing: what is WannaCry's, and what only resembles it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.lab.event_log import CHUNK_BYTES, LabEvent, write_event_log
from tests.lab.traces import (
    AUDITING,
    MANAGER,
    MINUTE,
    RECOVERY_COMMAND,
    WORM_DISPLAY_NAME,
    process_started,
    security_events,
    service_installed,
    system_events,
)
from triage.examiners import event_logs
from triage.examiners.artefact_file import Surroundings
from triage.examiners.event_logs import examine_event_log
from triage.examiners.programs import Known
from triage.indicators.digests import DigestTable
from triage.indicators.load import builtin_names
from triage.model.entry import StreamForm, Subject
from triage.model.event import Event, EventKind
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, Severity
from triage.model.gap import Gap
from triage.model.verdict import Stage

COMPUTED = "xjzilhxs261"
RENAMED = "qwertyuiop123"
KNOWN = Known(builtin_names(), DigestTable(()), frozenset({COMPUTED}))
SUBJECT = Subject(
    volume="v1",
    mft_entry=77,
    sequence=1,
    attribute_id=0,
    path="Windows/System32/winevt/Logs/System.evtx",
    stream="",
    size_bytes=0,
    initialized_bytes=0,
    form=StreamForm.PLAIN,
)
TIME = 131_390_502_650_000_000
KERNEL = "Microsoft-Windows-Kernel-General"
DEFENDER = "Microsoft-Windows-Windows Defender"


def examined(events: Sequence[LabEvent]) -> tuple[list[Finding], list[Event], list[Gap]]:
    return examined_bytes(write_event_log(events))


def examined_bytes(log: bytes) -> tuple[list[Finding], list[Event], list[Gap]]:
    told = list(examine_event_log(iter([memoryview(log)]), SUBJECT, Surroundings(KNOWN)))
    return (
        [finding for one in told for finding in one.findings],
        [event for one in told for event in one.events],
        [gap for one in told for gap in one.gaps],
    )


def event(provider: str, number: int, **data: str) -> LabEvent:
    return LabEvent(provider=provider, event=number, time=TIME, data=data)


def judged(findings: Sequence[Finding]) -> list[tuple[str, Severity]]:
    return [(one.indicator, one.severity) for one in findings]


def test_each_step_of_the_infection_is_found_in_the_log() -> None:
    findings, events, gaps = examined([*system_events(Stage.FINISHED, COMPUTED), *security_events(Stage.FINISHED)])
    assert judged(findings) == [
        ("worm-service-installed", Severity.HIGH),
        ("worm-service-started", Severity.HIGH),
        ("computed-name-service-installed", Severity.HIGH),
        ("computed-name-service-failed", Severity.HIGH),
        ("computed-name-service-failed", Severity.HIGH),
        ("recovery-command", Severity.MEDIUM),
    ]
    assert [(one.kind, one.family) for one in events] == [
        (EventKind.SYSTEM_STARTED, None),
        (EventKind.SHADOWS_DELETED, None),
    ]
    assert not gaps
    worm = findings[0]
    assert worm.times == {"event": "2017-05-12T07:30:00.0000000Z"}
    assert worm.excerpt == r"C:\WINDOWS\mssecsvc.exe -m security"
    assert worm.facts["service"] == WORM_DISPLAY_NAME
    assert (worm.where.path, worm.where.mft_entry) == (SUBJECT.path, 77)
    assert worm.where.offset_bytes is not None
    assert worm.where.offset_bytes > 4096


def test_a_healthy_log_has_no_finding() -> None:
    findings, _events, gaps = examined([*system_events(Stage.NONE, COMPUTED), *security_events(Stage.NONE)])
    assert not findings
    assert not gaps


def test_a_service_of_a_host_that_was_renamed_is_told_by_its_shape_and_image() -> None:
    log = [
        event(MANAGER, 7000, param1=RENAMED, param2="%%1053"),
        service_installed(RENAMED, rf'cmd.exe /c "C:\Intel\{RENAMED}\tasksche.exe"', 0),
        event(MANAGER, 7000, param1=RENAMED, param2="%%1053"),
    ]
    assert judged(examined(log)[0]) == [
        ("installer-service-installed", Severity.HIGH),
        ("installer-service-failed", Severity.HIGH),
    ]


@pytest.mark.parametrize(
    "look_alike",
    [
        service_installed("PSEXESVC", r"%SystemRoot%\PSEXESVC.exe", 0),
        service_installed("abcdefgh123", r"C:\Windows\abcdefgh123.exe", 0),
        service_installed("spoolsv", r"cmd.exe /c calc.exe", 0),
        event(MANAGER, 7000, param1="abcdefgh123", param2="%%2"),
        event(MANAGER, 7009, param1="30000", param2="Sync Host_Session2"),
        process_started(r"C:\Windows\System32\cmd.exe", "cmd /c dir /od /s /a tasksche.exe", 0),
        process_started(r"C:\Windows\System32\findstr.exe", 'findstr /c:"mssecsvc.exe" report.txt', 0),
        process_started(r"C:\Windows\notepad.exe", r'notepad "C:\notes\icacls . /grant Everyone:F.txt"', 0),
    ],
    ids=["psexec", "shape", "cmd", "failed-shape", "timeout", "search", "findstr", "note"],
)
def test_look_alikes_are_no_finding(look_alike: LabEvent) -> None:
    assert examined([look_alike])[0] == []


@pytest.mark.parametrize(
    ("program", "command", "indicator", "severity"),
    [
        (r"C:\WINDOWS\mssecsvc.exe", "", "worm-in-windows-directory", Severity.HIGH),
        (r"C:\WINDOWS\tasksche.exe", r"C:\WINDOWS\tasksche.exe /i", "installer-in-windows-directory", Severity.HIGH),
        (rf"C:\ProgramData\{COMPUTED}\taskdl.exe", "", "component-in-work-directory", Severity.HIGH),
        (r"C:\Users\a\Desktop\@WanaDecryptor@.exe", "", "ransom-note", Severity.HIGH),
        (r"D:\tools\tasksche.exe", "", "installer", Severity.LOW),
        (r"C:\Windows\System32\cmd.exe", RECOVERY_COMMAND, "recovery-command", Severity.MEDIUM),
        (
            r"C:\Windows\System32\cmd.exe",
            rf'cmd.exe /c "C:\ProgramData\{RENAMED}\tasksche.exe"',
            "installer-command",
            Severity.HIGH,
        ),
        (
            r"C:\Windows\System32\icacls.exe",
            "icacls . /grant Everyone:F /T /C /Q",
            "rights-command",
            Severity.MEDIUM,
        ),
        (
            r"C:\Windows\System32\reg.exe",
            rf'reg add HKCU\X\CurrentVersion\Run /v "{RENAMED}" /t REG_SZ /d "\"C:\Intel\{RENAMED}\tasksche.exe\"" /f',
            "run-value-command",
            Severity.HIGH,
        ),
        (
            r"C:\Windows\System32\cmd.exe",
            "cmd.exe /c start /b @WanaDecryptor@.exe vs",
            "window-command",
            Severity.HIGH,
        ),
    ],
)
def test_programs_and_command_lines(program: str, command: str, indicator: str, severity: Severity) -> None:
    findings, events, _gaps = examined([process_started(program, command, 0)])
    assert judged(findings) == [(indicator, severity)]
    assert not events


SYSTEM = "C:\\Windows\\System32\\"
RUN_VALUE = r'reg add HKLM\SOFTWARE\CurrentVersion\Run /v "abcdefgh123" /t REG_SZ /d "\"C:\x\tasksche.exe\"" /f'


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("findstr.exe", r'findstr /c:"start /b @WanaDecryptor@.exe vs" C:\cases\*.txt'),
        ("findstr.exe", r'findstr /c:"icacls . /grant Everyone:F /T /C /Q" strings.txt'),
        ("powershell.exe", "powershell -c \"Select-String -Pattern 'icacls . /grant Everyone:F /T /C /Q'\""),
        ("wevtutil.exe", f"wevtutil qe Security /q:\"*[EventData[Data='{RECOVERY_COMMAND}']]\""),
        ("notepad.exe", r'notepad.exe "C:\reg add HKLM\CurrentVersion\Run" /v "abcdefgh123" C:\x\tasksche.exe.txt'),
        ("cmd.exe", f"cmd /c echo {RUN_VALUE} >> report.txt"),
        ("cmd.exe", f"{RECOVERY_COMMAND} > report.txt"),
        ("findstr.exe", RUN_VALUE),
        ("notepad.exe", RECOVERY_COMMAND),
    ],
)
def test_who_searches_for_the_command_lines_is_no_infection(program: str, command: str) -> None:
    assert examined([process_started(SYSTEM + program, command, 0)])[0] == []


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("cmd.exe", f"cmd.exe /c {RUN_VALUE}"),
        ("reg.exe", RUN_VALUE.replace("reg add", "reg  add")),
        ("cmd.exe", f'"{SYSTEM}cmd.exe" /d /c "{RUN_VALUE}"'),
    ],
)
def test_the_same_command_is_known_however_it_was_run(program: str, command: str) -> None:
    assert judged(examined([process_started(SYSTEM + program, command, 0)])[0]) == [
        ("run-value-command", Severity.HIGH)
    ]


@pytest.mark.parametrize(
    ("program", "command", "is_attempt"),
    [
        ("findstr.exe", r'findstr /s /i /c:"vssadmin delete shadows" C:\Users\*.log', False),
        ("cmd.exe", "cmd /c echo vssadmin delete shadows", False),
        ("cmd.exe", 'cmd /c findstr "x & vssadmin delete shadows" a.txt', False),
        ("cmd.exe", "cmd.exe /c net stop vss & vssadmin.exe  delete shadows /all", True),
        ("cmd.exe", r'cmd.exe /c "C:\Windows\System32\vssadmin.exe delete shadows /all"', True),
        ("cmd.exe", "cmd.exe /s/c if not exist x (@vssadmin delete shadows /all>nul)", True),
        ("cmd.exe", "cmd.exe /c for %i in (vssadmin) do rem delete shadows", False),
        ("WMIC.exe", "wmic /nointeractive shadowcopy where id!='1' delete", True),
    ],
)
def test_only_who_runs_the_deletion_of_shadow_copies_tried_it(program: str, command: str, is_attempt: bool) -> None:
    _findings, events, _gaps = examined([process_started(SYSTEM + program, command, 0)])
    assert [one.kind for one in events] == [EventKind.SHADOWS_DELETED] * is_attempt
    assert all(one.facts["shows"].startswith("an attempt") for one in events)


def test_tools_that_remove_shadow_copies_are_dated_and_nobodys() -> None:
    log = [
        process_started(r"C:\Windows\System32\vssadmin.exe", "", 0),
        process_started(r"C:\Windows\System32\vssadmin.exe", '"vssadmin.exe"  Delete Shadows /for=C:', 0),
        process_started(r"C:\Windows\System32\wbem\WMIC.exe", "wmic shadowcopy delete", 0),
        process_started(r"C:\Windows\System32\bcdedit.exe", "bcdedit /enum", 0),
    ]
    findings, events, _gaps = examined(log)
    assert not findings
    assert [(one.kind, one.what, one.family) for one in events] == [
        (EventKind.PROGRAM_RUN, "vssadmin.exe", None),
        (EventKind.SHADOWS_DELETED, "vssadmin.exe", None),
        (EventKind.SHADOWS_DELETED, "wmic.exe", None),
        (EventKind.PROGRAM_RUN, "bcdedit.exe", None),
    ]


LAST_ALIVE = "DC0704000500060009003B000D001D00DC070400050006000D003B000D001D00"


@pytest.mark.parametrize(
    ("log", "kind", "what", "facts"),
    [
        (event(KERNEL, 12, MajorVersion="6"), EventKind.SYSTEM_STARTED, "WIN7-PC", {}),
        (event("EventLog", 6006, param1=""), EventKind.SYSTEM_STOPPED, "WIN7-PC", {}),
        (event("USER32", 1074, param1="winlogon.exe", param5="restart"), EventKind.SYSTEM_STOPPED, "WIN7-PC", {}),
        (
            event("EventLog", 6008, param1="9:59:13", Binary=LAST_ALIVE),
            EventKind.SYSTEM_CRASHED,
            "WIN7-PC",
            {"last_alive_utc": "2012-04-06T13:59:13.0290000Z"},
        ),
        (event("Microsoft-Windows-Kernel-Power", 41, BugcheckCode="0"), EventKind.SYSTEM_CRASHED, "WIN7-PC", {}),
        (
            event(KERNEL, 1, OldTime="2017-05-12T08:00:00.000000Z", NewTime="2017-05-11T08:00:00.000000Z"),
            EventKind.CLOCK_CHANGED,
            "WIN7-PC",
            {"changed_by_seconds": "-86400"},
        ),
        (
            event(AUDITING, 4616, PreviousTime="2017-05-12T08:00:00Z", NewTime="2017-05-12T08:02:00Z"),
            EventKind.CLOCK_CHANGED,
            "WIN7-PC",
            {"changed_by_seconds": "120"},
        ),
        (
            LabEvent(
                provider="Microsoft-Windows-Eventlog",
                event=1102,
                time=TIME,
                channel="Security",
                user_data="LogFileCleared",
                data={"SubjectUserName": "alice"},
            ),
            EventKind.LOG_CLEARED,
            "Security",
            {"subject_user_name": "alice"},
        ),
        (
            event(DEFENDER, 1116, **{"Threat Name": "Trojan:Win32/Other", "Path": r"file:_C:\x.exe"}),
            EventKind.MALWARE_DETECTED,
            "Trojan:Win32/Other",
            {"path": r"file:_C:\x.exe"},
        ),
    ],
    ids=["start", "end", "restart", "crash", "power", "clock-back", "clock-audit", "cleared", "antivirus"],
)
def test_what_the_log_tells_of_the_computer_is_dated(
    log: LabEvent, kind: EventKind, what: str, facts: dict[str, str]
) -> None:
    findings, events, _gaps = examined([log])
    assert not findings
    assert [(one.kind, one.what, one.family, one.time_utc) for one in events] == [
        (kind, what, None, "2017-05-12T08:11:05.0000000Z")
    ]
    assert facts.items() <= events[0].facts.items()


def test_a_clock_that_is_only_set_right_is_no_event() -> None:
    small = event(KERNEL, 1, OldTime="2017-05-12T08:00:00.000000Z", NewTime="2017-05-12T08:00:02.500000Z")
    assert examined([small])[1] == []


def test_an_antivirus_that_names_wannacry_is_a_finding() -> None:
    values = {"Threat Name": "Ransom:Win32/WannaCrypt", "Path": r"file:_C:\Windows\tasksche.exe"}
    findings, events, _gaps = examined([event(DEFENDER, 1117, **values)])
    assert judged(findings) == [("antivirus-detection", Severity.MEDIUM)]
    assert findings[0].facts["path"] == values["Path"]
    assert not events


def at(minute: float, provider: str, number: int, **data: str) -> LabEvent:
    return LabEvent(provider=provider, event=number, time=TIME + int(minute * MINUTE), data=data)


def moment(minute: float) -> str:
    """Return a moment as an event's values tell it."""
    return f"{filetime_to_iso(TIME + int(minute * MINUTE))}"


def test_a_start_that_two_providers_note_is_one_event() -> None:
    kernel, service = at(0, KERNEL, 12, MajorVersion="6"), at(4, "EventLog", 6005, param1="")
    later = [at(9, "EventLog", 6005, param1=""), at(8, KERNEL, 12, MajorVersion="6")]  # both orders occur
    events = examined([kernel, service, *later])[1]
    assert [(one.kind, one.time_utc) for one in events] == [
        (EventKind.SYSTEM_STARTED, moment(0)),
        (EventKind.SYSTEM_STARTED, moment(8)),
    ]
    assert {"event": "12", "record": "1", "also_event": "6005", "also_record": "2"}.items() <= events[0].facts.items()


def test_a_crash_that_two_providers_note_is_one_event_with_the_values_of_both() -> None:
    power = at(0, "Microsoft-Windows-Kernel-Power", 41, BugcheckCode="0")
    starts = [at(1, "EventLog", 6005, param1=""), at(0, KERNEL, 12, MajorVersion="6")]
    events = examined([power, *starts, at(1, "EventLog", 6008, param1="", Binary=LAST_ALIVE)])[1]
    assert sorted(one.kind for one in events) == [EventKind.SYSTEM_CRASHED, EventKind.SYSTEM_STARTED]
    [crash] = [one for one in events if one.kind is EventKind.SYSTEM_CRASHED]
    assert {"last_alive_utc": "2012-04-06T13:59:13.0290000Z", "bugcheck_code": "0"}.items() <= crash.facts.items()


@pytest.mark.parametrize(
    "starts",
    [
        [at(0, KERNEL, 12), at(11, "EventLog", 6005)],
        [at(0, KERNEL, 12), at(1, KERNEL, 12)],
    ],
    ids=["late", "same-provider"],
)
def test_two_starts_stay_two(starts: list[LabEvent]) -> None:
    assert len(examined(starts)[1]) == 2


SLEEP = at(0, "Microsoft-Windows-Kernel-Power", 42, TargetState="4")
SET_ON = at(600, KERNEL, 1, NewTime=moment(600), OldTime=moment(0.5))
WAKE = at(600.2, "Microsoft-Windows-Power-Troubleshooter", 1, SleepTime=moment(0), WakeTime=moment(600.1))


@pytest.mark.parametrize("log", [[SLEEP, SET_ON, WAKE], [SLEEP, SET_ON], [SET_ON, WAKE]])
def test_a_wake_from_sleep_is_no_change_of_the_clock(log: list[LabEvent]) -> None:
    assert examined(log)[1] == []


@pytest.mark.parametrize(
    "change",
    [
        at(900, KERNEL, 1, NewTime=moment(2000), OldTime=moment(900)),
        at(0.5, KERNEL, 1, NewTime=moment(-2000), OldTime=moment(0.5)),
    ],
    ids=["later", "back"],
)
def test_a_change_of_the_clock_after_a_sleep_is_one(change: LabEvent) -> None:
    assert [one.kind for one in examined([SLEEP, change, WAKE])[1]] == [EventKind.CLOCK_CHANGED]


def test_of_too_many_the_first_the_oldest_and_the_newest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log began anew at its first chunk: its oldest records stand behind the newest."""
    monkeypatch.setattr(event_logs, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(event_logs, "MOST_AT_EACH_END", 1)
    minutes = (60, 80, 100, 120, 0, 20, 40)
    _findings, events, gaps = examined([at(minute, "EventLog", 6006, param1="") for minute in minutes])
    assert [one.time_utc for one in events] == [moment(minute) for minute in (60, 80, 0, 120)]
    assert [gap.detail for gap in gaps] == ["further records that were read but are not listed: system-stopped, 3"]


def test_damages_that_follow_one_another_are_one_gap() -> None:
    log = write_event_log(system_events(Stage.PROPAGATING, COMPUTED))
    garbage = log[:4096] + b"\xff" * (3 * CHUNK_BYTES)
    _findings, _events, gaps = examined_bytes(garbage)
    assert [(gap.detail, gap.where.offset_bytes, gap.bytes) for gap in gaps] == [
        ("event log: no chunk of a log stands here", 4096, 3 * CHUNK_BYTES)
    ]
