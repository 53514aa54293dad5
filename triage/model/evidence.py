"""A piece of evidence as it stands in the report: what it is, and the proof that nothing was written to it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class EvidenceFormat(StrEnum):
    """How the bytes of the evidence are stored."""

    RAW = "raw"
    SPLIT = "split"
    DEVICE = "device"


class WriteProofMethod(StrEnum):
    """Which kind of proof was taken: of a block device by the kernel, or of a file by its status."""

    DEVICE = "device"
    FILE = "file"


class WriteProof(Struct, frozen=True, kw_only=True):
    """State before and after the run: `before` and `after` hold the same facts, `unchanged` is their comparison.

    Files: size, mtime, and SHA-256 with `--hash-evidence`, for each segment. Devices: read-only flag and the kernel's
    counters of written sectors and discards, for the disk, each partition and each holder.
    `after` is None while the run has not ended.
    """

    method: WriteProofMethod
    before: dict[str, str | int | bool | None]
    after: dict[str, str | int | bool | None] | None = None
    unchanged: bool | None = None


class Evidence(Struct, frozen=True, kw_only=True):
    """One evidence path given by the user; `sha256` only with `--hash-evidence`."""

    path: str
    format: EvidenceFormat
    size_bytes: int
    segments: tuple[str, ...] = ()
    sha256: str | None = None
    write_proof: WriteProof | None = None
