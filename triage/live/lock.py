"""The kernel's read-only flag: off on the stick's disk, on everywhere else, whatever udev did before."""

from __future__ import annotations

from triage.evidence.device import set_read_only
from triage.evidence.sysfs import all_devices, disk_of, is_read_only, size_bytes
from triage.live.medium import Stick, confirm_stick
from triage.live.problem import Problem, StickError
from triage.live.programs import run_program
from triage.live.state import forget_diskseq, write_diskseq
from triage.model.errors import EvidenceError
from triage.model.text import N_


def release_stick(stick: Stick) -> None:
    """Let the stick's disk and its partitions be written; udev's rule is told first. Raises `StickError`.

    `UnknownStickError` where another disk has the stick's name by now. It may have got it this moment and have been
    released in the stick's place: whoever catches the error locks all disks.
    """
    if not stick.diskseq:
        raise StickError(N_("the kernel does not number its disks; the stick stays locked"))
    confirm_stick(stick)
    write_diskseq(stick.diskseq)
    own = [device.node for device in all_devices() if disk_of(device.name) == stick.disk.name]
    run_program("blockdev", "--setrw", *own)
    confirm_stick(stick)


def lock_others(stick: str | None) -> tuple[Problem, ...]:
    """Set every block device but the disk named `stick` read-only; return what was not so, and what cannot be."""
    if stick is None:
        forget_diskseq()
    problems: list[Problem] = []
    for device in all_devices():
        if disk_of(device.name) == stick or size_bytes(device.name) == 0 or is_read_only(device.name) is not False:
            continue
        fields = {"device": str(device.node)}
        try:
            set_read_only(device.node)
        except EvidenceError as error:
            message = N_("{device} CAN BE WRITTEN and cannot be locked: {reason}")
            problems.append(Problem(message=message, fields=fields | {"reason": error.message}))
        else:
            problems.append(Problem(message=N_("{device} was found writable and is locked now"), fields=fields))
    return tuple(problems)
