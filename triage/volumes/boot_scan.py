"""The rescue when no partition table can be used: NTFS boot sectors, looked for where partitions begin.

Windows aligns partitions to 1 MiB since Vista and put the first one at sector 63 before; logical ones lie 63
sectors or 1 MiB behind the end of the partition before them. So a handful of reads finds what a search of the
whole disk would.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from triage.model.source import ByteSource
from triage.model.volume import Partition, PartitionScheme
from triage.volumes.boot_sector import BOOT_SECTOR_BYTES, NtfsGeometry
from triage.volumes.recognise import backup_boot_sector, ntfs_geometry, read_at

_ALIGNMENT_BYTES = 1 << 20
_TRACK_BYTES = 63 * 512
_MOST_PROBES = 16_384
_LARGEST_VOLUME_BYTES = 1 << 62


class BootScan(Struct, frozen=True, kw_only=True):
    """What was found, and how far the search went before its limit of places to look at."""

    partitions: tuple[Partition, ...]
    searched_bytes: int


def scan_for_ntfs(source: ByteSource, known: Sequence[Partition]) -> BootScan:
    """Look for NTFS boot sectors outside the partitions `known`, and for a backup one in the last sector.

    A found volume is skipped whole, so a boot sector inside it (a disk image stored as a file) is not taken
    for one.
    """
    taken = deque(sorted((part.offset_bytes, part.offset_bytes + part.length_bytes) for part in known))
    found: list[Partition] = []
    first_index = max((part.index for part in known), default=0) + 1
    position, probes = _TRACK_BYTES, 0
    while position < source.size_bytes and probes < _MOST_PROBES:
        while taken and taken[0][1] <= position:
            taken.popleft()
        if taken and taken[0][0] <= position:
            position = taken[0][1]
            continue
        probes += 1
        geometry = ntfs_geometry(read_at(source, position, BOOT_SECTOR_BYTES))
        if geometry is not None and geometry.volume_bytes < _LARGEST_VOLUME_BYTES:
            found.append(_partition(first_index + len(found), position, geometry))
            position += found[-1].length_bytes
        else:
            position = _next_place(position)
    last = _volume_by_backup(source, first_index + len(found))
    if last is not None and not any(_contains(part, last.offset_bytes) for part in (*known, *found)):
        found.append(last)
    return BootScan(partitions=tuple(found), searched_bytes=min(position, source.size_bytes))


def _contains(partition: Partition, offset_bytes: int) -> bool:
    return 0 <= offset_bytes - partition.offset_bytes < partition.length_bytes


def _next_place(position: int) -> int:
    """Return the next place: 63 sectors behind an unaligned one, each MiB otherwise."""
    aligned = (position // _ALIGNMENT_BYTES + 1) * _ALIGNMENT_BYTES
    return min(position + _TRACK_BYTES, aligned) if position % _ALIGNMENT_BYTES else aligned


def _volume_by_backup(source: ByteSource, index: int) -> Partition | None:
    """Return the volume that ends with `source`, as the backup boot sector there describes it."""
    geometry = backup_boot_sector(source)
    if geometry is None:
        return None
    end_bytes = source.size_bytes // geometry.sector_bytes * geometry.sector_bytes
    start_bytes = end_bytes - geometry.sector_bytes - geometry.volume_bytes
    return _partition(index, start_bytes, geometry) if start_bytes > 0 else None


def _partition(index: int, offset_bytes: int, geometry: NtfsGeometry) -> Partition:
    """A volume with its backup boot sector, which lies one sector past what the boot sector counts."""
    return Partition(
        index=index,
        scheme=PartitionScheme.SCAN,
        offset_bytes=offset_bytes,
        length_bytes=geometry.volume_bytes + geometry.sector_bytes,
        type_name="found by its boot sector",
    )
