"""Finds the volumes of a disk: which table to believe, and what to do when there is none.

The tables themselves are read in `mbr.py` and `gpt.py`, the rescue without one in `boot_scan.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from triage.evidence.slice import SliceSource
from triage.model.gap import Gap, GapKind, Where
from triage.model.source import ByteSource
from triage.model.volume import Partition, PartitionScheme
from triage.volumes.boot_scan import scan_for_ntfs
from triage.volumes.gpt import GptTable, read_gpt
from triage.volumes.mbr import MBR_BYTES, MbrTable, read_mbr
from triage.volumes.recognise import EMPTY, UNKNOWN, ntfs_geometry, read_at, recognise

_SECTOR_SIZES = (512, 4096)
_LARGEST_BYTES = 1 << 62


class _Choice(Struct, frozen=True, kw_only=True):
    """The table to believe, whether all of it could be used, and the length of the disk (0: not told)."""

    table: MbrTable | GptTable
    damaged: bool
    disk_bytes: int
    gaps: tuple[Gap, ...]


def find_partitions(source: ByteSource) -> tuple[list[Partition], list[Gap]]:
    """Return the partitions of `source`, or the whole of it as one `BARE` volume, and what could not be read.

    A table is believed by its content: of those that are there, the first with a partition that holds
    something we know. Without a table that can be used, or beside a damaged one, NTFS volumes are looked for
    by their boot sectors. No partition, and a gap that says so: there is neither a table nor a volume.
    Nothing that the evidence holds makes it raise; an `OSError` of the source becomes a gap.
    """
    bare = recognise(source) not in (UNKNOWN, EMPTY)
    choice = _choose_table(source, bare)
    if choice is None and bare:
        return _bare(source)
    partitions = list(choice.table.partitions) if choice is not None else []
    gaps = list(choice.gaps) if choice is not None else []
    if choice is None or choice.damaged:
        reason = "the partition table is damaged" if choice is not None else _why_no_table(source)
        found, gap = _scan(source, partitions, reason)
        partitions += found
        gaps.append(gap)
    disk_bytes = choice.disk_bytes if choice is not None else 0
    return partitions, gaps + _missing_ends(source, partitions, disk_bytes) + _overlaps(partitions)


def _why_no_table(source: ByteSource) -> str:
    if len(read_at(source, 0, MBR_BYTES)) < min(MBR_BYTES, source.size_bytes):
        return "the first sector cannot be read"
    return "no partition table that names a partition"


def _scan(source: ByteSource, known: Sequence[Partition], reason: str) -> tuple[Sequence[Partition], Gap]:
    """Look for NTFS without a table; the gap says so, with the bytes that the search left out."""
    scan = scan_for_ntfs(source, known)
    detail = (
        f"{reason}; NTFS boot sectors looked for where partitions begin,"
        f" up to byte {scan.searched_bytes}: {len(scan.partitions)} found"
    )
    left_bytes = source.size_bytes - scan.searched_bytes
    return scan.partitions, _gap(detail, 0, left_bytes if left_bytes > 0 else None)


def _choose_table(source: ByteSource, bare: bool) -> _Choice | None:
    """Return the table to believe; None where there is none with a partition in it.

    With a protective MBR the GPT comes first (a hybrid MBR repeats some of its entries). Without, its MBR was
    lost or it is what remains of an older partitioning: it comes last, and not at all where the whole is one
    volume (`bare`). In that case a table (a boot sector's last bytes may look like one) must name a partition
    that holds something.
    """
    sector_sizes = (source.sector_bytes, *(size for size in _SECTOR_SIZES if size != source.sector_bytes))
    mbrs = [read_mbr(source, sector_bytes) for sector_bytes in sector_sizes]
    protective = mbrs[0].protective
    found = [read_gpt(source, size) for size in sector_sizes] if protective or not bare else []
    gpts = sorted((table for table in found if table is not None), key=lambda table: len(table.gaps))
    tables: list[MbrTable | GptTable] = [*gpts, *mbrs] if protective else [*mbrs, *gpts]
    used = [table for table in tables if table.partitions]
    chosen = next((table for table in used if _holds_something(source, table.partitions)), None)
    if chosen is None and used and not bare:
        chosen = used[0]
    if chosen is None:
        return None
    gaps = list(chosen.gaps)
    lost_gpt = protective and isinstance(chosen, MbrTable)
    if lost_gpt:
        gaps.append(_gap("the MBR announces a GPT, but no copy of it can be used", 0))
    if not protective and isinstance(chosen, GptTable):
        gaps.append(_gap("the protective MBR of the GPT is damaged or missing", 0))
    return _Choice(
        table=chosen,
        damaged=chosen.damaged or lost_gpt,
        disk_bytes=chosen.disk_bytes if isinstance(chosen, GptTable) else 0,
        gaps=tuple(gaps),
    )


def _holds_something(source: ByteSource, partitions: Sequence[Partition]) -> bool:
    """Tell whether one of the partitions begins, behind the table, with something that we can name."""
    return any(
        partition.offset_bytes > 0 and recognise(_slice(source, partition)) not in (UNKNOWN, EMPTY)
        for partition in partitions
    )


def _bare(source: ByteSource) -> tuple[list[Partition], list[Gap]]:
    """Return the whole of `source` as one volume, as long as its NTFS boot sector says if that is more."""
    geometry = ntfs_geometry(read_at(source, 0, MBR_BYTES))
    volume_bytes = geometry.volume_bytes if geometry is not None else 0
    length_bytes = max(source.size_bytes, min(volume_bytes, _LARGEST_BYTES))
    partition = Partition(index=0, scheme=PartitionScheme.BARE, offset_bytes=0, length_bytes=length_bytes)
    return [partition], _missing_ends(source, [partition], 0)


def _missing_ends(source: ByteSource, partitions: Sequence[Partition], disk_bytes: int) -> list[Gap]:
    """Return what lies beyond the end of the evidence: ends of partitions, or else the end of the disk."""
    gaps = []
    for partition in partitions:
        end_bytes = _end(partition)
        missing_bytes = min(partition.length_bytes, end_bytes - source.size_bytes)
        if missing_bytes > 0:
            what = f"partition {partition.index}" if partition.index else "the volume"
            detail = f"{what} ends at byte {end_bytes}, the evidence at byte {source.size_bytes}"
            gaps.append(_gap(detail, partition.offset_bytes, missing_bytes, GapKind.EVIDENCE_TRUNCATED))
    missing_bytes = disk_bytes - source.size_bytes
    if missing_bytes > 0 and not gaps:
        detail = f"the disk ends at byte {disk_bytes}, the evidence behind all partitions"
        gaps.append(_gap(detail, source.size_bytes, missing_bytes, GapKind.EVIDENCE_TRUNCATED))
    return gaps


def _overlaps(partitions: Sequence[Partition]) -> list[Gap]:
    """Return a gap for each partition that begins inside another: one of the two entries is wrong."""
    gaps = []
    furthest: Partition | None = None
    for partition in sorted(partitions, key=lambda partition: partition.offset_bytes):
        if furthest is not None and partition.offset_bytes < _end(furthest):
            detail = f"partition {partition.index} begins inside partition {furthest.index}"
            gaps.append(_gap(detail, partition.offset_bytes))
        if furthest is None or _end(partition) > _end(furthest):
            furthest = partition
    return gaps


def _end(partition: Partition) -> int:
    return partition.offset_bytes + partition.length_bytes


def _gap(detail: str, offset_bytes: int, size: int | None = None, kind: GapKind = GapKind.PARTITION_TABLE) -> Gap:
    return Gap(kind=kind, detail=detail, where=Where(offset_bytes=offset_bytes), bytes=size)


def _slice(source: ByteSource, partition: Partition) -> SliceSource:
    return SliceSource(source, partition.offset_bytes, partition.length_bytes)
