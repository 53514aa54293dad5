"""How far the infection got, from the findings: each step of WannaCry leaves other things on the disk.

The table names, for each kind of evidence, the stage that has been reached at least when it lies on the disk. The stage
of a case is the highest reached. Source: `docs/method.md` tells where each row comes from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from triage.model.finding import Finding, FindingKind, Severity
from triage.model.text import N_
from triage.model.verdict import Stage

STAGE_NAMES: dict[Stage | None, str] = {
    None: N_("not known"),
    Stage.NONE: N_("no trace of the infection"),
    Stage.DROPPER_ONLY: N_("dropper only"),
    Stage.PROPAGATING: N_("spreading, not installed"),
    Stage.INSTALLED: N_("installed, encryption not started"),
    Stage.ENCRYPTING: N_("encrypting"),
    Stage.FINISHED: N_("encryption finished"),
}

_BY_NAME_RULE: dict[str, Stage] = {
    "worm-in-windows-directory": Stage.DROPPER_ONLY,
    "worm": Stage.DROPPER_ONLY,
    "installer-in-windows-directory": Stage.INSTALLED,
    "installer-in-work-directory": Stage.INSTALLED,
    "previous-installer-in-windows-directory": Stage.INSTALLED,
    "previous-installer": Stage.INSTALLED,
    "component-in-work-directory": Stage.INSTALLED,
    "component": Stage.INSTALLED,
    "helper-program": Stage.INSTALLED,
    "ransom-text": Stage.INSTALLED,
    "any-wnry-in-work-directory": Stage.INSTALLED,
    "tor-host": Stage.ENCRYPTING,
    "ransom-note": Stage.ENCRYPTING,
    "ransom-note-v1": Stage.ENCRYPTING,
    "moved-original": Stage.ENCRYPTING,
    "shortcut-batch-in-work-directory": Stage.ENCRYPTING,
    "shortcut-script-in-work-directory": Stage.ENCRYPTING,
    "free-space-filler": Stage.FINISHED,
}
_BY_KIND: dict[FindingKind, Stage] = {
    FindingKind.WORK_DIRECTORY: Stage.INSTALLED,
    FindingKind.KEY_FILE: Stage.ENCRYPTING,
    FindingKind.ENCRYPTED_FILE: Stage.ENCRYPTING,
    FindingKind.JOURNAL: Stage.ENCRYPTING,
}
_BY_SERVICE_RULE: dict[str, Stage] = {
    "worm-service": Stage.PROPAGATING,
    "computed-name-service": Stage.INSTALLED,
    "installer-service": Stage.INSTALLED,
    "installer-image-service": Stage.INSTALLED,
}
_BY_REGISTRY_RULE: dict[str, Stage] = {
    "work-directory-value": Stage.INSTALLED,
    "pending-deletions": Stage.ENCRYPTING,
    "computed-name-run-value": Stage.FINISHED,
    "installer-run-value": Stage.FINISHED,
    "installer-image-run-value": Stage.INSTALLED,
    "ransom-wallpaper": Stage.FINISHED,
}
FAMILY = "wannacry"
_DROPPER = re.compile(r"\b(worm|dropper|dropped)\b|kill.switch")
_INSTALLED = re.compile(r"\b(installer|encryptor|gui|ransom|window|taskdl|taskse|archive|configuration)\b|\.wnry\b")
_WALLPAPER = "@wanadecryptor@.bmp"


def stage_of(finding: Finding) -> Stage | None:
    """Return the stage that one finding proves was reached, None where it tells none. Low severity proves nothing."""
    if finding.severity is Severity.LOW:
        return None
    if finding.kind is FindingKind.RANSOM_NOTE and (finding.where.path or "").lower().endswith(
        "/desktop/" + _WALLPAPER
    ):
        return Stage.FINISHED
    if finding.kind is FindingKind.SERVICE:
        return _BY_SERVICE_RULE.get(finding.indicator)
    if finding.kind is FindingKind.REGISTRY:
        return _BY_REGISTRY_RULE.get(finding.indicator)
    if finding.kind in (FindingKind.DIGEST, FindingKind.YARA):
        return _stage_of_content(finding)
    return _BY_KIND.get(finding.kind) or _BY_NAME_RULE.get(finding.indicator)


def reached(findings: Sequence[Finding]) -> Stage | None:
    """Return the highest stage proved by any finding; None where none tells."""
    return max((stage for stage in map(stage_of, findings) if stage is not None), default=None)


def _stage_of_content(finding: Finding) -> Stage | None:
    """A known file of WannaCry tells its role: the worm alone is the dropper, every other part was unpacked.

    What the user's own lists and rules call a file tells no stage.
    """
    if finding.family != FAMILY:
        return None
    role = finding.facts.get("description", "").lower()
    if _DROPPER.search(role):
        return Stage.DROPPER_ONLY
    return Stage.INSTALLED if _INSTALLED.search(role) else None
