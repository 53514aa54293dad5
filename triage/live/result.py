"""The end of an unattended run in words large and few enough for one screen and a paper form."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from triage.model.errors import ExitCode, ParseError, ReportError
from triage.model.report import Report
from triage.model.text import N_, _, ngettext
from triage.pipeline.supervise import exit_code
from triage.report.case_files import ALLOWED_SIGNERS, REPORT
from triage.report.document import load_report
from triage.report.sshsig import fingerprint, parse_signer_line
from triage.report.text import gaps_line, stage_line
from triage.report.view import families
from triage.report.words import OUTCOME_MEANINGS, headline, number, say, size

_COLUMNS = 78
_ADVICE_ROWS = 7
# What the verdict alone does not say.
_NOT_AS_IT_SHOULD = {
    ExitCode.INCONCLUSIVE: N_("Not everything could be examined or saved; the report names each gap."),
    ExitCode.INTERRUPTED: N_("The run was interrupted; triage run --resume goes on with the case."),
    ExitCode.FATAL: N_("The run ended early; the report says why, and holds what was examined until then."),
}


class Line(Struct, frozen=True):
    """A line for the screen; `loud` ones should stand out."""

    text: str = ""
    loud: bool = False


class SealedCase(Struct, frozen=True):
    """A case that was signed to its end, as far as reading it tells; `triage verify` proves it."""

    report: Report
    fingerprint: str


def sealed_case(case: Path) -> SealedCase | None:
    """Read a case; None where its report or its key is not there or not whole."""
    try:
        _signer, public_key = parse_signer_line((case / ALLOWED_SIGNERS).read_bytes())
        return SealedCase(load_report(case / REPORT), fingerprint(public_key))
    except (ReportError, ParseError, OSError):
        return None


def result_lines(name: str, sealed: SealedCase | None) -> Iterator[Line]:
    """Yield what a person needs who comes back to the PC, of the case with this name; or that it was not sealed."""
    if sealed is None:
        yield from _banner(_("No case was sealed"))
        yield Line(_("The run ended before its report was signed; what it said stands above."))
        return
    report = sealed.report
    yield from _banner(headline(report.verdict.outcome, families(report.findings)))
    yield from _wrapped(say(report.verdict.outcome, OUTCOME_MEANINGS))
    yield from _wrapped(stage_line(report.verdict))
    yield from _wrapped(_(_NOT_AS_IT_SHOULD.get(exit_code(report), "")))
    yield from _advice(report)
    if report.rescue is not None:
        yield Line(
            _("Rescued: {count} files, {size}").format(
                count=number(report.rescue.files), size=size(report.rescue.bytes)
            )
        )
    yield from _wrapped(gaps_line(report))
    yield Line()
    yield Line(_("For the paper form"), loud=True)
    yield Line("  " + _("Case: {folder}").format(folder=name))
    yield Line("  " + _("Key fingerprint: {fingerprint}").format(fingerprint=sealed.fingerprint))


def _banner(text: str) -> Iterator[Line]:
    """Yield the verdict so that it is read from afar: capitals with room around them."""
    large = text.upper()
    spaced = " ".join(large) if large.isascii() and 2 * len(large) < _COLUMNS else large
    yield Line()
    for row in ("", spaced, ""):
        yield Line(f"{row:^{_COLUMNS}}", loud=True)


def _advice(report: Report) -> Iterator[Line]:
    """Yield the most urgent advice, as much of it as the screen has room for."""
    advice = report.verdict.advice
    if advice:
        yield Line()
        yield Line(_("What to do"))
    rows = 0
    for position, sentence in enumerate(advice, start=1):
        lines = list(_wrapped(f"  {position}. {_(sentence)}", indent="     "))
        rows += len(lines)
        if rows > _ADVICE_ROWS:
            left = len(advice) - position + 1
            more = ngettext("and {count} more in the report", "and {count} more in the report", left)
            yield Line("  " + more.format(count=number(left)))
            break
        yield from lines
    yield Line()


def _wrapped(text: str, indent: str = "") -> Iterator[Line]:
    yield from (Line(row) for row in textwrap.wrap(text, _COLUMNS, subsequent_indent=indent))
