"""Files that hold pieces of other files: what matches in them does not say that the file itself is anything.

A rule that wants several strings can find them in `$MFT`, a page file or a crash dump in pieces of unrelated files,
among them the signatures of an antivirus program. Such findings stay, with low severity.
"""

from __future__ import annotations

import msgspec

from triage.model.entry import FIRST_USER_ENTRY, Subject
from triage.model.finding import Finding, FindingKind, Severity

_ROOT_ENTRY = 5  # its alternate streams are anybody's
_PATHS = frozenset({"pagefile.sys", "swapfile.sys", "hiberfil.sys", "windows/memory.dmp"})


def holds_other_files(subject: Subject) -> bool:
    """Say whether a stream is file system metadata, paged memory or a dump."""
    if subject.mft_entry < FIRST_USER_ENTRY:
        return subject.mft_entry != _ROOT_ENTRY
    return subject.path.startswith("$Extend/") or subject.path.lower() in _PATHS


def weaken(finding: Finding, subject: Subject) -> Finding:
    """Return a YARA finding as low where the stream holds pieces of other files; anything else as it is."""
    if finding.kind is not FindingKind.YARA or not holds_other_files(subject):
        return finding
    facts = finding.facts | {"weakened": "the file holds pieces of other files", "severity_of_rule": finding.severity}
    return msgspec.structs.replace(finding, severity=Severity.LOW, facts=facts)
