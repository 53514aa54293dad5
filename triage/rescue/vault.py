"""Takes users' files out of the evidence: written once while they are read, reported only when they are safe.

Several reader threads each open, write and finish copies; the data goes straight to the destination under a
temporary name. The committer (see there) makes them durable, reads them back and gives them their names. A
vault that is opened again on its destination removes what was not committed, checks what was committed but
not reported yet, and goes on.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from triage.model.content import ContentJudgement
from triage.model.entry import Subject
from triage.model.errors import RescueError
from triage.model.filetime import filetime_to_unix_ns
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.model.text import _
from triage.rescue.committer import BatchLimits, Committer, Pending, destination_error
from triage.rescue.filesystem import FileSystem
from triage.rescue.namemap import drop_torn_line, key_of, read_lines, shown_path
from triage.rescue.names import PAYLOAD, BagNames
from triage.rescue.reread import digests_from_device
from triage.rescue.staging import Staging, create, discard

_OUTCOMES: Final = {
    ContentJudgement.PLAIN: RescueOutcome.RESCUED,
    ContentJudgement.EMPTY: RescueOutcome.RESCUED,
    ContentJudgement.CONTRADICTS_TYPE: RescueOutcome.DOUBTFUL,
    ContentJudgement.PREPARED: RescueOutcome.RECOVERABLE,
    ContentJudgement.ENCRYPTED: RescueOutcome.ENCRYPTED,
    ContentJudgement.ENCRYPTED_TRUNCATED: RescueOutcome.ENCRYPTED,
    ContentJudgement.FILLER: RescueOutcome.ENCRYPTED,
}
_DETAILS: Final = {
    ContentJudgement.CONTRADICTS_TYPE: "its content is not what its extension says",
    ContentJudgement.PREPARED: "large file that was only prepared: it can be restored without a key",
    ContentJudgement.ENCRYPTED_TRUNCATED: "encrypted, and shorter than its header says",
    ContentJudgement.FILLER: "nothing but 0x55, written by the malware into free space",
}
_WITH_ZEROS: Final = "what could not be read is zeros"
_CUT: Final = "its end could not be read and is missing, what else could not is zeros"
#: With these outcomes a file is considered again when a rescue is resumed.
_TRIED_AGAIN: Final = frozenset({RescueOutcome.FAILED, RescueOutcome.INTERRUPTED})


class Vault:
    """The rescue's destination.

    `on_record` is told of each file once: at once where nothing is copied, else when the copy is durable and
    verified under its final name; calls come from several threads but never two at a time. `done` are records
    of earlier sessions; `max_file_bytes` is the longest file that the destination's file system takes. A
    `destination` that is not empty is refused unless it is to be resumed.
    """

    def __init__(
        self,
        destination: Path,
        *,
        on_record: Callable[[RescuedFile], None],
        resume: bool = False,
        done: Iterable[RescuedFile] = (),
        max_file_bytes: int | None = None,
        limits: BatchLimits | None = None,
    ) -> None:
        self.destination = destination
        self._on_record = on_record
        self._lock = threading.Lock()
        self._done = {record.key for record in done if record.outcome not in _TRIED_AGAIN}
        try:
            self._open_destination(resume=resume)
            self._committer = Committer(
                destination,
                self._filesystem,
                self._staging,
                self._names,
                self._report,
                limits or BatchLimits(),
            )
        except OSError as error:
            raise destination_error(destination, error) from error
        self._max_file_bytes = max_file_bytes

    @property
    def error(self) -> RescueError | None:
        """What made the destination unusable; None while it can be written."""
        return self._committer.error

    @property
    def reads_back_from_device(self) -> bool:
        """False where the destination's file system leaves no way past its caches: copies are compared there too."""
        return self._filesystem.reads_from_device

    def open(self, subject: Subject) -> Copy | None:
        """Begin a copy; None where there is none to make.

        That is where it was made in an earlier session, or where it is too large for the destination's file
        system (reported). RescueError, reported too, where the destination can no longer be written.
        """
        if key_of(subject) in self._done:
            return None
        if self._committer.error is not None:
            self.record(subject, RescueOutcome.FAILED, "the destination could no longer be written")
            raise self._committer.error
        if self._max_file_bytes is not None and subject.size_bytes > self._max_file_bytes:
            limit = f"the destination's file system takes no file over {self._max_file_bytes} bytes"
            self.record(subject, RescueOutcome.FAILED, limit)
            return None
        return Copy(self, subject, self._staging.next_part())

    def record(self, subject: Subject, outcome: RescueOutcome, detail: str = "") -> None:
        """Report a file of which no copy is made."""
        self._report(
            RescuedFile(
                volume=subject.volume,
                path=shown_path(subject.path, subject.stream),
                other_paths=subject.other_paths,
                mft_entry=subject.mft_entry,
                outcome=outcome,
                size_bytes=subject.size_bytes,
                detail=detail,
                repeat=subject.repeat,
            )
        )

    def close(self) -> None:
        """Commit and report all that was finished; RescueError where the destination failed on the way.

        Copies still open are dropped without a report: abandon them first.
        """
        try:
            self._committer.close()
        finally:
            self._let_go()
        if self._committer.error is not None:
            raise self._committer.error

    def commit(self, pending: Pending) -> None:
        """Take over a finished copy (for `Copy`)."""
        self._committer.add(pending)

    def fail(self, error: OSError) -> RescueError:
        """Make `error` the end of the rescue (for `Copy`); return it in words."""
        self._committer.fail(destination_error(self.destination, error))
        return self._committer.error or destination_error(self.destination, error)

    def _let_go(self) -> None:
        try:
            self._staging.close()
        except OSError as error:
            self.fail(error)
        finally:
            self._filesystem.close()

    def _report(self, record: RescuedFile) -> None:
        with self._lock:
            self._on_record(record)

    def _open_destination(self, *, resume: bool) -> None:
        self.destination.mkdir(exist_ok=True)
        if not resume and any(self.destination.iterdir()):
            raise RescueError(
                _("the rescue destination %s is not empty") % self.destination, hint=_("name a new folder")
            )
        self._filesystem = FileSystem(self.destination)
        self._staging = Staging(self.destination)
        (self.destination / PAYLOAD).mkdir(exist_ok=True)
        self._names = BagNames()
        if resume:
            self._take_over()

    def _take_over(self) -> None:
        """Report what an earlier session committed without reporting it; remove what does not hold."""
        drop_torn_line(self.destination)
        # A file that was tried again has several lines, of which the last one holds.
        lines = {line.bag_path: line for line in read_lines(self.destination)}
        present = [line for line in lines.values() if (self.destination / line.bag_path).exists()]
        unreported = [line for line in present if key_of(line) not in self._done]
        paths = [self.destination / line.bag_path for line in unreported]
        self._filesystem.sync(paths)
        for line, path, digest in zip(unreported, paths, digests_from_device(paths), strict=True):
            if digest == line.sha256:
                self._done.add(key_of(line))
                self._report(line.record)
            else:
                path.unlink(missing_ok=True)
        self._names.keep(line for line in present if key_of(line) in self._done)


class Copy:
    """One copy under way; used by one thread at a time. Ends with `finish`, `abandon` or `drop`: the first one."""

    def __init__(self, vault: Vault, subject: Subject, part: Path) -> None:
        self._vault = vault
        self._subject = subject
        self._part = part
        self._written_bytes = 0
        self._descriptor: int | None = None
        self._suspended = False
        try:
            self._descriptor = create(part)
        except OSError as error:
            self._give_up(error)

    def write(self, data: memoryview) -> None:
        """Append `data` (nothing after the end); RescueError where the destination fails."""
        if self._descriptor is None:
            return
        try:
            at = 0
            while at < len(data):
                at += os.write(self._descriptor, data[at:])
        except OSError as error:
            self._give_up(error)
        self._written_bytes += len(data)

    def suspend(self) -> None:
        """Give the descriptor back while it waits how the copy is to end; many may wait."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                os.close(descriptor)
            except OSError as error:
                self._give_up(error)
            self._suspended = True

    def finish(self, sha256: str, judgement: ContentJudgement, *, complete: bool) -> None:
        """End the copy: hand it to the committer, or drop it where its content is not worth keeping.

        `sha256` is that of all bytes written. Waits while the committer is behind.
        """
        self._wake()
        outcome = _OUTCOMES[judgement]
        detail = _DETAILS.get(judgement, "")
        if outcome is RescueOutcome.ENCRYPTED:
            self.abandon(outcome, detail)
            return
        if not complete or self._written_bytes != self._subject.size_bytes:
            outcome = RescueOutcome.INCOMPLETE
            told = _CUT if self._written_bytes < self._subject.size_bytes else _WITH_ZEROS
            detail = f"{self._written_bytes} of {self._subject.size_bytes} bytes; {told}"
        if self._close():
            self._vault.commit(
                Pending(
                    part=self._part,
                    subject=self._subject,
                    size_bytes=self._written_bytes,
                    sha256=sha256,
                    outcome=outcome,
                    detail=detail,
                )
            )

    def abandon(self, outcome: RescueOutcome, detail: str = "") -> None:
        """End the copy, remove what was written of it and report `outcome`."""
        self._wake()
        if self._descriptor is not None:
            self.drop()
            self._vault.record(self._subject, outcome, detail)

    def _close(self) -> bool:
        """Set the times and close; False where the copy has ended already."""
        if self._descriptor is None:
            return False
        times = self._subject.si
        try:
            if times is not None and times.modified > 0:
                accessed = times.accessed if times.accessed > 0 else times.modified
                os.utime(self._descriptor, ns=(filetime_to_unix_ns(accessed), filetime_to_unix_ns(times.modified)))
        except (OSError, OverflowError):
            pass  # a time that the destination cannot hold; the name map keeps it
        descriptor, self._descriptor = self._descriptor, None
        try:
            os.close(descriptor)
        except OSError as error:
            self._give_up(error)
            return False
        return True

    def _wake(self) -> None:
        if self._suspended:
            self._suspended = False
            try:
                self._descriptor = os.open(self._part, os.O_WRONLY | os.O_CLOEXEC)
            except OSError as error:
                self._give_up(error)

    def drop(self) -> None:
        """Close and remove what was written, without a report; on a destination that is gone, closing fails as well."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
        discard(self._part)

    def _give_up(self, error: OSError) -> None:
        """End the copy after a failed write; unless the file is too large, it is the end of the rescue."""
        self.drop()
        reason = error.strerror or type(error).__name__
        self._vault.record(self._subject, RescueOutcome.FAILED, f"cannot be written to the destination: {reason}")
        if error.errno != errno.EFBIG:
            raise self._vault.fail(error) from error
