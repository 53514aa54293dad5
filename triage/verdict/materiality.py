"""Which gaps leave the question open: one table, so that what a gap costs is decided in one place.

A material gap makes "nothing found" impossible. A gap that its maker marked as worked around (`material=False`) stays
immaterial whatever its kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from triage.model.gap import Gap, GapKind

MATERIAL: dict[GapKind, bool] = {
    GapKind.EVIDENCE_TRUNCATED: True,
    GapKind.EVIDENCE_CHANGED: True,  # what was read may not be what is there
    GapKind.PARTITION_TABLE: True,
    GapKind.VOLUME_NOT_EXAMINED: True,
    GapKind.BOOT_SECTOR: True,
    GapKind.MFT_RECORD: True,
    GapKind.MFT_BITMAP: True,
    GapKind.MFT_STREAM_COUNT: True,
    GapKind.RUN_LIST: True,
    GapKind.READ_ERROR: True,
    GapKind.NOT_DECODABLE: True,
    GapKind.EFS_ENCRYPTED: True,
    GapKind.REPARSE_POINT: False,  # the content is not on this disk
    GapKind.YARA_TIMEOUT: True,
    GapKind.YARA_ERROR: True,
    GapKind.HIVE_MISSING: True,
    GapKind.HIVE_DAMAGED: True,
    GapKind.HIVE_DIRTY: True,
    GapKind.CHANGE_JOURNAL: False,  # it tells of the past; what is on the disk now is examined by itself
    GapKind.WORKER_DIED: True,
    GapKind.INTERRUPTED: True,
    GapKind.NOT_RESCUED: False,  # the file was examined; that it was not saved shows in the exit code
    GapKind.INTERNAL: True,
}


def weigh(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Return the gaps with `material` settled by the table."""
    return tuple(
        gap
        if gap.material is (weight := gap.material and MATERIAL[gap.kind])
        else msgspec.structs.replace(gap, material=weight)
        for gap in gaps
    )
