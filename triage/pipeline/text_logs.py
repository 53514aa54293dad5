"""The texts that keep traces of the network: found on a volume and read line by line, whatever their size."""

from __future__ import annotations

from collections.abc import Mapping

from triage.artefacts.text_lines import LONGEST_LINE, LineReader
from triage.artefacts.time_zone import TimeZone
from triage.examiners.clock import Clock
from triage.examiners.places import where_is
from triage.examiners.text_logs import TEXT_LOGS, TextLog
from triage.indicators.network import NetworkIndicators
from triage.model.gap import Gap, GapKind, Where
from triage.model.told import Notes
from triage.pipeline.guard import Guard
from triage.volumes.ntfs import NtfsVolume
from triage.walk.find import find_entries
from triage.walk.mft import MftTable
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader, place
from triage.walk.streams import StreamPlan, Streams

_LARGEST_BYTES = 1 << 30
_WINDOW_BYTES = 1 << 20


class TextLogs:
    """Examines the texts of one volume.

    `zones` are those of its Windows by their folders in lower case: a log in one tells the local time of that one.
    """

    def __init__(
        self, ntfs: NtfsVolume, zones: Mapping[str, TimeZone], network: NetworkIndicators, notes: Notes
    ) -> None:
        self._ntfs = ntfs
        self._zones = zones
        self._network = network
        self._notes = notes
        self._reader = StreamReader(_WINDOW_BYTES, overlap_bytes=0)

    def examine(self, table: MftTable, paths: Paths, streams: Streams) -> None:
        """Examine every file of the table; what of one cannot be read is a gap."""
        names = {name for log in TEXT_LOGS for name in log.names}
        seen: set[int] = set()
        for entry, path in find_entries(table, paths, names=names):
            log = next((one for one in TEXT_LOGS if _is(one, path.lower())), None)
            head = None if log is None or entry in seen else streams.unnamed_head(entry)
            if log is None or head is None:
                continue
            seen.add(entry)
            plan = streams.plan(head)
            with Guard(self._notes.gap).at(where_is(plan.subject)):
                self._examine(log, plan)

    def _examine(self, log: TextLog, plan: StreamPlan) -> None:
        lines, subject, reader = LineReader(), plan.subject, self._reader
        examiner = log.examiner(subject, self._clock(subject.path), self._network)
        left_bytes = _LARGEST_BYTES
        for window in reader.windows(self._ntfs, plan):
            left_bytes -= len(window.view)
            for line in lines.feed(bytes(window.view)):
                examiner.line(line)
            if left_bytes <= 0:
                break
        for line in lines.end():
            examiner.line(line)
        self._notes.take(examiner.end())
        for gap in reader.gaps(plan):
            self._note_gap(gap.detail, place(plan, gap.where.offset_bytes), gap.bytes)
        if subject.size_bytes > _LARGEST_BYTES:
            detail = f"only the first {_LARGEST_BYTES} bytes of this text were examined"
            self._note_gap(detail, place(plan, _LARGEST_BYTES), subject.size_bytes - _LARGEST_BYTES)
        if lines.cut > 0:
            detail = f"lines longer than {LONGEST_LINE} characters, examined in pieces: {lines.cut}"
            self._note_gap(detail, where_is(subject), None)

    def _clock(self, path: str) -> Clock:
        """Return the clock by which the Windows wrote in whose folder a log lies."""
        zones = (zone for folder, zone in self._zones.items() if path.lower().startswith(f"{folder}/"))
        return Clock(next(zones, None))

    def _note_gap(self, detail: str, where: Where, length_bytes: int | None) -> None:
        self._notes.gap(Gap(kind=GapKind.ARTEFACT, detail=detail, where=where, bytes=length_bytes))


def _is(log: TextLog, path: str) -> bool:
    return path.rpartition("/")[2] in log.names and log.path.fullmatch(path) is not None
