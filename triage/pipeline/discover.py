"""From evidence paths to volumes: every NTFS volume is opened, every other one is listed with why it was not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from triage.evidence.slice import SliceSource
from triage.evidence.source import EvidenceSource
from triage.model.errors import EvidenceError, VolumeError
from triage.model.gap import Gap, GapKind, Where
from triage.model.text import _
from triage.model.volume import Partition, VolumeInfo
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.partitions import find_partitions
from triage.volumes.recognise import recognise

# File systems that Windows does not write to: what lies there was neither infected nor encrypted by it.
_NOT_OF_WINDOWS = frozenset({"ext4", "xfs", "btrfs", "swap", "lvm", "luks", "hfs+", "empty"})
_EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
_RESERVED = "e3c9e316-0b5c-4db8-817d-f92df00215ae"
# What a volume that is not examined means to its owner.
_DOCUMENTS_MISSED = "documents that may lie there were neither examined nor saved"
_NO_DOCUMENTS = "Windows keeps no documents there"


@dataclass(slots=True, kw_only=True)
class FoundVolume:
    """A volume as the report names it, and the opened NTFS behind it, if it is one that could be opened."""

    info: VolumeInfo
    ntfs: NtfsVolume | None


def discover(sources: Sequence[EvidenceSource], note: Callable[[Gap], None]) -> list[FoundVolume]:
    """Return all volumes of all evidence, numbered `v1`, `v2`, … in order.

    `EvidenceError` for a source without any volume: it is no disk image, or an empty disk.
    """
    found: list[FoundVolume] = []
    for number, source in enumerate(sources):
        partitions, gaps = find_partitions(source)
        if not partitions:
            raise _nothing_there(source, gaps)
        for gap in gaps:
            note(_of_evidence(gap, source) if len(sources) > 1 else gap)
        for partition in partitions:
            kind = recognise(SliceSource(source, partition.offset_bytes, partition.length_bytes))
            found.append(_open(source, number, partition, kind, f"v{len(found) + 1}", note))
    if not any(volume.ntfs for volume in found):
        detail = "no NTFS volume could be examined in this evidence"
        note(Gap(kind=GapKind.VOLUME_NOT_EXAMINED, detail=detail))
    return found


def _nothing_there(source: EvidenceSource, gaps: Sequence[Gap]) -> EvidenceError:
    """Return the error for evidence without a volume; the gaps tell what was looked for."""
    return EvidenceError(
        _("{path} is not a disk image, or an empty disk: {reason}").format(
            path=source.path, reason="; ".join(gap.detail for gap in gaps)
        ),
        hint=_("give a raw image of a disk or volume; unpack or convert other formats first"),
    )


def _of_evidence(gap: Gap, source: EvidenceSource) -> Gap:
    """Return a gap that is of no volume with the evidence that it is of."""
    return msgspec.structs.replace(gap, detail=f"{source.path}: {gap.detail}")


def _open(
    source: EvidenceSource,
    number: int,
    partition: Partition,
    kind: str,
    volume_id: str,
    note: Callable[[Gap], None],
) -> FoundVolume:
    """Open one volume if it is NTFS; what cannot be examined is listed, with a gap."""
    piece = SliceSource(source, partition.offset_bytes, partition.length_bytes)
    info = VolumeInfo(
        id=volume_id,
        evidence=number,
        offset_bytes=partition.offset_bytes,
        length_bytes=partition.length_bytes,
        filesystem=kind,
        examined=False,
        partition=partition,
    )
    if kind != "ntfs":
        why_not = f"{kind}: only NTFS is examined"
        return FoundVolume(info=_not_examined(info, why_not, note, material=_matters(partition, kind)), ntfs=None)
    try:
        ntfs = NtfsVolume(piece, volume_id)
        label = ntfs.read_label()
    except VolumeError as error:
        return FoundVolume(info=_not_examined(info, str(error), note, material=True), ntfs=None)
    for gap in ntfs.gaps:
        note(gap)
    # What the evidence lacks of its partitions has been told with them; this is what the table leaves out.
    left_out_bytes = ntfs.geometry.volume_bytes - partition.length_bytes
    if left_out_bytes > 0:
        detail = f"the volume is {left_out_bytes} bytes longer than its partition; its end was not read"
        where = Where(volume=volume_id, offset_bytes=partition.length_bytes)
        note(Gap(kind=GapKind.PARTITION_TABLE, detail=detail, where=where, bytes=left_out_bytes))
    geometry = ntfs.geometry
    info = msgspec.structs.replace(
        info, examined=True, label=label, serial=geometry.serial, cluster_bytes=geometry.cluster_bytes
    )
    return FoundVolume(info=info, ntfs=ntfs)


def _not_examined(info: VolumeInfo, why_not: str, note: Callable[[Gap], None], *, material: bool) -> VolumeInfo:
    gap = Gap(
        kind=GapKind.VOLUME_NOT_EXAMINED,
        detail=f"{why_not}; {_DOCUMENTS_MISSED if material else _NO_DOCUMENTS}",
        where=Where(volume=info.id),
        bytes=info.length_bytes,
        material=material,
    )
    note(gap)
    return msgspec.structs.replace(info, why_not=why_not)


def _matters(partition: Partition, kind: str) -> bool:
    """Say whether Windows may have kept anything of interest in a volume that we do not examine."""
    return kind not in _NOT_OF_WINDOWS and partition.type_id.lower() not in (_EFI_SYSTEM, _RESERVED)
