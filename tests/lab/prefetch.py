"""Writes prefetch files as Windows XP (17), 7 (23), 8.1 (26) and 10 (30, compressed) do, apart from the product.

After J. Metz, "Windows Prefetch File (PF) format". Of version 30 the content is compressed as Windows does it (LZXPRESS
Huffman, [MS-XCA] 2.1), but without repetitions.
"""

from __future__ import annotations

import heapq
import struct
from collections import Counter

from msgspec import Struct

_HEADER_BYTES = 84
_INFORMATION_BYTES = {17: 68, 23: 156, 26: 220, 30: 220}
_METRIC_BYTES = {17: 20, 23: 32, 26: 32, 30: 32}
_CHAIN_BYTES = {17: 12, 23: 12, 26: 12, 30: 8}
_VOLUME_BYTES = {17: 40, 23: 104, 26: 104, 30: 96}
_RUN_TIMES = {17: 1, 23: 1, 26: 8, 30: 8}
_BLOCK_BYTES = 65_536
_SERIAL = 0xE8EAB8B5


class LabPrefetch(Struct, frozen=True, kw_only=True):
    r"""One prefetch file. `run_times` are FILETIMEs, the latest first; `paths` stand as `\WINDOWS\…` on `device`."""

    program: str
    run_times: tuple[int, ...]
    run_count: int
    paths: tuple[str, ...] = ()
    version: int = 23
    hash: int = 0x12345678
    device: str = r"\DEVICE\HARDDISKVOLUME1"

    @property
    def file_name(self) -> str:
        """What Windows calls it."""
        return f"{self.program}-{self.hash:08X}.pf"


def write_prefetch(prefetch: LabPrefetch) -> bytes:
    """Return the file."""
    content = _content(prefetch)
    return content if prefetch.version < 30 else b"MAM\x04" + struct.pack("<I", len(content)) + compressed(content)


def compressed(content: bytes) -> bytes:
    """Return LZXPRESS Huffman data without repetitions: each block begins with the lengths of its codes."""
    return b"".join(_block(content[at : at + _BLOCK_BYTES]) for at in range(0, len(content), _BLOCK_BYTES))


def _block(block: bytes) -> bytes:
    """Return a block's bits in words of 16, the highest first, and what a decoder reads ahead."""
    lengths = _code_lengths(block)
    codes: dict[int, str] = {}
    code = previous = 0
    for byte, length in sorted(lengths.items(), key=lambda item: (item[1], item[0])):
        code = code << length - previous
        codes[byte], code, previous = f"{code:0{length}b}", code + 1, length
    bits = "".join(codes[byte] for byte in block)
    bits += "0" * (-len(bits) % 16)
    words = (int(bits[at : at + 16], 2).to_bytes(2, "little") for at in range(0, len(bits), 16))
    pairs = (lengths.get(symbol, 0) | lengths.get(symbol + 1, 0) << 4 for symbol in range(0, 512, 2))
    return bytes(pairs) + b"".join(words) + bytes(4)


def _code_lengths(block: bytes) -> dict[int, int]:
    """Return how many bits each byte of a block gets: Huffman's tree, of some hundred leaves never deeper than 15."""
    heap: list[tuple[int, int, tuple[int, ...]]] = [(count, byte, (byte,)) for byte, count in Counter(block).items()]
    heapq.heapify(heap)
    lengths = dict.fromkeys(block, 0)
    while len(heap) > 1:
        (count, byte, leaves), (more, _byte, others) = heapq.heappop(heap), heapq.heappop(heap)
        for leaf in (*leaves, *others):
            lengths[leaf] += 1
        heapq.heappush(heap, (count + more, byte, (*leaves, *others)))
    return lengths


def _content(prefetch: LabPrefetch) -> bytes:
    version = prefetch.version
    paths = [f"{prefetch.device}{path}" for path in prefetch.paths]
    metrics, strings = b"", b""
    for path in paths:
        metrics += _metric(version, len(strings), len(path))
        strings += (path + "\0").encode("utf-16-le")
    metrics_at = _HEADER_BYTES + _INFORMATION_BYTES[version]
    chains_at = metrics_at + len(metrics)
    strings_at = chains_at + _CHAIN_BYTES[version]
    volumes_at = -(-(strings_at + len(strings)) // 8) * 8
    volume = _volume(prefetch)
    places = (metrics_at, len(paths), chains_at, 1, strings_at, len(strings), volumes_at, 1, len(volume))
    body = _information(prefetch, places) + metrics + bytes(_CHAIN_BYTES[version]) + strings
    body = body.ljust(volumes_at - _HEADER_BYTES, b"\0") + volume
    name = prefetch.program.encode("utf-16-le").ljust(60, b"\0")
    return struct.pack("<I4sII60sII", version, b"SCCA", 0x11, _HEADER_BYTES + len(body), name, prefetch.hash, 0) + body


def _information(prefetch: LabPrefetch, places: tuple[int, ...]) -> bytes:
    version = prefetch.version
    times = (*prefetch.run_times, *[0] * 8)[: _RUN_TIMES[version]]
    head = struct.pack("<9I", *places) + (b"" if version == 17 else bytes(8))
    data = head + struct.pack(f"<{len(times)}Q", *times) + bytes(16) + struct.pack("<I", prefetch.run_count)
    return data.ljust(_INFORMATION_BYTES[version], b"\0")


def _metric(version: int, at: int, letters: int) -> bytes:
    if version == 17:
        return struct.pack("<IIIII", 0, 0, at, letters, 0)
    return struct.pack("<IIIIIIQ", 0, 0, 0, at, letters, 0, 0)


def _volume(prefetch: LabPrefetch) -> bytes:
    size = _VOLUME_BYTES[prefetch.version]
    device = (prefetch.device + "\0").encode("utf-16-le")
    head = struct.pack("<IIQIIIII", size, len(prefetch.device), prefetch.run_times[-1], _SERIAL, 0, 0, 0, 0)
    return head.ljust(size, b"\0") + device
