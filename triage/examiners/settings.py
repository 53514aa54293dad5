r"""Settings of a computer or a user → findings: what the installer leaves beside its service.

It keeps its work directory in `WanaCrypt0r\wd`. Only after the first pass over all files does it add a `Run` value
with the generated name and set its wallpaper on the desktops (all: decompiled code; Microsoft's page on WannaCrypt).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from triage.artefacts.command_line import programs_run
from triage.artefacts.settings import Setting, Settings
from triage.examiners.services import INSTALLER
from triage.indicators.work_directory import SHAPE
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where

FAMILY = "wannacry"
INDICATOR_SET = "wannacry-registry"

_WALLPAPER = re.compile(r"(?:^|[\\/])@wanadecryptor@\.bmp$", re.IGNORECASE)


def examine_settings(settings: Settings, where: Where, names: frozenset[str]) -> tuple[Finding, ...]:
    """Return a finding for each setting that is WannaCry's. `names` are those computed for this computer."""
    return tuple(_finding(where, *met) for met in _matches(settings, names))


def _matches(settings: Settings, names: frozenset[str]) -> Iterator[tuple[Setting, str, Severity]]:
    for one in settings.work_directories:
        yield one, "work-directory-value", Severity.HIGH
    for one in settings.run_values:
        rule = _run_rule(one, names)
        if rule is not None:
            yield one, *rule
    for one in settings.desktop:
        if _WALLPAPER.search(one.text):
            yield one, "ransom-wallpaper", Severity.HIGH


def _run_rule(value: Setting, names: frozenset[str]) -> tuple[str, Severity] | None:
    """Say which rule a `Run` value meets; others have names of that shape, and a `tasksche.exe`, too.

    The installer's value has the name of the directory that the program lies in.
    """
    if value.name.lower() in names:
        return "computed-name-run-value", Severity.HIGH
    installers = [one for one in programs_run(value.text) if one.name == INSTALLER]
    if not installers:
        return None
    if SHAPE.fullmatch(value.name) and any(one.folder == value.name for one in installers):
        return "installer-run-value", Severity.HIGH
    return "installer-image-run-value", Severity.LOW


def _finding(where: Where, setting: Setting, indicator: str, severity: Severity) -> Finding:
    return Finding(
        family=FAMILY,
        kind=FindingKind.REGISTRY,
        indicator=indicator,
        set=INDICATOR_SET,
        severity=severity,
        where=replace(where, offset_bytes=setting.offset_bytes),
        times={} if setting.last_written is None else {"key_last_written": setting.last_written},
        excerpt=setting.text,
        facts={"key": setting.key_path, "value": setting.name, "data": setting.text},
    )
