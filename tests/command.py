"""The command as a user has it: a process with arguments, exit code and output; also on a terminal of its own."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from msgspec import Struct

from triage.cli import main
from triage.model.report import Report
from triage.model.text import set_language
from triage.report.document import load_report

REPOSITORY = Path(__file__).resolve().parent.parent
HOOK_FOLDER = REPOSITORY / "tests" / "worker_hook"
_TRIAGE = (sys.executable, "-m", "triage")
_PATIENCE_SECONDS = 60
_LANGUAGE = {"LC_ALL": "C.UTF-8", "LANGUAGE": "en"}
Argument = str | bytes | Path


class Ran(Struct, frozen=True, kw_only=True):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The one line on standard error, which says what is wrong."""
        assert self.err.startswith("triage: "), self
        assert self.err.endswith("\n"), self
        assert self.err.count("\n") == 1, self
        assert "Usage:" not in self.err, self
        return self.err.removeprefix("triage: ").removesuffix("\n")


class Hook(Struct, frozen=True, kw_only=True):
    """Where the worker is stopped, killed or made to do something else; see `worker_hook`."""

    folder: Path
    act: str
    place: str = "stream"
    at: int = 0
    path: str = ""
    times: int = 1
    written: Path | None = None

    @property
    def log(self) -> Path:
        """One byte for each time that the place was reached; there from the worker's start."""
        return self.folder / "reached"

    @property
    def times_reached(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def is_reached(self) -> bool:
        return self.times_reached > 0

    @property
    def gate(self) -> Path:
        return self.folder / "gate"

    def environment(self) -> dict[str, str]:
        plan = {
            "act": self.act,
            "place": self.place,
            "at": self.at,
            "path": self.path,
            "times": self.times,
            "reached": str(self.log),
            "gate": str(self.written or self.gate),
        }
        return {"PYTHONPATH": os.pathsep.join((str(HOOK_FOLDER), str(REPOSITORY))), "WORKER_HOOK": json.dumps(plan)}


def triage(*arguments: Argument, folder: Path | None = None, hook: Hook | None = None, **kept: str) -> Ran:
    """Run the command to its end, without a terminal and with nothing to read."""
    with start(*arguments, folder=folder, hook=hook, **kept) as process:
        return ended(process)


def start(
    *arguments: Argument, folder: Path | None = None, hook: Hook | None = None, **kept: str
) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own."""
    return subprocess.Popen(
        (*_TRIAGE, *arguments),
        cwd=folder,
        env=environment(**kept, **(hook.environment() if hook is not None else {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def environment(**kept: str) -> dict[str, str]:
    """Return the environment of a user: output is buffered, messages are English; `kept` comes on top."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**own, **_LANGUAGE, **kept}


def ended(process: subprocess.Popen[bytes]) -> Ran:
    """Wait for a started command."""
    out, err = process.communicate(timeout=_PATIENCE_SECONDS)
    ran = Ran(code=process.returncode, out=out.decode("utf-8"), err=err.decode("utf-8"))
    assert "Traceback" not in ran.err, ran.err
    return ran


def on_terminal(*arguments: Argument, answers: Iterable[tuple[bytes, bytes]] = ()) -> Ran:
    """Run the command on a terminal that does not know its size, as serial ones; answer what it asks for."""
    process, terminal = pty.fork()
    if process == 0:
        os.execve(_TRIAGE[0], (*_TRIAGE, *arguments), environment())
    waiting, out, answered = list(answers), b"", 0
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:  # EIO: everybody has closed the other side
            break
        if block == b"":
            break
        out += block
        if waiting and waiting[0][0] in out[answered:]:
            answered = len(out)
            os.write(terminal, waiting.pop(0)[1])
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert b"Traceback" not in out, out
    return Ran(code=code, out=out.decode("utf-8"), err="")


def wait_until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for something to become true while a process runs."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not true():
        assert process.poll() is None, ended(process)
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers_of(process: int) -> list[int]:
    """Return the process ids of a supervisor's workers."""
    children = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in children.read_text().split()]


def kill(process: int) -> None:
    """End a process as a crash would."""
    os.kill(process, signal.SIGKILL)


def report_of(case: Path) -> Report:
    """Return the report of a case."""
    return load_report(case / "report.json")


def tree(folder: Path) -> dict[str, bytes]:
    """Return everything below a folder, as paths and contents."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def copied(source: Path, folder: Path) -> Path:
    """Return a copy of an image in `folder`."""
    return Path(shutil.copy(source, folder / source.name))


def said_in(case: Path, words: Sequence[str]) -> None:
    """Check that the report for people says all of `words`."""
    text = (case / "report.html").read_text(encoding="utf-8")
    assert [one for one in words if one not in text] == []


def seen(case: Path) -> list[object]:
    """Return all that a case has to say of its evidence, and what it saved: the same after every course of a run."""
    report = report_of(case)
    digests = sorted((case / "digests.hashdeep").read_text().splitlines())
    manifest = (case / "rescue" / "manifest-sha256.txt").read_text()
    return [
        report.findings,
        report.gaps,
        report.coverage,
        report.verdict,
        report.volumes,
        report.rescue and (report.rescue.files, report.rescue.bytes, report.rescue.by_outcome),
        digests,
        manifest,
    ]


@contextmanager
def unreadable_at(image: Path, folder: Path, *, offset_bytes: int) -> Iterator[Path]:
    """Show an image of which nothing from an offset on can be read."""
    with _shown(image, folder, f"if [ $(($4 + $3)) -gt {offset_bytes} ]; then echo EIO >&2; exit 1; fi") as shown:
        yield shown


@contextmanager
def faulty(image: Path, folder: Path, bad: Sequence[range], *, until: str = "false") -> Iterator[Path]:
    """Show an image of which some ranges cannot be read, until a shell command succeeds: EIO for what touches one."""
    touched = " || ".join(f"[ $4 -lt {one.stop} -a $(($4 + $3)) -gt {one.start} ]" for one in bad)
    with _shown(image, folder, f"if {{ {touched}; }} && ! {until}; then echo EIO >&2; exit 1; fi") as shown:
        yield shown


@contextmanager
def vanishing(image: Path, folder: Path, *, after_reads: int, back: Path) -> Iterator[Path]:
    """Show an image of which nothing can be read after so many reads, until the file `back` is there."""
    reads = folder.with_name(f"{folder.name}.reads")
    count = f"echo >>'{reads}'; [ $(wc -l <'{reads}') -gt {after_reads} ]"
    with _shown(image, folder, f"if [ ! -e '{back}' ] && {{ {count}; }}; then echo EIO >&2; exit 1; fi") as shown:
        yield shown


@contextmanager
def gated(image: Path, folder: Path, gate: Path) -> Iterator[Path]:
    """Show an image of which nothing can be read until `gate` is there."""
    with _shown(image, folder, f"while [ ! -e '{gate}' ]; do sleep 0.02; done") as shown:
        yield shown


@contextmanager
def _shown(image: Path, folder: Path, before_reading: str) -> Iterator[Path]:
    """Show an image as a file through `nbdfuse`; `$3` bytes are read at `$4` after a piece of shell."""
    folder.mkdir()
    size = f"get_size=echo {image.stat().st_size}"
    read = f"pread={before_reading}; dd if='{image}' iflag=count_bytes,skip_bytes count=$3 skip=$4 2>/dev/null"
    plugin = ("nbdkit", "--exit-with-parent", "eval", size, "thread_model=echo parallel", read)
    with subprocess.Popen(("nbdfuse", "-r", folder, "[", *plugin, "]"), stderr=subprocess.DEVNULL) as server:
        wait_until((folder / "nbd").exists, server)
        try:
            yield folder / "nbd"
        finally:
            subprocess.run(("umount", folder), check=True)


def here(*arguments: Argument) -> Ran:
    """Run the command within the test's own process: quick, for what ends before a worker is started."""
    buffers = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(buffer, encoding="utf-8", write_through=True) for buffer in buffers)
    command = ["triage", *(os.fsdecode(argument) for argument in arguments)]
    code: object = 0
    with patch.object(sys, "argv", command), patch.dict(os.environ, _LANGUAGE):
        try:
            with redirect_stdout(out), redirect_stderr(err):
                main()
        except SystemExit as end:
            code = end.code
        finally:
            set_language("en")
    assert isinstance(code, int)
    written = [buffer.getvalue().decode("utf-8", "surrogateescape") for buffer in buffers]
    assert "Traceback" not in written[1]
    return Ran(code=code, out=written[0], err=written[1])
