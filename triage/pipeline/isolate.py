"""The worker's walls: it reaches its evidence, its lists, its case and its destination, and says what of that holds."""

from __future__ import annotations

from pathlib import Path

from triage.evidence.open import open_evidence
from triage.examiners.yara_rules import OWN_RULES
from triage.isolation.confine import Needs, confine
from triage.model.evidence import EvidenceFormat
from triage.pipeline.job import Job
from triage.pipeline.journal import JOURNAL_NAME, GapRecord, IsolationRecord, JournalWriter
from triage.rescue.filesystem import driver_device


def isolate(job: Job) -> None:
    """Confine this process for good to what the job needs, and note in the journal what holds.

    `TriageError` where the evidence cannot be opened: it is looked at first, for where its segments lie.
    """
    isolation, gap = confine(_needs(job))
    journal = JournalWriter(Path(job.case_folder) / JOURNAL_NAME)
    journal.add(IsolationRecord(isolation))
    if gap is not None:
        journal.add(GapRecord(gap))
    journal.close()


def _needs(job: Job) -> Needs:
    segments: list[Path] = []
    folders: list[Path] = []
    evidence_bytes = 0
    for path in job.evidence:
        with open_evidence(path) as source:
            segments += source.segments
            evidence_bytes += source.size_bytes
            if source.format is not EvidenceFormat.DEVICE:  # a file's neighbours may be its segments
                folders += (segment.parent for segment in source.segments)
    lists = (Path(path) for path in (*job.rules, *job.ioc, *job.known_good, *job.extra_sets))
    destination = () if job.rescue_to is None else (Path(job.rescue_to),)
    drivers = (device for device in map(driver_device, destination) if device is not None)
    return Needs(
        readable=(OWN_RULES, *segments, *lists, *drivers),
        listable=tuple(folders),
        writable=(Path(job.case_folder), *destination),
        evidence_bytes=evidence_bytes,
    )
