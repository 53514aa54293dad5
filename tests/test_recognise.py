"""What a volume holds: real volumes of every kind, with blkid as the witness, and what older ones leave behind."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loops import loop_device, run, sparse
from tests.memory_source import MemorySource
from tests.needs import data_path, needs_data, needs_device, needs_root, needs_tool
from triage.evidence.open import open_evidence
from triage.volumes.recognise import recognise

MIB = 1 << 20
NAMES = {"ntfs", "bitlocker", "exfat", "fat12", "fat16", "fat32", "ext4", "xfs", "btrfs", "swap", "lvm", "luks"}
NAMES |= {"hfs+", "refs", "empty", "unknown"}


def recognised(path: Path) -> str:
    with open_evidence(path) as source:
        return recognise(source)


@pytest.mark.parametrize(
    ("command", "size_bytes", "expected", "blkid_name"),
    [
        ("mkntfs -q -Q -F", 2 * MIB, "ntfs", "ntfs"),
        ("mkntfs -q -Q -F -s 4096 -c 4096", 4 * MIB, "ntfs", "ntfs"),
        ("mkntfs -q -Q -F -c 2097152", 512 * MIB, "ntfs", "ntfs"),
        ("mkfs.vfat -F 12", 2 * MIB, "fat12", "fat12"),
        ("mkfs.vfat -F 16", 20 * MIB, "fat16", "fat16"),
        ("mkfs.vfat -F 32", 40 * MIB, "fat32", "fat32"),
        ("mkfs.exfat", 8 * MIB, "exfat", "exfat"),
        ("mkfs.ext4 -q", 2 * MIB, "ext4", "ext4"),
        ("mkfs.ext2 -q", 2 * MIB, "ext4", "ext2"),
        ("mkfs.xfs -q", 512 * MIB, "xfs", "xfs"),
        ("mkfs.btrfs -q", 128 * MIB, "btrfs", "btrfs"),
        ("mkswap", 2 * MIB, "swap", "swap"),
        (
            "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 -d /etc/hostname",
            32 * MIB,
            "luks",
            "crypto_luks",
        ),
    ],
)
def test_real_volumes(tmp_path: Path, command: str, size_bytes: int, expected: str, blkid_name: str) -> None:
    tool, *options = command.split()
    missing = needs_tool(tool, "blkid").mark
    if missing.args[0]:
        pytest.skip(str(missing.kwargs["reason"]))
    path = sparse(tmp_path / "volume.raw", size_bytes)
    run(tool, *options, path)
    assert blkid_name in run("blkid", "-p", "-o", "value", path).lower().split()
    assert recognised(path) == expected


@needs_root()
@needs_device("/dev/loop-control")
@needs_tool("pvcreate", "losetup")
def test_lvm(tmp_path: Path) -> None:
    path = sparse(tmp_path / "volume.raw", 8 * MIB)
    with loop_device(path) as node:
        run("pvcreate", "-q", "--config", f'devices {{ filter=["a|{node}|", "r|.*|"] }}', node)
    assert recognised(path) == "lvm"


@pytest.mark.parametrize(
    ("offset", "signature", "expected"),
    [
        (3, b"ReFS\0\0\0\0", "refs"),
        (1024, b"H+\0\x04", "hfs+"),
        (1024, b"HX\0\x05", "hfs+"),
        (4086, b"SWAP-SPACE", "swap"),
        (9000, b"x", "unknown"),
        (0, b"", "empty"),
    ],
)
def test_signatures_without_a_tool(offset: int, signature: bytes, expected: str) -> None:
    data = bytearray(MIB)
    data[offset : offset + len(signature)] = signature
    assert recognise(MemorySource(bytes(data))) == expected


@needs_tool("tar")
@needs_data("cryptsetup-bitlk/bitlk-images-main.tar.xz")
def test_bitlocker_made_by_windows(tmp_path: Path) -> None:
    """Twenty-one volumes, two of them To Go, which show a FAT32 to whoever does not look closer."""
    run("tar", "-xJf", data_path("cryptsetup-bitlk/bitlk-images-main.tar.xz"), "-C", tmp_path)
    images = sorted(tmp_path.glob("**/*.img"))
    assert len(images) == 21
    for image in images:
        assert recognised(image) == "bitlocker", image.name
        image.unlink()


@needs_data("dissect.fve/vista.bin.gz", "dissect.fve/suspended.bin.gz", "dissect.fve/eow_partial.bin.gz")
@pytest.mark.parametrize("name", ["vista", "suspended", "eow_partial"])
def test_bitlocker_of_other_versions(name: str) -> None:
    with gzip.open(data_path(f"dissect.fve/{name}.bin.gz")) as file:
        assert recognise(MemorySource(file.read(MIB))) == "bitlocker"


@needs_data("dfvfs/ntfs.raw.xz", "colinfinck-ntfs/testfs1.xz")
@pytest.mark.parametrize("name", ["dfvfs/ntfs.raw.xz", "colinfinck-ntfs/testfs1.xz"])
def test_ntfs_made_by_others(name: str) -> None:
    assert recognise(MemorySource(lzma.decompress(data_path(name).read_bytes()))) == "ntfs"


class TestWhatIsLeftBehind:
    @pytest.fixture
    def volume(self, tmp_path: Path) -> bytearray:
        path = sparse(tmp_path / "volume.raw", 2 * MIB)
        run("mkntfs", "-q", "-F", path)
        return bytearray(path.read_bytes())

    @pytest.fixture
    def ext4(self, tmp_path: Path) -> bytes:
        path = sparse(tmp_path / "ext4.raw", 2 * MIB)
        run("mkfs.ext4", "-q", path)
        return path.read_bytes()

    @needs_tool("mkntfs", "mkfs.ext4")
    def test_older_ext4_behind_ntfs(self, volume: bytearray, ext4: bytes) -> None:
        volume[1024:2048] = ext4[1024:2048]
        assert recognise(MemorySource(bytes(volume))) == "ntfs"

    @needs_tool("mkntfs", "mkfs.ext4")
    def test_older_ntfs_backup_behind_ext4(self, volume: bytearray, ext4: bytes) -> None:
        assert recognise(MemorySource(ext4[:-512] + volume[-512:])) == "ext4"

    @needs_tool("mkntfs")
    @pytest.mark.parametrize("damage", [bytes(512), b"\xff" * 512])
    def test_backup_boot_sector(self, volume: bytearray, damage: bytes) -> None:
        volume[:512] = damage
        assert recognise(MemorySource(bytes(volume))) == "ntfs"
        assert recognise(MemorySource(bytes(volume) + b"\0" * 511)) == "ntfs"
        volume[-512:] = bytes(512)
        assert recognise(MemorySource(bytes(volume))) != "ntfs"

    @needs_tool("mkntfs")
    def test_unreadable_boot_sector(self, volume: bytearray) -> None:
        assert recognise(MemorySource(bytes(volume), unreadable=range(512))) == "ntfs"

    @needs_tool("mkntfs")
    def test_unreadable_behind_the_boot_sector(self, volume: bytearray) -> None:
        assert recognise(MemorySource(bytes(volume), unreadable=range(4096, 8192))) == "ntfs"

    @needs_tool("mkntfs")
    def test_backup_boot_sector_of_another_volume(self, volume: bytearray) -> None:
        """It belongs to a volume that begins elsewhere: a partition at the end of a disk."""
        assert recognise(MemorySource(bytes(MIB) + bytes(volume[512:]))) == "empty"

    @needs_tool("mkntfs")
    def test_boot_sector_of_a_longer_volume_in_the_last_sector(self, volume: bytearray) -> None:
        """The volume begins there and goes on behind: it is not what lies before."""
        assert recognise(MemorySource(bytes(MIB) + bytes(volume[:512]))) == "empty"

    @needs_tool("mkntfs")
    def test_damaged_backup_sectors(self, volume: bytearray) -> None:
        sector = bytes(volume[-512:])
        for offset, value in ((3, b"XTFS"), (11, b"\7\7"), (13, b"\3"), (48, b"\xff" * 8), (510, b"\0\0")):
            damaged = bytearray(sector)
            damaged[offset : offset + len(value)] = value
            volume[:512] = volume[-512:] = damaged
            assert recognise(MemorySource(bytes(volume))) != "ntfs"


@given(
    st.binary(max_size=2048),
    st.sampled_from([0, 3, 446, 510, 1024]),
    st.sampled_from([b"NTFS    ", b"\x55\xaa", b"\xeb"]),
)
def test_any_bytes_have_a_name(data: bytes, offset: int, patch: bytes) -> None:
    data = data[:offset] + patch + data[offset:]
    assert recognise(MemorySource(data)) in NAMES


@given(st.binary(min_size=62, max_size=62))
def test_any_parameter_block_has_a_name(block: bytes) -> None:
    for oem in (b"\xebR\x90NTFS    ", b"\xeb<\x90MSDOS5.0"):
        sector = (oem + block[len(oem) :]).ljust(510, b"\0") + b"\x55\xaa"
        assert recognise(MemorySource(sector * 4)) in NAMES
