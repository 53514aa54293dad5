"""What could not be looked for: gaps that leave it open whether a missing sign is truly missing. One table.

The signs that a stage never fails to leave lie on the volume that Windows is on; gaps elsewhere leave them closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from triage.model.event import EventKind
from triage.model.finding import FindingKind
from triage.model.gap import Gap, GapKind
from triage.model.volume import VolumeInfo
from triage.verdict.traces import IDS_NAMED

_ENTRIES = frozenset(
    {
        GapKind.EVIDENCE_TRUNCATED,
        GapKind.PARTITION_TABLE,
        GapKind.VOLUME_NOT_EXAMINED,
        GapKind.BOOT_SECTOR,
        GapKind.MFT_RECORD,
        GapKind.MFT_BITMAP,
        GapKind.LEDGER,
    }
)
_CONTENT = _ENTRIES | {
    GapKind.RUN_LIST,
    GapKind.READ_ERROR,
    GapKind.NOT_DECODABLE,
    GapKind.EFS_ENCRYPTED,
    GapKind.EXCLUDED,
    GapKind.WORKER_DIED,
    GapKind.INTERRUPTED,
    GapKind.INTERNAL,
}
_HIVES = frozenset(
    {
        GapKind.EVIDENCE_TRUNCATED,
        GapKind.PARTITION_TABLE,
        GapKind.VOLUME_NOT_EXAMINED,
        GapKind.HIVE_MISSING,
        GapKind.HIVE_DAMAGED,
        GapKind.HIVE_DIRTY,
    }
)
BLINDING: dict[FindingKind | EventKind, frozenset[GapKind]] = {
    FindingKind.NAME: _ENTRIES,
    FindingKind.RANSOM_NOTE: _ENTRIES,
    FindingKind.KEY_FILE: _ENTRIES,
    FindingKind.ENCRYPTED_FILE: _CONTENT,
    FindingKind.SERVICE: _HIVES,
    FindingKind.REGISTRY: _HIVES,
}
"""For each kind of finding that a certain sign may be of: the gaps that may hide it."""


def blinding_gaps(gaps: Iterable[Gap], volumes: Sequence[VolumeInfo]) -> dict[GapKind, list[str]]:
    """Return the ids of the first material gaps of each kind that concern a volume with a Windows, or all."""
    windows = {volume.id for volume in volumes if volume.windows is not None}
    found: dict[GapKind, list[str]] = {}
    for gap in gaps:
        if gap.material and (gap.where.volume is None or gap.where.volume in windows):
            ids = found.setdefault(gap.kind, [])
            if len(ids) < IDS_NAMED:
                ids.append(gap.id)
    return found
