"""Names in their places: what is telling, what is not, and what the rules say of themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.examiners.names import Company, NameExaminer
from triage.indicators.load import NAMES_TOML
from triage.indicators.names import load_names
from triage.model.entry import FileTimes
from triage.model.finding import Finding, FindingKind, Severity

RULES = load_names(NAMES_TOML)
COMPUTED = "yyibsxxiapw107"
EXAMINER = NameExaminer(RULES, frozenset({COMPUTED}))
ALL_RULES = {rule.id: rule for rules in (*RULES.by_name.values(), *RULES.by_extension.values()) for rule in rules}


def examine(path: str, *, is_directory: bool = False, deleted: bool = False) -> Finding | None:
    times = FileTimes(131_390_368_750_000_001, 0, 0, 0)
    found = EXAMINER.examine(path, volume="v1", mft_entry=9, is_directory=is_directory, deleted=deleted, fn=times)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("path", "rule", "severity"),
    [
        ("Windows/mssecsvc.exe", "worm-in-windows-directory", "high"),
        ("WINNT/MSSECSVC.EXE", "worm-in-windows-directory", "high"),
        ("Windows/tasksche.exe", "installer-in-windows-directory", "high"),
        ("Windows/qeriuwjhrf", "previous-installer-in-windows-directory", "high"),
        ("Users/x/Desktop/mssecsvc.exe", "worm", "medium"),
        ("Windows/System32/tasksche.exe", "installer", "low"),
        ("Users/x/tasksche.exe", "installer", "low"),
        ("ProgramData/abcdefghij123/tasksche.exe", "installer-in-work-directory", "high"),
        ("abcdefgh123/t.wnry", "component-in-work-directory", "high"),
        ("abcdefgh123/x.wnry", "any-wnry-in-work-directory", "high"),
        (f"D/{COMPUTED}/TASKSCHE.EXE", "installer-in-work-directory", "high"),
        ("Windows.old/ProgramData/abcdefghij123/tasksche.exe", "installer-in-work-directory", "high"),
        ("Users/x/AppData/Local/Temp/abcdefghij123/b.wnry", "component-in-work-directory", "high"),
        ("Program Files/taskscheduler100/tasksche.exe", "installer", "low"),
        ("Users/x/Documents/recipebook100/b.wnry", "component", "medium"),
        ("ABCDEFGH123/tasksche.exe", "installer", "low"),
        ("abcdefg123/tasksche.exe", "installer", "low"),
        ("Users/x/c.wnry", "component", "medium"),
        ("Users/x/other.wnry", "any-wnry", "low"),
        ("Users/x/taskdl.exe", "helper-program", "medium"),
        ("abcdefgh123/msg/m_chinese (simplified).wnry", "ransom-text", "high"),
        ("Users/x/msg/m_korean.wnry", "ransom-text", "high"),
        ("abcdefgh123/TaskData/Tor/taskhsvc.exe", "tor-host", "high"),
        ("Users/x/taskhsvc.exe", "tor-host-elsewhere", "low"),
        ("Users/x/@Please_Read_Me@.txt", "ransom-note", "high"),
        ("@WANADECRYPTOR@.EXE.LNK", "ransom-note", "high"),
        ("Users/x/Desktop/@WanaDecryptor@.bmp", "ransom-note", "high"),
        ("Users/x/!WannaDecryptor!.exe", "ransom-note-v1", "high"),
        ("Users/x/!Please Read Me!.txt", "ransom-note-text-v1", "low"),
        ("abcdefgh123/00000000.eky", "key-file", "high"),
        ("abcdefgh123/00000000.res", "key-state-in-work-directory", "high"),
        ("Users/x/00000000.res", "key-state", "medium"),
        ("Windows/Temp/hibsys.WNCRYT", "free-space-filler", "high"),
        ("$RECYCLE/47.WNCRYT", "moved-original", "medium"),
        ("Users/x/AppData/Local/Temp/3.WNCRYT", "moved-original", "medium"),
        ("Users/x/report.docx.WNCRYT", "extension-temporary", "low"),
        ("Users/x/report.docx.WNCRY", "extension-encrypted", "low"),
        ("Users/x/film.mkv.WNCYR", "extension-prepared", "low"),
        ("Users/x/report.doc.WCRY", "extension-encrypted-v1", "low"),
        ("Users/x/r.wry", "component-v1", "low"),
        ("abcdefgh123/m.vbs", "shortcut-script-in-work-directory", "high"),
        ("Users/x/m.vbs", "shortcut-script", "low"),
        ("Users/x/131181494299235.bat", "shortcut-batch", "low"),
    ],
)
def test_name_in_its_place(path: str, rule: str, severity: str) -> None:
    finding = examine(path)
    assert finding is not None
    assert (finding.indicator, finding.severity, finding.kind) == (rule, severity, ALL_RULES[rule].kind)
    assert (finding.set, finding.family) == ("wannacry_names", "wannacry")
    assert (finding.where.path, finding.where.volume, finding.where.mft_entry) == (path, "v1", 9)
    assert finding.times["fn_created"] == "2017-05-12T04:27:55.0000001Z"
    assert finding.times.keys() <= {"fn_created", "encryption_started"}
    assert finding.facts["description"] != ""


@pytest.mark.parametrize(
    "path",
    [
        "Windows/explorer.exe",
        "Users/x/wncry",
        "Users/x/wnry",
        "Users/x/WNCRY.txt",
        "Users/x/@Please_Read_Me@.txt.bak",
        "Users/x/start.bat",
        "Users/x/1234567890.bat",
        "Users/x/1234567890123456.bat",
        "Users/x/report.wry",
        "$RECYCLE.BIN",
        "",
    ],
)
def test_names_that_tell_nothing(path: str) -> None:
    assert examine(path) is None


@pytest.mark.parametrize(
    ("path", "is_directory", "severity"),
    [
        (f"ProgramData/{COMPUTED}", True, "high"),
        (f"Users/x/Documents/{COMPUTED}", True, "high"),
        (f"ProgramData/{COMPUTED}", False, None),
        ("ProgramData/abcdefghij123", True, "low"),
        ("Intel/abcdefghij123", True, "low"),
        ("abcdefghij123", True, "low"),
        ("Users/x/AppData/Local/Temp/abcdefghij123", True, "low"),
        ("Documents and Settings/x/Local Settings/Temp/abcdefghij123", True, "low"),
        ("Users/x/Documents/abcdefghij123", True, None),
        ("ProgramData/Abcdefghij123", True, None),
        ("ProgramData/abcdefg123", True, None),
        ("ProgramData/abcdefghijklmnop123", True, None),
        ("ProgramData/abcdefghij12٣", True, None),
        ("ProgramData/abcdefghij123\n", True, None),
    ],
)
def test_work_directory(path: str, is_directory: bool, severity: str | None) -> None:
    finding = examine(path, is_directory=is_directory)
    assert (None if finding is None else finding.severity) == severity
    if finding is not None:
        assert finding.kind is FindingKind.WORK_DIRECTORY


@pytest.mark.parametrize(
    ("beside", "severity"),
    [
        ((), "low"),
        (("Users/x/report.docx.WNCRY",), "high"),
        (("users/X/@WanaDecryptor@.exe.lnk",), "high"),
        (("Users/x/@PLEASE_READ_ME@.txt",), "low"),
        (("Users/y/@WanaDecryptor@.exe.lnk", "Users/x/y/report.docx.WNCRY"), "low"),
    ],
)
def test_a_note_by_its_name_alone_counts_in_company_only(beside: tuple[str, ...], severity: str) -> None:
    company = Company(RULES)
    note = examine("Users/x/@Please_Read_Me@.txt")
    assert note is not None
    assert company.can_be_alone(note)
    for one in (note, *(found for path in beside if (found := examine(path)) is not None)):
        company.add(one)
    weighed = company.weighed(note)
    assert weighed.severity == severity
    assert ("alone" in weighed.facts) is (severity == "low")


def test_what_is_its_own_proof_needs_no_company() -> None:
    proofs = ("Windows/mssecsvc.exe", "abcdefgh123/t.wnry", "x/00000000.eky", "Windows/tasksche.exe")
    company = Company(RULES)
    for path in proofs:
        finding = examine(path)
        assert finding is not None
        company.add(finding)
        assert not company.can_be_alone(finding)
        assert company.weighed(finding) is finding


def test_directories_are_not_files() -> None:
    assert examine("Windows/mssecsvc.exe", is_directory=True) is None
    back = examine("$RECYCLE", is_directory=True)
    assert back is not None
    assert (back.indicator, back.severity) == ("back-directory", Severity.LOW)
    assert examine("Users/$RECYCLE", is_directory=True) is None


def test_deleted_entry_is_marked() -> None:
    finding = examine("Windows/tasksche.exe", deleted=True)
    assert finding is not None
    assert finding.deleted


def test_batch_file_tells_when_encryption_began() -> None:
    finding = examine("abcdefgh123/176641494574290.bat")
    assert finding is not None
    assert finding.facts["encryption_started_utc"] == "2017-05-12T07:31:30Z"
    assert finding.times["encryption_started"] == "2017-05-12T07:31:30.0000000Z"
    short = examine("abcdefgh123/12345678901.bat")
    assert short is not None
    assert short.facts["encryption_started_utc"] == "2044-05-01T01:28:21Z"
    beyond_rand = examine("abcdefgh123/999991494574290.bat")
    assert beyond_rand is not None
    assert "encryption_started_utc" not in beyond_rand.facts
    assert "encryption_started" not in beyond_rand.times


def test_names_of_user_data_leave_the_decision_to_the_content() -> None:
    deciding = {rule.id for rule in ALL_RULES.values() if rule.content_decides}
    low = {"extension-temporary", "extension-encrypted", "extension-prepared", "extension-encrypted-v1"}
    assert deciding == low | {"moved-original"}
    assert {ALL_RULES[rule].severity for rule in low} == {Severity.LOW}
    finding = examine("a.WNCRY")
    assert finding is not None
    assert finding.facts["decided_by"] == "content"


def test_rules_are_well_kept() -> None:
    assert RULES.info.count == len(ALL_RULES)
    for rule in ALL_RULES.values():
        assert len(rule.description) > 10
        assert len(rule.source) > 5
        assert rule.kind in {FindingKind.NAME, FindingKind.RANSOM_NOTE, FindingKind.KEY_FILE}


@given(st.text(alphabet=st.characters(codec=None), max_size=300), st.booleans())
def test_hostile_names_never_fail(path: str, is_directory: bool) -> None:
    for candidate in (path, f"Windows/{path}", f"{path}/tasksche.exe", f"{path}.wnry"):
        EXAMINER.examine(candidate, volume="v1", mft_entry=1, is_directory=is_directory)
