"""The driver on a volume: plain, compressed by CompactOS, missing, damaged, one of several copies or Windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cases import Case, entries_by_path, examine_here
from tests.lab.drivers import driver
from tests.lab.exposed import ExposedWindows, update
from tests.lab.hives import HIVE_TOOL
from tests.lab.plan import LAB_FILETIME, Kind, LabFile, Written
from tests.lab.volume import fill_volume, make_volume
from tests.lab.wof import STREAM_NAME, Algorithm, reparse_point, wof_streams
from tests.mft_editor import MftEditor
from tests.needs import needs_root, needs_tool
from triage.evidence.open import open_evidence
from triage.model.exposure import Check, Exposure, ExposureRow, ExposureVerdict
from triage.volumes.ntfs import NtfsVolume

DRIVERS = "System32/drivers"
OPEN, FIXED = driver((6, 1, 7601, 17514)), driver((6, 1, 7601, 23689))
NO_SERVER = {r"Services\srv": None}

pytestmark = [needs_root(), needs_tool("mkntfs", "ntfs-3g", "umount", HIVE_TOOL)]


def plain(path: str, content: bytes) -> LabFile:
    return LabFile(path=path, content=content, kind=Kind.SYSTEM)


@pytest.fixture
def windows(tmp_path: Path) -> list[LabFile]:
    """Return the hives of a Windows 7 that is open, and some other driver."""
    return _windows(tmp_path, "Windows")


def _windows(folder: Path, name: str, *, with_server: bool = True, with_fix: bool = False) -> list[LabFile]:
    seven = ExposedWindows()
    system = seven.system(folder / "hive", {} if with_server else NO_SERVER)
    software = seven.software(folder / "hive", update("KB4012212") if with_fix else {})
    config = f"{name}/System32/config"
    files = [plain(f"{config}/SYSTEM", system), plain(f"{config}/SOFTWARE", software)]
    return [*files, plain(f"{name}/{DRIVERS}/ntfs.sys", driver((6, 1, 7601, 17514)))]


def volume_of(folder: Path, files: Sequence[LabFile]) -> Path:
    image = folder / "volume.img"
    make_volume(image, size_bytes=16 << 20, cluster_bytes=4096, offset_bytes=0, label="lab")
    fill_volume(image, list(files))
    return image


def exposures(folder: Path, files: Sequence[LabFile]) -> dict[str, Exposure]:
    """Examine a volume; return what it says of each Windows."""
    return _by_windows(examine_here(volume_of(folder, files), folder / "case"))


def _by_windows(case: Case) -> dict[str, Exposure]:
    assert all(one.volume == "v1" for one in case.report.exposure)
    return {one.windows: one for one in case.report.exposure}


def driver_row(exposure: Exposure) -> ExposureRow:
    [row] = [one for one in exposure.rows if one.check is Check.DRIVER]
    return row


@pytest.mark.parametrize(("content", "verdict"), [(OPEN, ExposureVerdict.EXPOSED), (FIXED, ExposureVerdict.PROTECTED)])
def test_driver_decides(tmp_path: Path, windows: list[LabFile], content: bytes, verdict: ExposureVerdict) -> None:
    judged = exposures(tmp_path, [*windows, plain(f"Windows/{DRIVERS}/SRV.SYS", content)])["Windows"]
    row = driver_row(judged)
    assert (judged.verdict, row.verdict, row.source) == (verdict, verdict, f"Windows/{DRIVERS}/SRV.SYS")
    assert row.value.startswith("6.1.7601.")
    assert "last changed 20" in row.value


def test_copies_that_are_only_kept_do_not_count(tmp_path: Path, windows: list[LabFile]) -> None:
    kept = plain("Windows/winsxs/x86_microsoft-windows-smbserver-v1_6.1.7601.23689/srv.sys", FIXED)
    judged = exposures(tmp_path, [kept, *windows, plain(f"Windows/{DRIVERS}/srv.sys", OPEN), plain("srv.sys", FIXED)])
    assert judged["Windows"].verdict is ExposureVerdict.EXPOSED


@needs_tool("wimlib-imagex")
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_driver_that_compact_os_compressed(tmp_path: Path, windows: list[LabFile], algorithm: Algorithm) -> None:
    path, content = f"Windows/{DRIVERS}/srv.sys", FIXED + b"the rest of a driver " * 3000
    [stream] = wof_streams([content], algorithm)
    compressed = [
        LabFile(path=path, stream=STREAM_NAME, content=stream, kind=Kind.SYSTEM),
        LabFile(
            path=path,
            content=content,
            kind=Kind.SYSTEM,
            written=Written.WOF,
            filetime=LAB_FILETIME,
            reparse_data=reparse_point(algorithm),
        ),
    ]
    assert driver_row(exposures(tmp_path, [*windows, *compressed])["Windows"]).verdict is ExposureVerdict.PROTECTED


def test_driver_that_holds_no_version_is_not_known(tmp_path: Path, windows: list[LabFile]) -> None:
    for number, content in enumerate((b"", b"no driver " * 500, OPEN[:400])):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        judged = exposures(folder, [*windows, plain(f"Windows/{DRIVERS}/srv.sys", content)])["Windows"]
        assert (judged.verdict, driver_row(judged).verdict) == (ExposureVerdict.NOT_KNOWN, ExposureVerdict.NOT_KNOWN)


def test_missing_driver_protects_where_the_server_was_never_installed(tmp_path: Path) -> None:
    judged = exposures(tmp_path, _windows(tmp_path, "Windows", with_server=False))["Windows"]
    assert (judged.verdict, driver_row(judged).value) == (ExposureVerdict.PROTECTED, "not there")


def test_missing_driver_whose_service_is_registered_is_not_known(tmp_path: Path, windows: list[LabFile]) -> None:
    judged = exposures(tmp_path, windows)["Windows"]
    assert (judged.verdict, driver_row(judged).verdict) == (ExposureVerdict.NOT_KNOWN, ExposureVerdict.NOT_KNOWN)


def test_driver_whose_record_is_lost_is_not_taken_for_missing(tmp_path: Path) -> None:
    files = [*_windows(tmp_path, "Windows", with_server=False), plain(f"Windows/{DRIVERS}/srv.sys", OPEN)]
    image = volume_of(tmp_path, files)
    with open_evidence(str(image)) as source:
        entry = entries_by_path(NtfsVolume(source, "v1"))[f"Windows/{DRIVERS}/srv.sys"]
    mft = MftEditor(image)
    mft.write(mft.offset(entry), b"BAAD")
    judged = _by_windows(examine_here(image, tmp_path / "case"))["Windows"]
    assert (driver_row(judged).verdict, driver_row(judged).value) == (ExposureVerdict.NOT_KNOWN, "unknown")


def test_each_windows_of_a_volume_has_its_own_answer(tmp_path: Path) -> None:
    files = [
        *_windows(tmp_path, "Windows"),
        *_windows(tmp_path, "WINNT", with_fix=True),
        plain(f"Windows/{DRIVERS}/srv.sys", OPEN),
        plain(f"WINNT/{DRIVERS}/srv.sys", FIXED),
    ]
    judged = exposures(tmp_path, files)
    assert {name: one.verdict for name, one in judged.items()} == {
        "Windows": ExposureVerdict.EXPOSED,
        "WINNT": ExposureVerdict.PROTECTED,
    }
    [source] = [row.source for row in judged["WINNT"].rows if row.check is Check.SERVER_SERVICE]
    assert source == r"WINNT/System32/config/SYSTEM: ControlSet001\Services\LanmanServer\Start"


def test_volume_without_windows_says_nothing(tmp_path: Path) -> None:
    assert exposures(tmp_path, [plain("notes.txt", b"x"), plain(f"Windows/{DRIVERS}/srv.sys", OPEN)]) == {}
