"""The worker's page: from evidence to a journal of volumes, findings, gaps, streams and rescued files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path

import numpy as np

from triage.evidence.destination import max_file_bytes
from triage.evidence.open import open_evidence
from triage.evidence.source import EvidenceSource
from triage.examiners.yara_rules import compile_rules
from triage.indicators.load import load_indicators
from triage.model.entry import StreamState
from triage.model.errors import EvidenceLostError
from triage.model.gap import Gap, GapKind, Where
from triage.model.profile import Profile
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.model.told import Notes
from triage.pipeline.agenda import Agenda, Done, Item
from triage.pipeline.board import Board, Phase
from triage.pipeline.discover import FoundVolume, discover
from triage.pipeline.examination import Equipment
from triage.pipeline.guard import Guard
from triage.pipeline.headers import HeaderReader, told
from triage.pipeline.job import HIVES, TEXTS, TRACES, WHOLE_VOLUME, Begin, Job, LeftOut, Token
from triage.pipeline.journal import (
    JOURNAL_NAME,
    EnumerationRecord,
    EventRecord,
    ExcludedRecord,
    ExposureRecord,
    FindingRecord,
    GapRecord,
    JournalWriter,
    ReadRecord,
    RescueRecord,
    SelectionRecord,
    SetsRecord,
    StreamRecord,
    VolumeRecord,
    read_journal,
    stream_record,
)
from triage.pipeline.quick import quick_scope
from triage.pipeline.reading import read_again, read_all
from triage.pipeline.survey import Survey, Surveyor
from triage.pipeline.traces import Tracer
from triage.rescue.vault import Vault
from triage.volumes.mft_records import I64
from triage.walk.reader import place

_RANGES_OF_A_RECORD = 4096


def examine(job: Job, board: Board) -> None:
    """Do the whole job; what is seen goes into the case's journal. Raises `TriageError` where it cannot go on."""
    indicators = load_indicators(_paths(job.ioc), _paths(job.known_good), _paths(job.extra_sets))
    rules = compile_rules(_paths(job.rules))
    with ExitStack() as stack:
        journal = JournalWriter(Path(job.case_folder) / JOURNAL_NAME)
        stack.callback(journal.close)
        journal.add(SetsRecord((*indicators.sets, *rules.sets)))
        sources = [stack.enter_context(open_evidence(path)) for path in job.evidence]
        stack.callback(_note_reads, sources, journal)
        board.enter(0)
        board.phase = Phase.ENUMERATING
        surveyor = Surveyor(
            indicators,
            Notes(
                lambda finding: journal.add(FindingRecord(finding)),
                lambda event: journal.add(EventRecord(event)),
                lambda gap: journal.add(GapRecord(gap)),
            ),
            threads=job.threads,
        )
        tracer = Tracer(Path(job.case_folder), journal.add, deleted=job.deleted)
        surveys = _survey_all(job, board, sources, surveyor, tracer, journal)
        _note_reads(sources, journal)
        journal.flush()
        board.surveyed_bytes = journal.size_bytes
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
        rows = None
        if job.profile is Profile.QUICK:
            rows = _quick_rows(job, surveys, sources, done, equipment)
        agenda = Agenda(surveys, sources, done, rescue=vault is not None, rows=rows)
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
        for source in sources:
            source.check_lost()
        board.phase = Phase.ENDED


def _note_reads(sources: Sequence[EvidenceSource], journal: JournalWriter) -> None:
    """Note what of the evidence was read, and what could not be."""
    for number, source in enumerate(sources):
        ranges = source.log.take()
        while piece := tuple(islice(ranges, _RANGES_OF_A_RECORD)):
            journal.add(ReadRecord(number, piece))


def _survey_all(
    job: Job,
    board: Board,
    sources: Sequence[EvidenceSource],
    surveyor: Surveyor,
    tracer: Tracer,
    journal: JournalWriter,
) -> list[Survey]:
    """Survey and trace every NTFS volume, but for what ended a worker before."""
    surveys: list[Survey] = []
    left_out = {one.token: one for one in job.left_out}

    def note(gap: Gap) -> None:
        journal.add(GapRecord(gap))

    for index, found in enumerate(discover(sources, note)):
        journal.add(VolumeRecord(found.info))
        where = Where(volume=found.info.id)
        begin = _beginner(index, board, left_out, note)
        if found.ntfs is None or board.stop or not begin(WHOLE_VOLUME, where):
            continue
        board.text = f"{found.info.id} {found.info.label or ''}"
        with Guard(note).at(where):
            survey = _survey(index, found, surveyor, begin)
            if survey is not None:
                surveys.append(survey)
                sizes = survey.table.streams.size_bytes[survey.streams.heads]
                journal.add(VolumeRecord(survey.info))
                journal.add(EnumerationRecord(survey.reconciliation, sum(sizes.tolist())))  # damaged ones pass 64 bits
                for facts in survey.exposure:
                    journal.add(ExposureRecord(facts))
                if begin(TRACES, where):
                    with suppress(EvidenceLostError):  # told when what other evidence holds has been read
                        tracer.trace(survey)
        board.end(0)
    return surveys


def _beginner(index: int, board: Board, left_out: Mapping[Token, LeftOut], note: Callable[[Gap], None]) -> Begin:
    """Return what puts a volume's pieces of work on the board; what ended a worker before is a gap and not begun."""

    def begin(row: int, where: Where) -> bool:
        deadly = left_out.get(Token(index, row))
        if deadly is not None:
            detail = f"{_work(row)} kills the worker: {deadly.cause}"
            note(Gap(kind=GapKind.WORKER_DIED, detail=detail, where=where))
            return False
        board.begin(0, Token(index, row))
        return True

    return begin


def _work(row: int) -> str:
    """Return in words what a row below those of streams stands for."""
    words = {
        WHOLE_VOLUME: "the enumeration of this volume",
        HIVES: "parsing this volume's hives",
        TRACES: "tracing what is gone from this volume",
        TEXTS: "examining this volume's text logs",
    }
    return words.get(row, "parsing this file")


def _survey(index: int, found: FoundVolume, surveyor: Surveyor, begin: Begin) -> Survey | None:
    if found.ntfs is None:
        return None
    try:
        return surveyor.survey(index, found, found.ntfs, begin=begin)
    except EvidenceLostError:
        return None  # told when what other evidence holds has been read


def _quick_rows(
    job: Job, surveys: Sequence[Survey], sources: Sequence[EvidenceSource], done: Done, equipment: Equipment
) -> dict[int, I64]:
    """Record what the quick profile leaves out, look at headers; return the rows of the streams that are read whole."""
    journal = equipment.journal
    guard = Guard(lambda gap: journal.add(GapRecord(gap)))
    nothing = np.empty(0, np.int64)
    whole, headers = {one.index: nothing for one in surveys}, {one.index: nothing for one in surveys}
    for survey in surveys:
        with guard.at(Where(volume=survey.info.id)):
            scope = quick_scope(survey)
            for folder in scope.excluded:
                journal.add(ExcludedRecord(folder))
            for plan in survey.streams.plans(scope.left_undecided):
                for finding in told(survey, plan.subject):
                    journal.add(FindingRecord(finding))
            whole[survey.index], headers[survey.index] = scope.whole, scope.headers
    agenda = Agenda(surveys, sources, done, rescue=False, rows=headers, whole=False)
    left_out = {one.token for one in job.left_out}
    kept = left_out.union(HeaderReader(equipment).read(agenda.items(leave_out=left_out)))
    for index, rows in headers.items():
        more = [token.row for token in kept if token.volume == index and token.row in rows]
        whole[index] = np.concatenate([whole[index], np.array(sorted(more), np.int64)])
    return whole


def _read(job: Job, agenda: Agenda, equipment: Equipment, board: Board) -> None:
    """Read what is to be read: streams on which a worker may have died alone and first, the rest together.

    What could not be read whole is tried again at the very end.
    """
    suspects, left_out = set(job.suspects), {one.token: one for one in job.left_out}
    if suspects:
        read_all(agenda.items(only=suspects), equipment, threads=1)
    for item in agenda.items(only=left_out.keys()):
        _note_fatal(item, left_out[item.token], equipment)
    if not board.stop:
        read_all(agenda.items(leave_out=suspects | left_out.keys()), equipment, threads=job.threads)
    read_again(equipment, agenda)


def _note_fatal(item: Item, deadly: LeftOut, equipment: Equipment) -> None:
    """Record a stream that kills the worker whenever it is examined."""
    subject = item.plan.subject
    detail = f"examining this stream kills the worker, it was left out: {deadly.cause}"
    gap = Gap(kind=GapKind.WORKER_DIED, detail=detail, where=place(item.plan), bytes=subject.size_bytes)
    equipment.journal.add(GapRecord(gap))
    if equipment.vault is not None and item.selected:
        equipment.vault.record(subject, RescueOutcome.FAILED, detail)
    state = StreamState.TIMED_OUT if deadly.hung else StreamState.WORKER_DIED
    equipment.journal.add(stream_record(subject, state))


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
