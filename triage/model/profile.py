"""How much of the evidence a run reads."""

from __future__ import annotations

from enum import StrEnum


class Profile(StrEnum):
    """QUICK reads what tells most in little time and lists the rest as excluded; FULL reads everything."""

    QUICK = "quick"
    FULL = "full"
