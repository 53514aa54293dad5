"""Views of a source: a slice and an overlay read as the same bytes made by hand."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.memory_source import MemorySource
from triage.evidence.slice import OverlaySource, SliceSource
from triage.model.source import ByteSource

DATA = bytes(range(256)) * 2
SMALL = st.integers(0, 600)


def read_both_ways(source: ByteSource, offset_bytes: int, length_bytes: int) -> bytes:
    """Read with all methods, which must agree; what is there in part leaves the rest of the buffer alone."""
    buffer = bytearray(b"\xee" * length_bytes)
    filled = source.read_into(offset_bytes, memoryview(buffer))
    data = source.read(offset_bytes, length_bytes)
    assert bytes(buffer) == data + b"\xee" * (length_bytes - filled)
    if length_bytes > 0:
        at_once = bytearray(length_bytes)
        assert source.read_at_once(offset_bytes, memoryview(at_once)) is (len(data) == length_bytes)
        assert len(data) < length_bytes or at_once == data
    return data


@given(SMALL, SMALL, SMALL, SMALL)
def test_slice(start: int, size: int, offset: int, length: int) -> None:
    expected = DATA[start : start + size]
    view = SliceSource(MemorySource(DATA, sector_bytes=4096), start, size)
    assert view.size_bytes == len(expected)
    assert view.sector_bytes == 4096
    assert read_both_ways(view, offset, length) == expected[offset : offset + length]


@given(st.dictionaries(st.sampled_from(range(0, 512, 64)), st.binary(max_size=64)), SMALL, SMALL)
def test_overlay(replacements: dict[int, bytes], offset: int, length: int) -> None:
    expected = bytearray(DATA)
    for at, data in replacements.items():
        expected[at : at + len(data)] = data
    view = OverlaySource(MemorySource(DATA), replacements)
    assert view.size_bytes == 512
    assert read_both_ways(view, offset, length) == expected[offset : offset + length]


def test_overlay_past_the_end_shows_nothing_more() -> None:
    view = OverlaySource(MemorySource(DATA), {510: b"abcdef"})
    assert read_both_ways(view, 500, 100) == DATA[500:510] + b"ab"


def test_overlay_hides_an_unreadable_sector() -> None:
    view = OverlaySource(MemorySource(DATA, unreadable=range(64)), {0: bytes(64)})
    assert view.read(0, 512) == bytes(64) + DATA[64:]
    with pytest.raises(OSError) as caught:
        OverlaySource(MemorySource(DATA, unreadable=range(64)), {0: bytes(10)}).read(0, 512)
    assert caught.value.errno == errno.EIO


def test_nothing_before_a_view_can_be_read() -> None:
    for view in (SliceSource(MemorySource(DATA), 100, 50), OverlaySource(MemorySource(DATA), {})):
        with pytest.raises(ValueError, match="negative"):
            view.read(-1, 10)
        with pytest.raises(ValueError, match="negative"):
            view.read_into(-1, memoryview(bytearray(10)))
    with pytest.raises(ValueError, match="negative"):
        SliceSource(MemorySource(DATA), -1, 5)
