"""From a stream's bytes to what is known of it: each window goes to all examiners and to the copy, then it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
from triage.pipeline.agenda import Item
from triage.pipeline.board import Board
from triage.pipeline.examined import Examined, Rescue
from triage.pipeline.journal import JournalWriter, stream_record
from triage.rescue.vault import Copy, Vault
from triage.walk.reader import StreamReader, Window

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


class Examination:
    """One thread's examiners and the copy under way: `begin`, `feed` each window, then `end` or one of the others."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._digest = DigestExaminer(equipment.indicators)
        self._encrypted = EncryptedExaminer()
        self._examiners = (
            self._digest,
            YaraExaminer(equipment.rules, equipment.yara_timeout_seconds),
            self._encrypted,
        )
        self._copy: Copy | None = None
        self._windows = 0

    def begin(self, item: Item) -> None:
        """Start a stream."""
        self._copy = None
        self._windows = 0
        for examiner in self._examiners:
            examiner.begin(item.plan.subject)

    def feed(self, item: Item, window: Window) -> None:
        """Give a window to everything that wants its bytes."""
        view, offset, fresh = window.view, window.offset_bytes, window.fresh
        for examiner in self._examiners:
            examiner.feed(view, offset, fresh)
        if self._windows == 0:
            self._copy = self._open_copy(item)
        if self._copy is not None:
            self._copy.write(view[fresh:])
        self._windows += 1

    def end(self, item: Item, reader: StreamReader) -> Examined:
        """Take in what the examiners say of a stream, and decide what becomes of a user's file."""
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
        findings = [_enriched(finding, item, digests if complete else Digests()) for finding in decided]
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
                windowed=self._windows > 1,
                digests=digests if complete else None,
                dropped=sifted.dropped,
            ),
            complete=complete,
            findings=findings,
            gaps=gaps,
            rescue=self._rescue(item, reader, findings) if item.selected else None,
        )

    def interrupt(self) -> None:
        """Leave a stream whose reading is to end before its last window: a resumed run reads it again."""
        if self._copy is not None:
            self._copy.abandon(RescueOutcome.INTERRUPTED)

    def drop(self) -> None:
        """Forget a stream of which an earlier reading stands."""
        if self._copy is not None:
            self._copy.drop()

    def give_up(self, item: Item) -> None:
        """Record a stream on which the program itself failed: not examined, and not saved."""
        vault = self._equipment.vault
        if self._copy is not None:
            self._copy.abandon(RescueOutcome.FAILED, "fault of the program")
        elif vault is not None and item.selected:
            vault.record(item.plan.subject, RescueOutcome.FAILED, "fault of the program")
        self._equipment.journal.add(stream_record(item.plan.subject, StreamState.WORKER_DIED))

    def _open_copy(self, item: Item) -> Copy | None:
        """Start a copy of a user's stream that is neither encrypted nor named like the malware's."""
        vault = self._equipment.vault
        if vault is None or not item.selected or _is_suspect(item):
            return None
        return None if self._encrypted.early_judgement in _NEVER_COPIED else vault.open(item.plan.subject)

    def _rescue(self, item: Item, reader: StreamReader, findings: Sequence[Finding]) -> Rescue | None:
        """Decide what becomes of a user's file; None where none are rescued."""
        vault = self._equipment.vault
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
        if _is_suspect(item):
            return RescueOutcome.QUARANTINED, "name of a file of the malware"
        return None, ""


def _enriched(finding: Finding, item: Item, digests: Digests) -> Finding:
    """Add to a finding what the stream's other examiners and its record know."""
    subject = item.plan.subject
    return msgspec.structs.replace(item.survey.dated(weaken(finding, subject), subject), digests=digests)


def _is_suspect(item: Item) -> bool:
    return item.plan.subject.mft_entry in item.survey.suspect_entries
