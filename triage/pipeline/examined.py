"""What reading one stream came to: entered into the journal at once, or put off until everything else is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triage.model.content import ContentJudgement
from triage.model.finding import Finding
from triage.model.gap import Gap
from triage.model.rescue import RescueOutcome
from triage.pipeline.agenda import Item
from triage.pipeline.journal import DeferredRecord, FindingRecord, GapRecord, JournalWriter, StreamRecord
from triage.rescue.vault import Copy, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """What is to become of a user's file. `refusal` is why it is not rescued, None where it is.

    `sha256` and `judgement` are those of the bytes in `copy`.
    """

    vault: Vault
    copy: Copy | None
    refusal: RescueOutcome | None
    detail: str
    sha256: str
    judgement: ContentJudgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One stream, read once; `complete` where that gave all of it. `rescue` is None where nothing of it is rescued."""

    item: Item
    record: StreamRecord
    complete: bool
    findings: Sequence[Finding]
    gaps: Sequence[Gap]
    rescue: Rescue | None

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
        if self.rescue is not None and self.rescue.copy is not None:
            self.rescue.copy.suspend()
        self.item.source = self.item.survey.ntfs.source  # what is held of it is not kept until then
        journal.add(DeferredRecord(self.record, tuple(self.findings), tuple(self.gaps)))
        journal.flush()

    def settle(self) -> None:
        """Settle the rescue of its file."""
        rescue, subject = self.rescue, self.item.plan.subject
        if rescue is None:
            return
        copy = rescue.copy
        if rescue.refusal is not None:
            if copy is not None:
                copy.abandon(rescue.refusal, rescue.detail)
            else:
                rescue.vault.record(subject, rescue.refusal, rescue.detail)
            return
        if self.complete and subject.size_bytes == 0:
            copy = rescue.vault.open(subject)
        if copy is not None:
            copy.finish(rescue.sha256, rescue.judgement, complete=self.complete)

    def drop(self) -> None:
        """Forget it: another reading of the stream gave more."""
        if self.rescue is not None and self.rescue.copy is not None:
            self.rescue.copy.drop()
