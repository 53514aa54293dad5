"""The NTFS boot sector: the geometry of a volume, read from its first sector or from the backup in its last.

Source: [MS-NTFS] and the "NTFS Documentation" of the Linux-NTFS project, file `$Boot`.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from triage.model.errors import ParseError

BOOT_SECTOR_BYTES = 512
_OEM_ID = b"NTFS    "
_LARGEST_BYTES = (1 << 63) - 1  # offsets are signed numbers to every system that reads them
_LAYOUT = struct.Struct("<11xHB26xQQQb3xb3xQ")


class NtfsGeometry(Struct, frozen=True, kw_only=True):
    """Sizes and places of one NTFS volume; clusters are numbered from the volume's first byte."""

    sector_bytes: int
    cluster_bytes: int
    record_bytes: int
    volume_bytes: int
    mft_cluster: int
    mft_mirror_cluster: int
    serial: str


def parse_boot_sector(sector: bytes) -> NtfsGeometry:
    """Return the geometry; `ParseError` when the sector is no plausible NTFS boot sector.

    Clusters from 512 bytes to 2 MiB and records from 512 to 4096 bytes (two powers) are what Windows makes.
    """
    if len(sector) < BOOT_SECTOR_BYTES:
        raise ParseError("NTFS boot sector", need_bytes=BOOT_SECTOR_BYTES, have_bytes=len(sector))
    if sector[3:11] != _OEM_ID:
        raise ParseError("NTFS boot sector without its OEM id", offset_bytes=3)
    if sector[510:512] != b"\x55\xaa":
        raise ParseError("NTFS boot sector without its end mark", offset_bytes=510)
    sector_bytes, cluster_code, sectors, mft, mirror, record_code, _index_code, serial = _LAYOUT.unpack_from(sector)
    if sector_bytes not in (256, 512, 1024, 2048, 4096):
        raise ParseError(f"NTFS sector size {sector_bytes}", offset_bytes=11)
    cluster_bytes = _scaled(cluster_code - 256 if cluster_code > 0x80 else cluster_code, sector_bytes)
    record_bytes = _scaled(record_code, cluster_bytes) if record_code > 0 else _scaled(record_code, 1)
    if not _is_power_of_two(cluster_bytes) or not sector_bytes <= cluster_bytes <= 2 << 20:
        raise ParseError(f"NTFS cluster size {cluster_bytes}", offset_bytes=13)
    if not _is_power_of_two(record_bytes) or not 512 <= record_bytes <= 65536:
        raise ParseError(f"NTFS record size {record_bytes}", offset_bytes=64)
    volume_bytes = sectors * sector_bytes
    if volume_bytes > _LARGEST_BYTES:
        raise ParseError(f"NTFS of {sectors} sectors", offset_bytes=40)
    if not 0 < mft * cluster_bytes < volume_bytes:
        raise ParseError(f"NTFS $MFT at cluster {mft}, beyond the volume", offset_bytes=48)
    return NtfsGeometry(
        sector_bytes=sector_bytes,
        cluster_bytes=cluster_bytes,
        record_bytes=record_bytes,
        volume_bytes=volume_bytes,
        mft_cluster=mft,
        mft_mirror_cluster=mirror,
        serial=f"{serial:016X}",
    )


def _scaled(code: int, unit_bytes: int) -> int:
    """Decode a size: positive codes count units, negative ones are the power of two of a size in bytes or sectors."""
    if code >= 0:
        return code * unit_bytes
    return unit_bytes << -code if -code < 32 else 0


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0
