"""Looks at the headers of sampled files: enough to tell one that WannaCry encrypted, and a program in disguise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from triage.examiners.encrypted import EncryptedExaminer
from triage.model.entry import StreamState, Subject
from triage.model.finding import Finding
from triage.pipeline.agenda import Item
from triage.pipeline.examination import Equipment
from triage.pipeline.guard import Guard
from triage.pipeline.job import Token
from triage.pipeline.journal import FindingRecord, GapRecord, stream_record
from triage.pipeline.ledger import HEADER_BYTES
from triage.pipeline.survey import Survey
from triage.walk.reader import StreamReader, place

_PROGRAM_MAGIC = b"MZ"


class HeaderReader:
    """Reads headers on the calling thread; what turns out to be a program is left for the long read."""

    def __init__(self, equipment: Equipment) -> None:
        self._journal = equipment.journal
        self._board = equipment.board
        self._reader = StreamReader(HEADER_BYTES, 0)
        self._examiner = EncryptedExaminer()

    def read(self, items: Iterator[Item]) -> set[Token]:
        """Read the header of each item; return those that are to be read whole, which have no record yet."""
        whole: set[Token] = set()
        guard = Guard(lambda gap: self._journal.add(GapRecord(gap)))
        for item in items:
            if self._board.stop:
                break
            self._board.begin(0, item.token)
            with guard.at(partial(place, item.plan)):
                if self._is_for_the_long_read(item):
                    whole.add(item.token)
            if guard.caught:
                self._journal.add(stream_record(item.plan.subject, StreamState.WORKER_DIED))
        self._board.end(0)
        return whole

    def _is_for_the_long_read(self, item: Item) -> bool:
        """Read one header; say whether it is that of a program (or all there is), else record the stream."""
        subject, reader = item.plan.subject, self._reader
        window = next(reader.windows(item.survey.ntfs, item.plan), None)
        found: list[Finding] = []
        state, bytes_read = reader.state, reader.bytes_read
        if window is not None:
            if window.view[: len(_PROGRAM_MAGIC)] == _PROGRAM_MAGIC or (window.is_last and state is StreamState.READ):
                return True
            self._examiner.begin(subject)
            self._examiner.feed(window.view, 0, 0)
            found = [one for one in self._examiner.end(complete=False) if isinstance(one, Finding)]
            if not window.is_last:
                state = StreamState.EXCLUDED
                bytes_read = len(window.view) - sum(
                    max(0, min(bad.stream_offset + bad.length_bytes, len(window.view)) - bad.stream_offset)
                    for bad in reader.bad_ranges
                )
        for finding in told(item.survey, subject, found):
            self._journal.add(FindingRecord(finding))
        for gap in reader.gaps(item.plan):
            self._journal.add(GapRecord(gap))
        self._journal.add(stream_record(subject, state, bytes_read=bytes_read))
        return False


def told(survey: Survey, subject: Subject, found: Sequence[Finding] = ()) -> Iterator[Finding]:
    """Yield what header and name of a stream tell together, with the times of its names."""
    for finding in survey.decide(subject, found):
        yield survey.dated(finding, subject)
