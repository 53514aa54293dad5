"""What was not seen: every skip, limit, timeout and unreadable range is a `Gap`, a value like a finding."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Where(Struct, frozen=True, kw_only=True):
    """A place in the evidence; what does not apply is None. `path` is `/`-separated from the root, as on disk.

    `other_paths` are the further hard links of the same file.
    """

    volume: str | None = None
    path: str | None = None
    other_paths: tuple[str, ...] = ()
    stream: str | None = None
    mft_entry: int | None = None
    offset_bytes: int | None = None


class GapKind(StrEnum):
    """Why something was not seen. Which are material is decided by the table in `triage/verdict/materiality.py`."""

    EVIDENCE_TRUNCATED = "evidence-truncated"
    EVIDENCE_CHANGED = "evidence-changed"
    PARTITION_TABLE = "partition-table"
    VOLUME_NOT_EXAMINED = "volume-not-examined"
    BOOT_SECTOR = "boot-sector"
    MFT_RECORD = "mft-record"
    MFT_BITMAP = "mft-bitmap"
    MFT_STREAM_COUNT = "mft-stream-count"
    LEDGER = "ledger"
    RUN_LIST = "run-list"
    READ_ERROR = "read-error"
    NOT_DECODABLE = "not-decodable"
    EFS_ENCRYPTED = "efs-encrypted"
    REPARSE_POINT = "reparse-point"
    EXCLUDED = "excluded"
    YARA_TIMEOUT = "yara-timeout"
    YARA_ERROR = "yara-error"
    HIVE_MISSING = "hive-missing"
    HIVE_DAMAGED = "hive-damaged"
    HIVE_DIRTY = "hive-dirty"
    CHANGE_JOURNAL = "change-journal"
    ARTEFACT = "artefact"
    WORKER_DIED = "worker-died"
    INTERRUPTED = "interrupted"
    NOT_RESCUED = "not-rescued"
    NOT_ISOLATED = "not-isolated"
    INTERNAL = "internal"


class Gap(Struct, frozen=True, kw_only=True):
    """One thing that was not read, parsed or saved: `detail` says what and why, `bytes` how much where that is known.

    `id` and `material` are set once, by the verdict, when all gaps of a case are together.
    """

    kind: GapKind
    detail: str
    where: Where = Where()
    bytes: int | None = None
    material: bool = True
    id: str = ""
