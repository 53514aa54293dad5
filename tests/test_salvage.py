"""Errors in a range are read around: the good parts first in large steps, single sectors only in a thorough pass."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faulty_source import SECTOR_BYTES, FaultySource
from triage.evidence.salvage import BEYOND_END, BLOCK_BYTES, MOST_BAD_SECTORS, Salvage

_BLOCK_SECTORS = BLOCK_BYTES // SECTOR_BYTES
_SECTORS = 20 * _BLOCK_SECTORS
CONTENT = random.Random(99).randbytes(_SECTORS * SECTOR_BYTES)
_BAD = st.frozensets(st.integers(0, _SECTORS - 1), max_size=8)


def salvaged(source: FaultySource, start: int, length: int, *, thorough: bool) -> tuple[bytes, list[tuple[int, int]]]:
    view = bytearray(b"x" * length)
    missing = Salvage(source, thorough=thorough).read_into(start, memoryview(view))
    return bytes(view), [(one.offset_bytes, one.length_bytes) for one in missing]


@settings(max_examples=60)
@given(_BAD, st.integers(0, len(CONTENT) - 1), st.integers(1, len(CONTENT)), st.booleans())
def test_what_is_not_missing_is_right_and_what_is_missing_is_zeros(
    bad: frozenset[int], start: int, length: int, thorough: bool
) -> None:
    length = min(length, len(CONTENT) - start)
    view, missing = salvaged(FaultySource(CONTENT, bad=bad), start, length, thorough=thorough)
    expected = bytearray(CONTENT[start : start + length])
    for offset, size in missing:
        expected[offset - start : offset - start + size] = bytes(size)
    assert view == expected
    assert missing == sorted(missing)
    lost = {byte // SECTOR_BYTES for offset, size in missing for byte in range(offset, offset + size, SECTOR_BYTES)}
    lost |= {(offset + size - 1) // SECTOR_BYTES for offset, size in missing}
    within = {one for one in bad if one * SECTOR_BYTES < start + length and start < (one + 1) * SECTOR_BYTES}
    assert lost >= within
    assert not thorough or lost == within


def test_the_first_pass_leaps_further_each_time() -> None:
    """A large bad stretch costs a few tries, not one for each of its sectors."""
    source = FaultySource(CONTENT, bad=range(10, _SECTORS - _BLOCK_SECTORS))
    view, missing = salvaged(source, 0, len(CONTENT), thorough=False)
    assert len(source.asked) < 10
    assert missing[0][0] == 0
    assert sum(size for _, size in missing) >= (_SECTORS - _BLOCK_SECTORS - 10) * SECTOR_BYTES
    assert len(view) == len(CONTENT)


def test_a_leap_ends_behind_a_single_bad_block() -> None:
    bad = 3 * _BLOCK_SECTORS + 5
    _, missing = salvaged(FaultySource(CONTENT, bad=[bad]), 0, len(CONTENT), thorough=False)
    assert missing == [(3 * BLOCK_BYTES, BLOCK_BYTES)]


def test_a_thorough_pass_tries_each_bad_sector_alone_once() -> None:
    source = FaultySource(CONTENT, bad=range(200, 210))
    _, missing = salvaged(source, 0, len(CONTENT), thorough=True)
    assert missing == [(200 * SECTOR_BYTES, 10 * SECTOR_BYTES)]
    assert [source.tries_of(sector) for sector in range(200, 210)] == [2] * 10  # its block, and itself


def test_the_work_of_a_thorough_pass_is_bounded() -> None:
    blocks = MOST_BAD_SECTORS // _BLOCK_SECTORS + 4096
    source = FaultySource(bytes(blocks * BLOCK_BYTES), bad=range(blocks * _BLOCK_SECTORS))
    view = bytearray(source.size_bytes)
    (missing,) = Salvage(source, thorough=True).read_into(0, memoryview(view))
    assert missing.length_bytes == source.size_bytes
    assert len(source.asked) < MOST_BAD_SECTORS + MOST_BAD_SECTORS // _BLOCK_SECTORS + 40


def test_a_thorough_pass_ends_when_it_is_told_to() -> None:
    source = FaultySource(CONTENT, bad=range(_SECTORS))
    salvage = Salvage(source, thorough=True, stop=lambda: len(source.asked) >= 7)
    (missing,) = salvage.read_into(0, memoryview(bytearray(len(CONTENT))))
    assert missing.length_bytes == len(CONTENT)
    assert len(source.asked) < 20


def test_the_end_of_the_source_is_told_apart() -> None:
    source = FaultySource(CONTENT[: 2 * BLOCK_BYTES + 100], bad=[0])
    view = bytearray(3 * BLOCK_BYTES)
    missing = Salvage(source, thorough=True).read_into(0, memoryview(view))
    assert [(one.offset_bytes, one.length_bytes) for one in missing] == [
        (0, 512),
        (2 * BLOCK_BYTES + 100, BLOCK_BYTES - 100),
    ]
    assert missing[1].reason == BEYOND_END
    assert bytes(view[512 : 2 * BLOCK_BYTES + 100]) == CONTENT[512 : 2 * BLOCK_BYTES + 100]


def test_an_error_that_passes_costs_nothing() -> None:
    source = FaultySource(CONTENT, passing={700: 1})
    view, missing = salvaged(source, 0, len(CONTENT), thorough=False)
    assert missing != []
    view, missing = salvaged(source, 0, len(CONTENT), thorough=False)
    assert (view, missing) == (CONTENT, [])
