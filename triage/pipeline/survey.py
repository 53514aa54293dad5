"""The survey of one volume: enumeration, reconciliation, names and hives, before any stream is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from triage.examiners.artefact_file import Surroundings
from triage.examiners.names import NameExaminer
from triage.examiners.places import times_of
from triage.indicators.load import Indicators
from triage.model.entry import FIRST_USER_ENTRY, Subject
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, Where
from triage.model.report import Reconciliation
from triage.model.told import Notes
from triage.model.volume import VolumeInfo
from triage.pipeline.artefacts import examine_artefacts
from triage.pipeline.discover import FoundVolume
from triage.pipeline.job import HIVES, WHOLE_VOLUME, Begin
from triage.pipeline.registry import RegistrySurvey
from triage.volumes.ntfs import NtfsVolume
from triage.walk.attribute_lists import check_lists
from triage.walk.clusters import cross_links
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
    """What the names of a volume told: entries by what their names mean, and how many have lost their parent."""

    named: set[int] = field(default_factory=set)
    suspects: set[int] = field(default_factory=set)
    undecided: set[int] = field(default_factory=set)
    orphans: int = 0


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
        volume, windows = Where(volume=ntfs.id), None
        if begin(HIVES, volume):
            windows = RegistrySurvey(ntfs, table, paths, streams, self._notes).examine()
        computed = frozenset({windows.work_directory_name} if windows and windows.work_directory_name else ())
        names = NameExaminer(self._indicators.names, computed)
        surroundings = Surroundings(names, computed, self._threads)
        examine_artefacts(ntfs, table, paths, streams, surroundings, self._notes, begin)
        begin(WHOLE_VOLUME, volume)
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
            named_entries=frozenset(told.named),
            suspect_entries=frozenset(told.suspects),
            undecided_entries=frozenset(told.undecided),
            reconciliation=reconciliation,
        )

    def _names(self, ntfs: NtfsVolume, table: MftTable, paths: Paths, names: NameExaminer) -> _Told:
        """Examine all names, those of deleted entries too."""
        entries = table.entries
        wanted = np.flatnonzero(entries.readable & (entries.base_entry == np.arange(len(entries.in_use))))
        told = _Told()
        for entry in wanted.data:
            is_alive, is_directory = entries.in_use.item(entry), entries.directory.item(entry)
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
                    self._notes.finding(msgspec.structs.replace(finding, times=times))
                    told.named.add(entry)
                    if finding.severity is not Severity.LOW:
                        told.suspects.add(entry)
        return told

    def _note_gaps(self, gaps: Iterable[Gap]) -> None:
        for gap in gaps:
            self._notes.gap(gap)
