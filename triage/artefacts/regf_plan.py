"""Which log entries a dirty hive needs, and in which order; what of its logs cannot be used becomes a gap.

Old entries lie in logs too, and would bring back what was changed since. So entries of the new format count by their
sequence numbers, from the one that the hive awaits, and only as long as they follow each other; a log of the old
format belongs to a hive that was last written at the same time. Source: M. Suhanov, "Windows registry file format
specification", "Multiple transaction log files", and his note "Missing log entries for a dirty primary file".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from triage.artefacts.regf import BASE_BLOCK_BYTES, BaseBlock, parse_base_block
from triage.artefacts.regf_log import BrokenEntry, Log, LogEntry, is_unused, read_log
from triage.model.errors import ParseError
from triage.model.gap import Gap, GapKind, Where

_BIN_WRITTEN_AT = BASE_BLOCK_BYTES + 20


class LogFile(Struct, frozen=True, kw_only=True):
    """A file that lies beside a hive and is named as its log; `problem` says why it could not be read whole."""

    where: Where
    data: bytes
    problem: str = ""


class Step(NamedTuple):
    """One entry to apply, and the log it comes from."""

    entry: LogEntry
    file: LogFile
    log: Log


class Plan(NamedTuple):
    """What is to be applied, in order, and what of the logs cannot be."""

    steps: list[Step]
    gaps: list[Gap]


def plan_replay(data: bytes, block: BaseBlock | None, where: Where, files: Sequence[LogFile]) -> Plan:
    """Choose what to apply to a dirty hive; `block` is its base block, None where that is damaged."""
    awaited = None if block is None else block.secondary_sequence
    logs, gaps = _read_logs(files, awaited or 0)
    plan = _plan_entries(logs, awaited, where)
    if not plan.steps:
        other = _plan_dirty_vector(data, block, logs)
        plan = other if other.steps else Plan([], [*plan.gaps, *other.gaps])
    return Plan(plan.steps, [*gaps, *plan.gaps])


def replay_gap(where: Where, detail: str, *, material: bool = True) -> Gap:
    """Make the gap for changes of a hive that were not written into it."""
    return Gap(kind=GapKind.HIVE_DIRTY, detail=detail, where=where, material=material)


def _broken_gap(file: LogFile, broken: BrokenEntry) -> Gap:
    where = replace(file.where, offset_bytes=broken.offset_bytes)
    return replay_gap(where, f"log entry {broken.sequence} not replayed: {broken.detail}")


def _read_logs(files: Sequence[LogFile], oldest: int) -> tuple[list[tuple[LogFile, Log]], list[Gap]]:
    logs: list[tuple[LogFile, Log]] = []
    gaps: list[Gap] = []
    for file in files:
        if file.problem != "":
            gaps.append(replay_gap(file.where, f"log not replayed: {file.problem}"))
        elif is_unused(file.data):
            continue
        else:
            try:
                logs.append((file, read_log(file.data, oldest=oldest)))
            except ParseError as error:
                gaps.append(replay_gap(file.where, f"log not replayed: {error.what}"))
    return logs, gaps


def _plan_entries(logs: Sequence[tuple[LogFile, Log]], awaited: int | None, where: Where) -> Plan:
    """Choose the entries of the new format. `awaited` is the one the hive needs first; None where it cannot tell."""
    new = sorted((pair for pair in logs if not pair[1].is_old_format), key=lambda pair: pair[1].block.primary_sequence)
    steps = {
        entry.sequence: Step(entry, file, log)
        for file, log in new
        for entry in log.entries
        if awaited is None or entry.sequence >= awaited
    }
    start = _start(steps, awaited)
    end = start
    while end in steps:
        end += 1
    gaps = [_broken_gap(file, log.broken) for file, log in new if log.broken is not None and log.broken.sequence >= end]
    later = [number for number in steps if number >= end]
    if later:
        gaps.append(replay_gap(where, f"log entry {end} is in no log: {len(later)} later ones not replayed"))
    elif new and start == end and not gaps:
        gaps.append(replay_gap(where, f"log entry {end}, which this hive awaits, is in no log"))
    return Plan([steps[number] for number in range(start, end)], gaps)


def _start(steps: Mapping[int, Step], awaited: int | None) -> int:
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


def _plan_dirty_vector(data: bytes, block: BaseBlock | None, logs: Sequence[tuple[LogFile, Log]]) -> Plan:
    """Choose the log of the old format: it belongs to the hive's state when both were last written at one time."""
    old = [pair for pair in logs if pair[1].is_old_format]
    written = _written(data, block)
    suited = [pair for pair in old if pair[1].block.last_written in written]
    doubt = [] if suited or block is not None else ["whether it is of this state of the hive cannot be told"]
    if not suited and block is not None:
        return Plan(
            [], [replay_gap(file.where, "log not replayed: it is of another state of the hive") for file, _log in old]
        )
    newest = sorted(suited or old, key=lambda pair: pair[1].block.primary_sequence)[-1:]
    steps = [Step(entry, file, log) for file, log in newest for entry in log.entries]
    return Plan(
        steps, [replay_gap(step.file.where, f"log replayed, but {detail}") for step in steps for detail in doubt]
    )


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
