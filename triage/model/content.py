"""What the bytes of a user's file are, as far as they tell: the value that the classifier hands to the rescue."""

from __future__ import annotations

from enum import StrEnum


class ContentJudgement(StrEnum):
    """Judged by content, never by name alone.

    PLAIN: not encrypted, and its structure fits its type or its type has none to check.
    CONTRADICTS_TYPE: not in WannaCry's format, but not what its extension says (overwritten, damaged or renamed).
    ENCRYPTED: WannaCry's format, type 4, whole. ENCRYPTED_TRUNCATED: the same, shorter than its header says.
    PREPARED: type 3 (`.WNCYR`): header moved to the end, body not encrypted, restorable without a key.
    FILLER: nothing but 0x55, what the malware writes into free space (`hibsys.WNCRYT`).
    EMPTY: no bytes.
    """

    PLAIN = "plain"
    CONTRADICTS_TYPE = "contradicts-type"
    ENCRYPTED = "encrypted"
    ENCRYPTED_TRUNCATED = "encrypted-truncated"
    PREPARED = "prepared"
    FILLER = "filler"
    EMPTY = "empty"
