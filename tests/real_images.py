"""The real NTFS images of the forensic data: where each lies, and how it becomes a raw image."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.needs import data_path

_CHUNK_BYTES = 1 << 20
_EWF = (".E01",)
_QEMU = (".vhd", ".vhdx", ".qcow2", ".vmdk")


class RealImage(Struct, frozen=True, kw_only=True):
    """One image: its file in the data, the name inside where that is an archive, and the tags of its volumes.

    `plain` marks a file that is raw whatever its name says.
    """

    path: str
    tags: tuple[str, ...]
    member: str = ""
    plain: bool = False


class ExpectedStream(Struct, frozen=True):
    """What a manifest says of one stream; `dissect` and `fsntfs` are "=" where those two read the same bytes."""

    size: int
    md5_tsk: str
    dissect: str | list[int | str | None] | None = None
    fsntfs: str | list[int | str | None] | None = None


class _Summary(Struct, frozen=True):
    offset: int


class Expected(Struct, frozen=True):
    """The manifest of one volume: its offset in the image, and by `/path` or `/path:stream` what every stream is.

    `deleted` are the names that The Sleuth Kit finds of deleted entries, in records or in what is left of an index.
    """

    summary: _Summary
    manifest: dict[str, ExpectedStream]
    deleted: list[tuple[str, str | None]]


_CONTAINERS = "derived-containers/derived-containers.tar.xz"
IMAGES = (
    RealImage(path=_CONTAINERS, member="7-ntfs-undel.001", tags=("dftt7",)),
    RealImage(path=_CONTAINERS, member="7-ntfs-undel-seg.E01", tags=("dftt7",)),
    RealImage(path=_CONTAINERS, member="dfvfs-ntfs-compressed.qcow2", tags=("dfvfs_ntfs",)),
    RealImage(path=_CONTAINERS, member="dfvfs-ntfs-monolithicFlat.vmdk", tags=("dfvfs_ntfs",)),
    RealImage(path=_CONTAINERS, member="dfvfs-ntfs-monolithicSparse.vmdk", tags=("dfvfs_ntfs",)),
    RealImage(path=_CONTAINERS, member="dfvfs-ntfs-streamOptimized.vmdk", tags=("dfvfs_ntfs",)),
    RealImage(path=_CONTAINERS, member="dfvfs-ntfs-twoGbMaxExtentFlat.vmdk", tags=("dfvfs_ntfs",)),
    RealImage(path=_CONTAINERS, member="dfvfs-ntfs-twoGbMaxExtentSparse.vmdk", tags=("dfvfs_ntfs",)),
    RealImage(path="colinfinck-ntfs/testfs1.xz", tags=("testfs1",)),
    RealImage(path="dfir-orc/ntfs.7z", member="ntfs.vhd", tags=("orc",)),
    RealImage(path="dftt/7-undel-ntfs.zip", member="7-ntfs-undel.dd", tags=("dftt7",)),
    RealImage(path="dftt/8-jpeg-search.zip", member="8-jpeg-search.dd", tags=("dftt8",)),
    RealImage(path="dfvfs/ntfs.raw.xz", tags=("dfvfs_ntfs",)),
    RealImage(path="dfvfs/vss.raw.xz", tags=("dfvfs_vss",)),
    RealImage(path="dfvfs/ntfs-dynamic.vhd.xz", tags=("vhddyn",)),
    RealImage(path="dfvfs/ntfs-dynamic.vhdx.xz", tags=("vhdxdyn",)),
    RealImage(path="dfvfs/ntfs-fixed.vhd.xz", tags=("vhdfix",)),
    RealImage(path="dfvfs/ntfs-fixed.vhdx.xz", tags=("vhdxfix",)),
    RealImage(path="dfvfs/ntfs-parent.vhd.xz", tags=("vhdpar",)),
    RealImage(path="dfvfs/ntfs-parent.vhdx.xz", tags=("vhdxpar",)),
    RealImage(path="dfvfs/windows_volume.qcow2.xz", tags=("winvol",)),
    RealImage(path="dissect.ntfs/ntfs.bin.gz", tags=("dissect_ntfs",)),
    RealImage(path="dissect.ntfs/ntfs-cloud.bin.gz", tags=("cloud",)),
    RealImage(path="msuhanov-dfir_ntfs/ntfs3.raw.gz", tags=("ntfs3",)),
    RealImage(path="msuhanov-dfir_ntfs/ntfs3_attrlist.raw.gz", tags=("ntfs3_attrlist",)),
    RealImage(path="msuhanov-dfir_ntfs/ntfs_index.raw.gz", tags=("ntfs_index",)),
    RealImage(path="msuhanov-dfir_ntfs/vss_1_vol.tar.gz", member="vss_1_vol.raw", tags=("vss1",)),
    RealImage(path="msuhanov-dfir_ntfs/vss_2_stor.tar.gz", member="vss_2_stor.raw", tags=()),
    RealImage(path="msuhanov-dfir_ntfs/vss_2003.tgz", member="vss_2003.raw", tags=("vss2003",)),
    RealImage(path="msuhanov-dfir_ntfs/vss_3_volstor.tar.gz", member="vss_3_volstor.raw", tags=("vss3",)),
    RealImage(path="plaso/multi_partition_image.vmdk.xz", tags=("mp1", "mp2"), plain=True),
    RealImage(path="plaso/usnjrnl.qcow2.xz", tags=("usnq",)),
    RealImage(path="plaso/vsstest.qcow2", tags=("vssq",)),
    RealImage(path="velociraptor/partition_image.E01", tags=("velo_part",)),
    RealImage(path="velociraptor/test.ntfs.dd.E01", tags=("velo_testntfs",)),
    RealImage(path="velociraptor/test.vhdx.zip", member="test.vhdx", tags=("velovhdx",)),
)
"""Every image that has to be tried."""

_DIFFERENCING = "a differencing disk: qemu-img does not join it to its parent"
_BITLOCKER = "encrypted by BitLocker"
_NO_VOLUME = "no volume, but a piece of one"
NOT_TRIED_TAGS = {"vhddiff": _DIFFERENCING, "vhdxdiff": _DIFFERENCING}
"""Volumes that have a manifest and are in no image of the table, and why."""
NOT_TRIED_PATHS = {
    "dfvfs/ntfs-differential.vhd.xz": _DIFFERENCING,
    "dfvfs/ntfs-differential.vhdx.xz": _DIFFERENCING,
    "cryptsetup-bitlk/bitlk-images-main.tar.xz": _BITLOCKER,
    "dissect.fve/": _BITLOCKER,
    "discutils/vhdx-log-replay.vhdx.gz": "its log has to be replayed, and what is inside is of Linux",
    "dissect.ntfs/boot_2m.bin.gz": _NO_VOLUME,
    "dissect.ntfs/mft.bin.gz": _NO_VOLUME,
    "go-ntfs/sample.bin": _NO_VOLUME,
    "msuhanov-dfir_ntfs/usnjrnlj.bin": _NO_VOLUME,
    "plaso/UsnJrnl.raw": _NO_VOLUME,
}
"""Images of the index that are not in the table, a folder with its slash, and why."""


def expected(tag: str) -> Expected:
    """Return the manifest of one volume."""
    text = data_path(f"expected/{tag}.json").read_text(encoding="utf-8")
    return msgspec.convert(json.loads(text), Expected)


def make_raw(image: RealImage, folder: Path) -> Path:
    """Unpack and convert an image into `folder`; zeros take no space there."""
    unpacked = _unpack(image, folder)
    raw = folder / "image.raw"
    if unpacked.suffix in _QEMU:
        _run("qemu-img", "convert", "-O", "raw", unpacked, raw)
    elif unpacked.suffix in _EWF:
        _run("ewfexport", "-q", "-u", "-f", "raw", "-t", raw.with_suffix(""), unpacked)
    else:
        return unpacked
    return raw


def _unpack(image: RealImage, folder: Path) -> Path:
    packed = data_path(image.path)
    if image.member:
        return _unpack_member(packed, image.member, folder)
    commands = {".xz": "xz", ".gz": "gzip"}
    if packed.suffix not in commands:
        return packed
    target = folder / ("plain" if image.plain else packed.stem)
    with subprocess.Popen((commands[packed.suffix], "-dc", packed), stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise RuntimeError("no output")
        _write_sparse(process.stdout.read, target)
    return target


def _unpack_member(packed: Path, member: str, folder: Path) -> Path:
    if packed.suffix == ".zip":
        with zipfile.ZipFile(packed) as archive:
            (name,) = (one for one in archive.namelist() if Path(one).name == member)
            with archive.open(name) as content:
                _write_sparse(content.read, folder / member)
    elif packed.suffix == ".7z":
        _run("7z", "e", "-y", f"-o{folder}", packed, member)
    else:
        _run("tar", "-x", "-S", "-f", packed, "-C", folder)
    return folder / member


def _write_sparse(read: Callable[[int], bytes], target: Path) -> None:
    with target.open("wb") as file:
        length = 0
        while piece := read(_CHUNK_BYTES):
            if piece.count(0) != len(piece):
                file.seek(length)
                file.write(piece)
            length += len(piece)
        file.truncate(length)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
