"""Opening evidence: what is read is what is there, and what cannot be evidence is refused in one line."""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loops import loop_device, run, sparse
from tests.needs import data_path, needs_data, needs_device, needs_root, needs_tool
from triage.evidence.open import open_evidence
from triage.model.errors import EvidenceError
from triage.model.evidence import EvidenceFormat
from triage.model.source import ByteSource

CONTENT = random.Random(7).randbytes(10_000)


def write_segments(folder: Path, suffixes: list[str], segment_bytes: int = 1000) -> list[Path]:
    """Cut CONTENT into segments of `segment_bytes`, the last one shorter."""
    pieces = [CONTENT[at : at + segment_bytes] for at in range(0, segment_bytes * len(suffixes), segment_bytes)]
    pieces[-1] = pieces[-1][: segment_bytes - 300]
    paths = [folder / f"disk.{suffix}" for suffix in suffixes]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(piece)
    return paths


def refusal(path: Path) -> EvidenceError:
    with pytest.raises(EvidenceError) as caught:
        open_evidence(path).close()
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "name", ["disk.raw", "disk.dd", "disk", "disk.vmdk", "disk.001", "disk.aa", "磁盘.img", "a\nb"]
)
def test_raw_image_of_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENT)
    with open_evidence(path) as source:
        byte_source: ByteSource = source
        described = source.describe()
        assert byte_source.read(0, 20_000) == CONTENT
    assert (described.format, described.size_bytes, described.segments) == (
        EvidenceFormat.RAW,
        10_000,
        (str(path),),
    )
    assert described.path == str(path)
    assert source.sector_bytes == 512


@pytest.mark.parametrize(
    "suffixes",
    [
        ["001", "002", "003"],
        ["000", "001", "002"],
        ["aa", "ab", "ac"],
        ["AA", "AB"],
        ["aaa", "aab"],
        [f"{number:03}" for number in range(1, 1005)],
    ],
)
def test_split_image_reads_as_one(tmp_path: Path, suffixes: list[str]) -> None:
    segment_bytes = 9 if len(suffixes) > 100 else 1000
    paths = write_segments(tmp_path, suffixes, segment_bytes) if segment_bytes == 1000 else []
    for number, suffix in enumerate(suffixes if not paths else []):
        paths.append(tmp_path / f"disk.{suffix}")
        paths[-1].write_bytes(CONTENT[number * 9 : number * 9 + 9])
    joined = b"".join(path.read_bytes() for path in paths)
    with open_evidence(str(paths[0])) as source:
        assert source.describe().format is EvidenceFormat.SPLIT
        assert source.segments == tuple(paths)
        assert source.read(0, len(joined) + 1) == joined
        assert source.read(segment_bytes - 2, 5) == joined[segment_bytes - 2 : segment_bytes + 3]


@needs_tool("split")
def test_split_by_coreutils(tmp_path: Path) -> None:
    whole = tmp_path / "disk.dd"
    whole.write_bytes(CONTENT)
    run("split", "-b", "999", whole, f"{tmp_path}/disk.")
    with open_evidence(tmp_path / "disk.aa") as source, open_evidence(whole) as plain:
        assert len(source.segments) == 11
        assert plain.describe().format is EvidenceFormat.RAW
        assert source.read(0, 10_000) == plain.read(0, 10_000) == CONTENT


@needs_data("derived-containers/derived-containers.tar.xz", "dftt/7-undel-ntfs.zip")
@needs_tool("tar", "unzip", "sha256sum")
def test_split_of_real_image(tmp_path: Path) -> None:
    run("tar", "-xJf", data_path("derived-containers/derived-containers.tar.xz"), "-C", tmp_path)
    run("unzip", "-q", data_path("dftt/7-undel-ntfs.zip"), "-d", tmp_path)
    (whole,) = tmp_path.glob("**/7-ntfs-undel.dd")
    with open_evidence(tmp_path / "7-ntfs-undel.001") as source:
        assert len(source.segments) == 4
        assert source.read(0, source.size_bytes) == whole.read_bytes()


@given(offset=st.integers(0, 4000), length=st.integers(0, 4000))
def test_every_read_equals_the_joined_bytes(tmp_path_factory: pytest.TempPathFactory, offset: int, length: int) -> None:
    folder = tmp_path_factory.mktemp("split")
    paths = write_segments(folder, ["001", "002", "003"])
    joined = b"".join(path.read_bytes() for path in paths)
    buffer = bytearray(length)
    with open_evidence(paths[0]) as source:
        source.prefetch(offset, length)
        filled = source.read_into(offset, memoryview(buffer))
        assert bytes(buffer[:filled]) == joined[offset : offset + length] == source.read(offset, length)


def test_negative_offset_is_a_fault_of_the_caller(tmp_path: Path) -> None:
    for path in (write_segments(tmp_path, ["001", "002"])[0], sparse(tmp_path / "disk.raw", 512)):
        with open_evidence(path) as source:
            with pytest.raises(ValueError, match="negative"):
                source.read_into(-1, memoryview(bytearray(4)))
            with pytest.raises(ValueError, match="negative"):
                source.read(-1, 4)


def test_threads_share_a_source(tmp_path: Path) -> None:
    paths = write_segments(tmp_path, ["001", "002", "003"])
    joined = b"".join(path.read_bytes() for path in paths)
    wrong: list[int] = []
    with open_evidence(paths[0]) as source:

        def read_all(seed: int) -> None:
            chooser = random.Random(seed)
            for _ in range(500):
                offset = chooser.randrange(len(joined))
                if source.read(offset, 700) != joined[offset : offset + 700]:
                    wrong.append(offset)

        threads = [threading.Thread(target=read_all, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_evidence_that_shrinks_is_an_unreadable_range(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(CONTENT)
    with open_evidence(path) as source:
        os.truncate(path, 5000)
        assert source.read(0, 5000) == CONTENT[:5000]
        with pytest.raises(OSError) as caught:
            source.read(4000, 2000)
    assert caught.value.errno == errno.EIO


def test_evidence_that_grows_keeps_its_length(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(CONTENT)
    with open_evidence(path) as source:
        with path.open("ab") as file:
            file.write(b"more")
        assert source.size_bytes == len(CONTENT)
        assert source.read(9990, 100) == CONTENT[9990:]


def test_closing_twice_and_reading_afterwards(tmp_path: Path) -> None:
    for path in (write_segments(tmp_path, ["001", "002"])[0], sparse(tmp_path / "disk.raw", 512)):
        source = open_evidence(path)
        source.close()
        source.close()
        with pytest.raises(OSError) as caught:
            source.read(0, 1)
        assert caught.value.errno == errno.EBADF


def test_descriptors_are_not_inherited_and_cannot_write(tmp_path: Path) -> None:
    path = sparse(tmp_path / "disk.raw", 512)
    with open_evidence(path):
        (descriptor,) = descriptors_of(path)
        assert not os.get_inheritable(descriptor)
        with pytest.raises(OSError):
            os.pwrite(descriptor, b"x", 0)
    assert descriptors_of(path) == []


def descriptors_of(path: Path) -> list[int]:
    return [int(link.name) for link in Path("/proc/self/fd").iterdir() if link.resolve() == path.resolve()]


class TestRefusals:
    def test_missing(self, tmp_path: Path) -> None:
        assert "does not exist" in refusal(tmp_path / "none.raw").message

    def test_path_through_a_file(self, tmp_path: Path) -> None:
        assert "does not exist" in refusal(sparse(tmp_path / "file", 5) / "disk.raw").message

    def test_empty(self, tmp_path: Path) -> None:
        assert "is empty" in refusal(sparse(tmp_path / "disk.raw", 0)).message

    def test_folder(self, tmp_path: Path) -> None:
        assert "is a folder" in refusal(tmp_path).message

    def test_pipe_socket_and_character_device(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero")):
            assert "neither a file nor a block device" in refusal(path).message

    def test_no_permission(self, tmp_path: Path) -> None:
        path = sparse(tmp_path / "disk.raw", 512)
        path.chmod(0)
        with unprivileged():
            assert "no permission" in refusal(path).message

    def test_name_too_long(self, tmp_path: Path) -> None:
        assert "File name too long" in refusal(tmp_path / ("x" * 300)).message

    @pytest.mark.parametrize(
        ("suffixes", "missing"),
        [
            (["001", "002", "003"], "disk.002"),
            (["000", "001", "002"], "disk.001"),
            (["aa", "ab", "ac"], "disk.ab"),
        ],
    )
    def test_segment_missing_in_the_middle(self, tmp_path: Path, suffixes: list[str], missing: str) -> None:
        paths = write_segments(tmp_path, suffixes)
        (tmp_path / missing).unlink()
        for path in (paths[0], paths[-1]):
            assert f"{tmp_path / missing} of the split image is missing" in refusal(path).message

    def test_several_segments_missing(self, tmp_path: Path) -> None:
        paths = write_segments(tmp_path, ["001", "002", "003", "004"])
        paths[1].unlink()
        paths[2].unlink()
        assert f"{paths[1]} of the split image is missing" in refusal(paths[0]).message

    @pytest.mark.parametrize("suffixes", [["001", "002", "003"], ["000", "001", "002"], ["aa", "ab", "ac"]])
    def test_later_segment(self, tmp_path: Path, suffixes: list[str]) -> None:
        first, *later = write_segments(tmp_path, suffixes)
        for path in later:
            error = refusal(path)
            assert "is a later segment" in error.message
            assert str(first) in error.hint

    @pytest.mark.parametrize(("suffixes", "first"), [(["001", "002", "003"], "001"), (["aa", "ab", "ac"], "aa")])
    def test_first_segment_missing(self, tmp_path: Path, suffixes: list[str], first: str) -> None:
        write_segments(tmp_path, suffixes)[0].unlink()
        error = refusal(tmp_path / f"disk.{suffixes[1]}")
        assert "first segment is missing" in error.message
        assert str(tmp_path / f"disk.{first}") in error.hint

    @pytest.mark.parametrize("which", [0, 1])
    @pytest.mark.parametrize("size_bytes", [0, 400])
    def test_truncated_segment(self, tmp_path: Path, which: int, size_bytes: int) -> None:
        paths = write_segments(tmp_path, ["001", "002", "003"])
        os.truncate(paths[which], size_bytes)
        message = refusal(paths[0]).message
        assert str(size_bytes) in message
        assert "\n" not in message

    def test_empty_last_segment(self, tmp_path: Path) -> None:
        paths = write_segments(tmp_path, ["001", "002", "003"])
        os.truncate(paths[2], 0)
        assert f"{paths[2]} has 0 bytes" in refusal(paths[0]).message


def test_files_that_only_look_like_segments(tmp_path: Path) -> None:
    """`disk.aa` stands alone, beside files whose suffixes are letters too."""
    for name in ("disk.aa", "disk.dd", "disk.md", "disk.gz", "disk.raw", "disk.2017", "disk.2018"):
        (tmp_path / name).write_bytes(name.encode() * (name.encode()[-1] + name.encode()[-2] * 7))
    for path in tmp_path.iterdir():
        with open_evidence(path) as source:
            assert source.segments == (path,)


def test_whole_image_beside_its_only_segment(tmp_path: Path) -> None:
    """`split` of a disk that is shorter than a segment: the files are equally long."""
    for name in ("disk.aa", "disk.dd"):
        (tmp_path / name).write_bytes(CONTENT)
    for path in tmp_path.iterdir():
        with open_evidence(path) as source:
            assert source.segments == (path,)


@needs_root()
@needs_device("/dev/loop-control")
@needs_tool("losetup", "blockdev")
@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_block_device(tmp_path: Path, sector_bytes: int) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(random.Random(3).randbytes(1 << 20))
    with loop_device(image, "--sector-size", str(sector_bytes)) as node, open_evidence(node) as source:
        assert source.describe().format is EvidenceFormat.DEVICE
        assert source.size_bytes == int(run("blockdev", "--getsize64", node)) == 1 << 20
        assert source.sector_bytes == int(run("blockdev", "--getss", node)) == sector_bytes
        assert source.read(777, 100_001) == image.read_bytes()[777:100_778]


@needs_root()
@needs_device("/dev/loop7")
def test_block_device_without_a_medium() -> None:
    detached = next(
        node
        for node in sorted(Path("/dev").glob("loop[0-9]*"), reverse=True)
        if not Path(f"/sys/class/block/{node.name}/loop").exists()
    )
    assert "no medium" in refusal(detached).message or "cannot open" in refusal(detached).message


@needs_device("/dev/fuse")
@needs_tool("nbdfuse", "nbdkit", "fusermount3")
def test_unreadable_range_raises_and_the_rest_is_read(tmp_path: Path) -> None:
    image = tmp_path / "good.raw"
    image.write_bytes(CONTENT * 100)
    with failing_image(tmp_path, image, 409_600, 413_696) as path, open_evidence(path) as source:
        assert source.read(0, 409_600) == (CONTENT * 100)[:409_600]
        with pytest.raises(OSError) as caught:
            source.read_into(409_600, memoryview(bytearray(4096)))
        assert caught.value.errno == errno.EIO
        assert source.read(413_696, 5000) == (CONTENT * 100)[413_696:418_696]


@contextmanager
def failing_image(folder: Path, image: Path, first: int, end: int) -> Iterator[Path]:
    """Show `image` as a file whose bytes from `first` to `end` cannot be read."""
    plugin = folder / "plugin.sh"
    plugin.write_text(
        f"""#!/bin/sh
case "$1" in
get_size) stat -c %s {image} ;;
pread) if [ $4 -lt {end} ] && [ $(($4 + $3)) -gt {first} ]; then echo EIO bad sector >&2; exit 1; fi
       dd if={image} iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none ;;
*) exit 2 ;;
esac
"""
    )
    plugin.chmod(0o755)
    mount_point = folder / "bad.raw"
    mount_point.touch()
    server = subprocess.Popen(["nbdfuse", "-r", mount_point, "[", "nbdkit", "sh", plugin, "]"])
    try:
        while mount_point.stat().st_size == 0 and server.poll() is None:
            pass
        yield mount_point
    finally:
        run("fusermount3", "-u", mount_point)
        server.wait()


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while, so that permissions count for root too."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
