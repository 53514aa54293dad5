"""The few system calls for which Python has no function, and how their errors are raised."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)
_AF_UNIX: Final = 1
_SOCK_STREAM: Final = 1
_libc.syscall.restype = ctypes.c_long


def system_call(number: int, *arguments: object) -> int:
    """Make a system call by its number; `OSError` where the kernel refuses it."""
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments))


def process_control(option: int, argument: int = 0) -> int:
    """Call prctl(2); `OSError` where the kernel refuses it."""
    rest = (ctypes.c_ulong(0),) * 3
    return _checked(_libc.prctl(option, ctypes.c_ulong(argument), *rest))


def open_local_socket() -> int:
    """Return the descriptor of a new socket, connected to nothing; `OSError` where the kernel refuses it."""
    return _checked(_libc.socket(_AF_UNIX, _SOCK_STREAM, 0))


def get_capabilities(header: bytes, sets: ctypes.Array[ctypes.c_char]) -> None:
    """Call capget(2); `OSError` where the kernel refuses it."""
    _checked(_libc.capget(header, sets))


def set_capabilities(header: bytes, sets: bytes) -> None:
    """Call capset(2); `OSError` where the kernel refuses it."""
    _checked(_libc.capset(header, sets))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
