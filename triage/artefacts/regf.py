"""What a registry hive says of itself, read straight from its bytes, to hold a parser's result against.

A parser that follows a damaged hive's pointers may end early without an error. This module reads the counts,
hashes and sizes that the hive keeps beside its data, and mends in a copy what would keep a parser out.
Source: M. Suhanov, "Windows registry file format specification", https://github.com/msuhanov/regf.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator

from msgspec import Struct

from triage.model.errors import ParseError

BASE_BLOCK_BYTES = 4096
SECTOR_BYTES = 512
_PAGE_BYTES = 4096
_CHECKED_BYTES = 508
_DEFAULT_ROOT_CELL = 32
_PRIMARY_FILE = 0
_MINOR_VERSIONS = range(3, 7)
_USUAL_MINOR_VERSION = 5
_BASE_BLOCK = struct.Struct("<4sIIQIIIIII")
_BIN_HEADER = struct.Struct("<4sII")


class Damage(Struct, frozen=True, kw_only=True):
    """One disagreement of a hive with itself: what it is, and where in the file."""

    detail: str
    offset_bytes: int


class BaseBlock(Struct, frozen=True, kw_only=True):
    """The file header: spec, "Base block". `sound` says whether its checksum is right."""

    primary_sequence: int
    secondary_sequence: int
    last_written: int
    minor_version: int
    file_type: int
    root_cell: int
    bins_bytes: int
    sound: bool


def read_base_block(data: bytes) -> BaseBlock:
    """Read the header of a hive; ParseError where there is none."""
    if len(data) < BASE_BLOCK_BYTES + _PAGE_BYTES // 8:
        raise ParseError("hive is too short", need_bytes=BASE_BLOCK_BYTES + _PAGE_BYTES, have_bytes=len(data))
    return parse_base_block(data)


def parse_base_block(data: bytes) -> BaseBlock:
    """Read the header in the first sector of a hive or of a log; ParseError where there is none."""
    if len(data) < SECTOR_BYTES:
        raise ParseError("no base block", need_bytes=SECTOR_BYTES, have_bytes=len(data))
    signature, primary, secondary, written, _major, minor, file_type, _format, root, size = _BASE_BLOCK.unpack_from(
        data
    )
    if signature != b"regf":
        raise ParseError("no regf signature")
    (stored,) = struct.unpack_from("<I", data, _CHECKED_BYTES)
    return BaseBlock(
        primary_sequence=primary,
        secondary_sequence=secondary,
        last_written=written,
        minor_version=minor,
        file_type=file_type,
        root_cell=root,
        bins_bytes=size,
        sound=stored == _checksum(data),
    )


def decode_utf16(raw: bytes) -> str:
    """Decode a string as it stands in a hive: unpaired surrogates are kept, an odd last byte is left out."""
    return raw[: len(raw) // 2 * 2].decode("utf-16-le", "surrogatepass")


def mend(data: bytes) -> tuple[bytes, list[Damage]]:
    """Return bytes that a parser can open, and each place where the hive's frame disagrees with itself.

    A sound hive comes back as it is. ParseError where there is nothing to mend: not a hive, a transaction
    log, a version before Windows NT 4.0 (other cell layout), no hive bin at all.
    """
    block = read_base_block(data)
    if block.sound and block.file_type != _PRIMARY_FILE:
        raise ParseError("a transaction log, not a hive", offset_bytes=28)
    if block.sound and block.minor_version not in _MINOR_VERSIONS:
        raise ParseError(f"hive format 1.{block.minor_version} is not supported", offset_bytes=24)
    hive = bytearray(data)
    hive.extend(bytes(-len(hive) % _PAGE_BYTES))
    starts = _bin_starts(hive)
    if not starts:
        raise ParseError("no hive bin", offset_bytes=BASE_BLOCK_BYTES)
    end = _bins_end(block, hive, starts[-1])
    damages = [*_header_damage(block, len(data)), *_mend_bins(hive, starts, end)]
    if not damages:
        return data, damages
    _mend_base_block(hive, block, end)
    return bytes(hive), damages


def _header_damage(block: BaseBlock, file_bytes: int) -> Iterator[Damage]:
    if not block.sound:
        yield Damage(detail="the base block's checksum is wrong", offset_bytes=_CHECKED_BYTES)
    have = file_bytes - BASE_BLOCK_BYTES
    if block.sound and (block.bins_bytes > have or block.bins_bytes % _PAGE_BYTES != 0):
        detail = f"{block.bins_bytes} bytes of hive bins declared, {have} there"
        yield Damage(detail=detail, offset_bytes=file_bytes)


def _bin_starts(hive: bytearray) -> list[int]:
    """Return where hive bins start, relative to the first: a signature, and its own offset beside it."""
    starts = []
    for start in range(0, len(hive) - BASE_BLOCK_BYTES, _PAGE_BYTES):
        signature, offset, _size = _BIN_HEADER.unpack_from(hive, BASE_BLOCK_BYTES + start)
        if signature == b"hbin" and offset == start:
            starts.append(start)
    return starts


def _bins_end(block: BaseBlock, hive: bytearray, last_start: int) -> int:
    """Return where hive bins end: as declared, or with the last one if the declaration cannot be trusted."""
    there = len(hive) - BASE_BLOCK_BYTES
    if block.sound and block.bins_bytes > 0 and block.bins_bytes % _PAGE_BYTES == 0:
        return min(block.bins_bytes, there)
    size = _bin_bytes(hive, last_start)
    return there if size == 0 or size % _PAGE_BYTES != 0 else min(last_start + size, there)


def _bin_bytes(hive: bytearray, start: int) -> int:
    size: int = _BIN_HEADER.unpack_from(hive, BASE_BLOCK_BYTES + start)[2]
    return size


def _mend_bins(hive: bytearray, starts: list[int], end: int) -> Iterator[Damage]:
    """Close the chain of hive bins in place: a size that leads nowhere, a header that is not there.

    The chain is followed from bin to bin, for a remnant inside a bin may look like the start of one.
    """
    borders = [*(start for start in starts if start < end), end]
    known = frozenset(borders)
    start = 0
    while start < end:
        size = _bin_bytes(hive, start) if start in known else 0
        room = borders[bisect_right(borders, start)] - start
        plausible = size > 0 and size % _PAGE_BYTES == 0 and (size <= room or start + size in known)
        if not plausible:
            missing = f"no hive bin header before {room} bytes"
            detail = f"hive bin of {size} bytes has room for {room}" if start in known else missing
            yield Damage(detail=detail, offset_bytes=BASE_BLOCK_BYTES + start)
            _BIN_HEADER.pack_into(hive, BASE_BLOCK_BYTES + start, b"hbin", start, room)
            size = room
        start += size


def _mend_base_block(hive: bytearray, block: BaseBlock, bins_bytes: int) -> None:
    """Declare what is there; under a wrong checksum a primary file of Windows XP or later is assumed."""
    struct.pack_into("<I", hive, 40, bins_bytes)
    if not block.sound:
        known = block.minor_version in _MINOR_VERSIONS
        minor_version = block.minor_version if known else _USUAL_MINOR_VERSION
        struct.pack_into("<III", hive, 20, 1, minor_version, _PRIMARY_FILE)
        if not hive.startswith(b"nk", BASE_BLOCK_BYTES + block.root_cell + 4):
            struct.pack_into("<I", hive, 36, _DEFAULT_ROOT_CELL)
    seal_base_block(hive)


def seal_base_block(hive: bytearray) -> None:
    """Write the right checksum into a hive's base block, in place."""
    struct.pack_into("<I", hive, _CHECKED_BYTES, _checksum(hive))


def _checksum(data: bytes | bytearray) -> int:
    checksum = 0
    for (word,) in struct.iter_unpack("<I", data[:_CHECKED_BYTES]):
        checksum ^= word
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(checksum, checksum)
