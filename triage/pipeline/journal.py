"""The journal: what the worker saw, one record a line, appended and never rewritten, so that a run can be resumed.

The supervisor reads it as hostile input: each line is checked against the record types, and what does not fit is
refused. Text is ASCII JSON, so that unpaired surrogates in names survive. A line cut short by a crash is dropped when
resuming.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from triage.model.change import JournalSummary
from triage.model.deleted import DeletedSummary
from triage.model.entry import StreamForm, StreamState, Subject
from triage.model.errors import ReportError
from triage.model.event import Event
from triage.model.evidence import Evidence
from triage.model.exposure_facts import ExposureFacts
from triage.model.finding import Digests, Finding
from triage.model.gap import Gap
from triage.model.indicator import IndicatorSet
from triage.model.isolation import Isolation
from triage.model.ledger import ExcludedFolder
from triage.model.read_map import ReadRange
from triage.model.report import Reconciliation
from triage.model.rescue import RescuedFile
from triage.model.text import _
from triage.model.volume import VolumeInfo
from triage.pipeline.job import Job

JOURNAL_NAME = "journal.jsonl"
_FLUSH_BYTES = 64 << 10


class SessionRecord(Struct, frozen=True, array_like=True, tag="session"):
    """A run on the case: its job and the state of the evidence before it. The first one makes the case."""

    case_id: str
    examiner: str
    notes: str
    started_utc: str
    command: tuple[str, ...]
    job: Job
    evidence: tuple[Evidence, ...]
    hash_evidence: bool = False


class SelectionRecord(Struct, frozen=True, array_like=True, tag="selection"):
    """How many users' files the rescue considers, on all volumes."""

    files: int


class VolumeRecord(Struct, frozen=True, array_like=True, tag="volume"):
    """A volume; said again when more is known, the last one counts."""

    volume: VolumeInfo


class SetsRecord(Struct, frozen=True, array_like=True, tag="sets"):
    """The indicator sets that were loaded."""

    sets: tuple[IndicatorSet, ...]


class EnumerationRecord(Struct, frozen=True, array_like=True, tag="enumeration"):
    """What the enumeration of one volume came to."""

    reconciliation: Reconciliation
    bytes_total: int


class ExposureRecord(Struct, frozen=True, array_like=True, tag="exposure"):
    """What one Windows tells of its exposure; said again by a resumed run, the last one counts."""

    facts: ExposureFacts


class IsolationRecord(Struct, frozen=True, array_like=True, tag="isolation"):
    """What held of a worker's isolation, as it found before it looked at the evidence."""

    isolation: Isolation


class FindingRecord(Struct, frozen=True, array_like=True, tag="finding"):
    """A finding, not yet numbered."""

    finding: Finding


class EventRecord(Struct, frozen=True, array_like=True, tag="event"):
    """A dated trace."""

    event: Event


class GapRecord(Struct, frozen=True, array_like=True, tag="gap"):
    """A gap, not yet numbered."""

    gap: Gap


class StreamRecord(Struct, frozen=True, array_like=True, tag="stream"):
    """How one stream ended; digests are "" where it was not read whole.

    `dropped` says how many YARA findings were dropped because it is on the user's allow-list.
    """

    volume: str
    mft_entry: int
    stream: str
    repeat: int
    path: str
    state: StreamState
    form: StreamForm
    size_bytes: int
    bytes_read: int
    windowed: bool
    md5: str
    sha256: str
    dropped: int = 0


class ExcludedRecord(Struct, frozen=True, array_like=True, tag="excluded"):
    """What the profile left out of one folder, but for the streams that have a record of their own."""

    folder: ExcludedFolder


class DeferredRecord(Struct, frozen=True, array_like=True, tag="deferred"):
    """What came of a stream of which parts could not be read: it is tried once more when all else is read.

    It counts only where no `StreamRecord` follows, because the run ended before; a resumed run reads the stream again.
    """

    stream: StreamRecord
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]


class ReadRecord(Struct, frozen=True, array_like=True, tag="read"):
    """Ranges of one piece of evidence (its number) that were read or could not be."""

    evidence: int
    ranges: tuple[ReadRange, ...]


class RescueRecord(Struct, frozen=True, array_like=True, tag="rescue"):
    """What became of one user's file."""

    file: RescuedFile


class DeletedRecord(Struct, frozen=True, array_like=True, tag="deleted"):
    """What the deleted entries of one volume came to; said again by a resumed run, the last one counts."""

    summary: DeletedSummary


class ChangesRecord(Struct, frozen=True, array_like=True, tag="changes"):
    """What the change journal of one volume came to; said again by a resumed run, the last one counts."""

    summary: JournalSummary


Record = (
    SessionRecord
    | SelectionRecord
    | VolumeRecord
    | SetsRecord
    | EnumerationRecord
    | ExposureRecord
    | IsolationRecord
    | FindingRecord
    | EventRecord
    | GapRecord
    | StreamRecord
    | ExcludedRecord
    | DeferredRecord
    | ReadRecord
    | RescueRecord
    | DeletedRecord
    | ChangesRecord
)
_Line = TypeVar("_Line")

_encode_any = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
_encode_quickly = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def encode_line(record: Struct) -> bytes:
    """Encode a record as ASCII. The quick encoder writes other characters as UTF-8 and refuses unpaired surrogates."""
    try:
        line = _encode_quickly(record)
    except UnicodeEncodeError:
        line = b"\xff"
    return line if line.isascii() else _encode_any(msgspec.to_builtins(record)).encode("ascii")


def decode_line(line: bytes, decoder: msgspec.json.Decoder[_Line]) -> _Line:
    """Decode and check a record; the quick decoder does not know unpaired surrogates. `ValueError` for what is none."""
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(json.loads(line), decoder.type)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def stream_record(
    subject: Subject,
    state: StreamState,
    *,
    bytes_read: int = 0,
    windowed: bool = False,
    digests: Digests | None = None,
    dropped: int = 0,
) -> StreamRecord:
    """Return the record of one stream; `digests` only where it was read whole."""
    return StreamRecord(
        subject.volume,
        subject.mft_entry,
        subject.stream,
        subject.repeat,
        subject.path,
        state,
        subject.form,
        subject.size_bytes,
        bytes_read,
        windowed,
        (digests and digests.md5) or "",
        (digests and digests.sha256) or "",
        dropped,
    )


class JournalWriter:
    """Appends records; safe from several threads. Buffered: `flush` makes the lines survive the process."""

    def __init__(self, path: Path) -> None:
        """Open the journal for appending. Every method raises `ReportError` where it cannot be written (disk full)."""
        self._path = path
        with self._told():
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._pending = bytearray()

    def add(self, record: Record) -> None:
        """Append one record."""
        line = encode_line(record)
        with self._lock:
            self._pending += line
            self._pending += b"\n"
            if len(self._pending) >= _FLUSH_BYTES:
                self._write()

    def flush(self, *, durable: bool = False) -> None:
        """Write what is pending; with `durable`, down to the disk."""
        with self._lock:
            self._write()
        if durable:
            with self._told():
                os.fsync(self._descriptor)

    @property
    def size_bytes(self) -> int:
        """How much of the journal stands in the file, without what is pending."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Flush, sync and close."""
        self.flush(durable=True)
        os.close(self._descriptor)

    def _write(self) -> None:
        """Write all that is pending, or nothing: it stays pending, so that no line is torn and none overtakes it."""
        with self._told():
            end = os.lseek(self._descriptor, 0, os.SEEK_END)
            written = 0
            try:
                while written < len(self._pending):
                    written += os.write(self._descriptor, self._pending[written:])
            except OSError:
                os.ftruncate(self._descriptor, end)
                raise
        self._pending.clear()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell in words what the file system refuses."""
        try:
            yield
        except OSError as error:
            raise ReportError(
                _("cannot write {path}: {reason}").format(path=self._path, reason=error.strerror),
                hint=_("the case needs a writable folder with free space; make room and go on with --resume"),
            ) from error


def read_journal(path: Path, *, until_bytes: int | None = None) -> Iterator[Record]:
    """Yield all records, or those of the first so many bytes; a last line without its end is left out.

    `ReportError` for a line that is no record.
    """
    if not path.exists():
        return
    position = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            position += len(line)
            if not line.endswith(b"\n") or (until_bytes is not None and position > until_bytes):
                return
            try:
                yield decode_line(line, _decoder)
            except (ValueError, msgspec.ValidationError) as error:
                raise ReportError(f"{path.name}, line {number}, is no record of this version: {error}") from error


def drop_torn_line(path: Path) -> None:
    """Cut a last line that a crash left without its end, before appending goes on."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        position, whole_bytes = size, 0
        while position > 0:
            step = min(position, _FLUSH_BYTES)
            file.seek(position - step)
            end = file.read(step).rfind(b"\n")
            if end >= 0:
                whole_bytes = position - step + end + 1
                break
            position -= step
        if whole_bytes < size:
            file.truncate(whole_bytes)
