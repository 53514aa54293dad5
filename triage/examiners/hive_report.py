"""One hive file looked at on its own: what `triage hive FILE` tells."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

from msgspec import Struct

from triage.artefacts.hive import Hive, open_hive
from triage.artefacts.software import CURRENT_VERSION, read_software
from triage.artefacts.system import read_system
from triage.artefacts.windows import windows_info
from triage.examiners.services import examine_services
from triage.indicators.work_directory import work_directory_name
from triage.model.finding import Finding
from triage.model.gap import Gap, Where
from triage.model.volume import WindowsInfo


class HiveContent(StrEnum):
    """Which hive it is by its content, whatever its name."""

    SYSTEM = "system"
    SOFTWARE = "software"
    OTHER = "other"


class HiveReport(Struct, frozen=True, kw_only=True):
    """What a hive holds. Every key and value was visited, so `gaps` tells of the whole file.

    `services_by_control_set` maps a control set's number to its count of services.
    """

    name: str
    content: HiveContent
    keys: int
    values: int
    windows: WindowsInfo
    services_by_control_set: dict[int, int]
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]


def examine_hive_file(data: bytes, name: str) -> HiveReport:
    """Examine a hive from its bytes; `name` is for messages and places. ArtefactError where it is none."""
    hive = open_hive(data, where=Where(path=name))
    content = _content(hive)
    system = read_system(hive) if content is HiveContent.SYSTEM else None
    software = read_software(hive) if content is HiveContent.SOFTWARE else None
    computer_name = None if system is None else system.windows.computer_name
    computed = None if computer_name is None else work_directory_name(computer_name)
    findings = () if system is None else examine_services(system, work_directory_name=computed)
    services = Counter(service.control_set for service in system.services) if system is not None else Counter[int]()
    values_of_keys = [len(key.values) for key in hive.walk()]
    return HiveReport(
        name=name,
        content=content,
        keys=len(values_of_keys),
        values=sum(values_of_keys),
        windows=windows_info(system, software, work_directory_name=computed),
        services_by_control_set=dict(services),
        findings=findings,
        gaps=hive.gaps,
    )


def _content(hive: Hive) -> HiveContent:
    names = {key.name.casefold() for key in hive.root.subkeys()}
    if "select" in names or any(name.startswith("controlset") for name in names):
        return HiveContent.SYSTEM
    return HiveContent.OTHER if hive.key(CURRENT_VERSION) is None else HiveContent.SOFTWARE
