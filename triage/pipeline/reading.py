"""The long read: every stream once, along the disk, by a few threads; each byte feeds examiners and rescue.

One thread at a time is at the disk: it takes the next window while the others compute, so the disk sees one orderly
sequence of reads however many threads there are.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import msgspec
import numpy as np

from triage.evidence.source import EvidenceSource
from triage.examiners.digest import DigestExaminer
from triage.examiners.encrypted import EncryptedExaminer
from triage.examiners.places import times_of
from triage.examiners.yara_rules import CompiledRules
from triage.examiners.yara_scan import YaraExaminer
from triage.indicators.load import Indicators
from triage.model.content import ContentJudgement
from triage.model.entry import StreamState, Subject
from triage.model.finding import Digests, Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.pipeline.board import Board
from triage.pipeline.guard import guarded
from triage.pipeline.job import Token
from triage.pipeline.journal import FindingRecord, GapRecord, JournalWriter, StreamRecord
from triage.pipeline.survey import Survey
from triage.rescue.namemap import shown_path
from triage.rescue.selection import select
from triage.rescue.vault import Copy, Vault
from triage.walk.order import first_offsets, reading_order
from triage.walk.reader import StreamReader, Window, place
from triage.walk.streams import StreamPlan

UNSELECTED_TIER = 9
_AHEAD_STREAMS = 64
_AHEAD_BYTES = 64 << 20
_TEXT_SECONDS = 0.2
_NEVER_COPIED = (ContentJudgement.ENCRYPTED, ContentJudgement.ENCRYPTED_TRUNCATED, ContentJudgement.FILLER)


@dataclass(slots=True, kw_only=True)
class Item:
    """One stream in its turn."""

    survey: Survey
    token: Token
    plan: StreamPlan
    selected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What all threads share. `vault` is None with `--no-rescue`."""

    indicators: Indicators
    rules: CompiledRules
    yara_timeout_seconds: int
    sources: Sequence[EvidenceSource]
    journal: JournalWriter
    board: Board
    vault: Vault | None


_TRIED_AGAIN = (RescueOutcome.FAILED, RescueOutcome.INTERRUPTED)


@dataclass(slots=True, kw_only=True)
class Done:
    """What earlier sessions of a case have done: streams read (volume, entry, stream), files settled.

    A file that failed or was cut off is not settled: it is tried once more.
    """

    read: set[tuple[str, int, str]] = field(default_factory=set)
    settled: dict[tuple[str, str], RescuedFile] = field(default_factory=dict)

    def settle(self, file: RescuedFile) -> None:
        """Take in what became of one file."""
        if file.outcome not in _TRIED_AGAIN:
            self.settled[file.volume, file.path] = file

    def has(self, subject: Subject, *, selected: bool) -> bool:
        """Say whether a stream need not be read again."""
        if (subject.volume, subject.mft_entry, subject.stream) not in self.read:
            return False
        return not selected or (subject.volume, shown_path(subject.path, subject.stream)) in self.settled


class Agenda:
    """What is to be read, in order: by tier over all volumes, within a tier volume by volume along the disk.

    `streams`, `bytes` and `selected` count everything, whether or not an earlier session has done it.
    """

    def __init__(self, surveys: Sequence[Survey], equipment: Equipment, done: Done) -> None:
        self._equipment = equipment
        self._done = done
        self._chunks: list[tuple[int, Survey, np.ndarray[tuple[int], np.dtype[np.int64]]]] = []
        self.streams = 0
        self.bytes = 0
        self.selected = 0
        for survey in surveys:
            self._add(survey)
        self._chunks.sort(key=lambda chunk: (chunk[0], chunk[1].index))

    def _add(self, survey: Survey) -> None:
        heads = survey.streams.heads
        rows = survey.table.streams
        geometry = survey.ntfs.geometry
        mft_offset = geometry.mft_cluster * geometry.cluster_bytes
        offsets = first_offsets(survey.table, heads, mft_offset, geometry.cluster_bytes)
        tiers = np.full(len(heads), UNSELECTED_TIER, np.int64)
        if self._equipment.vault is not None:
            for number, head in enumerate(heads.tolist()):
                tier = select(survey.streams.path(head), survey.streams.name(head), int(rows.size_bytes[head]))
                if tier is not None:
                    tiers[number] = tier
        order = reading_order(offsets, tiers)
        for tier in np.unique(tiers).tolist():
            self._chunks.append((tier, survey, heads[order][tiers[order] == tier]))
        self.selected += int((tiers != UNSELECTED_TIER).sum())
        self.streams += len(heads)
        self.bytes += int(rows.size_bytes[heads].sum())

    def items(self, *, only: Set[Token] | None = None, leave_out: Set[Token] = frozenset()) -> Iterator[Item]:
        """Yield the streams that are still to be read, asking the kernel to read ahead."""
        ahead: deque[Item] = deque()
        ahead_bytes = 0
        for item in self._all(only, leave_out):
            ahead.append(item)
            ahead_bytes += item.plan.subject.size_bytes
            self._prefetch(item)
            while len(ahead) > _AHEAD_STREAMS or (ahead_bytes > _AHEAD_BYTES and ahead):
                ready = ahead.popleft()
                ahead_bytes -= ready.plan.subject.size_bytes
                yield ready
        yield from ahead

    def _all(self, only: Set[Token] | None, leave_out: Set[Token]) -> Iterator[Item]:
        for tier, survey, heads in self._chunks:
            selected = tier != UNSELECTED_TIER
            for head in heads.tolist():
                token = Token(survey.index, head)
                if token in leave_out or (only is not None and token not in only):
                    continue
                plan = survey.streams.plan(head)
                if not self._done.has(plan.subject, selected=selected):
                    yield Item(survey=survey, token=token, plan=plan, selected=selected)

    def _prefetch(self, item: Item) -> None:
        source = self._equipment.sources[item.survey.info.evidence]
        for extent in item.plan.extents[:8]:
            if extent.volume_offset >= 0:
                start = item.survey.info.offset_bytes + extent.volume_offset
                source.prefetch(start, min(extent.length_bytes, _AHEAD_BYTES))


def read_all(items: Iterator[Item], equipment: Equipment, threads: int) -> None:
    """Read the items with so many threads; returns when all are read or the board asks to stop.

    Where one thread fails the others stop after what they have under way; its error is raised.
    """
    turn = _Turn(items)
    readers = [_Reader(number, equipment, turn) for number in range(threads)]
    with ThreadPoolExecutor(threads, thread_name_prefix="reader") as pool:
        ended = [pool.submit(reader.run) for reader in readers]
    for future in ended:
        future.result()


class _Turn:
    """The next stream, and the right to be at the disk."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self.disk = threading.Lock()

    def next(self) -> Item | None:
        """Take the next stream; call only with `disk` held."""
        return next(self._items, None)


class _Reader:
    """One thread: its buffer, its examiners, its place on the board."""

    def __init__(self, number: int, equipment: Equipment, turn: _Turn) -> None:
        self._number = number
        self._equipment = equipment
        self._turn = turn
        self._reader = StreamReader()
        self._digest = DigestExaminer(equipment.indicators)
        self._encrypted = EncryptedExaminer()
        self._examiners = (
            self._digest,
            YaraExaminer(equipment.rules, equipment.yara_timeout_seconds),
            self._encrypted,
        )
        self._streams = 0
        self._bytes = 0
        self._text_due = 0.0

    def run(self) -> None:
        """Read stream after stream until there is none left or the board asks to stop."""
        with ExitStack() as on_failure:
            on_failure.callback(self._equipment.board.ask_to_stop)
            self._read_streams()
            on_failure.pop_all()

    def _read_streams(self) -> None:
        board, turn = self._equipment.board, self._turn
        while not board.stop:
            with turn.disk:
                item = turn.next()
                if item is None:
                    break
                board.begin(self._number, item.token)
                windows = self._reader.windows(item.survey.ntfs, item.plan)
                window = next(windows, None)
            self._say(item)
            with guarded(place(item.plan), self._note_gap):
                self._stream(item, window, windows)
            board.end(self._number)
            self._streams += 1
            board.count(self._number, streams=self._streams, done_bytes=self._bytes)

    def _stream(self, item: Item, window: Window | None, windows: Iterator[Window]) -> None:
        """Feed one stream's windows to everything that wants its bytes, then close the account."""
        subject = item.plan.subject
        for examiner in self._examiners:
            examiner.begin(subject)
        copy: Copy | None = None
        count = 0
        while window is not None:
            count += 1
            for examiner in self._examiners:
                examiner.feed(window.view, window.offset_bytes, window.fresh)
            if count == 1:
                copy = self._open_copy(item)
            if copy is not None:
                copy.write(window.view[window.fresh :])
            self._bytes += len(window.view) - window.fresh
            self._equipment.board.count(self._number, streams=self._streams, done_bytes=self._bytes)
            if self._equipment.board.stop:
                if copy is not None:
                    copy.abandon(RescueOutcome.INTERRUPTED)
                return  # nothing is recorded of the stream, so a resumed run reads it again
            with self._turn.disk:
                window = next(windows, None)
        self._close(item, copy, windowed=count > 1)

    def _open_copy(self, item: Item) -> Copy | None:
        """Start a copy of a user's stream that is neither encrypted nor named like the malware's."""
        vault = self._equipment.vault
        if vault is None or not item.selected or self._is_suspect(item):
            return None
        return None if self._encrypted.early_judgement in _NEVER_COPIED else vault.open(item.plan.subject)

    def _close(self, item: Item, copy: Copy | None, *, windowed: bool) -> None:
        plan, reader = item.plan, self._reader
        complete = reader.state is StreamState.READ
        results = [result for examiner in self._examiners for result in examiner.end(complete=complete)]
        digests = self._digest.digests
        found = [result for result in results if isinstance(result, Finding)]
        sifted = self._equipment.indicators.known_good.sift(found, digests)
        findings = [self._enriched(finding, item, digests) for finding in sifted.findings]
        for gap in [*(result for result in results if isinstance(result, Gap)), *reader.gaps(plan)]:
            self._note_gap(gap)
        for finding in findings:
            self._equipment.journal.add(FindingRecord(finding))
        if self._equipment.vault is not None and item.selected:
            self._settle(self._equipment.vault, item, copy, findings, digests.sha256 or "")
        subject = plan.subject
        self._equipment.journal.add(
            StreamRecord(
                volume=subject.volume,
                mft_entry=subject.mft_entry,
                stream=subject.stream,
                path=subject.path,
                state=reader.state,
                form=subject.form,
                size_bytes=subject.size_bytes,
                bytes_read=reader.bytes_read,
                windowed=windowed,
                md5=(digests.md5 or "") if complete else "",
                sha256=(digests.sha256 or "") if complete else "",
            )
        )

    def _enriched(self, finding: Finding, item: Item, digests: Digests) -> Finding:
        """Add to a finding what the stream's other examiners and its record know."""
        times = item.survey.ntfs.file_name_times(item.plan.subject.mft_entry)
        complete = self._reader.state is StreamState.READ
        return msgspec.structs.replace(
            finding,
            times=finding.times | times_of(None, times),
            digests=digests if complete else Digests(),
        )

    def _settle(
        self,
        vault: Vault,
        item: Item,
        copy: Copy | None,
        findings: Sequence[Finding],
        sha256: str,
    ) -> None:
        """Decide what becomes of a user's file, and say so."""
        subject = item.plan.subject
        outcome, detail = self._refusal(item, findings)
        complete = self._reader.state is StreamState.READ
        if outcome is not None and copy is not None:
            copy.abandon(outcome, detail)
        elif outcome is not None:
            vault.record(subject, outcome, detail)
        elif complete and subject.size_bytes == 0:
            copy = vault.open(subject)
        elif self._reader.bytes_read == 0:
            where = place(item.plan)
            detail = self._reader.reason or "nothing of it could be read"
            vault.record(subject, RescueOutcome.FAILED, detail)
            self._note_gap(Gap(kind=GapKind.NOT_RESCUED, detail=f"not rescued: {detail}", where=where))
            copy = None
        if outcome is None and copy is not None:
            copy.finish(sha256, self._encrypted.judgement, complete=complete)

    def _refusal(self, item: Item, findings: Sequence[Finding]) -> tuple[RescueOutcome | None, str]:
        """Return why a file is not rescued: encrypted, or matching an indicator that is more than weak."""
        if self._encrypted.judgement in _NEVER_COPIED:
            return RescueOutcome.ENCRYPTED, self._encrypted.judgement.value
        telling = [
            finding
            for finding in findings
            if finding.severity is not Severity.LOW and finding.kind is not FindingKind.ENCRYPTED_FILE
        ]
        if telling:
            return RescueOutcome.QUARANTINED, f"{telling[0].kind.value}: {telling[0].indicator}"
        if self._is_suspect(item):
            return RescueOutcome.QUARANTINED, "name of a file of the malware"
        return None, ""

    def _is_suspect(self, item: Item) -> bool:
        return item.plan.subject.mft_entry in item.survey.suspect_entries

    def _note_gap(self, gap: Gap) -> None:
        self._equipment.journal.add(GapRecord(gap))

    def _say(self, item: Item) -> None:
        now = time.monotonic()
        if now >= self._text_due:
            self._equipment.board.text = item.plan.subject.path
            self._text_due = now + _TEXT_SECONDS
