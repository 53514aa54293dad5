"""What reading one stream came to: entered into the journal at once, or put off until everything else is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triage.model.content import ContentJudgement
from triage.model.entry import StreamState
from triage.model.finding import Finding
from triage.model.gap import Gap
from triage.model.rescue import RescueOutcome
from triage.pipeline.agenda import Item
from triage.pipeline.journal import DeferredRecord, FindingRecord, GapRecord, JournalWriter, StreamRecord
from triage.rescue.vault import Copy, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One stream, read once. `refusal` is why its file is not rescued, None where it is or was not considered.

    `sha256` and `judgement` are those of the bytes in `copy`; `vault` is None where nothing of it is to be rescued.
    """

    item: Item
    record: StreamRecord
    findings: Sequence[Finding]
    gaps: Sequence[Gap]
    vault: Vault | None
    copy: Copy | None
    refusal: RescueOutcome | None
    detail: str
    sha256: str
    judgement: ContentJudgement

    def book(self, journal: JournalWriter) -> None:
        """Enter it for good: this is the stream's one record."""
        for finding in self.findings:
            journal.add(FindingRecord(finding))
        for gap in self.gaps:
            journal.add(GapRecord(gap))
        self.settle()
        journal.add(self.record)

    def put_off(self, journal: JournalWriter) -> None:
        """Enter it for the time being, so that nothing is lost whatever becomes of the run."""
        if self.copy is not None:
            self.copy.suspend()
        journal.add(DeferredRecord(self.record, tuple(self.findings), tuple(self.gaps)))
        journal.flush()

    def settle(self) -> None:
        """Settle the rescue of its file."""
        copy, complete = self.copy, self.record.state is StreamState.READ
        if self.vault is None:
            return
        subject = self.item.plan.subject
        if self.refusal is not None:
            if copy is not None:
                copy.abandon(self.refusal, self.detail)
            else:
                self.vault.record(subject, self.refusal, self.detail)
            return
        if complete and subject.size_bytes == 0:
            copy = self.vault.open(subject)
        if copy is not None:
            copy.finish(self.sha256, self.judgement, complete=complete)

    def drop(self) -> None:
        """Forget it: another reading of the stream gave more."""
        if self.copy is not None:
            self.copy.drop()
