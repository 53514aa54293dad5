"""The command line: parses, wires, prints, and turns every error into one clear line and an exit code."""

from __future__ import annotations

import sys

import click

from triage import __version__
from triage.cli.browsing import cat, hive, list_volumes, ls
from triage.cli.case import demo, run, verify
from triage.model.errors import ExitCode, TriageError
from triage.model.escape import escape_terminal
from triage.model.text import _, set_language


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="triage")
@click.option("--lang", metavar="LOCALE", help="Language of messages and report, for example en or zh_CN.")
def triage(lang: str | None) -> None:
    """Triage PCs hit by WannaCry, offline: verdict, rescued documents, signed report; the evidence is never written."""
    if lang is not None:
        set_language(lang)


for command in (run, verify, demo, list_volumes, ls, cat, hive):
    triage.add_command(command)


def main() -> None:
    """Run a command; the process ends with its exit code."""
    set_language(None)
    try:
        code = triage.main(standalone_mode=False)
    except TriageError as error:
        code = _fail(error.message, error.hint, error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = _("see {command} --help").format(command=context.command_path) if context else ""
        code = _fail(error.format_message(), hint, ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        code = _fail(_("interrupted"), "", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        code = ExitCode.FATAL
    sys.exit(code or ExitCode.OK)


def _fail(message: str, hint: str, code: ExitCode) -> ExitCode:
    line = f"triage: {message}; {hint}" if hint else f"triage: {message}"
    click.echo(escape_terminal(line), err=True)
    return code
