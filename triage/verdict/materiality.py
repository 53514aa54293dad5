"""Which gaps leave the question open: one table, so that what a gap costs is decided in one place.

A material gap makes "nothing found" impossible. A gap that its maker marked as worked around (`material=False`) stays
immaterial whatever its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from triage.model.gap import Gap, GapKind


def _is_material(kind: GapKind) -> bool:
    """The table: mypy refuses it as long as a kind is missing."""
    match kind:
        case (
            GapKind.EVIDENCE_TRUNCATED
            | GapKind.EVIDENCE_CHANGED  # what was read may not be what is there
            | GapKind.PARTITION_TABLE
            | GapKind.VOLUME_NOT_EXAMINED
            | GapKind.BOOT_SECTOR
            | GapKind.MFT_RECORD
            | GapKind.MFT_BITMAP
            | GapKind.MFT_STREAM_COUNT
            | GapKind.LEDGER
            | GapKind.RUN_LIST
            | GapKind.READ_ERROR
            | GapKind.NOT_DECODABLE
            | GapKind.EFS_ENCRYPTED
            | GapKind.EXCLUDED  # so a quick run never says that nothing was found
            | GapKind.YARA_TIMEOUT
            | GapKind.YARA_ERROR
            | GapKind.HIVE_MISSING
            | GapKind.HIVE_DAMAGED
            | GapKind.HIVE_DIRTY
            | GapKind.WORKER_DIED
            | GapKind.INTERRUPTED
            | GapKind.INTERNAL
        ):
            return True
        case (
            GapKind.REPARSE_POINT  # the content is not on this disk
            | GapKind.ARTEFACT  # a log that Windows keeps: like the change journal
            | GapKind.CHANGE_JOURNAL  # it tells of the past; what is on the disk now is examined by itself
            | GapKind.NOT_ISOLATED  # what was seen is as good; the examining computer was less protected
            | GapKind.NOT_RESCUED  # the file was examined; that it was not saved shows in the exit code
        ):
            return False
        case _:
            assert_never(kind)


MATERIAL: dict[GapKind, bool] = {kind: _is_material(kind) for kind in GapKind}


def weigh(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Return the gaps with `material` settled by the table."""
    return tuple(
        gap
        if gap.material is (weight := gap.material and MATERIAL[gap.kind])
        else msgspec.structs.replace(gap, material=weight)
        for gap in gaps
    )
