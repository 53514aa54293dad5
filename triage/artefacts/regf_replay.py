"""Replay of transaction logs: what Windows would do with a dirty hive at its next start, done to a copy in memory.

A PC whose plug was pulled has its last changes only in the logs. Old ones lie there, too, and would bring back what
was changed since: so entries count by their sequence numbers, from the one that the hive awaits, and only as long as
they follow each other. What cannot be applied is a gap. Source: M. Suhanov, "Windows registry file format
specification", "Dirty state of a hive", "Multiple transaction log files", and his note "Missing log entries for a
dirty primary file".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from triage.artefacts.regf import (
    BASE_BLOCK_BYTES,
    SECTOR_BYTES,
    BaseBlock,
    mend,
    parse_base_block,
    seal_base_block,
)
from triage.artefacts.regf_log import BrokenEntry, Log, LogEntry, is_unused, read_log
from triage.model.errors import ParseError
from triage.model.gap import Gap, GapKind, Where

_SEQUENCES_AT, _FILE_TYPE_AT, _BINS_BYTES_AT, _FLAGS_AT = 4, 28, 40, 144
_PRIMARY_FILE = 0
_BIN_WRITTEN_AT = BASE_BLOCK_BYTES + 20
_NOT = "not replayed"
_LOST = "the hive's last changes are not known"


class LogFile(Struct, frozen=True, kw_only=True):
    """A file that lies beside a hive and is named as its log; `problem` says why it could not be read whole."""

    where: Where
    data: bytes
    problem: str = ""


class Replay(Struct, frozen=True, kw_only=True):
    """A hive with its logs replayed. Without any `applied` entry, `data` is the hive as it was.

    `gaps` name what could not be applied; where all was, an immaterial one says so.
    """

    data: bytes
    applied: int = 0
    gaps: tuple[Gap, ...] = ()


class _Step(NamedTuple):
    """One entry to apply, and the log it comes from."""

    entry: LogEntry
    file: LogFile
    log: Log


class _Plan(NamedTuple):
    """What will be applied, in order, and what of the logs cannot be."""

    steps: list[_Step]
    gaps: list[Gap]


def is_dirty(data: bytes) -> bool:
    """Say whether a hive needs its logs: its sequence numbers differ, or its base block is damaged."""
    block = _base_block(data)
    return block is None or block.primary_sequence != block.secondary_sequence


def replay(data: bytes, where: Where, files: Sequence[LogFile]) -> Replay:
    """Apply to a dirty hive what its logs hold beyond it; one that is not dirty is left alone, whatever they hold."""
    block = _base_block(data)
    if block is not None and block.primary_sequence == block.secondary_sequence:
        return Replay(data=data)
    awaited = None if block is None else block.secondary_sequence
    logs, gaps = _read_logs(files, awaited or 0)
    plan = _plan_entries(logs, awaited, where)
    if not plan.steps:
        other = _plan_dirty_vector(data, block, logs)
        plan = other if other.steps else _Plan([], [*plan.gaps, *other.gaps])
    result = _apply(data, where, block, _Plan(plan.steps, [*gaps, *plan.gaps]))
    if result.applied == 0 and not result.gaps:
        return replace(result, gaps=_unknown_changes(data, where))
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
    return (_gap(where, f"sequence numbers {primary} and {secondary} differ, and no log is there: {_LOST}"),)


def _base_block(data: bytes) -> BaseBlock | None:
    """Return the hive's base block, None where it is damaged and has to come from a log."""
    try:
        block = parse_base_block(data)
    except ParseError:
        return None
    return block if block.sound else None


def _gap(where: Where, detail: str, *, material: bool = True) -> Gap:
    return Gap(kind=GapKind.HIVE_DIRTY, detail=detail, where=where, material=material)


def _broken_gap(file: LogFile, broken: BrokenEntry) -> Gap:
    where = replace(file.where, offset_bytes=broken.offset_bytes)
    return _gap(where, f"log entry {broken.sequence} {_NOT}: {broken.detail}")


def _read_logs(files: Sequence[LogFile], oldest: int) -> tuple[list[tuple[LogFile, Log]], list[Gap]]:
    logs: list[tuple[LogFile, Log]] = []
    gaps: list[Gap] = []
    for file in files:
        if file.problem != "":
            gaps.append(_gap(file.where, f"log {_NOT}: {file.problem}"))
        elif is_unused(file.data):
            continue
        else:
            try:
                logs.append((file, read_log(file.data, oldest=oldest)))
            except ParseError as error:
                gaps.append(_gap(file.where, f"log {_NOT}: {error.what}"))
    return logs, gaps


def _plan_entries(logs: Sequence[tuple[LogFile, Log]], awaited: int | None, where: Where) -> _Plan:
    """Choose the entries of the new format. `awaited` is the one the hive needs first; None where it cannot tell."""
    new = sorted((pair for pair in logs if not pair[1].is_old_format), key=lambda pair: pair[1].block.primary_sequence)
    steps = {
        entry.sequence: _Step(entry, file, log)
        for file, log in new
        for entry in log.entries
        if awaited is None or entry.sequence >= awaited
    }
    start = _start(steps, awaited)
    end = start
    while end in steps:
        end += 1
    gaps = [
        _gap(
            replace(file.where, offset_bytes=log.broken.offset_bytes),
            f"log entry {log.broken.sequence} {_NOT}: {log.broken.detail}",
        )
        for file, log in new
        if log.broken is not None and log.broken.sequence >= end
    ]
    later = [number for number in steps if number >= end]
    if later:
        gaps.append(_gap(where, f"log entry {end} is in no log: {len(later)} later ones {_NOT}"))
    elif new and start == end and not gaps:
        gaps.append(_gap(where, f"log entry {end}, which this hive awaits, is in no log"))
    return _Plan([steps[number] for number in range(start, end)], gaps)


def _start(steps: Mapping[int, _Step], awaited: int | None) -> int:
    """Return the number of the first entry to apply.

    A hive under heavy change is written in part when both logs are full, without its header: then the entry that it
    awaits is overwritten already, and all that both logs hold, without a hole between them, makes it whole.
    A damaged header does not tell the first entry: the last run of entries is taken from its beginning.
    """
    if not steps or awaited in steps:
        return awaited or 0
    newest = first = max(steps)
    while first - 1 in steps:
        first -= 1
    both_logs = steps[first].file is not steps[newest].file
    whole = first == min(steps)
    return first if awaited is None or (both_logs and whole) else awaited


def _plan_dirty_vector(data: bytes, block: BaseBlock | None, logs: Sequence[tuple[LogFile, Log]]) -> _Plan:
    """Choose the log of the old format: it belongs to the hive's state when both were last written at one time."""
    old = [pair for pair in logs if pair[1].is_old_format]
    written = _written(data, block)
    suited = [pair for pair in old if pair[1].block.last_written in written]
    doubt = [] if suited or block is not None else ["whether it is of this state of the hive cannot be told"]
    if not suited and block is not None:
        return _Plan([], [_gap(file.where, f"log {_NOT}: it is of another state of the hive") for file, _log in old])
    newest = sorted(suited or old, key=lambda pair: pair[1].block.primary_sequence)[-1:]
    steps = [_Step(entry, file, log) for file, log in newest for entry in log.entries]
    return _Plan(steps, [_gap(step.file.where, f"log replayed, but {detail}") for step in steps for detail in doubt])


def _written(data: bytes, block: BaseBlock | None) -> set[int]:
    """Return when the hive was last written; of one with a damaged header, what header and first bin say of it."""
    if block is not None:
        return {block.last_written}
    told: set[int] = set()
    if len(data) >= _BIN_WRITTEN_AT + 8:
        told.add(int.from_bytes(data[_BIN_WRITTEN_AT : _BIN_WRITTEN_AT + 8], "little"))
    try:
        told.add(parse_base_block(data).last_written)
    except ParseError:
        return told
    return told


def _apply(data: bytes, where: Where, block: BaseBlock | None, plan: _Plan) -> Replay:
    """Apply the steps to a copy. One that does not fit ends it: all before it holds."""
    hive = bytearray(data)
    gaps = list(plan.gaps)
    done: list[_Step] = []
    for step in plan.steps:
        if block is None and not done:
            hive[:SECTOR_BYTES] = step.file.data[:SECTOR_BYTES]
        problem = _apply_step(hive, step)
        if problem is not None:
            gaps.append(_gap(step.file.where, f"log entry {step.entry.sequence} {_NOT}: {problem}"))
            break
        done.append(step)
    if not done:
        return Replay(data=data, gaps=tuple(gaps))
    numbers = f"{done[0].entry.sequence} to {done[-1].entry.sequence}"
    detail = f"the hive was not written out: its last changes were replayed from its logs, entries {numbers}"
    if block is None:
        detail = f"{detail}; its damaged base block was taken from there"
    gaps.append(_gap(where, detail, material=False))
    return Replay(data=bytes(hive), applied=len(done), gaps=tuple(gaps))


def _apply_step(hive: bytearray, step: _Step) -> str | None:
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
