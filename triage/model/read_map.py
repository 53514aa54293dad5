"""What of the evidence was read and what could not be, range by range: the states of a GNU ddrescue mapfile."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ReadState(StrEnum):
    """The states that we know, as the manual of GNU ddrescue writes them (chapter "Mapfile structure").

    FAILED: a read that covered it failed, and it was not tried sector by sector. BAD: tried alone, unreadable.
    """

    UNTRIED = "?"
    FAILED = "*"
    BAD = "-"
    READ = "+"


class ReadRange(Struct, frozen=True, array_like=True):
    """`length_bytes` of one piece of evidence from `offset_bytes` on."""

    state: ReadState
    offset_bytes: int
    length_bytes: int
