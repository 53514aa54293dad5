"""Marvin32, the checksum under which Windows 8.1 and later write each entry of a registry log.

Source: Microsoft's implementations under the MIT licence, SymCrypt (`lib/marvin32.c`) and .NET (`System.Marvin`).
"""

from __future__ import annotations

import struct

_MASK = 0xFFFF_FFFF
_WORD_BYTES = 4
_TERMINATOR = b"\x80"


def marvin32(seed: int, data: bytes | memoryview) -> int:
    """Return the 64-bit Marvin32 checksum of the data, its first word in the low half."""
    low, high = seed & _MASK, seed >> 32
    whole = len(data) // _WORD_BYTES * _WORD_BYTES
    last = (bytes(data[whole:]) + _TERMINATOR).ljust(_WORD_BYTES, b"\0")
    words = struct.unpack(f"<{whole // _WORD_BYTES}I", data[:whole])
    for word in (*words, int.from_bytes(last, "little"), 0):
        low = (low + word) & _MASK
        high ^= low
        low = ((low << 20 | low >> 12) + high) & _MASK
        high = ((high << 9 | high >> 23) & _MASK) ^ low
        low = ((low << 27 | low >> 5) + high) & _MASK
        high = (high << 19 | high >> 13) & _MASK
    return high << 32 | low
