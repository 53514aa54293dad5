"""What was found: each finding can be reproduced by hand from its place, digest and indicator."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from triage.model.gap import Where

USERS_DELETIONS = "users_files"
"""Fact of a list of deletions at the next start: the users' files in it, as a JSON list of paths."""


class Severity(StrEnum):
    """How much a finding weighs. Low ones alone never make the verdict `indicators-found`."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class FindingKind(StrEnum):
    """What kind of evidence the finding is."""

    DIGEST = "digest"
    NAME = "name"
    YARA = "yara"
    SERVICE = "service"
    REGISTRY = "registry"
    WORK_DIRECTORY = "work-directory"
    KEY_FILE = "key-file"
    RANSOM_NOTE = "ransom-note"
    ENCRYPTED_FILE = "encrypted-file"
    JOURNAL = "journal"
    EXECUTION = "execution"
    EVENT_LOG = "event-log"
    SCHEDULED_TASK = "scheduled-task"
    NETWORK = "network"


class Digests(Struct, frozen=True, kw_only=True):
    """Digests of one stream in lower-case hexadecimal; None where it was not computed."""

    md5: str | None = None
    sha256: str | None = None
    sha1: str | None = None


class Finding(Struct, frozen=True, kw_only=True):
    """One indicator met in one place.

    `indicator` is what matched (a rule's name, a digest, a name pattern), `set` the indicator set it came from.
    `times` maps a name (`si_created`, `fn_created`, `key_last_written`, …) to UTC ISO 8601 with seven decimals, which
    keeps a FILETIME whole. `facts` are further values as text (`original_size_bytes`, `image_path`, `windowed`, …).
    `id` is set once, when all findings of a case are together and sorted.
    """

    family: str
    kind: FindingKind
    indicator: str
    set: str
    severity: Severity
    where: Where
    times: dict[str, str] = {}
    digests: Digests = Digests()
    excerpt: str = ""
    facts: dict[str, str] = {}
    deleted: bool = False
    id: str = ""
