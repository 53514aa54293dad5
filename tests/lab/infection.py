"""What each stage of the infection leaves on the disk, as published analyses describe it; all of it is inert.

A stage is what the one before it left and more. The containers are in the true format under a key that lives
with the test; programs and components are stand-ins of plain text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum
from itertools import count
from random import Random

from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace

from tests.lab import hives, standins, wncry
from tests.lab.plan import HIDDEN, LAB_FILETIME, READ_ONLY, SYSTEM, Kind, LabFile
from triage.model.verdict import Stage

NOTE_NAME = "@Please_Read_Me@.txt"
_TARGETED = (".doc", ".docx", ".xls", ".xlsx", ".pdf", ".txt", ".csv", ".jpg", ".png")
_SPARED_WHILE_ENCRYPTING = ("Users/李雷/Documents/", "Users/alice/Pictures/", "Users/李雷/Pictures/")
_IN_PROGRESS = "Users/李雷/Documents/letter.doc"
_PREPARED = "Projects/parts.csv"
_READ_ONLY_ORIGINAL = "Users/alice/Documents/contract.pdf"
_BATCH_NAME = "131181494574290.bat"  # its last ten digits are the time at which the encryption began
_SECOND = 10_000_000
STARTED = 131390478900000000
"""When the encryption began (FILETIME), as the batch file's name says: 2017-05-12 07:31:30 UTC."""
DROPPED = STARTED - 95 * _SECOND
INSTALLED = STARTED - 55 * _SECOND
PACKED = 131389776000000000
"""2017-05-11 12:00:00 UTC: what the archive of the components says of them."""
FILE_SECONDS = 20
"""How long the encryption of one file takes in the lab: three a minute."""
_KEYS_MADE = STARTED - 5 * _SECOND
_PREVIOUS_RUN = STARTED - 3600 * _SECOND
_BACK_DIRECTORIES = ("$RECYCLE", "Windows/Temp")
_FILLER_BYTES = 512 * 1024
_FIREWALL_LOG = "Windows/System32/LogFiles/Firewall/pfirewall.log"
_FIREWALL_HEAD = (
    "#Version: 1.5",
    "#Software: Microsoft Windows Firewall",
    "#Time Format: Local",
    (
        "#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin "
        "icmptype icmpcode info path"
    ),
    "",
)
_PUBLIC_KEY_BLOB_HEAD = bytes.fromhex("06020000 00a40000 52534131 00080000 01000100")


class Artefact(StrEnum):
    """One kind of what an infection leaves, to be taken away from a disk."""

    WORM = "worm"
    INSTALLER = "installer"
    SERVICES = "services"
    SETTINGS = "settings"
    WORK_DIRECTORY = "work-directory"
    KEY_FILES = "key-files"
    NOTES = "notes"
    ENCRYPTED_FILES = "encrypted-files"
    FILLER = "filler"
    FIREWALL_LOG = "firewall-log"
    EVENT_LOGS = "event-logs"
    PREFETCH = "prefetch"


def is_of(file: LabFile, artefacts: Collection[Artefact], work_directory: str) -> bool:
    """Say whether a file belongs to one of these kinds of artefacts."""
    folder, _slash, name = file.path.rpartition("/")
    kinds = {
        Artefact.WORM: name == standins.WORM.name,
        Artefact.INSTALLER: name in (standins.INSTALLER.name, standins.PREVIOUS_INSTALLER.name)
        and file.kind is Kind.STAND_IN,
        Artefact.WORK_DIRECTORY: f"/{work_directory}/" in f"/{folder}/",
        Artefact.KEY_FILES: file.kind is Kind.KEY_FILE,
        Artefact.NOTES: name == NOTE_NAME or name.startswith("@WanaDecryptor@"),
        Artefact.ENCRYPTED_FILES: file.kind in (Kind.ENCRYPTED, Kind.PREPARED, Kind.IN_PROGRESS),
        Artefact.FILLER: file.kind is Kind.FILLER,
        Artefact.FIREWALL_LOG: file.path == _FIREWALL_LOG,
        Artefact.EVENT_LOGS: folder == "Windows/System32/winevt/Logs",
        Artefact.PREFETCH: folder == "Windows/Prefetch",
    }
    return any(kinds.get(artefact, False) for artefact in artefacts)


def services(stage: Stage, work_directory: str) -> tuple[hives.LabService, ...]:
    """Return the services of the SYSTEM hive at a stage."""
    worm = (hives.WORM_SERVICE,) if stage >= Stage.PROPAGATING else ()
    starter = (hives.work_directory_service(work_directory),) if stage >= Stage.INSTALLED else ()
    return (*hives.PLAIN_SERVICES, *worm, *starter)


def software_settings(stage: Stage, work_directory: str) -> hives.LabSettings:
    """Return what the installer sets in the SOFTWARE hive, and the encryptor after its first pass."""
    folder = rf"C:\ProgramData\{work_directory}"
    run = {work_directory: rf'"{folder}\tasksche.exe"'}
    installed = {"WanaCrypt0r": {"wd": folder}} if stage >= Stage.INSTALLED else {}
    return installed | ({r"Microsoft\Windows\CurrentVersion\Run": run} if stage >= Stage.FINISHED else {})


def user_settings(stage: Stage) -> hives.LabSettings:
    """Return what the encryptor sets for the user at the end of its first pass."""
    wallpaper = r"C:\Users\alice\Desktop\@WanaDecryptor@.bmp"
    return {r"Control Panel\Desktop": {"Wallpaper": wallpaper}} if stage >= Stage.FINISHED else {}


def infect(
    files: list[LabFile], *, stage: Stage, work_directory: str, key: rsa.RSAPrivateKey, random: Random
) -> list[LabFile]:
    """Return the files of a healthy disk as they stand at `stage`, and what the stage adds."""
    added = [
        *_programs(stage),
        *_firewall_log(stage),
        *_work_directory(stage, f"ProgramData/{work_directory}", key, random),
    ]
    if stage < Stage.ENCRYPTING:
        return [*files, *added]
    moments = count(STARTED + 10 * _SECOND, FILE_SECONDS * _SECOND)
    left = [one for file in files for one in _encrypt(file, stage, key, random, moments)]
    left += _moved_originals(left)
    left = [file for file in left if not (file.deleted and file.path.startswith("Projects/"))]
    left += _notes(left)
    if stage is Stage.FINISHED:
        left += _finish(next(moments))
    return [*left, *added]


def _programs(stage: Stage) -> Iterator[LabFile]:
    if stage >= Stage.DROPPER_ONLY:
        yield _stand_in("Windows", standins.WORM, DROPPED)
    if stage >= Stage.INSTALLED:
        yield _stand_in("Windows", standins.INSTALLER, INSTALLED)
        yield _stand_in("Windows", standins.PREVIOUS_INSTALLER, _PREVIOUS_RUN)


def _firewall_log(stage: Stage) -> Iterator[LabFile]:
    """Yield the log of Windows' firewall: an answer of the kill switch, later the worm's scan of port 445."""
    if stage is Stage.NONE:
        return
    targets = [("54.153.0.145", 80)]
    if stage >= Stage.PROPAGATING:
        targets = [(f"192.168.{number // 250}.{number % 250 + 1}", 445) for number in range(600)]
    lines = [
        f"2017-05-12 16:{11 + number // 300:02d}:{number % 300 // 5:02d} ALLOW TCP 192.168.0.17 {address} "
        f"{49152 + number} {port} 0 - 0 0 0 - - - SEND"
        for number, (address, port) in enumerate(targets)
    ]
    text = "\r\n".join((*_FIREWALL_HEAD, *lines, ""))
    yield LabFile(path=_FIREWALL_LOG, content=text.encode(), kind=Kind.SYSTEM)


def _work_directory(stage: Stage, folder: str, key: rsa.RSAPrivateKey, random: Random) -> Iterator[LabFile]:
    """Yield the components, and from stage 4 on the key files and the list of demonstration files."""
    if stage < Stage.INSTALLED:
        return
    yield _stand_in(folder, standins.INSTALLER, INSTALLED)
    for component in (standins.FILE_DELETER, standins.SESSION_LAUNCHER, *standins.COMPONENTS):
        yield replace(_stand_in(folder, component, INSTALLED), filetime=PACKED)
    for text in standins.RANSOM_TEXTS:
        yield replace(_stand_in(f"{folder}/msg", text, INSTALLED), filetime=PACKED)
    note = standins.ransom_note()
    yield LabFile(path=f"{folder}/r.wnry", content=note, kind=Kind.NOTE, filetime=PACKED, named=INSTALLED)
    if stage < Stage.ENCRYPTING:
        return
    modulus = key.public_key().public_numbers().n.to_bytes(256, "little")
    keys = {
        "pky": _PUBLIC_KEY_BLOB_HEAD + modulus,
        "eky": (0x500).to_bytes(4, "little") + random.randbytes(5 * 256),
        "res": random.randbytes(8).ljust(0x88, b"\0"),
    }
    for extension, content in keys.items():
        path = f"{folder}/00000000.{extension}"
        modified = LAB_FILETIME if extension == "res" else 0
        yield LabFile(path=path, content=content, kind=Kind.KEY_FILE, filetime=_KEYS_MADE, modified=modified)
    yield _stand_in(folder, standins.WINDOW, INSTALLED)
    batch = f"{standins.FIRST_LINE}: a batch file that was removed\r\n".encode()
    path = f"{folder}/{_BATCH_NAME}"
    yield LabFile(path=path, content=batch, kind=Kind.STAND_IN, deleted=True, filetime=STARTED)
    listed = rb"C:\Users\alice\Desktop\todo.txt.WNCRY"
    content = listed + b"\r\n"
    yield LabFile(path=f"{folder}/f.wnry", content=content, kind=Kind.KEY_FILE, filetime=STARTED + _SECOND)


def _encrypt(
    file: LabFile, stage: Stage, key: rsa.RSAPrivateKey, random: Random, moments: Iterator[int]
) -> Iterator[LabFile]:
    """Yield what one file of a healthy disk has become; each encrypted one takes the next moment.

    The encryptor copies the times of `$STANDARD_INFORMATION`, so only the record's own time and those of the name tell.
    """
    if file.path == _PREPARED and stage is Stage.ENCRYPTING:
        content = wncry.prepared(file.content)
        now = next(moments)
        yield replace(
            file,
            path=f"{file.path}.WNCYR",
            content=content,
            kind=Kind.PREPARED,
            original=file.content,
            changed=now + _SECOND,
            named=now,
        )
        return
    spared = stage is Stage.ENCRYPTING and file.path.startswith(_SPARED_WHILE_ENCRYPTING)
    if spared or not _is_target(file):
        yield file
        if file.path == _IN_PROGRESS and stage is Stage.ENCRYPTING:
            cut = wncry.encrypted(file.content, key)[: len(file.content) // 2]
            path = f"{file.path}.WNCRYT"
            yield replace(file, path=path, content=cut, kind=Kind.IN_PROGRESS, filetime=LAB_FILETIME)
        return
    now = next(moments)
    # The overwritten original is written before its container, as it lay on the disk before it.
    if file.path == _READ_ONLY_ORIGINAL:
        yield replace(file, dos_attributes=READ_ONLY | HIDDEN)
    else:
        noise = random.randbytes(len(file.content))
        yield replace(file, content=noise, deleted=True, modified=now + 2 * _SECOND, changed=now + 2 * _SECOND)
    yield replace(
        file,
        path=f"{file.path}.WNCRY",
        content=wncry.encrypted(file.content, key),
        kind=Kind.ENCRYPTED,
        original=file.content,
        changed=now + _SECOND,
        named=now,
    )


def _is_target(file: LabFile) -> bool:
    return file.kind is Kind.USER_INTACT and file.stream == "" and file.path.lower().endswith(_TARGETED)


def _moved_originals(files: list[LabFile]) -> Iterator[LabFile]:
    """Yield the originals outside desktops and documents: not overwritten but moved, under a number."""
    containers = [file for file in files if file.kind is Kind.ENCRYPTED and file.path.startswith("Projects/")]
    for number, container in enumerate(containers, start=1):
        if container.original is not None:
            yield LabFile(
                path=f"{_BACK_DIRECTORIES[number % 2]}/{number}.WNCRYT",
                content=container.original,
                kind=Kind.MOVED_ORIGINAL,
                moved_from=container.path.removesuffix(".WNCRY"),
                filetime=container.filetime,
                changed=container.changed,
            )


def _notes(files: list[LabFile]) -> Iterator[LabFile]:
    """Yield note and window for each directory with encrypted files."""
    begun: dict[str, int] = {}
    for file in files:
        if file.kind is Kind.ENCRYPTED:
            begun.setdefault(file.path.rpartition("/")[0], file.named - _SECOND)
    for folder, now in sorted(begun.items()):
        yield LabFile(path=f"{folder}/{NOTE_NAME}", content=standins.ransom_note(), kind=Kind.NOTE, filetime=now)
        window = standins.WINDOW if folder.count("/") < 4 else standins.SHORTCUT
        yield _stand_in(folder, window, now)


def _finish(now: int) -> Iterator[LabFile]:
    """Yield what the end of the first pass leaves: the wallpaper on each desktop, and filler for free space."""
    for desktop in ("Users/alice/Desktop", "Users/李雷/Desktop", "Users/Public/Desktop"):
        yield _stand_in(desktop, standins.WALLPAPER, now)
    yield LabFile(
        path="Windows/Temp/hibsys.WNCRYT",
        content=b"\x55" * _FILLER_BYTES,
        kind=Kind.FILLER,
        dos_attributes=HIDDEN | SYSTEM,
        filetime=now + 30 * _SECOND,
    )


def _stand_in(folder: str, stand_in: standins.StandIn, filetime: int) -> LabFile:
    """Return a component, written at a moment."""
    path = f"{folder}/{stand_in.name}"
    return LabFile(path=path, content=stand_in.content, kind=Kind.STAND_IN, filetime=filetime, named=filetime)
