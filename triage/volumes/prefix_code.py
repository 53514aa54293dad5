"""Canonical prefix (Huffman) codes as one table, for the decoders of XPRESS and LZX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.model.errors import ParseError


class PrefixCode(NamedTuple):
    """A code by the next `bits` bits, those of its longest codeword: symbol << 5 | length of its codeword.

    A code without codewords has an empty table.
    """

    table: list[int]
    bits: int


def prefix_code(lengths: Sequence[int]) -> PrefixCode:
    """Lay out a code by its codewords' lengths, 0 for unused symbols; `ParseError` unless all or none are used."""
    bits = max(lengths)
    symbols: list[list[int]] = [[] for _ in range(bits + 1)]
    for symbol, length in enumerate(lengths):
        symbols[length].append(symbol)
    used = sum(len(symbols[length]) << (bits - length) for length in range(1, bits + 1))
    if used != 1 << bits and bits > 0:
        raise ParseError("prefix code")
    table: list[int] = []
    for length in range(1, bits + 1):
        repeat = 1 << (bits - length)
        for symbol in symbols[length]:
            table += [symbol << 5 | length] * repeat
    return PrefixCode(table, bits)
