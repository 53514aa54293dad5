"""Reparse points: each kind is named with its target, none is followed, damaged ones are told, any bytes are borne."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.cases import Case, entries_by_path, examine_here, run_case
from tests.command import here
from tests.lab.mounts import mount_for_writing, mount_read_only
from tests.loops import run, sparse
from tests.mft_editor import MftEditor, attributes, runs
from tests.needs import needs_device, needs_root, needs_tool
from triage.evidence.open import open_evidence
from triage.model.entry import StreamState
from triage.model.errors import ExitCode, ParseError
from triage.model.gap import Gap, GapKind
from triage.model.rescue import RescueOutcome
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.reparse import Content, parse_reparse_point

_needs_mount = [needs_root(), needs_tool("mkntfs", "ntfs-3g"), needs_device("/dev/fuse")]
_REPARSE_POINT = 0xC0
_MOUNT_POINT, _SYMBOLIC_LINK, _WSL_LINK, _NFS, _APP = 0xA0000003, 0xA000000C, 0xA000001D, 0x80000014, 0x8000001B
_CLOUD, _WOF, _DEDUP = 0x9000601A, 0x80000017, 0x80000013
_FOREIGN_LINK, _FOREIGN = 0x20001234, 0x00004321


def buffer(tag: int, data: bytes) -> bytes:
    """Return a reparse point as it stands on the volume; that of another maker than Microsoft has a GUID."""
    guid = b"" if tag & 0x80000000 else b"G" * 16
    return struct.pack("<IHH", tag, len(data), 0) + guid + data


def names(substitute: str, shown: str, *, flags: int | None) -> bytes:
    """Return the names of a link as Windows writes them, the one for show first; a junction has no flags."""
    second, first = substitute.encode("utf-16-le", "surrogatepass"), shown.encode("utf-16-le", "surrogatepass")
    head = struct.pack("<4H", len(first) + 2, len(second), 0, len(first))
    return head + (b"" if flags is None else struct.pack("<I", flags)) + first + b"\0\0" + second + b"\0\0"


class _Kind(Struct, frozen=True, kw_only=True):
    """A reparse point on the volume, and what has to be said of it."""

    path: str
    point: bytes
    said: str
    directory: bool = False


_LONG = "C:\\" + "\\".join(f"a folder with a long name, number {number}" for number in range(40))
_ALIAS = "\0".join(("Pkg_8wekyb3d8bbwe", "Pkg_8wekyb3d8bbwe!App", r"C:\Program Files\WindowsApps\app.exe", "0", ""))
_KINDS = (
    _Kind(
        path="junction",
        point=buffer(_MOUNT_POINT, names(r"\??\C:\Users", r"C:\Users", flags=None)),
        said=r"junction or mount point to \??\C:\Users, not followed",
        directory=True,
    ),
    _Kind(
        path="mounted",
        point=buffer(_MOUNT_POINT, names("\\??\\Volume{0e3b-11}\\", "", flags=None)),
        said="junction or mount point to \\??\\Volume{0e3b-11}\\, not followed",
        directory=True,
    ),
    _Kind(
        path="absolute.txt",
        point=buffer(_SYMBOLIC_LINK, names(r"\??\D:\target.txt", r"D:\target.txt", flags=0)),
        said=r"symbolic link to \??\D:\target.txt, not followed",
    ),
    _Kind(
        path="out of here.txt",
        point=buffer(_SYMBOLIC_LINK, names(r"..\..\..\etc\shadow", r"..\..\..\etc\shadow", flags=1)),
        said=r"symbolic link to ..\..\..\etc\shadow (relative), not followed",
    ),
    _Kind(
        path="hostile.txt",
        point=buffer(_SYMBOLIC_LINK, names("\ud83d\x1b[31m\n<b>", "x", flags=1)),
        said="symbolic link to \ud83d\x1b[31m\n<b> (relative), not followed",
    ),
    _Kind(
        path="long.txt",
        point=buffer(_SYMBOLIC_LINK, names(_LONG, _LONG, flags=0)),
        said=f"symbolic link to {_LONG}, not followed",
    ),
    _Kind(
        path="wsl",
        point=buffer(_WSL_LINK, struct.pack("<I", 2) + "/mnt/文件".encode()),
        said="WSL symbolic link to /mnt/文件, not followed",
    ),
    _Kind(path="socket", point=buffer(0x80000023, b""), said="UNIX socket"),
    _Kind(path="fifo", point=buffer(0x80000024, b""), said="WSL FIFO"),
    _Kind(
        path="nfs",
        point=buffer(_NFS, struct.pack("<Q", 0x014B4E4C) + "away".encode("utf-16-le")),
        said="NFS special file to away, not followed",
    ),
    _Kind(path="nfs device", point=buffer(_NFS, struct.pack("<QII", 0x524843, 1, 3)), said="NFS special file"),
    _Kind(
        path="app.exe",
        point=buffer(_APP, struct.pack("<I", 3) + _ALIAS.encode("utf-16-le")),
        said=r"application alias to C:\Program Files\WindowsApps\app.exe, not followed",
    ),
    _Kind(
        path="foreign link",
        point=buffer(_FOREIGN_LINK, b"anything"),
        said="link of an unknown kind (reparse tag 0x20001234)",
    ),
    _Kind(path="cloud folder", point=buffer(_CLOUD, b"FeRp"), said="cloud placeholder", directory=True),
    _Kind(
        path="damaged.txt",
        point=buffer(_SYMBOLIC_LINK, names(r"\??\D:\x", "", flags=0)[:10]),
        said="damaged symbolic link (reparse point without its names at offset 0: need 12 bytes, have 10)",
    ),
)
_ELSEWHERE = {
    "cloud.docx": (_CLOUD, "content lies elsewhere: cloud placeholder"),
    "projected.txt": (0x9000001C, "content lies elsewhere: ProjFS placeholder"),
    "migrated.txt": (0xC0000004, "content lies elsewhere: HSM"),
    "foreign.txt": (_FOREIGN, "content lies elsewhere: reparse tag 0x00004321"),
    "deduplicated.txt": (_DEDUP, "content lies in another form: deduplicated by Windows Server"),
    "deduplicated, long.txt": (_DEDUP, "content lies in another form: deduplicated by Windows Server"),
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a volume with a reparse point of each kind, and beside each plain file what a link could lead to."""
    path = sparse(tmp_path_factory.mktemp("reparse") / "volume.img", 16 << 20)
    run("mkntfs", "-F", "-Q", "-q", path)
    points: dict[int, bytes] = {}
    with mount_for_writing(path) as folder:
        (folder / "Users").mkdir()
        (folder / "Users/a.txt").write_bytes(b"reached once")
        for kind in _KINDS:
            place = folder / kind.path
            if kind.directory:
                place.mkdir()
            else:
                place.write_bytes(b"")
            points[place.stat().st_ino] = kind.point
            os.setxattr(place, "system.ntfs_reparse_data", _as_cloud(kind.point))
        for name, (tag, _) in _ELSEWHERE.items():
            with (folder / name).open("wb") as file:
                file.truncate(5000)
            points[(folder / name).stat().st_ino] = point = buffer(tag, b"data" * (600 if "long" in name else 1))
            os.setxattr(folder / name, "system.ntfs_reparse_data", _as_cloud(point))
        (folder / "fetched.txt").write_bytes(b"kept on this disk" * 400)
        os.setxattr(folder / "fetched.txt", "system.ntfs_reparse_data", buffer(_CLOUD, b"data"))
    for entry, point in points.items():
        _put(MftEditor(path), entry, point)
    return path


def _as_cloud(point: bytes) -> bytes:
    """Return as many bytes under a tag whose buffer ntfs-3g does not check: it refuses some that Windows writes."""
    return struct.pack("<IHH", _CLOUD, len(point) - 8, 0) + point[8:]


def _put(mft: MftEditor, entry: int, point: bytes) -> None:
    """Put a reparse point into the place of one as long."""
    record = mft.record(entry)
    (one,) = [one for one in attributes(record) if one.type == _REPARSE_POINT]
    if one.non_resident:
        ((cluster, _count),) = runs(record, one)
        mft.write(cluster * mft.cluster_bytes, point)
        return
    value = one.offset + one.field(record, 0x14, "<H")
    record[value : value + len(point)] = point
    mft.put(entry, record)


@pytest.fixture(scope="module")
def case(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return run_case([image], tmp_path_factory.mktemp("case") / "case")


def _of(case: Case, path: str) -> list[Gap]:
    return [gap for gap in case.report.gaps if gap.where.path == path]


class TestOnAVolume:
    pytestmark = _needs_mount

    @pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.path)
    def test_each_kind_is_named_with_its_target(self, case: Case, kind: _Kind) -> None:
        (gap,) = _of(case, kind.path)
        assert (gap.kind, gap.detail, gap.material) == (GapKind.REPARSE_POINT, kind.said, False)
        states = [one.state for one in case.streams if one.path == kind.path]
        assert states == ([] if kind.directory else [StreamState.REPARSE_POINT])

    @pytest.mark.parametrize("name", _ELSEWHERE)
    def test_content_that_is_not_in_the_stream_is_never_read_as_zeros(self, case: Case, name: str) -> None:
        tag, said = _ELSEWHERE[name]
        decodable = tag != _DEDUP
        gap = next(gap for gap in _of(case, name) if gap.kind is not GapKind.NOT_RESCUED)
        assert (gap.kind, gap.detail, gap.bytes, gap.material) == (
            GapKind.REPARSE_POINT if decodable else GapKind.NOT_DECODABLE,
            said,
            5000,
            not decodable,
        )
        (one,) = [one for one in case.streams if one.path == name]
        assert (one.state, one.bytes_read, one.sha256) == (StreamState(gap.kind.value), 0, "")

    def test_nothing_is_followed_and_what_is_here_is_read_once(self, case: Case) -> None:
        read = {one.path for one in case.streams if one.state is StreamState.READ and not one.path.startswith("$")}
        assert read == {"Users/a.txt", "fetched.txt"}
        assert not [one for one in case.streams if "/" in one.path and not one.path.startswith(("Users/", "$"))]

    def test_links_are_not_taken_for_files_that_could_not_be_rescued(self, case: Case) -> None:
        considered = {one.path: one.outcome for one in case.rescued}
        assert {path for path, outcome in considered.items() if outcome is RescueOutcome.RESCUED} == {
            "Users/a.txt",
            "fetched.txt",
        }
        assert set(considered) == {"Users/a.txt", "fetched.txt", *_ELSEWHERE}

    def test_a_link_with_a_long_target_stands_outside_the_mft(self, image: Path) -> None:
        mft = MftEditor(image)
        with open_evidence(str(image)) as source:
            entry = entries_by_path(NtfsVolume(source, "v1"))["long.txt"]
        (point,) = [one for one in attributes(mft.record(entry)) if one.type == _REPARSE_POINT]
        assert point.non_resident

    def test_browsing_names_targets_and_follows_none(self, image: Path) -> None:
        listed = here("ls", f"{image}:v1/").out.splitlines()
        assert any(line.endswith(r"absolute.txt  -> \??\D:\target.txt") for line in listed)
        assert any(line.startswith("d") and line.endswith(r"junction  -> \??\C:\Users") for line in listed)
        assert here("ls", f"{image}:v1/junction").out == ""
        refused = here("cat", f"{image}:v1/absolute.txt")
        assert refused.code == ExitCode.FATAL
        assert r"symbolic link to \??\D:\target.txt, not followed" in refused.error_line

    @pytest.mark.parametrize("name", ["junction", "mounted", "absolute.txt", "out of here.txt", "hostile.txt", "wsl"])
    def test_ntfs_3g_gives_the_same_buffer(self, image: Path, name: str) -> None:
        """Of these; it refuses those that it cannot make a link of."""
        (kind,) = [kind for kind in _KINDS if kind.path == name]
        with mount_read_only(image, 0) as folder:
            assert os.getxattr(folder / name, "system.ntfs_reparse_data", follow_symlinks=False) == kind.point

    def test_a_reparse_point_that_cannot_be_read_is_told(self, image: Path, tmp_path: Path) -> None:
        """The clusters of the long one are beyond the volume."""
        copy = Path(shutil.copy(image, tmp_path / "volume.img"))
        mft = MftEditor(copy)
        with open_evidence(str(copy)) as source:
            entry = entries_by_path(NtfsVolume(source, "v1"))["long.txt"]
        record = mft.record(entry)
        (point,) = [one for one in attributes(record) if one.type == _REPARSE_POINT]
        pairs = point.offset + point.field(record, 0x20, "<H")
        record[pairs : pairs + 6] = b"\x41\x01\xff\xff\xff\x7f"
        record[pairs + 6] = 0
        mft.put(entry, record)
        (gap,) = _of(examine_here(copy, tmp_path / "case"), "long.txt")
        assert gap.kind is GapKind.REPARSE_POINT
        assert "damaged" in gap.detail


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        point = parse_reparse_point(data)
    except ParseError:
        return
    assert point.tag == int.from_bytes(data[:4], "little")
    assert point.described


_TAGS = (_MOUNT_POINT, _SYMBOLIC_LINK, _WSL_LINK, _NFS, _APP, _CLOUD, _WOF, _DEDUP, _FOREIGN, _FOREIGN_LINK)


@given(st.sampled_from(_TAGS), st.binary(max_size=100), st.integers(-4, 4))
def test_any_buffer_of_a_known_kind_is_parsed_or_refused(tag: int, data: bytes, cut: int) -> None:
    whole = buffer(tag, data)
    point = whole[: len(whole) + cut] if cut < 0 else whole + bytes(cut)
    try:
        parsed = parse_reparse_point(point)
    except ParseError:
        return
    assert cut >= 0
    assert len(parsed.target.encode("utf-16-le", "surrogatepass")) <= 2 * len(data) + 40


@given(st.text(alphabet=st.characters(codec=None), max_size=60), st.integers(0, 1))
def test_any_target_is_told_as_it_stands(target: str, relative: int) -> None:
    link = parse_reparse_point(buffer(_SYMBOLIC_LINK, names(target, "shown", flags=relative)))
    told = target.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    assert link.target == (f"{told} (relative)" if relative else told)
    assert link.content is Content.NONE
