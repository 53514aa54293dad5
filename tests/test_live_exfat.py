"""Whether an exFAT volume is as the build made it: real volumes; exfatprogs and the mounted folder as witnesses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loops import run, sparse
from tests.memory_source import MemorySource
from tests.needs import needs_device, needs_root, needs_tool
from tests.sticks import MIB, TOOLS, make_built_volume, mounted_exfat
from triage.evidence.open import open_evidence
from triage.evidence.sysfs import BlockDevice
from triage.live.data_partition import BUILT_SERIAL, is_as_built
from triage.live.exfat import ExfatVolume, read_exfat
from triage.model.errors import ParseError

pytestmark = [needs_tool(*TOOLS)]
needs_mounting = [needs_root(), needs_device("/dev/fuse")]
WINDOWS = "System Volume Information"
OFFSETS = st.integers(0, 511) | st.integers(0, 2 * MIB)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = sparse(tmp_path / "volume", 8 * MIB)
    make_built_volume(path)
    return path


def read(path: Path) -> ExfatVolume:
    with open_evidence(path) as source:
        return read_exfat(source)


def as_built(path: Path) -> bool:
    return is_as_built(BlockDevice(path.name, 0, path))


def test_volume_of_the_build(volume: Path) -> None:
    found = read(volume)
    dumped = run("dump.exfat", volume)
    assert f"{found.serial:#x}" == re.search(r"Volume Serial:\s+(0x\w+)", dumped)[1]  # type: ignore[index]
    assert found.length_bytes // 512 == int(re.search(r"Volume Length\(sectors\):\s+(\d+)", dumped)[1])  # type: ignore[index]
    assert found == ExfatVolume(serial=BUILT_SERIAL, length_bytes=8 * MIB, names=())
    assert as_built(volume)


def test_volume_with_another_serial_number_is_not_of_the_build(volume: Path) -> None:
    run("tune.exfat", "--set-serial=0x54524942", volume)
    assert not as_built(volume)


@pytest.mark.parametrize("command", ["mkfs.ext4 -q", "mkfs.vfat", "true"])
def test_another_file_system_is_not_of_the_build(tmp_path: Path, command: str) -> None:
    path = sparse(tmp_path / "volume", 8 * MIB)
    run(*command.split(), path)
    assert not as_built(path)
    with pytest.raises(ParseError):
        read(path)


class TestMounted:
    pytestmark = needs_mounting

    def test_names_are_those_of_the_driver(self, volume: Path, tmp_path: Path) -> None:
        names = ["a.txt", "名" * 80 + ".docx", "x" * 255, "folder", "folder/inner.txt", "empty", "\U0001f600 two.txt"]
        with mounted_exfat(volume, tmp_path / "mnt") as folder:
            for name in names:
                (folder / name).mkdir() if name in ("folder", "empty") else (folder / name).write_bytes(b"x" * 5000)
            for number in range(300):  # more than a cluster of the folder
                (folder / "folder" / f"{number}").touch()
        expected = {*names, *(f"folder/{number}" for number in range(300))}
        assert set(read(volume).names) == expected
        assert not as_built(volume)

    def test_folder_that_grew_in_pieces(self, volume: Path, tmp_path: Path) -> None:
        """Its clusters are chained by the FAT, as the root's are."""
        with mounted_exfat(volume, tmp_path / "mnt") as folder:
            (folder / "f").mkdir()
            for number in range(200):
                (folder / "f" / f"{number}").write_bytes(b"x")
                (folder / f"{number}").write_bytes(b"x")
        expected = {"f", *(f"f/{number}" for number in range(200)), *map(str, range(200))}
        assert set(read(volume).names) == expected

    def test_file_that_was_deleted_still_counts(self, volume: Path, tmp_path: Path) -> None:
        with mounted_exfat(volume, tmp_path / "mnt") as folder:
            (folder / "evidence.docx").write_bytes(b"x")
            (folder / "evidence.docx").unlink()
            assert list(folder.iterdir()) == []
        assert read(volume).names == ("evidence.docx",)
        assert not as_built(volume)

    def test_mounted_and_left_empty(self, volume: Path, tmp_path: Path) -> None:
        with mounted_exfat(volume, tmp_path / "mnt"):
            pass
        assert as_built(volume)

    def test_what_windows_puts_there_is_nobodys_file(self, volume: Path, tmp_path: Path) -> None:
        with mounted_exfat(volume, tmp_path / "mnt") as folder:
            (folder / WINDOWS).mkdir()
            (folder / WINDOWS / "WPSettings.dat").write_bytes(bytes(12))
            (folder / WINDOWS / "IndexerVolumeGuid").write_bytes(bytes(76))
        assert as_built(volume)
        with mounted_exfat(volume, tmp_path / "mnt") as folder:
            (folder / WINDOWS / "mine.txt").write_bytes(b"x")
        assert not as_built(volume)

    def test_what_macos_puts_there_is_nobodys_file(self, volume: Path, tmp_path: Path) -> None:
        with mounted_exfat(volume, tmp_path / "mnt") as folder:
            for name in (".fseventsd", ".Spotlight-V100/Store-V2/A-B", ".Trashes/501"):
                (folder / name).mkdir(parents=True)
            for name in ("._.Trashes", ".fseventsd/fseventsd-uuid", ".Spotlight-V100/VolumeConfiguration.plist"):
                (folder / name).write_bytes(bytes(36))
        assert as_built(volume)
        with mounted_exfat(volume, tmp_path / "mnt") as folder:
            (folder / ".Trashes.txt").write_bytes(b"x")
        assert not as_built(volume)


@pytest.fixture(scope="module")
def small_volume(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = sparse(tmp_path_factory.mktemp("exfat") / "volume", 4 * MIB)
    make_built_volume(path)
    return path.read_bytes()


def root_of(volume: bytes) -> int:
    """Return where the root directory begins: at the label, its first entry."""
    return volume.index(b"\x83\x0bT\0R\0I\0A\0G\0E\0")


@given(changes=st.dictionaries(OFFSETS, st.integers(0, 255), max_size=8), entries=st.binary(max_size=160))
def test_damage_is_a_parse_error_or_a_volume(small_volume: bytes, changes: dict[int, int], entries: bytes) -> None:
    """Hostile bytes in boot sector, FAT and root directory: nothing else than the one error, and it ends."""
    damaged = bytearray(small_volume)
    behind = root_of(small_volume) + 3 * 32
    damaged[behind : behind + len(entries)] = entries
    for offset, value in changes.items():
        damaged[offset] = value
    try:
        found = read_exfat(MemorySource(bytes(damaged)))
    except ParseError:
        return
    if entries[:1] not in (b"", b"\0") and not changes:
        assert found.names != () or entries[0] in (0x81, 0x82, 0x83, 0x03, 0xA0)


def test_fat_chain_that_comes_back_to_itself_ends(small_volume: bytes) -> None:
    damaged = bytearray(small_volume)
    root, cluster_bytes = root_of(small_volume), 1 << (damaged[108] + damaged[109])
    fat, heap = (int.from_bytes(damaged[at : at + 4], "little") << damaged[108] for at in (80, 88))
    cluster = 2 + (root - heap) // cluster_bytes
    damaged[fat + 4 * cluster : fat + 4 * cluster + 4] = cluster.to_bytes(4, "little")
    for position in range(root + 3 * 32, root + cluster_bytes, 32):
        damaged[position] = 0x81
    with pytest.raises(ParseError, match="too long"):
        read_exfat(MemorySource(bytes(damaged)))
