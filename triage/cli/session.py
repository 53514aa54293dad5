"""A run from the command line: its supervisor, its progress, its end. Loaded while the worker loads its libraries."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from getpass import getpass
from pathlib import Path

import click

from triage.cli.progress import observer
from triage.model.errors import ExitCode, UsageError
from triage.model.escape import escape_terminal
from triage.model.text import _, ngettext
from triage.pipeline.job import Options
from triage.pipeline.launch import WorkerProcess
from triage.pipeline.supervise import Result, supervise
from triage.report.document import write_document
from triage.report.seal import SigningKey
from triage.report.text import summary
from triage.report.verify import VerifyResult, verify_case

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def examine(
    options: Options, worker: WorkerProcess | None, sign_key: Path | None, *, quiet: bool, as_json: bool
) -> ExitCode:
    """Do a run and show what it came to."""
    key = SigningKey.generate() if sign_key is None else SigningKey.load(sign_key, _ask_passphrase)
    with _asked_to_stop() as asked:
        result = _supervised(options, key, worker, asked, quiet=quiet or as_json)
        _show(result, as_json=as_json)
    return result.exit_code


def demonstrate(options: Options, worker: WorkerProcess | None, *, quiet: bool) -> ExitCode:
    """Do a run on what is infected, and verify it; OK where both came to what they should."""
    with _asked_to_stop() as asked:
        result = _supervised(options, SigningKey.generate(), worker, asked, quiet=quiet)
        _show(result, as_json=False)
    verified = verify(Path(options.job.case_folder), None, None)
    as_it_should = verified is ExitCode.OK and result.exit_code is ExitCode.INDICATORS_FOUND
    return ExitCode.OK if as_it_should else ExitCode.FATAL


def verify(case: Path, bag: Path | None, fingerprint: str | None) -> ExitCode:
    """Verify a case and say what came of it."""
    result = verify_case(case, bag, expected_fingerprint=fingerprint)
    _show_verification(result)
    return ExitCode.OK if result.ok else ExitCode.FATAL


@contextmanager
def _asked_to_stop() -> Iterator[Sequence[int]]:
    """Take in what asks a run to stop (Ctrl-C, the terminal's end) instead of dying of it, until its result is told.

    A signal that was ignored stays so: `nohup` means that the run outlives its terminal.
    """
    asked: list[int] = []
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda got, _frame: asked.append(got)) for number in heeded}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _supervised(
    options: Options, key: SigningKey, worker: WorkerProcess | None, asked: Sequence[int], *, quiet: bool
) -> Result:
    """Run under supervision; once asked to stop, the case is sealed as it stands."""
    watching = observer(quiet=quiet)
    try:
        return supervise(options, key, watching, lambda: len(asked), worker)
    finally:
        watching.close()


def _show(result: Result, *, as_json: bool) -> None:
    if as_json:
        write_document(result.report, sys.stdout)
    else:
        click.echo(summary(result.report, result.seal.fingerprint, result.folder), nl=False)


def _show_verification(result: VerifyResult) -> None:
    for problem in result.problems:
        click.echo(escape_terminal(f"{problem.path}: {problem.what}"), err=True)
    if not result.ok:
        count = len(result.problems)
        click.echo(
            ngettext("NOT VERIFIED: {count} problem", "NOT VERIFIED: {count} problems", count).format(count=count)
        )
        return
    click.echo(
        _("VERIFIED: {files} files of the case and {rescued} rescued files are as they were sealed.").format(
            files=result.files, rescued=result.rescued.files
        )
    )
    click.echo(escape_terminal(_("Signed by {signer}, key {key}").format(signer=result.signer, key=result.fingerprint)))


def _ask_passphrase() -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            _("the key needs a passphrase and there is no terminal to ask for it"),
            hint=_("run on a terminal, or give a key without a passphrase"),
        )
    try:
        return getpass(_("Passphrase of the key: "))
    except EOFError:
        raise click.Abort from None
    except UnicodeDecodeError:
        raise UsageError(_("the passphrase is not UTF-8"), hint=_("use a terminal whose language is UTF-8")) from None
