"""The worker's page: from evidence to a journal of volumes, findings, gaps, streams and rescued files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from triage.evidence.destination import max_file_bytes
from triage.evidence.open import open_evidence
from triage.evidence.source import EvidenceSource
from triage.examiners.yara_rules import compile_rules
from triage.indicators.load import load_indicators
from triage.model.entry import StreamState
from triage.model.gap import Gap, GapKind, Where
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.pipeline.agenda import Agenda, Done, Item
from triage.pipeline.board import Board, Phase
from triage.pipeline.discover import FoundVolume, discover
from triage.pipeline.guard import Guard
from triage.pipeline.job import HIVES, WHOLE_VOLUME, Job, Token
from triage.pipeline.journal import (
    JOURNAL_NAME,
    EnumerationRecord,
    FindingRecord,
    GapRecord,
    JournalWriter,
    RescueRecord,
    SelectionRecord,
    SetsRecord,
    StreamRecord,
    VolumeRecord,
    read_journal,
    stream_record,
)
from triage.pipeline.reading import Equipment, read_all
from triage.pipeline.survey import Survey, Surveyor
from triage.rescue.vault import Vault
from triage.walk.reader import place


def examine(job: Job, board: Board) -> None:
    """Do the whole job; what is seen goes into the case's journal. Raises `TriageError` where it cannot go on."""
    indicators = load_indicators(_paths(job.ioc), _paths(job.known_good), _paths(job.extra_sets))
    rules = compile_rules(_paths(job.rules))
    with ExitStack() as stack:
        journal = JournalWriter(Path(job.case_folder) / JOURNAL_NAME)
        stack.callback(journal.close)
        journal.add(SetsRecord((*indicators.sets, *rules.sets)))
        sources = [stack.enter_context(open_evidence(path)) for path in job.evidence]
        board.phase = Phase.ENUMERATING
        surveyor = Surveyor(
            indicators,
            lambda finding: journal.add(FindingRecord(finding)),
            lambda gap: journal.add(GapRecord(gap)),
        )
        surveys = _survey_all(job, board, sources, surveyor, journal)
        done = _done_before(Path(job.case_folder)) if job.resumed else Done()
        vault = _open_vault(job, journal, done) if job.rescue_to is not None else None
        equipment = Equipment(
            indicators=indicators,
            rules=rules,
            yara_timeout_seconds=job.yara_timeout_seconds,
            journal=journal,
            board=board,
            vault=vault,
        )
        agenda = Agenda(surveys, sources, done, rescue=vault is not None)
        if vault is not None:
            journal.add(SelectionRecord(agenda.selected))
            journal.flush()  # from here on the destination is this case's, whatever becomes of the worker
        board.set_totals(agenda.streams, agenda.bytes)
        board.phase = Phase.READING
        try:
            _read(job, agenda, equipment, board)
        finally:
            board.phase = Phase.COMMITTING
            if vault is not None:
                vault.close()
        board.phase = Phase.ENDED


def _survey_all(
    job: Job, board: Board, sources: Sequence[EvidenceSource], surveyor: Surveyor, journal: JournalWriter
) -> list[Survey]:
    """Survey every NTFS volume but those on which a worker died before."""
    surveys: list[Survey] = []

    def note(gap: Gap) -> None:
        journal.add(GapRecord(gap))

    for index, found in enumerate(discover(sources, note)):
        journal.add(VolumeRecord(found.info))
        where = Where(volume=found.info.id)
        if found.ntfs is None or board.stop:
            continue
        if Token(index, WHOLE_VOLUME) in job.skip:
            note(
                Gap(
                    kind=GapKind.WORKER_DIED,
                    detail="the enumeration of this volume kills the worker",
                    where=where,
                )
            )
            continue
        board.text = f"{found.info.id} {found.info.label or ''}"
        skip_hives = Token(index, HIVES) in job.skip
        if skip_hives:
            note(
                Gap(
                    kind=GapKind.WORKER_DIED,
                    detail="parsing this volume's hives kills the worker",
                    where=where,
                )
            )
        board.begin(0, Token(index, WHOLE_VOLUME))
        with Guard(note).at(where):
            survey = _survey(index, found, surveyor, board, skip_hives=skip_hives)
            if survey is not None:
                surveys.append(survey)
                sizes = survey.table.streams.size_bytes[survey.streams.heads]
                journal.add(VolumeRecord(survey.info))
                journal.add(EnumerationRecord(survey.reconciliation, sum(sizes.tolist())))  # damaged ones pass 64 bits
        board.end(0)
    return surveys


def _survey(index: int, found: FoundVolume, surveyor: Surveyor, board: Board, *, skip_hives: bool) -> Survey | None:
    if found.ntfs is None:
        return None
    return surveyor.survey(
        index, found, found.ntfs, on_hives=None if skip_hives else lambda: board.begin(0, Token(index, HIVES))
    )


def _read(job: Job, agenda: Agenda, equipment: Equipment, board: Board) -> None:
    """Read what is to be read: streams on which a worker may have died alone and first, the rest together."""
    suspects, rest = set(job.suspects), set(job.suspects) | set(job.skip)
    if suspects:
        read_all(agenda.items(only=suspects), equipment, threads=1)
    for item in agenda.items(only=set(job.skip)):
        _note_fatal(item, equipment)
    if not board.stop:
        read_all(agenda.items(leave_out=rest), equipment, threads=job.threads)


def _note_fatal(item: Item, equipment: Equipment) -> None:
    """Record a stream that kills the worker whenever it is examined."""
    subject = item.plan.subject
    detail = "examining this stream kills the worker; it was left out"
    gap = Gap(kind=GapKind.WORKER_DIED, detail=detail, where=place(item.plan), bytes=subject.size_bytes)
    equipment.journal.add(GapRecord(gap))
    if equipment.vault is not None and item.selected:
        equipment.vault.record(subject, RescueOutcome.FAILED, detail)
    equipment.journal.add(stream_record(subject, StreamState.WORKER_DIED))


def _open_vault(job: Job, journal: JournalWriter, done: Done) -> Vault:
    """Open the rescue's destination; a resumed one also tells what was committed but not recorded."""
    destination = Path(job.rescue_to or "")
    earlier = tuple(done.settled.values())

    def record(file: RescuedFile) -> None:
        journal.add(RescueRecord(file))
        done.settle(file)

    limit = max_file_bytes(destination)
    vault = Vault(destination, on_record=record, resume=job.resumed, done=earlier, max_file_bytes=limit)
    if not vault.reads_back_from_device:
        detail = "the destination has no device of its own: rescued files were compared with what the system caches"
        journal.add(GapRecord(Gap(kind=GapKind.NOT_RESCUED, detail=detail, material=False)))
    return vault


def _done_before(case_folder: Path) -> Done:
    """Return what need not be done again."""
    done = Done()
    for record in read_journal(case_folder / JOURNAL_NAME):
        if isinstance(record, StreamRecord):
            done.read.add((record.volume, record.mft_entry, record.stream, record.repeat))
        elif isinstance(record, RescueRecord):
            done.settle(record.file)
    return done


def _paths(names: Sequence[str]) -> list[Path]:
    return [Path(name) for name in names]
