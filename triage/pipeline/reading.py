"""The long read: every stream once, along the disk, by a few threads; each byte feeds examiners and rescue.

One thread at a time is at the disk: it takes the next window while the others compute, so the disk sees one orderly
sequence of reads however many threads there are. A stream of which something is unreadable is put off: it is read once
more, sector by sector, when everything else is safe, and the reading that gave more counts.
"""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import msgspec

from triage.examiners.containers import weaken
from triage.examiners.digest import DigestExaminer
from triage.examiners.encrypted import EncryptedExaminer
from triage.examiners.yara_rules import CompiledRules
from triage.examiners.yara_scan import YaraExaminer
from triage.indicators.load import Indicators
from triage.model.content import ContentJudgement
from triage.model.entry import StreamState
from triage.model.finding import Digests, Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind
from triage.model.rescue import RescueOutcome
from triage.pipeline.agenda import Agenda, Item
from triage.pipeline.board import Board
from triage.pipeline.examined import Examined, Rescue
from triage.pipeline.guard import Guard
from triage.pipeline.journal import GapRecord, JournalWriter, stream_record
from triage.pipeline.stretch import LONGEST_BYTES, Stretch, stretches
from triage.rescue.vault import Copy, Vault
from triage.walk.reader import StreamReader, Window, place

_TEXT_SECONDS = 0.2
_NEVER_COPIED = (ContentJudgement.ENCRYPTED, ContentJudgement.ENCRYPTED_TRUNCATED, ContentJudgement.FILLER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What all threads share. `vault` is None with `--no-rescue`; `put_off` are the streams to be read once more."""

    indicators: Indicators
    rules: CompiledRules
    yara_timeout_seconds: int
    journal: JournalWriter
    board: Board
    vault: Vault | None
    put_off: list[Examined] = field(default_factory=list)


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


def read_again(equipment: Equipment, agenda: Agenda) -> None:
    """Try once more what was put off; where the run is to end, or the evidence is lost, the first reading stands."""
    reader = _Reader(0, equipment, _Turn(iter(())))
    equipment.board.enter(0)
    for examined in equipment.put_off:
        if equipment.board.stop or agenda.lost(examined.item):
            examined.settle()
        else:
            reader.read_again(examined, agenda)
    equipment.put_off.clear()


class _Turn:
    """The next streams, and the right to be at the disk; `one_by_one` once something of it could not be read."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._stretches = stretches(items)
        self.disk = threading.Lock()
        self.one_by_one = False

    def next(self) -> Stretch | None:
        """Take the next streams; call only with `disk` held."""
        return next(self._stretches, None)


class _Reader:
    """One thread: its buffer, its examiners, its place on the board."""

    def __init__(self, number: int, equipment: Equipment, turn: _Turn) -> None:
        self._number = number
        self._equipment = equipment
        self._turn = turn
        self._held = memoryview(mmap.mmap(-1, LONGEST_BYTES))
        self._reader = StreamReader(stop=lambda: equipment.board.stop)
        self._digest = DigestExaminer(equipment.indicators)
        self._encrypted = EncryptedExaminer()
        self._examiners = (
            self._digest,
            YaraExaminer(equipment.rules, equipment.yara_timeout_seconds),
            self._encrypted,
        )
        self._guard = Guard(self._note_gap)
        self._copy: Copy | None = None
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
        board = self._equipment.board
        board.enter(self._number)
        while not board.stop and self._read_stretch():
            pass
        board.end(self._number)
        board.count(self._number, streams=self._streams, done_bytes=self._bytes)

    def _read_stretch(self) -> bool:
        """Read the streams that come next; False where there are none."""
        with self._turn.disk:
            stretch = self._turn.next()
            if stretch is None:
                return False
            held = self._hold(stretch)
            begun = self._begin(stretch.items[0]) if held is None else None
        for item in stretch.items:
            if held is not None:
                self._announce(item)
                begun = self._reader.in_memory(item.plan, held[stretch.place_of(item)]), iter(())
            elif begun is None:
                with self._turn.disk:
                    begun = self._begin(item)
            self._read_stream(item, *begun)
            begun = None
            if self._equipment.board.stop:
                break
        return True

    def _hold(self, stretch: Stretch) -> memoryview | None:
        """Read a stretch at once; None where its streams are to be read one by one."""
        if stretch.length_bytes == 0 or self._turn.one_by_one:
            return None
        self._announce(stretch.items[0])
        held = self._held[: stretch.length_bytes]
        source = stretch.items[0].source
        if source.read_at_once(stretch.volume_offset, held):
            return held
        # Each try at a bad sector may take seconds: no other is made on behalf of the streams around it.
        self._turn.one_by_one |= stretch.volume_offset + stretch.length_bytes <= source.size_bytes
        return None

    def _begin(self, item: Item) -> tuple[Window | None, Iterator[Window]]:
        """Read the first window of a stream; return it, and those to come."""
        self._announce(item)
        windows = self._reader.windows(item.survey.ntfs, item.plan, item.source)
        return next(windows, None), windows

    def _announce(self, item: Item) -> None:
        """Say on the board what is under way."""
        self._equipment.board.begin(self._number, item.token, streams=self._streams, done_bytes=self._bytes)
        now = time.monotonic()
        if now >= self._text_due:
            self._equipment.board.text = item.plan.subject.path
            self._text_due = now + _TEXT_SECONDS

    def _read_stream(self, item: Item, window: Window | None, windows: Iterator[Window]) -> None:
        """Examine one stream and enter what came of it."""
        with self._guard.at(partial(place, item.plan)):
            examined = self._stream(item, window, windows)
            if examined is not None:
                self._enter(examined)
            elif self._copy is not None:
                self._copy.abandon(RescueOutcome.INTERRUPTED)
        if self._guard.caught:
            self._give_up(item)
        self._streams += 1

    def _enter(self, examined: Examined) -> None:
        """Enter what came of a stream, or put off what may come of it yet."""
        if examined.complete or not self._reader.unreadable:
            examined.book(self._equipment.journal)
        else:
            examined.put_off(self._equipment.journal)
            self._equipment.put_off.append(examined)

    def read_again(self, first: Examined, agenda: Agenda) -> None:
        """Read a stream a second time, each sector by itself where it has to be; enter the reading that gave more."""
        item, journal = first.item, self._equipment.journal
        self._announce(item)
        second = None
        with self._guard.at(partial(place, item.plan)):
            windows = self._reader.windows(item.survey.ntfs, item.plan, thorough=True)
            second = self._stream(item, next(windows, None), windows)
        self._equipment.board.end(self._number)
        if second is None:
            if self._copy is not None:
                self._copy.drop()
            if self._guard.caught:
                first.book(journal)
            else:
                first.settle()  # interrupted: a resumed run reads it again
        elif second.record.bytes_read >= first.record.bytes_read:
            first.drop()
            second.book(journal)
        else:
            second.drop()
            if agenda.lost(item):
                first.settle()
            else:
                first.book(journal)

    def _stream(self, item: Item, window: Window | None, windows: Iterator[Window]) -> Examined | None:
        """Feed one stream's windows to everything that wants its bytes; None where the run is to end before."""
        subject = item.plan.subject
        self._copy = None
        for examiner in self._examiners:
            examiner.begin(subject)
        count = 0
        while window is not None:
            count += 1
            view, offset, fresh = window.view, window.offset_bytes, window.fresh
            for examiner in self._examiners:
                examiner.feed(view, offset, fresh)
            if count == 1:
                self._copy = self._open_copy(item)
            if self._copy is not None:
                self._copy.write(view[fresh:])
            self._bytes += len(view) - fresh
            if window.is_last:
                break
            self._equipment.board.count(self._number, streams=self._streams, done_bytes=self._bytes)
            if self._equipment.board.stop:
                return None  # nothing is recorded of the stream, so a resumed run reads it again
            with self._turn.disk:
                window = next(windows, None)
        return self._examined(item, windowed=count > 1)

    def _open_copy(self, item: Item) -> Copy | None:
        """Start a copy of a user's stream that is neither encrypted nor named like the malware's."""
        vault = self._equipment.vault
        if vault is None or not item.selected or self._is_suspect(item):
            return None
        return None if self._encrypted.early_judgement in _NEVER_COPIED else vault.open(item.plan.subject)

    def _examined(self, item: Item, *, windowed: bool) -> Examined:
        """Take in what the examiners say, and decide what becomes of a user's file."""
        reader = self._reader
        complete = reader.state is StreamState.READ
        found: list[Finding] = []
        gaps: list[Gap] = []
        timed_out = False
        for examiner in self._examiners:
            for result in examiner.end(complete=complete):
                if isinstance(result, Finding):
                    found.append(result)
                else:
                    gaps.append(result)
                    timed_out |= result.kind is GapKind.YARA_TIMEOUT
        digests = self._digest.digests
        sifted = self._equipment.indicators.known_good.sift(found, digests)
        decided = item.survey.decide(item.plan.subject, sifted.findings)
        findings = [self._enriched(finding, item, digests) for finding in decided]
        if not complete:
            gaps += reader.gaps(item.plan)
        state = reader.state
        if complete and (timed_out or sifted.is_vouched_for):
            state = StreamState.TIMED_OUT if timed_out else StreamState.KNOWN_GOOD
        return Examined(
            item=item,
            record=stream_record(
                item.plan.subject,
                state,
                bytes_read=reader.bytes_read,
                windowed=windowed,
                digests=digests if complete else None,
                dropped=sifted.dropped,
            ),
            complete=complete,
            findings=findings,
            gaps=gaps,
            rescue=self._rescue(item, findings) if item.selected else None,
        )

    def _rescue(self, item: Item, findings: Sequence[Finding]) -> Rescue | None:
        """Decide what becomes of a user's file; None where none are rescued."""
        vault, reader = self._equipment.vault, self._reader
        if vault is None:
            return None
        refusal, detail = self._refusal(item, findings)
        if refusal is None and reader.state is not StreamState.READ and reader.bytes_read == 0:
            refusal, detail = RescueOutcome.FAILED, reader.reason or "nothing of it could be read"
        return Rescue(
            vault=vault,
            copy=self._copy,
            refusal=refusal,
            detail=detail,
            sha256=self._digest.digests.sha256 or "",
            judgement=self._encrypted.judgement,
        )

    def _give_up(self, item: Item) -> None:
        """Record a stream on which the program itself failed: not examined, and not saved."""
        vault = self._equipment.vault
        if self._copy is not None:
            self._copy.abandon(RescueOutcome.FAILED, "fault of the program")
        elif vault is not None and item.selected:
            vault.record(item.plan.subject, RescueOutcome.FAILED, "fault of the program")
        self._equipment.journal.add(stream_record(item.plan.subject, StreamState.WORKER_DIED))

    def _enriched(self, finding: Finding, item: Item, digests: Digests) -> Finding:
        """Add to a finding what the stream's other examiners and its record know."""
        subject, complete = item.plan.subject, self._reader.state is StreamState.READ
        found = item.survey.dated(weaken(finding, subject), subject)
        return msgspec.structs.replace(found, digests=digests if complete else Digests())

    def _refusal(self, item: Item, findings: Sequence[Finding]) -> tuple[RescueOutcome | None, str]:
        """Return why a file is not rescued: encrypted, or matching an indicator that is more than weak."""
        if self._encrypted.judgement in _NEVER_COPIED:
            return RescueOutcome.ENCRYPTED, self._encrypted.judgement.value
        telling = [
            finding
            for finding in findings
            if finding.severity is not Severity.LOW
            and finding.kind is not FindingKind.ENCRYPTED_FILE
            and finding.facts.get("decided_by") != "content"
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
