"""The traces that Windows keeps in files of its own: found on a volume, read window by window, examined one by one."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from triage.examiners.artefact_file import ArtefactFile, Surroundings
from triage.examiners.artefacts import ARTEFACT_FILES
from triage.examiners.places import where_is
from triage.model.gap import Gap, GapKind
from triage.model.told import Notes
from triage.pipeline.guard import Guard
from triage.pipeline.job import Begin, artefact_row
from triage.volumes.ntfs import NtfsVolume
from triage.walk.find import find_below, find_entries
from triage.walk.mft import MftTable
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader, place
from triage.walk.streams import StreamPlan, Streams


def examine_artefacts(
    ntfs: NtfsVolume,
    table: MftTable,
    paths: Paths,
    streams: Streams,
    surroundings: Surroundings,
    notes: Notes,
    begin: Begin,
) -> None:
    """Examine every file of a volume that stands in the table; one that cannot be read or parsed is a gap."""
    reader, seen = StreamReader(overlap_bytes=0), set[int]()
    for entry, path in _candidates(table, paths):
        kind = _kind_of(path)
        head = None if kind is None or entry in seen else streams.unnamed_head(entry)
        if kind is None or head is None:
            continue
        seen.add(entry)
        plan = streams.plan(head)
        where = where_is(plan.subject)
        if begin(artefact_row(entry), where):
            with Guard(notes.gap).at(where):
                _examine(ntfs, kind, plan, reader, surroundings, notes)


def _candidates(table: MftTable, paths: Paths) -> Iterator[tuple[int, str]]:
    """Yield what may be such a file by its own name, or by where it lies."""
    names = {name for kind in ARTEFACT_FILES for name in kind.names}
    endings = {ending for kind in ARTEFACT_FILES for ending in kind.endings}
    folders = {folder for kind in ARTEFACT_FILES for folder in kind.folders}
    yield from find_entries(table, paths, names=names, endings=endings)
    yield from find_below(table, paths, folders=folders, is_wanted=lambda path: _kind_of(f"{path}/") is not None)


def _kind_of(path: str) -> ArtefactFile | None:
    return next((one for one in ARTEFACT_FILES if one.path.fullmatch(path.lower())), None)


def _examine(
    ntfs: NtfsVolume,
    kind: ArtefactFile,
    plan: StreamPlan,
    reader: StreamReader,
    surroundings: Surroundings,
    notes: Notes,
) -> None:
    subject = plan.subject
    if subject.size_bytes > kind.largest_bytes:
        detail = f"file of {subject.size_bytes} bytes not parsed"
        notes.gap(Gap(kind=GapKind.ARTEFACT, detail=detail, where=where_is(subject), bytes=subject.size_bytes))
        return
    subject = replace(subject, fn=ntfs.file_name_times(subject.mft_entry))
    for told in kind.examine(_pieces(ntfs, plan, reader), subject, surroundings):
        notes.take(told)
    for gap in reader.gaps(plan):
        where = place(plan, gap.where.offset_bytes)
        notes.gap(Gap(kind=GapKind.ARTEFACT, detail=gap.detail, where=where, bytes=gap.bytes))


def _pieces(ntfs: NtfsVolume, plan: StreamPlan, reader: StreamReader) -> Iterator[memoryview]:
    for window in reader.windows(ntfs, plan):
        yield window.view[window.fresh :]
