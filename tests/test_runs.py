"""Run lists: our decoder against an encoder written from the specification, and against arbitrary bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.model.errors import ParseError
from triage.volumes.runs import HOLE, Run, count_clusters, decode_runs


def encode(runs: list[Run]) -> bytes:
    """Encode mapping pairs; the shortest signed step, as Windows writes it."""
    out = bytearray()
    before = 0
    for cluster, clusters in runs:
        length = clusters.to_bytes((clusters.bit_length() + 7) // 8, "little")
        if cluster == HOLE:
            step = b""
        else:
            delta = cluster - before
            step = delta.to_bytes(delta.bit_length() // 8 + 1, "little", signed=True)
            before = cluster
        out += bytes([len(step) << 4 | len(length)]) + length + step
    return bytes(out) + b"\0"


run = st.builds(
    Run, st.one_of(st.just(HOLE), st.integers(0, (1 << 40) - 1)), st.integers(min_value=1, max_value=(1 << 32) - 1)
)


@given(st.lists(run, max_size=40), st.binary(max_size=7))
def test_what_was_encoded_is_decoded_whatever_follows(runs: list[Run], rest: bytes) -> None:
    assert decode_runs(encode(runs) + rest) == runs


@given(st.binary(max_size=64))
def test_arbitrary_bytes_give_runs_or_a_parse_error(data: bytes) -> None:
    try:
        runs = decode_runs(data)
    except ParseError:
        return
    assert all(run.clusters > 0 and (run.cluster >= 0 or run.cluster == HOLE) for run in runs)
    assert count_clusters(runs) == sum(run.clusters for run in runs)


@given(st.lists(run, min_size=1, max_size=8))
def test_a_list_cut_short_is_an_error_not_a_shorter_list(runs: list[Run]) -> None:
    data = encode(runs)
    for length in range(len(data)):
        with pytest.raises(ParseError):
            decode_runs(data[:length])


def test_a_step_before_the_volume_is_refused() -> None:
    with pytest.raises(ParseError, match="run at cluster"):
        decode_runs(bytes([0x11, 4, 0xFF, 0]))  # one run of 4 clusters, step -1 from cluster 0
