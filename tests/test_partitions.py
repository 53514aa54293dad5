"""Partition tables: the same offsets as four other programs give, and no volume lost to a damaged table."""

from __future__ import annotations

import gzip
import json
import lzma
import random
import re
import struct
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loops import loop_device, run, sparse
from tests.memory_source import MemorySource
from tests.needs import data_path, needs_data, needs_device, needs_root, needs_tool
from triage.evidence.open import open_evidence
from triage.evidence.slice import SliceSource
from triage.model.gap import Gap, GapKind
from triage.model.source import ByteSource
from triage.model.volume import Partition, PartitionScheme
from triage.volumes.partitions import find_partitions
from triage.volumes.recognise import recognise

MIB = 1 << 20
Extent = tuple[int, int, int]
"""Index, offset and length in bytes, as a witness tells them."""

MBR_SCRIPT = """
label: dos
start=63,size=4000,type=7,bootable
start=4096,size=2048,type=42
start=8192,size=20000,type=f
start=30720,size=1024,type=83
start=8255,size=2000,type=7
start=12288,size=2048,type=b
start=16384,size=4096,type=7
"""


def boot_sector(sectors: int, sector_bytes: int = 512) -> bytes:
    """A plausible NTFS boot sector of a volume of `sectors`, its backup sector not counted."""
    sector = bytearray(512)
    sector[0:11] = b"\xebR\x90NTFS    "
    struct.pack_into("<HB", sector, 11, sector_bytes, 1)
    struct.pack_into("<QQQb3xb3xQ", sector, 40, sectors, 4, 8, -10, 1, 0x1234)
    sector[510:] = b"\x55\xaa"
    return bytes(sector)


def put_volume(disk: bytearray, offset_bytes: int, length_bytes: int) -> None:
    """Put the two boot sectors of an NTFS volume that fills the stretch."""
    sector = boot_sector(length_bytes // 512 - 1)
    disk[offset_bytes : offset_bytes + 512] = sector
    disk[offset_bytes + length_bytes - 512 : offset_bytes + length_bytes] = sector


def extents(partitions: list[Partition]) -> list[Extent]:
    return sorted((part.index, part.offset_bytes, part.length_bytes) for part in partitions)


def find_in(path: Path) -> tuple[list[Partition], list[Gap]]:
    with open_evidence(path) as source:
        return find_partitions(source)


def kinds(gaps: list[Gap]) -> list[GapKind]:
    return [gap.kind for gap in gaps]


def contents(source: ByteSource, partitions: list[Partition]) -> list[str]:
    return [recognise(SliceSource(source, part.offset_bytes, part.length_bytes)) for part in partitions]


def by_sfdisk(path: Path) -> list[Extent]:
    table = json.loads(run("sfdisk", "--json", path))["partitiontable"]
    size = table["sectorsize"]
    return [
        (int(part["node"].removeprefix(str(path))), part["start"] * size, part["size"] * size)
        for part in table["partitions"]
        if part["type"] not in ("5", "f", "ee")
    ]


def by_parted(path: Path) -> list[Extent]:
    fields = [line.split(":") for line in run("parted", "-sm", path, "unit", "B", "print").splitlines()[2:]]
    return [(int(f[0]), int(f[1][:-1]), int(f[3][:-1])) for f in fields]


def by_mmls(path: Path, sector_bytes: int = 512) -> set[tuple[int, int]]:
    """Offsets and lengths: mmls has its own numbering."""
    lines = re.findall(r"^\d+:\s+[\d:]+\s+(\d+)\s+\d+\s+(\d+) ", run("mmls", "-b", str(sector_bytes), path), re.M)
    return {(int(start) * sector_bytes, int(length) * sector_bytes) for start, length in lines}


def by_sgdisk(path: Path) -> list[Extent]:
    printed = run("sgdisk", "-p", path)
    match = re.search(r"^Sector size \(logical.*?\): (\d+)", printed, re.M)
    assert match is not None
    size = int(match[1])
    rows = re.findall(r"^\s+(\d+)\s+(\d+)\s+(\d+) ", printed, re.M)
    return [(int(i), int(first) * size, (int(last) - int(first) + 1) * size) for i, first, last in rows]


@pytest.fixture
def mbr_disk(tmp_path: Path) -> Path:
    path = sparse(tmp_path / "mbr.raw", 20 * MIB)
    script = tmp_path / "script"
    script.write_text(MBR_SCRIPT)
    run("sh", "-c", f"sfdisk -q {path} < {script}")
    return path


@pytest.fixture(scope="module")
def gpt_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Made once: sgdisk waits a second whenever it writes."""
    path = sparse(tmp_path_factory.mktemp("gpt") / "gpt.raw", 20 * MIB)
    run("sgdisk", "-n", "1:2048:6143", "-t", "1:0700", "-c", "1:磁盘 <b>C", "-n", "3:8192:0", "-t", "3:2700", path)
    return path.read_bytes()


@pytest.fixture
def gpt_disk(tmp_path: Path, gpt_bytes: bytes) -> Path:
    path = tmp_path / "gpt.raw"
    path.write_bytes(gpt_bytes)
    return path


@needs_tool("sfdisk", "parted", "mmls")
def test_mbr_with_logical_partitions(mbr_disk: Path) -> None:
    partitions, gaps = find_in(mbr_disk)
    assert gaps == []
    assert extents(partitions) == sorted(by_sfdisk(mbr_disk))
    assert {(part.offset_bytes, part.length_bytes) for part in partitions} == by_mmls(mbr_disk)
    assert extents(partitions) == sorted(extent for extent in by_parted(mbr_disk) if extent[0] != 3)
    assert [part.type_id for part in partitions] == ["07", "42", "83", "07", "0b", "07"]
    assert {part.scheme for part in partitions} == {PartitionScheme.MBR}
    assert partitions[1].type_name == "Windows dynamic disk"


@needs_tool("sgdisk", "parted", "mmls", "sfdisk")
def test_gpt(gpt_disk: Path) -> None:
    partitions, gaps = find_in(gpt_disk)
    assert gaps == []
    assert extents(partitions) == by_sgdisk(gpt_disk) == by_parted(gpt_disk) == sorted(by_sfdisk(gpt_disk))
    assert {(part.offset_bytes, part.length_bytes) for part in partitions} == by_mmls(gpt_disk)
    assert partitions[0].name == "磁盘 <b>C"
    assert [part.type_name for part in partitions] == ["Microsoft basic data", "Windows recovery"]
    assert partitions[0].type_id == "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"


@needs_root()
@needs_device("/dev/loop-control")
@needs_tool("sgdisk", "mmls", "losetup", "parted")
@pytest.mark.parametrize("label", ["gpt", "msdos"])
def test_sectors_of_4096_bytes(tmp_path: Path, label: str) -> None:
    path = sparse(tmp_path / "disk.raw", 20 * MIB)
    with loop_device(path, "--sector-size", "4096") as node:
        commands = ["mklabel", label, "mkpart", "primary", "ntfs", "1MiB", "5MiB", "mkpart", "primary", "5MiB", "9MiB"]
        run("parted", "-s", node, *commands)
        device_partitions, device_gaps = find_in(node)
        assert extents(device_partitions) == by_parted(node)
    data = bytearray(path.read_bytes())
    put_volume(data, MIB, 4 * MIB)
    image_partitions, image_gaps = find_partitions(MemorySource(bytes(data)))
    assert device_gaps == image_gaps == []
    assert image_partitions == device_partitions
    assert {(part.offset_bytes, part.length_bytes) for part in image_partitions} == by_mmls(path, 4096)


@needs_tool("sgdisk")
def test_hybrid_mbr_is_read_as_gpt(gpt_disk: Path) -> None:
    before = find_in(gpt_disk)
    run("sgdisk", "-h", "1", gpt_disk)
    assert find_in(gpt_disk) == before


@needs_tool("sgdisk")
class TestDamagedGpt:
    def test_primary_header(self, gpt_disk: Path) -> None:
        self.check_backup_used(gpt_disk, 512 + 40)

    def test_primary_entries(self, gpt_disk: Path) -> None:
        self.check_backup_used(gpt_disk, 1024 + 32)

    def check_backup_used(self, gpt_disk: Path, offset: int) -> None:
        expected, _ = find_in(gpt_disk)
        data = bytearray(gpt_disk.read_bytes())
        data[offset] ^= 0xFF
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert partitions == expected
        assert kinds(gaps) == [GapKind.PARTITION_TABLE]
        assert "backup" in gaps[0].detail

    def test_unreadable_primary(self, gpt_disk: Path) -> None:
        expected, _ = find_in(gpt_disk)
        partitions, gaps = find_partitions(MemorySource(gpt_disk.read_bytes(), unreadable=range(512, 1024)))
        assert partitions == expected
        assert kinds(gaps) == [GapKind.PARTITION_TABLE]

    def test_protective_mbr_lost(self, gpt_disk: Path) -> None:
        expected, _ = find_in(gpt_disk)
        data = bytes(512) + gpt_disk.read_bytes()[512:]
        partitions, gaps = find_partitions(MemorySource(data))
        assert partitions == expected
        assert "protective MBR" in gaps[0].detail

    def test_entries_of_both_copies(self, gpt_disk: Path) -> None:
        """What the entries say is still used, beside a search for what they may have lost."""
        data = bytearray(gpt_disk.read_bytes())
        put_volume(data, MIB, 2 * MIB)
        put_volume(data, 3 * MIB, MIB)
        data[1024 + 128] ^= 0xFF
        data[-33 * 512 + 128] ^= 0xFF
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert (MIB, 2 * MIB) in {(part.offset_bytes, part.length_bytes) for part in partitions}
        scanned = [part for part in partitions if part.scheme is PartitionScheme.SCAN]
        assert [(part.offset_bytes, part.length_bytes) for part in scanned] == [(3 * MIB, MIB)]
        assert "checksum" in gaps[0].detail

    def test_both_copies_lost(self, gpt_disk: Path) -> None:
        data = bytearray(gpt_disk.read_bytes())
        put_volume(data, MIB, 2 * MIB)
        put_volume(data, 4 * MIB, 8 * MIB)
        data[512:1024] = data[-512:] = bytes(512)
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert extents(partitions) == [(1, MIB, 2 * MIB), (2, 4 * MIB, 8 * MIB)]
        assert {part.scheme for part in partitions} == {PartitionScheme.SCAN}
        assert all(gap.kind is GapKind.PARTITION_TABLE for gap in gaps)

    def test_entry_that_cannot_be(self, gpt_disk: Path) -> None:
        """Both ends of 64 bits in bytes: no number leaves the range that JSON readers take."""
        data = bytearray(gpt_disk.read_bytes())
        for first, last in ((2048, 2000), (1 << 63, (1 << 64) - 1), (0, 10)):
            struct.pack_into("<QQ", data, 1024 + 32, first, last)
            seal_gpt(data)
            partitions, gaps = find_partitions(MemorySource(bytes(data)))
            assert [part.index for part in partitions] == [3]
            assert "cannot be" in gaps[0].detail

    def test_truncated_disk(self, gpt_disk: Path) -> None:
        data = gpt_disk.read_bytes()
        partitions, gaps = find_partitions(MemorySource(data[: 10 * MIB]))
        assert [part.index for part in partitions] == [1, 3]
        assert kinds(gaps) == [GapKind.EVIDENCE_TRUNCATED]
        assert gaps[0].bytes == partitions[1].offset_bytes + partitions[1].length_bytes - 10 * MIB
        partitions, gaps = find_partitions(MemorySource(data[:-512]))
        assert [(gap.kind, gap.bytes) for gap in gaps] == [(GapKind.EVIDENCE_TRUNCATED, 512)]

    def test_stale_gpt_behind_a_new_mbr(self, gpt_disk: Path) -> None:
        data = bytearray(gpt_disk.read_bytes())
        data[:512] = mbr([(7, 4096, 2048)])
        put_volume(data, 2 * MIB, MIB)
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert [part.scheme for part in partitions] == [PartitionScheme.MBR]
        assert gaps == []

    def test_stale_gpt_behind_a_bare_volume(self, gpt_disk: Path) -> None:
        data = bytearray(gpt_disk.read_bytes())
        put_volume(data, MIB, 2 * MIB)
        data[:512] = boot_sector(len(data) // 512 - 1)
        partitions, _ = find_partitions(MemorySource(bytes(data)))
        assert [part.scheme for part in partitions] == [PartitionScheme.BARE]


def seal_gpt(data: bytearray) -> None:
    """Make the checksums of the primary copy right again."""
    struct.pack_into("<I", data, 512 + 88, crc32(data[1024 : 1024 + 128 * 128]))
    struct.pack_into("<I", data, 512 + 16, 0)
    struct.pack_into("<I", data, 512 + 16, crc32(data[512 : 512 + 92]))


def mbr(entries: list[tuple[int, int, int]], status: int = 0) -> bytes:
    """A sector with entries of type, first sector and number of sectors."""
    sector = bytearray(512)
    for slot, (kind, start, sectors) in enumerate(entries):
        struct.pack_into("<B3xB3xII", sector, 446 + slot * 16, status, kind, start, sectors)
    sector[510:] = b"\x55\xaa"
    return bytes(sector)


def disk_with(sectors: dict[int, bytes], size_bytes: int = 8 * MIB) -> bytearray:
    data = bytearray(size_bytes)
    for number, sector in sectors.items():
        data[number * 512 : number * 512 + 512] = sector
    return data


class TestDamagedMbr:
    def test_chain_that_comes_back(self) -> None:
        links = {2048: mbr([(7, 10, 10), (5, 50, 100)]), 2098: mbr([(7, 10, 10), (5, 0, 100)])}
        data = disk_with({0: mbr([(5, 2048, 4096)]), **links})
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert extents(partitions) == [(5, 2058 * 512, 5120), (6, 2108 * 512, 5120)]
        assert "comes back to itself" in gaps[0].detail

    def test_chain_without_end(self) -> None:
        links = {2048 + 4 * n: mbr([(7, 1, 1), (5, 4 * n + 4, 4)]) for n in range(1000)}
        data = disk_with({0: mbr([(5, 2048, 10_000)]), **links})
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert len(partitions) == 256
        assert "more than 256" in gaps[0].detail

    def test_chain_that_leaves(self) -> None:
        data = disk_with({0: mbr([(5, 2048, 100)]), 2048: mbr([(7, 10, 10), (5, 100, 10)])})
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert extents(partitions) == [(5, 2058 * 512, 5120)]
        assert "leaves" in gaps[0].detail

    def test_lost_link_is_searched_behind(self) -> None:
        data = disk_with({0: mbr([(7, 2048, 2048), (5, 4096, 12_288)]), 4096: mbr([(7, 2048, 2048), (5, 4096, 4096)])})
        put_volume(data, MIB, MIB)
        put_volume(data, 3 * MIB, MIB)
        put_volume(data, 5 * MIB, MIB)
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert extents(partitions) == [(1, MIB, MIB), (5, 3 * MIB, MIB), (6, 5 * MIB, MIB)]
        assert [part.scheme.value for part in partitions] == ["mbr", "mbr", "scan"]
        assert len(gaps) == 2

    def test_entry_that_is_text(self) -> None:
        sector = bytearray(mbr([(7, 2048, 2048), (7, 8192, 2048)]))
        sector[446 + 16] = ord("x")
        data = disk_with({0: bytes(sector)})
        put_volume(data, MIB, MIB)
        put_volume(data, 4 * MIB, MIB)
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert extents(partitions) == [(1, MIB, MIB), (2, 4 * MIB, MIB)]
        assert "entry 2" in gaps[0].detail

    def test_overlap(self) -> None:
        data = disk_with({0: mbr([(7, 2048, 4096), (7, 2050, 10), (7, 4000, 4096)])})
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert len(partitions) == 3
        assert [gap.detail for gap in gaps] == [
            "partition 2 begins inside partition 1",
            "partition 3 begins inside partition 1",
        ]

    def test_partitions_cut_short_and_beyond_the_end(self) -> None:
        data = disk_with({0: mbr([(7, 8192, 16_384), (7, 24_576, 100), (7, 4096, 10)])})
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert [part.length_bytes for part in partitions] == [8 * MIB, 51_200, 5120]
        assert [(gap.kind, gap.bytes) for gap in gaps] == [
            (GapKind.EVIDENCE_TRUNCATED, 4 * MIB),
            (GapKind.EVIDENCE_TRUNCATED, 51_200),
        ]

    @pytest.mark.parametrize("sector", [bytes(512), b"x" * 512, mbr([]), mbr([(0xEE, 1, 1000)])])
    def test_volumes_without_a_table(self, sector: bytes) -> None:
        """As Windows XP (sector 63, logical at 63 behind the end) and later systems (1 MiB) lay them out."""
        data = disk_with({0: sector}, 16 * MIB)
        put_volume(data, 63 * 512, 2000 * 512)
        put_volume(data, (2063 + 63) * 512, 2000 * 512)
        put_volume(data, 5 * MIB, 3 * MIB)
        put_volume(data, 6 * MIB, MIB)  # a disk image that lies in the volume before
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        expected = [(1, 63 * 512, 2000 * 512), (2, 2126 * 512, 2000 * 512), (3, 5 * MIB, 3 * MIB)]
        assert extents(partitions) == expected
        assert {part.scheme for part in partitions} == {PartitionScheme.SCAN}
        assert set(kinds(gaps)) == {GapKind.PARTITION_TABLE}
        assert "3 found" in gaps[-1].detail

    def test_last_volume_by_its_backup_boot_sector(self) -> None:
        data = disk_with({}, 8 * MIB)
        put_volume(data, 3 * MIB + 512, 5 * MIB - 512)
        data[3 * MIB + 512 : 3 * MIB + 1024] = bytes(512)
        partitions, _ = find_partitions(MemorySource(bytes(data)))
        assert extents(partitions) == [(1, 3 * MIB + 512, 5 * MIB - 512)]

    def test_unreadable_first_sector(self) -> None:
        data = disk_with({})
        put_volume(data, MIB, MIB)
        partitions, gaps = find_partitions(MemorySource(bytes(data), unreadable=range(512)))
        assert extents(partitions) == [(1, MIB, MIB)]
        assert "the first sector cannot be read" in gaps[0].detail

    def test_search_has_a_limit_and_says_so(self, tmp_path: Path) -> None:
        path = sparse(tmp_path / "large.raw", 40 << 30)
        partitions, gaps = find_in(path)
        assert partitions == []
        assert gaps[0].bytes is not None
        assert gaps[0].bytes > 20 << 30


class TestBareVolume:
    def test_boot_sector_with_what_looks_like_a_table(self) -> None:
        """The text of a boot sector, or a table without anything behind it, is no partition table."""
        for tail in (b"BOOTMGR is compressed \r\n Press Ctrl+Alt+Del to restart \r\n", mbr([(7, 2048, 2048)])[446:510]):
            data = disk_with({0: boot_sector(8 * MIB // 512 - 1)})
            data[446 : 446 + len(tail)] = tail
            partitions, gaps = find_partitions(MemorySource(bytes(data)))
            assert extents(partitions) == [(0, 0, 8 * MIB)]
            assert partitions[0].scheme is PartitionScheme.BARE
            assert gaps == []

    def test_table_in_what_looks_like_a_boot_sector(self) -> None:
        """Some tools put a parameter block before the table; a volume stands where the table says."""
        sector = boot_sector(8 * MIB // 512 - 1)[:446] + mbr([(7, 2048, 2048)])[446:]
        data = disk_with({0: sector})
        put_volume(data, MIB, MIB)
        partitions, _ = find_partitions(MemorySource(bytes(data)))
        assert extents(partitions) == [(1, MIB, MIB)]

    @pytest.mark.parametrize("sector", [bytes(512), b"\xffgarbage" * 64, mbr([(7, 4, 9)]), mbr([(7, 7, 9)], status=9)])
    def test_damaged_boot_sector(self, sector: bytes) -> None:
        data = disk_with({})
        put_volume(data, 0, 8 * MIB)
        data[:512] = sector
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert extents(partitions) == [(0, 0, 8 * MIB)]
        assert gaps == []

    def test_truncated(self) -> None:
        data = disk_with({0: boot_sector(20_000)})
        partitions, gaps = find_partitions(MemorySource(bytes(data)))
        assert extents(partitions) == [(0, 0, 20_000 * 512)]
        assert [(gap.kind, gap.bytes) for gap in gaps] == [(GapKind.EVIDENCE_TRUNCATED, 20_000 * 512 - 8 * MIB)]

    def test_without_its_backup_sector_nothing_is_missing(self) -> None:
        data = disk_with({0: boot_sector(8 * MIB // 512)})
        assert find_partitions(MemorySource(bytes(data)))[1] == []

    @pytest.mark.parametrize(
        "data", [b"", b"a", b"text\n" * 2000, bytes(MIB), mbr([]), random.Random(1).randbytes(MIB)]
    )
    def test_no_disk_at_all(self, data: bytes) -> None:
        partitions, gaps = find_partitions(MemorySource(data))
        assert partitions == []
        assert kinds(gaps) == [GapKind.PARTITION_TABLE]


@needs_tool("mkntfs", "mmls", "qemu-img")
@needs_data("plaso/usnjrnl.qcow2.xz", "plaso/multi_partition_image.vmdk.xz", "msuhanov-dfir_ntfs/ntfs_index.raw.gz")
class TestRealDisks:
    def test_type_42(self, tmp_path: Path) -> None:
        (tmp_path / "disk.qcow2").write_bytes(lzma.decompress(data_path("plaso/usnjrnl.qcow2.xz").read_bytes()))
        run("qemu-img", "convert", "-O", "raw", tmp_path / "disk.qcow2", tmp_path / "disk.raw")
        self.check(tmp_path / "disk.raw", ["ntfs"], ["42"])

    def test_two_partitions(self, tmp_path: Path) -> None:
        data = lzma.decompress(data_path("plaso/multi_partition_image.vmdk.xz").read_bytes())
        (tmp_path / "disk.vmdk").write_bytes(data)
        self.check(tmp_path / "disk.vmdk", ["ntfs", "ntfs"], ["07", "07"])

    def test_one_partition(self, tmp_path: Path) -> None:
        data = gzip.decompress(data_path("msuhanov-dfir_ntfs/ntfs_index.raw.gz").read_bytes())
        (tmp_path / "disk.raw").write_bytes(data)
        self.check(tmp_path / "disk.raw", ["ntfs"], ["07"])

    @needs_data("msuhanov-dfir_ntfs/vss_1_vol.tar.gz")
    @needs_tool("tar", "sgdisk")
    def test_gpt(self, tmp_path: Path) -> None:
        run("tar", "-xSzf", data_path("msuhanov-dfir_ntfs/vss_1_vol.tar.gz"), "-C", tmp_path)
        path = tmp_path / "vss_1_vol.raw"
        path_partitions, _ = find_in(path)
        assert extents(path_partitions) == by_sgdisk(path)
        assert any(part.offset_bytes == 67_584 * 512 for part in path_partitions)
        path.unlink()

    def check(self, path: Path, filesystems: list[str], types: list[str]) -> None:
        with open_evidence(path) as source:
            partitions, gaps = find_partitions(source)
            assert contents(source, partitions) == filesystems
        assert gaps == []
        assert [part.type_id for part in partitions] == types
        assert {(part.offset_bytes, part.length_bytes) for part in partitions} == by_mmls(path)


def assert_sane(data: bytes, sector_bytes: int = 512) -> None:
    """Whatever the bytes: an answer, numbers that can be, and each index once."""
    source = MemorySource(data, sector_bytes=sector_bytes)
    partitions, gaps = find_partitions(source)
    assert partitions or gaps
    for part in partitions:
        assert part.offset_bytes >= 0
        assert part.length_bytes > 0 or part.index == 0
        assert part.offset_bytes + part.length_bytes < 1 << 63
    for before, after in pairwise(sorted(part.index for part in partitions)):
        assert before < after
    for gap in gaps:
        assert gap.bytes is None or 0 < gap.bytes < 1 << 63


@given(st.binary(max_size=4096), st.sampled_from([512, 4096]))
def test_any_bytes(data: bytes, sector_bytes: int) -> None:
    assert_sane(data, sector_bytes)


U32 = st.one_of(st.integers(0, 40), st.integers(0, (1 << 32) - 1))
ENTRIES = st.lists(st.tuples(st.sampled_from([0, 5, 7, 0xF, 0xEE]), U32, U32), max_size=4)


@given(st.dictionaries(st.integers(0, 40), ENTRIES), st.sampled_from([0, 0x80, 9]))
def test_any_chain_of_tables(tables: dict[int, list[tuple[int, int, int]]], status: int) -> None:
    sectors = {number: mbr(entries, status) for number, entries in tables.items()}
    assert_sane(bytes(disk_with(sectors, 64 * 512)))


def gpt_image() -> bytes:
    """A small disk of 128 sectors with a GPT, checksums right, and its backup."""
    entries = bytearray(128 * 128)
    for number, (first, last) in enumerate(((40, 59), (60, 80))):
        struct.pack_into("<16s16sQQQ72s", entries, number * 128, b"t" * 16, b"u" * 16, first, last, 0, b"C\0:\0")
    data = disk_with({0: mbr([(0xEE, 1, 127)])}, 128 * 512)
    for own, other, array in ((1, 127, 2), (127, 1, 95)):
        header = bytearray(92)
        fields = (b"EFI PART", 0x10000, 92, 0, 0, own, other, 34, 94, b"d" * 16, array, 128, 128, crc32(entries))
        struct.pack_into("<8sIIIIQQQQ16sQIII", header, 0, *fields)
        struct.pack_into("<I", header, 16, crc32(header))
        data[own * 512 : own * 512 + 92] = header
        data[array * 512 : array * 512 + len(entries)] = entries
    return bytes(data)


def test_gpt_name_that_is_no_text() -> None:
    """An unpaired surrogate, a newline and markup are kept as they are; what follows the first NUL is not the name."""
    data = bytearray(gpt_image())
    name = "\ud800\n<b>"
    data[1024 + 56 : 1024 + 68] = name.encode("utf-16-le", "surrogatepass") + b"\0\0"
    seal_gpt(data)
    partitions, gaps = find_partitions(MemorySource(bytes(data)))
    assert [part.name for part in partitions] == [name, "C:"]
    assert gaps == []


def test_gpt_with_more_entries_than_anybody_has() -> None:
    """The array would be read into memory; the header alone claims up to 16 TiB."""
    data = bytearray(gpt_image()) + bytes(MIB)
    struct.pack_into("<I", data, 512 + 80, 5000)
    struct.pack_into("<I", data, 512 + 88, crc32(data[1024 : 1024 + 5000 * 128]))
    struct.pack_into("<I", data, 512 + 16, 0)
    struct.pack_into("<I", data, 512 + 16, crc32(data[512 : 512 + 92]))
    partitions, gaps = find_partitions(MemorySource(bytes(data)))
    assert partitions == []
    assert "no copy of it can be used" in gaps[0].detail or "no partition table" in gaps[0].detail


@pytest.mark.parametrize("backup_sector", [1 << 55, (1 << 64) - 1])
def test_gpt_of_an_impossibly_large_disk(backup_sector: int) -> None:
    data = bytearray(gpt_image())
    struct.pack_into("<Q", data, 512 + 32, backup_sector)
    seal_gpt(data)
    assert_sane(bytes(data))
    _, gaps = find_partitions(MemorySource(bytes(data)))
    assert kinds(gaps) == [GapKind.EVIDENCE_TRUNCATED]


@pytest.mark.parametrize("offset", [0, MIB])
def test_impossibly_large_volume(offset: int) -> None:
    data = disk_with({})
    data[offset : offset + 512] = boot_sector((1 << 63) - 1)
    assert_sane(bytes(data))


def test_hybrid_mbr_alone_is_searched_beside() -> None:
    """The GPT is lost, and its partitions are more than the three that a hybrid MBR can repeat."""
    data = disk_with({0: mbr([(0xEE, 1, 2047), (7, 2048, 2048)])})
    put_volume(data, MIB, MIB)
    put_volume(data, 4 * MIB, MIB)
    partitions, gaps = find_partitions(MemorySource(bytes(data)))
    assert extents(partitions) == [(2, MIB, MIB), (3, 4 * MIB, MIB)]
    assert "announces a GPT" in gaps[0].detail


def test_handmade_gpt_is_one() -> None:
    assert extents(find_partitions(MemorySource(gpt_image()))[0]) == [(1, 40 * 512, 10_240), (2, 60 * 512, 10_752)]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 128 * 512 - 1), st.binary(min_size=1, max_size=8)), max_size=6), st.booleans())
def test_any_mutation_of_a_gpt(patches: list[tuple[int, bytes]], resealed: bool) -> None:
    """With the checksums made right again, what the fields say gets through to the parser."""
    data = bytearray(gpt_image())
    for offset, patch in patches:
        data[(offset % 2048) : (offset % 2048) + len(patch)] = patch
        data[offset : offset + len(patch)] = patch
    if resealed:
        seal_gpt(data)
    assert_sane(bytes(data))


@given(st.binary(min_size=16, max_size=16), st.integers(0, 3))
def test_any_gpt_header_fields_with_right_checksums(fields: bytes, place: int) -> None:
    data = bytearray(gpt_image())
    data[512 + 24 + place * 16 : 512 + 40 + place * 16] = fields
    seal_gpt(data)
    assert_sane(bytes(data))


def test_every_truncation() -> None:
    whole = gpt_image()
    for length in range(0, len(whole), 509):
        assert_sane(whole[:length])
