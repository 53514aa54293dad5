"""What to do next: it follows from the stage, from how far it may have got, and from the special cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triage.artefacts.locate import is_of_moved_windows
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.indicator import Confidence
from triage.model.text import N_
from triage.model.verdict import Special, SpecialCase, Stage, StageJudgement
from triage.model.volume import HibernationFile, VolumeInfo
from triage.verdict.signs import FAMILY
from triage.verdict.special import may_be_copied

_DO_NOT_BOOT = N_(
    "Do not boot this disk: a service starts the encryption or the clean-up again, "
    "and files marked for deletion vanish."
)
_PERHAPS_COPIED = N_(
    "Do not boot this disk before it is sure where its encrypted files come from: they may be copies of another "
    "computer's, as no trace of the encryptor is beside them; or somebody removed it."
)
_OLDER_WINDOWS = N_(
    "All that was found is of an older Windows, which a new one moved to Windows.old and which does not start. Windows "
    "deletes that folder after some days: save what is needed of it before this disk is started."
)
_NETWORK = N_("Keep the computer off the network; other machines on the same network are at risk.")
_DO_NOT_PAY = N_("Do not pay before the recovery possibilities have been tried.")
_BY_STAGE: dict[Stage, tuple[str, ...]] = {
    Stage.DROPPER_ONLY: (
        N_("The dropper is on the disk, the documents are untouched. Save them before anything else."),
        _NETWORK,
        N_("Reinstall, or clean and patch (MS17-010) before the computer goes back to the network."),
    ),
    Stage.PROPAGATING: (
        N_("The worm was spreading from this computer; the documents are not encrypted yet. Save them now."),
        _NETWORK,
    ),
    Stage.INSTALLED: (
        N_(
            "The encryption is installed and starts at the next boot; the documents are not encrypted yet. Save "
            "them now."
        ),
        _NETWORK,
    ),
    Stage.ENCRYPTING: (
        N_(
            "Part of the files is encrypted. Save the intact ones at once, then image the disk: shadow copies and "
            "deleted originals may still be there."
        ),
        _DO_NOT_PAY,
    ),
    Stage.FINISHED: (
        N_("The encryption has ended. Save what is intact, then image the disk: deleted originals may be recoverable."),
        _DO_NOT_PAY,
    ),
}
_UNSTAGED = (
    N_(
        "Indicators of WannaCry are on this disk, but they do not tell how far it got. Treat it as infected: "
        "do not boot it."
    ),
    N_("Save the documents, then have the findings looked at."),
)
_KEEP_KEYS = N_("Keep every file named 00000000.pky, .eky, .res or .dky and hiberfil.sys: decryption may need them.")
_HIBERNATION: dict[HibernationFile, str] = {
    HibernationFile.HIBERNATED: N_(
        "hiberfil.sys holds the memory of the moment it was written, keys perhaps: keep it."
    ),
    HibernationFile.RESUMING: N_("hiberfil.sys holds memory whose reading back broke off: keep it."),
    HibernationFile.RESUMED: N_("hiberfil.sys was read back; up to Windows 7 its content is still there: keep it."),
    HibernationFile.CLEARED: N_("The head of hiberfil.sys is zeros; older memory may lie behind it: keep it."),
    HibernationFile.UNKNOWN: N_("hiberfil.sys is of an unknown form: keep it."),
}
_PENDING = N_(
    "Windows deletes files at its next start; the findings in the registry name them. Save them, and give no restored "
    "file such a name."
)
_PENDING_RULES = ("pending-deletions", "pending-program-deletions", "pending-user-file-deletions")
_DOUBT = N_("The stage is not sure: reckon with the latest one that is possible.")
_SPECIAL: dict[SpecialCase, str] = {
    SpecialCase.KILL_SWITCH: N_(
        "Do not block the kill switch's domain in DNS or hosts file: where it does not answer, the worm goes on."
    ),
    SpecialCase.CLEANED: N_(
        "Parts of the malware were removed. Look for files named 00000000.* in the antivirus' quarantine before it is "
        "emptied."
    ),
    SpecialCase.SEVERAL: N_("There was more than one infection: keep the files 00000000.* of each folder apart."),
    SpecialCase.ELSEWHERE: N_(
        "The encryptor ran on another disk. Find that computer: the files 00000000.* on its Windows disk belong to "
        "these files."
    ),
    SpecialCase.CANNOT_ENCRYPT: N_(
        "This copy seems unable to encrypt, but it still spreads, and another copy may follow: treat it like any other."
    ),
}

_IF_COPIED = N_(
    "If these files were copied here, find the computer that they come from: the files 00000000.* on its Windows disk "
    "belong to them."
)


def advise(judgement: StageJudgement, findings: Sequence[Finding], volumes: Sequence[VolumeInfo]) -> tuple[str, ...]:
    """Return sentences in English, the most urgent first."""
    if judgement.stage is None or judgement.latest is None:
        return _UNSTAGED
    return tuple(_sentences(judgement.stage, judgement.latest, judgement, findings, volumes))


def _sentences(
    stage: Stage,
    latest: Stage,
    judgement: StageJudgement,
    findings: Sequence[Finding],
    volumes: Sequence[VolumeInfo],
) -> Iterator[str]:
    is_of_older = _is_of_older_windows(findings)
    if is_of_older:
        yield _OLDER_WINDOWS
    elif latest >= Stage.PROPAGATING:
        yield _PERHAPS_COPIED if may_be_copied(judgement.special) else _DO_NOT_BOOT
    first, *others = _BY_STAGE[stage]
    if not (is_of_older and stage <= Stage.INSTALLED):  # those speak of the next start
        yield first
    if judgement.confidence is Confidence.LOW or latest > stage:
        yield _DOUBT
    if latest >= Stage.PROPAGATING:
        yield _KEEP_KEYS
        yield from dict.fromkeys(_hibernation(volumes))
    if any(one.kind is FindingKind.REGISTRY and one.indicator in _PENDING_RULES for one in findings):
        yield _PENDING
    yield from dict.fromkeys(_of_special(special) for special in judgement.special)
    yield from others


def _is_of_older_windows(findings: Sequence[Finding]) -> bool:
    """Say whether all that tells something lies in `Windows.old`."""
    telling = [one for one in findings if one.family == FAMILY and one.severity is not Severity.LOW]
    return bool(telling) and all(is_of_moved_windows(one.where.path or "") for one in telling)


def _of_special(special: Special) -> str:
    """Return what to do about a special case; that files may be copies is not yet that they are."""
    return _IF_COPIED if may_be_copied([special]) else _SPECIAL[special.case]


def _hibernation(volumes: Sequence[VolumeInfo]) -> Iterator[str]:
    """Yield what to do with each hibernation file."""
    for volume in volumes:
        if volume.windows is not None and volume.windows.hibernation_file is not None:
            yield _HIBERNATION[volume.windows.hibernation_file]
