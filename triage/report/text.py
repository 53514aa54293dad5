"""The end of a run on the terminal: the verdict and what to do, in a form that fits one screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triage.model.escape import escape_terminal
from triage.model.finding import Finding
from triage.model.gap import Gap
from triage.model.report import Report
from triage.model.text import _, ngettext
from triage.model.verdict import Verdict
from triage.report.view import content_bytes, count_severities, families, place, reasons
from triage.report.words import (
    FINDING_KINDS,
    GAP_KINDS,
    OUTCOME_MEANINGS,
    RESCUE_OUTCOMES,
    SEVERITIES,
    headline,
    number,
    percent,
    say,
    size,
)

_REASONS_SHOWN = 5


def summary(report: Report, fingerprint: str, folder: Path) -> str:
    """Return the summary, lines ended by newlines; nothing in it can command a terminal."""
    return "".join(escape_terminal(line) + "\n" for line in _lines(report, fingerprint, folder))


def stage_line(verdict: Verdict) -> str:
    """Return how far the infection got, on one line."""
    if verdict.stage is None:
        return _("Stage: not known")
    return _("Stage: {number} of 5, {name}").format(number=int(verdict.stage), name=_(verdict.stage_name))


def gaps_line(report: Report) -> str:
    """Return how much was not examined or saved, on one line, and of what kinds the material gaps are."""
    material = [gap.kind for gap in report.gaps if gap.material]
    line = _("Gaps: {count}, {material} of them material").format(
        count=number(len(report.gaps)), material=number(len(material))
    )
    kinds = ", ".join(say(kind, GAP_KINDS) for kind in dict.fromkeys(material))
    return f"{line}: {kinds}" if kinds else line


def _lines(report: Report, fingerprint: str, folder: Path) -> Iterator[str]:
    verdict = report.verdict
    yield headline(verdict.outcome, families(report.findings)).upper()
    yield say(verdict.outcome, OUTCOME_MEANINGS)
    yield stage_line(verdict)
    if report.case.fatal is not None:
        yield _("The run ended early: {reason}").format(reason=report.case.fatal)
    elif report.case.interrupted:
        yield _("The run was interrupted; this is what was examined until then.")
    for evidence in report.evidence:
        if evidence.write_proof is not None and evidence.write_proof.unchanged is False:
            yield _("WARNING: something wrote to {path} during the run; the report tells what changed.").format(
                path=evidence.path
            )
    yield from _reasons(report)
    if verdict.advice:
        yield ""
        yield _("What to do")
        yield from (f"  {position}. {_(advice)}" for position, advice in enumerate(verdict.advice, start=1))
    yield ""
    yield from _figures(report)
    yield ""
    yield _("Report: {path}").format(path=folder / "report.html")
    yield _("Key fingerprint, for the paper form: {fingerprint}").format(fingerprint=fingerprint)


def _reasons(report: Report) -> Iterator[str]:
    shown, more = reasons(report, _REASONS_SHOWN)
    if not shown:
        return
    yield ""
    yield _("Why")
    yield from (f"  {_reason(item)}" for item in shown)
    if more > 0:
        yield "  " + ngettext("and {count} more", "and {count} more", more).format(count=number(more))


def _reason(item: Finding | Gap) -> str:
    if isinstance(item, Gap):
        return f"{say(item.kind, GAP_KINDS)}: {item.detail}  {place(item.where)}".rstrip()
    return f"{say(item.kind, FINDING_KINDS)}: {item.indicator}  {place(item.where)}"


def _figures(report: Report) -> Iterator[str]:
    coverage = report.coverage
    severities = ", ".join(
        f"{number(count)} {say(severity, SEVERITIES)}" for severity, count in count_severities(report.findings)
    )
    yield _("Findings: {figures}").format(figures=severities or "0")
    yield gaps_line(report)
    yield _("Read: {read} of {total} ({percent})").format(
        read=size(coverage.bytes_read),
        total=size(content_bytes(coverage)),
        percent=percent(coverage.bytes_read, content_bytes(coverage)),
    )
    if report.rescue is None:
        yield _("Rescued: nothing, as asked")
        return
    yield _("Rescued: {count} files, {size}, in {path}").format(
        count=number(report.rescue.files), size=size(report.rescue.bytes), path=report.rescue.destination
    )
    for outcome, count in report.rescue.by_outcome.items():
        yield f"  {number(count)}  {say(outcome, RESCUE_OUTCOMES)}"
