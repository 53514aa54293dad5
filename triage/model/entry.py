"""A file system entry's stream as everybody sees it: what it is called, how long it is, how it is stored."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

FIRST_USER_ENTRY = 24
"""MFT entries below belong to the file system itself."""


class StreamForm(StrEnum):
    """How the bytes of a stream are stored ([MS-FSCC] 2.6, NTFS attribute flags)."""

    RESIDENT = "resident"
    PLAIN = "plain"
    SPARSE = "sparse"
    LZNT1 = "lznt1"
    EFS = "efs"
    WOF = "wof"


class StreamState(StrEnum):
    """The one state in which each stream ends, by outcome. How it is stored and how it was scanned stand apart.

    READ: every byte was read. PARTIAL: some were not; each range is a gap. NOT_DECODABLE: stored in a way that nobody
    here decodes; the gap names it. EFS_ENCRYPTED: the user's key is needed. REPARSE_POINT: the content lies elsewhere;
    the gap says where. SPARSE_SYSTEM: the file system's own, holes for the most part, not read.
    EXCLUDED: left out by the profile; of some the header was read. KNOWN_GOOD: read whole, and left out of what YARA
    says because its digest is on the user's list. TIMED_OUT: read whole, its digests are right, but YARA was stopped
    before its end. WORKER_DIED: the program failed on it. INTERRUPTED: the run ended before.
    """

    READ = "read"
    PARTIAL = "partial"
    NOT_DECODABLE = "not-decodable"
    EFS_ENCRYPTED = "efs-encrypted"
    REPARSE_POINT = "reparse-point"
    SPARSE_SYSTEM = "sparse-system"
    EXCLUDED = "excluded"
    KNOWN_GOOD = "known-good"
    TIMED_OUT = "timed-out"
    WORKER_DIED = "worker-died"
    INTERRUPTED = "interrupted"


class FileTimes(Struct, frozen=True):
    """Four times as FILETIME: 100 ns ticks since 1601-01-01 UTC ([MS-DTYP] 2.3.3). 0 means not set."""

    created: int
    modified: int
    changed: int
    accessed: int


class Subject(Struct, frozen=True, kw_only=True):
    """One stream of one entry, ready to be read.

    `path` is `/`-separated from the volume's root, without a leading slash, names as on disk (unpaired surrogates
    kept); `other_paths` are its further hard links. `stream` is "" for the unnamed `$DATA`. `si` and `fn` are the times
    of $STANDARD_INFORMATION and of the $FILE_NAME behind `path`. `dos_attributes` as in [MS-FSCC] 2.6.
    `repeat` counts the streams of the same entry and name before it: a damaged entry may have several.
    """

    volume: str
    mft_entry: int
    sequence: int
    attribute_id: int
    path: str
    stream: str
    size_bytes: int
    initialized_bytes: int
    form: StreamForm
    other_paths: tuple[str, ...] = ()
    dos_attributes: int = 0
    reparse_tag: int = 0
    si: FileTimes | None = None
    fn: FileTimes | None = None
    repeat: int = 0
