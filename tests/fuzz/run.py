"""Examines damaged disks, each in a process of its own that is forked from a warm one: a death costs one case.

Nearly all cases take the whole way from evidence to signature with the worker's part done in the same process; some
have the worker in one of its own, as users do.
"""

from __future__ import annotations

import gc
import hashlib
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import msgspec
from msgspec import Struct

from tests.fuzz.checks import problems
from tests.fuzz.mutations import Mutant, mutate
from tests.fuzz.templates import Template
from triage.examiners.yara_rules import compile_rules
from triage.indicators.load import load_indicators
from triage.model.errors import EvidenceError, TriageError
from triage.pipeline import examine as examining
from triage.pipeline import supervise as supervising
from triage.pipeline.board import Board
from triage.pipeline.case_folder import RESCUE_FOLDER, CaseFolder
from triage.pipeline.gathered import gather
from triage.pipeline.job import Job, Options
from triage.pipeline.journal import StreamRecord, read_journal
from triage.pipeline.supervise import supervise
from triage.pipeline.watch import Ending, Observer, Stop
from triage.report.document import load_report
from triage.report.html import prepare_pages
from triage.report.seal import SigningKey
from triage.report.verify import verify_case
from triage.walk import streams

#: Of processor time, which a busy machine does not stretch. A sound disk takes about a tenth of a second.
CPU_SECONDS = 20
#: For what waits and does not compute; far more than a busy machine makes of `CPU_SECONDS`.
WALL_SECONDS = 600
MEMORY_BYTES = 3 << 30
_FILE_BYTES = 256 << 20
#: Holes up to 64 GiB are read, which takes minutes; here up to this.
_HOLES_BYTES = 16 << 20
#: One case of so many has its worker in a process of its own; one of so many is verified as a user would.
_APART_EVERY, _VERIFIED_EVERY = 100, 10
_REFUSED = "refused"
_LOOK_SECONDS = 1.0


class Ended(Struct, frozen=True, kw_only=True):
    """How a case ended: with a verdict or refused as no disk, after how much processor time and memory at most."""

    case: int
    template: str
    outcome: str = ""
    problems: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    peak_bytes: int = 0


class _Running(Struct, kw_only=True):
    """A case under way: its process, and the file descriptors of that process, its answer and its last words."""

    case: int
    process: int
    handle: int
    answer: int
    words: int
    since: float


class Runner:
    """The warm process. Single-threaded whenever it forks."""

    def __init__(self, templates: list[Template], scratch: Path) -> None:
        self._templates = templates
        self._scratch = scratch
        self._key = SigningKey.generate()
        self._stack = ExitStack()
        rules, indicators = compile_rules([]), load_indicators([], [], [])
        for module in (examining, supervising):
            self._stack.enter_context(patch.object(module, "compile_rules", lambda _paths: rules))
            self._stack.enter_context(patch.object(module, "load_indicators", lambda *_paths: indicators))
        self._stack.enter_context(patch.object(streams, "_READABLE_HOLES_BYTES", _HOLES_BYTES))
        prepare_pages()

    def __enter__(self) -> Runner:
        """Take the whole way once on a sound disk, so that what is loaded at first use is there."""
        for template in self._templates:
            ended = self.examine(0, Mutant(template.name, template.disk, ()))
            if ended.problems:
                raise RuntimeError(f"{template.name}, undamaged: {ended.problems}")
        gc.collect()
        gc.freeze()
        return self

    def __exit__(self, *_: object) -> None:
        gc.unfreeze()
        self._stack.close()

    def run(self, cases: Iterable[int], jobs: int) -> Iterator[Ended]:
        """Yield how each case ended, as they end; so many run at a time."""
        waiting, running = iter(cases), dict[int, _Running]()
        try:
            while True:
                while len(running) < jobs and (case := next(waiting, None)) is not None:
                    started = self._start(case)
                    running[started.handle] = started
                if not running:
                    return
                ready, _, _ = select.select(list(running), [], [], _LOOK_SECONDS)
                for handle in ready:
                    yield self._finish(running.pop(handle))
                for one in running.values():
                    if time.monotonic() - one.since > WALL_SECONDS:
                        os.kill(one.process, signal.SIGKILL)
        finally:
            for one in running.values():
                os.kill(one.process, signal.SIGKILL)
                self._finish(one)

    def _start(self, case: int) -> _Running:
        answer, words = os.memfd_create("answer"), os.memfd_create("words")
        process = os.fork()
        if process == 0:
            status = 1
            try:
                os.dup2(words, 2)
                _limit()
                mutant = mutate(self._templates, case)
                os.write(answer, msgspec.json.encode(self.examine(case, mutant)))
                status = 0
            except MemoryError:
                os.write(words, b"MemoryError\n")  # a traceback would need memory, too
            finally:
                if sys.exc_info()[0] is not None:
                    traceback.print_exc()
                sys.stderr.flush()
                os._exit(status)
        handle = os.pidfd_open(process)
        return _Running(case=case, process=process, handle=handle, answer=answer, words=words, since=time.monotonic())

    def _finish(self, one: _Running) -> Ended:
        """Take in how a process ended; where it broke down, in its own last words."""
        _, status, usage = os.wait4(one.process, 0)
        answer, words = (_content(descriptor) for descriptor in (one.answer, one.words))
        for descriptor in (one.handle, one.answer, one.words):
            os.close(descriptor)
        if os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            told = {"SIGXCPU": f"more than {CPU_SECONDS} CPU seconds", "SIGKILL": f"no end in {WALL_SECONDS} seconds"}
            problem = told.get(name, f"ended by {name}")
        elif status != 0:
            problem = " | ".join(line.strip() for line in words.decode("utf-8", "replace").splitlines()[-3:])
        else:
            problem = ""
        template = self._templates[one.case % len(self._templates)].name
        ended = Ended(case=one.case, template=template, problems=(problem,))
        return msgspec.structs.replace(
            ended if problem else msgspec.json.decode(answer, type=Ended),
            cpu_seconds=round(usage.ru_utime + usage.ru_stime, 3),
            peak_bytes=usage.ru_maxrss * 1024,
        )

    def examine(self, case: int, mutant: Mutant) -> Ended:
        """Take one disk from evidence to seal and hold the result against what must be."""
        ended = Ended(case=case, template=mutant.template)
        with TemporaryDirectory(prefix="case-", dir=self._scratch) as name:
            image, folder = Path(name, "disk.img"), Path(name, "case")
            image.write_bytes(mutant.disk)
            rescue_to = str(folder / RESCUE_FOLDER) if case // len(self._templates) % 2 == 0 else None
            job = Job(evidence=(str(image),), case_folder=str(folder), rescue_to=rescue_to, threads=1)
            try:
                with ExitStack() as stack:
                    if case % _APART_EVERY != _APART_EVERY // 2:
                        stack.enter_context(patch.object(supervising, "run_worker", _work_here))
                    result = supervise(Options(job=job, case_id=f"{case}"), self._key, Observer(), lambda: 0)
            except EvidenceError as error:
                found = [] if "\n" not in str(error) else [f"more than one line: {error}"]
                return msgspec.structs.replace(ended, outcome=_REFUSED, problems=tuple(found))
            report = load_report(folder / "report.json")
            records = read_journal(folder / "journal.jsonl")
            found = list(problems(report, [one for one in records if isinstance(one, StreamRecord)]))
            if report != result.report:
                found.append("the report reads back as another one")
            if case % _VERIFIED_EVERY == 0:
                found += [f"verify: {problem}" for problem in verify_case(folder).problems]
            if hashlib.sha256(image.read_bytes()).digest() != hashlib.sha256(mutant.disk).digest():
                found.append("the disk was written to")
        return msgspec.structs.replace(ended, outcome=report.verdict.outcome.value, problems=tuple(found))


def _work_here(case: CaseFolder, job: Job, observer: Observer, stop: Stop, **_options: object) -> Ending:
    """Do the worker's part within this process, in the place of `run_worker`."""
    board = Board.create()
    try:
        examining.examine(job, board)
    except TriageError as error:
        if isinstance(error, EvidenceError) and not gather(case.journal).volumes:
            raise
        return Ending(fatal=str(error), torn=True)
    finally:
        board.close()
    return Ending()


def _limit() -> None:
    """Bound this process and its workers; what goes beyond ends it, or is refused as a full machine would."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
