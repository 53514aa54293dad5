"""What became of each user's file that the rescue considered."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class RescueOutcome(StrEnum):
    """The one outcome of a user's file."""

    RESCUED = "rescued"
    DOUBTFUL = "doubtful"
    RECOVERABLE = "recoverable"
    ENCRYPTED = "encrypted"
    QUARANTINED = "quarantined"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


FileKey = tuple[str, int, str, int]


class RescuedFile(Struct, frozen=True, kw_only=True):
    """One considered file. `bag_path` is its place in the bag's `data/` ("" where nothing was copied).

    RESCUED: durable, re-read and equal. DOUBTFUL: the same, but the content does not look like its type.
    RECOVERABLE: the same, a prepared large file (`.WNCYR`) whose content can be restored without a key.
    ENCRYPTED and QUARANTINED: not copied. INCOMPLETE: copied in part (unreadable ranges are zeros). FAILED: not saved.
    `other_paths` are the file's further hard links. `repeat` counts the streams of the same entry and name before it.
    """

    volume: str
    path: str
    other_paths: tuple[str, ...] = ()
    mft_entry: int
    outcome: RescueOutcome
    size_bytes: int
    bag_path: str = ""
    sha256: str = ""
    detail: str = ""
    repeat: int = 0

    @property
    def key(self) -> FileKey:
        """What tells this file from all others of the case."""
        return self.volume, self.mft_entry, self.path, self.repeat
