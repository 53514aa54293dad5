"""Tells files that WannaCry encrypted from those it did not, by their bytes and never by their name alone.

The container as the public analyses of tasksche.exe and its DLL agree on it (little-endian):

    0x000  8    "WANACRY!"
    0x008  4    length of the wrapped key, 0x100
    0x00C  256  wrapped AES key
    0x10C  4    type: 3 prepared, 4 encrypted
    0x110  8    original size
    0x118       content, zero-padded to 16 bytes

Type 4 is stored in 0x118 + roundup16(original size) bytes. Type 3 (`.WNCYR`, large files) is not encrypted:
its first 64 KiB stand at the end, so it can be restored without a key where it is 64 KiB longer than the
original was. The malware's own `t.wnry` is the same container: a component (severity low here), not a user's
lost file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from msgspec import Struct

from triage.examiners.formats import Content
from triage.examiners.places import times_of, where_is
from triage.examiners.structure import CHECKS, fits_extension
from triage.model.content import ContentJudgement
from triage.model.entry import Subject
from triage.model.errors import ParseError
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap

FAMILY: Final = "wannacry"
INDICATOR: Final = "WANACRY! container"
INDICATOR_SET: Final = "wannacry-formats"

MAGIC: Final = b"WANACRY!"
HEADER_BYTES: Final = 0x118
MOVED_HEAD_BYTES: Final = 0x10000
_KEY_BYTES = 0x100
_AFTER_MAGIC = struct.Struct("<I256xIQ")
_AES_BLOCK_BYTES = 16
_MAX_ORIGINAL_BYTES = 1 << 44  # NTFS holds no larger file with clusters of up to 4 KiB
_COMPONENT_NAME = "t.wnry"
_IN_PROGRESS = "wncryt"
_CONTAINER_EXTENSIONS = ("wncry", "wncyr")

# What is kept of each end of a stream: little where its type has no check, more of a large file, whose end
# may hold a comment or a camera's notes; that costs nothing beside reading it.
_UNCHECKED_BYTES = 512
_CHECKED_BYTES = 16 * 1024
_CHECKED_LARGE_BYTES = 64 * 1024
_LARGE_BYTES = 1024 * 1024
_FILLER = b"\x55" * (64 * 1024)


class ContainerType(IntEnum):
    """The header's type field."""

    PREPARED = 3
    ENCRYPTED = 4


class Container(Struct, frozen=True, kw_only=True):
    """What a container's header says."""

    type: ContainerType
    original_bytes: int

    @property
    def expected_bytes(self) -> int:
        """Length of the whole file that such a header stands in."""
        if self.type is ContainerType.PREPARED:
            return self.original_bytes + MOVED_HEAD_BYTES
        return HEADER_BYTES + -(-self.original_bytes // _AES_BLOCK_BYTES) * _AES_BLOCK_BYTES


def parse_container(head: bytes) -> Container:
    """Parse the first 0x118 bytes of a file; ParseError where they are fewer or do not follow the format."""
    if not head.startswith(MAGIC):
        raise ParseError("no container magic", need_bytes=HEADER_BYTES, have_bytes=len(head))
    if len(head) < HEADER_BYTES:
        raise ParseError("container header cut off", need_bytes=HEADER_BYTES, have_bytes=len(head))
    key_bytes, kind, original_bytes = _AFTER_MAGIC.unpack_from(head, len(MAGIC))
    if key_bytes != _KEY_BYTES:
        raise ParseError(f"key length {key_bytes:#x}", offset_bytes=0x8)
    if kind not in (ContainerType.PREPARED, ContainerType.ENCRYPTED):
        raise ParseError(f"container type {kind}", offset_bytes=0x10C)
    if original_bytes > _MAX_ORIGINAL_BYTES:
        raise ParseError(f"original size {original_bytes}", offset_bytes=0x110)
    return Container(type=ContainerType(kind), original_bytes=original_bytes)


class EncryptedExaminer:
    """Judges one stream after the other from its ends and its length; see `triage.model.examiner.Examiner`.

    `early_judgement` is set as soon as the beginning settles that there is nothing to copy (or nothing but a
    prepared file), None until then.
    """

    def __init__(self) -> None:
        self._judgement: ContentJudgement | None = ContentJudgement.EMPTY
        self.early_judgement: ContentJudgement | None = None

    @property
    def judgement(self) -> ContentJudgement:
        """The judgement of the stream that ended last, made when it is first asked for: most streams' never is."""
        if self._judgement is None:
            self._judgement = self._judge(complete=self._complete)
        return self._judgement

    def begin(self, subject: Subject) -> None:
        """Start a stream."""
        self._subject = subject
        self._name = (subject.stream or subject.path.rpartition("/")[2]).lower()
        self._extension = document_extension(self._name)
        self._keep_bytes = _kept_bytes(self._extension, subject.size_bytes)
        self._head = b""
        self._tail = b""
        self._is_filler = True
        self._container: Container | None = None
        self.early_judgement = ContentJudgement.EMPTY if subject.size_bytes == 0 else None

    def feed(self, window: memoryview, offset_bytes: int, fresh: int) -> None:
        """Keep what belongs to the stream's ends."""
        new = window[fresh:]
        at = offset_bytes + fresh
        if len(self._head) < self._keep_bytes:
            self._head += bytes(new[: self._keep_bytes - len(self._head)])
        tail_at = self._subject.size_bytes - self._keep_bytes
        if at + len(new) > tail_at:
            self._tail += bytes(new[max(tail_at - at, 0) :])
        if self._is_filler:
            self._is_filler = _is_filler(new)
        if self.early_judgement is None:
            self._judge_early()

    def end(self, *, complete: bool) -> Sequence[Finding | Gap]:
        """Judge the stream; return a finding where its magic is the container's."""
        subject = self._subject
        if subject.size_bytes == 0:
            self._judgement = ContentJudgement.EMPTY
            return ()
        self._judgement, self._complete = None, complete
        if not self._head.startswith(MAGIC):
            return ()
        self._container = self._container or _container_of(self._head)
        return (self._finding(self._container),)

    def _judge_early(self) -> None:
        if len(self._head) >= HEADER_BYTES and self._container is None:
            self._container = _container_of(self._head)
        if self._container is not None:
            self.early_judgement = _judge_container(self._container, self._subject.size_bytes)
        elif self._is_filler and self._name.endswith("." + _IN_PROGRESS) and len(self._head) == self._keep_bytes:
            self.early_judgement = ContentJudgement.FILLER

    def _judge(self, *, complete: bool) -> ContentJudgement:
        size_bytes = self._subject.size_bytes
        if self._container is not None:
            return _judge_container(self._container, size_bytes)
        if _is_cut_header(self._head, size_bytes):
            return ContentJudgement.ENCRYPTED_TRUNCATED
        if complete and self._is_filler and self._name.endswith("." + _IN_PROGRESS):
            return ContentJudgement.FILLER
        content = Content(self._head, self._tail if complete else None, size_bytes)
        if self._extension in _CONTAINER_EXTENSIONS or not fits_extension(self._extension, content):
            return ContentJudgement.CONTRADICTS_TYPE
        return ContentJudgement.PLAIN

    def _finding(self, container: Container | None) -> Finding:
        subject = self._subject
        facts = {"stored_size_bytes": str(subject.size_bytes)}
        if container is not None:
            facts |= _facts(container, subject.size_bytes)
        else:
            facts["structure"] = "header-cut" if _is_cut_header(self._head, subject.size_bytes) else "magic-only"
        if self._name == _COMPONENT_NAME:
            facts["role"] = "malware-component"
        elif self._name.endswith("." + _IN_PROGRESS):
            facts["role"] = "encryption-in-progress"
        return Finding(
            family=FAMILY,
            kind=FindingKind.ENCRYPTED_FILE,
            indicator=INDICATOR,
            set=INDICATOR_SET,
            severity=Severity.LOW if self._name == _COMPONENT_NAME else _severity(container, facts),
            where=where_is(subject, 0),
            times=times_of(subject.si, subject.fn),
            facts=facts,
        )


def document_extension(name: str) -> str:
    """Return the extension (lower case, no dot) that says what a file's content should be.

    That of `report.docx.wncry` is docx. What the malware moved away as `7.wncryt` keeps no extension: "".
    """
    stem, dot, extension = name.rpartition(".")
    if dot == "":
        return ""
    if extension in _CONTAINER_EXTENSIONS or extension == _IN_PROGRESS:
        inner = stem.rpartition(".")[2] if "." in stem else ""
        return inner or (extension if extension in _CONTAINER_EXTENSIONS else "")
    return extension


def _kept_bytes(extension: str, size_bytes: int) -> int:
    if extension not in CHECKS:
        return _UNCHECKED_BYTES
    return _CHECKED_BYTES if size_bytes < _LARGE_BYTES else _CHECKED_LARGE_BYTES


def _container_of(head: bytes) -> Container | None:
    if not head.startswith(MAGIC):
        return None
    try:
        return parse_container(head)
    except ParseError:
        return None


def _is_cut_header(head: bytes, size_bytes: int) -> bool:
    """True for a container so short that even its header is not whole: magic and key length are right."""
    return size_bytes < HEADER_BYTES and head.startswith(MAGIC + _KEY_BYTES.to_bytes(4, "little"))


def _is_filler(new: memoryview) -> bool:
    """True where all bytes are 0x55; one look suffices for nearly every file."""
    if len(new) == 0 or new[0] != _FILLER[0]:
        return False
    step = len(_FILLER)
    return all(_FILLER.startswith(bytes(new[at : at + step])) for at in range(0, len(new), step))


def _judge_container(container: Container, size_bytes: int) -> ContentJudgement:
    if container.type is ContainerType.PREPARED:
        # Of another length it cannot be restored as it stands, but its body is plain: it must not be given
        # up.
        whole = size_bytes == container.expected_bytes and container.original_bytes >= MOVED_HEAD_BYTES
        return ContentJudgement.PREPARED if whole else ContentJudgement.CONTRADICTS_TYPE
    if size_bytes < container.expected_bytes:
        return ContentJudgement.ENCRYPTED_TRUNCATED
    return ContentJudgement.ENCRYPTED


def _facts(container: Container, size_bytes: int) -> dict[str, str]:
    facts = {
        "structure": "fits" if size_bytes == container.expected_bytes else "length-differs",
        "type": str(container.type.value),
        "original_size_bytes": str(container.original_bytes),
        "expected_size_bytes": str(container.expected_bytes),
        "truncated": "yes" if size_bytes < container.expected_bytes else "no",
    }
    if container.type is ContainerType.PREPARED:
        restorable = _judge_container(container, size_bytes) is ContentJudgement.PREPARED
        facts["restorable_without_key"] = "yes" if restorable else "no"
    return facts


def _severity(container: Container | None, facts: dict[str, str]) -> Severity:
    """High where the length fits or content was cut off; less where a header stands alone or before more."""
    if container is None:
        return Severity.MEDIUM if facts["structure"] == "header-cut" else Severity.LOW
    has_content = int(facts["stored_size_bytes"]) > HEADER_BYTES
    if facts["structure"] == "fits" or (facts["truncated"] == "yes" and has_content):
        return Severity.HIGH
    return Severity.MEDIUM
