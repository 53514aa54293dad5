"""A stand-in for a driver: a PE file that holds a version resource and nothing else, no code and no entry point.

Laid out after "PE Format" and "VS_VERSIONINFO structure" (Microsoft): headers, one section `.rsrc` with a resource of
type 16 (RT_VERSION) at the three levels type, name and language.
"""

from __future__ import annotations

import struct

Version = tuple[int, int, int, int]

_FILE_ALIGNMENT = 0x200
_SECTION_RVA = 0x1000
_RT_VERSION = 16
_ENGLISH = 0x409
_MACHINE_X64 = 0x8664
_SUBDIRECTORY = 1 << 31
_FIXED_SIGNATURE = 0xFEEF04BD
_DRIVER = 3
_OPTIONAL_HEADER = "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII"


def driver(version: Version, *, text: str = "6.3.9600.16384 (inert stand-in of the triage lab)") -> bytes:
    """Return a driver of a version; `text` is the FileVersion for people, which may say something else."""
    section = _resources(_version_info(version, text))
    raw = section.ljust(-(-len(section) // _FILE_ALIGNMENT) * _FILE_ALIGNMENT, b"\0")
    directories = [(0, 0)] * 16
    directories[2] = _SECTION_RVA, len(section)
    optional = struct.pack(
        _OPTIONAL_HEADER,
        *(0x20B, 14, 0, 0, len(raw), 0, 0, _SECTION_RVA, 0x10000, 0x1000, _FILE_ALIGNMENT),
        *(6, 1, 6, 1, 6, 1, 0, 0x2000, _FILE_ALIGNMENT, 0, 1, 0),
        *(0x40000, 0x1000, 0x100000, 0x1000, 0, len(directories)),
    )
    optional += b"".join(struct.pack("<II", *one) for one in directories)
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    headers = dos + b"PE\0\0" + struct.pack("<HHIIIHH", _MACHINE_X64, 1, 0, 0, 0, len(optional), 0x2022) + optional
    headers += struct.pack(
        "<8sIIIIIIHHI", b".rsrc", len(section), _SECTION_RVA, len(raw), _FILE_ALIGNMENT, 0, 0, 0, 0, 0x40000040
    )
    return headers.ljust(_FILE_ALIGNMENT, b"\0") + raw


def _resources(content: bytes) -> bytes:
    """Return a section with one resource, behind its directory of three levels."""
    tree = b""
    for number, (identifier, is_last) in enumerate(((_RT_VERSION, False), (1, False), (_ENGLISH, True))):
        below = (number + 1) * 24
        tree += struct.pack("<IIHHHHII", 0, 0, 0, 0, 0, 1, identifier, below if is_last else below | _SUBDIRECTORY)
    return tree + struct.pack("<IIII", _SECTION_RVA + len(tree) + 16, len(content), 0, 0) + content


def _version_info(version: Version, text: str) -> bytes:
    major, minor, build, revision = version
    numbers = major << 16 | minor, build << 16 | revision
    fixed = struct.pack(
        "<IIIIIIIIIIIII", _FIXED_SIGNATURE, 0x10000, *numbers, *numbers, 0x3F, 0, 0x40004, _DRIVER, 7, 0, 0
    )
    strings = _block("FileVersion", text.encode("utf-16-le") + b"\0\0", is_text=True)
    table = _block("040904b0", b"", strings)
    translation = _block("VarFileInfo", b"", _block("Translation", struct.pack("<HH", _ENGLISH, 1200)))
    return _block("VS_VERSION_INFO", fixed, _block("StringFileInfo", b"", table) + translation)


def _block(key: str, value: bytes, children: bytes = b"", *, is_text: bool = False) -> bytes:
    """Return one block: its length, the value's, its kind, its key, then value and children at multiples of four."""
    head = _aligned(bytes(6) + key.encode("utf-16-le") + b"\0\0")
    body = head + _aligned(value) + children
    return struct.pack("<HHH", len(body), len(value) // 2 if is_text else len(value), is_text) + body[6:]


def _aligned(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 4) * 4, b"\0")
