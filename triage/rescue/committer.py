"""Commits copies in batches: durable, read back from the device, compared, and only then named.

One thread does it while others go on copying. The order within a batch is what makes a power cut harmless:

    1. each file's line goes into the name map,
    2. sync: the files, their lines and the renames of the batch before are durable; those are reported now,
    3. the page cache is dropped, every file is read back and compared with the digest taken of the evidence,
    4. what is equal gets its final name, never over another file.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from time import monotonic

from msgspec import Struct
from msgspec.structs import replace

from triage.model.entry import Subject
from triage.model.errors import RescueError, TriageError
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.model.text import _
from triage.rescue.filesystem import FileSystem, rename_without_replacing
from triage.rescue.namemap import NAME_MAP, MappedName, encode_line, map_name
from triage.rescue.names import BagNames
from triage.rescue.reread import digests_from_device
from triage.rescue.staging import Staging, discard

_ENDING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOTCONN, errno.ENODEV})
_READS_DIFFERENTLY = "reads back differently from the destination than it was written"
_NOT_DURABLE = "the destination did not make it durable"
# The manifest and the name map as written anew are together no longer than twice the name map.
_TAGS_TO_MAP = 2
_LINE_BYTES = 1024
_NO_ROOM_FOR_NAME = "no room at the destination for its name"


class BatchLimits(Struct, frozen=True, kw_only=True):
    """A batch is committed when it has so many bytes or files, or when its first file has waited so long."""

    bytes: int = 256 * 1024 * 1024
    files: int = 2000
    seconds: float = 5.0


class Pending(Struct, frozen=True, kw_only=True):
    """A copy that is written and waits to be committed."""

    part: Path
    subject: Subject
    size_bytes: int
    sha256: str
    outcome: RescueOutcome
    detail: str


class Committer:
    """Takes pending copies from several threads and commits them in one of its own.

    `report` is called from that thread. `add` blocks while two batches wait. What cannot be written any more
    (device full, gone or failing) ends in `error`: everything not committed then is FAILED, what is committed
    stays.
    """

    def __init__(
        self,
        bag: Path,
        filesystem: FileSystem,
        staging: Staging,
        names: BagNames,
        report: Callable[[RescuedFile], None],
        limits: BatchLimits,
    ) -> None:
        self.error: RescueError | None = None
        self._bag = bag
        self._filesystem = filesystem
        self._staging = staging
        self._names = names
        self._report = report
        self._limits = limits
        self._pending: list[Pending] = []
        self._pending_bytes = 0
        self._due = 0.0
        self._closing = False
        self._unsettled: list[MappedName] = []
        self._folders: set[Path] = set()
        self._change = threading.Condition()
        self._map = os.open(bag / NAME_MAP, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._work: Future[None] = Future()
        # A daemon: a program that fails without closing its rescue must not wait for it for ever.
        self._thread = threading.Thread(target=self._run, name="rescue-commit", daemon=True)
        self._thread.start()

    def add(self, pending: Pending) -> None:
        """Hand over one copy; wait while too many wait already."""
        with self._change:
            self._change.wait_for(lambda: self._has_room() or self._work.done())
            if self._work.done():
                self._work.result()
                raise RuntimeError("a copy was handed over after the end")
            if not self._pending:
                self._due = monotonic() + self._limits.seconds
            self._pending.append(pending)
            self._pending_bytes += pending.size_bytes
            if self._is_full() or len(self._pending) == 1:
                self._change.notify_all()

    def fail(self, error: RescueError) -> None:
        """Remember the first fatal error."""
        with self._change:
            self.error = self.error or error

    def close(self) -> None:
        """Commit all that waits, report it, end the thread."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join()
        try:
            os.close(self._map)
        except OSError as error:
            self.fail(destination_error(self._bag, error))
        self._work.result()

    def _has_room(self) -> bool:
        return len(self._pending) < 2 * self._limits.files and self._pending_bytes < 2 * self._limits.bytes

    def _is_full(self) -> bool:
        return len(self._pending) >= self._limits.files or self._pending_bytes >= self._limits.bytes

    def _run(self) -> None:
        """Commit until the end; tell those who wait for room how it ended, where nobody makes room any more."""
        try:
            while (batch := self._next_batch()) or self._unsettled or not self._closing:
                self._commit(batch)
            self._work.set_result(None)
        except (OSError, TriageError) as error:  # what `report` may raise
            self._work.set_exception(error)
        finally:
            if not self._work.done():
                self._work.set_exception(RuntimeError("the rescue's committer has a fault"))
            with self._change:
                self._change.notify_all()

    def _next_batch(self) -> list[Pending]:
        """Wait for a batch to be due; an empty one lets the renames of the last one become durable."""
        with self._change:
            if not self._pending:
                idle_seconds = self._limits.seconds if self._unsettled else None
                self._change.wait_for(lambda: bool(self._pending) or self._closing, idle_seconds)
            if self._pending:
                self._change.wait_for(lambda: self._is_full() or self._closing, self._due - monotonic())
            batch, self._pending = self._pending, []
            self._pending_bytes = 0
            self._change.notify_all()
        return batch

    def _commit(self, batch: Sequence[Pending]) -> None:
        batch, lines = self._prepare(batch)
        parts = [pending.part for pending in batch]
        if not self._sync(parts):
            settled = [(self._bag / line.bag_path, line) for line in self._unsettled]
            self._unsettled = []
            self._refuse([*zip(parts, lines, strict=True), *settled], _NOT_DURABLE)
            return
        self._settle()
        for pending, line, digest in zip(batch, lines, digests_from_device(parts), strict=True):
            if digest == pending.sha256:
                self._rename(pending, line)
            else:
                self._refuse([(pending.part, line)], _READS_DIFFERENTLY)

    def _prepare(self, batch: Sequence[Pending]) -> tuple[Sequence[Pending], Sequence[MappedName]]:
        """Write the lines of a batch and keep back the space for what the bag will say of it; return what has both.

        On a destination that is full the last copies of the batch make room for the names of the first: a bag
        that cannot be closed is worth less than one file more.
        """
        lines = [self._mapped(pending, self._names.place(pending.subject)) for pending in batch]
        while batch:
            try:
                map_bytes = os.lseek(self._map, 0, os.SEEK_END) + _LINE_BYTES * len(lines)
                self._staging.reserve(_TAGS_TO_MAP * map_bytes)
                self._append(lines)
                break
            except OSError as error:
                self.fail(destination_error(self._bag, error))
                self._refuse([(batch[-1].part, lines[-1])], _NO_ROOM_FOR_NAME)
                batch, lines = batch[:-1], lines[:-1]
        return batch, lines

    def _append(self, lines: Sequence[MappedName]) -> None:
        """Write lines to the map, all or none."""
        data = b"".join(map(encode_line, lines))
        end = os.lseek(self._map, 0, os.SEEK_END)
        try:
            while data:
                data = data[os.write(self._map, data) :]
        except OSError:
            os.ftruncate(self._map, end)
            raise

    def _sync(self, parts: Sequence[Path]) -> bool:
        """Sync, twice where the first fails: what did not get through then shows when it is read back."""
        new_files = [*parts, *(self._bag / line.bag_path for line in self._unsettled)]
        try:
            self._filesystem.sync(new_files)
        except OSError:
            try:
                self._filesystem.sync(new_files)
            except OSError as error:
                self.fail(destination_error(self._bag, error))
                return False
        return True

    def _settle(self) -> None:
        """Report the batch before, whose renames have just become durable."""
        for line in self._unsettled:
            self._report(line.record)
        self._unsettled = []

    def _rename(self, pending: Pending, line: MappedName) -> None:
        """Give a copy its final name, or a plainer one where the destination refuses that."""
        try:
            self._move(pending.part, line)
        except OSError as refused:
            line = self._mapped(pending, self._names.place_plainly(pending.subject))
            try:
                self._append([line])
                self._move(pending.part, line)
            except OSError as error:
                if error.errno in _ENDING:
                    self.fail(destination_error(self._bag, error))
                self._refuse([(pending.part, line)], f"cannot be given a name: {refused.strerror}, {error.strerror}")
                return
        self._unsettled.append(line)

    def _move(self, part: Path, line: MappedName) -> None:
        target = self._bag / line.bag_path
        if target.parent not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(target.parent)
        rename_without_replacing(part, target)

    def _refuse(self, copies: Iterable[tuple[Path, MappedName]], detail: str) -> None:
        """Remove copies that are not safe and report them as failed."""
        for path, line in copies:
            discard(path)
            self._report(replace(line.record, outcome=RescueOutcome.FAILED, bag_path="", sha256="", detail=detail))

    def _mapped(self, pending: Pending, bag_path: str) -> MappedName:
        subject = pending.subject
        return map_name(subject, bag_path, pending.size_bytes, pending.sha256, pending.outcome, pending.detail)


def destination_error(bag: Path, error: OSError) -> RescueError:
    """Return the error that ends a rescue, in words for its reader."""
    hint = _("name another destination, or free it and go on with --resume")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RescueError(_("the rescue destination %s is full") % bag, hint=hint)
    if error.errno == errno.EROFS:
        return RescueError(_("the rescue destination %s is read-only") % bag, hint=hint)
    reason = error.strerror or type(error).__name__
    return RescueError(_("the rescue destination %s cannot be written: %s") % (bag, reason), hint=hint)
