"""The time zone that SYSTEM keeps, with its rule for summer time: what a log's local time was in UTC.

The key `TimeZoneInformation` holds minutes to be added to local time (`Bias`, and to it `StandardBias` or
`DaylightBias`) and when each half of the year begins: `TIME_FIELDS`, eight 16-bit numbers (year, month, day, hour,
minute, second, millisecond, weekday). With year 0 the day counts such weekdays of the month, 5 is the last.

Source: `TIME_ZONE_INFORMATION` (Microsoft, Win32 documentation) for the meaning, `TIME_FIELDS` (Windows Driver Kit) for
the order of the numbers, which is not that of `SYSTEMTIME`.
"""

from __future__ import annotations

import struct
from calendar import monthrange
from datetime import datetime, timedelta

from msgspec import Struct

from triage.artefacts.hive import HiveKey

_TIME_FIELDS = struct.Struct("<8H")
_SIGN_BIT = 1 << 31
_LAST_WEEK, _DAYS_OF_WEEK = 5, 7
_MOST_MINUTES = 24 * 60  # no zone is as far from UTC: more is damage
_SWITCHED_OFF = ("DynamicDaylightTimeDisabled", "DisableAutoDaylightTimeSet")  # since Vista, and before


class YearlyMoment(Struct, frozen=True):
    """When a half of the year begins by the clock on the wall; `weekday` counts from Sunday, `week` 5 is the last."""

    month: int
    week: int
    weekday: int
    hour: int
    minute: int

    def in_year(self, year: int) -> datetime:
        """Return the moment in a year."""
        first = datetime(year, self.month, 1, self.hour, self.minute)  # noqa: DTZ001 a clock on a wall has no zone
        day = 1 + (self.weekday - first.isoweekday()) % _DAYS_OF_WEEK + (self.week - 1) * _DAYS_OF_WEEK
        last = monthrange(year, self.month)[1]
        return first + timedelta(days=(day if day <= last else day - _DAYS_OF_WEEK) - 1)


class SummerTime(Struct, frozen=True, kw_only=True):
    """A zone's rule: between `begins` and `ends` `summer_bias_minutes` is in force, `winter_bias_minutes` otherwise.

    South of the equator a year begins in summer.
    """

    begins: YearlyMoment
    ends: YearlyMoment
    summer_bias_minutes: int
    winter_bias_minutes: int

    def bias_minutes(self, local: datetime) -> int:
        """Return the minutes in force at a local time; of the hour that comes twice it is the first one."""
        begins, ends = self.begins.in_year(local.year), self.ends.in_year(local.year)
        is_summer = begins <= local < ends if begins < ends else not ends <= local < begins
        return self.summer_bias_minutes if is_summer else self.winter_bias_minutes


class TimeZone(Struct, frozen=True, kw_only=True):
    """A zone: `bias_minutes` have to be added to local time for UTC, in summer what `summer_time` says.

    `has_rule` is False where the values of the rule are missing or damaged: then summer time is not known. With a rule
    `summer_time` is None where the zone has none, or where it was switched off.
    """

    bias_minutes: int
    name: str | None = None
    summer_time: SummerTime | None = None
    has_rule: bool = False

    def utc(self, local: datetime) -> datetime:
        """Return a local time in UTC; OverflowError where no year can hold it."""
        summer = self.summer_time
        return local + timedelta(minutes=self.bias_minutes if summer is None else summer.bias_minutes(local))


def read_time_zone(key: HiveKey) -> TimeZone | None:
    """Read the zone of a `TimeZoneInformation` key; None where it has no `Bias`."""
    bias = _minutes(key, "Bias")
    if bias is None:
        return None
    name = zone_name(key)
    if any(key.number(switch) == 1 for switch in _SWITCHED_OFF):
        return TimeZone(bias_minutes=bias, name=name, has_rule=True)
    starts = [_fields(key, value) for value in ("DaylightStart", "StandardStart")]
    if all(fields is not None and fields[1] == 0 for fields in starts):  # month 0: the zone has no summer time
        return TimeZone(bias_minutes=bias, name=name, has_rule=True)
    begins, ends = (_yearly(fields) for fields in starts)
    summer, winter = _minutes(key, "DaylightBias"), _minutes(key, "StandardBias")
    if begins is None or ends is None or begins == ends or summer is None or winter is None:
        return TimeZone(bias_minutes=bias, name=name)
    rule = SummerTime(begins=begins, ends=ends, summer_bias_minutes=bias + summer, winter_bias_minutes=bias + winter)
    return TimeZone(bias_minutes=bias, name=name, summer_time=rule, has_rule=True)


def zone_name(key: HiveKey) -> str | None:
    """Return the zone's name: TimeZoneKeyName since Vista, before it the (translated) StandardName."""
    return key.text("TimeZoneKeyName") or key.text("StandardName") or None


def _minutes(key: HiveKey, name: str) -> int | None:
    """Return a signed number in a DWORD; None where there is none that can be minutes of a zone."""
    value = key.number(name)
    minutes = None if value is None else (value ^ _SIGN_BIT) - _SIGN_BIT
    return minutes if minutes is not None and abs(minutes) <= _MOST_MINUTES else None


def _fields(key: HiveKey, name: str) -> tuple[int, ...] | None:
    value = key.value(name)
    return None if value is None or len(value.data) != _TIME_FIELDS.size else _TIME_FIELDS.unpack(value.data)


def _yearly(fields: tuple[int, ...] | None) -> YearlyMoment | None:
    """Return a moment of every year; None where the numbers are none, or name one year only."""
    if fields is None:
        return None
    year, month, week, hour, minute, _second, _millisecond, weekday = fields
    is_moment = 1 <= month <= 12 and 1 <= week <= _LAST_WEEK and weekday < _DAYS_OF_WEEK and hour < 24 and minute < 60
    return YearlyMoment(month, week, weekday, hour, minute) if year == 0 and is_moment else None
