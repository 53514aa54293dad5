"""Which streams are rescued, and which first: one line of the table for each kind of place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.rescue.selection import FIRST_TYPES, SECOND_TYPES, Tier, select


@pytest.mark.parametrize(
    "path",
    [
        "Users/Li/Documents/report.docx",
        "Users/Li/Desktop/deep/er/REPORT.DOC",
        "Users/李明/OneDrive/文档/报告.docx",
        "users/Public/Documents/plan.dwg",
        "Users/Li/Documents/film.avi.WNCYR",
        "Documents and Settings/Li/My Documents/a.xls",
        "Documents and Settings/Administrator/桌面/工资.xls",
        "Windows.old/Users/Li/Documents/report.docx",
        "Users/Li/AppData/Local/Microsoft/Outlook/mail.pst",
        "Documents and Settings/Li/Local Settings/Application Data/Microsoft/Outlook/outlook.ost",
        "$RECYCLE/12.WNCRYT",
        "Windows/Temp/0.WNCRYT",
        "Users/Li/AppData/Local/Temp/7.WNCRYT",
        "ProgramData/7.WNCRYT",
    ],
)
def test_documents_come_first(path: str) -> None:
    assert select(path, "", 1000) is Tier.DOCUMENT


@pytest.mark.parametrize(
    "path",
    [
        "Users/Li/Documents/program.exe",
        "Users/Li/Documents/report.docx.WNCRY",
        "Users/Li/Pictures/a.jpg",
        "Users/Li/notes.txt",
        "Users/Li/AppData/Roaming/Thunderbird/Profiles/x/prefs.js",
        "Users/desktop.docx",
        "$Recycle.Bin/S-1-5-21-1/$R123.docx",
        "RECYCLER/S-1-5-21-1/Dc1.doc",
        "Projects/2017/windows/report.docx",
        "Backup/Windows/report.docx",
        "report.docx",
        "Windows.old",
        "windows.txt",
        "Users",
        "$RECYCLE/hibsys.WNCRYT",
        "",
    ],
)
def test_everything_else_of_the_users_comes_second(path: str) -> None:
    assert select(path, "", 1000) is Tier.OTHER


@pytest.mark.parametrize(
    "path",
    [
        "Windows/System32/config/SYSTEM",
        "WINNT/win.ini",
        "Windows.old/Windows/explorer.exe",
        "Windows.old/Program Files/x.doc",
        "Program Files/Office/sample.doc",
        "PROGRAM FILES (X86)/a/b.txt",
        "ProgramData/xjzilhxs261/t.wnry",
        "pagefile.sys",
        "HIBERFIL.SYS",
        "$MFT",
        "$Secure",
        "$Extend/$UsnJrnl",
        "System Volume Information/tracking.log",
        "Users/Li/AppData/Local/Temp/a.docx",
        "Users/Li/AppData/Local/Temp/hibsys.WNCRYT",
        "Users/Li/AppData/Local/Google/Chrome/User Data/Default/Cache/f_0001",
        "Documents and Settings/Li/Local Settings/Temporary Internet Files/Content.IE5/a.jpg",
        "Users/Li/NTUSER.DAT",
        "Users/Li/ntuser.dat.LOG1",
        "Users/Li/Desktop/desktop.ini",
        "Photos/Thumbs.db",
    ],
)
def test_system_caches_and_temporary_files_are_left_out(path: str) -> None:
    assert select(path, "", 1000) is None


def test_folder_called_temp_among_documents_is_the_users_own() -> None:
    assert select("Users/Li/Documents/temp/report.docx", "", 1) is Tier.DOCUMENT


@pytest.mark.parametrize(
    ("stream", "size_bytes", "tier"),
    [
        ("Zone.Identifier", 26, None),
        ("\x05SummaryInformation", 400, None),
        ("secret", 0, None),
        ("secret", 10, Tier.OTHER),
        ("AFP_Resource", 10, Tier.OTHER),
    ],
)
def test_named_streams(stream: str, size_bytes: int, tier: Tier | None) -> None:
    assert select("Users/Li/Documents/a.docx", stream, size_bytes) is tier
    assert select("Windows/a.docx", stream, size_bytes) is None


def test_empty_file_of_a_user_is_kept() -> None:
    assert select("Users/Li/Documents/a.txt", "", 0) is Tier.DOCUMENT


def test_types_are_those_of_the_malware_lists() -> None:
    assert len(FIRST_TYPES) == 24
    assert len(SECOND_TYPES) == 154  # 155 entries, one of them twice
    assert not FIRST_TYPES & SECOND_TYPES


@given(path=st.text(max_size=40), stream=st.text(max_size=10), size_bytes=st.integers(0, 9))
def test_every_name_gets_an_answer(path: str, stream: str, size_bytes: int) -> None:
    assert select(path, stream, size_bytes) in (None, Tier.DOCUMENT, Tier.OTHER)
