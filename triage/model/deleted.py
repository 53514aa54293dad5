"""What is gone but not yet lost: deleted streams, and how much of each still lies where it lay."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from triage.model.entry import FileTimes


class Recoverability(StrEnum):
    """What a deleted stream's clusters are today.

    RESIDENT: the content stands in the MFT record itself. FREE: no cluster is in use, and no other deleted stream
    claims one. CONTESTED: none is in use, but another deleted stream claims some: they hold the later one's bytes, or
    neither's. PARTLY_REUSED: some are in use. REUSED: all are. UNKNOWN: the run list does not say where all of them
    are, or `$Bitmap` is unreadable. EMPTY: no bytes, or no stream. NO_RECORD: only the change journal still names it.
    """

    RESIDENT = "resident"
    FREE = "free"
    CONTESTED = "contested"
    PARTLY_REUSED = "partly-reused"
    REUSED = "reused"
    UNKNOWN = "unknown"
    EMPTY = "empty"
    NO_RECORD = "no-record"


class BytesLeft(Struct, frozen=True, array_like=True):
    """What became of a stream's bytes; together less than its size where it has holes."""

    resident: int = 0
    free: int = 0
    contested: int = 0
    reused: int = 0
    unknown: int = 0

    @property
    def recoverable(self) -> int:
        """What is still to be had of it, as far as clusters tell."""
        return self.resident + self.free + self.contested


class DeletedStream(Struct, frozen=True, array_like=True):
    """One stream of a deleted entry; `stream` is None where the entry has none, as directories do.

    `path` as far as it can be told, `former_path` the one before its last rename, out of the change journal.
    `size_bytes` is what the record says. `deleted` is the time (FILETIME, 0 where not known) at which the journal says
    it was deleted. `document` marks users' documents.
    """

    volume: str
    mft_entry: int
    sequence: int
    path: str
    former_path: str | None
    stream: str | None
    directory: bool
    orphan: bool
    document: bool
    size_bytes: int
    recoverability: Recoverability
    bytes: BytesLeft
    times: FileTimes
    deleted: int


class DeletedDocument(Struct, frozen=True, kw_only=True):
    """One of users' deleted documents, as the report lists it; the bytes are those still to be had."""

    path: str
    former_path: str | None
    stream: str
    mft_entry: int
    size_bytes: int
    recoverable_bytes: int
    recoverability: Recoverability


class DeletedSummary(Struct, frozen=True, kw_only=True):
    """The deleted entries of one volume in figures; the list of all is `deleted.jsonl`.

    `streams_by_recoverability` has a key for each that occurred, as have the two of users' documents, whose bytes are
    those still to be had: resident, free and contested. `resident_bytes` and `free_bytes` are exact; of
    `contested_bytes` and `reused_bytes` each cluster is counted once, whoever claims it, so that all of them together
    never exceed the volume. `listed` are users' documents, the most recoverable first; `not_listed` counts the others.
    """

    volume: str
    entries: int
    streams: int
    orphans: int
    journal_only: int
    streams_by_recoverability: dict[str, int]
    documents_by_recoverability: dict[str, int]
    document_bytes_by_recoverability: dict[str, int]
    resident_bytes: int
    free_bytes: int
    contested_bytes: int
    reused_bytes: int
    listed: tuple[DeletedDocument, ...]
    not_listed: int
