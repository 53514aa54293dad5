"""Hives made by hivex: read whole, and damaged in every way without a loss that is not told."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.hives import (
    HIVE_TOOL,
    PLAIN_SERVICES,
    WORM_SERVICE,
    LabService,
    empty_hive,
    seal_base_block,
    software_hive,
    system_hive,
    work_directory_service,
    write_hive,
)
from tests.mutations import patched
from tests.needs import needs_tool
from tests.parsed_hives import parse_software, parse_system
from triage.artefacts.hive import Hive, open_hive
from triage.artefacts.hive_value import HiveValue, ValueType
from triage.artefacts.key_nodes import MAX_CHILDREN, listed_subkeys, read_key_node
from triage.artefacts.locate import HiveKind, hive_kind
from triage.artefacts.regf import read_base_block
from triage.artefacts.system import SystemHive
from triage.artefacts.time_zone import TimeZone
from triage.artefacts.windows import windows_info
from triage.model.errors import ArtefactError
from triage.model.gap import GapKind, Where

WHERE = Where(volume="v1", path="Windows/System32/config/SYSTEM")
SERVICES = (*PLAIN_SERVICES, WORM_SERVICE, work_directory_service("xjzilhxs261"))
BINS = 4096

needs_hivex = needs_tool(HIVE_TOOL)


@pytest.fixture(scope="module")
def system_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A SYSTEM hive of 24 KiB."""
    path = tmp_path_factory.mktemp("hives") / "SYSTEM"
    system_hive(path, computer_name="WIN7-PC", services=SERVICES)
    return path.read_bytes()


def opened(data: bytes) -> Hive:
    return open_hive(data, where=WHERE)


def walked_gaps(data: bytes) -> list[tuple[GapKind, str]]:
    """Visit every key and value, and return what did not agree."""
    hive = opened(data)
    for key in hive.walk():
        assert isinstance(key.values, tuple)
    return [(gap.kind, gap.detail) for gap in hive.gaps]


@needs_hivex
def test_hives_tell_when_windows_was_installed_and_what_the_hardware_clock_keeps(tmp_path: Path) -> None:
    path = tmp_path / "SOFTWARE"
    write_hive(path, {r"Microsoft\Windows NT\CurrentVersion": ['"InstallDate"=dword:4f7e1a80']})
    assert parse_software(path.read_bytes(), WHERE).windows.installed_utc == "2012-04-05T22:19:44.0000000Z"
    write_hive(path, {r"Microsoft\Windows NT\CurrentVersion": ['"InstallDate"=dword:00000000']})
    assert parse_software(path.read_bytes(), WHERE).windows.installed_utc is None
    zone = r"ControlSet001\Control\TimeZoneInformation"
    for values, is_utc in ((['"RealTimeIsUniversal"=dword:00000001'], True), ([], False)):
        write_hive(path, {"Select": ['"Current"=dword:00000001'], zone: values})
        assert parse_system(path.read_bytes(), WHERE).windows.hardware_clock_is_utc is is_utc


@needs_hivex
def test_system_hive_tells_services_name_and_zone(system_bytes: bytes) -> None:
    system = parse_system(system_bytes, WHERE)
    assert system.gaps == ()
    assert system.control_sets == (1, 2)
    assert system.windows.computer_name == "WIN7-PC"
    assert system.windows.time_zone == "China Standard Time"
    assert system.time_zone == TimeZone(bias_minutes=-480, name="China Standard Time")
    assert (system.windows.current_control_set, system.windows.last_known_good_control_set) == (1, 2)
    assert len(system.services) == 2 * len(SERVICES)
    [worm] = [one for one in system.services if one.name == "mssecsvc2.0" and one.control_set == 2]
    assert worm.image_path == r"C:\WINDOWS\mssecsvc.exe -m security"
    assert worm.display_name == "Microsoft Security Center (2.0) Service"
    assert (worm.type, worm.start, worm.error_control, worm.object_name) == (0x10, 2, 1, "LocalSystem")
    assert worm.last_written == "2017-05-12T07:29:56.0000000Z"
    assert worm.key_path == r"ControlSet002\Services\mssecsvc2.0"
    assert system_bytes[worm.offset_bytes :][:2] == b"nk"
    [dhcp] = [one for one in system.services if one.name == "Dhcp" and one.control_set == 1]
    assert dhcp.service_dll == r"%SystemRoot%\system32\dhcpcore.dll"


@needs_hivex
def test_computer_name_comes_from_the_current_control_set(tmp_path: Path) -> None:
    system_hive(tmp_path / "SYSTEM", computer_name="OLD-NAME", services=(), control_sets=3, current=2)
    data = (tmp_path / "SYSTEM").read_bytes()
    in_second_set = data.index("OLD-NAME".encode("utf-16-le"), data.index(b"ControlSet002"))
    renamed = patched(data, in_second_set, "NEW-NAME".encode("utf-16-le"))
    assert parse_system(renamed, WHERE).windows.computer_name == "NEW-NAME"


@needs_hivex
def test_current_control_set_that_is_not_there_is_a_gap(tmp_path: Path) -> None:
    system_hive(tmp_path / "SYSTEM", computer_name="TEST", services=SERVICES, control_sets=1, current=3)
    system = parse_system((tmp_path / "SYSTEM").read_bytes(), WHERE)
    assert len(system.services) == len(SERVICES)
    assert system.windows.computer_name == "TEST"
    [gap] = system.gaps
    assert gap.detail == r"key \Select: the current control set 3 is not among those reached"


@needs_hivex
def test_software_hive_tells_which_windows(tmp_path: Path) -> None:
    software_hive(tmp_path / "SOFTWARE", product_name="Windows 7 旗舰版", build="7601")
    software = parse_software((tmp_path / "SOFTWARE").read_bytes(), WHERE)
    assert software.gaps == ()
    info = windows_info(None, software, work_directory_name="xjzilhxs261")
    assert (info.product, info.version, info.build) == ("Windows 7 旗舰版", "6.1 Service Pack 1", "7601")
    assert (info.computer_name, info.work_directory_name) == (None, "xjzilhxs261")


@needs_hivex
def test_a_hive_of_the_other_kind_is_a_gap(system_bytes: bytes) -> None:
    software = parse_software(system_bytes, WHERE)
    assert [gap.detail for gap in software.gaps] == [r"key \Microsoft\Windows NT\CurrentVersion: not reached"]


@needs_hivex
def test_names_and_paths_are_found_in_any_case(system_bytes: bytes) -> None:
    hive = opened(system_bytes)
    key = hive.key(r"controlset001\SERVICES\dhcp")
    assert key is not None
    assert key.name == "Dhcp"
    assert key.text("IMAGEPATH") == PLAIN_SERVICES[0].image_path
    assert hive.key(r"ControlSet001\Services\Nothing\Below") is None


@needs_hivex
def test_chinese_service_name_is_read_and_checked(tmp_path: Path) -> None:
    service = LabService(name="服务", image_path="C:\\程序\\服务.exe")
    system_hive(tmp_path / "SYSTEM", computer_name="TEST", services=[service], control_sets=1)
    data = (tmp_path / "SYSTEM").read_bytes()
    [read] = parse_system(data, WHERE).services
    assert (read.name, read.image_path) == ("服务", "C:\\程序\\服务.exe")
    renamed = parse_system(data.replace("服务".encode("utf-16-le"), "月务".encode("utf-16-le"), 1), WHERE)
    assert [gap.detail for gap in renamed.gaps] == [r"key \ControlSet001\Services: subkey's name does not fit its hash"]


@needs_hivex
def test_unpaired_surrogate_in_a_service_name_is_kept(tmp_path: Path) -> None:
    service = LabService(name="服务", image_path="x")
    system_hive(tmp_path / "SYSTEM", computer_name="TEST", services=[service], control_sets=1)
    data = (tmp_path / "SYSTEM").read_bytes()
    hostile = data.replace("服务".encode("utf-16-le"), b"\x00\xd8\x0a\x00", 1)
    [read] = parse_system(hostile, WHERE).services
    assert read.name == "\ud800\n"


def test_empty_lab_hive_is_clean() -> None:
    assert walked_gaps(empty_hive()) == []


@pytest.mark.parametrize(("xor", "stored"), [(0, 1), (0xFFFFFFFF, 0xFFFFFFFE)])
def test_two_checksums_are_never_written(xor: int, stored: int) -> None:
    hive = empty_hive()
    (before,) = struct.unpack_from("<I", hive, 508)
    reserved = patched(patched(hive, 200, struct.pack("<I", before ^ xor)), 508, struct.pack("<I", stored))
    assert read_base_block(reserved).sound


def test_lists_that_repeat_each_other_end() -> None:
    leaf = struct.pack("<4x2sH", b"li", 60_000) + bytes(4 * 60_000)
    roots = struct.pack("<4x2sH", b"ri", 60_000) + bytes(4 * 60_000)
    node = struct.pack("<i2sH", -80, b"nk", 0x20) + bytes(24) + struct.pack("<I", len(leaf)) + bytes(44)
    data = bytes(BINS) + leaf + roots + node
    keys = listed_subkeys(data, read_key_node(data, len(data) - 76))
    assert len(keys) == MAX_CHILDREN


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "too short"),
        (b"just a text file\r\n", "too short"),
        (b"MZ" * 8192, "no regf signature"),
        (empty_hive()[:4096], "too short"),
        (empty_hive()[:4096] + bytes(4096), "no hive bin"),
        (seal_base_block(patched(empty_hive(), 28, b"\x01")), "a transaction log, not a hive"),
        (seal_base_block(patched(empty_hive(), 24, b"\x01")), "hive format 1.1 is not supported"),
        (patched(empty_hive(), BINS + 36, b"xx"), "named key"),
    ],
)
def test_what_is_no_hive_is_one_clear_line(data: bytes, message: str) -> None:
    with pytest.raises(ArtefactError, match=message) as caught:
        opened(data)
    assert "\n" not in str(caught.value)
    assert str(WHERE.path) in caught.value.message
    [gap] = parse_system(data, WHERE).gaps
    assert (gap.kind, gap.where, gap.bytes) == (GapKind.HIVE_DAMAGED, WHERE, len(data))


@needs_hivex
def test_dirty_hive_is_a_gap_of_its_own_kind(system_bytes: bytes) -> None:
    (primary,) = struct.unpack_from("<I", system_bytes, 4)
    dirty = seal_base_block(patched(system_bytes, 4, struct.pack("<I", primary + 1)))
    system = parse_system(dirty, WHERE)
    assert [gap.kind for gap in system.gaps] == [GapKind.HIVE_DIRTY]
    assert len(system.services) == 2 * len(SERVICES)


@needs_hivex
@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        (lambda hive: patched(hive, 508, b"INVL"), "the base block's checksum is wrong"),
        (lambda hive: patched(hive, 24, b"\x09"), "the base block's checksum is wrong"),
        (lambda hive: patched(hive, 28, b"\x01"), "the base block's checksum is wrong"),
        (lambda hive: patched(hive, 36, b"\xff\xff\xff\xff"), "the base block's checksum is wrong"),
        (lambda hive: patched(hive, 40, b"\x01"), "the base block's checksum is wrong"),
        (lambda hive: seal_base_block(patched(hive, 40, b"\x01")), "bytes of hive bins declared"),
        (lambda hive: patched(hive, 2 * BINS, b"gbin"), "no hive bin header before 4096 bytes"),
        (lambda hive: patched(hive, 2 * BINS + 8, bytes(4)), "hive bin of 0 bytes has room for 4096"),
        (lambda hive: patched(hive, 2 * BINS + 9, b"\x70"), "hive bin of 28672 bytes has room for 4096"),
    ],
)
def test_broken_frame_is_told_and_nothing_is_lost(
    system_bytes: bytes, damage: Callable[[bytes], bytes], detail: str
) -> None:
    system = parse_system(damage(system_bytes), WHERE)
    assert [gap.kind for gap in system.gaps] == [GapKind.HIVE_DAMAGED]
    assert detail in system.gaps[0].detail
    assert system.services == parse_system(system_bytes, WHERE).services


@needs_hivex
def test_last_bin_is_kept_under_a_wrong_checksum(system_bytes: bytes) -> None:
    last_size = patched(system_bytes, len(system_bytes) - BINS + 8, bytes(4))
    system = parse_system(patched(last_size, 508, b"INVL"), WHERE)
    assert len(system.gaps) == 2
    assert system.services == parse_system(system_bytes, WHERE).services


@needs_hivex
def test_truncated_hive_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    services = [LabService(name=f"service{number}", image_path="x.exe") for number in range(40)]
    system_hive(tmp_path / "SYSTEM", computer_name="TEST", services=services)
    data = (tmp_path / "SYSTEM").read_bytes()
    system = parse_system(data[: len(data) * 3 // 4 + 700], WHERE)
    assert (system.control_sets, system.windows.computer_name) == ((1, 2), "TEST")
    assert [one.name for one in system.services] == sorted(one.name for one in services)
    assert "bytes of hive bins declared" in system.gaps[0].detail
    assert any(gap.detail == r"key \ControlSet002: subkey Services not reached" for gap in system.gaps)


@needs_hivex
@pytest.mark.parametrize(
    ("field", "count", "detail"),
    [
        (20, 0, "0 subkeys declared, 5 listed, 0 reached"),
        (20, 7, "7 subkeys declared, 5 listed, 5 reached"),
        (28, 0xFFFFFFFF, "subkey Services not reached"),
        (28, 0x7FFFFFF0, "subkey 1 cannot be read: "),
    ],
)
def test_count_of_subkeys_is_held_against_the_list(system_bytes: bytes, field: int, count: int, detail: str) -> None:
    services = opened(system_bytes).key(r"ControlSet001\Services")
    assert services is not None
    damaged = parse_system(patched(system_bytes, services.offset_bytes + field, struct.pack("<I", count)), WHERE)
    assert any(detail in gap.detail for gap in damaged.gaps)
    assert {one.control_set for one in damaged.services} >= {2}


@needs_hivex
@pytest.mark.parametrize(
    ("offset", "content", "detail"),
    [
        (0, b"kn", "subkey without a readable name not reached"),
        (16, bytes(4), "subkey names another key as its parent"),
        (36, bytes(4), "no values declared, yet a list of them"),
        (40, b"\xff\xff\xff\xff", "6 values declared, 0 reached"),
        (40, b"\x20\0\0\0", "cannot be read"),
        (72, b"\xff", "not reached"),
        (76, b"k", "subkey's name does not fit its hash"),
        (-4, b"\x60\0\0\0", "subkey lies in a free cell"),
    ],
)
def test_damage_to_one_service_is_told_and_the_others_stay(
    system_bytes: bytes, offset: int, content: bytes, detail: str
) -> None:
    worm = opened(system_bytes).key(r"ControlSet001\Services\mssecsvc2.0")
    assert worm is not None
    damaged = parse_system(patched(system_bytes, worm.offset_bytes + offset, content), WHERE)
    assert any(detail in gap.detail for gap in damaged.gaps), damaged.gaps
    assert len(damaged.services) >= 2 * len(SERVICES) - 1


@needs_hivex
def test_a_key_that_is_its_own_descendant_ends(system_bytes: bytes) -> None:
    hive = opened(system_bytes)
    root, control_set = hive.root, hive.key("ControlSet001")
    assert control_set is not None
    looped = patched(system_bytes, control_set.offset_bytes + 28, system_bytes[root.offset_bytes + 28 :][:4])
    assert any("stands in the tree twice" in detail for _kind, detail in walked_gaps(looped))


@needs_hivex
def test_two_hundred_mutations_lose_no_service_silently(system_bytes: bytes) -> None:
    whole = _services(parse_system(system_bytes, WHERE))
    chance = random.Random(20170512)
    lost = 0
    for number in range(200):
        damaged = _mutated(system_bytes, number % 4, chance)
        system = parse_system(damaged, WHERE)
        if not _services(system) >= whole:
            lost += 1
            assert system.gaps != (), number
    assert lost > 10


def _services(system: SystemHive) -> set[tuple[int, str]]:
    return {(one.control_set, one.name.casefold()) for one in system.services}


def _mutated(data: bytes, kind: int, chance: random.Random) -> bytes:
    """Flip a bit, overwrite a word, zero a sector, or cut the hive."""
    at = chance.randrange(len(data))
    if kind == 0:
        return patched(data, at, bytes([data[at] ^ 1 << chance.randrange(8)]))
    if kind == 1:
        return patched(data, at & ~3, chance.choice([bytes(4), b"\xff" * 4, chance.randbytes(4)]))
    return patched(data, at & ~511, bytes(512)) if kind == 2 else data[:at]


@given(st.binary(max_size=40), st.sampled_from(ValueType))
def test_any_value_is_decoded_without_error(data: bytes, kind: ValueType) -> None:
    value = HiveValue("", kind, data)
    assert value.text is None or "\0" not in value.text
    assert value.number is None or 0 <= value.number < 1 << 64


@pytest.mark.parametrize(
    ("kind", "data", "texts", "number"),
    [
        (ValueType.SZ, b"a\0b\0\0\0rest", ("ab",), None),
        (ValueType.EXPAND_SZ, b"a\0b\0c", ("ab",), None),
        (ValueType.SZ, b"", ("",), None),
        (ValueType.SZ, b"\x00\xd8", ("\ud800",), None),
        (ValueType.MULTI_SZ, b"a\0\0\0b\0\0\0\0\0c\0", ("a", "b"), None),
        (ValueType.MULTI_SZ, b"a\0\0\0b\0", ("a", "b"), None),
        (ValueType.DWORD, b"\x01\x02\0\0\xff", None, 0x201),
        (ValueType.DWORD, b"\x01", None, 1),
        (ValueType.DWORD, b"", None, None),
        (ValueType.DWORD_BIG_ENDIAN, b"\0\0\x01\x02", None, 0x102),
        (ValueType.QWORD, b"\x01" * 8, None, 0x0101010101010101),
        (ValueType.BINARY, b"\x01", None, None),
    ],
)
def test_values_are_decoded(kind: ValueType, data: bytes, texts: tuple[str, ...] | None, number: int | None) -> None:
    value = HiveValue("x", kind, data)
    assert (value.texts, value.number) == (texts, number)
    assert value.text == (None if texts is None else texts[0])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("Windows/System32/config/SYSTEM", HiveKind.SYSTEM),
        ("WINNT/system32/Config/software", HiveKind.SOFTWARE),
        ("Windows/System32/config/SYSTEM.LOG1", None),
        ("Windows/System32/config/RegBack/SYSTEM", HiveKind.SYSTEM),
        ("Windows/System32/config/RegBack/SYSTEM.LOG1", None),
        ("Windows/System32/config/DEFAULT", HiveKind.USER),
        ("Users/Default/NTUSER.DAT", HiveKind.USER),
        ("Documents and Settings/李雷/ntuser.dat", HiveKind.USER),
        ("Users/a/NTUSER.DAT.LOG1", None),
        ("Users/a/myntuser.dat", None),
        ("System32/config/SYSTEM", None),
        ("Windows/System32/config/SYSTEM\n", None),
    ],
)
def test_hives_are_located_by_path(path: str, kind: HiveKind | None) -> None:
    assert hive_kind(path) is kind
