"""The traces that Windows keeps in files of its own: found on a volume, read into memory, examined one by one."""

from __future__ import annotations

from triage.examiners.artefacts import ARTEFACT_FILES, ArtefactFile
from triage.examiners.places import where_is
from triage.model.entry import Subject
from triage.model.gap import Gap, GapKind
from triage.model.told import Notes
from triage.pipeline.guard import Guard
from triage.volumes.ntfs import NtfsVolume
from triage.walk.find import find_entries
from triage.walk.mft import MftTable
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader, place
from triage.walk.streams import StreamPlan, Streams


def examine_artefacts(ntfs: NtfsVolume, table: MftTable, paths: Paths, streams: Streams, notes: Notes) -> None:
    """Examine every file of a volume that stands in the table; one that cannot be read or parsed is a gap."""
    names = {name for kind in ARTEFACT_FILES for name in kind.names}
    endings = {ending for kind in ARTEFACT_FILES for ending in kind.endings}
    seen: set[int] = set()
    for entry, path in find_entries(table, paths, names=names, endings=endings):
        kind = next((one for one in ARTEFACT_FILES if one.path.fullmatch(path.lower())), None)
        head = None if kind is None or entry in seen else streams.unnamed_head(entry)
        if kind is None or head is None:
            continue
        seen.add(entry)
        plan = streams.plan(head)
        with Guard(notes.gap).at(where_is(plan.subject)):
            _examine(ntfs, kind, plan, notes)


def _examine(ntfs: NtfsVolume, kind: ArtefactFile, plan: StreamPlan, notes: Notes) -> None:
    subject: Subject = plan.subject
    if subject.size_bytes > kind.largest_bytes:
        detail = f"file of {subject.size_bytes} bytes not parsed"
        notes.gap(Gap(kind=GapKind.ARTEFACT, detail=detail, where=where_is(subject), bytes=subject.size_bytes))
        return
    reader, data = StreamReader(), bytearray()
    for window in reader.windows(ntfs, plan):
        data += window.view[window.fresh :]
    for gap in reader.gaps(plan):
        where = place(plan, gap.where.offset_bytes)
        notes.gap(Gap(kind=GapKind.ARTEFACT, detail=gap.detail, where=where, bytes=gap.bytes))
    notes.take(kind.examine(bytes(data), subject))
