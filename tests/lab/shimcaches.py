"""Writes `AppCompatCache` values as each Windows does, apart from the product's parser.

Layouts after J. Metz, winreg-kb, "Application compatibility cache key"; the 16-bit length of a package's name in
Windows 8.1 after Mandiant's ShimCacheParser.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from msgspec import Struct

from triage.artefacts.shimcache_entry import CacheForm

_ENTRY_FLAG_EXECUTED = 0x2


class LabProgram(Struct, frozen=True, kw_only=True):
    """One entry to be written; what a form has no room for is left out."""

    path: str
    file_modified: int = 129_000_000_000_000_000
    updated: int = 131_000_000_000_000_000
    executed: bool = False
    file_bytes: int = 4_000_000
    data: bytes = b""

    @property
    def raw_path(self) -> bytes:
        return self.path.encode("utf-16-le", "surrogatepass")


def write_xp(programs: Sequence[LabProgram]) -> bytes:
    """Return the cache of Windows XP: a header of 400 bytes with the order of use, then entries of 552."""
    header = struct.pack("<IIII", 0xDEADBEEF, len(programs), len(programs), 0)
    header += b"".join(struct.pack("<I", number) for number in range(len(programs)))
    entries = (
        struct.pack("<528sQQQ", one.raw_path + b"\0\0", one.file_modified, one.file_bytes, one.updated)
        for one in programs
    )
    return header.ljust(400, b"\0") + b"".join(entries)


def _table(programs: Sequence[LabProgram], header: bytes, entry: Callable[[LabProgram, int], bytes]) -> bytes:
    size_bytes = len(entry(LabProgram(path=""), 0))
    paths_at = len(header) + size_bytes * len(programs)
    entries, paths = b"", b""
    for one in programs:
        entries += entry(one, paths_at + len(paths))
        paths += one.raw_path + b"\0\0"
    return header + entries + paths


def _path_head(one: LabProgram, offset: int, *, wide: bool) -> bytes:
    length = len(one.raw_path)
    return struct.pack("<HH4xQQ" if wide else "<HHIQ", length, length + 2, offset, one.file_modified)


def write_2003(programs: Sequence[LabProgram], *, wide: bool = False) -> bytes:
    """Return the cache of Windows Server 2003, which keeps sizes."""
    header = struct.pack("<II", 0xBADC0FFE, len(programs))
    return _table(programs, header, lambda one, at: _path_head(one, at, wide=wide) + struct.pack("<Q", one.file_bytes))


def write_vista(programs: Sequence[LabProgram], *, wide: bool = False) -> bytes:
    """Return the cache of Windows Vista, which keeps flags in their place."""
    header = struct.pack("<II", 0xBADC0FFE, len(programs))
    return _table(programs, header, lambda one, at: _path_head(one, at, wide=wide) + _flags(one))


def write_7(programs: Sequence[LabProgram], *, wide: bool = False) -> bytes:
    """Return the cache of Windows 7."""
    header = struct.pack("<III", 0xBADC0FEE, len(programs), 120).ljust(128, b"\0")
    rest = bytes(16 if wide else 8)
    return _table(programs, header, lambda one, at: _path_head(one, at, wide=wide) + _flags(one) + rest)


def _flags(one: LabProgram) -> bytes:
    return struct.pack("<II", _ENTRY_FLAG_EXECUTED if one.executed else 1, 0)


def _tagged(header: bytes, tag: bytes, bodies: Sequence[bytes]) -> bytes:
    return header + b"".join(struct.pack("<4sII", tag, 0x1234, len(body)) + body for body in bodies)


def _named(one: LabProgram, numbers: bytes) -> bytes:
    return struct.pack("<H", len(one.raw_path)) + one.raw_path + numbers + one.data


def write_8(programs: Sequence[LabProgram]) -> bytes:
    """Return the cache of Windows 8.0."""
    bodies = [_named(one, _flags(one) + struct.pack("<QI", one.file_modified, len(one.data))) for one in programs]
    return _tagged(bytes(128), b"00ts", bodies)


def write_8_1(programs: Sequence[LabProgram], *, package: bytes = b"") -> bytes:
    """Return the cache of Windows 8.1; a program of an app comes with the name of its package."""
    head = struct.pack("<H", len(package)) + package
    bodies = [
        _named(one, head + _flags(one) + struct.pack("<QI", one.file_modified, len(one.data))) for one in programs
    ]
    return _tagged(bytes(128), b"10ts", bodies)


def write_10(programs: Sequence[LabProgram], *, header_bytes: int = 52) -> bytes:
    """Return the cache of Windows 10; its header has 48 bytes before the Creators Update and 52 since."""
    header = struct.pack("<I", header_bytes).ljust(header_bytes, b"\0")
    bodies = [_named(one, struct.pack("<QI", one.file_modified, len(one.data))) for one in programs]
    return _tagged(header, b"10ts", bodies)


WRITERS: dict[str, tuple[CacheForm, Callable[[Sequence[LabProgram]], bytes]]] = {
    "xp": (CacheForm.XP, write_xp),
    "2003": (CacheForm.SERVER_2003, write_2003),
    "2003-64": (CacheForm.SERVER_2003, lambda programs: write_2003(programs, wide=True)),
    "vista": (CacheForm.VISTA, write_vista),
    "vista-64": (CacheForm.VISTA, lambda programs: write_vista(programs, wide=True)),
    "7": (CacheForm.WINDOWS_7, write_7),
    "7-64": (CacheForm.WINDOWS_7, lambda programs: write_7(programs, wide=True)),
    "8": (CacheForm.WINDOWS_8, write_8),
    "8.1": (CacheForm.WINDOWS_8_1, write_8_1),
    "8.1-app": (CacheForm.WINDOWS_8_1, lambda programs: write_8_1(programs, package=b"p\0k\0g\0")),
    "10": (CacheForm.WINDOWS_10, lambda programs: write_10(programs, header_bytes=48)),
    "10-creators": (CacheForm.WINDOWS_10, write_10),
}
"""Every form, by a name for tests."""
