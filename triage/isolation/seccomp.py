"""seccomp: this process makes no system call that reaches the network, another process, the machine or foreign files.

Sources: seccomp(2), Documentation/userspace-api/seccomp_filter.rst, <linux/filter.h>, <linux/audit.h>. The filter is a
program of the classic Berkeley Packet Filter, which the kernel runs before each call; it is made of short pieces, each
of which decides or goes on with the next.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from triage.isolation.kernel import system_call
from triage.isolation.system_calls import CHANGES_OF_FILES, DEADLY, JUDGED, LAST_KNOWN

_INSTRUCTION: Final = struct.Struct("<HBBI")
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_GREATER: Final = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

# struct seccomp_data: the call's number, the architecture, the instruction pointer, six arguments of 64 bits.
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_ARGUMENTS_AT: Final = 16

_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1
# Older kernels would slow the whole process down against speculation, which here protects nobody: it runs no foreign
# code.
_NO_SLOWING_DOWN: Final = 4

_ALLOW: Final = 0x7FFF0000
_ERROR: Final = 0x00050000

#: What ioctl(2) is used for: whether a file is a terminal (TCGETS, TCGETS2), a device's sector size and read-only flag.
#: FIOCLEX and FIONCLEX close a descriptor in a program started later.
_QUESTIONS: Final = (0x5401, 0x802C542A, 0x1268, 0x125E, 0x5450, 0x5451)
_CLONE_THREAD: Final = 0x00010000
_ACCESS_OR_TRUNCATE: Final = os.O_ACCMODE | os.O_TRUNC
_EMPTIED_UNWRITTEN: Final = (os.O_RDONLY | os.O_TRUNC, os.O_ACCMODE | os.O_TRUNC)

Piece = bytes
"""Instructions that leave the call's number loaded where they do not decide."""


class Refusal(IntEnum):
    """What becomes of a deadly call. Of several filters in force the gravest answer counts."""

    NOT_PERMITTED = _ERROR | errno.EPERM
    DEATH = 0x80000000  # of the whole process, by SIGSYS


class _Machine(IntEnum):
    """`AUDIT_ARCH_…` of the machines whose system calls we know, in the order of the tables."""

    X86_64 = 0xC000003E
    AARCH64 = 0xC00000B7


def forbid(refusal: Refusal) -> None:
    """Have the kernel refuse the forbidden calls of all threads of this process from now on, for good.

    Needs no-new-privileges. `OSError` where the kernel has no filters, or the machine's calls are not known to us.
    """
    program = filter_program(refusal, _this_machine(), os.getpid())
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(buffer))
    number = {_Machine.X86_64: 317, _Machine.AARCH64: 277}[_this_machine()]
    flags = _ALL_THREADS | _NO_SLOWING_DOWN
    if system_call(number, ctypes.c_uint(_MODE_FILTER), ctypes.c_uint(flags), header) > 0:
        raise OSError(errno.ESRCH, "a thread has filters of its own")


def filter_program(refusal: Refusal, machine: int, process: int) -> bytes:
    """Return the filter for a machine; `process` is the one that may send signals to itself."""
    column = list(_Machine).index(_Machine(machine))
    known = DEADLY | CHANGES_OF_FILES | JUDGED
    numbers = {name: both[column] for name, both in known.items() if both[column] >= 0}
    pieces = [
        _load(_ARCHITECTURE_AT),
        _unless_equal(machine, Refusal.DEATH),
        _load(_NUMBER_AT),
        # With this bit a call is one of x32, whose numbers are others.
        _if_greater(0x3FFFFFFF, Refusal.DEATH),
        _if_greater(LAST_KNOWN, _ERROR | errno.ENOSYS),
        *(_if_equal(number, refusal) for name, number in numbers.items() if name in DEADLY),
        *(_if_equal(number, Refusal.NOT_PERMITTED) for name, number in numbers.items() if name in CHANGES_OF_FILES),
        # What takes its arguments from memory cannot be judged; a C library then uses the older call.
        *(_if_equal(numbers[name], _ERROR | errno.ENOSYS) for name in ("clone3", "openat2")),
        _on(numbers["clone"], _argument(0), _masked(_CLONE_THREAD), _if_equal(0, refusal)),
        _on(
            numbers["ioctl"],
            _argument(1),
            *_if_any(_QUESTIONS, _ALLOW),
            _always(Refusal.NOT_PERMITTED),
        ),
        # A file may be emptied only when it is opened for writing: Landlock sees the rest since its version 3.
        *(
            _on(
                numbers[name],
                _argument(flags),
                _masked(_ACCESS_OR_TRUNCATE),
                *_if_any(_EMPTIED_UNWRITTEN, Refusal.NOT_PERMITTED),
            )
            for name, flags in (("open", 1), ("openat", 2))
            if name in numbers
        ),
        *(_on(numbers[name], _argument(0), _unless_equal(process, refusal)) for name in ("kill", "tgkill")),
        _on(numbers["prlimit64"], _argument(0), _if_equal(0, _ALLOW), _unless_equal(process, refusal)),
        # Times are set on files that are open, never by name: without a name both halves of its address are 0.
        _on(
            numbers["utimensat"],
            _argument(1),
            _unless_equal(0, Refusal.NOT_PERMITTED),
            _argument(1, upper=True),
            _unless_equal(0, Refusal.NOT_PERMITTED),
        ),
        _always(_ALLOW),
    ]
    return b"".join(pieces)


def _this_machine() -> _Machine:
    names = {"x86_64": _Machine.X86_64, "aarch64": _Machine.AARCH64}
    machine = names.get(platform.machine())
    if machine is None or sys.maxsize < 1 << 32:
        raise OSError(errno.ENOSYS, f"the system calls of {platform.machine()} are not known to this program")
    return machine


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> Piece:
    return _INSTRUCTION.pack(code, if_true, if_false, value)


def _load(offset: int) -> Piece:
    return _instruction(_LOAD, offset)


def _argument(number: int, *, upper: bool = False) -> Piece:
    """Load half of an argument; on the machines that we know the lower half comes first."""
    return _load(_ARGUMENTS_AT + 8 * number + (4 if upper else 0))


def _masked(mask: int) -> Piece:
    return _instruction(_AND, mask)


def _always(answer: int) -> Piece:
    return _instruction(_RETURN, answer)


def _if_equal(value: int, answer: int) -> Piece:
    return _instruction(_JUMP_EQUAL, value, 0, 1) + _always(answer)


def _if_any(values: Iterable[int], answer: int) -> list[Piece]:
    return [_if_equal(value, answer) for value in values]


def _unless_equal(value: int, answer: int) -> Piece:
    return _instruction(_JUMP_EQUAL, value, 1, 0) + _always(answer)


def _if_greater(value: int, answer: int) -> Piece:
    return _instruction(_JUMP_GREATER, value, 0, 1) + _always(answer)


def _on(number: int, *pieces: Piece) -> Piece:
    """Judge one call by `pieces`, which may load its arguments; afterwards its number is loaded again."""
    judged = b"".join(pieces) + _load(_NUMBER_AT)
    return _instruction(_JUMP_EQUAL, number, 0, len(judged) // _INSTRUCTION.size) + judged
