"""One hive file looked at on its own: what `triage hive FILE` tells of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from triage.artefacts.hive import Hive, open_hive
from triage.artefacts.locate import HiveKind
from triage.artefacts.regf_plan import LogFile
from triage.artefacts.software import CURRENT_VERSION
from triage.artefacts.windows import windows_info
from triage.examiners.registry import examine_hive
from triage.model.event import Event
from triage.model.exposure_facts import ControlSetSettings, SoftwareSettings
from triage.model.finding import Finding
from triage.model.gap import Gap, Where
from triage.model.volume import WindowsInfo


class HiveSize(Struct, frozen=True):
    """How many keys and values were reached."""

    keys: int
    values: int


class HiveReport(Struct, frozen=True, kw_only=True):
    """What a hive holds. Every key and value was visited, so `gaps` tells of the whole file.

    `size` and `services_by_control_set` (a control set's number to its count of services) are those after the replay
    of its logs; `as_found` is the size without them, None where none was replayed. `settings` (of SYSTEM) and
    `software_settings` are what it says of the computer's exposure. `is_stale`: its last changes are not in it.
    """

    name: str
    content: HiveKind
    size: HiveSize
    as_found: HiveSize | None
    is_stale: bool
    windows: WindowsInfo
    services_by_control_set: dict[int, int]
    findings: tuple[Finding, ...]
    events: tuple[Event, ...]
    gaps: tuple[Gap, ...]
    settings: tuple[ControlSetSettings, ...]
    software_settings: SoftwareSettings | None


class HiveFile(NamedTuple):
    """A hive opened, and which it is: a lone file may be called anything."""

    name: str
    hive: Hive
    content: HiveKind


def open_hive_file(data: bytes, name: str, logs: Sequence[LogFile] = ()) -> HiveFile:
    """Open a hive from its bytes; `name` is for messages and places. ArtefactError where it is none."""
    hive = open_hive(data, where=Where(path=name), logs=logs)
    return HiveFile(name, hive, _content(hive))


def report_hive(file: HiveFile, names: frozenset[str] = frozenset()) -> HiveReport:
    """Examine a hive; `names` are those computed from other hives of the same Windows."""
    hive = file.hive
    told = examine_hive(hive, file.content, names)
    services = () if told.system is None else told.system.services
    as_found = hive.as_found
    return HiveReport(
        name=file.name,
        content=file.content,
        size=_size(hive),
        as_found=None if as_found is None else _size(as_found),
        is_stale=hive.is_stale,
        windows=windows_info(told.system, told.software, work_directory_name=told.computed_name),
        services_by_control_set=dict(Counter(service.control_set for service in services)),
        findings=told.findings,
        events=told.events,
        gaps=(*hive.gaps, *told.gaps),
        settings=() if told.system is None else told.system.settings,
        software_settings=told.settings,
    )


def _size(hive: Hive) -> HiveSize:
    values_of_keys = [len(key.values) for key in hive.walk()]
    return HiveSize(len(values_of_keys), sum(values_of_keys))


def _content(hive: Hive) -> HiveKind:
    if hive.key(r"Root\File") is not None or hive.key(r"Root\InventoryApplicationFile") is not None:
        return HiveKind.AMCACHE
    names = {key.name.casefold() for key in hive.root.subkeys()}
    if "select" in names or any(name.startswith("controlset") for name in names):
        return HiveKind.SYSTEM
    if {"software", "control panel"} & names:
        return HiveKind.USER
    return HiveKind.OTHER if hive.key(CURRENT_VERSION) is None else HiveKind.SOFTWARE
