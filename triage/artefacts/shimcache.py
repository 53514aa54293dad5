"""The application compatibility cache ("ShimCache"): programs that a Windows has seen, deleted ones too.

Windows keeps it in memory and writes it into the value `AppCompatCache` of SYSTEM when it shuts down; after a power cut
the value is that of the shutdown before. Each entry has a path and the time at which that *file* was last modified,
which is no time of a run. Whether the program was started is told by Vista to 8.1 alone (an insertion flag that CSRSS
sets); Windows XP has the time of the entry's last update instead.

    Windows        begins with              entries
    XP, 32 bit     ef be ad de              400 bytes on, 552 bytes each, the path in them
    2003, Vista    fe 0f dc ba              8 bytes on, 24 bytes each (64 bit: 32), paths by offset
    7              ee 0f dc ba              128 bytes on, 32 bytes each (64 bit: 48), paths by offset
    8.0 / 8.1      statistics               128 bytes on, `00ts` / `10ts`, of any length
    10             length of the header     48 or 52 bytes on, `10ts`, of any length

Source: A. Davis, "Leveraging the Application Compatibility Cache in Forensic Investigations" (Mandiant, 2012) and his
ShimCacheParser; J. Metz, winreg-kb, "Application compatibility cache key". Windows Server 2003 has a file's size where
Vista has flags; where any is too large to be flags, as ShimCacheParser has it, they are sizes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from msgspec import Struct

from triage.artefacts.hive import Hive, HiveKey
from triage.artefacts.shimcache_entry import ShimCache
from triage.artefacts.shimcache_table import parse_7, parse_vista, parse_xp
from triage.artefacts.shimcache_tagged import parse_tagged
from triage.model.errors import ParseError

_KEYS = ("AppCompatCache", "AppCompatibility")  # the second one is that of Windows XP


class StoredCache(Struct, frozen=True, kw_only=True):
    """The cache of one control set; `cache` is None where it cannot be parsed, and `problem` then says why.

    `key_last_written` is a FILETIME: nearly always that of the last shutdown.
    """

    control_set: int
    key_path: str
    offset_bytes: int
    key_last_written: int
    cache: ShimCache | None
    problem: str = ""


def read_shimcaches(hive: Hive, control_sets: Iterable[int]) -> tuple[StoredCache, ...]:
    """Read the caches of a SYSTEM hive; a control set without one is left out."""
    keys = (
        (number, key)
        for number in control_sets
        for name in _KEYS
        if (key := hive.key(rf"ControlSet{number:03d}\Control\Session Manager\{name}")) is not None
    )
    return tuple(
        _stored(number, key, value.data) for number, key in keys if (value := key.value("AppCompatCache")) is not None
    )


def _stored(control_set: int, key: HiveKey, data: bytes) -> StoredCache:
    cache, problem = None, ""
    try:
        cache = parse_shimcache(data)
    except ParseError as error:
        problem = str(error)
    return StoredCache(
        control_set=control_set,
        key_path=key.path,
        offset_bytes=key.offset_bytes,
        key_last_written=key.last_written,
        cache=cache,
        problem=problem,
    )


def parse_shimcache(data: bytes) -> ShimCache:
    """Parse the data of an `AppCompatCache` value; ParseError where it is of no known form."""
    if len(data) < 8:
        raise ParseError("no header", need_bytes=8, have_bytes=len(data))
    signature, count = struct.unpack_from("<II", data)
    match signature:
        case 0xDEADBEEF:
            return parse_xp(data, count)
        case 0xBADC0FFE:
            return parse_vista(data, count)
        case 0xBADC0FEE:
            return parse_7(data, count)
        case _:
            return parse_tagged(data)
