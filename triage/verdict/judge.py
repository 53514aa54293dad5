"""The verdict: a pure function of findings and gaps, with its reasons and what to do next.

Three outcomes. Findings of low severity alone are no infection; an open material gap forbids "nothing found".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from triage.model.finding import Finding, Severity
from triage.model.gap import Gap, GapKind
from triage.model.text import N_
from triage.model.verdict import Outcome, Stage, Verdict
from triage.verdict.stage import STAGE_NAMES, reached, stage_of

_REASONS_NAMED = 50
_WEIGHT = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}

_DO_NOT_BOOT = N_(
    "Do not boot this disk: a service starts the encryption or the clean-up again, "
    "and files marked for deletion vanish."
)
_NETWORK = N_("Keep the computer off the network; other machines on the same network are at risk.")
_ADVICE: dict[Stage, tuple[str, ...]] = {
    Stage.DROPPER_ONLY: (
        N_("The dropper is on the disk, the documents are untouched. Save them before anything else."),
        _NETWORK,
        N_("Reinstall, or clean and patch (MS17-010) before the computer goes back to the network."),
    ),
    Stage.PROPAGATING: (
        _DO_NOT_BOOT,
        N_("The worm was spreading from this computer; the documents are not encrypted yet. Save them now."),
        _NETWORK,
    ),
    Stage.INSTALLED: (
        _DO_NOT_BOOT,
        N_(
            "The encryption is installed and starts at the next boot; the documents are not encrypted yet. Save "
            "them now."
        ),
        _NETWORK,
    ),
    Stage.ENCRYPTING: (
        _DO_NOT_BOOT,
        N_(
            "Part of the files is encrypted. Save the intact ones, then image the disk: deleted originals may be "
            "recoverable."
        ),
        N_("Keep every file named 00000000.pky, .eky, .res or .dky and hiberfil.sys: decryption may need them."),
        N_("Do not pay before the recovery possibilities have been tried."),
    ),
    Stage.FINISHED: (
        _DO_NOT_BOOT,
        N_("The encryption has ended. Save what is intact, then image the disk: deleted originals may be recoverable."),
        N_("Keep every file named 00000000.pky, .eky, .res or .dky and hiberfil.sys: decryption may need them."),
        N_("Do not pay before the recovery possibilities have been tried."),
    ),
}
_UNSTAGED = (
    N_(
        "Indicators of WannaCry are on this disk, but they do not tell how far it got. Treat it as infected: "
        "do not boot it."
    ),
    N_("Save the documents, then have the findings looked at."),
)
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


def judge(findings: Sequence[Finding], gaps: Sequence[Gap]) -> Verdict:
    """Return the verdict; `reasons` are ids of the findings that carry it, or of the gaps that forbid one."""
    carrying = [finding for finding in findings if finding.severity is not Severity.LOW]
    if carrying:
        stage = reached(carrying)
        reasons = tuple(finding.id for finding in _by_weight(carrying)[:_REASONS_NAMED])
        advice = _UNSTAGED if stage is None else _ADVICE[stage]
        return _verdict(Outcome.INDICATORS_FOUND, stage, reasons, advice)
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
