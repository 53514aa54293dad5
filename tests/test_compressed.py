"""Streams that NTFS compressed (LZNT1): as ntfs-3g wrote them, as libfsntfs and ntfs-3g read them; damage is told."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pyfsntfs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.cases import Case, entries_by_path, examine_here
from tests.lab import documents
from tests.lab.mft_edit import set_initialized_size
from tests.lab.mounts import mount_for_writing, mount_read_only
from tests.lab.plan import sha256
from tests.loops import run, sparse
from tests.memory_source import MemorySource
from tests.mft_editor import DATA, MftEditor, attributes
from tests.needs import needs_device, needs_root, needs_tool
from triage.evidence.open import open_evidence
from triage.model.entry import StreamForm, StreamState
from triage.model.gap import GapKind
from triage.volumes.extents import BadRange, ExtentReader
from triage.volumes.lznt1 import CHUNK_BYTES, UNIT_CLUSTERS, Lznt1Content, Lznt1Decoder
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.runs import HOLE, Run, decode_runs
from triage.walk.mft import read_mft
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader
from triage.walk.streams import Streams

pytestmark = [needs_root(), needs_tool("mkntfs", "ntfs-3g", "hashdeep"), needs_device("/dev/fuse")]
_COMPRESSED_DIRECTORY = struct.pack("<I", 0x810)
_UNIT = 65_536


def _contents() -> dict[str, bytes]:
    random = Random(5)
    prose = documents.prose(random, words=30_000).encode()
    return {
        "prose.txt": prose,
        "random.bin": random.randbytes(200_000),
        "mixed.bin": prose[:50_000] + random.randbytes(90_000) + bytes(200_000) + prose[:70_000],
        "zeros.bin": bytes(300_000),
        "one unit.txt": prose[:_UNIT],
        "one unit and a byte.txt": prose[: _UNIT + 1],
        "one chunk.txt": prose[:CHUNK_BYTES],
        "a chunk and a byte.txt": prose[: CHUNK_BYTES + 1],
        "random end.bin": prose[:_UNIT] + random.randbytes(5000),
    }


class _Volume(Struct, frozen=True):
    image: Path
    contents: dict[str, bytes]


@pytest.fixture(scope="module", params=[512, 4096])
def volume(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> _Volume:
    image = sparse(tmp_path_factory.mktemp("compressed") / "volume.img", 24 << 20)
    run("mkntfs", "-F", "-Q", "-q", "-c", str(request.param), image)
    contents = _contents()
    with mount_for_writing(image) as folder:
        os.setxattr(folder, "system.ntfs_attrib", _COMPRESSED_DIRECTORY)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        contents |= {"holes.bin": _with_holes(folder / "holes.bin"), "grown.bin": _grown(folder / "grown.bin")}
    return _Volume(image, contents)


def _with_holes(path: Path) -> bytes:
    """Write a file whose second, third and fifth units are holes, and which ends in one."""
    content = bytearray(7 * _UNIT)
    text = documents.prose(Random(6), words=4000).encode()
    with path.open("wb") as file:
        file.truncate(len(content))
        for unit in (0, 3, 5):
            file.seek(unit * _UNIT + 100)
            file.write(text[:20_000])
            content[unit * _UNIT + 100 : unit * _UNIT + 20_100] = text[:20_000]
    return bytes(content)


def _grown(path: Path) -> bytes:
    """Write a file, then make it longer within its last unit, and write behind that."""
    text = documents.prose(Random(7), words=3000).encode()[:9000]
    path.write_bytes(text)
    os.truncate(path, 50_000)
    with path.open("ab") as file:
        file.write(text)
    return text.ljust(50_000, b"\0") + text


@pytest.fixture
def copy(volume: _Volume, tmp_path: Path) -> Path:
    return Path(shutil.copy(volume.image, tmp_path / "volume.img"))


def _read_by_libfsntfs(image: Path, names: list[str]) -> dict[str, bytes]:
    witness = pyfsntfs.volume()
    witness.open(str(image))
    try:
        entries = {name: witness.get_file_entry_by_path(f"\\{name}") for name in names}
        return {name: entry.read_buffer(entry.size) for name, entry in entries.items()}
    finally:
        witness.close()


def _entry(image: Path, name: str) -> int:
    with open_evidence(str(image)) as source:
        return entries_by_path(NtfsVolume(source, "v1"))[name]


def _runs(image: Path, name: str) -> list[Run]:
    mft = MftEditor(image)
    record = mft.record(_entry(image, name))
    (data,) = [one for one in attributes(record) if one.type == DATA]
    pairs = data.offset + data.field(record, 0x20, "<H")
    return decode_runs(bytes(record[pairs : data.offset + data.length]))


def test_every_stream_reads_as_it_was_written_and_as_two_others_read_it(volume: _Volume, tmp_path: Path) -> None:
    case = examine_here(volume.image, tmp_path / "case")
    ours = {one.path: one for one in case.streams if one.path in volume.contents}
    assert {name: one.sha256 for name, one in ours.items()} == {
        name: sha256(content) for name, content in volume.contents.items()
    }
    assert {one.form for one in ours.values()} == {StreamForm.LZNT1}
    assert case.report.gaps == ()
    theirs = _read_by_libfsntfs(volume.image, list(ours))
    assert {name: sha256(content) for name, content in theirs.items()} == {
        name: one.sha256 for name, one in ours.items()
    }
    with mount_read_only(volume.image, 0) as folder:
        listed = run("hashdeep", "-c", "sha256", "-l", *(folder / name for name in ours))
    assert {one.sha256 for one in ours.values()} == {
        line.split(",")[1] for line in listed.splitlines() if line[0].isdigit()
    }


def test_units_of_all_kinds_are_there(volume: _Volume) -> None:
    """Stored as they are, compressed, holes: else the test above would show less than it says."""
    kinds = set()
    for name in volume.contents:
        runs = _runs(volume.image, name)
        clusters = [run.cluster != HOLE for run in runs for _ in range(run.clusters)]
        for start in range(0, len(clusters), UNIT_CLUSTERS):
            stored = sum(clusters[start : start + UNIT_CLUSTERS])
            kinds.add("hole" if stored == 0 else "plain" if stored == UNIT_CLUSTERS else "compressed")
    assert kinds == {"hole", "plain", "compressed"}


@pytest.mark.parametrize("initialized_bytes", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 10_000, _UNIT - 1, _UNIT, _UNIT + 9])
def test_past_the_initialised_size_within_a_unit_are_zeros(copy: Path, tmp_path: Path, initialized_bytes: int) -> None:
    set_initialized_size(copy, _entry(copy, "prose.txt"), "", initialized_bytes)
    content = _contents()["prose.txt"]
    shown = content[:initialized_bytes].ljust(len(content), b"\0")
    case = examine_here(copy, tmp_path / "case")
    assert case.digests()["prose.txt", ""] == sha256(shown)
    assert case.report.gaps == ()
    with mount_read_only(copy, 0) as folder:
        assert (folder / "prose.txt").read_bytes() == shown


def _first_compressed(image: Path, name: str) -> int:
    """Return where on the volume the first unit of a file lies, which is a compressed one."""
    first, second, *_ = _runs(image, name)
    assert (first.clusters < UNIT_CLUSTERS, second.cluster) == (True, HOLE)
    return first.cluster * MftEditor(image).cluster_bytes


def _no_signature(header: int) -> int:
    return header & ~0x7000


def _too_long(header: int) -> int:
    return header | 0x0FFF


def _end_mark(header: int) -> int:
    return 0


@pytest.mark.parametrize("change", [_no_signature, _too_long, _end_mark])
def test_a_damaged_chunk_header_costs_the_rest_of_its_unit(
    copy: Path, tmp_path: Path, change: Callable[[int], int]
) -> None:
    """The second chunk's header: the first chunk, and all other units, are read."""
    mft, start = MftEditor(copy), _first_compressed(copy, "prose.txt")
    second = start + 2 + (struct.unpack("<H", mft.read(start, 2))[0] & 0xFFF) + 1
    (header,) = struct.unpack("<H", mft.read(second, 2))
    mft.write(second, struct.pack("<H", change(header)))
    case = examine_here(copy, tmp_path / "case")
    unit = UNIT_CLUSTERS * mft.cluster_bytes
    _check_lost(case, copy, {(CHUNK_BYTES, unit - CHUNK_BYTES)})


def _check_lost(case: Case, image: Path, lost: set[tuple[int, int]]) -> None:
    """Hold the gaps of the prose, and what is read of it, against the ranges that are lost."""
    (record,) = [one for one in case.streams if one.path == "prose.txt"]
    gaps = [gap for gap in case.gaps(GapKind.NOT_DECODABLE) if gap.where.path == "prose.txt"]
    ranges = sorted((gap.where.offset_bytes or 0, gap.bytes or 0) for gap in gaps)
    assert all(start + length == after for (start, length), (after, _) in pairwise(ranges))
    assert {(ranges[0][0], sum(length for _, length in ranges))} == lost
    assert all(gap.material and "LZNT1" in gap.detail for gap in gaps)
    content = bytearray(_contents()["prose.txt"])
    assert record.state is StreamState.PARTIAL
    assert record.bytes_read == len(content) - sum(length for _, length in lost)
    for start, length in lost:
        content[start : start + length] = bytes(length)
    assert _read(image, "prose.txt")[0] == content


def _read(image: Path, name: str) -> tuple[bytes, list[BadRange]]:
    with open_evidence(str(image)) as source:
        return _read_from(NtfsVolume(source, "v1"), name)


def _read_from(volume: NtfsVolume, name: str) -> tuple[bytes, list[BadRange]]:
    table = read_mft(volume)
    streams, reader = Streams(volume, table, Paths(table)), StreamReader(300_000, 70_000)
    (plan,) = [plan for plan in streams.plans(streams.heads) if (plan.subject.path, plan.subject.stream) == (name, "")]
    content = b"".join(bytes(window.view[window.fresh :]) for window in reader.windows(volume, plan))
    return content, reader.bad_ranges


def test_a_damaged_chunk_costs_itself_alone(copy: Path, tmp_path: Path) -> None:
    """A first token that repeats what is not there yet."""
    mft, start = MftEditor(copy), _first_compressed(copy, "prose.txt")
    mft.write(start + 2, b"\x01\xff\xff")
    _check_lost(examine_here(copy, tmp_path / "case"), copy, {(0, CHUNK_BYTES)})


def test_a_unit_of_zeros_is_lost_whole_and_told(copy: Path, tmp_path: Path) -> None:
    mft, start = MftEditor(copy), _first_compressed(copy, "prose.txt")
    mft.write(start, bytes(mft.cluster_bytes))
    _check_lost(examine_here(copy, tmp_path / "case"), copy, {(0, UNIT_CLUSTERS * mft.cluster_bytes)})


def test_changed_bytes_reach_no_further_than_their_chunk(volume: _Volume) -> None:
    """There is no checksum: a changed letter decodes. But what is lost beyond its chunk is always told."""
    image = bytearray(volume.image.read_bytes())
    start, truth = _first_compressed(volume.image, "prose.txt"), volume.contents["prose.txt"]
    (length, *_), random = (run.clusters for run in _runs(volume.image, "prose.txt")), Random(8)
    told = 0
    for _ in range(60):
        damaged = bytearray(image)
        damaged[start + random.randrange(length * MftEditor(volume.image).cluster_bytes)] ^= random.randrange(1, 256)
        content, bad = _read_from(NtfsVolume(MemorySource(bytes(damaged)), "v1"), "prose.txt")
        lost = {number for one in bad for number in range(one.stream_offset, one.stream_offset + one.length_bytes)}
        silent = {number // CHUNK_BYTES for number in range(len(truth)) if content[number] != truth[number]} - {
            number // CHUNK_BYTES for number in lost
        }
        assert len(content) == len(truth)
        assert len(silent) <= 1
        told += bool(bad)
    assert told > 10


def test_an_unreadable_sector_costs_the_chunks_it_touches(volume: _Volume) -> None:
    start, truth = _first_compressed(volume.image, "prose.txt"), volume.contents["prose.txt"]
    source = MemorySource(volume.image.read_bytes(), unreadable=range(start + 600, start + 601))
    content, bad = _read_from(NtfsVolume(source, "v1"), "prose.txt")
    assert {one.kind for one in bad} == {GapKind.READ_ERROR}
    assert sum(one.length_bytes for one in bad) <= UNIT_CLUSTERS * MftEditor(volume.image).cluster_bytes
    shown = bytearray(truth)
    for one in bad:
        shown[one.stream_offset : one.stream_offset + one.length_bytes] = bytes(one.length_bytes)
    assert content == shown


def decoder_of(stored: bytes, content: Lznt1Content) -> Lznt1Decoder:
    return Lznt1Decoder(ExtentReader(MemorySource(stored), content.stored_extents()), content)


def test_a_run_list_that_ends_early_or_runs_behind_a_hole_is_told() -> None:
    clusters = b"".join(bytes([number]) * 512 for number in range(64))
    behind = Lznt1Content(
        runs=[Run(HOLE, 8), Run(3, 8), Run(20, 16)], cluster_bytes=512, size_bytes=32 * 512, initialized_bytes=32 * 512
    )
    decoder = decoder_of(clusters, behind)
    assert b"".join(decoder.blocks(1000)) == bytes(16 * 512) + clusters[20 * 512 : 36 * 512]
    assert [(one.stream_offset, one.length_bytes, one.kind) for one in decoder.bad_ranges] == [
        (0, 16 * 512, GapKind.NOT_DECODABLE)
    ]
    short = Lznt1Content(runs=[Run(3, 8)], cluster_bytes=512, size_bytes=32 * 512, initialized_bytes=32 * 512)
    assert short.covered_bytes == 8 * 512
    assert b"".join(decoder_of(clusters, short).blocks(1000)) == clusters[3 * 512 : 11 * 512]


def test_a_size_larger_than_the_run_list_is_a_gap(copy: Path, tmp_path: Path) -> None:
    mft, entry = MftEditor(copy), _entry(copy, "prose.txt")
    record = mft.record(entry)
    (data,) = [one for one in attributes(record) if one.type == DATA]
    allocated = data.field(record, 0x28, "<Q")
    for field in (0x30, 0x38):
        struct.pack_into("<Q", record, data.offset + field, allocated + 1000)
    mft.put(entry, record)
    case = examine_here(copy, tmp_path / "case")
    (gap,) = case.gaps(GapKind.RUN_LIST)
    assert (gap.where.offset_bytes, gap.bytes) == (allocated, 1000)
    (one,) = [one for one in case.streams if one.path == "prose.txt"]
    assert (one.state, one.size_bytes) == (StreamState.PARTIAL, allocated + 1000)


def test_a_chunk_that_decodes_to_too_few_bytes_is_told() -> None:
    chunk = struct.pack("<H", 0xB004) + b"\0four"
    stored = (chunk + struct.pack("<H", 0xB004) + b"\0next").ljust(9 * 512, b"\0")
    content = Lznt1Content(
        runs=[Run(0, 9), Run(HOLE, 7)],
        cluster_bytes=512,
        size_bytes=CHUNK_BYTES + 4,
        initialized_bytes=CHUNK_BYTES + 4,
    )
    decoder = decoder_of(stored, content)
    assert b"".join(decoder.blocks(100_000)) == bytes(CHUNK_BYTES) + b"next"
    assert [(one.stream_offset, one.length_bytes) for one in decoder.bad_ranges] == [(0, CHUNK_BYTES)]


def _reference(data: bytes) -> bytes | None:
    """Decode the tokens of a chunk as [MS-XCA] 2.5.1.4 writes it down; None where they make no sense."""
    content = bytearray()
    at = 0
    while at < len(data):
        flags = data[at]
        at += 1
        if at == len(data):
            return None  # flags of nothing, which no compressor writes
        for bit in range(8):
            if at >= len(data):
                break
            if not flags >> bit & 1:
                content.append(data[at])
                at += 1
                continue
            if at + 2 > len(data) or not content:
                return None
            displacement_bits = max((len(content) - 1).bit_length(), 4)
            (token,) = struct.unpack_from("<H", data, at)
            at += 2
            length_bits = 16 - displacement_bits
            back, length = (token >> length_bits) + 1, (token & (1 << length_bits) - 1) + 3
            if back > len(content):
                return None
            for _ in range(length):
                content.append(content[-back])
        if len(content) > CHUNK_BYTES:
            return None
    return bytes(content) if len(content) <= CHUNK_BYTES else None


def _chunks() -> Iterator[st.SearchStrategy[bytes]]:
    yield st.binary(min_size=1, max_size=600)
    token = st.tuples(st.binary(min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 30))
    yield st.lists(token, min_size=1, max_size=300).map(_written)


def _written(tokens: list[tuple[bytes, int, int]]) -> bytes:
    """Write a chunk of literals, each followed by a token that repeats some of them."""
    data, flags, pending, size = bytearray(), 0, bytearray(), 0
    count = 0
    for literals, back, length in tokens:
        for piece in (*(bytes([one]) for one in literals), None):
            if piece is None:
                bits = 16 - max((size - 1).bit_length(), 4)
                pending += struct.pack("<H", min(back, size - 1) << bits | min(length, (1 << bits) - 1))
                flags |= 1 << count
                size += min(length, (1 << bits) - 1) + 3
            else:
                pending += piece
                size += 1
            count += 1
            if count == 8:
                data += bytes([flags]) + pending
                flags, count = 0, 0
                pending.clear()
    return bytes(data + bytes([flags]) + pending if pending else data)[:4096]


@settings(max_examples=300)
@given(st.one_of(*_chunks()))
def test_any_chunk_decodes_as_the_specification_says_or_is_told(data: bytes) -> None:
    """A chunk that decodes to fewer than 4096 bytes is damaged unless it is the last one."""
    truth = _reference(data)
    size = len(truth) if truth else CHUNK_BYTES
    stored = (struct.pack("<H", 0xB000 | len(data) - 1) + data).ljust(9 * 512, b"\0")
    content = Lznt1Content(runs=[Run(0, 9), Run(HOLE, 7)], cluster_bytes=512, size_bytes=size, initialized_bytes=size)
    decoder = decoder_of(stored, content)
    decoded = b"".join(decoder.blocks(100_000))
    assert len(decoded) == size
    if decoder.bad_ranges:
        assert not truth
        assert decoded == bytes(size)
    else:
        assert decoded == truth
