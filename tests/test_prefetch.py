"""Prefetch files: each version the lab writes, beside independent readers; findings, dated programs, damage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from windowsprefetch import Prefetch as Witness

from tests.lab.plan import LAB_FILETIME
from tests.lab.prefetch import LabPrefetch, write_prefetch
from tests.lab.traces import MINUTE, prefetch_files, program_ran
from tests.test_event_examiner import KNOWN, SUBJECT
from triage.artefacts.prefetch import read_prefetch
from triage.examiners.artefact_file import Surroundings
from triage.examiners.prefetch import examine_prefetch
from triage.model.errors import ArtefactError
from triage.model.event import Event, EventKind, EventSource
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap
from triage.model.verdict import Stage

VERSIONS = (17, 23, 26, 30)
COMPUTED = "xjzilhxs261"
PATHS = tuple(rf"\WINDOWS\SYSTEM32\{name}.DLL" for name in ("NTDLL", "KERNEL32", "ADVAPI32"))
TIMES = tuple(LAB_FILETIME - number * MINUTE for number in range(3))


def prefetch(path: str, *, version: int = 23, paths: Sequence[str] = PATHS) -> LabPrefetch:
    times = TIMES if version >= 26 else TIMES[:1]
    name = path.rpartition("\\")[2]
    listed = (*paths, path) if "\\" in path else tuple(paths)
    return LabPrefetch(program=name, run_times=times, run_count=7, paths=listed, version=version)


def examined(file: LabPrefetch, data: bytes | None = None) -> tuple[list[Finding], list[Event], list[Gap]]:
    subject = replace(SUBJECT, path=f"Windows/Prefetch/{file.file_name}")
    pieces = iter([memoryview(write_prefetch(file) if data is None else data)])
    told = list(examine_prefetch(pieces, subject, Surroundings(KNOWN)))
    return (
        [finding for one in told for finding in one.findings],
        [event for one in told for event in one.events],
        [gap for one in told for gap in one.gaps],
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_is_read(version: int) -> None:
    file = prefetch(r"\WINDOWS\TASKSCHE.EXE", version=version)
    read = read_prefetch(write_prefetch(file), file.file_name)
    assert (read.version, read.program, read.hash, read.run_count) == (version, "TASKSCHE.EXE", file.hash, 7)
    assert read.run_times == file.run_times
    assert read.program_path == rf"{file.device}\WINDOWS\TASKSCHE.EXE"
    assert len(read.paths) == 4
    assert read.damage == ""


@pytest.mark.parametrize("version", VERSIONS[:3])  # the witness decompresses on Windows only
def test_an_independent_reader_sees_what_the_lab_wrote(tmp_path: Path, version: int) -> None:
    file = prefetch(r"\WINDOWS\TASKSCHE.EXE", version=version)
    path = tmp_path / file.file_name
    path.write_bytes(write_prefetch(file))
    seen = Witness(str(path))
    assert (seen.executableName, seen.runCount, seen.hash) == ("TASKSCHE.EXE", 7, f"{file.hash:x}")
    assert seen.timestamps[0] == "2017-05-12 08:11:05"
    assert seen.resources[-1] == rf"{file.device}\WINDOWS\TASKSCHE.EXE"


@pytest.mark.parametrize(
    ("path", "indicator", "severity"),
    [
        (r"\WINDOWS\MSSECSVC.EXE", "worm-in-windows-directory", Severity.HIGH),
        (r"\USERS\A\MSSECSVC.EXE", "worm", Severity.MEDIUM),
        (r"\WINDOWS\TASKSCHE.EXE", "installer-in-windows-directory", Severity.HIGH),
        (r"\PROGRAMDATA\XJZILHXS261\TASKSCHE.EXE", "installer-in-work-directory", Severity.HIGH),
        (r"\TOOLS\TASKSCHE.EXE", "installer", Severity.LOW),
        ("TASKSCHE.EXE", "installer", Severity.LOW),
        (r"\INTEL\XJZILHXS261\TASKDL.EXE", "component-in-work-directory", Severity.HIGH),
        ("TASKSE.EXE", "helper-program", Severity.MEDIUM),
        (r"\INTEL\XJZILHXS261\TASKDATA\TOR\TASKHSVC.EXE", "tor-host", Severity.HIGH),
        ("TASKHSVC.EXE", "tor-host-elsewhere", Severity.LOW),
        ("@WANADECRYPTOR@.EXE", "ransom-note", Severity.HIGH),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_programs_of_wannacry_are_findings(path: str, indicator: str, severity: Severity, version: int) -> None:
    device = r"\VOLUME{01d1217a9c4c6779-8c9f49ec}" if version == 30 else r"\DEVICE\HARDDISKVOLUME2"
    findings, events, gaps = examined(replace(prefetch(path, version=version), device=device))
    assert [(one.kind, one.indicator, one.severity) for one in findings] == [
        (FindingKind.EXECUTION, indicator, severity)
    ]
    expected = ["2017-05-12T08:11:05.0000000Z", "2017-05-12T08:10:05.0000000Z", "2017-05-12T08:09:05.0000000Z"]
    times = expected if version >= 26 else expected[:1]
    assert findings[0].times == {f"run_{number}": time for number, time in enumerate(times, 1)}
    assert findings[0].facts["run_count"] == "7"
    assert findings[0].facts["hash"] == "12345678"
    assert not events
    assert not gaps


def test_tools_of_windows_are_dated_and_nobodys() -> None:
    findings, events, gaps = examined(prefetch(r"\WINDOWS\SYSTEM32\VSSADMIN.EXE", version=30))
    assert not findings
    assert not gaps
    assert [(one.kind, one.source, one.what, one.family) for one in events] == [
        (EventKind.PROGRAM_RUN, EventSource.PREFETCH, "vssadmin.exe", None)
    ] * 3


@pytest.mark.parametrize("name", ["TASKSCHEDULER.EXE", "TASKHOST.EXE", "NOTEPAD.EXE", "MSSECES.EXE"])
def test_other_programs_tell_nothing(name: str) -> None:
    assert examined(prefetch(rf"\WINDOWS\SYSTEM32\{name}")) == ([], [], [])


def test_a_program_of_any_name_that_had_components_open_is_a_finding() -> None:
    paths = [rf"\PROGRAMDATA\X\{letter}.WNRY" for letter in "BCT"]
    findings, _events, _gaps = examined(prefetch(r"\USERS\A\ED01EBFB.EXE", paths=paths))
    assert [(one.indicator, one.severity) for one in findings] == [("loaded-components", Severity.MEDIUM)]
    assert examined(prefetch(r"\USERS\A\ED01EBFB.EXE", paths=paths[:2]))[0] == []


def test_the_stages_of_the_lab_leave_what_they_run() -> None:
    told = [examined(file) for file in prefetch_files(Stage.FINISHED, COMPUTED)]
    names = {one.indicator for findings, _events, _gaps in told for one in findings}
    assert names == {
        "worm-in-windows-directory",
        "installer-in-windows-directory",
        "installer-in-work-directory",
        "component-in-work-directory",
        "ransom-note",
    }
    tools = {one.what for _findings, events, _gaps in told for one in events}
    assert {"vssadmin.exe", "wmic.exe", "bcdedit.exe", "wbadmin.exe", "attrib.exe", "icacls.exe"} <= tools


@pytest.mark.parametrize("version", VERSIONS)
def test_of_a_file_that_is_cut_its_name_still_tells_the_program(version: int) -> None:
    file = prefetch(r"\WINDOWS\TASKSE.EXE", version=version)
    findings, _events, gaps = examined(file, write_prefetch(file)[:150])
    assert [(one.indicator, one.times) for one in findings] == [("helper-program", {})]
    assert [gap.detail.partition(":")[0] for gap in gaps] == ["prefetch file cannot be read"]


def test_a_file_that_does_not_agree_with_itself_is_told() -> None:
    file = prefetch(r"\WINDOWS\SYSTEM32\CMD.EXE")
    data = write_prefetch(file)
    assert (
        read_prefetch(data + bytes(8), file.file_name).damage
        == f"is {len(data) + 8} bytes long and should be {len(data)}"
    )
    assert "with the hash 12345678" in read_prefetch(data, "CMD.EXE-00000001.pf").damage
    assert "tells of CMD.EXE" in read_prefetch(data, "REG.EXE-12345678.pf").damage
    gaps = examined(file, data + bytes(8))[2]
    assert [gap.detail for gap in gaps] == [f"prefetch file is {len(data) + 8} bytes long and should be {len(data)}"]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(VERSIONS),
    st.lists(st.tuples(st.integers(0, 500), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
)
def test_a_damaged_file_gives_its_program_or_a_gap(version: int, changes: list[tuple[int, bytes]]) -> None:
    file = program_ran(r"\WINDOWS\MSSECSVC.EXE", 0, version=version)
    data = bytearray(write_prefetch(file))
    for at, piece in changes:
        data[at : at + len(piece)] = piece
    findings, _events, gaps = examined(file, bytes(data))
    assert findings or gaps


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=4096))
def test_anything_else_is_no_prefetch_file(data: bytes) -> None:
    with pytest.raises(ArtefactError):
        read_prefetch(data, "CMD.EXE-12345678.pf")
