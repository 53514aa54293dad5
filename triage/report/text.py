"""The end of a run on the terminal: the verdict and what to do, in a form that fits one screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triage.model.entry import StreamState
from triage.model.escape import escape_terminal
from triage.model.finding import Finding
from triage.model.gap import Gap
from triage.model.ledger import VolumeLedger
from triage.model.profile import Profile
from triage.model.report import FirstVerdict, Report
from triage.model.text import _, ngettext
from triage.model.timeline import Timeline
from triage.model.verdict import Outcome, StageJudgement, Verdict
from triage.report.exposure import exposure_line
from triage.report.timeline_words import MILESTONES, golden_line, rate_line
from triage.report.view import content_bytes, count_severities, families, place, reasons
from triage.report.words import (
    CONFIDENCES,
    FINDING_KINDS,
    GAP_KINDS,
    HIBERNATION_FILES,
    OUTCOME_MEANINGS,
    RESCUE_OUTCOMES,
    SEVERITIES,
    SPECIAL_CASES,
    STREAM_STATES,
    balanced,
    grounds,
    headline,
    kept_from,
    moment,
    not_kept_from,
    number,
    percent,
    say,
    size,
)

_REASONS_SHOWN = 5


def summary(report: Report, fingerprint: str, folder: Path) -> str:
    """Return the summary, lines ended by newlines; nothing in it can command a terminal."""
    return "".join(escape_terminal(line) + "\n" for line in _lines(report, fingerprint, folder))


def quick_line(report: Report) -> str:
    """Return what a quick run left out, so that it is never taken for a full one."""
    left_out = report.coverage.streams_by_state.get(StreamState.EXCLUDED, 0)
    return _(
        "QUICK PROFILE: {count} of {total} streams were left out. It can find an infection, it cannot rule one out."
    ).format(count=number(left_out), total=number(report.coverage.streams))


def stage_line(verdict: Verdict) -> str:
    """Return how far the infection got and how sure that is, on one line."""
    if verdict.stage is None:
        return _("Stage: not known")
    line = _("Stage: {number} of 5, {name}").format(number=int(verdict.stage), name=_(verdict.stage_name))
    return line if verdict.judgement is None else f"{line} ({grounds(verdict.judgement)})"


def special_lines(judgement: StageJudgement) -> Iterator[str]:
    """Yield a line for each special case that was recognised."""
    for special in judgement.special:
        yield _("{case} ({confidence}): {says}").format(
            case=say(special.case, SPECIAL_CASES), confidence=say(special.confidence, CONFIDENCES), says=_(special.says)
        )


def first_verdict(first: FirstVerdict) -> str:
    """Return what is known before the long read, on one line that cannot be taken for the verdict."""
    told = headline(first.verdict.outcome, families(first.findings)).upper()
    unread = ngettext(
        "The content of {count} stream is not read yet.",
        "The content of {count} streams is not read yet.",
        first.unread_streams,
    ).format(count=number(first.unread_streams))
    if first.verdict.outcome is Outcome.INDICATORS_FOUND:
        return _("so far, from names and registry alone: {told}. {stage}. {unread}").format(
            told=told, stage=stage_line(first.verdict), unread=unread
        )
    return _("so far, names and registry hold no known indicator; that is no verdict. {unread}").format(unread=unread)


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
    if verdict.judgement is not None:
        yield from special_lines(verdict.judgement)
    if report.case.profile is Profile.QUICK:
        yield quick_line(report)
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
    yield from _timeline(report.timeline)
    if verdict.advice:
        yield ""
        yield _("What to do")
        yield from (f"  {position}. {_(advice)}" for position, advice in enumerate(verdict.advice, start=1))
    yield ""
    yield from _figures(report)
    yield ""
    yield _("Report: {path}").format(path=folder / "report.html")
    if report.cleanup.removes:
        yield _("What would have to go, when all is rescued and imaged: {path}").format(path=folder / "cleanup.html")
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


def _timeline(timeline: Timeline) -> Iterator[str]:
    """Yield when it began, how many files were encrypted how fast, and what that was of the golden hours."""
    if timeline.golden_hours is None:
        return
    first = next((one for one in timeline.milestones if one.event.family is not None), None)
    yield ""
    yield _("When (by the clock of the examined computer)")
    if first is not None:
        kind, when = say(first.kind, MILESTONES), moment(first.event.time_utc)
        yield "  " + _("First sign: {when}, {kind}: {what}").format(when=when, kind=kind, what=first.event.what)
    if timeline.encryption is not None:
        yield f"  {rate_line(timeline.encryption)}"
    yield f"  {golden_line(timeline.golden_hours)}"
    if timeline.doubts:
        yield "  " + _("Reasons to doubt these times: {count}; see the report").format(count=len(timeline.doubts))


def _reason(item: Finding | Gap) -> str:
    if isinstance(item, Gap):
        return f"{say(item.kind, GAP_KINDS)}: {item.detail}  {place(item.where)}".rstrip()
    return f"{say(item.kind, FINDING_KINDS)}: {item.indicator}  {place(item.where)}"


def _ledger_line(row: VolumeLedger) -> str:
    """Return one volume's ledger: how many streams ended in each state, and whether that adds up."""
    states = " · ".join(f"{number(count)} {say(state, STREAM_STATES)}" for state, count in row.streams_by_state.items())
    return f"{row.volume} {balanced(row.balanced)}: {states or 0}"


def _deleted(report: Report) -> Iterator[str]:
    """Yield how much of users' deleted documents is still there, where there is any."""
    summaries = report.deleted or ()
    documents = sum(len(one.listed) + one.not_listed for one in summaries)
    if documents > 0:
        left = sum(sum(one.document_bytes_by_recoverability.values()) for one in summaries)
        yield _("Deleted documents of which something is left: {count}, {size}; see deleted.jsonl").format(
            count=number(documents), size=size(left)
        )


def _hibernation_files(report: Report) -> Iterator[str]:
    """Yield, for each Windows that has one, whether its hibernation file is worth keeping."""
    for volume in report.volumes:
        if volume.windows is not None and volume.windows.hibernation_file is not None:
            told = say(volume.windows.hibernation_file, HIBERNATION_FILES)
            yield _("hiberfil.sys of {volume}: {state}").format(volume=volume.id, state=told)


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
    yield from (f"  {_ledger_line(row)}" for row in report.coverage.ledger)
    yield from _hibernation_files(report)
    for isolation in report.case.isolation:
        yield _("Parsing was kept from: {kept}").format(kept=kept_from(isolation))
        if isolation.allowed:
            yield _("NOT kept from: {open}").format(open=not_kept_from(isolation))
    yield from map(exposure_line, report.exposure)
    yield from _deleted(report)
    if report.rescue is None:
        is_quick = report.case.profile is Profile.QUICK
        yield _("Rescued: nothing, the quick profile copies no files") if is_quick else _("Rescued: nothing, as asked")
        return
    yield _("Rescued: {count} files, {size}, in {path}").format(
        count=number(report.rescue.files), size=size(report.rescue.bytes), path=report.rescue.destination
    )
    for outcome, count in report.rescue.by_outcome.items():
        yield f"  {number(count)}  {say(outcome, RESCUE_OUTCOMES)}"
