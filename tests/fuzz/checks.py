"""What must hold of every case, whatever its disk: nothing broke, the ledger adds up, nothing was left out silently."""

from __future__ import annotations

from collections.abc import Iterator

from triage.model.entry import StreamState
from triage.model.gap import Gap, GapKind
from triage.model.report import Reconciliation, Report
from triage.pipeline.journal import StreamRecord

_NEED_A_GAP = (
    StreamState.PARTIAL,
    StreamState.NOT_DECODABLE,
    StreamState.EFS_ENCRYPTED,
    StreamState.REPARSE_POINT,
    StreamState.TIMED_OUT,
    StreamState.WORKER_DIED,
)


def problems(report: Report, streams: list[StreamRecord]) -> Iterator[str]:
    """Yield what does not hold of a finished case."""
    if report.case.fatal is not None:
        yield f"the run ended early: {report.case.fatal}"
    for gap in report.gaps:
        if gap.kind in (GapKind.INTERNAL, GapKind.WORKER_DIED, GapKind.INTERRUPTED, GapKind.EVIDENCE_CHANGED):
            yield f"{gap.kind.value}: {gap.detail}"
    yield from _unbalanced(report)
    for one in report.coverage.reconciliation:
        yield from _untold(one, [gap for gap in report.gaps if gap.where.volume == one.volume])
    yield from _silent(report, streams)


def _unbalanced(report: Report) -> Iterator[str]:
    """Hold the states against the streams enumerated."""
    coverage = report.coverage
    states, enumerated = sum(coverage.streams_by_state.values()), sum(one.streams for one in coverage.reconciliation)
    if not states == coverage.streams == enumerated:
        yield f"{enumerated} streams enumerated, {coverage.streams} reported, {states} in a state"
    if sum(coverage.bytes_by_state.values()) != coverage.bytes_total:
        yield f"{coverage.bytes_total} bytes enumerated, in states {coverage.bytes_by_state}"
    if coverage.bytes_read > coverage.bytes_total or any(size < 0 for size in coverage.bytes_by_state.values()):
        yield f"of {coverage.bytes_total} bytes {coverage.bytes_read} read, in states {coverage.bytes_by_state}"


def _untold(one: Reconciliation, gaps: list[Gap]) -> Iterator[str]:
    """Look for an equation that fails without a material gap, or that could not be drawn up without any."""
    records = one.base_records + one.extension_records + one.unreadable_records
    equations = (
        ("records", records, one.bitmap_bits, (GapKind.LEDGER, GapKind.MFT_BITMAP, GapKind.MFT_RECORD)),
        ("streams", one.streams, one.data_attributes, (GapKind.LEDGER, GapKind.MFT_STREAM_COUNT)),
    )
    for name, ours, witness, kinds in equations:
        told = [gap for gap in gaps if gap.kind in kinds and (gap.material or witness is None)]
        if ours != witness and not told:
            yield f"{name}: {ours} against {witness}, and no gap says so"


def _silent(report: Report, streams: list[StreamRecord]) -> Iterator[str]:
    """Look for streams that were not read whole, and no gap names them."""
    named = {(gap.where.volume, gap.where.mft_entry, gap.where.stream or "") for gap in report.gaps}
    for one in streams:
        if one.state in _NEED_A_GAP and (one.volume, one.mft_entry, one.stream) not in named:
            yield f"{one.path}:{one.stream} is {one.state.value}, and no gap says so"
