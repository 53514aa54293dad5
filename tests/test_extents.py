"""Extents: a stream laid out over runs reads as its bytes, zeros past the initialised size, and damage is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.faulty_source import FaultySource
from triage.volumes.extents import ExtentReader, extents_of_runs, readable_end
from triage.volumes.runs import HOLE, Run

CLUSTER_BYTES = 512
CLUSTERS = 64
DISK = b"".join(bytes([number + 1]) * CLUSTER_BYTES for number in range(CLUSTERS))


def disk(bad_sectors: frozenset[int] = frozenset(), size_bytes: int = len(DISK)) -> FaultySource:
    return FaultySource(DISK[:size_bytes], bad=bad_sectors)


runs = st.lists(
    st.builds(Run, st.one_of(st.just(HOLE), st.integers(0, CLUSTERS - 8)), st.integers(1, 8)), min_size=1, max_size=6
)


def expected(layout: list[Run], size: int, initialized: int) -> bytes:
    data = b"".join(
        bytes(n * CLUSTER_BYTES) if c == HOLE else DISK[c * CLUSTER_BYTES : (c + n) * CLUSTER_BYTES] for c, n in layout
    )
    return data[: min(size, initialized)].ljust(size, b"\0")[:size]


@given(runs, st.data())
def test_a_stream_reads_as_its_clusters_in_any_window(layout: list[Run], data: st.DataObject) -> None:
    room = sum(run.clusters for run in layout) * CLUSTER_BYTES
    size = data.draw(st.integers(1, room))
    initialized = data.draw(st.integers(0, size))
    window = data.draw(st.integers(1, room))
    reader = ExtentReader(disk(), extents_of_runs(layout, CLUSTER_BYTES, size, initialized))
    out = bytearray()
    while len(out) < size:
        part = bytearray(min(window, size - len(out)))
        assert reader.read_into(len(out), memoryview(part)) == len(part)
        out += part
    assert bytes(out) == expected(layout, size, initialized)
    assert reader.bad_ranges == []


@given(runs, st.integers(1, 4096))
def test_a_run_list_that_ends_early_is_told_byte_by_byte(layout: list[Run], missing: int) -> None:
    room = sum(run.clusters for run in layout) * CLUSTER_BYTES
    size = room + missing
    reader = ExtentReader(disk(), extents_of_runs(layout, CLUSTER_BYTES, size, size))
    assert reader.read_into(0, memoryview(bytearray(size))) == size
    assert [(bad.stream_offset, bad.length_bytes) for bad in reader.bad_ranges] == [(room, missing)]


def test_a_thorough_reading_gives_up_the_unreadable_sector_alone() -> None:
    layout = extents_of_runs([Run(0, 64)], CLUSTER_BYTES, len(DISK), len(DISK))
    reader = ExtentReader(disk(frozenset({20})), layout, thorough=True)
    view = bytearray(len(DISK))
    reader.read_into(0, memoryview(view))
    assert [(bad.stream_offset, bad.length_bytes) for bad in reader.bad_ranges] == [(20 * 512, 512)]
    rest = bytearray(DISK)
    rest[20 * 512 : 21 * 512] = bytes(512)
    assert view == rest
    assert reader.unreadable


def test_evidence_that_ends_early_is_told() -> None:
    source = disk(size_bytes=40 * 512)
    reader = ExtentReader(source, extents_of_runs([Run(30, 20)], CLUSTER_BYTES, 20 * 512, 20 * 512))
    view = bytearray(20 * 512)
    reader.read_into(0, memoryview(view))
    assert [(bad.stream_offset, bad.length_bytes) for bad in reader.bad_ranges] == [(10 * 512, 10 * 512)]
    assert bytes(view) == DISK[30 * 512 : 40 * 512] + bytes(10 * 512)


@given(runs, st.data())
def test_behind_its_readable_end_nothing_of_a_stream_is_held(layout: list[Run], data: st.DataObject) -> None:
    room = sum(run.clusters for run in layout) * CLUSTER_BYTES
    size, evidence = data.draw(st.integers(1, room + 4096)), data.draw(st.integers(0, len(DISK)))
    held = [
        run.cluster == HOLE or (run.cluster + number) * CLUSTER_BYTES + byte < evidence
        for run in layout
        for number in range(run.clusters)
        for byte in range(CLUSTER_BYTES)
    ][:size]
    last = max((position + 1 for position, one in enumerate(held) if one), default=0)
    assert readable_end(extents_of_runs(layout, CLUSTER_BYTES, size, size), evidence) == last
