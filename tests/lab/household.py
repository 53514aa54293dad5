"""A healthy PC of two users: Windows as far as a triage looks at it, and the documents that are at stake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.lab import documents, hives, pictures
from tests.lab.plan import HIDDEN, LAB_FILETIME, SYSTEM, Kind, LabFile

USERS = ("alice", "李雷")
CONFIG = "Windows/System32/config"
PREPARED_BYTES = 96 * 1024
_WEEK = 7 * 24 * 3600 * 10_000_000
_WINDOWS_FILES = {
    "Windows/win.ini": b"; for 16-bit app support\r\n[fonts]\r\n[extensions]\r\n",
    "Windows/System32/drivers/etc/hosts": b"# localhost name resolution is handled within DNS itself.\r\n",
    "Windows/System32/catroot2/edb.txt": b"catalogue database of the triage lab\r\n" * 40,
    "Program Files/Lab/readme.txt": b"A program that does nothing.\r\n",
}


def windows_files(
    computer_name: str,
    services: tuple[hives.LabService, ...],
    software: hives.LabSettings | None = None,
    user: hives.LabSettings | None = None,
) -> Iterator[LabFile]:
    """Yield the Windows directory with its SYSTEM and SOFTWARE hives, and the first user's hive."""
    for path, content in _WINDOWS_FILES.items():
        yield LabFile(path=path, content=content, kind=Kind.SYSTEM)
    with TemporaryDirectory() as folder:
        written = {name: Path(folder, name) for name in ("SYSTEM", "SOFTWARE", "NTUSER.DAT")}
        hives.system_hive(written["SYSTEM"], computer_name=computer_name, services=services)
        hives.software_hive(written["SOFTWARE"], settings=software)
        hives.user_hive(written["NTUSER.DAT"], user)
        for name, hive in written.items():
            place = f"Users/{USERS[0]}" if name == "NTUSER.DAT" else CONFIG
            yield LabFile(path=f"{place}/{name}", content=hive.read_bytes(), kind=Kind.SYSTEM)


def user_files(random: Random) -> Iterator[LabFile]:
    """Yield the documents of both users and of a folder outside their homes."""
    for user in USERS:
        home = f"Users/{user}"
        for path, content in _home(random).items():
            yield _document(random, f"{home}/{path}", content)
        yield LabFile(
            path=f"{home}/Desktop/desktop.ini",
            content=b"[.ShellClassInfo]\r\n",
            kind=Kind.SYSTEM,
            dos_attributes=HIDDEN | SYSTEM,
        )
    for path, content in _projects(random).items():
        yield _document(random, path, content)


def _home(random: Random) -> dict[str, bytes]:
    """Return one user's files by path: office types, plain text in three encodings, pictures."""
    chinese = documents.chinese(random)
    return {
        "Desktop/plan.docx": documents.docx(random),
        "Desktop/报价单.xlsx": documents.xlsx(random),
        "Desktop/todo.txt": (documents.prose(random, words=250) + "\r\n").encode(),
        "Documents/letter.doc": documents.doc(random),
        "Documents/contract.pdf": documents.pdf(random),
        "Documents/通知-gbk.txt": chinese.encode("gbk"),
        "Documents/通知-utf16.txt": b"\xff\xfe" + chinese.encode("utf-16-le"),
        "Documents/通知-utf8.txt": chinese.encode(),
        "Documents/2017/第二季度/budget.xlsx": documents.xlsx(random),
        "Documents/2017/第二季度/minutes.docx": documents.docx(random),
        "Documents/handbook.md": f"# Handbook\n\n{documents.prose(random)}\n".encode(),
        "Pictures/holiday.jpg": pictures.jpeg(random),
        "Pictures/照片.jpg": pictures.jpeg(random, blocks=40),
        "Pictures/diagram.png": pictures.png(random, width=40, height=20),
    }


def _projects(random: Random) -> dict[str, bytes]:
    """Return the files of the folder `Projects`, one of them large enough to be a prepared one later."""
    return {
        "Projects/survey.pdf": documents.pdf(random),
        "Projects/offer.docx": documents.docx(random),
        "Projects/site.jpg": pictures.jpeg(random),
        "Projects/old.doc": documents.doc(random),
        "Projects/parts.csv": documents.table(random, size_bytes=PREPARED_BYTES),
        "Projects/orders.csv": documents.table(random, size_bytes=30_000),
    }


def _document(random: Random, path: str, content: bytes) -> LabFile:
    """Return a user's file, last touched some weeks before the lab's day."""
    filetime = LAB_FILETIME - random.randrange(1, 60) * _WEEK
    return LabFile(path=path, content=content, kind=Kind.USER_INTACT, filetime=filetime)
