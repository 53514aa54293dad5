"""Replay of transaction logs: what Windows would do with a dirty hive at its next start, done to a copy in memory.

A PC whose plug was pulled has its last changes only in the logs. `regf_plan.py` tells which entries of them to apply.
Source: M. Suhanov, "Windows registry file format specification", "Log entries", "Dirty pages", "Dirty state of a hive".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from msgspec import Struct

from triage.artefacts.regf import (
    BASE_BLOCK_BYTES,
    SECTOR_BYTES,
    BaseBlock,
    mend,
    parse_base_block,
    seal_base_block,
)
from triage.artefacts.regf_log import LogEntry
from triage.artefacts.regf_plan import LogFile, Plan, Step, plan_replay, replay_gap
from triage.model.errors import ParseError
from triage.model.gap import Gap, Where

_SEQUENCES_AT, _FILE_TYPE_AT, _BINS_BYTES_AT, _FLAGS_AT = 4, 28, 40, 144
_PRIMARY_FILE = 0
_LOST = "the hive's last changes are not known"


class Replay(Struct, frozen=True, kw_only=True):
    """A hive with its logs replayed. Without any `applied` entry, `data` is the hive as it was.

    `gaps` name what could not be applied; where all was, an immaterial one says so.
    """

    data: bytes
    applied: int = 0
    gaps: tuple[Gap, ...] = ()


def is_dirty(data: bytes) -> bool:
    """Say whether a hive needs its logs: its sequence numbers differ, or its base block is damaged."""
    block = _base_block(data)
    return block is None or block.primary_sequence != block.secondary_sequence


def replay(data: bytes, where: Where, files: Sequence[LogFile]) -> Replay:
    """Apply to a dirty hive what its logs hold beyond it; one that is not dirty is left alone, whatever they hold."""
    if not is_dirty(data):
        return Replay(data=data)
    block = _base_block(data)
    result = _apply(data, where, block, plan_replay(data, block, where, files))
    if result.applied == 0 and not result.gaps:
        return Replay(data=data, gaps=_unknown_changes(data, where))
    return result


def _unknown_changes(data: bytes, where: Where) -> tuple[Gap, ...]:
    """Name what a hive says of changes that no log holds; a damaged header that says nothing of them is no sign."""
    try:
        block = parse_base_block(data)
    except ParseError:
        return ()
    primary, secondary = block.primary_sequence, block.secondary_sequence
    if primary == secondary:
        return ()
    return (replay_gap(where, f"sequence numbers {primary} and {secondary} differ, and no log is there: {_LOST}"),)


def _base_block(data: bytes) -> BaseBlock | None:
    """Return the hive's base block, None where it is damaged and has to come from a log."""
    try:
        block = parse_base_block(data)
    except ParseError:
        return None
    return block if block.sound else None


def _apply(data: bytes, where: Where, block: BaseBlock | None, plan: Plan) -> Replay:
    """Apply the steps to a copy. One that does not fit ends it: all before it holds."""
    hive = bytearray(data)
    gaps = list(plan.gaps)
    done: list[Step] = []
    for step in plan.steps:
        if block is None and not done:
            hive[:SECTOR_BYTES] = step.file.data[:SECTOR_BYTES]
        problem = _apply_step(hive, step)
        if problem is not None:
            gaps.append(replay_gap(step.file.where, f"log entry {step.entry.sequence} not replayed: {problem}"))
            break
        done.append(step)
    if not done:
        return Replay(data=data, gaps=tuple(gaps))
    numbers = f"{done[0].entry.sequence} to {done[-1].entry.sequence}"
    detail = f"the hive was not written out: its last changes were replayed from its logs, entries {numbers}"
    if block is None:
        detail = f"{detail}; its damaged base block was taken from there"
    gaps.append(replay_gap(where, detail, material=False))
    return Replay(data=bytes(hive), applied=len(done), gaps=tuple(gaps))


def _apply_step(hive: bytearray, step: Step) -> str | None:
    """Write one entry's pages and what it says of the header; return why it does not fit.

    Only an entry of the old format, which stands alone, can be found not to fit after it was written.
    """
    entry, source = step.entry, memoryview(step.file.data)
    end = BASE_BLOCK_BYTES + entry.bins_bytes
    if end > max(len(hive), BASE_BLOCK_BYTES) + len(source):
        return "the hive would grow by more than the log holds"
    hive.extend(bytes(max(end - len(hive), 0)))
    for page in entry.pages:
        start = BASE_BLOCK_BYTES + page.bins_offset
        hive[start : start + page.length_bytes] = source[page.log_offset : page.log_offset + page.length_bytes]
    struct.pack_into("<II", hive, _SEQUENCES_AT, entry.sequence, entry.sequence)
    struct.pack_into("<I", hive, _FILE_TYPE_AT, _PRIMARY_FILE)
    struct.pack_into("<I", hive, _BINS_BYTES_AT, entry.bins_bytes)
    if entry.flags is not None:
        struct.pack_into("<I", hive, _FLAGS_AT, entry.flags)
    seal_base_block(hive)
    return "a hive bin in it is damaged" if step.log.is_old_format and _breaks_a_bin(hive, entry) else None


def _breaks_a_bin(hive: bytearray, entry: LogEntry) -> bool:
    """Say whether a hive bin is damaged where the entry was written: pages of the old format have no checksum."""
    try:
        damages = mend(bytes(hive))[1]
    except ParseError:
        return True
    places = [damage.offset_bytes - BASE_BLOCK_BYTES for damage in damages]
    return any(
        page.bins_offset <= place < page.bins_offset + page.length_bytes for page in entry.pages for place in places
    )
