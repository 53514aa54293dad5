"""Writes Amcache hives in both layouts, and RecentFileCache.bcf: paths, digests and nothing that runs.

Values after B. Lagny, "Analysis of the AmCache" v2 (ANSSI, 2019).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from tests.lab import hives

AMCACHE_PATH = "Windows/AppCompat/Programs/Amcache.hve"
RECENT_PATH = "Windows/AppCompat/Programs/RecentFileCache.bcf"
_VOLUME = "ccbe4c57-0000-0000-0000-100000000000"


class LabAmcacheFile(Struct, frozen=True, kw_only=True):
    """One program; `layout` is the key below `Root` under which it stands."""

    path: str
    sha1: str = "1" * 40
    size_bytes: int = 3_723_264
    layout: str = "InventoryApplicationFile"
    file_modified: int = 129_000_000_000_000_000
    file_created: int = 131_000_000_000_000_000


def amcache_hive(path: Path, files: Sequence[LabAmcacheFile]) -> None:
    """Write a hive with these programs."""
    keys: dict[str, list[str]] = {r"Root\File": [], r"Root\InventoryApplicationFile": []}
    for number, file in enumerate(files):
        if file.layout == "File":
            keys[rf"Root\File\{_VOLUME}\{number + 0x10000:x}"] = [
                hives.text_value("15", file.path),
                hives.text_value("101", f"0000{file.sha1}"),
                hives.binary_value("6", struct.pack("<I", file.size_bytes), kind=4),
                hives.binary_value("11", struct.pack("<Q", file.file_modified), kind=11),
                hives.binary_value("12", struct.pack("<Q", file.file_created), kind=11),
            ]
        else:
            name = file.path.rpartition("\\")[2]
            keys[rf"Root\InventoryApplicationFile\{name}|{number:016x}"] = [
                hives.text_value("LowerCaseLongPath", file.path.lower()),
                hives.text_value("FileId", f"0000{file.sha1}"),
                hives.text_value("Size", hex(file.size_bytes)),
                hives.text_value("LinkDate", "11/20/2010 09:03:08"),
            ]
    hives.write_hive(path, keys)


def recent_file_cache(paths: Sequence[str]) -> bytes:
    """Return a RecentFileCache.bcf with these paths."""
    data = bytes.fromhex("feffeeff 11220000 03000000 01000000 12345678")
    for path in paths:
        raw = path.encode("utf-16-le", "surrogatepass")
        data += struct.pack("<I", len(raw) // 2) + raw + b"\0\0"
    return data
