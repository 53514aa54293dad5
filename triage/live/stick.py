"""Prepares the stick and locks everything else, once, before anybody can type; what goes wrong is told, never fatal."""

from __future__ import annotations

from pathlib import Path

from triage.evidence.destination import free_bytes
from triage.evidence.mounts import read_mounts
from triage.evidence.sysfs import BlockDevice
from triage.live.data_partition import data_partition, left_small, make_fit, mount_data
from triage.live.lock import lock_others, release_stick
from triage.live.medium import Stick, UnknownStickError, find_stick
from triage.live.problem import Problem, StickError
from triage.live.state import StickState, write_state
from triage.model.errors import TriageError
from triage.model.text import N_

MOUNT_POINT = Path("/media/triage")


def prepare_stick() -> StickState:
    """Find, grow and mount the stick, lock every other disk, and leave the state for the other commands."""
    problems: list[Problem] = []
    stick = partition = mount_point = None
    free = 0
    try:
        stick = find_stick()
    except StickError as error:
        problems.append(error.problem)
    # The others come first: whatever is written to the stick, it is written beside disks that cannot be.
    problems += lock_others(stick.disk.name if stick is not None else None)
    if stick is not None:
        try:
            partition = data_partition(stick.disk)
            _open_for_writing(stick, partition)
            problems += left_small(stick.disk, partition)
            free = free_bytes(MOUNT_POINT)
            mount_point = MOUNT_POINT
        except UnknownStickError as error:  # pulled out meanwhile: its name may be that of a disk of the PC by now
            problems += (error.problem, *lock_others(None))
            stick = partition = None
        except StickError as error:
            problems.append(error.problem)
        except (TriageError, ValueError, OSError) as error:  # the stick was pulled out, or does not answer
            fields = {"disk": str(stick.disk.node), "reason": str(error)}
            problems.append(Problem(message=N_("the stick {disk} cannot be prepared: {reason}"), fields=fields))
    state = StickState(
        disk=str(stick.disk.node) if stick is not None else None,
        partition=str(partition.node) if partition is not None else None,
        mount_point=str(mount_point) if mount_point is not None else None,
        free_bytes=free,
        problems=tuple(problems),
    )
    write_state(state)
    return state


def _open_for_writing(stick: Stick, partition: BlockDevice) -> None:
    """Make the stick writable and mount its data partition; nothing where that was done before."""
    if any(mount.number == partition.number and Path(mount.mount_point) == MOUNT_POINT for mount in read_mounts()):
        return
    release_stick(stick)
    make_fit(stick.disk)
    mount_data(partition, MOUNT_POINT)
