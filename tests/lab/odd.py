"""The odd corners of a disk: names that attack their reader, every form of storage, files that only look bad."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from enum import StrEnum
from random import Random

from tests.lab import documents, hives, pictures, tasks, wof
from tests.lab.plan import Kind, LabFile, Written

NAMES_FOLDER = "Users/alice/Documents/names"
FORMS_FOLDER = "Users/alice/Documents/forms"
MANY_FOLDER = "Users/alice/Documents/many"
HOSTILE_NAMES = (
    "lone high \ud83d surrogate.txt",
    "lone low \udc4d surrogate.txt",
    "\udc4d\ud83d reversed pair.txt",
    "pair \U0001f44d.txt",
    "new\nline.txt",
    "carriage\rreturn, tab\t.txt",
    "\x1b[31mred\x1b[0m.txt",
    "<script>alert(1)<script>.txt",
    "<img src=x onerror=alert(1)>.txt",
    "[bold]x[red]y.txt",
    "=cmd|' C'!A0.csv",
    "right \u202etxt.exe",
    "..x",
    "...",
    "trailing dots..",
    "trailing space ",
    "back\\slash.txt",
    'star*question?quote"pipe|.txt',
    "CON",
    "nul.txt",
    "%2e%2e%2f100%.txt",
    "-rf",
    "~",
    "n" * 251 + ".txt",
    "长" * 251 + ".txt",
    "\U0001f44d" * 125 + ".txt",
)
#: In the path of each file compressed by LZX: libfsntfs (20260827) refuses chunks without long matches.
LZX_FILES = "wof-lzx-"
_TAG_JUNCTION = 0xA0000003
_TAG_SYMBOLIC_LINK = 0xA000000C
_RESIDENT_BYTES = 200


def hostile_names(random: Random) -> Iterator[LabFile]:
    """Yield one small document under each name, and one in a directory of a hostile name."""
    for name in (*HOSTILE_NAMES, "folder \ud800\n<b>/inside.txt"):
        yield _document(f"{NAMES_FOLDER}/{name}", documents.prose(random, words=20).encode())


def storage_forms(random: Random) -> Iterator[LabFile]:
    """Yield a file for each way in which NTFS stores bytes."""
    folder = FORMS_FOLDER
    yield _document(f"{folder}/empty.txt", b"")
    yield _document(f"{folder}/resident.txt", documents.prose(random).encode()[:_RESIDENT_BYTES])
    for number in range(8):
        content = documents.prose(random, words=4000).encode()
        yield _document(f"{folder}/fragmented-{number}.txt", content, Written.FRAGMENTED)
    holes = bytes(512 * 1024) + random.randbytes(5000) + bytes(300_000) + b"end of the sparse file"
    yield _document(f"{folder}/sparse.bin", holes, Written.SPARSE)
    yield _document(f"{folder}/all-hole.bin", bytes(200_000), Written.SPARSE)
    packable = documents.prose(random, words=6000).encode() + random.randbytes(70_000) + bytes(150_000)
    yield _document(f"{folder}/compressed/mixed.bin", packable, Written.COMPRESSED)
    yield _document(f"{folder}/compressed/small.txt", b"a resident one", Written.COMPRESSED)
    yield from _uninitialised(random)
    yield from _wof(random)
    # The raw form of an encrypted file ends in the length of its padding.
    raw = random.randbytes(4096) + bytes(2)
    yield _document(f"{folder}/efs.docx", raw, Written.EFS)
    yield from _reparse_points()


def _uninitialised(random: Random) -> Iterator[LabFile]:
    """Yield streams whose clusters hold another file's bytes behind the initialised size."""
    for name, size_bytes, initialized_bytes in (
        ("middle", 50_000, 20_000),
        ("none", 20_000, 0),
        ("cluster-edge", 40_960, 8192),
    ):
        yield LabFile(
            path=f"{FORMS_FOLDER}/uninitialised-{name}.bin",
            content=random.randbytes(size_bytes),
            kind=Kind.USER_INTACT,
            initialized_bytes=initialized_bytes,
        )


def _wof(random: Random) -> Iterator[LabFile]:
    """Yield files that the Windows Overlay Filter compressed: of each first its stream, then the file itself."""
    content = documents.prose(random, words=3000).encode()
    yield from _wof_file("wof.txt", content, wof.stored_stream(content), wof.Algorithm.XPRESS4K)
    for algorithm in wof.Algorithm:
        large = documents.prose(random, words=20_000).encode() + random.randbytes(70_000) + bytes(50_000)
        contents = (documents.prose(random, words=400).encode()[:700], large)
        streams = wof.wof_streams(contents, algorithm)
        for size, content, stream in zip(("small", "large"), contents, streams, strict=True):
            yield from _wof_file(f"wof-{algorithm.name.lower()}-{size}.txt", content, stream, algorithm)
    # So many streams that the reparse point, which comes last, stands in an extension record.
    content = documents.prose(random).encode()
    for number in range(30):
        yield _stream(f"{FORMS_FOLDER}/wof-extended.txt", f"note {number}", random.randbytes(40))
    yield from _wof_file("wof-extended.txt", content, wof.stored_stream(content), wof.Algorithm.XPRESS4K)


def _wof_file(name: str, content: bytes, stream: bytes, algorithm: wof.Algorithm) -> Iterator[LabFile]:
    path = f"{FORMS_FOLDER}/{name}"
    yield LabFile(path=path, stream=wof.STREAM_NAME, content=stream, kind=Kind.SYSTEM)
    yield LabFile(
        path=path,
        content=content,
        kind=Kind.USER_INTACT,
        written=Written.WOF,
        reparse_data=wof.reparse_point(algorithm),
    )


def _reparse_points() -> Iterator[LabFile]:
    """Yield a junction that leads back up the tree, and symbolic links to a file and to a directory."""
    target = r"C:\Users"
    for path, tag in (
        (f"{FORMS_FOLDER}/junction/", _TAG_JUNCTION),
        (f"{FORMS_FOLDER}/directory-link/", _TAG_SYMBOLIC_LINK),
        (f"{FORMS_FOLDER}/file-link.txt", _TAG_SYMBOLIC_LINK),
    ):
        yield LabFile(
            path=path,
            content=b"",
            kind=Kind.SYSTEM,
            written=Written.REPARSE,
            reparse_data=_reparse_data(tag, target),
        )


def _reparse_data(tag: int, target: str) -> bytes:
    """Return the reparse point of a junction or symbolic link ([MS-FSCC] 2.1.2.4 and 2.1.2.5)."""
    substitute, shown = rf"\??\{target}".encode("utf-16-le"), target.encode("utf-16-le")
    head = struct.pack("<HHHH", 0, len(substitute), len(substitute) + 2, len(shown))
    flags = struct.pack("<I", 0) if tag == _TAG_SYMBOLIC_LINK else b""
    data = head + flags + substitute + b"\0\0" + shown + b"\0\0"
    return struct.pack("<IHH", tag, len(data), 0) + data


def links_and_streams(random: Random) -> Iterator[LabFile]:
    """Yield hard links and alternate streams, enough of both for an attribute list, and deleted files."""
    folder = "Users/alice/Documents/streams"
    text = documents.prose(random).encode()
    yield _document(f"{folder}/download.pdf", documents.pdf(random))
    yield _stream(f"{folder}/download.pdf", "Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n")
    yield _stream(f"{folder}/download.pdf", "备注", text)
    yield _stream(f"{folder}/download.pdf", "large", random.randbytes(30_000))
    yield _stream(folder, "on a directory", text)
    linked = LabFile(
        path=f"{folder}/linked.txt",
        content=text,
        kind=Kind.USER_INTACT,
        links=("Users/李雷/Documents/also linked.txt", f"{folder}/linked again.txt"),
    )
    yield linked
    names = tuple(f"{folder}/{'many links ' * 10}{number}.txt" for number in range(24))
    yield LabFile(path=f"{folder}/many-links.txt", content=text * 9, kind=Kind.USER_INTACT, links=names)
    yield _document(f"{folder}/many-streams.txt", text * 9)
    for number in range(40):
        yield _stream(f"{folder}/many-streams.txt", f"stream {number}", random.randbytes(40 * number))
    for name in ("deleted resident.txt", "deleted \ud801.docx", "deleted large.jpg"):
        content = pictures.jpeg(random, blocks=64) if name.endswith("jpg") else text[:100]
        yield LabFile(path=f"{folder}/{name}", content=content, kind=Kind.USER_INTACT, deleted=True)


class LookAlike(StrEnum):
    """One thing that must not be called WannaCry.

    PROGRAM: a `tasksche.exe` of another maker. NAMESAKE: such a program's service and folder, named like a work
    directory. SERVICES: names like the worm's and the installer's. ARGUMENT: the worm's name told to a service of an
    immuniser. FOLDER: named like a work directory. ENDINGS: files named like encrypted ones that are not. NOTE,
    COMPONENT: a user's own text under such a name, by itself. QUOTES: what an analyst wrote. TASK: a scheduled task of
    the installer's name that starts another maker's program of that name.
    """

    PROGRAM = "program"
    NAMESAKE = "namesake"
    SERVICES = "services"
    ARGUMENT = "argument"
    FOLDER = "folder"
    ENDINGS = "endings"
    NOTE = "note"
    COMPONENT = "component"
    QUOTES = "quotes"
    TASK = "task"


LOOK_ALIKES: tuple[LookAlike, ...] = tuple(LookAlike)
_SHAPED = "printspooler123"
_NAMESAKE = "taskscheduler100"


def look_alike_services(chosen: Collection[LookAlike]) -> tuple[hives.LabService, ...]:
    """Return harmless services whose names or commands resemble the malware's."""
    agent = rf"C:\ProgramData\{_SHAPED}\agent.exe"
    named = (
        hives.LabService(
            name="mssecsrv2.0",
            display_name="Microsoft Security Center Service",
            image_path=r"C:\Program Files\Lab\mssecsrv.exe -m security",
        ),
        hives.LabService(name=_SHAPED, display_name=_SHAPED, image_path=agent),
        hives.LabService(name="TaskScheduler", image_path=r"C:\Program Files\Scheduler\mytasksche.exe"),
    )
    scheduler = hives.LabService(name=_NAMESAKE, image_path=r'"C:\Program Files\Scheduler\tasksche.exe" /service')
    guard = hives.LabService(name="LabGuard", image_path=r'"C:\Program Files\Lab\guard.exe" --block mssecsvc.exe')
    return (
        *(named if LookAlike.SERVICES in chosen else ()),
        *((scheduler,) if LookAlike.NAMESAKE in chosen else ()),
        *((guard,) if LookAlike.ARGUMENT in chosen else ()),
    )


def look_alikes(random: Random, chosen: Collection[LookAlike] = LOOK_ALIKES) -> Iterator[LabFile]:
    """Yield harmless files that a rule by name or by string alone would take for the malware's."""
    folder = "Users/李雷/Documents/analysis"
    if LookAlike.QUOTES in chosen:
        note = (
            "Analyst's note: the samples hold WANACRY! and WNcry@2ol7, call icacls . /grant Everyone:F /T /C /Q\r\n"
            "and write @Please_Read_Me@.txt and @WanaDecryptor@.exe. Don't worry about decryption, they say.\r\n"
        )
        yield _document(f"{folder}/wannacry-notes.txt", note.encode())
    if LookAlike.ENDINGS in chosen:
        yield _document(f"{folder}/minutes.docx.wncry", documents.docx(random))
        yield _document(f"{folder}/budget.xlsx.WNCRYT", documents.xlsx(random))
        yield _document(f"{folder}/WANACRY!.txt", b"WANACRY! is how the container starts.\r\n")
    scheduler = b"Task scheduler of another maker; text only.\r\n" * 30
    if LookAlike.PROGRAM in chosen:
        yield LabFile(path="Program Files/Scheduler/tasksche.exe", content=scheduler, kind=Kind.SYSTEM)
    if LookAlike.NAMESAKE in chosen:
        yield LabFile(path=f"Program Files/{_NAMESAKE}/tasksche.exe", content=scheduler, kind=Kind.SYSTEM)
    if LookAlike.TASK in chosen:
        task = tasks.LabTask(command=r'"C:\Program Files\Scheduler\tasksche.exe"', arguments="/block mssecsvc.exe")
        yield LabFile(path=f"{tasks.TASKS}/Scheduler/tasksche", content=tasks.task_xml(task), kind=Kind.SYSTEM)
    own = b"My own text, of nothing that anybody has to pay for.\r\n" * 40
    if LookAlike.NOTE in chosen:
        yield _document("Users/alice/Saved/mail/@Please_Read_Me@.txt", own)
    if LookAlike.COMPONENT in chosen:
        yield _document("Users/alice/Saved/recipebook100/b.wnry", own)
    if LookAlike.FOLDER in chosen:
        settings = b"[printer]\r\nname=Lab\r\n"
        yield LabFile(path=f"ProgramData/{_SHAPED}/settings.ini", content=settings, kind=Kind.SYSTEM)


def many_files(count: int) -> Iterator[LabFile]:
    """Yield one directory of many small files."""
    for number in range(count):
        yield _document(f"{MANY_FOLDER}/file {number:06d}.txt", f"file number {number}\r\n".encode())


def _document(path: str, content: bytes, written: Written = Written.PLAIN) -> LabFile:
    return LabFile(path=path, content=content, kind=Kind.USER_INTACT, written=written)


def _stream(path: str, stream: str, content: bytes) -> LabFile:
    return LabFile(path=path, stream=stream, content=content, kind=Kind.USER_INTACT)
