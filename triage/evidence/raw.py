"""A raw image: one regular file that holds the bytes of a disk or volume as they are, whatever its suffix."""

from __future__ import annotations

from pathlib import Path

from triage.evidence.source import EvidenceSource
from triage.model.errors import EvidenceError
from triage.model.evidence import EvidenceFormat
from triage.model.text import _

# An image does not say how long its disk's sectors were. Disks that show their host 4096-byte sectors are
# rare; the partition parser tries both lengths.
IMAGE_SECTOR_BYTES = 512


def open_raw(path: Path) -> EvidenceSource:
    """Open a regular file; `EvidenceError` where it is empty, `OSError` where it cannot be opened."""
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise EvidenceError(
            _("{path} is empty").format(path=path),
            hint=_("check that the image was copied completely"),
        )
    return EvidenceSource(path, EvidenceFormat.RAW, [(path, size_bytes)], IMAGE_SECTOR_BYTES)
