"""The quick profile: what is read of a volume when there is little time, stated as data, and what it leaves out.

Names and hives are examined before this. Of the streams it takes, whole: those of the malware's own names, the hives,
and programs in the places where WannaCry and most other malware put theirs. Of users' files it takes a sample, and of
those whose name says "encrypted" too, and only their headers. The same evidence gives the same choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from triage.artefacts.locate import hive_kind
from triage.indicators.work_directory import SHAPE
from triage.model.entry import FIRST_USER_ENTRY
from triage.model.ledger import ExcludedFolder
from triage.pipeline.survey import Survey
from triage.volumes.mft_records import I64, Mask

SAMPLE_STREAMS = 500
"""How many headers are read at most of users' files, and as many again of files whose name says "encrypted"."""

PROGRAM_EXTENSIONS = ("exe", "com", "scr", "pif", "cpl", "bat", "cmd", "vbs", "vbe", "js", "jse", "wsf", "hta", "ps1")
_HOME = r"(?:users|documents and settings)/[^/]+"
_SETTINGS = "appdata|local settings|application data"
PLACES: dict[str, str] = {
    "the root": r"",
    "Windows": r"(?:windows|winnt)",
    "System32 and SysWOW64": r"(?:windows|winnt)/(?:system|system32|syswow64)",
    "temporary folders": r"(?:(?:windows|winnt)/)?te?mp(?:/.*)?",
    "ProgramData and Intel": r"(?:programdata|intel)(?:/.*)?",
    "a user's home, AppData and start menu": rf"{_HOME}(?:/(?:{_SETTINGS}|start menu)(?:/.*)?)?",
    "Desktop and Downloads": rf"{_HOME}/(?:desktop|downloads|桌面|下载)(?:/.*)?",
    "Public": r"users/public(?:/.*)?",
    "recycle bins": r"(?:\$recycle\.bin|recycler|recycled)(?:/.*)?",
    "work directories": rf"(?:.*/)?{SHAPE.pattern}(?:/.*)?",
}
"""Where programs are read, as patterns for a folder's whole path in lower case; subfolders only where it says so.

A second Windows, which has the name that it was given, counts as `windows`.
"""
_USERS = re.compile(rf"{_HOME}/(?!{_SETTINGS})[^/]+(?:/.*)?")
_PLACES = re.compile("|".join(f"(?:{pattern})" for pattern in PLACES.values()))
_CONFIG = re.compile(r"([^/]+)/system32/config")


class Scope(Struct, frozen=True, kw_only=True):
    """What is read of one volume: rows of streams read whole, of streams whose header is read, of undecided ones.

    `left_undecided` carry a name that the content should have decided on and are not read. `excluded` counts all that
    is not read, folder by folder.
    """

    whole: I64
    headers: I64
    left_undecided: I64
    excluded: tuple[ExcludedFolder, ...]


class _Folders:
    """The streams of a volume by the folder in which they lie; a folder is looked at once, not each of its files."""

    def __init__(self, survey: Survey) -> None:
        names, owners = survey.table.names, survey.table.streams.owner[survey.streams.heads]
        has_name = names.first[owners] < names.first[owners + 1]
        row = np.where(has_name, names.first[owners], 0)
        parents = (names.parent[row] << 16) | names.parent_sequence[row].astype(np.int64) if len(names.owner) else row
        keys = np.where(has_name, parents, -1)
        _keys, examples, self.of = np.unique(keys, return_index=True, return_inverse=True)
        heads = survey.streams.heads[examples].tolist()
        self.paths = [survey.streams.path(head).rpartition("/")[0] for head in heads]
        self._lowered = [path.lower() for path in self.paths]
        self._of_windows = _in_usual_windows(self._lowered)

    def fitting(self, pattern: re.Pattern[str]) -> Mask:
        """Return which streams lie in a folder whose path fits; one in a Windows of any name also as in `windows`."""
        fits = np.fromiter((pattern.fullmatch(path) is not None for path in self._lowered), bool, len(self._lowered))
        for number, path in self._of_windows.items():
            fits[number] |= pattern.fullmatch(path) is not None
        found: Mask = fits[self.of]
        return found


def quick_scope(survey: Survey) -> Scope:
    """Choose what is read of one volume."""
    heads = survey.streams.heads
    rows = survey.table.streams
    owners, sizes = rows.owner[heads], rows.size_bytes[heads]
    folders = _Folders(survey)
    whole = _have_owner(owners, survey.named_entries)
    for number in np.flatnonzero(folders.fitting(_PLACES) & ~whole).tolist():
        whole[number] = _is_program(survey, int(heads[number]))
    for number in np.flatnonzero(folders.fitting(_CONFIG)).tolist():
        whole[number] |= hive_kind(survey.streams.path(int(heads[number]))) is not None
    system = (owners < FIRST_USER_ENTRY) | survey.table.entries.special[owners]
    for number in np.flatnonzero(system & (rows.name_length[heads] > 0)).tolist():
        whole[number] |= survey.streams.plan(int(heads[number])).unread is not None  # costs nothing, and has its state
    undecided = _have_owner(owners, survey.undecided_entries) & (rows.name_length[heads] == 0) & ~whole
    of_users = folders.fitting(_USERS) & ~whole & ~undecided & (sizes > 0)
    headers = np.zeros(len(heads), bool)
    for candidates in (undecided & (sizes > 0), of_users):
        headers[_spread(candidates, folders.of)] = True
    return Scope(
        whole=heads[whole],
        headers=heads[headers],
        left_undecided=heads[undecided & ~whole & ~headers],
        excluded=tuple(_excluded(survey, folders, ~whole & ~headers)),
    )


def _in_usual_windows(folders: list[str]) -> dict[int, str]:
    """Return, by number, what folders within a Windows of another name would be called within `windows`.

    A folder of the root holds a Windows where it has the place of its hives.
    """
    configs = map(_CONFIG.fullmatch, folders)
    of_windows = {config[1] for config in configs if config is not None}
    parts = ((number, folder.partition("/")) for number, folder in enumerate(folders))
    return {number: f"windows{slash}{rest}" for number, (first, slash, rest) in parts if first in of_windows}


def _have_owner(owners: I64, entries: frozenset[int]) -> Mask:
    have: Mask = np.isin(owners, np.fromiter(entries, np.int64, len(entries)))
    return have


def _is_program(survey: Survey, head: int) -> bool:
    """Say whether a stream is called like a program; of a named one its own name counts."""
    name = survey.streams.name(head) or survey.streams.path(head)
    return name.rpartition("/")[2].rpartition(".")[2].lower() in PROGRAM_EXTENSIONS


def _spread(candidates: Mask, folder_of: I64) -> I64:
    """Return up to `SAMPLE_STREAMS` of the candidates, as many steps apart as there are too many: over all folders."""
    numbers = np.flatnonzero(candidates)
    numbers = numbers[np.argsort(folder_of[numbers], kind="stable")]
    wanted = min(SAMPLE_STREAMS, len(numbers))
    chosen: I64 = numbers[np.arange(wanted) * len(numbers) // max(wanted, 1)]
    return chosen


def _excluded(survey: Survey, folders: _Folders, excluded: Mask) -> Iterator[ExcludedFolder]:
    """Yield how much is left out of each folder."""
    of = folders.of[excluded]
    counts = np.bincount(of, minlength=len(folders.paths))
    sizes = np.zeros(len(folders.paths), np.uint64)
    np.add.at(sizes, of, survey.table.streams.size_bytes[survey.streams.heads[excluded]])
    by_path: dict[str, tuple[int, int]] = {}  # a folder that was deleted and made anew can be two folders
    for path, count, size in zip(folders.paths, counts.tolist(), sizes.tolist(), strict=True):
        before = by_path.get(path, (0, 0))
        by_path[path] = before[0] + count, before[1] + size
    for path, (count, size) in by_path.items():
        if count > 0:
            yield ExcludedFolder(volume=survey.info.id, folder=path, streams=count, bytes=size)
