"""The signs of WannaCry's stages: each step of it leaves other things on the disk. One table.

A sign is what findings of one kind show together: those of the indicators named here, and of medium severity at least.
It speaks for its stage and for those before it. Where a stage never fails to leave a sign (`certain`), its absence
speaks against that stage. `docs/method.md` tells who published what each row rests on.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from triage.model.event import EventKind
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.text import N_
from triage.model.verdict import Stage

FAMILY = "wannacry"


class Sign(NamedTuple):
    """One row: `indicators` of findings of `kind`, all of them where none is named. `stage` None: it tells none."""

    name: str
    stage: Stage | None
    kind: FindingKind | EventKind
    says: str
    indicators: tuple[str, ...] = ()
    certain: bool = False


# The indicator of a digest is the part that the known file plays; of some others it is what `_indicator` makes of it.
WORM_PART, INSTALLER_PART = "worm", "installer"
WALLPAPER_ON_DESKTOP = "wallpaper-on-desktop"

# Programs that were run, and whose start was logged, are known by the rules of names.
_WORM_NAMES = ("worm-in-windows-directory", WORM_PART)
_INSTALLER_NAMES = ("installer-in-windows-directory", "installer-in-work-directory", INSTALLER_PART)
_HELPER_NAMES = ("component-in-work-directory", "helper-program", "ransom-note", "ransom-note-v1", "tor-host")


def _logged(*services: str) -> tuple[str, ...]:
    """Return what event logs tell of services that these rules know."""
    happened = ("installed", "started", "stopped", "changed", "failed")
    return tuple(f"{service}-{state}" for service in services for state in happened)


SIGNS: tuple[Sign, ...] = (
    Sign(
        "worm-file", Stage.DROPPER_ONLY, FindingKind.NAME, N_("file of the worm, by its name"),
        ("worm-in-windows-directory", "worm"), certain=True,
    ),
    Sign("worm-digest", Stage.DROPPER_ONLY, FindingKind.DIGEST, N_("known file of the worm"), (WORM_PART,)),
    Sign(
        "worm-content", Stage.DROPPER_ONLY, FindingKind.YARA, N_("content of the worm"),
        (
            "WannaCry_Worm_Strings", "WannaCry_Worm_KillSwitch", "WannaCry_Launcher_Strings",
            "WannaCry_Code_Sequences",
        ),
    ),
    Sign("worm-run", Stage.DROPPER_ONLY, FindingKind.EXECUTION, N_("the worm was run"), _WORM_NAMES),
    Sign(
        "worm-start-logged", Stage.DROPPER_ONLY, FindingKind.EVENT_LOG, N_("start of the worm in the event log"),
        _WORM_NAMES,
    ),
    Sign(
        "worm-task", Stage.DROPPER_ONLY, FindingKind.SCHEDULED_TASK, N_("scheduled task that starts the worm"),
        _WORM_NAMES,
    ),
    Sign(
        "kill-switch-contact", Stage.DROPPER_ONLY, FindingKind.NETWORK, N_("contact with the kill switch"),
        ("domain_killswitch", "ip_killswitch_sinkhole"),
    ),
    Sign(
        "worm-service", Stage.PROPAGATING, FindingKind.SERVICE, N_("service of the worm"), ("worm-service",),
        certain=True,
    ),
    Sign(
        "worm-service-logged", Stage.PROPAGATING, FindingKind.EVENT_LOG, N_("service of the worm in the event log"),
        _logged("worm-service"),
    ),
    Sign(
        "port-scan", Stage.PROPAGATING, FindingKind.NETWORK, N_("scan of other computers' port 445"),
        ("smb-spreading",),
    ),
    Sign(
        "installer-file", Stage.INSTALLED, FindingKind.NAME, N_("file of the encryptor's installer, by its name"),
        (
            "installer-in-windows-directory", "installer-in-work-directory",
            "previous-installer-in-windows-directory", "previous-installer",
        ),
        certain=True,
    ),
    Sign(
        "components", Stage.INSTALLED, FindingKind.NAME, N_("parts of the encryptor, by their names"),
        ("component-in-work-directory", "component", "helper-program", "any-wnry-in-work-directory"),
    ),
    Sign("ransom-texts", Stage.INSTALLED, FindingKind.RANSOM_NOTE, N_("texts of the ransom window"), ("ransom-text",)),
    Sign("work-directory", Stage.INSTALLED, FindingKind.WORK_DIRECTORY, N_("work directory of the computed name")),
    Sign("installer-digest", Stage.INSTALLED, FindingKind.DIGEST, N_("known file of the encryptor"), (INSTALLER_PART,)),
    Sign(
        "installer-content", Stage.INSTALLED, FindingKind.YARA, N_("content of the encryptor, outside the worm's file"),
        (
            "WannaCry_Configuration_Servers", "WannaCry_Archive_Members", "WannaCry_Note_Text",
            "WannaCry_Installer_Strings", "WannaCry_Encryptor_Strings", "WannaCry_Window_Strings",
            "WannaCry_FileDeleter_Strings", "WannaCry_SessionLauncher_Strings",
        ),
    ),
    Sign(
        "version-1-content", Stage.INSTALLED, FindingKind.YARA, N_("content of version 1's programs"),
        ("WannaCry_Version1_Strings",),
    ),
    Sign(
        "installer-service", Stage.INSTALLED, FindingKind.SERVICE, N_("service that starts the encryptor"),
        ("computed-name-service", "installer-service", "installer-image-service"), certain=True,
    ),
    Sign(
        "work-directory-value", Stage.INSTALLED, FindingKind.REGISTRY, N_("work directory in the registry"),
        ("work-directory-value",), certain=True,
    ),
    Sign(
        "installer-run", Stage.INSTALLED, FindingKind.EXECUTION, N_("the installer was run"),
        (*_INSTALLER_NAMES, "program-in-computed-work-directory", "loaded-components"),
    ),
    Sign(
        "installer-start-logged", Stage.INSTALLED, FindingKind.EVENT_LOG, N_("start of the installer in the event log"),
        (*_INSTALLER_NAMES, "installer-command", "rights-command"),
    ),
    Sign(
        "installer-service-logged", Stage.INSTALLED, FindingKind.EVENT_LOG,
        N_("service that starts the encryptor, in the event log"),
        _logged("computed-name-service", "installer-service", "installer-image-service"),
    ),
    Sign(
        "installer-task", Stage.INSTALLED, FindingKind.SCHEDULED_TASK,
        N_("scheduled task that starts the encryptor"),
        (*_INSTALLER_NAMES, "program-in-computed-work-directory", *_HELPER_NAMES),
    ),
    Sign(
        "key-files", Stage.ENCRYPTING, FindingKind.KEY_FILE, N_("key files of this infection"), certain=True,
    ),
    Sign("encrypted-files", Stage.ENCRYPTING, FindingKind.ENCRYPTED_FILE, N_("encrypted files"), certain=True),
    Sign(
        "notes", Stage.ENCRYPTING, FindingKind.RANSOM_NOTE, N_("ransom notes"), ("ransom-note",), certain=True,
    ),
    Sign(
        "version-1-notes", Stage.ENCRYPTING, FindingKind.RANSOM_NOTE, N_("ransom notes of version 1"),
        ("ransom-note-v1",),
    ),
    Sign(
        "moved-originals", Stage.ENCRYPTING, FindingKind.NAME, N_("originals that were moved away"), ("moved-original",)
    ),
    Sign(
        "shortcut-scripts", Stage.ENCRYPTING, FindingKind.NAME, N_("scripts that made the window's shortcut"),
        ("shortcut-batch-in-work-directory", "shortcut-script-in-work-directory"),
    ),
    Sign(
        "shortcut-content", Stage.ENCRYPTING, FindingKind.YARA, N_("content of the shortcut's scripts"),
        ("WannaCry_Batch_Text", "WannaCry_Script_Text"),
    ),
    Sign("tor", Stage.ENCRYPTING, FindingKind.NAME, N_("Tor under the encryptor's name for it"), ("tor-host",)),
    Sign("renames", Stage.ENCRYPTING, FindingKind.JOURNAL, N_("the encryptor's renames in the change journal")),
    Sign(
        "pending-deletions", Stage.ENCRYPTING, FindingKind.REGISTRY, N_("originals to be deleted at the next start"),
        ("pending-deletions",),
    ),
    Sign(
        "encryptor-run", Stage.ENCRYPTING, FindingKind.EXECUTION, N_("the encryptor's helpers were run"),
        _HELPER_NAMES,
    ),
    Sign(
        "encryptor-start-logged", Stage.ENCRYPTING, FindingKind.EVENT_LOG,
        N_("start of the encryptor's helpers in the event log"), _HELPER_NAMES,
    ),
    Sign("tor-contact", Stage.ENCRYPTING, FindingKind.NETWORK, N_("contact with the hidden services"), ("onion_c2",)),
    Sign(
        "wallpaper", Stage.FINISHED, FindingKind.RANSOM_NOTE, N_("ransom wallpaper on a desktop"),
        (WALLPAPER_ON_DESKTOP,), certain=True,
    ),
    Sign(
        "run-value", Stage.FINISHED, FindingKind.REGISTRY, N_("Run value of the encryptor"),
        ("computed-name-run-value", "installer-run-value"), certain=True,
    ),
    Sign(
        "wallpaper-setting", Stage.FINISHED, FindingKind.REGISTRY, N_("ransom wallpaper in a user's settings"),
        ("ransom-wallpaper",),
    ),
    Sign("filler", Stage.FINISHED, FindingKind.NAME, N_("filler of free space"), ("free-space-filler",)),
    Sign(
        "last-commands", Stage.FINISHED, FindingKind.EVENT_LOG, N_("commands of the end of the first pass"),
        ("recovery-command", "window-command", "run-value-command"),
    ),
    Sign(
        "shadows-deleted", Stage.FINISHED, EventKind.SHADOWS_DELETED,
        N_("deletion of shadow copies, begun after the encryption"),
    ),
    Sign(
        "program-deletions", None, FindingKind.REGISTRY,
        N_("the malware's programs are to be deleted at the next start"),
        ("pending-program-deletions",),
    ),
    Sign(
        "antivirus", None, FindingKind.EVENT_LOG, N_("an antivirus noted that it met the malware"),
        ("antivirus-detection",),
    ),
)  # fmt: skip

BY_NAME = {sign.name: sign for sign in SIGNS}
_BY_INDICATOR = {(sign.kind, indicator): sign for sign in SIGNS for indicator in sign.indicators}
_BY_KIND = {sign.kind: sign for sign in SIGNS if not sign.indicators}

_WORM = re.compile(r"\b(worm|dropper|dropped)\b|kill.switch")
_INSTALLER = re.compile(r"\b(installer|encryptor|gui|ransom|window|taskdl|taskse|archive|configuration)\b|\.wnry\b")
_ON_DESKTOP = "/desktop/@wanadecryptor@.bmp"


def sign_of(finding: Finding) -> Sign | None:
    """Return the sign that a finding is part of; None of low severity, and where it is part of none."""
    if finding.severity is Severity.LOW:
        return None
    return _BY_KIND.get(finding.kind) or _BY_INDICATOR.get((finding.kind, _indicator(finding)))


def stage_of(finding: Finding) -> Stage | None:
    """Return the stage that a finding speaks for, None where it tells none."""
    sign = sign_of(finding)
    return None if sign is None else sign.stage


def _indicator(finding: Finding) -> str:
    """Return the indicator as the table has it."""
    match finding.kind:
        case FindingKind.DIGEST:
            return _part(finding)
        case FindingKind.RANSOM_NOTE if f"/{finding.where.path or ''}".lower().endswith(_ON_DESKTOP):
            return WALLPAPER_ON_DESKTOP
        case FindingKind.NETWORK:
            return finding.facts.get("contact", finding.indicator)
        case FindingKind.EXECUTION if (finding.kind, finding.indicator) not in _BY_INDICATOR:
            return _part(finding)
        case _:
            return finding.indicator


def _part(finding: Finding) -> str:
    """Return which part a known file plays: the worm, or what it unpacks; one of a user's list plays none."""
    if finding.family != FAMILY:
        return ""
    role = finding.facts.get("description", "").lower()
    if _WORM.search(role):
        return WORM_PART
    return INSTALLER_PART if _INSTALLER.search(role) else ""
