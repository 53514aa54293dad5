"""Chunks that wimlib compressed come back whole; cut short, changed or made up they end in an error."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.documents import prose
from tests.lab.wof import Algorithm, reparse_point, split, stored_stream, wof_streams
from tests.needs import data_path, needs_data, needs_tool
from triage.model.errors import ParseError, VolumeError
from triage.model.gap import GapKind
from triage.volumes.lzx import decompress_lzx
from triage.volumes.wof import WofDecoder, WofFormat, wof_format
from triage.volumes.xpress import decompress_xpress

pytestmark = needs_tool("wimlib-imagex")

_Decompress = Callable[[bytes, int], bytes]
_XPRESS = (Algorithm.XPRESS4K, Algorithm.XPRESS8K, Algorithm.XPRESS16K)
_LZX_DIGEST = "4f19efe116c10dac9ef64cf2648b0a489e74e6fffc8f8aaa244777a62496e864"


def _calls(random: Random) -> bytes:
    """Return what looks like x86 calls, to targets in and out of LZX's reach, also in the last bytes of chunks."""
    far = (-1, 0, 7, 40_000, -40_000, 11_999_999, 12_000_000, -(1 << 31), (1 << 31) - 1)
    targets = [random.choice((*far, random.randrange(-40_000, 40_000))) for _ in range(9000)]
    return b"".join(b"\xe8" + struct.pack("<i", one) + b"abcdefgh"[: n % 9] for n, one in enumerate(targets))


@cache
def _contents() -> tuple[bytes, ...]:
    random = Random(2017)
    text = prose(random, words=12_000).encode()
    skewed = bytes(min(255, int(random.expovariate(0.3))) for _ in range(60_000))
    sizes = (1, 2, 3, 11, 300, 4095, 4096, 4097, 8192, 16_384, 32_767, 32_768, 32_769, 65_536)
    return (
        text,
        _calls(random),
        skewed,
        bytes(200_000),
        random.randbytes(40_000) + bytes(90_000) + b"abc" * 20_000 + random.randbytes(70_000),
        b"\xe8" * 70_000,
        *((text[size:] + text)[:size] for size in sizes),
    )


@cache
def _chunks(algorithm: Algorithm) -> tuple[tuple[bytes, bytes], ...]:
    """Return compressed chunks and what each holds."""
    found = []
    for content, stream in zip(_contents(), wof_streams(_contents(), algorithm), strict=True):
        position = 0
        for chunk, length in split(stream, len(content), algorithm):
            if len(chunk) < length:
                found.append((chunk, content[position : position + length]))
            position += length
    return tuple(found)


def _decoder(algorithm: Algorithm) -> _Decompress:
    return decompress_lzx if algorithm is Algorithm.LZX else decompress_xpress


@pytest.mark.parametrize("algorithm", Algorithm)
def test_every_chunk_of_wimlib_is_decoded(algorithm: Algorithm) -> None:
    chunks = _chunks(algorithm)
    assert len(chunks) > 15
    for chunk, content in chunks:
        assert _decoder(algorithm)(chunk, len(content)) == content


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_chunk_cut_short_is_an_error_or_was_not_needed(algorithm: Algorithm) -> None:
    """The last word of a chunk may hold no bits of content."""
    errors = 0
    for chunk, content in _chunks(algorithm)[:12]:
        for cut in (1, 2, 3, 4, 5, 8, len(chunk) // 2, len(chunk)):
            try:
                decoded = _decoder(algorithm)(chunk[: max(len(chunk) - cut, 0)], len(content))
            except ParseError:
                errors += 1
            else:
                assert decoded == content
                assert cut <= 4
    assert errors >= 4 * 12


@pytest.mark.parametrize("algorithm", Algorithm)
@given(data=st.data())
def test_a_changed_chunk_is_an_error_or_has_its_length(algorithm: Algorithm, data: st.DataObject) -> None:
    chunk, content = data.draw(st.sampled_from(_chunks(algorithm)))
    changed = bytearray(chunk)
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(chunk) - 1), st.integers(0, 255)), max_size=8)):
        changed[place] = value
    _is_error_or_has_its_length(_decoder(algorithm), bytes(changed), len(content))


@pytest.mark.parametrize("decompress", [decompress_lzx, decompress_xpress])
@given(chunk=st.binary(max_size=600), size_bytes=st.integers(1, 32_768))
def test_any_bytes_are_an_error_or_have_the_length(decompress: _Decompress, chunk: bytes, size_bytes: int) -> None:
    _is_error_or_has_its_length(decompress, chunk, size_bytes)


def _is_error_or_has_its_length(decompress: _Decompress, chunk: bytes, size_bytes: int) -> None:
    try:
        decoded = decompress(chunk, size_bytes)
    except ParseError:
        return
    assert len(decoded) == size_bytes


@given(content=st.binary(min_size=1, max_size=2000))
def test_literals_alone_round_trip_through_xpress(content: bytes) -> None:
    """Each byte value has a codeword of 9 bits, and so has each match, so that a literal is written as itself."""
    lengths = bytes([0x99]) * 256
    bits = "".join(f"{byte:09b}" for byte in content)
    bits += "0" * (-len(bits) % 16 + 16)
    words = b"".join(struct.pack("<H", int(bits[start : start + 16], 2)) for start in range(0, len(bits), 16))
    assert decompress_xpress(lengths + words, len(content)) == content


@given(content=st.binary(min_size=1, max_size=2000).filter(lambda content: 0xE8 not in content))
def test_stored_blocks_round_trip_through_lzx(content: bytes) -> None:
    """Two blocks of type 3 (stored), the first of odd length where there is more than one byte."""
    first = max(len(content) // 2 | 1, 1) if len(content) > 2 else len(content)
    chunk = b""
    for part in (content[:first], content[first:]):
        if part:
            header = 3 << 29 | len(part) << 12  # three bits, no default size, sixteen bits, padding to the word
            chunk += struct.pack("<HH", header >> 16, header & 0xFFFF) + struct.pack("<III", 1, 1, 1) + part
            chunk += b"\0" * (len(part) % 2)
    assert decompress_lzx(chunk, len(content)) == content


@pytest.mark.parametrize("length", [3, 17, 18, 272, 273, 1000, 16_383])
def test_long_matches_of_xpress_are_taken_from_bytes_between_the_words(length: int) -> None:
    """A literal, then one match of distance 1: the rest of its length stands in one byte or in three."""
    lengths = bytearray(256)
    match = 256 + min(length - 3, 15)
    lengths[ord("a") // 2] |= 1 << 4 * (ord("a") % 2)
    lengths[match // 2] |= 1 << 4 * (match % 2)
    rest = b""
    if length - 3 >= 15:
        short = length - 3 - 15
        rest = bytes([short]) if short < 255 else b"\xff" + struct.pack("<H", length - 3)
    chunk = bytes(lengths) + struct.pack("<HH", 0b01 << 14, 0) + rest
    assert decompress_xpress(chunk, length + 1) == b"a" * (length + 1)
    if rest:
        with pytest.raises(ParseError):
            decompress_xpress(chunk[:-1], length + 1)


def _decoded(stream: bytes, size_bytes: int, form: WofFormat, unreadable: range = range(0)) -> tuple[bytes, WofDecoder]:
    def read(offset: int, length: int) -> bytes:
        if any(place in unreadable for place in range(offset, offset + length)):
            raise OSError("no such sector")
        return stream[offset : offset + length]

    decoder = WofDecoder(form, size_bytes, len(stream), read_table=read, read_chunk=read)
    return b"".join(decoder.blocks(5000)), decoder


def _streams() -> Iterator[tuple[bytes, bytes, WofFormat]]:
    for algorithm in Algorithm:
        for content, stream in zip(_contents(), wof_streams(_contents(), algorithm), strict=True):
            yield content, stream, wof_format(reparse_point(algorithm))


def test_every_stream_is_decoded_whole() -> None:
    for content, stream, form in _streams():
        decoded, decoder = _decoded(stream, len(content), form)
        assert (decoded, decoder.bad_ranges) == (content, [])


def test_an_unreadable_sector_costs_its_chunks_and_no_more() -> None:
    content, algorithm = _contents()[0], Algorithm.XPRESS8K
    (stream,) = wof_streams([content], algorithm)
    form = wof_format(reparse_point(algorithm))
    table_bytes = 4 * (-(-len(content) // 8192) - 1)
    decoded, decoder = _decoded(stream, len(content), form, range(table_bytes + 10, table_bytes + 522))
    assert decoded == bytes(8192) + content[8192:]
    assert [(bad.stream_offset, bad.length_bytes, bad.kind) for bad in decoder.bad_ranges] == [
        (0, 8192, GapKind.READ_ERROR)
    ]
    decoded, decoder = _decoded(stream, len(content), form, range(1))
    assert decoded == bytes(len(content))
    assert [bad[:2] for bad in decoder.bad_ranges] == [(0, len(content))]


@pytest.mark.parametrize("value", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_damaged_entry_of_the_table_costs_its_two_chunks(value: int) -> None:
    content = _contents()[0]
    (stream,) = wof_streams([content], Algorithm.XPRESS4K)
    damaged = bytearray(stream)
    struct.pack_into("<I", damaged, 8, value)  # where chunk 3 starts
    decoded, decoder = _decoded(bytes(damaged), len(content), wof_format(reparse_point(0)))
    assert decoded == content[:8192] + bytes(8192) + content[16_384:]
    assert [(bad.stream_offset, bad.length_bytes, bad.kind) for bad in decoder.bad_ranges] == [
        (8192, 8192, GapKind.NOT_DECODABLE)
    ]


def test_ranges_that_are_not_decoded_stay_few() -> None:
    content = Random(1).randbytes(4096 * 2000)
    stream = bytearray(stored_stream(content))
    for entry in range(1, 1999, 4):
        struct.pack_into("<I", stream, 4 * entry, 0)
    decoded, decoder = _decoded(bytes(stream), len(content), wof_format(reparse_point(0)))
    assert len(decoder.bad_ranges) == 256
    told = bytearray(decoded)
    for start, length, *_ in decoder.bad_ranges:
        told[start : start + length] = content[start : start + length]
    assert bytes(told) == content


@pytest.mark.parametrize("size_bytes", [1 << 40, (1 << 63) - 1])
def test_a_size_that_the_stream_cannot_hold_ends_at_once(size_bytes: int) -> None:
    with pytest.raises(VolumeError, match="cannot hold"):
        _decoded(bytes(100_000), size_bytes, wof_format(reparse_point(0)))


def test_the_entries_of_a_stream_of_four_gigabytes_have_eight_bytes() -> None:
    """Its content is all stored chunks of which nothing is read but the first blocks."""
    size_bytes = (1 << 32) + 1
    form = wof_format(reparse_point(Algorithm.LZX))
    count = -(-size_bytes // 32768)
    table = struct.pack(f"<{count - 1}Q", *range(32768, size_bytes, 32768))

    def read(offset: int, length: int) -> bytes:
        position = offset - len(table)
        return table[offset : offset + length] if position < 0 else bytes([position // 32768 % 251]) * length

    decoder = WofDecoder(form, size_bytes, len(table) + size_bytes, read_table=read, read_chunk=read)
    blocks = decoder.blocks(32768)
    assert [next(blocks)[-1] for _ in range(300)] == [number % 251 for number in range(300)]
    assert decoder.bad_ranges == []


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (b"", "cut short"),
        (reparse_point(0)[:-1], "cut short"),
        (reparse_point(0)[:4] + b"\x0f" + reparse_point(0)[5:], "cut short"),
        (reparse_point(0, provider=1), "WIM file"),
        (reparse_point(0, provider=3), "unknown form"),
        (reparse_point(4), "unknown form"),
    ],
)
def test_what_is_not_compressed_by_a_known_algorithm_is_named(point: bytes, message: str) -> None:
    with pytest.raises(VolumeError, match=message):
        wof_format(point)


@needs_data("dfir-orc/vcpkg.exe.WofCompressedData")
def test_a_stream_that_windows_compressed_is_decoded() -> None:
    """A program of Microsoft's, by LZX; its digest is that of what wimlib's own decoder makes of the chunks."""
    stream = data_path("dfir-orc/vcpkg.exe.WofCompressedData").read_bytes()
    decoded, decoder = _decoded(stream, 921_600, wof_format(reparse_point(Algorithm.LZX)))
    assert decoder.bad_ranges == []
    assert hashlib.sha256(decoded).hexdigest() == _LZX_DIGEST
