"""Where a volume keeps the hives that are read."""

from __future__ import annotations

import re
from enum import StrEnum

_CONFIG = re.compile(r"[^/]+/system32/config/(system|software)", re.IGNORECASE)


class HiveKind(StrEnum):
    """Which hive a file is."""

    SYSTEM = "system"
    SOFTWARE = "software"


def hive_kind(path: str) -> HiveKind | None:
    """Return which hive stands at a path from the volume's root; None for all other files.

    `Windows`, `WINNT` or whatever the system's directory was named, in any case.
    """
    match = _CONFIG.fullmatch(path)
    return None if match is None else HiveKind(match[1].lower())
