"""Files to be deleted at the next start → findings: originals that WannaCry could not delete at once.

It has Windows delete them before anything else runs (decompiled code; wanakiwi clears the list for this reason). Until
then they are whole. A file that is put back under such a name vanishes as well.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from triage.artefacts.pending_renames import PendingRename, PendingRenames
from triage.artefacts.system import SystemHive
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, FindingKind, Severity

FAMILY = "wannacry"
INDICATOR_SET = "wannacry-registry"
WARNING = "restored files of these names vanish at the next start of this Windows"

_OURS = re.compile(
    r"\.wncryt?$|\.wncyr$|(?:^|\\)(?:tasksche\.exe|mssecsvc\.exe|qeriuwjhrf|taskdl\.exe|taskse\.exe|@wanadecryptor@\.)",
    re.IGNORECASE,
)
_NAMED = 20


def examine_pending(system: SystemHive) -> tuple[Finding, ...]:
    """Return a finding for each list that names files of WannaCry. Other lists are what installers leave."""
    return tuple(_finding(system, one) for one in system.pending_renames if any(map(_is_ours, one.operations)))


def _is_ours(operation: PendingRename) -> bool:
    return _OURS.search(operation.source) is not None


def _finding(system: SystemHive, pending: PendingRenames) -> Finding:
    deleted = [one.source for one in pending.operations if one.target == ""]
    renamed = [f"{one.source} -> {one.target}" for one in pending.operations if one.target != ""]
    ours = [one.source for one in pending.operations if _is_ours(one)]
    written = filetime_to_iso(pending.last_written)
    return Finding(
        family=FAMILY,
        kind=FindingKind.REGISTRY,
        indicator="pending-deletions",
        set=INDICATOR_SET,
        severity=Severity.MEDIUM,
        where=replace(system.where, offset_bytes=pending.offset_bytes),
        times={} if written is None else {"key_last_written": written},
        excerpt=ours[0],
        facts={
            "key": pending.key_path,
            "value": pending.value,
            "control_set": str(pending.control_set),
            "deletions": str(len(deleted)),
            "renames": str(len(renamed)),
            "files": "\n".join((deleted + renamed)[:_NAMED]),
            "warning": WARNING,
        },
    )
