"""One record of the change journal, in which NTFS notes what was done to which file."""

from __future__ import annotations

from msgspec import Struct

_REASONS: dict[int, str] = {
    0x00000001: "data-overwrite",
    0x00000002: "data-extend",
    0x00000004: "data-truncation",
    0x00000010: "named-data-overwrite",
    0x00000020: "named-data-extend",
    0x00000040: "named-data-truncation",
    0x00000100: "file-create",
    0x00000200: "file-delete",
    0x00000400: "ea-change",
    0x00000800: "security-change",
    0x00001000: "rename-old-name",
    0x00002000: "rename-new-name",
    0x00004000: "indexable-change",
    0x00008000: "basic-info-change",
    0x00010000: "hard-link-change",
    0x00020000: "compression-change",
    0x00040000: "encryption-change",
    0x00080000: "object-id-change",
    0x00100000: "reparse-point-change",
    0x00200000: "stream-change",
    0x00400000: "transacted-change",
    0x00800000: "integrity-change",
    0x01000000: "desired-storage-class-change",
    0x80000000: "close",
}
_SOURCES: dict[int, str] = {
    0x1: "data-management",
    0x2: "auxiliary-data",
    0x4: "replication-management",
    0x8: "client-replication-management",
}
FILE_DELETE = 0x00000200
RENAME_OLD_NAME = 0x00001000
RENAME_NEW_NAME = 0x00002000
_ENTRY_BITS = 48


class Change(Struct, frozen=True, array_like=True):
    """One record of `$UsnJrnl:$J`; its place in the journal is its `usn`.

    `time` is a FILETIME (0 in version 4, which has neither time, name nor attributes). A file's id has 64 bits on NTFS:
    MFT entry (48 bits) and sequence number; versions 3 and 4 have room for 128 bits, whose upper half is `…_high`.
    `folder` is the path of its directory, as far as it can be told. `reason`, `source` and `attributes` are the flags
    of USN_RECORD (Microsoft, winioctl.h) and [MS-FSCC] 2.6.
    """

    volume: str
    name: str
    folder: str
    usn: int
    time: int
    version: int
    file: int
    file_high: int
    parent: int
    parent_high: int
    reason: int
    source: int
    attributes: int


class JournalSummary(Struct, frozen=True, kw_only=True):
    """The change journal of one volume in figures. Times are UTC ISO 8601, None where no record has one.

    Records are appended as things happen: one whose time lies before that of an earlier record was written after the
    clock had been set back, by `set_back_seconds` or more.
    """

    volume: str
    records: int
    records_by_version: dict[str, int]
    damaged_bytes: int
    first_utc: str | None
    last_utc: str | None
    set_back_seconds: int = 0


def split_reference(reference: int) -> tuple[int, int]:
    """Return MFT entry and sequence number of an NTFS file reference."""
    return reference & ((1 << _ENTRY_BITS) - 1), reference >> _ENTRY_BITS


def join_reference(entry: int, sequence: int) -> int:
    """Return the NTFS file reference of an MFT entry and a sequence number."""
    return sequence << _ENTRY_BITS | entry


def reason_names(flags: int) -> str:
    """Return what happened, joined by `|`; a flag that is not known in hexadecimal."""
    return _names(flags, _REASONS)


def source_names(flags: int) -> str:
    """Return on whose behalf it happened, in the same form; empty for an ordinary program."""
    return _names(flags, _SOURCES)


def _names(flags: int, known: dict[int, str]) -> str:
    names = [name for flag, name in known.items() if flags & flag]
    rest = flags & ~sum(known)
    return "|".join([*names, f"0x{rest:X}"] if rest != 0 else names)
