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
_HOME = re.compile(r"[a-z]:\\(?:users|documents and settings)\\", re.IGNORECASE)
_TRANSIENT = re.compile(r"\\(?:appdata|application data|local settings)\\", re.IGNORECASE)
_NAMED = 20
_LISTED = 5000


def examine_pending(system: SystemHive) -> tuple[Finding, ...]:
    """Return at most one finding for each list. Most lists are what installers leave, and none.

    What names only the programs may be the work of an antivirus, so it tells no stage; the deletion of a user's files
    may have other reasons.
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
    """Say whether a path is that of a user's file, encrypted or moved away: what nobody wants to be deleted."""
    if _PROGRAM.search(path):
        return False
    return _CONTAINER.search(path) is not None or (_HOME.match(path) is not None and not _TRANSIENT.search(path))


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
