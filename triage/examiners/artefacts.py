"""The files in which Windows keeps traces, and who examines each: one table.

Hives are not among them: what they say hangs together, and they have logs (`examiners/registry.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from triage.examiners.program_caches import examine_recent_files
from triage.model.entry import Subject
from triage.model.told import Told


class ArtefactFile(NamedTuple):
    """One kind of file: `path` is held against the whole path from the root in lower case.

    `names` and `endings` (lower case) are what such files are called: they find the few of a million that are
    candidates. A file longer than `largest_bytes` is a gap.
    """

    path: re.Pattern[str]
    examine: Callable[[bytes, Subject], Told]
    names: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    largest_bytes: int = 1 << 30


ARTEFACT_FILES: tuple[ArtefactFile, ...] = (
    ArtefactFile(
        path=re.compile(r"[^/]+/appcompat/programs/recentfilecache\.bcf"),
        examine=examine_recent_files,
        names=("recentfilecache.bcf",),
        largest_bytes=64 << 20,
    ),
)
