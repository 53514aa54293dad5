"""The survey of one volume: enumeration, reconciliation, names and hives, before any stream is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from triage.artefacts.time_zone import TimeZone
from triage.examiners.artefact_file import Surroundings
from triage.examiners.dating import dated
from triage.examiners.names import Company, NameExaminer
from triage.examiners.places import times_of
from triage.examiners.programs import Known
from triage.examiners.renames import RenameTimes
from triage.indicators.load import Indicators
from triage.model.entry import FIRST_USER_ENTRY, Subject
from triage.model.exposure_facts import ExposureFacts
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, Where
from triage.model.report import Reconciliation
from triage.model.told import Notes
from triage.model.volume import VolumeInfo
from triage.pipeline.artefacts import examine_artefacts
from triage.pipeline.discover import FoundVolume
from triage.pipeline.exposure import exposure_facts
from triage.pipeline.job import HIVES, TEXTS, WHOLE_VOLUME, Begin
from triage.pipeline.registry import RegistrySurvey
from triage.pipeline.text_logs import TextLogs
from triage.volumes.ntfs import NtfsVolume
from triage.walk.attribute_lists import check_lists
from triage.walk.clusters import cross_links
from triage.walk.find import entries_called
from triage.walk.links import gaps_of_links
from triage.walk.mft import MftTable, read_mft
from triage.walk.paths import Paths
from triage.walk.reconcile import reconcile
from triage.walk.streams import Streams


@dataclass(slots=True, kw_only=True)
class Survey:
    """An enumerated volume and what its names say.

    `named_entries` carry a name that some rule knows, `suspect_entries` among them one that is WannaCry's own.
    `undecided_entries` carry one that says something only together with the content; `decide` tells it then.
    `rename_times` is empty until the change journal has been read.
    """

    index: int
    info: VolumeInfo
    ntfs: NtfsVolume
    table: MftTable
    paths: Paths
    streams: Streams
    names: NameExaminer
    named_entries: frozenset[int]
    suspect_entries: frozenset[int]
    undecided_entries: frozenset[int]
    reconciliation: Reconciliation
    exposure: tuple[ExposureFacts, ...]
    rename_times: RenameTimes = field(default_factory=RenameTimes)

    def dated(self, finding: Finding, subject: Subject) -> Finding:
        """Return a finding in a stream with the times of the file's names, which its MFT record has."""
        times = times_of(None, self.ntfs.file_name_times(subject.mft_entry))
        return dated(finding, times, self.rename_times.of(subject.mft_entry, subject.sequence))

    def decide(self, subject: Subject, findings: Sequence[Finding]) -> Sequence[Finding]:
        """Let the content decide: where it is encrypted, that is the one finding; else what hints at it is told."""
        if any(one.kind is FindingKind.ENCRYPTED_FILE and one.severity is Severity.HIGH for one in findings):
            return [one for one in findings if one.facts.get("decided_by") != "content"]
        if subject.mft_entry not in self.undecided_entries or subject.stream:
            return findings
        told = [
            finding
            for path in (subject.path, *subject.other_paths)
            for finding in self.names.examine(
                path, volume=subject.volume, mft_entry=subject.mft_entry, is_directory=False, si=subject.si
            )
        ]
        return [*findings, *told]


@dataclass(slots=True)
class _Told:
    """What the names of a volume told: entries by what their names mean."""

    named: set[int] = field(default_factory=set)
    suspects: set[int] = field(default_factory=set)
    undecided: set[int] = field(default_factory=set)


class Surveyor:
    """Surveys volumes one after the other; `notes` takes what it meets."""

    def __init__(self, indicators: Indicators, notes: Notes, *, threads: int = 1) -> None:
        self._indicators = indicators
        self._notes = notes
        self._threads = threads

    def survey(self, index: int, found: FoundVolume, ntfs: NtfsVolume, *, begin: Begin) -> Survey:
        """Enumerate a volume, hold the enumeration against its witnesses, examine hives, other traces and names.

        `begin` is asked before hostile bytes of another kind are parsed.
        """
        table = read_mft(ntfs)
        paths = Paths(table)
        streams = Streams(ntfs, table, paths)
        self._note_gaps(table.gaps)
        self._note_gaps(gaps_of_links(ntfs, table, paths))
        volume, windows, installations = Where(volume=ntfs.id), None, []
        zones: dict[str, TimeZone] = {}
        computed: frozenset[str] = frozenset()
        if begin(HIVES, volume):
            registry = RegistrySurvey(ntfs, table, paths, streams, self._indicators, self._notes)
            windows, installations = registry.examine(), registry.installations()
            zones, computed = registry.zones, registry.work_directories
        names = NameExaminer(self._indicators.names, computed)
        known = Known(self._indicators.names, self._indicators.digests, computed)
        examine_artefacts(ntfs, table, paths, streams, Surroundings(known, self._threads), self._notes, begin)
        if begin(TEXTS, volume):
            TextLogs(ntfs, zones, self._indicators.network, self._notes).examine(table, paths, streams)
        begin(WHOLE_VOLUME, volume)
        told = self._names(ntfs, table, paths, names)
        reconciliation, gaps = reconcile(ntfs, table, streams, _count_orphans(table, paths))
        self._note_gaps(gaps)
        is_whole = not any(gap.material for gap in (*table.gaps, *gaps))
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
            named_entries=frozenset(told.named),
            suspect_entries=frozenset(told.suspects),
            undecided_entries=frozenset(told.undecided),
            reconciliation=reconciliation,
            exposure=tuple(exposure_facts(ntfs, table, paths, streams, installations, is_whole=is_whole)),
        )

    def _names(self, ntfs: NtfsVolume, table: MftTable, paths: Paths, names: NameExaminer) -> _Told:
        """Examine all names, those of deleted entries too; last those whose weight hangs on the names beside them."""
        entries, told = table.entries, _Told()
        company, waiting = Company(names.rules), list[tuple[int, Finding]]()
        telling = entries.directory.copy()  # a work directory is known by its name's shape
        telling[entries_called(table, names=names.rules.by_name, endings=names.rules.by_extension)] = True
        is_base = entries.readable & (entries.base_entry == np.arange(len(entries.in_use)))
        for entry in np.flatnonzero(telling & is_base).data:
            is_alive, is_directory = entries.in_use.item(entry), entries.directory.item(entry)
            for path in paths.of(entry):
                for finding in names.examine(
                    path, volume=ntfs.id, mft_entry=entry, is_directory=is_directory, deleted=not is_alive
                ):
                    company.add(finding)
                    if is_alive and finding.facts.get("decided_by") == "content":
                        told.undecided.add(entry)
                    elif company.can_be_alone(finding):
                        waiting.append((entry, finding))
                    else:
                        self._tell(entry, finding, ntfs, table, told)
        for entry, finding in waiting:
            self._tell(entry, company.weighed(finding), ntfs, table, told)
        return told

    def _tell(self, entry: int, finding: Finding, ntfs: NtfsVolume, table: MftTable, told: _Told) -> None:
        """Note the finding of a name, with the times of its entry."""
        times = times_of(table.entries.times(entry), ntfs.file_name_times(entry))
        self._notes.finding(dated(finding, times))
        told.named.add(entry)
        if finding.severity is not Severity.LOW:
            told.suspects.add(entry)

    def _note_gaps(self, gaps: Iterable[Gap]) -> None:
        for gap in gaps:
            self._notes.gap(gap)


def _count_orphans(table: MftTable, paths: Paths) -> int:
    """Return how many paths of files and directories have lost their parent; the file system's own are none."""
    base = np.flatnonzero(table.base)
    return paths.count_orphans(base[base >= FIRST_USER_ENTRY])
