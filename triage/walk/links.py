"""Links and other reparse points: what each is and where it leads, so that none is followed and none is left unsaid."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from triage.model.errors import ParseError
from triage.model.gap import Gap, GapKind, Where
from triage.volumes.mft_records import Mask
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.reparse import LARGEST_REPARSE_BYTES, ReparsePoint, parse_reparse_point, sort_of
from triage.walk.mft import MftTable, StreamRows
from triage.walk.paths import Paths


def reparse_point(volume: NtfsVolume, table: MftTable, entry: int) -> ReparsePoint | None:
    """Return an entry's reparse point, None where it has none; of a damaged one what its tag says, and no target."""
    tag, offset = table.entries.reparse_tag.item(entry), table.entries.reparse_offset.item(entry)
    if tag == 0:
        return None
    try:
        return parse_reparse_point(volume.read_value(offset, LARGEST_REPARSE_BYTES) or b"")
    except ParseError as error:
        sort = sort_of(tag)
        return ReparsePoint(tag=tag, name=f"damaged {sort.name} ({error})", content=sort.content)


def gaps_of_links(volume: NtfsVolume, table: MftTable, paths: Paths) -> Iterator[Gap]:
    """Yield a gap for each reparse point of an entry without unnamed stream: junctions, mount points, cloud folders."""
    for entry in np.flatnonzero(table.base & (table.entries.reparse_tag != 0) & ~_with_stream(table)).tolist():
        point = reparse_point(volume, table, entry)
        if point is not None:
            path, *others = paths.of(entry)
            where = Where(volume=volume.id, path=path, other_paths=tuple(others), mft_entry=entry)
            yield Gap(kind=GapKind.REPARSE_POINT, detail=point.described, where=where)


def _with_stream(table: MftTable) -> Mask:
    """Tell the entries that have an unnamed stream: what their reparse point says is told with it."""
    rows: StreamRows = table.streams
    have = np.zeros(len(table.entries.in_use), bool)
    have[rows.owner[rows.head & (rows.name_length == 0)]] = True
    return have
