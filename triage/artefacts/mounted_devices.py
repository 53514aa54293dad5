r"""Which drive letters a Windows gave to which partitions: `MountedDevices` of its SYSTEM hive.

A value `\DosDevices\C:` holds, for a partition of an MBR disk, the disk's signature and the partition's offset in bytes
(4 and 8 bytes, little-endian), for one of a GPT disk `DMIO:ID:` and the partition's GUID. Other devices: other forms.
Source: J. Metz, "Mounted devices" (libyal/winreg-kb).
"""

from __future__ import annotations

import re
import struct
from uuid import UUID

from triage.artefacts.hive import Hive
from triage.model.volume import gpt_partition_id, mbr_partition_id

_LETTER = re.compile(r"\\DosDevices\\([A-Z]:)", re.IGNORECASE)
_MBR = struct.Struct("<IQ")
_GPT_HEAD = b"DMIO:ID:"
_GUID_BYTES = 16


def read_drive_letters(hive: Hive) -> dict[str, str]:
    """Return the partition's id (as in `Partition.unique_id`) by drive letter; other devices are left out."""
    key = hive.key("MountedDevices")
    if key is None:
        return {}
    met = ((_LETTER.fullmatch(value.name), _partition_id(value.data)) for value in key.values)
    return {letter[1].upper(): told for letter, told in met if letter is not None and told is not None}


def _partition_id(data: bytes) -> str | None:
    if len(data) == _MBR.size:
        return mbr_partition_id(*_MBR.unpack(data))
    if data.startswith(_GPT_HEAD) and len(data) == len(_GPT_HEAD) + _GUID_BYTES:
        return gpt_partition_id(UUID(bytes_le=data[len(_GPT_HEAD) :]))
    return None
