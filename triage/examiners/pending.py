"""Files to be deleted at the next start → findings: originals that WannaCry could not delete at once.

It has Windows delete them before anything else runs (decompiled code; wanakiwi clears the list for this reason). Until
then they are whole. A file that is put back under such a name vanishes as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from msgspec.structs import replace

from triage.artefacts.pending_renames import PendingRename, PendingRenames
from triage.artefacts.system import SystemHive
from triage.model.filetime import filetime_to_iso
from triage.model.finding import USERS_DELETIONS, Finding, FindingKind, Severity

FAMILY = "wannacry"
INDICATOR_SET = "wannacry-registry"
WARNING = "restored files of these names vanish at the next start of this Windows"

_CONTAINER = re.compile(r"\.(?:wncryt?|wncyr)$", re.IGNORECASE)
_PROGRAM = re.compile(
    r"(?:^|\\)(?:tasksche\.exe|mssecsvc\.exe|qeriuwjhrf|taskdl\.exe|taskse\.exe|@wanadecryptor@\.exe)$", re.IGNORECASE
)
_ROOT = r"(?:[a-z]:|.*volume[^\\]*|unc\\[^\\]+\\[^\\]+)\\"
_HOME = re.compile(_ROOT + r"(?:users|documents and settings)\\", re.IGNORECASE)
_OF_SETTINGS = re.compile(r"\\(?:appdata|application data|local settings)\\", re.IGNORECASE)
_MAIL_OR_NOTES = re.compile(r"\.(?:pst|ost|msg|eml|edb|onetoc2|snt)$", re.IGNORECASE)
_OF_WINDOWS = re.compile(
    _ROOT + r"(?:windows(?:\.old)?|winnt|program files(?: \(x86\))?|programdata|intel|perflogs|recovery|boot"
    r"|config\.msi|msocache|system volume information|\$[^\\]*|te?mp)\\",
    re.IGNORECASE,
)
"""Where installers and updates of Windows have files deleted at the next start, and WannaCry encrypts next to none."""
_HAS_EXTENSION = re.compile(r"\.[^\\.]+$")
_OF_PROGRAMS = re.compile(
    r"\.(?:exe|dll|sys|drv|ocx|cpl|scr|msi|msp|cab|tmp|rbf|rbs|inf|cat|mui|pnf|ini|manifest)$", re.IGNORECASE
)
_NAMED = 20
_LISTED = 5000


def examine_pending(system: SystemHive) -> tuple[Finding, ...]:
    """Return at most one finding for each list. Most lists are what installers leave, and none.

    What names only the programs may be the work of an antivirus, so it tells no stage; the deletion of a user's files
    may have other reasons. Whichever it is, all users' files of the list are named: what they mean, other traces tell.
    """
    met = ((pending, _rule(pending.operations)) for pending in system.pending_renames)
    return tuple(_finding(system, pending, *rule) for pending, rule in met if rule is not None)


def _rule(operations: Sequence[PendingRename]) -> tuple[str, Severity, str] | None:
    """Return which indicator a list meets, how much that weighs, and the first file that meets it."""
    deleted = [one.source for one in operations if one.target == ""]
    for path in deleted:
        if _CONTAINER.search(path):
            return "pending-deletions", Severity.MEDIUM, path
    for path in deleted:
        if _PROGRAM.search(path):
            return "pending-program-deletions", Severity.MEDIUM, path
    for path in deleted:
        if _is_users(path):
            return "pending-user-file-deletions", Severity.LOW, path
    return None


def _is_users(path: str) -> bool:
    """Say whether a path is that of a user's file, encrypted or moved away: what nobody wants to be deleted.

    In a home folder that is any file but those of settings; outside of it one that neither Windows nor a program has.
    """
    if _CONTAINER.search(path):
        return True
    if _PROGRAM.search(path):
        return False
    if _HOME.match(path):
        return _OF_SETTINGS.search(path) is None or _MAIL_OR_NOTES.search(path) is not None
    return not (_OF_WINDOWS.match(path) or _OF_PROGRAMS.search(path)) and _HAS_EXTENSION.search(path) is not None


def _finding(system: SystemHive, pending: PendingRenames, indicator: str, severity: Severity, path: str) -> Finding:
    deleted = [one.source for one in pending.operations if one.target == ""]
    renamed = [f"{one.source} -> {one.target}" for one in pending.operations if one.target != ""]
    written = filetime_to_iso(pending.last_written)
    return Finding(
        family=FAMILY,
        kind=FindingKind.REGISTRY,
        indicator=indicator,
        set=INDICATOR_SET,
        severity=severity,
        where=replace(system.where, offset_bytes=pending.offset_bytes),
        times={} if written is None else {"key_last_written": written},
        excerpt=path,
        facts={
            "key": pending.key_path,
            "value": pending.value,
            "control_set": str(pending.control_set),
            "deletions": str(len(deleted)),
            "renames": str(len(renamed)),
            "files": "\n".join((deleted + renamed)[:_NAMED]),
            USERS_DELETIONS: json.dumps([path for path in deleted if _is_users(path)][:_LISTED]),
            "warning": WARNING,
        },
    )
