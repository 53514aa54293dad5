"""How far the infection got: what speaks for and against each stage is weighed, no stage rests on one sign unsaid.

The stage is the latest that is shown: by a sign of high severity, or by two of medium severity. A later one with a
single sign of medium severity is possible, no more. One sign alone gives a stage with low confidence, and a range.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from triage.model.event import Event
from triage.model.finding import Finding
from triage.model.gap import Gap, GapKind
from triage.model.indicator import Confidence
from triage.model.text import N_
from triage.model.verdict import Bearing, Phase, Special, Stage, StageJudgement, StageSign
from triage.model.volume import VolumeInfo
from triage.verdict.signs import SIGNS, Sign
from triage.verdict.special import may_be_copied, recognise
from triage.verdict.traces import IDS_NAMED, Trace, Traces, gather_traces
from triage.verdict.unseen import BLINDING, blinding_gaps

STAGE_NAMES: dict[Stage | None, str] = {
    None: N_("not known"),
    Stage.NONE: N_("no trace of the infection"),
    Stage.DROPPER_ONLY: N_("dropper only"),
    Stage.PROPAGATING: N_("spreading, not installed"),
    Stage.INSTALLED: N_("installed, encryption not started"),
    Stage.ENCRYPTING: N_("encrypting"),
    Stage.FINISHED: N_("encryption finished"),
}
PHASES: dict[Stage, Phase] = {
    Stage.DROPPER_ONLY: Phase.EARLY,
    Stage.PROPAGATING: Phase.MIDDLE,
    Stage.INSTALLED: Phase.MIDDLE,
    Stage.ENCRYPTING: Phase.LATE,
    Stage.FINISHED: Phase.LATE,
}


def judge_stage(
    findings: Sequence[Finding],
    gaps: Sequence[Gap] = (),
    events: Sequence[Event] = (),
    volumes: Sequence[VolumeInfo] = (),
) -> StageJudgement:
    """Weigh the signs; a pure function, linear in what it is given."""
    traces = gather_traces(findings, events)
    evidence = tuple(_evidence(traces, blinding_gaps(gaps, volumes), looked=any(one.windows for one in volumes)))
    telling = [trace for trace in traces.values() if trace.sign.stage is not None]
    stage = _shown(telling)
    is_whole = not any(one.bearing is Bearing.OPEN for one in evidence)
    special = recognise(stage, traces, events, volumes, is_whole=is_whole)
    if stage is None:
        return StageJudgement(stage=None, evidence=evidence, special=special)
    latest = _latest(evidence)
    return StageJudgement(
        stage=stage,
        confidence=_doubted(special, _confidence(_speaking_for(telling, stage), evidence, stage, latest)),
        earliest=_earliest(telling, stage),
        latest=latest,
        phase=PHASES[stage],
        evidence=evidence,
        special=special,
    )


def _speaking_for(telling: Sequence[Trace], stage: Stage) -> list[Trace]:
    """Return the signs of a stage and of those after it, which it came before."""
    return [trace for trace in telling if trace.sign.stage is not None and trace.sign.stage >= stage]


def _shown(telling: Sequence[Trace]) -> Stage | None:
    """Return the latest stage that is shown; where none is, the latest that one sign speaks for."""
    for stage in sorted(PHASES, reverse=True):
        speaking = _speaking_for(telling, stage)
        if len(speaking) > 1 or any(trace.proves for trace in speaking):
            return stage
    return max((trace.sign.stage for trace in telling if trace.sign.stage is not None), default=None)


def _earliest(telling: Sequence[Trace], stage: Stage) -> Stage:
    """Return the latest stage, up to `stage`, that does not rest on one sign alone."""
    shown = (one for one in sorted(PHASES, reverse=True) if one <= stage and len(_speaking_for(telling, one)) > 1)
    return next(shown, Stage.DROPPER_ONLY)


def _latest(evidence: Sequence[StageSign]) -> Stage:
    """Return the last stage that cannot be ruled out.

    It is the last that a sign speaks for, and those after it whose certain signs could none of them be looked for.
    """
    latest = max((one.stage for one in evidence if one.bearing is Bearing.FOR), default=Stage.NONE)
    ruled_out = {one.stage for one in evidence if one.bearing is Bearing.AGAINST}
    while latest < Stage.FINISHED and Stage(latest + 1) not in ruled_out:
        latest = Stage(latest + 1)
    return latest


def _confidence(speaking: Sequence[Trace], evidence: Sequence[StageSign], stage: Stage, latest: Stage) -> Confidence:
    """Say how sure the stage is: by how many signs of how many kinds, against what is missing of it and before it."""
    speaking = _apart(speaking)
    against = sum(one.stage is stage and one.bearing is Bearing.AGAINST for one in evidence)
    if len(speaking) < 2 or against > len(speaking):
        return Confidence.LOW
    kinds = {trace.sign.kind for trace in speaking}
    before = Counter(one.bearing for one in evidence if one.stage < stage)
    is_led_up_to = before[Bearing.FOR] >= before[Bearing.AGAINST]
    if len(kinds) > 1 and against == 0 and latest is stage and is_led_up_to:
        return Confidence.HIGH
    return Confidence.MEDIUM


def _apart(speaking: Sequence[Trace]) -> list[Trace]:
    """Leave out what tells another sign again: a file, its run and the task that starts it by one and the same name."""
    apart: list[Trace] = []
    told: set[str] = set()
    for trace in speaking:
        programs = trace.programs
        if programs is None or not programs <= told:
            apart.append(trace)
        told |= programs or frozenset()
    return apart


def _doubted(special: Sequence[Special], confidence: Confidence) -> Confidence:
    """Return how sure the stage of this Windows is; not at all where what shows it may come from another one."""
    return Confidence.LOW if may_be_copied(special) else confidence


def _evidence(traces: Traces, blinding: dict[GapKind, list[str]], *, looked: bool) -> Iterator[StageSign]:
    """Yield a row for each sign that is there, and for each that its stage never fails to leave, in the table's order.

    Without a Windows (not `looked`) nobody can say what is missing there.
    """
    for sign in SIGNS:
        trace = traces.get(sign.name)
        if sign.stage is None:
            continue
        if trace is not None:
            yield _row(sign, sign.stage, Bearing.FOR, trace.count, trace.ids)
        elif sign.certain:
            hidden = tuple(gap for kind in BLINDING[sign.kind] for gap in blinding.get(kind, ()))
            bearing = Bearing.OPEN if hidden or not looked else Bearing.AGAINST
            yield _row(sign, sign.stage, bearing, 0, tuple(sorted(hidden)[:IDS_NAMED]))


def _row(sign: Sign, stage: Stage, bearing: Bearing, count: int, ids: tuple[str, ...]) -> StageSign:
    return StageSign(sign=sign.name, stage=stage, bearing=bearing, says=sign.says, count=count, ids=ids)
