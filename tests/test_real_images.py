"""Real NTFS volumes, made by Windows and others: the streams that three other parsers agreed on, and no false alarm."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from msgspec import Struct

from tests.cases import Case, entries_by_path, examine_here
from tests.needs import data_path, needs_data, needs_tool
from tests.real_images import IMAGES, NOT_TRIED_PATHS, NOT_TRIED_TAGS, Expected, RealImage, expected, make_raw
from triage.evidence.open import open_evidence
from triage.evidence.slice import SliceSource
from triage.model.entry import StreamState
from triage.model.errors import ExitCode
from triage.model.gap import GapKind
from triage.model.report import Witness
from triage.model.verdict import Outcome
from triage.volumes.mft_records import RECORD_IN_USE, RECORD_IS_DIRECTORY, Mask, parse_records
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import read_mft
from triage.walk.paths import Paths

_TOO_BIG = "BIG"  # what a manifest has in the place of the digest of a very large stream
_UNNAMED = (12, 13, 14, 15)
_FORMS = r"\.(?:raw|bin|dd|E01|vhdx?|vmdk|qcow2)|vss_\w+|images-main|containers"
_IMAGE = re.compile(rf"(?:{_FORMS})(?:\.(?:gz|xz|zip|7z|tar|tgz))*$")
_ONLY_IN_AN_INDEX = {
    "/" + "A" * 120 + " - Copy (11).txt",
    "/test_dir/BBBBBBBBBBBBB-del.txt",
    "/$Volume",
    "/Копия (23) Текстовый документ.txt",
    "/Текстовый документ.txt",
}
"""Deleted names that The Sleuth Kit finds in what is left of a folder's index: no MFT record has them any more."""
_tried: set[RealImage] = set()
_RECORD_BYTES = 1024
_DAMAGED_HIVES = {
    "winvol": GapKind.HIVE_MISSING,  # an empty folder Windows/System32/config
    "velo_part": GapKind.HIVE_DAMAGED,  # a text of 13 bytes in the place of the SYSTEM hive
}


def _check_streams(case: Case, raw: Path, manifest: Expected) -> None:
    """Hold one volume's streams against its manifest, both ways."""
    (volume,) = (one for one in case.report.volumes if one.offset_bytes == manifest.summary.offset)
    assert volume.examined
    with open_evidence(str(raw)) as source:
        piece = SliceSource(source, volume.offset_bytes, volume.length_bytes)
        ntfs = NtfsVolume(piece, volume.id)
        entries = entries_by_path(ntfs)
        deleted = _deleted_paths(ntfs)
    assert {path for path, _ in manifest.deleted} - {f"/{path}" for path in deleted} <= _ONLY_IN_AN_INDEX
    ours = {(one.mft_entry, one.stream): one for one in case.streams if one.volume == volume.id}
    gaps = {(gap.where.mft_entry, gap.where.stream or "") for gap in case.report.gaps if gap.where.volume == volume.id}
    seen: set[tuple[int, str]] = set()
    for name, stream in manifest.manifest.items():
        path, _, stream_name = name[1:].partition(":")
        place = (entries[path], stream_name)
        record = ours[place]
        seen.add(place)
        assert record.size_bytes == stream.size, name
        if record.state is not StreamState.READ:
            assert place in gaps, name
        elif stream.md5_tsk != _TOO_BIG:
            assert record.md5 == stream.md5_tsk, name
    for place in set(ours) - seen:  # what the manifests leave out: bad clusters, and records without a name
        assert place[0] == entries["$BadClus"] or place[0] in _UNNAMED, ours[place].path


def _deleted_paths(volume: NtfsVolume) -> set[str]:
    table = read_mft(volume)
    paths = Paths(table)
    dead = np.flatnonzero(table.entries.readable & ~table.entries.in_use).tolist()
    return {path for entry in dead for path in paths.of(entry)}


def _state(raw: Path) -> tuple[int, int, str]:
    """Return size, time of the last change and a digest of all that is not a hole: some images are mostly holes."""
    digest = hashlib.sha256()
    with raw.open("rb") as file:
        status = os.fstat(file.fileno())
        size, position = status.st_size, 0
        while position < size:
            try:
                start = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:  # nothing but a hole up to the end
                break
            position = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            digest.update(start.to_bytes(8, "little"))
            file.seek(start)
            while start < position and (piece := file.read(min(position - start, 1 << 20))):
                digest.update(piece)
                start += len(piece)
    return size, status.st_mtime_ns, digest.hexdigest()


def _check_cloud_files(case: Case) -> None:
    """Cloud files that are kept on the disk are read, in spite of their reparse tag; the one that is not is told."""
    states = {one.path: one.state for one in case.streams if one.path.startswith("OneDrive/") and not one.stream}
    assert states.pop("OneDrive/created-online.txt") is StreamState.REPARSE_POINT
    assert set(states.values()) == {StreamState.READ}
    assert {"OneDrive/always-keep-on-device.txt", "OneDrive/example.txt"} <= set(states)
    gaps = case.gaps(GapKind.REPARSE_POINT)
    assert {gap.where.path: (gap.bytes, gap.detail, gap.material) for gap in gaps} == {
        "OneDrive/created-online.txt": (70, "content lies elsewhere: cloud placeholder", False),
        "OneDrive": (None, "cloud placeholder", False),
        "OneDrive/Documents": (None, "cloud placeholder", False),
    }


@needs_data()
@needs_tool("xz", "gzip", "7z", "qemu-img", "ewfexport")
@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.member or image.path)
def test_every_stream_of_a_real_volume(image: RealImage, tmp_path: Path) -> None:
    raw = make_raw(image, tmp_path)
    before = _state(raw)
    case = examine_here(raw, tmp_path / "case")
    assert _state(raw) == before
    for tag in image.tags:
        _check_streams(case, raw, expected(tag))
        if tag == "cloud":
            _check_cloud_files(case)
    assert case.telling() == []
    coverage = case.report.coverage
    assert {one.volume for one in coverage.reconciliation} == {one.id for one in case.report.volumes if one.examined}
    for one in coverage.reconciliation:
        assert one.counted_by is Witness.SLEUTH_KIT
        assert one.bitmap_bits == one.base_records + one.extension_records
        assert (one.unreadable_records, one.data_attributes) == (0, one.streams)
    assert coverage.streams == len(case.streams) == sum(coverage.streams_by_state.values())
    material = {gap.kind for gap in case.report.gaps if gap.material}
    hive = next((_DAMAGED_HIVES[tag] for tag in image.tags if tag in _DAMAGED_HIVES), None)
    assert material == ({hive} if hive else set())
    outcome = Outcome.INCONCLUSIVE if hive else Outcome.NO_KNOWN_INDICATORS
    code = ExitCode.INCONCLUSIVE if hive else ExitCode.OK
    assert (case.report.verdict.outcome, case.exit_code) == (outcome, code)
    assert case.report.verdict.judgement is None
    _tried.add(image)


@needs_data()
def test_every_image_of_the_table_was_tried(request: pytest.FixtureRequest) -> None:
    """Runs behind the others of this module; an image whose tools were missing was not tried."""
    name = test_every_stream_of_a_real_volume.__name__
    chosen = sum(getattr(item, "originalname", "") == name for item in request.session.items)
    if chosen < len(IMAGES):
        pytest.skip("needs the whole module")
    assert [image.member or image.path for image in IMAGES if image not in _tried] == []


@needs_data("plaso/usnjrnl.qcow2.xz")
@needs_tool("xz", "qemu-img")
def test_trap_6_an_ntfs_in_a_partition_of_another_type_is_examined(tmp_path: Path) -> None:
    """By its type, 0x42, it is part of a dynamic disk; what it holds is NTFS."""
    (image,) = [image for image in IMAGES if image.tags == ("usnq",)]
    case = examine_here(make_raw(image, tmp_path), tmp_path / "case")
    (volume,) = case.report.volumes
    assert volume.partition is not None
    assert (volume.partition.type_id, volume.filesystem, volume.examined) == ("42", "ntfs", True)


@needs_data("dfvfs/vss.raw.xz")
@needs_tool("xz")
def test_trap_7_past_the_initialised_size_are_zeros(tmp_path: Path) -> None:
    """The stores of shadow copies have clusters full of older bytes there, which dissect.ntfs gives as content."""
    (image,) = [image for image in IMAGES if image.tags == ("dfvfs_vss",)]
    raw = make_raw(image, tmp_path)
    case = examine_here(raw, tmp_path / "case")
    ours = {f"/{one.path}": one for one in case.streams if not one.stream}
    torn = {name: stream for name, stream in expected("dfvfs_vss").manifest.items() if stream.dissect != "="}
    assert len(torn) == 3
    with open_evidence(str(raw)) as source:
        volume = NtfsVolume(source, "v1")
        rows = read_mft(volume).streams
    short = set(rows.owner[rows.initialized_bytes < rows.size_bytes].tolist())
    for name, stream in torn.items():
        assert (stream.fsntfs, ours[name].md5) == ("=", stream.md5_tsk)
        assert isinstance(stream.dissect, list)
        assert ours[name].md5 not in stream.dissect
        assert ours[name].mft_entry in short


def _index_rows() -> dict[str, str]:
    """Return what the index says of each file, by its path."""
    lines = data_path("INDEX.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {row[0]: " ".join(row[5:]) for row in rows if len(row) >= 8}


@needs_data()
def test_the_table_knows_every_ntfs_volume_of_the_data() -> None:
    """What has a manifest, and what the index calls a volume or a disk, is tried or excepted with a reason."""
    rows = _index_rows()
    assert len(rows) > 100
    tried = {image.path for image in IMAGES}
    tags = {tag for image in IMAGES for tag in image.tags}
    with_manifest = {
        path.stem for path in data_path("expected").glob("*.json") if "manifest" in json.loads(path.read_bytes())
    }
    assert tags | set(NOT_TRIED_TAGS) == with_manifest
    assert tags.isdisjoint(NOT_TRIED_TAGS)
    images = {path for path, text in rows.items() if _IMAGE.search(path) or ".json: offset" in text}
    excepted = {path for path in images for known in NOT_TRIED_PATHS if path.startswith(known)}
    assert images - excepted == tried
    assert all(any(path.startswith(known) for path in images) for known in NOT_TRIED_PATHS)


class RealMft(Struct, frozen=True, kw_only=True):
    """A `$MFT` of a PC in daily use, and what libfsntfs and others count in it."""

    path: str
    member: str = ""
    whole: int
    in_use: int
    directories: int
    torn: int = 0
    odd: tuple[int, ...] = ()


_MFTS = (
    RealMft(path="plaso/MFT.xz", whole=13068, in_use=11839, directories=979),
    RealMft(path="dfir-orc/win7.7z", member="mft_win7", whole=60416, in_use=59579, directories=14208),
    RealMft(path="ez-mft/MFT.Test_TestFiles_NIST_DFR-16_$MFT.xz", whole=117, in_use=117, directories=50),
    # Damaged: 2 records are marked BAAD, others are torn, some have bytes of older attributes behind their end.
    RealMft(
        path="ez-mft/MFT.Test_TestFiles_xw_$MFT.xz",
        whole=600,
        in_use=466,
        directories=31,
        torn=28,
        odd=(400, 404, 519, 558, 610),
    ),
)


@needs_data()
@needs_tool("xz", "7z")
@pytest.mark.parametrize("mft", _MFTS, ids=lambda mft: mft.path.rpartition("_")[2])
def test_records_of_a_real_mft_are_counted_as_others_count_them(mft: RealMft) -> None:
    packed = data_path(mft.path)
    command = ("7z", "e", "-so", packed, mft.member) if mft.member else ("xz", "-dc", packed)
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    records, attributes = parse_records(raw, _RECORD_BYTES, 0)
    in_use: Mask = records.whole & (records.flags & RECORD_IN_USE != 0)
    directories = in_use & (records.flags & RECORD_IS_DIRECTORY != 0)
    assert (int(records.whole.sum()), int(in_use.sum()), int(directories.sum())) == (
        mft.whole,
        mft.in_use,
        mft.directories,
    )
    assert int((~records.whole & ~records.empty).sum()) == mft.torn
    assert tuple(np.flatnonzero(records.odd).tolist()) == mft.odd
    assert set(np.flatnonzero(in_use).tolist()) <= set(attributes.row.tolist())
    assert records.whole[attributes.row].all()
