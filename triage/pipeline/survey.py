"""The survey of one volume: enumeration, reconciliation, names and hives, before any stream is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from triage.artefacts.locate import HiveKind, hive_kind
from triage.artefacts.software import SoftwareHive, parse_software
from triage.artefacts.system import SystemHive, parse_system
from triage.artefacts.windows import windows_info
from triage.examiners.names import NameExaminer
from triage.examiners.places import times_of
from triage.examiners.services import examine_services
from triage.indicators.load import Indicators
from triage.indicators.work_directory import work_directory_name
from triage.model.entry import FIRST_USER_ENTRY
from triage.model.finding import Finding, Severity
from triage.model.gap import Gap, GapKind, Where
from triage.model.report import Reconciliation
from triage.model.volume import VolumeInfo, WindowsInfo
from triage.pipeline.discover import FoundVolume
from triage.pipeline.guard import Guard
from triage.volumes.ntfs import NtfsVolume
from triage.walk.attribute_lists import check_lists
from triage.walk.clusters import cross_links
from triage.walk.mft import MftTable, read_mft
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader, place
from triage.walk.reconcile import reconcile
from triage.walk.streams import Streams

LARGEST_HIVE_BYTES = 1 << 30
_LOOKED_FOR = ("system", "software", "config")
_CONFIG_FOLDER = re.compile(r"[^/]+/system32/config")


@dataclass(slots=True, kw_only=True)
class Survey:
    """An enumerated volume and what its names say.

    `suspect_entries` carry a name that is WannaCry's own. `undecided_entries` carry one that says something only
    together with the content; `names` tells it then.
    """

    index: int
    info: VolumeInfo
    ntfs: NtfsVolume
    table: MftTable
    paths: Paths
    streams: Streams
    names: NameExaminer
    suspect_entries: frozenset[int]
    undecided_entries: frozenset[int]
    reconciliation: Reconciliation


@dataclass(slots=True)
class _Told:
    """What the names of a volume told: entries by what their names mean, and how many have lost their parent."""

    suspects: set[int] = field(default_factory=set)
    undecided: set[int] = field(default_factory=set)
    orphans: int = 0


class Surveyor:
    """Surveys volumes one after the other; `note_finding` and `note_gap` take what it meets."""

    def __init__(
        self,
        indicators: Indicators,
        note_finding: Callable[[Finding], None],
        note_gap: Callable[[Gap], None],
    ) -> None:
        self._indicators = indicators
        self._note_finding = note_finding
        self._note_gap = note_gap

    def survey(
        self, index: int, found: FoundVolume, ntfs: NtfsVolume, *, on_hives: Callable[[], None] | None
    ) -> Survey:
        """Enumerate a volume, hold the enumeration against its witnesses, examine hives and names.

        `on_hives` is called before the hives are parsed; None leaves them out.
        """
        table = read_mft(ntfs)
        paths = Paths(table)
        streams = Streams(ntfs, table, paths)
        self._note_gaps(table.gaps)
        windows = None
        if on_hives is not None:
            on_hives()
            windows = self._hives(ntfs, table, paths, streams)
        computed = frozenset({windows.work_directory_name} if windows and windows.work_directory_name else ())
        names = NameExaminer(self._indicators.names, computed)
        told = self._names(ntfs, table, paths, names)
        reconciliation, gaps = reconcile(ntfs, table, streams, told.orphans)
        self._note_gaps(gaps)
        self._note_gaps(check_lists(ntfs, table))
        self._note_gaps(cross_links(ntfs, table, streams))
        return Survey(
            index=index,
            info=msgspec.structs.replace(found.info, windows=windows),
            ntfs=ntfs,
            table=table,
            paths=paths,
            streams=streams,
            names=names,
            suspect_entries=frozenset(told.suspects),
            undecided_entries=frozenset(told.undecided),
            reconciliation=reconciliation,
        )

    def _names(self, ntfs: NtfsVolume, table: MftTable, paths: Paths, names: NameExaminer) -> _Told:
        """Examine all names, those of deleted entries too."""
        entries = table.entries
        wanted = np.flatnonzero(entries.readable & (entries.base_entry == np.arange(len(entries.in_use))))
        alive, directory = entries.in_use[wanted].tolist(), entries.directory[wanted].tolist()
        told = _Told()
        for entry, is_alive, is_directory in zip(wanted.tolist(), alive, directory, strict=True):
            for path in paths.of(entry):
                if is_alive and entry >= FIRST_USER_ENTRY and paths.is_orphan(path):
                    told.orphans += 1
                for finding in names.examine(
                    path, volume=ntfs.id, mft_entry=entry, is_directory=is_directory, deleted=not is_alive
                ):
                    if is_alive and finding.facts.get("decided_by") == "content":
                        told.undecided.add(entry)
                        continue
                    times = times_of(entries.times(entry), ntfs.file_name_times(entry))
                    self._note_finding(msgspec.structs.replace(finding, times=times))
                    if finding.severity is not Severity.LOW:
                        told.suspects.add(entry)
        return told

    def _hives(self, ntfs: NtfsVolume, table: MftTable, paths: Paths, streams: Streams) -> WindowsInfo | None:
        """Parse the SYSTEM and SOFTWARE hives of the volume's Windows; None where there is no Windows.

        Of several installations all are examined; the first one found describes the volume.
        """
        systems: list[SystemHive] = []
        softwares: list[SoftwareHive] = []
        names: list[str] = []
        folders, hives = _find_hives(table, paths)
        for entry, path, kind in hives:
            where = Where(volume=ntfs.id, path=path, mft_entry=entry)
            folders.discard(path.rpartition("/")[0].lower() if kind is HiveKind.SYSTEM else "")
            data = self._read_hive(ntfs, streams, table, entry, where)
            if data is None:
                continue
            with Guard(self._note_gap).at(where):
                if kind is HiveKind.SOFTWARE:
                    softwares.append(software := parse_software(data, where))
                    self._note_gaps(software.gaps)
                    continue
                systems.append(system := parse_system(data, where))
                self._note_gaps(system.gaps)
                computer_name = system.windows.computer_name
                name = None if computer_name is None else work_directory_name(computer_name)
                names += [] if name is None else [name]
                for finding in examine_services(system, work_directory_name=name):
                    self._note_finding(finding)
        for folder in sorted(folders):
            where = Where(volume=ntfs.id, path=folder)
            self._note_gap(Gap(kind=GapKind.HIVE_MISSING, detail="no SYSTEM hive: services unknown", where=where))
        if not systems and not softwares:
            return None
        return windows_info(
            next(iter(systems), None),
            next(iter(softwares), None),
            work_directory_name=next(iter(names), None),
        )

    def _note_gaps(self, gaps: Iterable[Gap]) -> None:
        for gap in gaps:
            self._note_gap(gap)

    def _read_hive(self, ntfs: NtfsVolume, streams: Streams, table: MftTable, entry: int, where: Where) -> bytes | None:
        """Read a hive whole into memory; None, with a gap, where that is not possible."""
        head = streams.unnamed_head(entry)
        size = 0 if head is None else int(table.streams.size_bytes[head])
        if head is None or size == 0 or size > LARGEST_HIVE_BYTES:
            self._note_gap(Gap(kind=GapKind.HIVE_DAMAGED, detail=f"hive of {size} bytes not parsed", where=where))
            return None
        plan, reader, data = streams.plan(head), StreamReader(), bytearray()
        for thorough in (False, True):  # the names of work directories and services hang on it: not put off
            data.clear()
            for window in reader.windows(ntfs, plan, thorough=thorough):
                data += window.view[window.fresh :]
            if not reader.unreadable:
                break
        for gap in reader.gaps(plan):
            self._note_gap(
                Gap(
                    kind=GapKind.HIVE_DAMAGED,
                    detail=f"hive not read whole: {gap.detail}",
                    where=place(plan, gap.where.offset_bytes),
                    bytes=gap.bytes,
                )
            )
        return bytes(data) if len(data) == size else None


def _find_hives(table: MftTable, paths: Paths) -> tuple[set[str], list[tuple[int, str, HiveKind]]]:
    """Return the configuration folders of all Windows on the volume (lower case), and each hive's entry, path and kind.

    Only names of the right length are looked at.
    """
    rows = np.flatnonzero(np.isin(table.names.length, [2 * len(name) for name in _LOOKED_FOR]))
    owners = np.searchsorted(table.names.first, rows, side="right") - 1
    base = table.base
    folders: set[str] = set()
    hives: list[tuple[int, str, HiveKind]] = []
    for entry in dict.fromkeys(owners.tolist()):
        if not base[entry]:
            continue
        for path in paths.of(entry):
            lowered = path.lower()
            if lowered.rpartition("/")[2] not in _LOOKED_FOR:
                continue
            if table.entries.directory[entry]:
                if _CONFIG_FOLDER.fullmatch(lowered):
                    folders.add(lowered)
            elif (kind := hive_kind(path)) is not None:
                hives.append((entry, path, kind))
                break
    return folders, hives
