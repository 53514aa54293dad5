"""One hive file looked at on its own: what `triage hive FILE` tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from triage.artefacts.hive import Hive, open_hive
from triage.artefacts.locate import HiveKind
from triage.artefacts.regf_plan import LogFile
from triage.artefacts.software import CURRENT_VERSION
from triage.artefacts.windows import windows_info
from triage.examiners.registry import examine_hive
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
    of its logs; `as_found` is the size without them, None where none was replayed.
    """

    name: str
    content: HiveKind
    size: HiveSize
    as_found: HiveSize | None
    windows: WindowsInfo
    services_by_control_set: dict[int, int]
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]


def examine_hive_file(data: bytes, name: str, logs: Sequence[LogFile] = ()) -> HiveReport:
    """Examine a hive from its bytes; `name` is for messages and places. ArtefactError where it is none."""
    hive = open_hive(data, where=Where(path=name), logs=logs)
    content = _content(hive)
    told = examine_hive(hive, content)
    services = () if told.system is None else told.system.services
    as_found = hive.as_found
    return HiveReport(
        name=name,
        content=content,
        size=_size(hive),
        as_found=None if as_found is None else _size(as_found),
        windows=windows_info(told.system, told.software, work_directory_name=told.computed_name),
        services_by_control_set=dict(Counter(service.control_set for service in services)),
        findings=told.findings,
        gaps=(*hive.gaps, *told.gaps),
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
