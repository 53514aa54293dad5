"""Says what a volume holds, by its content alone: a partition's type is only what a table once said.

Sources: [MS-NTFS] boot sector; exFAT specification 3.1; Microsoft "FAT: General Overview" 1.03 (the FAT type
follows from the number of clusters); libbde and dislocker documentation for BitLocker's identifiers;
util-linux libblkid for the others.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from triage.model.errors import ParseError
from triage.model.source import ByteSource
from triage.volumes.boot_sector import BOOT_SECTOR_BYTES, NtfsGeometry, parse_boot_sector

UNKNOWN = "unknown"
EMPTY = "empty"
NTFS = "ntfs"

_HEAD_BYTES = 72 << 10
_BACKUP_SECTOR_BYTES = (512, 4096)
_BITLOCKER_ID = b"-FVE-FS-"
_BITLOCKER_TO_GO_ID = b"MSWIN4.1"
# 4967d63b-2e29-4ad8-8399-f6a339e3d001 and, for volumes encrypted while in use,
# 92a84d3b-dd80-4d0e-9e4e-b1e3284eaed8.
_BITLOCKER_GUIDS = (
    bytes.fromhex("3bd66749292ed84a8399f6a339e3d001"),
    bytes.fromhex("3b4da89280dd0e4d9e4eb1e3284eaed8"),
)
_FAT_LAYOUT = struct.Struct("<11xHBHBHHBH8xI")
_FAT12_CLUSTERS = 4085
_FAT16_CLUSTERS = 65525


class _Signature(NamedTuple):
    offset_bytes: int
    pattern: bytes
    filesystem: str


# What stands in the first 8 KiB, which NTFS fills with $Boot: it was written after any NTFS that was there
# before.
_NEAR_SIGNATURES = (
    _Signature(3, b"ReFS\0\0\0\0", "refs"),
    _Signature(0, b"LUKS\xba\xbe", "luks"),
    _Signature(0, b"XFSB", "xfs"),
    _Signature(512, b"LABELONE", "lvm"),
    _Signature(1024, b"H+\0\x04", "hfs+"),
    _Signature(1024, b"HX\0\x05", "hfs+"),
    _Signature(0x438, b"\x53\xef", "ext4"),
    _Signature(4096 - 10, b"SWAPSPACE2", "swap"),
    _Signature(4096 - 10, b"SWAP-SPACE", "swap"),
)
_FAR_SIGNATURES = (_Signature(0x10040, b"_BHRfS_M", "btrfs"),)


def recognise(volume: ByteSource) -> str:
    """Return the name of what `volume` holds: `ntfs`, `bitlocker`, `fat32`, `ext4`, …, `empty` or `unknown`.

    A sound NTFS boot sector wins over whatever older signatures remain behind it, a BitLocker one over the
    FAT that BitLocker To Go shows to old systems. NTFS whose first sector was damaged is known by the backup
    boot sector in the last one. `ext4` stands for ext2 and ext3 too, `hfs+` for HFSX, `empty` for a volume
    that begins with zeros only.
    """
    head = read_at(volume, 0, _HEAD_BYTES)
    boot = recognise_boot_sector(head[:BOOT_SECTOR_BYTES])
    if boot is not None:
        return boot
    near = _match(head, _NEAR_SIGNATURES)
    if near is not None:
        return near
    if _is_ntfs_by_backup(volume):
        return NTFS
    return _match(head, _FAR_SIGNATURES) or (UNKNOWN if head.strip(b"\0") or not head else EMPTY)


def _match(head: bytes, signatures: tuple[_Signature, ...]) -> str | None:
    for offset_bytes, pattern, filesystem in signatures:
        if head.startswith(pattern, offset_bytes):
            return filesystem
    return None


def recognise_boot_sector(sector: bytes) -> str | None:
    """Return what a boot sector of one of Microsoft's file systems says; None where it is none."""
    if len(sector) < BOOT_SECTOR_BYTES:
        return None
    if _is_bitlocker(sector):
        return "bitlocker"
    if ntfs_geometry(sector) is not None:
        return NTFS
    if sector[3:11] == b"EXFAT   " and not sector[11:64].strip(b"\0"):
        return "exfat"
    return _fat_kind(sector)


def ntfs_geometry(sector: bytes) -> NtfsGeometry | None:
    """Return the geometry that a plausible NTFS boot sector gives, None for anything else."""
    try:
        return parse_boot_sector(sector)
    except ParseError:
        return None


def backup_boot_sector(volume: ByteSource) -> NtfsGeometry | None:
    """Return what the NTFS backup boot sector in the last sector of `volume` says; None where there is none.

    It must describe a volume that ends there and is no longer than `volume`.
    """
    for sector_bytes in _BACKUP_SECTOR_BYTES:
        offset_bytes = volume.size_bytes // sector_bytes * sector_bytes - sector_bytes
        geometry = ntfs_geometry(read_at(volume, offset_bytes, BOOT_SECTOR_BYTES)) if offset_bytes >= 0 else None
        if geometry is not None and geometry.volume_bytes <= offset_bytes:
            return geometry
    return None


def _is_ntfs_by_backup(volume: ByteSource) -> bool:
    """Tell whether the volume of the backup boot sector begins where `volume` does."""
    backup = backup_boot_sector(volume)
    if backup is None:
        return False
    return volume.size_bytes - backup.sector_bytes - backup.volume_bytes < backup.cluster_bytes


def read_at(source: ByteSource, offset_bytes: int, length_bytes: int) -> bytes:
    """Return up to `length_bytes`; where reading fails, the first 512 of them or nothing."""
    try:
        return source.read(offset_bytes, length_bytes)
    except OSError:
        if length_bytes <= BOOT_SECTOR_BYTES:
            return b""
        return read_at(source, offset_bytes, BOOT_SECTOR_BYTES)


def _is_bitlocker(sector: bytes) -> bool:
    """BitLocker has an OEM id of its own; To Go has that of the FAT32 around it, and is known by a GUID."""
    if sector[3:11] == _BITLOCKER_ID:
        return True
    return sector[3:11] == _BITLOCKER_TO_GO_ID and sector[424:440] in _BITLOCKER_GUIDS


def _fat_kind(sector: bytes) -> str | None:
    """Return `fat12`, `fat16` or `fat32` where the parameter block is plausible."""
    if sector[0] not in (0xEB, 0xE9) or sector[510:512] != b"\x55\xaa":
        return None
    sector_bytes, cluster_sectors, reserved, copies, root_entries, sectors16, media, fat16, sectors32 = (
        _FAT_LAYOUT.unpack_from(sector)
    )
    (fat32,) = struct.unpack_from("<I", sector, 36)
    sectors, fat_sectors = sectors16 or sectors32, fat16 or fat32
    plausible = (
        sector_bytes in (512, 1024, 2048, 4096)
        and cluster_sectors in (1, 2, 4, 8, 16, 32, 64, 128)
        and reserved > 0
        and copies in (1, 2)
        and media >= 0xF0
        and fat_sectors > 0
    )
    if not plausible:
        return None
    root_sectors = -(-root_entries * 32 // sector_bytes)
    clusters = (sectors - reserved - copies * fat_sectors - root_sectors) // cluster_sectors
    if clusters <= 0:
        return None
    if fat16 == 0:
        return "fat32"
    return "fat12" if clusters < _FAT12_CLUSTERS else "fat16" if clusters < _FAT16_CLUSTERS else "fat32"
