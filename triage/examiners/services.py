"""Services of a SYSTEM hive → findings: the worm's, and the one by which the installer has itself started.

The worm makes `mssecsvc2.0` (a variant 2.1; autostart listings have shown `fmssecsvc2.0`), the installer
a service of a generated name that runs `cmd.exe /c "<directory>/tasksche.exe"` (both: decompiled code).
"""

from __future__ import annotations

import re
from collections.abc import Collection

from msgspec.structs import replace

from triage.artefacts.command_line import programs_run
from triage.artefacts.system import Service, SystemHive
from triage.indicators.work_directory import SHAPE
from triage.model.exposure import ControlSetRole
from triage.model.finding import Finding, FindingKind, Severity

FAMILY = "wannacry"
INDICATOR_SET = "wannacry-services"

INSTALLER = "tasksche.exe"
_WORM_NAME = re.compile(r"mssecsvc", re.IGNORECASE)
_WORM_DISPLAY_NAME = re.compile(r"Microsoft Security Center \(2\.\d\) Service", re.IGNORECASE)
_NOT_IN_CURRENT = {
    ControlSetRole.LAST_KNOWN_GOOD: "not in the current control set: it runs only where Windows is started with its "
    "last known good configuration",
    ControlSetRole.OTHER: "not in the current control set: Windows does not start it",
}


def examine_services(system: SystemHive, *, work_directory_name: str | None = None) -> tuple[Finding, ...]:
    """Return a finding for each service, in each control set, that is WannaCry's.

    `work_directory_name` is the name computed from the computer's (`triage.indicators.work_directory`). The
    host may have been renamed since, so a service of that shape which starts the installer weighs as much.
    The shape alone is no finding: ordinary services have such names.
    """
    names = () if work_directory_name is None else (work_directory_name,)
    matches = (
        (service, service_rule(service.name, service.display_name or "", service.image_path or "", names))
        for service in system.services
    )
    met = [(service, rule) for service, rule in matches if rule is not None]
    current = {
        service.name.casefold() for service, _rule in met if system.role(service.control_set) is ControlSetRole.CURRENT
    }
    return tuple(
        _finding(system, service, *rule, is_current=service.name.casefold() in current) for service, rule in met
    )


def service_rule(
    name: str, display_name: str, image_path: str, work_directory_names: Collection[str]
) -> tuple[str, Severity] | None:
    """Return which indicator a service meets, and how much that weighs; None for a service of somebody else.

    Of the command line only the programs count that it runs: an immuniser may be told the worm's name as an argument,
    or delete the file by a command of the shell. Other makers have a `tasksche.exe`, so it is the installer's only as
    the installer writes it: by `cmd.exe /c`, or in a directory that has the service's own generated name.
    """
    programs = [one for one in programs_run(image_path) if not one.is_builtin]
    texts = (name, display_name, *(one.name for one in programs))
    if any(_WORM_NAME.search(text) for text in texts) or _WORM_DISPLAY_NAME.fullmatch(display_name):
        return "worm-service", Severity.HIGH
    if name.lower() in work_directory_names:
        return "computed-name-service", Severity.HIGH
    installers = [one for one in programs if one.name == INSTALLER]
    if not installers:
        return None
    if SHAPE.fullmatch(name) and any(one.by_cmd or one.folder == name for one in installers):
        return "installer-service", Severity.HIGH
    by_cmd = any(one.by_cmd for one in installers)
    return "installer-image-service", Severity.MEDIUM if by_cmd else Severity.LOW


def _finding(system: SystemHive, service: Service, indicator: str, severity: Severity, *, is_current: bool) -> Finding:
    return Finding(
        family=FAMILY,
        kind=FindingKind.SERVICE,
        indicator=indicator,
        set=INDICATOR_SET,
        severity=severity,
        where=replace(system.where, offset_bytes=service.offset_bytes),
        times={} if service.last_written is None else {"key_last_written": service.last_written},
        excerpt=service.image_path or "",
        facts=_facts(system, service, is_current=is_current),
    )


def _facts(system: SystemHive, service: Service, *, is_current: bool) -> dict[str, str]:
    """Return what the hive says of the service, values that are not there left out.

    `is_current`: the current control set has a service of that name that is WannaCry's, too.
    """
    role = system.role(service.control_set)
    facts: dict[str, str | int | None] = {
        "service": service.name,
        "key": service.key_path,
        "control_set": service.control_set,
        "control_set_role": role,
        "note": None if role is None or is_current else _NOT_IN_CURRENT.get(role),
        "display_name": service.display_name,
        "image_path": service.image_path,
        "service_dll": service.service_dll,
        "object_name": service.object_name,
        "type": service.type,
        "start": service.start,
    }
    return {name: str(value) for name, value in facts.items() if value is not None}
