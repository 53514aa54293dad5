"""Builds the volumes that are measured, with mkntfs and ntfs-3g; contents are pseudo-random with a fixed seed."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POOL_BYTES = 64 << 20
_HEADS = {
    "docx": b"PK\x03\x04\x14\x00\x06\x00",
    "pdf": b"%PDF-1.4\n",
    "jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "dll": b"MZ\x90\x00\x03\x00\x00\x00",
}
_DOCUMENT_SHARE = 0.625


@contextmanager
def mounted(image: Path, *options: str) -> Iterator[Path]:
    """Mount an NTFS image through ntfs-3g beside it."""
    point = image.with_suffix(".mnt")
    point.mkdir(exist_ok=True)
    subprocess.run(["ntfs-3g", "-o", ",".join(("big_writes", *options)), str(image), str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


def make_ntfs(image: Path, size_bytes: int) -> None:
    """Make an empty NTFS volume as a sparse file."""
    with image.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run(["mkntfs", "-F", "-Q", "-q", str(image)], check=True, capture_output=True)


def build_entries(image: Path, in_one_directory: int, elsewhere: int = 0, *, a_directory: int = 100) -> None:
    """Make a volume of empty files: so many in one directory, the rest a hundred (or so) a directory."""
    if image.exists():
        return
    make_ntfs(image, (256 << 20) + (in_one_directory + elsewhere) * 3072)
    with mounted(image) as root:
        (root / "one").mkdir()
        for number in range(in_one_directory):
            os.close(os.open(root / "one" / f"file{number:07d}.txt", os.O_CREAT | os.O_WRONLY))
        for start in range(0, elsewhere, a_directory):
            folder = root / "many" / f"{start:07d}"
            folder.mkdir(parents=True)
            for number in range(start, min(start + a_directory, elsewhere)):
                os.close(os.open(folder / f"file{number:07d}.txt", os.O_CREAT | os.O_WRONLY))


def build_files(image: Path, files: int, total_bytes: int) -> None:
    """Make a volume of files like a PC's: documents of users (five eighths of the bytes) and system files."""
    if image.exists():
        return
    source = random.Random(2017)
    pool = source.randbytes(_POOL_BYTES)
    average = total_bytes // files
    make_ntfs(image, total_bytes + total_bytes // 8 + (256 << 20))
    with mounted(image) as root:
        for number in range(files):
            is_document = source.random() < _DOCUMENT_SHARE
            extension = source.choice(("docx", "pdf", "jpg", "xls")) if is_document else "dll"
            base = f"Users/user{number % 7}/Documents" if is_document else "Windows/System32"
            folder = root / base / f"d{number // 500:04d}"
            size = min(int(source.expovariate(1 / average)) + 64, 64 << 20)
            start = source.randrange(_POOL_BYTES - 1)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"f{number:06d}.{extension}").open("wb") as file:
                file.write(_HEADS[extension])
                left = size
                while left > 0:
                    piece = pool[start : start + left]
                    file.write(piece)
                    left -= len(piece)
                    start = 0
