"""XPRESS with Huffman codes, as Windows compresses files with it (`compact /exe:xpress4k`, 8k, 16k).

Source: [MS-XCA] 2.2 (LZ77+Huffman decompression). Own code, because the library at hand (libfwnt 20260602) fills up
without an error what a chunk that was cut short lacks.
"""

from __future__ import annotations

import struct

import numpy as np

from triage.model.errors import ParseError
from triage.volumes.prefix_code import PrefixCode, prefix_code

_LENGTHS_BYTES = 256
_LITERALS = 256
_SHORTEST_MATCH = 3
_LONG_LENGTH = 15  # in a symbol: the rest of the length follows in bytes
_PREFETCHED_BYTES = 5  # of the two words one must have, and the odd byte
_MASK = 0xFFFFFFFF
_CUT_SHORT = "XPRESS chunk cut short"


def decompress_xpress(data: bytes, size_bytes: int) -> bytes:
    """Decode one chunk to exactly `size_bytes`, 64 KiB at most; `ParseError` where that is impossible.

    Every pass of the loop yields output, so work and memory are bounded by `size_bytes`.
    """
    if len(data) < _LENGTHS_BYTES:
        raise ParseError(_CUT_SHORT, need_bytes=_LENGTHS_BYTES, have_bytes=len(data))
    packed = np.frombuffer(data, np.uint8, _LENGTHS_BYTES)
    code = prefix_code(np.stack((packed & 15, packed >> 4), axis=1).reshape(-1).tolist())
    try:
        return _decode(data, size_bytes, code)
    except IndexError:
        raise ParseError(_CUT_SHORT) from None


def _decode(data: bytes, size_bytes: int, code: PrefixCode) -> bytes:
    """Decode literals and matches; `IndexError` where the chunk ends long before its content.

    `bits` is a window of 32 bits, of which `spare` + 16 are there: the next word is taken when `spare` is negative.
    Words and the bytes of long lengths stand in one sequence, in the order in which they are taken.
    """
    table, shift = code.table, 32 - code.bits
    end = len(data)
    data += bytes(_PREFETCHED_BYTES)
    position = _LENGTHS_BYTES + 4
    first, second = struct.unpack_from("<HH", data, _LENGTHS_BYTES)
    bits, spare = first << 16 | second, 16
    out = bytearray()
    append = out.append
    filled = 0
    while filled < size_bytes:
        entry = table[bits >> shift]
        count = entry & 31
        bits = bits << count & _MASK
        spare -= count
        if spare < 0:
            bits |= (data[position] | data[position + 1] << 8) << -spare
            position += 2
            spare += 16
        symbol = entry >> 5
        if symbol < _LITERALS:
            append(symbol)
            filled += 1
            continue
        length, count = symbol & 15, (symbol - _LITERALS) >> 4
        if length == _LONG_LENGTH:
            length, position = _long_length(data, position, end)
        length += _SHORTEST_MATCH
        distance = (1 << count) + (bits >> (32 - count))
        bits = bits << count & _MASK
        spare -= count
        if spare < 0:
            bits |= (data[position] | data[position + 1] << 8) << -spare
            position += 2
            spare += 16
        if distance > filled or filled + length > size_bytes:
            raise ParseError("XPRESS match beyond the chunk")
        start = filled - distance
        if distance >= length:
            out += out[start : start + length]
        else:
            out += (out[start:] * (length // distance + 1))[:length]
        filled += length
    missing_words = (position - end + 1) // 2
    if 16 * missing_words > spare + 16:
        raise ParseError(_CUT_SHORT)
    return bytes(out)


def _long_length(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Take a match's length of 15 or more: a byte, or where that is not enough two more.

    The four bytes that [MS-XCA] has for lengths of 65,536 and more cannot be in a chunk.
    """
    length, width = data[position] + _LONG_LENGTH, 1
    if data[position] == 0xFF:
        length, width = int.from_bytes(data[position + 1 : position + 3], "little"), 3
        if length < _LONG_LENGTH:
            raise ParseError("XPRESS match length")
    if position + width > end:
        raise ParseError(_CUT_SHORT)
    return length, position + width
