"""Hives of real machines and of other parsers' test sets, held against what three parsers agree on."""

from __future__ import annotations

import lzma
import tarfile
from datetime import datetime
from pathlib import Path

import pytest
from regipy.registry import RegistryHive

from tests.needs import data_path, needs_data
from tests.parsed_hives import examine_hive_file, parse_software, parse_system
from triage.artefacts.hive import MAX_GAPS, open_hive
from triage.artefacts.locate import HiveKind
from triage.artefacts.system import Service, SystemHive
from triage.examiners.hive_report import HiveReport
from triage.examiners.services import examine_services
from triage.indicators.work_directory import work_directory_name
from triage.model.errors import ArtefactError
from triage.model.gap import GapKind, Where

WHERE = Where(path="hive")
YARP = "msuhanov-yarp/yarp-hives_for_tests.tar.xz"
SYSTEMS = ["plaso/SYSTEM.xz", "regipy/SYSTEM.xz", "regipy/SYSTEM_2.xz", "regipy/SYSTEM_WIN_10_1709.xz"]


def unpacked(relative_path: str) -> bytes:
    return lzma.decompress(data_path(relative_path).read_bytes())


def yarp_hive(name: str) -> bytes:
    with tarfile.open(data_path(YARP)) as archive:
        member = archive.extractfile(f"hives_for_tests_{name}")
        assert member is not None
        return member.read()


def summary(report: HiveReport) -> tuple[int, int, list[GapKind]]:
    return report.size.keys, report.size.values, [gap.kind for gap in report.gaps]


@needs_data("plaso/SYSTEM.xz")
def test_windows_7_system_hive_whole() -> None:
    report = examine_hive_file(unpacked("plaso/SYSTEM.xz"), "SYSTEM")
    assert report.content is HiveKind.SYSTEM
    assert summary(report) == (30756, 73455, [])
    assert report.services_by_control_set == {1: 467, 2: 466}
    assert report.windows.computer_name == "WKS-WIN732BITA"
    assert report.windows.time_zone == "Eastern Standard Time"
    assert (report.windows.current_control_set, report.windows.last_known_good_control_set) == (1, 2)
    assert report.findings == ()


@needs_data("plaso/SYSTEM.xz")
def test_windows_7_services_with_an_image_path() -> None:
    system = parse_system(unpacked("plaso/SYSTEM.xz"), WHERE)
    assert len([one for one in current(system) if one.image_path is not None]) == 401
    assert system.time_zone is not None
    assert (system.time_zone.name, system.time_zone.bias_minutes) == ("Eastern Standard Time", 300)
    utc = [system.time_zone.utc(datetime(2017, month, 12, 9, 30)) for month in (1, 5)]  # noqa: DTZ001 a log's local time
    assert utc == [datetime(2017, 1, 12, 14, 30), datetime(2017, 5, 12, 13, 30)]  # noqa: DTZ001


def current(system: SystemHive) -> list[Service]:
    return [one for one in system.services if one.control_set == system.windows.current_control_set]


@needs_data("regipy/SYSTEM_2.xz", "regipy/SYSTEM_WIN_10_1709.xz")
@pytest.mark.parametrize(
    ("path", "computer", "services", "keys"),
    [
        ("regipy/SYSTEM_2.xz", "SENSEI", 469, 20015),
        ("regipy/SYSTEM_WIN_10_1709.xz", "DESKTOP-2KGM189", 737, 43211),
    ],
)
def test_dirty_system_hives(path: str, computer: str, services: int, keys: int) -> None:
    report = examine_hive_file(unpacked(path), "SYSTEM")
    assert (report.windows.computer_name, report.services_by_control_set) == (computer, {1: services})
    assert report.windows.time_zone == "Pacific Standard Time"
    assert report.size.keys == keys
    assert [gap.kind for gap in report.gaps] == [GapKind.HIVE_DIRTY]


@needs_data(*SYSTEMS)
@pytest.mark.parametrize("path", SYSTEMS)
def test_services_and_images_are_those_that_regipy_reads(path: str, tmp_path: Path) -> None:
    data = unpacked(path)
    (tmp_path / "SYSTEM").write_bytes(data)
    witness = RegistryHive(str(tmp_path / "SYSTEM"))  # type: ignore[no-untyped-call]
    system = parse_system(data, WHERE)
    for number in system.control_sets:
        key = witness.get_key(rf"\ControlSet{number:03d}\Services")  # type: ignore[no-untyped-call]
        theirs = {service.name: service.get_value("ImagePath") for service in key.iter_subkeys()}
        ours = {one.name: one.image_path for one in system.services if one.control_set == number}
        assert ours.keys() == theirs.keys()
        assert [name for name in ours if (ours[name] or "") != (theirs[name] or "")] == []


@needs_data(*SYSTEMS)
@pytest.mark.parametrize("path", SYSTEMS)
def test_no_ordinary_service_is_a_finding(path: str) -> None:
    system = parse_system(unpacked(path), WHERE)
    assert system.windows.computer_name is not None
    name = work_directory_name(system.windows.computer_name)
    assert examine_services(system, work_directory_name=name) == ()


@needs_data("plaso/SOFTWARE.xz")
def test_software_hive_with_remnants_of_bins_in_its_bins() -> None:
    software = parse_software(unpacked("plaso/SOFTWARE.xz"), WHERE)
    assert software.gaps == ()
    windows = software.windows
    assert (windows.product, windows.version, windows.build) == (
        "Windows 7 Ultimate",
        "6.1 Service Pack 1",
        "7601",
    )
    assert windows.installed_utc == "2010-11-10T16:28:55.0000000Z"


@needs_data("regipy/corrupted_system_hive.xz")
def test_corrupt_system_hive_is_read_where_it_can_be() -> None:
    report = examine_hive_file(unpacked("regipy/corrupted_system_hive.xz"), "SYSTEM")
    assert report.windows.computer_name == "GINEVRA"
    assert report.services_by_control_set == {1: 185}
    assert (report.size.keys, report.size.values) == (1560, 5156)
    assert {gap.kind for gap in report.gaps} == {GapKind.HIVE_DAMAGED}
    assert len(report.gaps) == MAX_GAPS + 1
    assert report.gaps[-1].detail.endswith("more damages of this hive")


DIRTY, DAMAGED = GapKind.HIVE_DIRTY, GapKind.HIVE_DAMAGED


@needs_data(YARP)
@pytest.mark.parametrize(
    ("name", "keys", "values", "gaps"),
    [
        ("ManySubkeysHive", 5003, 0, []),
        ("BigDataHive", 2, 2, []),
        ("RemnantData", 2, 15, []),
        ("BogusKeyNamesHive", 3, 0, []),
        ("UnicodeHive", 3, 0, []),
        ("StringValuesHive", 2, 4, []),
        ("System_Delta", 586, 820, [DAMAGED]),
        ("BadListHive", 6, 0, [DAMAGED, DAMAGED]),
        ("BadSubkeyHive", 6, 0, [DAMAGED, DAMAGED]),
        ("InvalidParentHive", 5003, 0, [DAMAGED]),
        ("DeletedDataHiveTruncated", 2, 0, [DAMAGED]),
        ("EffectiveSizeHive", 5003, 0, [DAMAGED]),
        ("GarbageHive", 1, 0, [DAMAGED]),
        ("BadBaseBlockHive_BadBaseBlockHive", 5003, 0, [DIRTY, DAMAGED]),
        ("OldDirtyHive_OldDirtyHive", 5003, 0, [DIRTY]),
        ("NewDirtyHive1_NewDirtyHive", 5, 2, [DIRTY]),
        ("TruncatedHive", 2, 0, [DAMAGED, DAMAGED]),
        ("TruncatedDirtyHive", 2, 0, [DIRTY, DAMAGED, DAMAGED]),
        ("TruncatedNameHive", 1, 0, [DAMAGED, DAMAGED, DAMAGED]),
    ],
)
def test_odd_hives(name: str, keys: int, values: int, gaps: list[GapKind]) -> None:
    assert summary(examine_hive_file(yarp_hive(name), name)) == (keys, values, gaps)


@needs_data(YARP)
def test_renamed_key_does_not_fit_the_hint_of_a_fast_leaf() -> None:
    data = bytearray(yarp_hive("HealedHive"))
    first = open_hive(bytes(data), where=WHERE).root.subkeys()[0]
    assert first.name == "aaaa"
    data[first.offset_bytes + 76] = ord("b")
    details = [gap.detail for gap in examine_hive_file(bytes(data), "hive").gaps]
    assert details == ["key \\: subkey's name does not fit its hash"]


@needs_data(YARP)
@pytest.mark.parametrize(
    "name", ["InvalidParentFragment", "SqliteFragment", "TruncatedHiveBin", "OldLogWithRemnantData"]
)
def test_what_is_no_hive_is_refused(name: str) -> None:
    with pytest.raises(ArtefactError, match="not a registry hive"):
        open_hive(yarp_hive(name), where=WHERE)


@needs_data("msuhanov-regf-samples/3.1_SOFTWARE")
def test_windows_nt_3_1_is_not_supported() -> None:
    data = data_path("msuhanov-regf-samples/3.1_SOFTWARE").read_bytes()
    with pytest.raises(ArtefactError, match=r"hive format 1\.1 is not supported"):
        open_hive(data, where=WHERE)


@needs_data("hivex/minimal", "hivex/special", "hivex/rlenvalue_test_hive")
@pytest.mark.parametrize(
    ("name", "keys", "values"), [("minimal", 1, 0), ("special", 4, 3), ("rlenvalue_test_hive", 2, 6)]
)
def test_hives_of_hivex(name: str, keys: int, values: int) -> None:
    report = examine_hive_file(data_path(f"hivex/{name}").read_bytes(), name)
    assert summary(report) == (keys, values, [])
