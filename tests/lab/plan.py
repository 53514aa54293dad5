"""What a lab disk shall hold and what it then truly holds: the ground truth that tests compare a run with."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from msgspec import Struct

LAB_FILETIME = 131390502650000000
"""2017-05-12 08:11:05 UTC, the day it began, in the 100 ns ticks of [MS-DTYP] 2.3.3."""

READ_ONLY = 0x1
HIDDEN = 0x2
SYSTEM = 0x4


class Kind(StrEnum):
    """What a stream is to the people who own the disk.

    USER_INTACT: a user's file, readable (look-alikes that only resemble an indicator too). ENCRYPTED: type 4
    container. IN_PROGRESS: a container cut short beside its intact original (`.WNCRYT`). MOVED_ORIGINAL: plain
    content under a number (`N.WNCRYT`). PREPARED: type 3, restorable without a key (`.WNCYR`). FILLER: bytes
    0x55. STAND_IN: inert text in the place of a program or component. NOTE: ransom note. KEY_FILE: `.pky`,
    `.eky`, `.res`. SYSTEM: part of Windows.
    """

    USER_INTACT = "user-intact"
    ENCRYPTED = "encrypted"
    IN_PROGRESS = "in-progress"
    MOVED_ORIGINAL = "moved-original"
    PREPARED = "prepared"
    FILLER = "filler"
    STAND_IN = "stand-in"
    NOTE = "note"
    KEY_FILE = "key-file"
    SYSTEM = "system"


class Written(StrEnum):
    """How the bytes of a stream come to the volume."""

    PLAIN = "plain"
    FRAGMENTED = "fragmented"
    SPARSE = "sparse"
    COMPRESSED = "compressed"
    WOF = "wof"
    EFS = "efs"
    REPARSE = "reparse"


class LabFile(Struct, frozen=True, kw_only=True):
    """One stream to be written.

    `path` is `/`-separated from the volume's root and may hold unpaired surrogates; `stream` "" is the unnamed
    one, another is added to the file of that path (or the directory, where no file has it). `initialized_bytes`
    is the length behind which the stream reads as zeros. `original` is what an encrypted or prepared file was
    made of. With `moved_from` the file is made there and renamed. `deleted`: made and removed again.
    `reparse_data` is a whole reparse point. A path that ends in `/` makes a directory, which has no stream.

    `filetime` is what `$STANDARD_INFORMATION` says of creation, change and access; `modified` and `changed` (of the
    content, of the record) and `named` (all four times of `$FILE_NAME`) are as `filetime` where they are 0.
    """

    path: str
    content: bytes
    kind: Kind
    stream: str = ""
    links: tuple[str, ...] = ()
    dos_attributes: int = 0
    filetime: int = LAB_FILETIME
    modified: int = 0
    changed: int = 0
    named: int = 0
    written: Written = Written.PLAIN
    initialized_bytes: int | None = None
    original: bytes | None = None
    moved_from: str = ""
    deleted: bool = False
    reparse_data: bytes = b""


class TrueStream(Struct, frozen=True, kw_only=True):
    """One stream as it stands on the disk, known from what was written and not from any reader.

    `sha256` is that of the content a Windows would show; None where that needs a key (EFS) or where the stream
    is a deleted one, whose clusters may be taken again.
    """

    path: str
    stream: str
    size_bytes: int
    sha256: str | None
    kind: Kind
    written: Written
    other_paths: tuple[str, ...] = ()
    deleted: bool = False
    original_sha256: str | None = None


def sha256(content: bytes) -> str:
    """Return the digest in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def true_stream(file: LabFile) -> TrueStream:
    """Return what a file of the plan is once it stands on the disk."""
    content = file.content
    if file.initialized_bytes is not None:
        content = content[: file.initialized_bytes].ljust(len(content), b"\0")
    unknown = file.deleted or file.written is Written.EFS
    return TrueStream(
        path=file.path,
        stream=file.stream,
        size_bytes=len(content),
        sha256=None if unknown else sha256(content),
        kind=file.kind,
        written=file.written,
        other_paths=file.links,
        deleted=file.deleted,
        original_sha256=None if file.original is None else sha256(file.original),
    )
