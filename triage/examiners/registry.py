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
from triage.examiners.program_caches import examine_amcache, examine_shimcaches
from triage.examiners.programs import Known
from triage.examiners.scheduled_tasks import examine_task_cache
from triage.examiners.services import examine_services
from triage.examiners.settings import examine_settings
from triage.examiners.views import in_views
from triage.indicators.load import Indicators, load_indicators
from triage.indicators.ms17_010 import load_fixes
from triage.indicators.work_directory import work_directory_name
from triage.model.event import Event
from triage.model.exposure_facts import SoftwareSettings
from triage.model.finding import Finding
from triage.model.gap import Gap


class ExaminedHive(Struct, frozen=True, kw_only=True):
    """What a hive says. Of one with logs this is the view after their replay; findings are those of both views.

    `settings` are what SOFTWARE says of the computer's exposure; SYSTEM's are in `system`. `gaps` are of values that
    could not be parsed; those of the hive itself are its own (`Hive.gaps`). `computed_name` is the name that WannaCry
    gives its work directory on a computer of this hive's name.
    """

    system: SystemHive | None = None
    software: SoftwareHive | None = None
    settings: SoftwareSettings | None = None
    findings: tuple[Finding, ...] = ()
    events: tuple[Event, ...] = ()
    gaps: tuple[Gap, ...] = ()
    computed_name: str | None = None


def examine_hive(
    hive: Hive,
    kind: HiveKind,
    names: frozenset[str] = frozenset(),
    indicators: Indicators | None = None,
) -> ExaminedHive:
    """Examine a hive; `names` are those computed from other hives of the same Windows.

    Programs that it names are held against `indicators`; against the built-in ones where None are given.
    """
    loaded = indicators or load_indicators()
    known = Known(loaded.names, loaded.digests, names)
    told = _examine_view(hive, kind, known)
    as_found = hive.as_found
    if as_found is None:
        return told
    return replace(told, findings=in_views(told.findings, _examine_view(as_found, kind, known).findings))


def _examine_view(hive: Hive, kind: HiveKind, known: Known) -> ExaminedHive:
    match kind:
        case HiveKind.SYSTEM:
            return _examine_system(hive, known)
        case HiveKind.SOFTWARE:
            findings = examine_settings(read_settings(hive), hive.where, known.work_directories)
            software = read_software(hive)
            settings = read_software_settings(hive, software.windows, load_fixes().update_names)
            tasks = examine_task_cache(hive, known)
            findings += tasks.findings
            return ExaminedHive(software=software, settings=settings, findings=findings, gaps=tasks.gaps)
        case HiveKind.USER:
            return ExaminedHive(findings=examine_settings(read_settings(hive), hive.where, known.work_directories))
        case HiveKind.AMCACHE:
            programs = examine_amcache(hive, known)
            return ExaminedHive(findings=programs.findings, events=programs.events)
        case HiveKind.OTHER:
            return ExaminedHive()


def _examine_system(hive: Hive, known: Known) -> ExaminedHive:
    system = read_system(hive)
    computer_name = system.windows.computer_name
    name = None if computer_name is None else work_directory_name(computer_name)
    if name is not None:
        known = known._replace(work_directories=known.work_directories | {name})
    programs = examine_shimcaches(hive, system.control_sets, known)
    return ExaminedHive(
        system=system,
        findings=(
            *examine_services(system, work_directory_name=name),
            *examine_pending(system),
            *programs.findings,
        ),
        events=programs.events,
        gaps=programs.gaps,
        computed_name=name,
    )
