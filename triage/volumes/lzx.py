"""LZX as Windows compresses files with it (`compact /exe:lzx`): chunks of 32 KiB, each decoded for itself.

Source: [MS-PATCH] 2 (LZX DELTA), and the WIM variant as wimlib documents it: a window of 32 KiB, no file header, the
first bit of a block's size stands for 32,768, and calls of x86 code are translated as in a file of 12,000,000 bytes.
Own code, because of the libraries none fits: libfwnt 20260602 loses chunks without long matches and gets calls in a
chunk's last bytes wrong. About 5 MB/s of output on one core.
"""

from __future__ import annotations

import struct

import numpy as np

from triage.model.errors import ParseError
from triage.volumes.prefix_code import PrefixCode, prefix_code

LARGEST_CHUNK_BYTES = 32768
_VERBATIM, _ALIGNED, _STORED = 1, 2, 3
_LITERALS = 256
_SLOTS = 30
_MAIN_SYMBOLS = _LITERALS + 8 * _SLOTS
_LENGTH_SYMBOLS = 249
_ALIGNED_SYMBOLS = 8
_CODE_LENGTH_SYMBOLS = 20
_LONGEST_CODE_BITS = 16
_SHORTEST_MATCH = 2
_LONG_LENGTH = 7  # the length header that sends to the length code
_REPEATED_OFFSETS = 3
_EXTRA_BITS = [0, 0, *(slot // 2 - 1 for slot in range(2, _SLOTS))]
#: What an offset slot and its extra bits add up to is the distance plus two.
_DISTANCES = [sum(1 << bits for bits in _EXTRA_BITS[:slot]) - 2 for slot in range(_SLOTS)]
_CALL = 0xE8
_CALL_FREE_TAIL_BYTES = 10
_TRANSLATED_FILE_BYTES = 12_000_000
_WORD_BITS = 16
_PADDING = bytes(6)
_CUT_SHORT = "LZX chunk cut short"


class _Bits:
    """The bits of a chunk: little-endian 16-bit words, most significant bit first.

    `words[i]` is the 48 bits from word i on, so that any 32 bits can be had with one shift. Past the end there are a
    few zeros, then `IndexError`.
    """

    __slots__ = ("data", "end", "position", "words")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.end = 8 * len(data)
        self.position = 0
        words = np.frombuffer(data + _PADDING[: 6 - len(data) % 2], "<u2").astype(np.uint64)
        sixteen = np.uint64(_WORD_BITS)
        self.words: list[int] = ((words[:-2] << sixteen | words[1:-1]) << sixteen | words[2:]).tolist()

    def read(self, count: int) -> int:
        """Take up to 32 bits."""
        position = self.position
        self.position = position + count
        return (self.words[position >> 4] >> (48 - (position & 15) - count)) & ((1 << count) - 1)

    def symbol(self, code: PrefixCode) -> int:
        """Take one codeword; `IndexError` from a code without any."""
        position, bits = self.position, code.bits
        entry = code.table[(self.words[position >> 4] >> (48 - (position & 15) - bits)) & ((1 << bits) - 1)]
        self.position = position + (entry & 31)
        return entry >> 5

    def stored(self, count: int) -> bytes:
        """Take whole bytes at a byte boundary."""
        start = self.position >> 3
        self.position += 8 * count
        if self.position > self.end:
            raise ParseError(_CUT_SHORT, need_bytes=start + count, have_bytes=len(self.data))
        return self.data[start : start + count]


def decompress_lzx(data: bytes, size_bytes: int) -> bytes:
    """Decode one chunk to exactly `size_bytes`; `ParseError` where that is impossible.

    Every pass of every loop yields a byte of output or takes bits of input, so work and memory are bounded by both.
    """
    bits, out = _Bits(data), bytearray()
    lengths, recent = _Lengths(), [1, 1, 1]
    try:
        while len(out) < size_bytes:
            kind = bits.read(3)
            block_bytes = LARGEST_CHUNK_BYTES if bits.read(1) else bits.read(16)
            if not 0 < block_bytes <= size_bytes - len(out):
                raise ParseError(f"LZX block of {block_bytes} bytes where {size_bytes - len(out)} are left")
            if kind == _STORED:
                _copy_stored(bits, block_bytes, recent, out)
            elif kind in (_VERBATIM, _ALIGNED):
                aligned = _read_aligned(bits) if kind == _ALIGNED else None
                _decode_block(bits, lengths.read(bits), aligned, block_bytes, recent, out)
                if bits.position > bits.end // _WORD_BITS * _WORD_BITS:
                    raise ParseError(_CUT_SHORT)
            else:
                raise ParseError(f"LZX block of type {kind}")
    except IndexError:
        raise ParseError(_CUT_SHORT) from None
    _translate_calls(out)
    return bytes(out)


class _Lengths:
    """The codewords' lengths, which each block gives as differences from those of the block before."""

    def __init__(self) -> None:
        self._main = [0] * _MAIN_SYMBOLS
        self._length = [0] * _LENGTH_SYMBOLS

    def read(self, bits: _Bits) -> tuple[PrefixCode, PrefixCode]:
        """Take a block's main and length code."""
        _read_lengths(bits, self._main, 0, _LITERALS)
        _read_lengths(bits, self._main, _LITERALS, _MAIN_SYMBOLS)
        main = prefix_code(self._main)
        _read_lengths(bits, self._length, 0, _LENGTH_SYMBOLS)
        return main, prefix_code(self._length)


def _read_lengths(bits: _Bits, lengths: list[int], start: int, end: int) -> None:
    """Take the lengths of some symbols, themselves written with a prefix code."""
    code = prefix_code([bits.read(4) for _ in range(_CODE_LENGTH_SYMBOLS)])
    position = start
    while position < end:
        symbol, run = bits.symbol(code), 1
        if symbol == 17:
            run = 4 + bits.read(4)
        elif symbol == 18:
            run = 20 + bits.read(5)
        elif symbol == 19:
            run = 4 + bits.read(1)
            symbol = bits.symbol(code)
        if position + run > end or symbol == 19:
            raise ParseError("LZX code lengths")
        length = (lengths[position] - symbol) % 17 if symbol < 17 else 0
        lengths[position : position + run] = [length] * run
        position += run


def _read_aligned(bits: _Bits) -> PrefixCode:
    return prefix_code([bits.read(3) for _ in range(_ALIGNED_SYMBOLS)])


def _copy_stored(bits: _Bits, block_bytes: int, recent: list[int], out: bytearray) -> None:
    """Take a block that was not compressed: padding to the next word, three offsets, the bytes."""
    bits.position = (bits.position // _WORD_BITS + 1) * _WORD_BITS
    recent[:] = struct.unpack("<III", bits.stored(12))
    out += bits.stored(block_bytes)
    if block_bytes % 2 and bits.position < bits.end:
        bits.position += 8


def _decode_block(
    bits: _Bits,
    codes: tuple[PrefixCode, PrefixCode],
    aligned: PrefixCode | None,
    block_bytes: int,
    recent: list[int],
    out: bytearray,
) -> None:
    """Decode a block's literals and matches. The main code's lookup is written out here: it is most of the time."""
    (table, table_bits), length_code = codes
    words, position = bits.words, bits.position
    shift, mask = 48 - table_bits, (1 << table_bits) - 1
    end = len(out) + block_bytes
    append = out.append
    filled = len(out)
    while filled < end:
        entry = table[(words[position >> 4] >> (shift - (position & 15))) & mask]
        position += entry & 31
        symbol = entry >> 5
        if symbol < _LITERALS:
            append(symbol)
            filled += 1
            continue
        slot, length = (symbol - _LITERALS) >> 3, symbol & 7
        bits.position = position
        if length == _LONG_LENGTH:
            length += bits.symbol(length_code)
        length += _SHORTEST_MATCH
        if slot < _REPEATED_OFFSETS:
            distance = recent[slot]
            recent[slot] = recent[0]
        else:
            extra = _EXTRA_BITS[slot]
            distance = _DISTANCES[slot]
            if aligned is not None and extra >= 3:
                distance += bits.read(extra - 3) << 3
                distance += bits.symbol(aligned)
            else:
                distance += bits.read(extra)
            recent[2] = recent[1]
            recent[1] = recent[0]
        recent[0] = distance
        position = bits.position
        if not 0 < distance <= filled or filled + length > end:
            raise ParseError("LZX match beyond the chunk")
        start = filled - distance
        if distance >= length:
            out += out[start : start + length]
        else:
            out += (out[start:] * (length // distance + 1))[:length]
        filled += length
    bits.position = position


def _translate_calls(out: bytearray) -> None:
    """Make the targets of what looks like x86 calls relative again; the compressor had made them absolute."""
    end = len(out) - _CALL_FREE_TAIL_BYTES
    position = out.find(_CALL, 0, max(end, 0))
    while position >= 0:
        (target,) = struct.unpack_from("<i", out, position + 1)
        if 0 <= target < _TRANSLATED_FILE_BYTES:
            struct.pack_into("<i", out, position + 1, target - position)
        elif -position <= target < 0:
            struct.pack_into("<i", out, position + 1, target + _TRANSLATED_FILE_BYTES)
        position = out.find(_CALL, position + 5, end)
