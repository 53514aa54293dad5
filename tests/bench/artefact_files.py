"""Builds a volume with event logs, hives and prefetch files for `artefacts`, and the same files in a folder beside it.

Where TRIAGE_TEST_DATA is set they are copies of real ones, else the lab's. Of a log some dozens of chunks are made that
stand in it again and again; every one is read like a new one.
"""

from __future__ import annotations

import lzma
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tests.bench.volumes import make_ntfs, mounted
from tests.lab.event_log import CHUNK_BYTES, LabEvent, write_event_log
from tests.lab.hives import write_hive
from tests.lab.plan import LAB_FILETIME
from tests.lab.prefetch import write_prefetch
from tests.lab.traces import AUDITING, LOGS, MANAGER, PREFETCH, program_ran, service_installed
from tests.needs import DATA_VARIABLE

_CONFIG = "Windows/System32/config"
_HEADER_BYTES = 4096
_LOG_BYTES = {"System": 64 << 20, "Security": 256 << 20, "Archive-Security-2017-05-01-00-00-00-000": 64 << 20}
_REAL_LOGS = {"System": "plaso/System.evtx.xz", "Security": "evtx-omerbenamram/security_bad_string_cache.evtx.xz"}
_REAL_HIVES = {"SYSTEM": "plaso/SYSTEM.xz", "SOFTWARE": "plaso/SOFTWARE.xz"}
_REAL_USER_HIVE = "plaso/NTUSER-WIN7.DAT.xz"
_SAMPLE_EVENTS = 4000
_KEYS = 60_000
_USERS = 24
_PROGRAMS = 200


def build_artefacts(image: Path, folder: Path) -> int:
    """Build both; return how many bytes the files have together."""
    if not image.exists():
        for path, content in _files(folder):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        make_ntfs(image, 1 << 30)
        with mounted(image) as root:
            for file in _all_files(folder):
                target = root / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    return sum(file.stat().st_size for file in _all_files(folder))


def _all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    folder.mkdir(exist_ok=True)
    data = os.environ.get(DATA_VARIABLE)
    for name, size in _LOG_BYTES.items():
        kind = "Security" if "Security" in name else "System"
        sample = _sample(kind) if data is None else _unpacked(Path(data, _REAL_LOGS[kind]))
        yield f"{LOGS}/{name}.evtx", _repeated(sample, size)
    for name, path in _REAL_HIVES.items():
        yield f"{_CONFIG}/{name}", _hive(folder, _KEYS) if data is None else _unpacked(Path(data, path))
    user = _hive(folder, _KEYS // 10) if data is None else _unpacked(Path(data, _REAL_USER_HIVE))
    for number in range(_USERS):
        yield f"Users/user{number}/NTUSER.DAT", user
    for number in range(_PROGRAMS):
        prefetch = program_ran(rf"\PROGRAM FILES\LAB\PROGRAM{number}.EXE", 0, version=30)
        yield f"{PREFETCH}/{prefetch.file_name}", write_prefetch(prefetch)


def _unpacked(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes())


def _repeated(log: bytes, size_bytes: int) -> bytes:
    """Return a log of that size made of another's chunks."""
    chunks = [log[at : at + CHUNK_BYTES] for at in range(_HEADER_BYTES, len(log) - CHUNK_BYTES + 1, CHUNK_BYTES)]
    used = [chunk for chunk in chunks if chunk.startswith(b"ElfChnk")]
    count = size_bytes // CHUNK_BYTES
    # Marked as in use: a header counts no more than 65,535 chunks, and is not held against those that are there.
    return write_event_log([])[:_HEADER_BYTES] + b"".join(used[number % len(used)] for number in range(count))


def _sample(kind: str) -> bytes:
    """Return a log of some dozens of chunks with the mixture of a PC that notes the programs that are started."""
    random = Random(2017)
    make = _security_event if kind == "Security" else _system_event
    return write_event_log([make(random, number) for number in range(_SAMPLE_EVENTS)])


def _security_event(random: Random, number: int) -> LabEvent:
    values = {
        "SubjectUserSid": f"S-1-5-21-{random.getrandbits(32)}-1001",
        "SubjectUserName": f"user{number % 24}",
        "SubjectDomainName": "WORKGROUP",
        "SubjectLogonId": hex(random.getrandbits(24)),
    }
    if random.random() < 0.25:
        program = rf"C:\Program Files\Lab\program{random.randrange(_PROGRAMS)}.exe"
        values |= {"NewProcessName": program, "CommandLine": f'"{program}" --job {random.getrandbits(64):x}'}
        event = 4688
    else:
        values |= {"LogonType": "3", "LogonGuid": f"{random.getrandbits(128):032x}", "IpAddress": "192.168.1.2"}
        event = random.choice((4624, 4634, 4672, 4907, 5058))
    return LabEvent(provider=AUDITING, event=event, time=LAB_FILETIME + number, channel="Security", data=values)


def _system_event(random: Random, number: int) -> LabEvent:
    if random.random() < 0.005:
        return service_installed(f"driver{number}", rf"\SystemRoot\System32\drivers\driver{number}.sys", 0)
    values = {"param1": f"Service of the lab number {random.randrange(200)}", "param2": "running"}
    event = 7036 if random.random() < 0.7 else random.choice((7040, 10016, 16, 19, 43))
    return LabEvent(provider=MANAGER, event=event, time=LAB_FILETIME + number, data=values)


def _hive(folder: Path, keys: int) -> bytes:
    path = folder.with_suffix(".hive")
    values = ['"Path"="C:\\\\Program Files\\\\Lab"', '"Type"=dword:00000010', f'"Data"=hex:{",".join(["5a"] * 200)}']
    made: dict[str, Sequence[str]] = {rf"Lab\Group{number // 100}\Key{number}": values for number in range(keys)}
    write_hive(path, made)
    content = path.read_bytes()
    path.unlink()
    return content
