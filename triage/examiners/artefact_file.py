"""One kind of file in which Windows keeps traces: what it is called, and how it is examined."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from triage.examiners.programs import Known
from triage.model.entry import Subject
from triage.model.told import Told

Pieces = Iterator[memoryview]
"""A file's bytes in order. A piece holds only until the next one is asked for."""


class Surroundings(NamedTuple):
    """What is known of a volume before its files are examined.

    `known` is what programs are held against; so many `threads` may compute.
    """

    known: Known
    threads: int = 1


Examine = Callable[[Pieces, Subject, Surroundings], Iterator[Told]]
"""Reads a file from its beginning to its end and tells what it finds, as it goes: a log may be longer than memory."""


class ArtefactFile(NamedTuple):
    """One kind of file: `path` is held against the whole path from the root in lower case.

    `names` and `endings` (lower case) are what such files are called: they find the few of a million that are
    candidates. Where they may be called anything, `folders` are what the directories are called below which they lie,
    and `path` fits such a directory's path with a slash behind it. A file longer than `largest_bytes` is a gap.
    """

    path: re.Pattern[str]
    examine: Examine
    names: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    largest_bytes: int = 1 << 30
