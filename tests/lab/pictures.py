"""Pictures that any viewer opens, written without an image library: small PNG and JPEG files."""

from __future__ import annotations

import struct
import zlib
from random import Random

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Huffman table for DC differences (ITU-T T.81, table K.3), and one for AC with the end-of-block code alone.
_DC_LENGTHS = bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))
_DC_CODES = ("00", "010", "011", "100", "101", "110", "1110", "11110", "111110")
_AC_LENGTHS = bytes((1, *bytes(15)))
_END_OF_BLOCK = "0"


def png(random: Random, *, width: int = 48, height: int = 48) -> bytes:
    """Return an RGB picture of noise over a gradient (ISO/IEC 15948)."""
    rows = b"".join(
        b"\0" + bytes((column * 5 + row + random.randrange(32)) & 0xFF for column in range(width * 3))
        for row in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return _PNG_SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def jpeg(random: Random, *, blocks: int = 24) -> bytes:
    """Return a baseline grey picture of `blocks` by `blocks` flat squares (ITU-T T.81, JFIF 1.01)."""
    side = blocks * 8
    scan = bytes((1, 1, 0x00, 0, 63, 0))
    segments = (
        (0xE0, b"JFIF\0" + struct.pack(">BBBHHBB", 1, 1, 0, 1, 1, 0, 0)),
        (0xFE, f"lab picture {random.randrange(10**6)}".encode()),
        (0xDB, b"\0" + bytes([8] * 64)),
        (0xC0, struct.pack(">BHHB", 8, side, side, 1) + bytes((1, 0x11, 0))),
        (0xC4, b"\x00" + _DC_LENGTHS + bytes(range(sum(_DC_LENGTHS)))),
        (0xC4, b"\x10" + _AC_LENGTHS + b"\0"),
        (0xDA, scan),
    )
    marked = b"".join(struct.pack(">BBH", 0xFF, mark, len(data) + 2) + data for mark, data in segments)
    return b"\xff\xd8" + marked + _flat_squares(random, blocks * blocks) + b"\xff\xd9"


def _flat_squares(random: Random, count: int) -> bytes:
    """Return the entropy-coded squares: for each the difference to the brightness of the one before."""
    bits = ""
    before = 0
    for _ in range(count):
        level = random.randrange(-100, 100)
        difference, before = level - before, level
        size = abs(difference).bit_length()
        value = difference if difference >= 0 else difference + (1 << size) - 1
        bits += _DC_CODES[size] + (f"{value:0{size}b}" if size > 0 else "") + _END_OF_BLOCK
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
