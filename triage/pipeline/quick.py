"""The quick profile: what is read of a volume when there is little time, stated as data, and what it leaves out.

Names and hives are examined before this. Of the streams it takes, whole: those of the malware's own names, the hives,
and programs in the places where WannaCry and most other malware put theirs. Of users' files it takes a sample, and of
those whose name says "encrypted" too, and only their headers. Any of a file's names will do, DOS short names aside. The
same evidence gives the same choice.
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
from triage.walk.find import names_ending
from triage.walk.mft import DOS_NAMESPACE
from triage.walk.paths import ORPHAN_ROOT

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
    """The folders in which the files of a volume have their names; each is looked at once, not each name in it.

    `of` is the number of the folder in which each stream is counted: that of its entry's first name.
    """

    def __init__(self, survey: Survey) -> None:
        names = survey.table.names
        self._entries, self._name_owners = len(survey.table.entries.in_use), names.owner
        self._owners = survey.table.streams.owner[survey.streams.heads]
        are_first = names.first[names.owner] == np.arange(len(names.owner))  # a short name, if there is no other
        count = (names.namespace != DOS_NAMESPACE) | are_first
        self._rows = np.flatnonzero(self._among(self._owners)[names.owner] & count)
        parents = names.parent[self._rows].astype(np.uint64) << np.uint64(16) | names.parent_sequence[self._rows]
        references, self._of_name = np.unique(parents, return_inverse=True)
        folders = (survey.paths.folder(*divmod(one, 1 << 16), alive=True) for one in references.tolist())
        self.paths = [*folders, ORPHAN_ROOT]  # where an entry without any name is
        of_entry = np.full(self._entries, len(references))
        of_entry[names.owner[self._rows[::-1]]] = self._of_name[::-1]  # of several the last is kept: the first name's
        self.of: I64 = of_entry[self._owners]
        self._lowered = [path.lower() for path in self.paths]
        self._of_windows = _in_usual_windows(self._lowered)

    def names_in(self, pattern: re.Pattern[str]) -> I64:
        """Return the names, as rows of the table, that lie in a folder whose path fits.

        One in a Windows of any name is also tried as if it lay in `windows`.
        """
        fits = np.fromiter((pattern.fullmatch(path) is not None for path in self._lowered), bool, len(self._lowered))
        for number, path in self._of_windows.items():
            fits[number] |= pattern.fullmatch(path) is not None
        found: I64 = self._rows[fits[self._of_name]]
        return found

    def have(self, rows: I64) -> Mask:
        """Return which streams are of an entry that has one of these names."""
        have: Mask = self._among(self._name_owners[rows])[self._owners]
        return have

    def _among(self, entries: I64) -> Mask:
        """Return of all entries of the table which are among these."""
        among = np.zeros(self._entries, bool)
        among[entries] = True
        return among


def quick_scope(survey: Survey) -> Scope:
    """Choose what is read of one volume."""
    heads = survey.streams.heads
    rows = survey.table.streams
    owners, sizes, are_named = rows.owner[heads], rows.size_bytes[heads], rows.name_length[heads] > 0
    folders = _Folders(survey)
    in_places = folders.names_in(_PLACES)
    whole = _have_owner(owners, survey.named_entries) | folders.have(_hives(survey, folders.names_in(_CONFIG)))
    whole |= folders.have(_programs(survey, in_places)) & ~are_named
    for number in np.flatnonzero(folders.have(in_places) & are_named & ~whole).tolist():
        whole[number] = _is_program(survey.streams.name(int(heads[number])))
    system = (owners < FIRST_USER_ENTRY) | survey.table.entries.special[owners]
    for number in np.flatnonzero(system & are_named).tolist():
        whole[number] |= survey.streams.plan(int(heads[number])).unread is not None  # costs nothing, and has its state
    undecided = _have_owner(owners, survey.undecided_entries) & ~are_named & ~whole
    of_users = folders.have(folders.names_in(_USERS)) & ~whole & ~undecided & (sizes > 0)
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


def _programs(survey: Survey, names: I64) -> I64:
    """Return those of the names that are called like a program."""
    rows = names_ending(survey.table.names, names, PROGRAM_EXTENSIONS).tolist()
    return np.array([row for row in rows if _is_program(survey.paths.of_name(row))], np.int64)


def _hives(survey: Survey, names: I64) -> I64:
    """Return those of the names under which a hive stands."""
    return np.array([row for row in names.tolist() if hive_kind(survey.paths.of_name(row)) is not None], np.int64)


def _is_program(name: str) -> bool:
    """Say whether a file or stream is called like a program, by its path or name."""
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
