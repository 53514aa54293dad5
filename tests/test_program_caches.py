"""Programs that Windows noted: the malware's by path or digest, others not, in ShimCache, Amcache, RecentFileCache."""

from __future__ import annotations

import lzma
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from regipy.plugins.amcache.amcache import AmCachePlugin
from regipy.registry import RegistryHive

from tests.lab.amcaches import AMCACHE_PATH, RECENT_PATH, LabAmcacheFile, amcache_hive, recent_file_cache
from tests.lab.hive_logs import dirty_hive, new_log, with_sequences
from tests.lab.hives import HIVE_TOOL, PLAIN_SERVICES, system_hive
from tests.lab.shimcaches import WRITERS, LabProgram, write_7, write_xp
from tests.needs import data_path, needs_data, needs_tool
from tests.parsed_hives import examine_hive_file
from tests.test_registry_survey import CONFIG, case_with
from triage.artefacts.amcache import read_amcache
from triage.artefacts.hive import open_hive
from triage.artefacts.program_path import volume_path
from triage.artefacts.recent_file_cache import parse_recent_file_cache
from triage.examiners.hive_report import HiveReport
from triage.examiners.programs import DESTROYERS
from triage.indicators.load import load_builtin
from triage.indicators.work_directory import work_directory_name
from triage.model.errors import ExitCode, ParseError
from triage.model.event import EventKind, EventSource
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import GapKind, Where
from triage.model.verdict import Outcome

pytestmark = needs_tool("mkntfs", "ntfs-3g", HIVE_TOOL)

COMPUTED = work_directory_name("WIN7-PC")
WORM_SHA1 = next(one.sha1 for one in load_builtin().indicators if one.sha1 and one.severity is Severity.HIGH)
PLAIN_SHA1 = "0" * 39 + "1"
RUN = 131_390_478_900_000_000
NOTEPAD = LabProgram(path=r"\??\C:\Windows\System32\notepad.exe")


def system_with(folder: Path, cache: bytes, *, key: str = "AppCompatCache", control_sets: int = 1) -> bytes:
    path = folder / "SYSTEM"
    system_hive(
        path,
        computer_name="WIN7-PC",
        services=PLAIN_SERVICES,
        control_sets=control_sets,
        shimcache=cache,
        shimcache_key=key,
    )
    return path.read_bytes()


def report_of(folder: Path, *programs: LabProgram, form: str = "7") -> HiveReport:
    return examine_hive_file(system_with(folder, WRITERS[form][1]([*programs, NOTEPAD])), "SYSTEM")


def amcache_report(folder: Path, *files: LabAmcacheFile) -> HiveReport:
    amcache_hive(folder / "Amcache.hve", files)
    return examine_hive_file((folder / "Amcache.hve").read_bytes(), "Amcache.hve")


def one_finding(report: HiveReport) -> Finding:
    [finding] = report.findings
    assert finding.kind is FindingKind.EXECUTION
    return finding


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(
    ("path", "indicator", "severity"),
    [
        (r"\??\C:\WINDOWS\mssecsvc.exe", "worm-in-windows-directory", "high"),
        (r"SYSVOL\Windows\tasksche.exe", "installer-in-windows-directory", "high"),
        (r"C:\Windows\qeriuwjhrf", "previous-installer-in-windows-directory", "high"),
        (rf"C:\ProgramData\{COMPUTED}\tasksche.exe", "installer-in-work-directory", "high"),
        (rf"C:\Intel\{COMPUTED}\taskdl.exe", "component-in-work-directory", "high"),
        (rf"\Device\HarddiskVolume2\elsewhere\{COMPUTED}\111.exe", "program-in-computed-work-directory", "high"),
        (r"C:\Users\bob\Desktop\@WanaDecryptor@.exe", "ransom-note", "high"),
        (r"C:\Users\bob\mssecsvc.exe", "worm", "medium"),
        (r"C:\Tools\tasksche.exe", "installer", "low"),
    ],
)
def test_malware_in_its_place(tmp_path: Path, form: str, path: str, indicator: str, severity: str) -> None:
    finding = one_finding(report_of(tmp_path, LabProgram(path=path, executed=True), form=form))
    assert (finding.indicator, finding.severity, finding.excerpt) == (indicator, severity, path)
    assert finding.facts["noted_in"] == "shimcache"
    assert finding.facts["executed"] == ("yes" if form.startswith(("vista", "7", "8")) else "not-told")
    assert finding.times["file_modified"] == filetime_to_iso(LabProgram(path="").file_modified)
    assert finding.times.keys() <= {"file_modified", "cache_updated", "cache_written"}


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Windows\System32\taskschd.exe",
        r"C:\Program Files\mssecsvc\update.exe",
        r"C:\Windows\mssecsvc.exe.config",
        r"C:\ProgramData\aaaaaaaa111\setup.exe",
        r"C:\Windows\System32\vssadmin.exe",
        "",
    ],
)
def test_what_only_resembles_it_is_no_finding(tmp_path: Path, path: str) -> None:
    report = report_of(tmp_path, LabProgram(path=path or "x"))
    assert (report.findings, report.gaps) == ((), ())


def test_the_same_entry_in_two_control_sets_is_told_once(tmp_path: Path) -> None:
    data = system_with(tmp_path, write_7([LabProgram(path=r"C:\Windows\mssecsvc.exe")]), control_sets=2)
    finding = one_finding(examine_hive_file(data, "SYSTEM"))
    assert (finding.facts["control_sets"], finding.facts["executed"]) == ("1, 2", "no")


def test_a_cache_of_xp_stands_under_another_key_and_dates_destroyers(tmp_path: Path) -> None:
    programs = [LabProgram(path=rf"\??\C:\WINDOWS\system32\{name}", updated=RUN) for name in sorted(DESTROYERS)]
    data = system_with(tmp_path, write_xp([*programs, NOTEPAD]), key="AppCompatibility")
    case = case_with(tmp_path, {f"{CONFIG}/SYSTEM": data})
    events = [one for one in case.report.timeline.events if one.source is EventSource.SHIMCACHE]
    assert [one.what for one in events] == sorted(DESTROYERS)
    assert {(one.kind, one.time_utc, one.family) for one in events} == {
        (EventKind.PROGRAM_RUN, filetime_to_iso(RUN), None)
    }
    assert (case.report.findings, case.report.verdict.outcome) == ((), Outcome.NO_KNOWN_INDICATORS)


@pytest.mark.parametrize("cache", [b"\xff" * 400, write_7([NOTEPAD, NOTEPAD])[:-8]])
def test_a_damaged_cache_is_a_gap_that_leaves_nothing_open(tmp_path: Path, cache: bytes) -> None:
    case = case_with(tmp_path, {f"{CONFIG}/SYSTEM": system_with(tmp_path, cache)})
    [gap] = case.report.gaps
    assert (gap.kind, gap.material) == (GapKind.ARTEFACT, False)
    assert r"\ControlSet001\Control\Session Manager\AppCompatCache" in gap.detail
    assert case.exit_code is ExitCode.OK


# --- Amcache ---


@pytest.mark.parametrize("layout", ["File", "InventoryApplicationFile"])
def test_amcache_knows_a_file_by_its_digest_whatever_it_is_called(tmp_path: Path, layout: str) -> None:
    file = LabAmcacheFile(path=r"c:\users\bob\invoice.exe", sha1=str(WORM_SHA1), layout=layout)
    finding = one_finding(amcache_report(tmp_path, file, LabAmcacheFile(path=r"c:\a.exe", layout=layout)))
    assert (finding.indicator, finding.severity) == (WORM_SHA1, Severity.HIGH)
    assert (finding.digests.sha1, finding.facts["matched"], finding.facts["noted_in"]) == (WORM_SHA1, "sha1", "amcache")
    assert finding.facts["executed"] == "not-told"
    expected = {"file_modified", "file_created", "key_last_written"} if layout == "File" else {"inventoried"}
    assert finding.times.keys() == expected


def test_amcache_on_a_volume_is_held_against_the_names_of_this_computer(tmp_path: Path) -> None:
    files = [
        LabAmcacheFile(path=rf"d:\x\{COMPUTED}\u.exe", layout="InventoryApplicationFile"),
        LabAmcacheFile(path=r"c:\windows\system32\vssadmin.exe", layout="File"),
        LabAmcacheFile(path=r"c:\windows\system32\wbadmin.exe", layout="InventoryApplicationFile"),
    ]
    amcache_hive(tmp_path / "amcache", files)
    system = system_with(tmp_path, write_7([NOTEPAD]))
    hives = {f"{CONFIG}/SYSTEM": system, AMCACHE_PATH: (tmp_path / "amcache").read_bytes()}
    case = case_with(tmp_path, hives)
    [finding] = case.findings(FindingKind.EXECUTION)
    assert (finding.indicator, finding.where.path) == ("program-in-computed-work-directory", AMCACHE_PATH)
    assert [one.what for one in case.report.timeline.events if one.source is EventSource.AMCACHE] == ["vssadmin.exe"]
    assert case.exit_code is ExitCode.INDICATORS_FOUND


def test_only_the_log_beside_amcache_shows_the_worm(tmp_path: Path) -> None:
    states = []
    for sha1 in (PLAIN_SHA1, str(WORM_SHA1)):
        amcache_hive(tmp_path / "amcache", [LabAmcacheFile(path=r"c:\a.exe", sha1=sha1)])
        states.append(with_sequences((tmp_path / "amcache").read_bytes(), 7, 7))
    files = {AMCACHE_PATH: dirty_hive(states[0], 7), f"{AMCACHE_PATH}.LOG1": new_log(states, 7)}
    case = case_with(tmp_path, {f"{CONFIG}/SYSTEM": system_with(tmp_path, write_7([NOTEPAD])), **files})
    [finding] = case.findings(FindingKind.EXECUTION)
    assert (finding.indicator, finding.facts["view"]) == (WORM_SHA1, "after-replay")


def test_a_damaged_amcache_leaves_nothing_open(tmp_path: Path) -> None:
    system = system_with(tmp_path, write_7([NOTEPAD]))
    case = case_with(tmp_path, {f"{CONFIG}/SYSTEM": system, AMCACHE_PATH: b"no hive at all"})
    assert [(gap.kind, gap.material, gap.where.path) for gap in case.report.gaps] == [
        (GapKind.ARTEFACT, False, AMCACHE_PATH)
    ]
    assert case.exit_code is ExitCode.OK


@needs_data("regipy/amcache.hve.xz")
def test_a_real_amcache_is_what_regipy_reads(tmp_path: Path) -> None:
    data = lzma.decompress(data_path("regipy/amcache.hve.xz").read_bytes())
    (tmp_path / "amcache").write_bytes(data)
    witness = AmCachePlugin(RegistryHive(str(tmp_path / "amcache")), as_json=True)  # type: ignore[no-untyped-call]
    witness.run()  # type: ignore[no-untyped-call]
    entries = [one for one in witness.entries if isinstance(one, dict)]
    theirs = [(one.get("full_path", one.get("lower_case_long_path")), one["sha1"]) for one in entries]
    files = read_amcache(open_hive(data, where=Where()))
    assert [(one.path, one.sha1) for one in files] == theirs
    assert len(files) == 1367
    report = examine_hive_file(data, "Amcache.hve")
    assert (report.findings, report.content) == ((), "amcache")


# --- RecentFileCache.bcf ---


def test_recent_files_of_windows_7(tmp_path: Path) -> None:
    data = recent_file_cache([r"c:\windows\mssecsvc.exe", r"c:\windows\explorer.exe"])
    case = case_with(tmp_path, {f"{CONFIG}/SYSTEM": system_with(tmp_path, b"\xff"), RECENT_PATH: data[:-2]})
    [finding] = case.findings(FindingKind.EXECUTION)
    assert (finding.indicator, finding.where.path) == ("worm-in-windows-directory", RECENT_PATH)
    assert (finding.where.offset_bytes, finding.facts["noted_in"]) == (20, "recent-file-cache")
    [gap] = [gap for gap in case.report.gaps if gap.where.path == RECENT_PATH]
    assert (gap.kind, gap.material, gap.bytes) == (GapKind.ARTEFACT, False, len(data) - 2 - 20 - 52)


@given(paths=st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=60), max_size=8))
def test_recent_files_are_read_as_written(paths: list[str]) -> None:
    cache = parse_recent_file_cache(recent_file_cache(paths))
    assert ([one.path for one in cache.files], cache.damage) == (paths, "")


def test_of_200_mutated_recent_files_none_loses_an_entry_in_silence() -> None:
    sound = recent_file_cache([rf"c:\program-{number}.exe" for number in range(6)])
    random = Random(6)
    for _ in range(200):
        data = bytearray(sound)
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        try:
            cache = parse_recent_file_cache(bytes(data))
        except ParseError:
            continue
        assert len(cache.files) == 6 or cache.damage != ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (r"\??\C:\Windows\x.exe", "Windows/x.exe"),
        (r"\\?\D:\a\b", "a/b"),
        (r"\Device\HarddiskVolume12\Windows\x", "Windows/x"),
        (r"\\?\Volume{12345678-0000-0000-0000-100000000000}\x", "x"),
        (r"SYSVOL\Windows\x", "Windows/x"),
        (r"%SystemRoot%\x", "Windows/x"),
        (r"\SystemRoot\System32\x", "Windows/System32/x"),
        (r"\\server\share\x", "//server/share/x"),
        ("x", "x"),
    ],
)
def test_paths_of_windows_are_told_from_the_root(path: str, expected: str) -> None:
    assert volume_path(path) == expected
