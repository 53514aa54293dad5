"""Landlock: this thread, and those it starts, reach no file but those named, no TCP port and no process outside.

Source: Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h of Linux. Rights that a kernel does
not know yet are left out. Descriptors opened before are not touched.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from enum import IntFlag
from pathlib import Path
from typing import Final

from triage.isolation.kernel import system_call

# The same numbers on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_RULESET: Final = struct.Struct("<QQQ")
_PATH_RULE: Final = struct.Struct("<Qi")
_VERSION_FLAG: Final = 1
_RULE_PATH_BENEATH: Final = 1

#: The first version that lets a file be moved from folder to folder, which a rescue does with each.
OLDEST_USED: Final = 2
_NETWORK_SINCE: Final = 4
_SCOPE_SINCE: Final = 6
_BIND_AND_CONNECT_TCP: Final = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS: Final = 0b11


class Right(IntFlag):
    """What can be done to files; all of it is forbidden but for what a rule allows."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


#: Devices among what is read may be asked for their properties (ioctl).
READ: Final = Right.READ_FILE | Right.READ_DIR | Right.IOCTL_DEV
LIST: Final = Right.READ_DIR
WRITE: Final = (
    Right.READ_FILE
    | Right.READ_DIR
    | Right.WRITE_FILE
    | Right.TRUNCATE
    | Right.MAKE_REG
    | Right.MAKE_DIR
    | Right.REMOVE_FILE
    | Right.REMOVE_DIR
    | Right.REFER
)
_SINCE: Final = {Right.TRUNCATE: 3, Right.IOCTL_DEV: 5}
_OF_FILES: Final = Right.READ_FILE | Right.WRITE_FILE | Right.TRUNCATE | Right.IOCTL_DEV


def version() -> int:
    """Return the version (ABI) of Landlock that the kernel has; `OSError` where it has none or it is switched off."""
    return system_call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))


def restrict(abi: int, allowed: Iterable[tuple[Path, Right]]) -> None:
    """Leave, for good, only what is allowed: to each path and everything beneath it.

    `abi` is what `version` returned. Needs no-new-privileges. Paths that cannot be reached are left out. `OSError`
    where it does not come into force.
    """
    known = _known_to(abi)
    network = _BIND_AND_CONNECT_TCP if abi >= _NETWORK_SINCE else 0
    scope = _ABSTRACT_SOCKETS_AND_SIGNALS if abi >= _SCOPE_SINCE else 0
    attributes = _RULESET.pack(known, network, scope)
    ruleset = system_call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for path, rights in allowed:
            _allow(ruleset, path, rights & known)
        system_call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _known_to(abi: int) -> Right:
    """Return the rights that a version knows."""
    return ~Right(0) & ~Right(sum(right for right, since in _SINCE.items() if abi < since))


def _allow(ruleset: int, path: Path, rights: Right) -> None:
    """Add a rule for a path, with the rights that its kind can have."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rights &= ~Right.IOCTL_DEV if is_folder else _OF_FILES
        rule = _PATH_RULE.pack(rights, descriptor)
        system_call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(descriptor)
