"""The coverage ledger: each stream of each entry ends in exactly one state, and the sum is held against witnesses."""

from __future__ import annotations

from typing import assert_never

from msgspec import Struct

from triage.model.entry import StreamState
from triage.model.gap import GapKind


class VolumeLedger(Struct, frozen=True, kw_only=True):
    """The account of one volume. `streams` and `bytes` are the sums over all states.

    `enumerated` streams were to find a state. `data_attributes` and `bitmap_bits` are what the two independent counts
    found, None where one could not be taken; `records` are the base, extension and unreadable records that were seen.
    `balanced` says whether all of it adds up, None where nothing contradicts but a count could not be taken.
    """

    volume: str
    streams_by_state: dict[str, int]
    bytes_by_state: dict[str, int]
    streams: int
    bytes: int
    enumerated: int
    data_attributes: int | None
    records: int
    bitmap_bits: int | None
    balanced: bool | None


class ExcludedFolder(Struct, frozen=True, kw_only=True):
    """What a profile left out of one folder: so many streams and bytes; of `headers_read` of them the header was read.

    `folder` is `/`-separated from the volume's root, "" for the root itself; its subfolders are not counted.
    """

    volume: str
    folder: str
    streams: int
    bytes: int
    headers_read: int = 0


def gap_of(state: StreamState) -> GapKind | None:
    """Return the kind of gap that a stream of this state leaves behind, None where nothing of it is missing.

    Of a stream read in part, ranges have kinds of their own; this is the one for a stream without any.
    """
    match state:
        case StreamState.READ | StreamState.KNOWN_GOOD | StreamState.SPARSE_SYSTEM:
            return None
        case StreamState.PARTIAL:
            return GapKind.RUN_LIST
        case StreamState.NOT_DECODABLE:
            return GapKind.NOT_DECODABLE
        case StreamState.EFS_ENCRYPTED:
            return GapKind.EFS_ENCRYPTED
        case StreamState.REPARSE_POINT:
            return GapKind.REPARSE_POINT
        case StreamState.EXCLUDED:
            return GapKind.EXCLUDED
        case StreamState.TIMED_OUT:
            return GapKind.YARA_TIMEOUT
        case StreamState.WORKER_DIED:
            return GapKind.WORKER_DIED
        case StreamState.INTERRUPTED:
            return GapKind.INTERRUPTED
        case _:
            assert_never(state)
