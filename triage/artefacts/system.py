"""The SYSTEM hive: which services Windows starts, what the computer is called, in which time zone it stands.

All control sets are read, not only the current one: an older one still tells what was once installed. Values
are those of "HKLM\\SYSTEM\\CurrentControlSet\\Services Registry Tree" (Microsoft, driver documentation).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from triage.artefacts.hibernation import fast_startup_enabled, hibernation_enabled
from triage.artefacts.hive import Hive, HiveKey
from triage.artefacts.lookup import Lookup
from triage.artefacts.mounted_devices import read_drive_letters
from triage.artefacts.pending_renames import PendingRenames, read_pending_renames
from triage.artefacts.regf import Damage
from triage.artefacts.smb import read_control_set
from triage.artefacts.time_zone import TimeZone, read_time_zone, zone_name
from triage.model.exposure import ControlSetRole
from triage.model.exposure_facts import ControlSetSettings
from triage.model.filetime import filetime_to_iso
from triage.model.gap import Where
from triage.model.volume import WindowsInfo

_CONTROL_SET = re.compile(r"ControlSet([0-9]{3})", re.IGNORECASE | re.ASCII)
_COMPUTER_NAME_KEYS = ("ComputerName", "ActiveComputerName")


class Service(Struct, frozen=True, kw_only=True):
    """One service key of one control set; a field is None where the key has no such value.

    `type`, `start` and `error_control` are the numbers of `CreateService`; `last_written` is UTC ISO 8601.
    """

    name: str
    control_set: int
    key_path: str
    offset_bytes: int
    last_written: str | None
    type: int | None
    start: int | None
    error_control: int | None
    image_path: str | None
    display_name: str | None
    object_name: str | None
    service_dll: str | None


class SystemHive(Struct, frozen=True, kw_only=True):
    """What a SYSTEM hive says.

    `settings` are those of the current control set and of the last known good one, where it is another.
    """

    where: Where
    windows: WindowsInfo = WindowsInfo()
    control_sets: tuple[int, ...] = ()
    services: tuple[Service, ...] = ()
    pending_renames: tuple[PendingRenames, ...] = ()
    settings: tuple[ControlSetSettings, ...] = ()
    time_zone: TimeZone | None = None

    def role(self, control_set: int) -> ControlSetRole | None:
        """Say what Windows does with a control set; None where the hive does not name the current one."""
        if self.windows.current_control_set is None:
            return None
        if control_set == self.windows.current_control_set:
            return ControlSetRole.CURRENT
        is_last_good = control_set == self.windows.last_known_good_control_set
        return ControlSetRole.LAST_KNOWN_GOOD if is_last_good else ControlSetRole.OTHER


def read_system(hive: Hive) -> SystemHive:
    """Read what an opened SYSTEM hive says."""
    control_sets = _control_sets(hive)
    select = hive.key("Select")
    current = None if select is None else select.number("Current")
    last_known_good = None if select is None else select.number("LastKnownGood")
    if current not in control_sets:
        named = "no control set is named current" if current is None else f"the current control set {current}"
        hive.note("Select", Damage(detail=f"{named} is not among those reached", offset_bytes=0))
    by_relevance = sorted(control_sets, key=lambda number: number != current)
    by_set = {number: control for number in by_relevance if (control := control_sets[number].subkey("Control"))}
    controls = list(by_set.values())
    services = [service for number in control_sets for service in _services(hive, number, control_sets[number])]
    time_zone = next((key for control in controls if (key := control.subkey("TimeZoneInformation"))), None)
    pending = tuple(one for number, key in by_set.items() for one in read_pending_renames(key, number))
    return SystemHive(
        where=hive.where,
        windows=WindowsInfo(
            drive_letters=read_drive_letters(hive),
            computer_name=next((name for control in controls if (name := _computer_name(control))), None),
            time_zone=None if time_zone is None else zone_name(time_zone),
            hardware_clock_is_utc=None if time_zone is None else time_zone.number("RealTimeIsUniversal") == 1,
            current_control_set=current,
            last_known_good_control_set=last_known_good,
            hibernation_enabled=_first(map(hibernation_enabled, controls)),
            fast_startup_enabled=_first(map(fast_startup_enabled, controls)),
        ),
        control_sets=tuple(control_sets),
        services=tuple(services),
        pending_renames=pending,
        settings=_settings(hive, control_sets, current, last_known_good, pending),
        time_zone=None if time_zone is None else read_time_zone(time_zone),
    )


def _settings(
    hive: Hive,
    control_sets: dict[int, HiveKey],
    current: int | None,
    last_known_good: int | None,
    pending: tuple[PendingRenames, ...],
) -> tuple[ControlSetSettings, ...]:
    """Read the settings of the control set that Windows starts with, and of the one that last worked."""
    roles = {last_known_good: ControlSetRole.LAST_KNOWN_GOOD, current: ControlSetRole.CURRENT}
    return tuple(
        read_control_set(
            Lookup(hive, control_sets[number], control_sets[number].path),
            number,
            role,
            tuple(one for one in pending if one.control_set == number),
        )
        for number, role in reversed(roles.items())
        if number is not None and number in control_sets
    )


def _first(flags: Iterable[bool | None]) -> bool | None:
    return next((flag for flag in flags if flag is not None), None)


def _control_sets(hive: Hive) -> dict[int, HiveKey]:
    """Return the control sets by number, in order."""
    matches = ((_CONTROL_SET.fullmatch(key.name), key) for key in hive.root.subkeys())
    return dict(sorted((int(match[1]), key) for match, key in matches if match is not None))


def _services(hive: Hive, number: int, control_set: HiveKey) -> list[Service]:
    services = control_set.subkey("Services")
    if services is None:
        damage = Damage(detail="no Services key reached", offset_bytes=control_set.offset_bytes)
        hive.note(control_set.path, damage)
        return []
    return [_service(number, key) for key in services.subkeys()]


def _service(control_set: int, key: HiveKey) -> Service:
    parameters = key.subkey("Parameters")
    return Service(
        name=key.name,
        control_set=control_set,
        key_path=key.path,
        offset_bytes=key.offset_bytes,
        last_written=filetime_to_iso(key.last_written),
        type=key.number("Type"),
        start=key.number("Start"),
        error_control=key.number("ErrorControl"),
        image_path=key.text("ImagePath"),
        display_name=key.text("DisplayName"),
        object_name=key.text("ObjectName"),
        service_dll=None if parameters is None else parameters.text("ServiceDll"),
    )


def _computer_name(control: HiveKey) -> str | None:
    key = control.subkey("ComputerName")
    named = [] if key is None else [key.subkey(name) for name in _COMPUTER_NAME_KEYS]
    return next((text for key in named if key is not None and (text := key.text("ComputerName"))), None)
