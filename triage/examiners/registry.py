"""A hive → what it says and its findings, in both of its views; one way for those on a volume and for lone files."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from triage.artefacts.hive import Hive
from triage.artefacts.locate import HiveKind
from triage.artefacts.settings import read_settings
from triage.artefacts.software import SoftwareHive, read_software
from triage.artefacts.system import SystemHive, read_system
from triage.artefacts.updates import read_software_settings
from triage.examiners.pending import examine_pending
from triage.examiners.services import examine_services
from triage.examiners.settings import examine_settings
from triage.examiners.views import in_views
from triage.indicators.ms17_010 import load_fixes
from triage.indicators.work_directory import work_directory_name
from triage.model.event import Event
from triage.model.exposure_facts import SoftwareSettings
from triage.model.finding import Finding


class ExaminedHive(Struct, frozen=True, kw_only=True):
    """What a hive says. Of one with logs this is the view after their replay; findings are those of both views.

    `settings` are what SOFTWARE says of the computer's exposure; SYSTEM's are in `system`.
    `computed_name` is the name that WannaCry gives its work directory on a computer of this hive's name.
    """

    system: SystemHive | None = None
    software: SoftwareHive | None = None
    settings: SoftwareSettings | None = None
    findings: tuple[Finding, ...] = ()
    events: tuple[Event, ...] = ()
    computed_name: str | None = None


def examine_hive(hive: Hive, kind: HiveKind, names: frozenset[str] = frozenset()) -> ExaminedHive:
    """Examine a hive; `names` are those computed from other hives of the same Windows."""
    told = _examine_view(hive, kind, names)
    as_found = hive.as_found
    if as_found is None:
        return told
    return replace(told, findings=in_views(told.findings, _examine_view(as_found, kind, names).findings))


def _examine_view(hive: Hive, kind: HiveKind, names: frozenset[str]) -> ExaminedHive:
    match kind:
        case HiveKind.SYSTEM:
            return _examine_system(hive)
        case HiveKind.SOFTWARE:
            findings = examine_settings(read_settings(hive), hive.where, names)
            software = read_software(hive)
            settings = read_software_settings(hive, software.windows, load_fixes().updates)
            return ExaminedHive(software=software, settings=settings, findings=findings)
        case HiveKind.USER:
            return ExaminedHive(findings=examine_settings(read_settings(hive), hive.where, names))
        case HiveKind.OTHER:
            return ExaminedHive()


def _examine_system(hive: Hive) -> ExaminedHive:
    system = read_system(hive)
    computer_name = system.windows.computer_name
    name = None if computer_name is None else work_directory_name(computer_name)
    findings = (*examine_services(system, work_directory_name=name), *examine_pending(system))
    return ExaminedHive(system=system, findings=findings, computed_name=name)
