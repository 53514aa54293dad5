"""Bounds that hold on every kernel: memory, descriptors, no core file, no new privileges, next to no capabilities.

Sources: setrlimit(2), prctl(2), capget(2), capabilities(7), proc_pid_oom_score_adj(5).
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from triage.isolation.kernel import get_capabilities, process_control, set_capabilities

#: Libraries, rules, threads and their windows took 180 to 280 MB of it.
_BASE_BYTES: Final = 2 << 30
_SET_DUMPABLE: Final = 4
_SET_NO_NEW_PRIVILEGES: Final = 38
_FILES: Final = 4096
_FIRST_KILLED: Final = "1000"
_OUT_OF_MEMORY_SCORE: Final = Path("/proc/self/oom_score_adj")

_HEADER: Final = struct.Struct("<Ii")
_HEADER_VERSION_3: Final = 0x20080522
# Effective, permitted and inheritable of the first 32, then of the others.
_SETS: Final = struct.Struct("<6I")
_PERMITTED_LOW: Final = 1
_PERMITTED_HIGH: Final = 4
_CAP_DAC_OVERRIDE: Final = 1
_CAP_DAC_READ_SEARCH: Final = 2
_CAP_FOWNER: Final = 3
#: Evidence and destination may belong to anybody, and on a file system without owners the times of what was rescued can
#: be set by its apparent owner only.
KEPT: Final = (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_FOWNER)


def memory_limit(evidence_bytes: int) -> int:
    """Return how much a process that parses so much evidence may allocate, in bytes.

    What grows with the evidence is what is known of its files: some 400 bytes of each, whose record on the volume takes
    1,024. A quarter of the machine's memory is left to others.
    """
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(_BASE_BYTES + evidence_bytes // 2, machine_bytes // 4 * 3)


def limit_resources(memory_bytes: int) -> None:
    """Bound memory and descriptors of this process, and have it be the first to go when the machine has none left."""
    bounds = ((resource.RLIMIT_DATA, memory_bytes), (resource.RLIMIT_NOFILE, _FILES), (resource.RLIMIT_CORE, 0))
    for limit, wanted in bounds:
        hard = resource.getrlimit(limit)[1]
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (bound, bound))
    with suppress(OSError):  # no /proc, as in some containers
        _OUT_OF_MEMORY_SCORE.write_text(_FIRST_KILLED)


def memory_bound() -> int:
    """Return how much this process may allocate, in bytes; -1 without a bound."""
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def drop_privileges() -> None:
    """Give up all capabilities but those kept, and the way to new ones through programs that are run."""
    process_control(_SET_NO_NEW_PRIVILEGES, 1)
    process_control(_SET_DUMPABLE, 0)
    permitted = _SETS.unpack(_capability_sets())[_PERMITTED_LOW] & sum(1 << number for number in KEPT)
    set_capabilities(_HEADER.pack(_HEADER_VERSION_3, 0), _SETS.pack(permitted, permitted, 0, 0, 0, 0))


def capabilities() -> tuple[int, ...]:
    """Return the numbers of the capabilities that this process has."""
    low, high = (_SETS.unpack(_capability_sets())[at] for at in (_PERMITTED_LOW, _PERMITTED_HIGH))
    held = low | high << 32
    return tuple(number for number in range(64) if held >> number & 1)


def _capability_sets() -> bytes:
    buffer = ctypes.create_string_buffer(_SETS.size)
    get_capabilities(_HEADER.pack(_HEADER_VERSION_3, 0), buffer)
    return buffer.raw
