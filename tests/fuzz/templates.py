"""The sound disks that the fuzz damages: small, made by real tools, together with every form of storage that is read.

The same each time they are built, for a case has to be the same bytes wherever it is tried again: what tools take from
the clock is replaced.
"""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from tests.fuzz.anatomy import Anatomy
from tests.lab import documents, household, infection, odd, wncry, wof
from tests.lab.mounts import mount_for_writing
from tests.lab.plan import LAB_FILETIME, Kind, LabFile, Written
from tests.lab.tables import SECTOR_BYTES, Layout, assemble, volume_offset
from tests.lab.volume import fill_volume, make_volume
from tests.mft_editor import split_mft
from triage.model.verdict import Stage

#: mkntfs gives a volume below 2 MiB a log of 256 KiB, a larger one 512 KiB.
_VOLUME_BYTES = 2044 * 1024
_RESERVED_ENTRY = 15
_EPOCH_TICKS = 116_444_736_000_000_000
_DAY_TICKS = 24 * 3600 * 10_000_000
_HOME = "Users/alice/Documents"


class Recipe(NamedTuple):
    """What a template is made of; `finish` changes the volume after its files were written."""

    name: str
    files: Callable[[Random], Iterator[LabFile]]
    cluster_bytes: int = 4096
    sector_bytes: int = SECTOR_BYTES
    layout: Layout = Layout.BARE
    finish: Callable[[Path], None] | None = None


class Template(NamedTuple):
    """A sound disk: its bytes as a tool left them, and its structures."""

    name: str
    disk: bytes
    anatomy: Anatomy


def build(folder: Path) -> list[Template]:
    """Return the templates; those that are not in `folder` yet are made there, which needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    templates = []
    for recipe in RECIPES:
        path = folder / f"{recipe.name}.img"
        if not path.exists():
            _make(recipe, path)
        disk = path.read_bytes()
        templates.append(Template(recipe.name, disk, Anatomy(disk, volume_offset(recipe.layout))))
    return templates


def _make(recipe: Recipe, path: Path) -> None:
    """Build one disk under another name first: one that is there is whole."""
    begun = _EPOCH_TICKS + time.time_ns() // 100 - _DAY_TICKS // 24
    with TemporaryDirectory(dir=path.parent) as name:
        volume, disk = Path(name, "volume"), Path(name, "disk")
        offset = volume_offset(recipe.layout)
        make_volume(
            volume,
            size_bytes=_VOLUME_BYTES,
            cluster_bytes=recipe.cluster_bytes,
            sector_bytes=recipe.sector_bytes,
            offset_bytes=offset,
            label="fuzz",
        )
        fill_volume(volume, list(recipe.files(Random(recipe.name))))
        if recipe.finish is not None:
            recipe.finish(volume)
        assemble(volume, disk, recipe.layout)
        disk.write_bytes(_without_clock(disk.read_bytes(), begun))
        disk.rename(path)


def _without_clock(disk: bytes, begun: int) -> bytes:
    """Return the disk with every time since `begun` (FILETIME) replaced by the lab's.

    At the end of a sector a fixup may have taken a time's two high bytes; there the six others decide.
    """
    data = bytearray(disk)
    for start in (0, 4):
        words = np.frombuffer(data, "<u8", offset=start, count=(len(data) - start) // 8)
        words[(words > begun) & (words < begun + _DAY_TICKS)] = LAB_FILETIME
    low = np.uint64((1 << 48) - 1)
    ends = np.frombuffer(data, "<u8")[SECTOR_BYTES // 8 - 1 :: SECTOR_BYTES // 8]
    cut = ((ends & low) - (np.uint64(begun) & low)) < np.uint64(_DAY_TICKS)
    ends[cut] = (ends[cut] & ~low) | (np.uint64(LAB_FILETIME) & low)
    return bytes(data)


def _names_and_streams(random: Random) -> Iterator[LabFile]:
    """Yield hard links and streams enough for attribute lists, deleted files, names that attack their reader.

    ntfs-3g orders the names of a file by their directories first and then by the clock: each gets one of its own.
    """
    folders = [f"{_HOME}/{number}" for number in range(12)]
    yield from (LabFile(path=f"{folder}/", content=b"", kind=Kind.SYSTEM) for folder in folders)
    links = tuple(f"{folder}/{'many links ' * 10}.txt" for folder in folders)
    yield LabFile(path=f"{_HOME}/linked.txt", content=random.randbytes(900), kind=Kind.USER_INTACT, links=links)
    yield from (one for one in odd.links_and_streams(random) if not one.links)
    for number, name in enumerate(odd.HOSTILE_NAMES[:8]):
        yield _file(name, f"document {number}".encode())


def _forms(random: Random) -> Iterator[LabFile]:
    """Yield a file for each way in which NTFS itself stores bytes."""
    yield _file("empty.txt", b"")
    yield _file("resident.txt", documents.prose(random).encode()[:200])
    for number in range(3):
        yield _file(f"pieces-{number}.txt", documents.prose(random, words=2500).encode(), Written.FRAGMENTED)
    packable = documents.prose(random, words=7000).encode() + random.randbytes(70_000) + bytes(90_000)
    yield _file("compressed/mixed.bin", packable, Written.COMPRESSED)
    holes = bytes(128 * 1024) + random.randbytes(5000) + bytes(60_000) + b"end"
    yield _file("sparse.bin", holes, Written.SPARSE)
    yield LabFile(
        path=f"{_HOME}/uninitialised.bin",
        content=random.randbytes(30_000),
        kind=Kind.USER_INTACT,
        initialized_bytes=12_000,
    )
    yield _file("efs.docx", random.randbytes(4096) + bytes(2), Written.EFS)
    yield LabFile(path=f"{_HOME}/gone.doc", content=documents.doc(random), kind=Kind.USER_INTACT, deleted=True)


def _overlays(random: Random) -> Iterator[LabFile]:
    """Yield what a reparse point makes of a file: CompactOS in each of its forms, links, placeholders."""
    for algorithm in wof.Algorithm:
        content = documents.prose(random, words=6000).encode() + random.randbytes(3000)
        (stream,) = wof.wof_streams([content], algorithm)
        path = f"{_HOME}/{algorithm.name.lower()}.txt"
        point = wof.reparse_point(algorithm)
        yield LabFile(path=path, stream=wof.STREAM_NAME, content=stream, kind=Kind.SYSTEM)
        yield LabFile(path=path, content=content, kind=Kind.USER_INTACT, written=Written.WOF, reparse_data=point)
    yield from (one for one in odd.storage_forms(Random(0)) if one.written is Written.REPARSE)
    for tag in (0x80000013, 0x9000001A, 0xC0000004, 0x80000008):
        point = struct.pack("<IHH", tag, 16, 0) + random.randbytes(16)
        yield _file(f"placeholder-{tag:08x}.pdf", bytes(9000), Written.WOF, point)


def _windows(random: Random) -> Iterator[LabFile]:
    """Yield an infected Windows: hives with the services, a container, a note, keys."""
    yield from household.windows_files("WIN7-PC", infection.services(Stage.ENCRYPTING, "xjzilhxs261"))
    container = wncry.header(3000, wrapped=random.randbytes(256)) + random.randbytes(3008)
    yield _file("plan.docx.WNCRY", container)
    yield _file("@Please_Read_Me@.txt", b"what happened to my computer?")
    yield _file("00000000.pky", random.randbytes(276))
    yield _file("letter.docx", documents.docx(random))
    yield _file("picture.jpg", b"\xff\xd8\xff\xe0" + random.randbytes(5000))


def _file(name: str, content: bytes, written: Written = Written.PLAIN, point: bytes = b"") -> LabFile:
    return LabFile(path=f"{_HOME}/{name}", content=content, kind=Kind.USER_INTACT, written=written, reparse_data=point)


def _interleave(volume: Path) -> None:
    """Write two files a cluster at a time each, until their run lists need extension records."""
    with mount_for_writing(volume) as folder:
        writers = [io.FileIO(folder / f"turns-{number}.bin", "w") for number in range(2)]
        for number in range(600):
            writers[number % 2].write(bytes([number % 251]) * SECTOR_BYTES)
        for writer in writers:
            writer.close()


RECIPES = (
    Recipe("streams", _names_and_streams, cluster_bytes=512, finish=_interleave),
    Recipe("forms", _forms),
    Recipe("overlays", _overlays, cluster_bytes=1024, finish=lambda volume: split_mft(volume, _RESERVED_ENTRY)),
    Recipe("windows-mbr", _windows, layout=Layout.MBR),
    Recipe("windows-gpt", _windows, layout=Layout.GPT, cluster_bytes=2048),
    Recipe("large-records", _forms, sector_bytes=4096),
)
