"""A volume: a stretch of evidence with a file system in it, or without one that we examine."""

from __future__ import annotations

import re
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

_MAJOR = re.compile(r"[0-9]{1,4}(?=\.)", re.ASCII)
_VISTA = 6
"""With this major version begin the value SMB1 ("How to detect, enable and disable SMBv1", KB2696547, Microsoft),
`netsh advfirewall` and `bcdedit`."""


class PartitionScheme(StrEnum):
    """Where the stretch comes from; `SCAN`: from a boot sector found without a usable table."""

    BARE = "bare"
    MBR = "mbr"
    GPT = "gpt"
    SCAN = "scan"


class Partition(Struct, frozen=True, kw_only=True):
    """One entry of a partition table, or the whole evidence when there is none (`index` 0).

    `type_id` is the MBR type byte as two hex digits or the GPT type GUID; `length_bytes` is what the table says, even
    where the evidence is shorter. `unique_id` is what Windows knows the partition by; empty where its table does not
    tell.
    """

    index: int
    scheme: PartitionScheme
    offset_bytes: int
    length_bytes: int
    type_id: str = ""
    type_name: str = ""
    name: str = ""
    unique_id: str = ""


def mbr_partition_id(disk_signature: int, offset_bytes: int) -> str:
    """Return what Windows knows a partition of an MBR disk by: the disk's signature and the partition's offset."""
    return f"mbr:{disk_signature:08x}:{offset_bytes}"


def gpt_partition_id(guid: UUID) -> str:
    """Return what Windows knows a partition of a GPT disk by: the partition's own GUID."""
    return f"gpt:{guid}"


class HibernationFile(StrEnum):
    """What the head of `hiberfil.sys` says: a memory image, one whose reading back broke off, one that was read back, a
    zeroed head, something else.
    """

    HIBERNATED = "hibernated"
    RESUMING = "resuming"
    RESUMED = "resumed"
    CLEARED = "cleared"
    UNKNOWN = "unknown"


class WindowsInfo(Struct, frozen=True, kw_only=True):
    """What the hives of a volume say about its Windows; a field is None where they do not tell.

    `folder` is its directory, from the volume's root. `drive_letters` maps `C:` to a partition's `unique_id`.
    `installed_utc` is UTC ISO 8601; `hardware_clock_is_utc` says whether Windows takes the time of the hardware clock
    for UTC, as other systems do, and not for local time. `hibernation_file` is None where the volume has none.
    """

    folder: str | None = None
    drive_letters: dict[str, str] = {}
    computer_name: str | None = None
    product: str | None = None
    version: str | None = None
    build: str | None = None
    installed_utc: str | None = None
    time_zone: str | None = None
    hardware_clock_is_utc: bool | None = None
    current_control_set: int | None = None
    last_known_good_control_set: int | None = None
    work_directory_name: str | None = None
    hibernation_enabled: bool | None = None
    fast_startup_enabled: bool | None = None
    hibernation_file: HibernationFile | None = None

    @property
    def is_before_vista(self) -> bool:
        """Whether it is known to be Windows XP, 2003 or older: these have no `bcdedit`, and no switch for SMBv1."""
        major = _MAJOR.match(self.version or "")
        return major is not None and int(major[0]) < _VISTA


class VolumeInfo(Struct, frozen=True, kw_only=True):
    """A volume as it stands in the report. `id` is `v1`, `v2`, … in order over all evidence of the case."""

    id: str
    evidence: int
    offset_bytes: int
    length_bytes: int
    filesystem: str
    examined: bool
    why_not: str | None = None
    label: str | None = None
    serial: str | None = None
    cluster_bytes: int | None = None
    partition: Partition | None = None
    windows: WindowsInfo | None = None
