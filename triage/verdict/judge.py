"""The verdict: a pure function of findings, gaps and events, with its reasons and what to do next.

Three outcomes. Findings of low severity alone are no infection; an open material gap forbids "nothing found".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from triage.model.event import Event
from triage.model.finding import Finding, Severity
from triage.model.gap import Gap, GapKind
from triage.model.text import N_
from triage.model.verdict import Outcome, Stage, Verdict
from triage.model.volume import VolumeInfo
from triage.verdict.advice import advise
from triage.verdict.signs import stage_of
from triage.verdict.stage import STAGE_NAMES, judge_stage

_REASONS_NAMED = 50
_WEIGHT = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}

_INCONCLUSIVE = (
    N_("Nothing known was found, but part of the disk could not be examined: this is no all-clear. See the gaps."),
    N_("Do not put this computer back to use before the gaps are explained."),
)
_LEFT_OUT = (
    N_("Nothing known was found in what the quick profile reads; most files were left out: this is no all-clear."),
    N_("Run the full profile, which reads everything and rescues the documents, before this computer is used again."),
)
_NOTHING = (
    N_(
        "No known indicator was found, and nothing that matters was left unexamined. Variants not yet known "
        "remain possible."
    ),
    N_("Install MS17-010 and block port 445 before the computer goes back to the network."),
)


def judge(
    findings: Sequence[Finding],
    gaps: Sequence[Gap],
    events: Sequence[Event] = (),
    volumes: Sequence[VolumeInfo] = (),
) -> Verdict:
    """Return the verdict; `reasons` are ids of the findings that carry it, or of the gaps that forbid one."""
    carrying = [finding for finding in findings if finding.severity is not Severity.LOW]
    if carrying:
        judgement = judge_stage(carrying, gaps, events, volumes)
        return Verdict(
            outcome=Outcome.INDICATORS_FOUND,
            stage=judgement.stage,
            stage_name=STAGE_NAMES[judgement.stage],
            reasons=tuple(finding.id for finding in _by_weight(carrying)[:_REASONS_NAMED]),
            advice=advise(judgement, findings, volumes),
            judgement=judgement,
        )
    material = [gap for gap in gaps if gap.material]
    if material:
        advice = _LEFT_OUT if any(gap.kind is GapKind.EXCLUDED for gap in material) else _INCONCLUSIVE
        reasons = tuple(gap.id for gap in material[:_REASONS_NAMED])
        return _verdict(Outcome.INCONCLUSIVE, None, reasons, advice)
    return _verdict(Outcome.NO_KNOWN_INDICATORS, Stage.NONE, (), _NOTHING)


def _by_weight(findings: Sequence[Finding]) -> list[Finding]:
    """Order findings as reasons: the worst first, and one of each sort before the second of any."""
    seen: Counter[tuple[str, str]] = Counter()
    ranked: list[tuple[int, bool, int, int, Finding]] = []
    for finding in findings:
        sort = (finding.kind, finding.indicator)
        stage = stage_of(finding) or Stage.NONE
        ranked.append((_WEIGHT[finding.severity], finding.deleted, seen[sort], -stage, finding))
        seen[sort] += 1
    ranked.sort(key=lambda row: (*row[:4], row[4].id))
    return [row[4] for row in ranked]


def _verdict(outcome: Outcome, stage: Stage | None, reasons: tuple[str, ...], advice: tuple[str, ...]) -> Verdict:
    return Verdict(outcome=outcome, stage=stage, stage_name=STAGE_NAMES[stage], reasons=reasons, advice=advice)
