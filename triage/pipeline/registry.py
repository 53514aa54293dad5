"""The registry of one volume: its hives with their transaction logs are found, read into memory and examined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from triage.artefacts import hibernation
from triage.artefacts.hive import open_or_gap
from triage.artefacts.locate import LOG_SUFFIXES, HiveKind, hive_kind, is_of_moved_windows, is_older_copy
from triage.artefacts.regf_plan import LogFile
from triage.artefacts.regf_replay import is_dirty
from triage.artefacts.system import SystemHive
from triage.artefacts.time_zone import TimeZone
from triage.artefacts.windows import windows_info
from triage.examiners.registry import ExaminedHive, examine_hive
from triage.examiners.views import in_older_copy
from triage.indicators.load import Indicators
from triage.model.exposure_facts import SoftwareSettings
from triage.model.finding import Finding
from triage.model.gap import Gap, GapKind, Where
from triage.model.told import Notes
from triage.model.volume import HibernationFile, WindowsInfo
from triage.pipeline.guard import Guard
from triage.volumes.ntfs import NtfsVolume
from triage.walk.find import find_entries
from triage.walk.mft import MftTable
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader, place
from triage.walk.streams import Streams

LARGEST_HIVE_BYTES = 1 << 30
_HIVE_NAMES = ("system", "software", "default", "ntuser.dat", "amcache.hve")
_LOG_NAMES = tuple(name + suffix for name in _HIVE_NAMES for suffix in LOG_SUFFIXES)
_FOLDER = "config"
_LOOKED_FOR = frozenset({*_HIVE_NAMES, *_LOG_NAMES, _FOLDER, hibernation.FILE_NAME})
_CONFIG_FOLDER = re.compile(r"(?:windows\.old(?:\.[0-9]{3})?/)?[^/]+/system32/config")
_WINDOWS_HIVE = re.compile(r"([^/]+)/system32/config/(?:system|software)", re.IGNORECASE)
_MOVED = "moved aside for another Windows: it does not start by itself"
_ORDER = {HiveKind.SYSTEM: 0, HiveKind.SOFTWARE: 1, HiveKind.USER: 2, HiveKind.AMCACHE: 3}


class _HiveEntry(NamedTuple):
    """A hive of the volume: its MFT entry, and where and which it is."""

    entry: int
    path: str
    kind: HiveKind

    @property
    def is_older(self) -> bool:
        """Whether it is the copy in RegBack."""
        return is_older_copy(self.path)

    @property
    def is_moved(self) -> bool:
        """Whether it is of a Windows in `Windows.old`."""
        return is_of_moved_windows(self.path)


class Installation(NamedTuple):
    """One Windows of a volume, by its folder: what its hives say, None of one that is not there or not read.

    `is_stale`: the last changes to one of them were not written out.
    """

    folder: str
    system: SystemHive | None
    software: SoftwareSettings | None
    is_stale: bool


class _Located(NamedTuple):
    """What a volume has: configuration folders (lower case), hives, and logs by lower-case path.

    `hibernation_files` holds at most one entry: Windows keeps it in the root.
    """

    folders: set[str]
    hives: list[_HiveEntry]
    logs: dict[str, tuple[int, str]]
    hibernation_files: list[int]


class RegistrySurvey:
    """Examines a volume's hives, those first from which others need the computer's name; older copies last."""

    def __init__(
        self,
        ntfs: NtfsVolume,
        table: MftTable,
        paths: Paths,
        streams: Streams,
        indicators: Indicators,
        notes: Notes,
    ) -> None:
        self._ntfs = ntfs
        self._table = table
        self._streams = streams
        self._indicators = indicators
        self._notes = notes
        self._located = _locate(table, paths)
        self._examined: list[tuple[_HiveEntry, ExaminedHive]] = []
        self._stale: set[int] = set()

    def examine(self) -> WindowsInfo | None:
        """Examine all hives; return what they say of the volume's Windows, None where there is none.

        Of several installations all are examined; the first one found describes the volume, one in `Windows.old` only
        where there is no other.
        """
        folders = set(self._located.folders)
        for hive in sorted(self._located.hives, key=lambda one: (one.is_older, _ORDER[one.kind], one.is_moved)):
            folders.discard(hive.path.rpartition("/")[0].lower() if hive.kind is HiveKind.SYSTEM else "")
            self._examine(hive)
        for folder in sorted(folders):
            where = Where(volume=self._ntfs.id, path=folder)
            self._notes.gap(Gap(kind=GapKind.HIVE_MISSING, detail="no SYSTEM hive: services unknown", where=where))
        standing = [told for hive, told in self._examined if not hive.is_older and not hive.is_moved]
        is_any = any(told.system is not None or told.software is not None for told in standing)
        current = standing if is_any else [told for hive, told in self._examined if not hive.is_older]
        systems = [told for told in current if told.system is not None]
        softwares = [told for told in current if told.software is not None]
        if not systems and not softwares:
            return None
        return windows_info(
            systems[0].system if systems else None,
            softwares[0].software if softwares else None,
            work_directory_name=next((one.computed_name for one in systems if one.computed_name is not None), None),
            hibernation_file=self._hibernation_file(),
        )

    @property
    def zones(self) -> dict[str, TimeZone]:
        """The zone of each Windows whose hives tell it, by its folder in lower case, once all is examined."""
        zones: dict[str, TimeZone] = {}
        for hive, told in self._examined:  # of a copy in RegBack only where the hive itself tells none
            folder, inside, _name = hive.path.lower().partition("/system32/config/")
            if inside and told.system is not None and told.system.time_zone is not None:
                zones.setdefault(folder, told.system.time_zone)
        return zones

    @property
    def work_directories(self) -> frozenset[str]:
        """The names computed for all computer names in the volume's hives, older ones too."""
        return frozenset(told.computed_name for _hive, told in self._examined if told.computed_name is not None)

    def installations(self) -> list[Installation]:
        """Return each Windows whose hives were examined; older copies of hives say nothing of the Windows of today."""
        by_folder: dict[str, list[tuple[_HiveEntry, ExaminedHive]]] = {}
        for hive, told in self._examined:
            match = _WINDOWS_HIVE.fullmatch(hive.path)
            if match is not None:
                by_folder.setdefault(match[1], []).append((hive, told))
        return [
            Installation(
                folder=folder,
                system=next((told.system for _hive, told in hives if told.system is not None), None),
                software=next((told.settings for _hive, told in hives if told.settings is not None), None),
                is_stale=any(hive.entry in self._stale for hive, _told in hives),
            )
            for folder, hives in by_folder.items()
        ]

    def _examine(self, hive: _HiveEntry) -> None:
        where = Where(volume=self._ntfs.id, path=hive.path, mft_entry=hive.entry)
        if hive.is_older and self._size(hive.entry) == 0:
            return  # Windows 10 has kept empty files there since 2018
        data, gaps = self._read(hive.entry, where, GapKind.HIVE_DAMAGED)
        self._note_gaps(hive, gaps)
        if data is None:
            return
        with Guard(self._notes.gap).at(where):
            opened = open_or_gap(data, where, self._logs(hive) if is_dirty(data) else ())
            if isinstance(opened, Gap):
                self._note_gaps(hive, [opened])
                return
            told = examine_hive(opened, hive.kind, self.work_directories, self._indicators)
            self._note_gaps(hive, (*opened.gaps, *told.gaps))
            if opened.is_stale:
                self._stale.add(hive.entry)
            self._examined.append((hive, told))
            for finding in self._compared(hive, told):
                self._notes.finding(finding)
            for event in told.events:
                self._notes.event(event)

    def _compared(self, hive: _HiveEntry, told: ExaminedHive) -> Sequence[Finding]:
        """Return a hive's findings; those of an older copy say whether the hive of today still has them."""
        if not hive.is_older and hive.is_moved:
            return [replace(one, facts={**one.facts, "installation": _MOVED}) for one in told.findings]
        if not hive.is_older:
            return told.findings
        folder = hive.path.lower().rpartition("/regback/")[0]
        current = (
            finding
            for other, said in self._examined
            if other.kind is hive.kind and other.path.lower().rpartition("/")[0] == folder
            for finding in said.findings
        )
        return in_older_copy(told.findings, current)

    def _note_gaps(self, hive: _HiveEntry, gaps: Iterable[Gap]) -> None:
        """Note gaps; those of an older copy leave nothing open that the hive itself does not tell.

        Amcache is a hive in form only: it holds no settings, and what it tells of the past is an artefact's.
        """
        for gap in gaps:
            kind = GapKind.ARTEFACT if hive.kind is HiveKind.AMCACHE else gap.kind
            self._notes.gap(replace(gap, kind=kind, material=gap.material and not hive.is_older))

    def _logs(self, hive: _HiveEntry) -> list[LogFile]:
        """Read the logs beside a hive; one that cannot be read tells so."""
        logs: list[LogFile] = []
        for suffix in LOG_SUFFIXES:
            entry, path = self._located.logs.get(hive.path.lower() + suffix, (None, ""))
            if entry is None or self._size(entry) == 0:
                continue
            where = Where(volume=self._ntfs.id, path=path, mft_entry=entry)
            data, gaps = self._read(entry, where, GapKind.HIVE_DIRTY)
            logs.append(LogFile(where=where, data=data or b"", problem="; ".join(gap.detail for gap in gaps)))
        return logs

    def _hibernation_file(self) -> HibernationFile | None:
        """Read the head of the hibernation file; None where there is none, or nothing of it can be read."""
        heads = [
            head for one in self._located.hibernation_files if (head := self._streams.unnamed_head(one)) is not None
        ]
        for head in heads:
            reader = StreamReader(hibernation.HEAD_BYTES, overlap_bytes=0)
            for window in reader.windows(self._ntfs, self._streams.plan(head)):
                return hibernation.hibernation_file(bytes(window.view))
        return None

    def _size(self, entry: int) -> int:
        head = self._streams.unnamed_head(entry)
        return 0 if head is None else int(self._table.streams.size_bytes[head])

    def _read(self, entry: int, where: Where, kind: GapKind) -> tuple[bytes | None, list[Gap]]:
        """Read a file whole into memory; None where that is not possible, with a gap for all that was not read."""
        head, size = self._streams.unnamed_head(entry), self._size(entry)
        if head is None or size == 0 or size > LARGEST_HIVE_BYTES:
            return None, [Gap(kind=kind, detail=f"hive of {size} bytes not parsed", where=where)]
        plan, reader, data = self._streams.plan(head), StreamReader(), bytearray()
        for thorough in (False, True):  # the names of work directories and services hang on it: not put off
            data.clear()
            for window in reader.windows(self._ntfs, plan, thorough=thorough):
                data += window.view[window.fresh :]
            if not reader.unreadable:
                break
        gaps = [
            Gap(
                kind=kind,
                detail=f"hive not read whole: {gap.detail}",
                where=place(plan, gap.where.offset_bytes),
                bytes=gap.bytes,
            )
            for gap in reader.gaps(plan)
        ]
        return bytes(data) if len(data) == size else None, gaps


def _locate(table: MftTable, paths: Paths) -> _Located:
    """Find the configuration folders, hives and logs of all Windows on the volume."""
    found = _Located(set(), [], {}, [])
    for entry, path in find_entries(table, paths, names=_LOOKED_FOR):
        _note(found, entry, path, is_directory=bool(table.entries.directory[entry]))
    return found


def _note(found: _Located, entry: int, path: str, *, is_directory: bool) -> None:
    lowered = path.lower()
    name = lowered.rpartition("/")[2]
    if name not in _LOOKED_FOR:
        return
    if is_directory:
        if _CONFIG_FOLDER.fullmatch(lowered):
            found.folders.add(lowered)
    elif name in _LOG_NAMES:
        found.logs[lowered] = entry, path
    elif lowered == hibernation.FILE_NAME:
        found.hibernation_files.append(entry)
    elif (kind := hive_kind(path)) is not None:
        found.hives.append(_HiveEntry(entry, path, kind))
