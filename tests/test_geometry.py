"""Volumes of unusual geometry: read and counted in full, also where The Sleuth Kit does not open them."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pyfsntfs
import pytest
import pytsk3

from tests.cases import Case, examine_here
from tests.command import here
from tests.lab.mounts import mount_for_writing
from tests.loops import run, sparse
from tests.memory_source import MemorySource
from tests.mft_editor import DATA, FIRST_ATTRIBUTE, USED_BYTES, MftEditor, attributes, with_fixups
from tests.needs import data_path, needs_data, needs_device, needs_root, needs_tool
from triage.evidence.open import open_evidence
from triage.evidence.slice import UNREADABLE_SECTOR, BlankingSource
from triage.model.errors import ExitCode, VolumeError
from triage.model.gap import GapKind
from triage.model.report import Witness
from triage.volumes.boot_sector import parse_boot_sector
from triage.volumes.plain_mft import plain_mft_blocks
from triage.volumes.tsk import tsk_mft_blocks

_MIB = 1 << 20
_GEOMETRIES = (
    (512, 512),
    (512, 1024),
    (512, 8192),
    (512, 65_536),
    (512, 131_072),
    (512, 262_144),
    (512, 1 << 20),
    (512, 2 << 20),
    (1024, 1024),
    (2048, 2048),
    (4096, 4096),
    (4096, 65_536),
    (4096, 2 << 20),
)
_SIZES = (0, 1, 300, 700, 4096, 5000, 70_000, 300_000)
_needs_mount = [needs_root(), needs_tool("mkntfs", "ntfs-3g"), needs_device("/dev/fuse")]


def _make(path: Path, sector_bytes: int, cluster_bytes: int) -> dict[tuple[str, str], str]:
    """Make a volume with files of many sizes; return the digests of their streams."""
    sparse(path, max(24 * _MIB, 80 * cluster_bytes))
    run("mkntfs", "-F", "-Q", "-q", "-s", str(sector_bytes), "-c", str(cluster_bytes), path)
    made: dict[tuple[str, str], str] = {}
    with mount_for_writing(path) as folder:
        (folder / "文件夹").mkdir()
        for number, size in enumerate(_SIZES):
            content = bytes([number + 1]) * size
            for stream, data in (("", content), ("another", content[::2])):
                place = f"文件夹/{size}.bin"
                (folder / (f"{place}:{stream}" if stream else place)).write_bytes(data)
                made[place, stream] = hashlib.sha256(data).hexdigest()
    return made


def _check(case: Case, made: dict[tuple[str, str], str], witness: Witness) -> None:
    """Every stream is read, both equations hold, and it is said who counted."""
    assert made.items() <= case.digests().items()
    assert case.report.gaps == ()
    assert case.exit_code is ExitCode.OK
    (one,) = case.report.coverage.reconciliation
    assert one.counted_by is witness
    assert one.base_records + one.extension_records == one.bitmap_bits
    assert one.streams == one.data_attributes == len(case.streams)


def _opened_by_tsk(image: Path, kind: int | None = pytsk3.TSK_FS_TYPE_NTFS) -> bool:
    try:
        with open_evidence(str(image)) as source:
            image_of_tsk = _Image(source.read, source.size_bytes)
            pytsk3.FS_Info(image_of_tsk, 0, *(() if kind is None else (kind,)))
    except OSError:
        return False
    return True


class _Image(pytsk3.Img_Info):
    def __init__(self, read: Callable[[int, int], bytes], size_bytes: int) -> None:
        self._read, self._size_bytes = read, size_bytes
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, length: int, /) -> bytes:
        return self._read(offset, length)

    def get_size(self) -> int:
        return self._size_bytes


class TestMade:
    """Volumes made by mkntfs and filled by ntfs-3g."""

    pytestmark = _needs_mount

    @pytest.mark.parametrize(("sector_bytes", "cluster_bytes"), _GEOMETRIES)
    def test_every_geometry_is_read_and_reconciled(self, tmp_path: Path, sector_bytes: int, cluster_bytes: int) -> None:
        image = tmp_path / "volume.img"
        made = _make(image, sector_bytes, cluster_bytes)
        with image.open("rb") as file:
            geometry = parse_boot_sector(file.read(512))
        assert (geometry.sector_bytes, geometry.cluster_bytes) == (sector_bytes, cluster_bytes)
        assert geometry.record_bytes == max(1024, sector_bytes)
        witness = Witness.SLEUTH_KIT if cluster_bytes <= 65_536 else Witness.PLAIN_SCAN
        assert _opened_by_tsk(image) == (witness is Witness.SLEUTH_KIT)
        _check(examine_here(image, tmp_path / "case"), made, witness)

    def test_clusters_of_2_mib_are_looked_into(self, tmp_path: Path) -> None:
        image = tmp_path / "volume.img"
        _make(image, 512, 2 << 20)
        assert "ntfs" in here("list", image).out
        assert "300000.bin:another" in here("ls", f"{image}:v1/文件夹").out
        assert here("cat", f"{image}:v1/文件夹/70000.bin").out == "\x07" * 70_000

    @pytest.mark.parametrize("record_bytes", [2048, 4096])
    def test_records_of_any_size_are_read(self, tmp_path: Path, record_bytes: int) -> None:
        """4 KiB records on 512-byte sectors, and a size that Windows has never made; libfsntfs reads the same."""
        image = tmp_path / "volume.img"
        made = _make(image, 512, 4096)
        _resize_records(image, record_bytes)
        case = examine_here(image, tmp_path / "case")
        _check(case, made, Witness.SLEUTH_KIT)
        witness = pyfsntfs.volume()
        witness.open(str(image))
        entry = witness.get_file_entry_by_path("\\文件夹\\70000.bin")
        assert hashlib.sha256(entry.read_buffer(entry.size)).hexdigest() == made["文件夹/70000.bin", ""]
        witness.close()

    def test_trap_5_traces_of_ext_and_ufs_do_not_hide_an_ntfs(self, tmp_path: Path) -> None:
        """Left to guess, pytsk3 refuses such a volume."""
        plain, older = tmp_path / "volume.img", sparse(tmp_path / "ext.img", 24 * _MIB)
        made = _make(plain, 512, 16_384)
        run("mke2fs", "-q", "-F", "-b", "1024", "-t", "ext2", older)
        mft = MftEditor(plain)
        for number, (start, trace) in enumerate(((1024, older.read_bytes()[1024:4096]), (8192, _ufs_superblock()))):
            image = Path(shutil.copy(plain, tmp_path / f"traces-{number}.img"))
            assert mft.read(start, len(trace)).count(0) == len(trace)  # nothing else is there
            MftEditor(image).write(start, trace)
            assert (_opened_by_tsk(image, None), _opened_by_tsk(image)) == (False, True)
            case = examine_here(image, tmp_path / f"case-{number}")
            _check(case, made, Witness.SLEUTH_KIT)
            (volume,) = case.report.volumes
            assert (volume.filesystem, volume.examined) == ("ntfs", True)

    def test_the_plain_scan_gives_what_the_sleuth_kit_gives(self, tmp_path: Path) -> None:
        image = tmp_path / "volume.img"
        _make(image, 512, 1024)
        with open_evidence(str(image)) as source:
            plain = b"".join(plain_mft_blocks(source))
            assert plain == b"".join(tsk_mft_blocks(source))

    def test_the_plain_scan_sees_a_stream_that_the_enumeration_lost(self, tmp_path: Path) -> None:
        """An attribute that says it starts behind VCN 0 is no stream to the enumeration; to be found, both must err."""
        image = tmp_path / "volume.img"
        _make(image, 512, 2 << 20)
        mft = MftEditor(image)
        entry = next(entry for entry in range(64, mft.records) if b"7\x000\x000\x000\x000\x00" in mft.raw(entry))
        record = mft.record(entry)
        (data, *_) = [one for one in attributes(record) if one.type == DATA]
        assert data.non_resident
        record[data.offset + 0x17] = 1  # the top of the first VCN's eight bytes, which the scan does not look at
        mft.put(entry, record)
        case = examine_here(image, tmp_path / "case")
        (one,) = case.report.coverage.reconciliation
        assert (one.counted_by, one.streams) == (Witness.PLAIN_SCAN, (one.data_attributes or 0) - 1)
        assert case.gaps(GapKind.LEDGER) != []

    def test_a_plain_scan_reads_around_what_is_unreadable(self, tmp_path: Path) -> None:
        image = tmp_path / "volume.img"
        _make(image, 512, 4096)
        mft, data = MftEditor(image), image.read_bytes()
        bad = mft.offset(30)
        blocks = b"".join(plain_mft_blocks(BlankingSource(MemorySource(data, unreadable=range(bad, bad + 1)))))
        whole = bytearray(b"".join(plain_mft_blocks(MemorySource(data))))
        whole[30 * mft.record_bytes : 30 * mft.record_bytes + 512] = UNREADABLE_SECTOR
        assert blocks == whole
        first, mirror = mft.mft_cluster * mft.cluster_bytes, mft.mirror_cluster * mft.cluster_bytes
        assert list(plain_mft_blocks(BlankingSource(MemorySource(data, unreadable=range(first, first + 1))))) != []
        both = [*range(first, first + 1), *range(mirror, mirror + 1)]
        with pytest.raises(VolumeError, match="no first record"):
            list(plain_mft_blocks(BlankingSource(MemorySource(data, unreadable=both))))


def _ufs_superblock() -> bytes:
    """Return so much of a UFS1 superblock that it is taken for one."""
    block = bytearray(1376)
    for offset, value in (
        (8, 72), (12, 80), (16, 88), (20, 200), (44, 4), (48, 8192), (52, 1024), (56, 8),
        (0x74, 1024), (0x78, 32), (184, 1024), (188, 6000), (36, 24_000), (1372, 0x011954),
    ):  # fmt: skip
        struct.pack_into("<i", block, offset, value)
    return bytes(block)


def _resize_records(image: Path, record_bytes: int) -> None:
    """Write `$MFT` anew behind all data, in records of another size, and say so in its first record and at boot."""
    mft = MftEditor(image)
    old_bytes, count = mft.record_bytes, mft.records
    start = (image.stat().st_size - 8 * _MIB) // mft.cluster_bytes
    stored = bytearray()
    for entry in range(count):
        if mft.raw(entry)[:4] != b"FILE":
            stored += bytes(record_bytes)
            continue
        record = _resized(mft.record(entry), record_bytes)
        if entry == 0:
            _set_mft_runs(record, start, count * record_bytes, mft.cluster_bytes)
        stored += with_fixups(record)
    mft.write(start * mft.cluster_bytes, stored)
    mirror = start + -(-len(stored) // mft.cluster_bytes)
    mft.write(mirror * mft.cluster_bytes, stored[: 4 * record_bytes])
    assert record_bytes > old_bytes
    boot = mft.read(0, 512)
    struct.pack_into("<QQ", boot, 0x30, start, mirror)
    struct.pack_into("<b", boot, 0x40, 1 - record_bytes.bit_length())
    mft.write(0, boot)
    mft.write(image.stat().st_size - 512, boot)


def _resized(record: bytearray, record_bytes: int) -> bytearray:
    (first,) = struct.unpack_from("<H", record, FIRST_ATTRIBUTE)
    (used,) = struct.unpack_from("<I", record, USED_BYTES)
    fixups = record_bytes // 512 + 1
    moved = -(-(0x30 + 2 * fixups) // 8) * 8
    resized = bytearray(record_bytes)
    resized[:0x30] = record[:0x30]
    resized[moved : moved + used - first] = record[first:used]
    struct.pack_into("<HH", resized, 4, 0x30, fixups)
    struct.pack_into("<H", resized, 0x30, 1)
    struct.pack_into("<H", resized, FIRST_ATTRIBUTE, moved)
    struct.pack_into("<II", resized, USED_BYTES, moved + used - first, record_bytes)
    return resized


def _set_mft_runs(record: bytearray, cluster: int, size_bytes: int, cluster_bytes: int) -> None:
    (data,) = [one for one in attributes(record) if one.type == DATA]
    clusters = -(-size_bytes // cluster_bytes)
    pairs = data.offset + data.field(record, 0x20, "<H")
    record[pairs : pairs + 7] = b"\x32" + struct.pack("<H", clusters) + cluster.to_bytes(3, "little") + b"\0"
    struct.pack_into("<Q", record, data.offset + 0x18, clusters - 1)
    struct.pack_into("<3Q", record, data.offset + 0x28, clusters * cluster_bytes, size_bytes, size_bytes)


@needs_data("dissect.ntfs/boot_2m.bin.gz")
def test_trap_5_a_boot_sector_of_windows_with_clusters_of_2_mib() -> None:
    boot = gzip.decompress(data_path("dissect.ntfs/boot_2m.bin.gz").read_bytes())
    assert parse_boot_sector(boot[:512]).cluster_bytes == 2 << 20
