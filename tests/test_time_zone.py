"""Local time by the rule for summer time in SYSTEM, held against the time zone database."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.lab.hives import HIVE_TOOL, binary_value, dword_value, write_hive
from tests.needs import needs_tool
from tests.parsed_hives import parse_system
from triage.artefacts.time_zone import TimeZone
from triage.examiners.clock import Clock
from triage.model.gap import Where

pytestmark = needs_tool(HIVE_TOOL)

KEY = r"ControlSet001\Control\TimeZoneInformation"
MAY = datetime.fromisoformat("2017-05-12T09:30:00")
# per zone: Bias, DaylightStart and StandardStart as month, week, hour, weekday
BERLIN = (-60, (3, 5, 2, 0), (10, 5, 3, 0))
NEW_YORK = (300, (3, 2, 2, 0), (11, 1, 2, 0))
SYDNEY = (-600, (10, 1, 2, 0), (4, 1, 3, 0))


def time_fields(month: int, week: int, hour: int, weekday: int, year: int = 0) -> bytes:
    return struct.pack("<8H", year, month, week, hour, 0, 0, 0, weekday)


def values_of(
    bias: int, begins: tuple[int, int, int, int], ends: tuple[int, int, int, int], **numbers: int
) -> dict[str, int | bytes]:
    """Return the values of a zone; `numbers` are further ones."""
    starts = {"DaylightStart": time_fields(*begins), "StandardStart": time_fields(*ends)}
    return {"Bias": bias, "StandardBias": 0, "DaylightBias": -60, **starts, **numbers}


def zone_of(folder: Path, values: Mapping[str, int | bytes]) -> TimeZone | None:
    """Return what is read of a hive with these values."""
    lines = [
        dword_value(name, value & 0xFFFFFFFF) if isinstance(value, int) else binary_value(name, value, kind=3)
        for name, value in values.items()
    ]
    write_hive(folder / "SYSTEM", {"Select": [dword_value("Current", 1)], KEY: lines})
    return parse_system((folder / "SYSTEM").read_bytes(), Where(path="SYSTEM")).time_zone


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (values_of(*BERLIN), "Europe/Berlin"),
        (values_of(*NEW_YORK), "America/New_York"),
        (values_of(*SYDNEY), "Australia/Sydney"),
    ],
)
def test_every_hour_of_ten_years_is_that_of_the_time_zone_database(
    tmp_path: Path, values: Mapping[str, int | bytes], name: str
) -> None:
    zone, witness = zone_of(tmp_path, values), ZoneInfo(name)
    assert zone is not None
    assert zone.has_rule
    for hour in range(10 * 366 * 24):
        local = datetime.fromisoformat("2010-01-01T00:30:00") + timedelta(hours=hour)
        offset = local.replace(tzinfo=witness).utcoffset()
        exists = local.replace(tzinfo=witness, fold=1).utcoffset()
        if offset is not None and (exists is None or offset >= exists):  # an hour left out in spring is in no log
            assert zone.utc(local) == local - offset, local


def test_a_summer_time_in_berlin_is_told_with_its_rule(tmp_path: Path) -> None:
    clock = Clock(zone_of(tmp_path, values_of(*BERLIN)))
    assert clock.utc(MAY, is_local=True) == "2017-05-12T07:30:00.0000000Z"
    told = clock.facts(is_local=True)
    assert told["summer_time"] == "by-rule"
    assert "-60 minutes to UTC" in told["clock"]
    assert "in summer -120, by the rule that the registry holds today" in told["clock"]


@pytest.mark.parametrize(
    "values",
    [
        values_of(*BERLIN, DynamicDaylightTimeDisabled=1),
        values_of(*BERLIN, DisableAutoDaylightTimeSet=1),
        values_of(-60, (0, 0, 0, 0), (0, 0, 0, 0)),
    ],
)
def test_summer_time_that_is_switched_off_or_unknown_to_the_zone_is_not_counted(
    tmp_path: Path, values: Mapping[str, int | bytes]
) -> None:
    clock = Clock(zone_of(tmp_path, values))
    assert clock.utc(MAY, is_local=True) == "2017-05-12T08:30:00.0000000Z"
    assert clock.facts(is_local=True)["summer_time"] == "none"


@pytest.mark.parametrize(
    "damage",
    [
        {"DaylightStart": b""},
        {"StandardStart": time_fields(10, 5, 3, 0)[:15]},
        {"StandardStart": time_fields(13, 5, 3, 0)},
        {"DaylightStart": time_fields(3, 6, 2, 0)},
        {"DaylightStart": time_fields(3, 5, 24, 0)},
        {"DaylightStart": time_fields(3, 5, 2, 7)},
        {"DaylightStart": time_fields(0, 0, 0, 0)},
        {"DaylightStart": time_fields(3, 26, 2, 0, year=2017)},
        {"DaylightStart": time_fields(3, 5, 2, 0, year=2017)},
        {"DaylightStart": time_fields(10, 5, 3, 0)},
        {"DaylightBias": 1 << 30},
    ],
)
def test_a_damaged_rule_is_none_and_the_zone_is_doubted(tmp_path: Path, damage: Mapping[str, int | bytes]) -> None:
    clock = Clock(zone_of(tmp_path, {**values_of(*BERLIN), **damage}))
    assert clock.utc(MAY, is_local=True) == "2017-05-12T08:30:00.0000000Z"
    assert clock.facts(is_local=True)["summer_time"] == "unknown"


def test_a_bias_that_no_zone_has_is_no_zone(tmp_path: Path) -> None:
    assert zone_of(tmp_path, {**values_of(*BERLIN), "Bias": 1 << 30}) is None
