"""What Windows itself notes of each step of the infection: event logs and prefetch files; all of it is inert.

A stage has the traces of the one before it and more, minutes apart. Every disk also has what is no trace: starts of
the computer, a service of an administrator's tool with a name of the generator's shape, programs of Windows.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.lab.event_log import LabEvent, write_event_log
from tests.lab.infection import STARTED
from tests.lab.plan import Kind, LabFile
from tests.lab.prefetch import LabPrefetch, write_prefetch
from triage.model.verdict import Stage

LOGS = "Windows/System32/winevt/Logs"
PREFETCH = "Windows/Prefetch"
MINUTE = 60 * 10_000_000
_BEFORE_THE_END = 57 * MINUTE // 2  # encryption starts when the worm has been there for a minute and a half
MANAGER = "Service Control Manager"
AUDITING = "Microsoft-Windows-Security-Auditing"
WORM_DISPLAY_NAME = "Microsoft Security Center (2.0) Service"
RECOVERY_COMMAND = (
    "cmd.exe /c vssadmin delete shadows /all /quiet & wmic shadowcopy delete & bcdedit /set {default} bootstatuspolicy "
    "ignoreallfailures & bcdedit /set {default} recoveryenabled no & wbadmin delete catalog -quiet"
)


def traces(stage: Stage, work_directory: str) -> Iterator[LabFile]:
    """Yield the logs and prefetch files of a disk at a stage."""
    logs = {"System": system_events(stage, work_directory), "Security": security_events(stage)}
    for name, events in logs.items():
        yield LabFile(path=f"{LOGS}/{name}.evtx", content=write_event_log(events), kind=Kind.SYSTEM)
    for prefetch in prefetch_files(stage, work_directory):
        yield LabFile(path=f"{PREFETCH}/{prefetch.file_name}", content=write_prefetch(prefetch), kind=Kind.SYSTEM)


def system_events(stage: Stage, work_directory: str) -> list[LabEvent]:
    """Return the log of system and services."""
    events = [
        _event("Microsoft-Windows-Kernel-General", 12, -90, {"MajorVersion": "6"}),
        _event("EventLog", 6005, -89, {"param1": ""}),
        service_installed("PSEXESVC", r"%SystemRoot%\PSEXESVC.exe", -60),
        service_installed("backupagent365", r"C:\Program Files\Lab\agent.exe", -59),
        _event(MANAGER, 7036, -58, {"param1": "PSEXESVC", "param2": "running", "Binary": _state("PSEXESVC", 4)}),
    ]
    if stage >= Stage.PROPAGATING:
        events += [
            service_installed(WORM_DISPLAY_NAME, r"C:\WINDOWS\mssecsvc.exe -m security", -30),
            _event(
                MANAGER,
                7036,
                -30,
                {"param1": WORM_DISPLAY_NAME, "param2": "running", "Binary": _state("mssecsvc2.0", 4)},
            ),
        ]
    if stage >= Stage.INSTALLED:
        image = rf'cmd.exe /c "C:\ProgramData\{work_directory}\tasksche.exe"'
        events += [
            service_installed(work_directory, image, -29),
            _event(MANAGER, 7009, -28, {"param1": "30000", "param2": work_directory}),
            _event(MANAGER, 7000, -28, {"param1": work_directory, "param2": "%%1053"}),
        ]
    return events


def security_events(stage: Stage) -> list[LabEvent]:
    """Return the log of security, on a computer that notes the programs that are started."""
    events = [process_started(r"C:\Windows\System32\cmd.exe", r"cmd.exe /c dir /s tasksche.exe", -50)]
    if stage >= Stage.FINISHED:
        events += [
            process_started(r"C:\Windows\System32\cmd.exe", RECOVERY_COMMAND, -5),
            process_started(r"C:\Windows\System32\vssadmin.exe", "vssadmin delete shadows /all /quiet", -5),
        ]
    return events


def prefetch_files(stage: Stage, work_directory: str) -> Iterator[LabPrefetch]:
    """Yield what the programs left that ran until a stage."""
    folder = rf"\PROGRAMDATA\{work_directory.upper()}"
    yield program_ran(r"\WINDOWS\SYSTEM32\NOTEPAD.EXE", -80)
    if stage >= Stage.DROPPER_ONLY:
        yield program_ran(r"\WINDOWS\MSSECSVC.EXE", -30)
    if stage >= Stage.INSTALLED:
        yield program_ran(r"\WINDOWS\TASKSCHE.EXE", -29)
    if stage >= Stage.ENCRYPTING:
        yield program_ran(rf"{folder}\TASKSCHE.EXE", -28)
        yield program_ran(rf"{folder}\TASKDL.EXE", -27)
        yield program_ran(rf"{folder}\@WANADECRYPTOR@.EXE", -27)
        for name in ("ATTRIB", "ICACLS", "CSCRIPT", "CMD"):
            yield program_ran(rf"\WINDOWS\SYSTEM32\{name}.EXE", -28)
    if stage >= Stage.FINISHED:
        yield program_ran(rf"{folder}\TASKSE.EXE", -5)
        for name in ("VSSADMIN", "BCDEDIT", "WBADMIN", "REG"):
            yield program_ran(rf"\WINDOWS\SYSTEM32\{name}.EXE", -5)
        yield program_ran(r"\WINDOWS\SYSTEM32\WBEM\WMIC.EXE", -5)


def _moment(minute: int) -> int:
    """Return a moment, as FILETIME, from minutes before the end of it all."""
    return STARTED + _BEFORE_THE_END + minute * MINUTE


def service_installed(service: str, image: str, minute: int) -> LabEvent:
    """Return the event of a new service."""
    values = {
        "ServiceName": service,
        "ImagePath": image,
        "ServiceType": "user mode service",
        "StartType": "auto start",
        "AccountName": "LocalSystem",
    }
    return _event(MANAGER, 7045, minute, values)


def process_started(program: str, command: str, minute: int) -> LabEvent:
    """Return the event of a program that was started."""
    values = {"SubjectUserName": "alice", "NewProcessName": program, "CommandLine": command}
    return _event(AUDITING, 4688, minute, values, channel="Security")


def program_ran(path: str, minute: int, *, version: int = 23) -> LabPrefetch:
    """Return the prefetch file of a program that ran once."""
    name = path.rpartition("\\")[2]
    digest = sum(ord(letter) * 31**at for at, letter in enumerate(path)) & 0xFFFFFFFF  # stands for Windows' own hash
    return LabPrefetch(
        program=name,
        run_times=(_moment(minute),),
        run_count=1,
        paths=(r"\WINDOWS\SYSTEM32\NTDLL.DLL", r"\WINDOWS\SYSTEM32\KERNEL32.DLL", path),
        version=version,
        hash=digest,
    )


def _event(provider: str, event: int, minute: int, data: dict[str, str], channel: str = "System") -> LabEvent:
    return LabEvent(provider=provider, event=event, time=_moment(minute), channel=channel, data=data)


def _state(service: str, state: int) -> str:
    """Return what Windows appends to a change of state: the service's own name and the number of the state."""
    return f"{service}/{state}\0".encode("utf-16-le").hex().upper()
