"""The command line: parses, wires, prints, and turns every error into one clear line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from importlib import import_module

import click

from triage import __version__
from triage.model.errors import ExitCode, TriageError
from triage.model.escape import escape_terminal
from triage.model.text import _, set_language
from triage.pipeline.launch import UTF8_MODE

_COMMANDS = {
    "run": "triage.cli.case:run",
    "verify": "triage.cli.case:verify",
    "demo": "triage.cli.case:demo",
    "list": "triage.cli.browsing:list_volumes",
    "ls": "triage.cli.browsing:ls",
    "cat": "triage.cli.browsing:cat",
    "hive": "triage.cli.browsing:hive",
}


class _Commands(click.Group):
    """Imports a command when it is asked for: a run's supervisor needs none of the libraries that parse evidence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        module, _colon, attribute = _COMMANDS.get(cmd_name, "").partition(":")
        if not module:
            return None
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=_Commands, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="triage")
@click.option("--lang", metavar="LOCALE", help="Language of messages and report, for example en or zh_CN.")
def triage(lang: str | None) -> None:
    """Triage PCs hit by WannaCry, offline: verdict, rescued documents, signed report; the evidence is never written."""
    if lang is not None:
        set_language(lang)


def main() -> None:
    """Run a command; the process ends with its exit code."""
    _prepare_streams()
    _use_utf8()
    set_language(None)
    try:
        code = triage.main(prog_name="triage", standalone_mode=False)
        sys.stdout.flush()
    except TriageError as error:
        code = _fail(error.message, error.hint, error.exit_code)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = _("see {command} --help").format(command=context.command_path if context else "triage")
        code = _fail(error.format_message().rstrip("."), hint, ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        code = _fail(_("interrupted"), "", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        code = ExitCode.FATAL  # who read our output has seen enough
    except OSError as error:
        where = error.filename or _("standard output")
        code = _fail(f"{where}: {error.strerror}", "", ExitCode.FATAL)
    _forget_output()
    sys.exit(code or ExitCode.OK)


def _prepare_streams() -> None:
    """Open what the caller has closed, so that no file of ours takes its number; show what has no place in it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _use_utf8() -> None:
    """Begin anew in Python's UTF-8 mode where the locale has another encoding (PEP 540).

    Names that are rescued, and the manifests that list them, are UTF-8 whatever the terminal shows.
    """
    if sys.getfilesystemencoding() == "utf-8":
        return
    os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    os.execv(sys.executable, [sys.executable, *UTF8_MODE, *sys.orig_argv[1:]])  # noqa: S606  # ourselves


def _forget_output() -> None:
    """Leave nothing for the interpreter to write at its end: it would answer a failure with a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _fail(message: str, hint: str, code: ExitCode) -> ExitCode:
    line = f"triage: {message}; {hint}" if hint else f"triage: {message}"
    with suppress(OSError):
        click.echo(escape_terminal(line), err=True)
    return code
