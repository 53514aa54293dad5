"""Hives without their volume, taken as those of one Windows: what `triage hive FILE...` tells."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from triage.artefacts.locate import HiveKind
from triage.examiners.hive_report import HiveFile, HiveReport, report_hive
from triage.indicators.ms17_010 import load_fixes
from triage.model.errors import UsageError
from triage.model.exposure import Exposure
from triage.model.exposure_facts import ExposureFacts
from triage.model.text import _
from triage.verdict.exposure import judge_exposure

SCHEMA = "triage-hive/1"
_ORDER = {HiveKind.SYSTEM: 0, HiveKind.SOFTWARE: 1, HiveKind.USER: 2, HiveKind.OTHER: 3}
_ONE_OF_A_WINDOWS = (HiveKind.SYSTEM, HiveKind.SOFTWARE)


class HivesReport(Struct, frozen=True, kw_only=True):
    """Some hives of one Windows; `exposure` is None where neither SYSTEM nor SOFTWARE is among them."""

    schema: str = SCHEMA
    hives: tuple[HiveReport, ...]
    exposure: Exposure | None


def report_hives(files: Iterable[HiveFile]) -> HivesReport:
    """Examine the hives of one Windows, SYSTEM first: others need the computer's name. UsageError for two of a kind."""
    ordered = sorted(files, key=lambda file: _ORDER[file.content])
    names: frozenset[str] = frozenset()
    reports: list[HiveReport] = []
    for file in ordered:
        twin = next((one for one in reports if one.content is file.content and one.content in _ONE_OF_A_WINDOWS), None)
        if twin is not None:
            raise UsageError(
                _("{first} and {second} are both {kind} hives").format(
                    first=twin.name, second=file.name, kind=file.content.value.upper()
                ),
                hint=_("give the hives of one Windows at a time"),
            )
        report = report_hive(file, names)
        if report.windows.work_directory_name is not None:
            names |= {report.windows.work_directory_name}
        reports.append(report)
    return HivesReport(hives=tuple(reports), exposure=_exposure(reports))


def _exposure(reports: list[HiveReport]) -> Exposure | None:
    """Judge what these hives can tell; the driver itself is not among them."""
    of_windows = [report for report in reports if report.content in _ONE_OF_A_WINDOWS]
    if not of_windows:
        return None
    software = (one.software_settings for one in of_windows)
    facts = ExposureFacts(
        volume=None,
        windows=", ".join(one.name for one in of_windows),
        settings=tuple(settings for one in of_windows for settings in one.settings),
        software=next((one for one in software if one is not None), None),
        is_stale=any(one.is_stale for one in of_windows),
    )
    return judge_exposure(facts, load_fixes())
