"""The proof that nothing was written to the evidence: its state before and after the run, taken from outside.

For a file: size, inode and times of each segment. The time of the last status change (ctime) counts too, as
no program can set it back. It is as fine as the kernel's clock tick (milliseconds), some file systems (FAT,
exFAT, network shares) keep a coarse one or none, and what is written underneath the file system changes
neither time: there the digest decides.

For a device: read-only flag, size and the kernel's counters of writes, discards and flushes, for the disk,
each partition and each holder; for a loop device its file too, which can be written behind the device's back.
The counters do not see what another machine writes to a shared disk: there, too, the digest decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from triage.evidence.source import EvidenceSource
from triage.evidence.sysfs import (
    BlockDevice,
    backing_file,
    is_read_only,
    related_devices,
    size_bytes,
    write_counters,
)
from triage.model.errors import EvidenceLostError
from triage.model.evidence import EvidenceFormat, WriteProof, WriteProofMethod

Facts = dict[str, str | int | bool | None]
Progress = Callable[[int], None]
"""Called with the bytes hashed since the last call."""

DIGEST_FACT = "sha256"
UNREADABLE_FACT = "sha256_unreadable_offset_bytes"
_BUFFER_BYTES = 4 << 20
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def take_before(source: EvidenceSource, *, hash_evidence: bool, progress: Progress) -> WriteProof:
    """Record the state of `source` before anything else reads it; a device has been set read-only by then.

    With `hash_evidence` the fact `sha256` is the digest of all segments end to end. It is None where a range
    cannot be read, and `sha256_unreadable_offset_bytes` tells in which 4 MiB.
    """
    method = WriteProofMethod.DEVICE if source.format is EvidenceFormat.DEVICE else WriteProofMethod.FILE
    return WriteProof(method=method, before=_facts(source, hash_evidence, progress))


def take_after(source: EvidenceSource, proof: WriteProof, *, progress: Progress) -> WriteProof:
    """Return `proof` with the state after the run, hashed again if it was before.

    `unchanged` is False as soon as one fact differs: also when a segment or device has gone, or a new holder
    came.
    """
    after = _facts(source, DIGEST_FACT in proof.before, progress)
    return msgspec.structs.replace(proof, after=after, unchanged=after == proof.before)


def _facts(source: EvidenceSource, hash_evidence: bool, progress: Progress) -> Facts:
    facts: Facts = {}
    if source.format is EvidenceFormat.DEVICE:
        for device in related_devices(source.device_number):
            facts |= _device_facts(device)
    else:
        for segment in source.segments:
            facts |= _file_facts(segment.name, segment)
    if hash_evidence:
        facts |= _digest_facts(source, progress)
    return facts


def _device_facts(device: BlockDevice) -> Facts:
    facts: Facts = {
        f"{device.name}.size_bytes": size_bytes(device.name),
        f"{device.name}.read_only": is_read_only(device.name),
    }
    counters = write_counters(device.name)
    if counters is not None:
        facts |= {f"{device.name}.{name}": value for name, value in msgspec.structs.asdict(counters).items()}
    backing = backing_file(device.name)
    if backing is not None:
        facts |= _file_facts(f"{device.name}.backing_file", backing)
    return facts


def _file_facts(name: str, path: Path) -> Facts:
    """Return what the status of a file tells, each None where the file has gone."""
    try:
        status = path.stat()
    except OSError:
        return dict.fromkeys((f"{name}.size_bytes", f"{name}.inode", f"{name}.modified_utc", f"{name}.changed_utc"))
    return {
        f"{name}.size_bytes": status.st_size,
        f"{name}.inode": status.st_ino,
        f"{name}.modified_utc": _utc(status.st_mtime_ns),
        f"{name}.changed_utc": _utc(status.st_ctime_ns),
    }


def _digest_facts(source: EvidenceSource, progress: Progress) -> Facts:
    """Hash the evidence from its medium: what the kernel has cached of a device may be out of date."""
    source.drop_cache()
    digest = hashlib.sha256()
    view = memoryview(bytearray(_BUFFER_BYTES))
    position = 0
    while position < source.size_bytes:
        source.prefetch(position + _BUFFER_BYTES, _BUFFER_BYTES)
        try:
            filled_bytes = source.read_into(position, view)
        except (OSError, EvidenceLostError):
            return {DIGEST_FACT: None, UNREADABLE_FACT: position}
        digest.update(view[:filled_bytes])
        position += filled_bytes
        progress(filled_bytes)
    return {DIGEST_FACT: digest.hexdigest()}


def _utc(nanoseconds: int) -> str:
    """Return UTC ISO 8601 with nine decimals; a time that no calendar has as its count of nanoseconds."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    try:
        moment = _UNIX_EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return f"{nanoseconds} ns"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
