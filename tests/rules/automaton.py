"""Reads from compiled rules which bytes YARA searches for: what a scan costs, told without a clock.

Layout: `libyara/arena.c` (saved form) and `libyara/ahocorasick.c` (automaton) of YARA 4.5.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import yara

_TRANSITIONS, _MATCHES = 8, 9  # buffers of the saved form (libyara/include/yara/compiler.h)
_INDEX_BITS = 9


def atoms(rules: yara.Rules) -> set[bytes]:
    """Return the byte sequences that lead from the automaton's root to a place where strings are compared."""
    saved = io.BytesIO()
    rules.save(file=saved)
    data = saved.getvalue()
    transitions, matches = (_numbers(data, number) for number in (_TRANSITIONS, _MATCHES))
    return {path for state, path in _states(transitions, 0, b"") if matches[state] != 0}


def _states(transitions: tuple[int, ...], state: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each state below the root with the bytes that lead to it.

    A slot of the shared table belongs to a state where its low bits repeat the slot's place, the byte plus one.
    """
    for byte, slot in enumerate(transitions[state + 1 : state + 257]):
        if slot & ((1 << _INDEX_BITS) - 1) == byte + 1:
            below = slot >> _INDEX_BITS
            yield below, path + bytes([byte])
            yield from _states(transitions, below, path + bytes([byte]))


def _numbers(data: bytes, buffer: int) -> tuple[int, ...]:
    """Return one buffer of the saved form as 32-bit numbers; head: magic, version, count, then offset and length."""
    if data[:4] != b"YARA" or data[5] <= _MATCHES:
        raise ValueError("compiled rules in a form that this reader does not know")
    offset, length = struct.unpack_from("<QI", data, 6 + 12 * buffer)
    return struct.unpack_from(f"<{length // 4}I", data, offset)
