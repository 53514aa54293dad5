"""Replay of real transaction logs, held against Windows' own recovery and against other parsers'."""

from __future__ import annotations

import lzma
import tarfile
from collections.abc import Sequence

import pytest

from tests.needs import data_path, needs_data
from tests.parsed_hives import examine_hive_file
from triage.artefacts.hive import Hive, open_hive
from triage.artefacts.regf_plan import LogFile
from triage.examiners.hive_report import HiveSize
from triage.model.gap import GapKind, Where

WHERE = Where(path="hive")
YARP = "msuhanov-yarp/yarp-hives_for_tests.tar.xz"
NTUSER = "regipy/transactions_NTUSER.DAT.xz"
NTUSER_LOGS = ("regipy/transactions_ntuser.dat.log1.xz", "regipy/transactions_ntuser.dat.log2.xz")


def member(name: str) -> bytes:
    with tarfile.open(data_path(YARP)) as archive:
        content = archive.extractfile(f"hives_for_tests_{name}")
        assert content is not None
        return content.read()


def log_file(name: str, data: bytes) -> LogFile:
    return LogFile(where=Where(path=name), data=data)


def opened(folder: str, hive: str, logs: Sequence[str] = ("LOG1", "LOG2")) -> Hive:
    files = [log_file(suffix, member(f"{folder}_{hive}.{suffix}")) for suffix in logs]
    return open_hive(member(f"{folder}_{hive}"), where=WHERE, logs=files)


def content(hive: Hive) -> set[tuple[object, ...]]:
    """Return every key, and every value with its type and data."""
    told: set[tuple[object, ...]] = set()
    for key in hive.walk():
        told.add((key.path,))
        told.update((key.path, value.name, value.type, value.data) for value in key.values)
    return told


def entries(hive: Hive) -> set[str]:
    """Return keys and values as `expected/logs.json` counts them."""
    return {"|".join(map(str, one[:2])) for one in content(hive)}


def gaps(hive: Hive) -> list[tuple[str | None, bool]]:
    return [(gap.where.path, gap.material) for gap in hive.gaps]


@needs_data(YARP)
@pytest.mark.parametrize(
    ("folder", "log1_is_stale"),
    [("NewDirtyHive1", False), ("NewDirtyHive2", True)],
)
def test_windows_10_recovers_the_same(folder: str, log1_is_stale: bool) -> None:
    hive = opened(folder, "NewDirtyHive")
    windows = open_hive(member("NewDirtyHive1_RecoveredHive_Windows10"), where=WHERE)
    assert content(hive) == content(windows)
    assert hive.gaps[0].detail.endswith(f"entries {3 if log1_is_stale else 2} to 5")
    assert gaps(hive) == [("hive", False)]
    assert hive.as_found is not None
    before, after = entries(hive.as_found), entries(hive)
    assert (len(before), len(after), len(after - before), len(before - after)) == (7, 6, 5, 6)


@needs_data(YARP)
def test_order_of_the_files_does_not_count() -> None:
    assert content(opened("NewDirtyHive1", "NewDirtyHive", ("LOG2", "LOG1"))) == content(
        opened("NewDirtyHive1", "NewDirtyHive")
    )


@needs_data(YARP)
@pytest.mark.parametrize(
    ("logs", "detail"),
    [
        (("LOG1",), "entries 2 to 2"),
        (("LOG2",), "log entry 2 is in no log: 3 later ones not replayed"),
    ],
)
def test_one_log_of_two(logs: Sequence[str], detail: str) -> None:
    hive = opened("NewDirtyHive1", "NewDirtyHive", logs)
    assert detail in hive.gaps[0].detail
    assert hive.gaps[0].material is (logs == ("LOG2",))


@needs_data(YARP)
def test_windows_7_recovers_the_same() -> None:
    hive = opened("OldDirtyHive", "OldDirtyHive")
    windows = open_hive(member("OldDirtyHive_RecoveredHive_Windows7"), where=WHERE)
    assert content(hive) == content(windows)
    assert gaps(hive) == [("hive", False)]
    assert hive.as_found is not None
    assert entries(hive) - entries(hive.as_found) == {
        r"key_with_many_subkeys\5000\find_me_in_log",
        r"key_with_many_subkeys\4500|V",
    }
    assert entries(hive.as_found) - entries(hive) == {r"key_with_many_subkeys\1"}


@needs_data(YARP)
def test_damaged_base_block_comes_from_the_log() -> None:
    hive = opened("BadBaseBlockHive", "BadBaseBlockHive")
    assert content(hive) == content(opened("OldDirtyHive", "OldDirtyHive"))
    assert gaps(hive) == [("hive", False)]
    assert "its damaged base block was taken from there" in hive.gaps[0].detail


@needs_data(YARP)
@pytest.mark.parametrize(
    ("folder", "keys", "details"),
    [
        ("BadLogHive1", 5003, ["log not replayed: the log's base block has a wrong checksum"]),
        ("BadLogHive2", 5003, ["log not replayed: no log of a known format"]),
        ("BadLogHive3", 5, ["log not replayed: the log's base block has a wrong checksum"] * 2),
    ],
)
def test_bad_logs_are_not_replayed(folder: str, keys: int, details: list[str]) -> None:
    hive = opened(folder, "BadLogHive")
    assert len(list(hive.walk())) == keys
    assert hive.as_found is None
    assert [(gap.kind, gap.material) for gap in hive.gaps] == [(GapKind.HIVE_DIRTY, True)] * len(details)
    assert [gap.detail for gap in hive.gaps] == details


@needs_data(NTUSER, *NTUSER_LOGS)
@pytest.mark.parametrize("names", [NTUSER_LOGS, NTUSER_LOGS[:1], NTUSER_LOGS[::-1]])
def test_windows_10_user_with_a_stale_second_log(names: Sequence[str]) -> None:
    logs = [log_file(name, lzma.decompress(data_path(name).read_bytes())) for name in names]
    data = lzma.decompress(data_path(NTUSER).read_bytes())
    report = examine_hive_file(data, "NTUSER.DAT", logs)
    assert report.as_found is not None
    assert (report.as_found.keys, report.size.keys) == (2590, 3105)
    assert report.as_found.keys + report.as_found.values == 6709
    assert report.size == HiveSize(3105, 7800 - 3105)
    assert [gap.detail for gap in report.gaps if gap.material] == []
    assert "entries 566 to 588" in report.gaps[0].detail
    hive = open_hive(data, where=WHERE, logs=logs)
    assert hive.as_found is not None
    before, after = entries(hive.as_found), entries(hive)
    assert (len(after - before), len(before - after)) == (1116, 25)
    assert r"Software\Microsoft\Payment\PaymentApps" in after - before
    assert r"Software\Microsoft\Windows\CurrentVersion\Explorer\RestartCommands|0" in before - after


@needs_data(NTUSER, *NTUSER_LOGS)
def test_stale_log_alone_is_not_replayed() -> None:
    stale = log_file("log2", lzma.decompress(data_path(NTUSER_LOGS[1]).read_bytes()))
    hive = open_hive(lzma.decompress(data_path(NTUSER).read_bytes()), where=WHERE, logs=[stale])
    assert hive.as_found is None
    assert [(gap.detail, gap.material) for gap in hive.gaps] == [
        ("log entry 566, which this hive awaits, is in no log", True)
    ]


@needs_data("msuhanov-regf-samples/3.1_SOFTWARE.LOG", NTUSER)
def test_log_of_windows_nt_3_1_is_refused() -> None:
    log = log_file("log", data_path("msuhanov-regf-samples/3.1_SOFTWARE.LOG").read_bytes())
    hive = open_hive(lzma.decompress(data_path(NTUSER).read_bytes()), where=WHERE, logs=[log])
    assert [gap.material for gap in hive.gaps] == [True]
