r"""Amcache.hve: programs that a Windows since 8 has met, with the SHA-1 of each, deleted ones too.

Two layouts stand beside each other in many hives:

- `Root\File\<volume>\<record>` (Windows 8, 8.1, 10 until 1607, later ones after an upgrade): numbered values, 15 is the
  path, 101 the SHA-1, 6 the size, 11 and 12 the file's times of modification and creation (FILETIME), 17 the first of
  them again. The key is written when the program is first run, or when a scan of installed programs meets it.
- `Root\InventoryApplicationFile\<program>` (Windows 10 and all that have its libraries): named values. The key is
  written by the scan, hours or days after the program came or ran.

A SHA-1 stands behind four zeros and is that of the file's first 31,457,280 bytes.

Source: B. Lagny, "Analysis of the AmCache" v2 (ANSSI, 2019).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from triage.artefacts.hive import Hive, HiveKey

HASHED_BYTES = 31_457_280
_SHA1 = re.compile(r"0000([0-9a-f]{40})", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"0x[0-9a-f]{1,16}|[0-9]{1,20}", re.IGNORECASE | re.ASCII)


class AmcacheLayout(StrEnum):
    """Which of the two layouts an entry is of."""

    FILE = "File"
    INVENTORY = "InventoryApplicationFile"


class AmcacheFile(Struct, frozen=True, kw_only=True):
    """One program. `sha1` is lower-case hexadecimal; FILETIMEs are 0 and texts "" where an entry does not tell."""

    layout: AmcacheLayout
    path: str
    key_path: str
    offset_bytes: int
    key_last_written: int
    sha1: str | None
    size_bytes: int | None
    file_modified: int = 0
    file_created: int = 0
    linked: str = ""


def read_amcache(hive: Hive) -> tuple[AmcacheFile, ...]:
    """Read all programs of an Amcache hive, those of the older layout first."""
    return (*_files(hive.key(rf"Root\{AmcacheLayout.FILE}")), *_inventory(hive.key(rf"Root\{AmcacheLayout.INVENTORY}")))


def _files(key: HiveKey | None) -> Iterator[AmcacheFile]:
    volumes = [] if key is None else key.subkeys()
    for entry in (entry for volume in volumes for entry in volume.subkeys()):
        yield AmcacheFile(
            layout=AmcacheLayout.FILE,
            path=entry.text("15") or "",
            key_path=entry.path,
            offset_bytes=entry.offset_bytes,
            key_last_written=entry.last_written,
            sha1=_sha1(entry.text("101")),
            size_bytes=_number(entry, "6"),
            file_modified=_filetime(entry, "11", "17"),
            file_created=_filetime(entry, "12"),
        )


def _inventory(key: HiveKey | None) -> Iterator[AmcacheFile]:
    for entry in [] if key is None else key.subkeys():
        yield AmcacheFile(
            layout=AmcacheLayout.INVENTORY,
            path=entry.text("LowerCaseLongPath") or "",
            key_path=entry.path,
            offset_bytes=entry.offset_bytes,
            key_last_written=entry.last_written,
            sha1=_sha1(entry.text("FileId")),
            size_bytes=_number(entry, "Size"),
            linked=entry.text("LinkDate") or "",
        )


def _sha1(text: str | None) -> str | None:
    match = _SHA1.fullmatch(text or "")
    return None if match is None else match[1].lower()


def _filetime(key: HiveKey, *names: str) -> int:
    """Return the first of these values that is there and set."""
    return next((number for name in names if (number := key.number(name)) is not None and number > 0), 0)


def _number(key: HiveKey, name: str) -> int | None:
    """Return a number that some versions keep as such and others as text, in either base."""
    text = key.text(name)
    if text is None:
        return key.number(name)
    return int(text, 0) if _NUMBER.fullmatch(text) and not text.startswith("00") else None
