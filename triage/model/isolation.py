"""What the kernel held the process that parses evidence to, as that process found out by trying."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Attempt(StrEnum):
    """What the process tried although it must not: each is harmless should it succeed."""

    READ_ELSEWHERE = "read-elsewhere"
    WRITE_ELSEWHERE = "write-elsewhere"
    NETWORK = "network"
    PROGRAM = "program"
    OTHER_PROCESS = "other-process"


class Isolation(Struct, frozen=True, kw_only=True):
    """What held of one process's isolation.

    `landlock_abi` is 0 and `seccomp` False where they are not in force. `refused` are the attempts that failed as they
    should, `allowed` those that did not. `memory_bytes` is how much the process may allocate (-1: without a bound);
    `capabilities` are the numbers of those that it keeps (capabilities(7)), none for ordinary users.
    """

    landlock_abi: int
    seccomp: bool
    refused: tuple[Attempt, ...]
    allowed: tuple[Attempt, ...]
    memory_bytes: int
    capabilities: tuple[int, ...]
