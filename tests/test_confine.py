"""The walls one by one: the filter's answers on both machines, and what is told where the kernel has less to offer."""

from __future__ import annotations

import errno
import re
import struct
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from tests.needs import needs_landlock
from triage.isolation.limits import memory_limit
from triage.isolation.seccomp import Refusal, filter_program
from triage.isolation.system_calls import CHANGES_OF_FILES, DEADLY, JUDGED, LAST_KNOWN
from triage.model.gap import Gap
from triage.model.isolation import Attempt, Isolation
from triage.pipeline.board import Slot
from triage.pipeline.hang import HangWatch, Patience
from triage.pipeline.job import WHOLE_VOLUME, Token

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
ALLOW, NO_SUCH_CALL, PROCESS = 0x7FFF0000, 0x00050000 | errno.ENOSYS, 4711
ALL_CALLS = DEADLY | CHANGES_OF_FILES | JUDGED
BOTH = pytest.mark.parametrize("machine", MACHINES)


def number_of(machine: str, name: str) -> int:
    return ALL_CALLS[name][list(MACHINES).index(machine)]


def answer(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """Run the filter as the kernel does: a small interpreter of the classic Berkeley Packet Filter."""
    program = list(struct.iter_unpack("<HBBI", filter_program(Refusal.DEATH, MACHINES[machine], PROCESS)))
    padded = [*arguments, *(0 for _ in range(6 - len(arguments)))]
    data = struct.pack("<IIQ6Q", number, MACHINES[machine] if architecture is None else architecture, 0, *padded)
    loaded = at = 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            loaded &= value
        else:
            at += if_true if {0x15: loaded == value, 0x25: loaded > value}[code] else if_false


@BOTH
def test_each_call_has_its_answer(machine: str) -> None:
    for names, wanted in ((DEADLY, Refusal.DEATH), (CHANGES_OF_FILES, Refusal.NOT_PERMITTED)):
        for name in names:
            if number_of(machine, name) >= 0:
                assert answer(machine, number_of(machine, name)) == wanted, name
    judged = {number_of(machine, name) for name in ALL_CALLS}
    rest = [number for number in range(LAST_KNOWN + 1) if number not in judged]
    assert {answer(machine, number) for number in rest} == {ALLOW}


@BOTH
def test_what_the_filter_does_not_know_is_not_there(machine: str) -> None:
    assert answer(machine, LAST_KNOWN + 1) == NO_SUCH_CALL
    assert answer(machine, 0x40000000) == Refusal.DEATH
    assert answer(machine, 0, architecture=0x40000003) == Refusal.DEATH
    assert answer(machine, number_of(machine, "clone3")) == NO_SUCH_CALL
    assert answer(machine, number_of(machine, "openat2")) == NO_SUCH_CALL


@BOTH
@pytest.mark.parametrize(
    ("name", "arguments", "wanted"),
    [
        ("clone", (0x003D0F00,), ALLOW),  # as a thread is started
        ("clone", (0x01200011,), Refusal.DEATH),  # as fork(3) does
        ("clone", (0x00004111,), Refusal.DEATH),  # as posix_spawn(3) does
        ("kill", (PROCESS, 9), ALLOW),
        ("kill", (1, 0), Refusal.DEATH),
        ("kill", (0xFFFFFFFF, 9), Refusal.DEATH),
        ("tgkill", (PROCESS, PROCESS, 6), ALLOW),
        ("tgkill", (PROCESS + 1, PROCESS, 6), Refusal.DEATH),
        ("prlimit64", (0, 7), ALLOW),
        ("prlimit64", (PROCESS, 7), ALLOW),
        ("prlimit64", (1, 7), Refusal.DEATH),
        ("ioctl", (3, 0x1268), ALLOW),  # BLKSSZGET
        ("ioctl", (3, 0x2285), Refusal.NOT_PERMITTED),  # SG_IO
        ("ioctl", (3, 0x125D), Refusal.NOT_PERMITTED),  # BLKROSET
        ("openat", (0, 0, 0o1101), ALLOW),  # O_WRONLY, O_CREAT, O_TRUNC
        ("openat", (0, 0, 0o2000000), ALLOW),  # O_CLOEXEC
        ("openat", (0, 0, 0o1000), Refusal.NOT_PERMITTED),  # O_TRUNC alone
        ("openat", (0, 0, 0o1003), Refusal.NOT_PERMITTED),
        ("utimensat", (5, 0), ALLOW),
        ("utimensat", (5, 0x7F0000000000), Refusal.NOT_PERMITTED),
        ("utimensat", (5, 0x1000), Refusal.NOT_PERMITTED),
    ],
)
def test_arguments_decide(machine: str, name: str, arguments: tuple[int, ...], wanted: int) -> None:
    assert answer(machine, number_of(machine, name), *arguments) == wanted


@BOTH
def test_the_numbers_are_those_of_the_headers(machine: str) -> None:
    header = HEADERS[machine]
    if not header.exists():
        pytest.skip(f"needs {header} (linux-libc-dev)")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\s", header.read_text())
    known = {name: int(number) for name, number in found}
    assert known["openat"] > 0
    last_of_header = max(known.values())
    for name in ALL_CALLS:
        number = number_of(machine, name)
        assert known.get(name, -1) == number or number > last_of_header, name


class Told(Struct):
    """What a confined process said of itself."""

    isolation: Isolation
    gap: Gap | None


def confined(before: str = "", after: str = "") -> Told:
    """Confine a process of its own, with statements before and after it."""
    script = f"""
import ctypes, os, resource, sys, threading, time, msgspec
from pathlib import Path
from triage.isolation import confine, kernel, landlock, limits, seccomp
def refuse(*arguments):
    raise OSError(38, "Function not implemented")
{before}
needs = confine.Needs(readable=(), listable=(), writable=(), evidence_bytes=0)
isolation, gap = confine.confine(needs)
{after}
sys.stdout.write(msgspec.json.encode(dict(isolation=isolation, gap=gap)).decode())
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return msgspec.json.decode(ran.stdout, type=Told)


@needs_landlock()
def test_all_of_it_holds() -> None:
    told = confined()
    assert told.gap is None
    assert told.isolation.allowed == ()
    assert set(told.isolation.capabilities) <= {1, 2, 3}


def test_what_the_kernel_lacks_is_told() -> None:
    told = confined("landlock.version = confine.forbid = refuse")
    assert (told.isolation.landlock_abi, told.isolation.seccomp) == (0, False)
    assert set(told.isolation.allowed) == set(Attempt)
    assert told.gap is not None
    assert "Landlock: Function not implemented; seccomp: Function not implemented" in told.gap.detail
    assert "not kept from: read-elsewhere, write-elsewhere, network, program, other-process" in told.gap.detail


def test_the_first_version_of_landlock_is_not_used() -> None:
    told = confined("landlock.version = lambda: 1")
    assert told.isolation.landlock_abi == 0
    assert set(told.isolation.allowed) == {Attempt.READ_ELSEWHERE, Attempt.WRITE_ELSEWHERE}


@needs_landlock()
@pytest.mark.parametrize("abi", [2, 3, 4, 5, 6])
def test_older_versions_of_landlock_hold(abi: int) -> None:
    told = confined(f"landlock.version = lambda: {abi}")
    assert (told.isolation.landlock_abi, told.isolation.allowed) == (abi, ())


def test_a_thread_that_would_stay_free_is_told() -> None:
    told = confined("threading.Thread(target=time.sleep, args=(3,), daemon=True).start()")
    assert told.isolation.landlock_abi == 0
    assert told.isolation.seccomp
    assert told.gap is not None
    assert "1 other threads" in told.gap.detail


@needs_landlock()
def test_what_is_claimed_was_tried() -> None:
    """Walls that do not hold although no call failed show all the same."""
    told = confined("landlock.restrict = lambda *arguments: None")
    assert set(told.isolation.allowed) == {Attempt.READ_ELSEWHERE, Attempt.WRITE_ELSEWHERE}
    assert told.gap is not None


def test_memory_ends() -> None:
    told = confined(
        "limits.memory_limit = confine.memory_limit = lambda _bytes: 256 << 20",
        "try:\n    bytes(512 << 20)\n    raise SystemExit('no end')\nexcept MemoryError:\n    pass",
    )
    assert told.isolation.memory_bytes == 256 << 20


def test_memory_is_measured_by_the_evidence() -> None:
    assert memory_limit(0) <= memory_limit(1 << 30) <= memory_limit(1 << 50) == memory_limit(1 << 60)


class TestHangs:
    SLOT = Slot(Token(0, 7), 100, 2, threading.get_native_id())

    def test_who_waits_too_long_hangs(self) -> None:
        hangs = HangWatch(1, Patience(seconds=100))
        assert hangs.look([self.SLOT], 5.0) == ""
        assert hangs.look([self.SLOT], 105.0) == ""
        assert hangs.look([self.SLOT], 106.0) == "it did not get on for 101 s"

    def test_who_gets_on_does_not(self) -> None:
        hangs = HangWatch(1, Patience(seconds=100))
        for window in range(20):
            slot = msgspec.structs.replace(self.SLOT, bytes_done=window)
            assert hangs.look([slot], 90.0 * window) == ""

    def test_a_whole_volume_may_take_longer(self) -> None:
        hangs = HangWatch(1, Patience(seconds=100, volume_factor=12))
        slot = msgspec.structs.replace(self.SLOT, token=Token(0, WHOLE_VOLUME))
        assert [hangs.look([slot], now) for now in (5.0, 1204.0)] == ["", ""]
        assert hangs.look([slot], 1206.0) != ""
