"""Hives read whole from their bytes, with the gaps that this made: what most tests of hives look at."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import asdict

from triage.artefacts.hive import open_or_gap
from triage.artefacts.regf_plan import LogFile
from triage.artefacts.software import SoftwareHive, read_software
from triage.artefacts.system import SystemHive, read_system
from triage.examiners.hive_report import HiveReport, open_hive_file, report_hive
from triage.model.gap import Gap, Where


class ParsedSystem(SystemHive, frozen=True, kw_only=True):
    """A SYSTEM hive and its gaps; empty but for these where it cannot be read."""

    gaps: tuple[Gap, ...]


class ParsedSoftware(SoftwareHive, frozen=True, kw_only=True):
    """A SOFTWARE hive and its gaps."""

    gaps: tuple[Gap, ...]


def examine_hive_file(data: bytes, name: str, logs: Sequence[LogFile] = ()) -> HiveReport:
    """Examine a hive on its own."""
    return report_hive(open_hive_file(data, name, logs))


def parse_system(data: bytes, where: Where, logs: Sequence[LogFile] = ()) -> ParsedSystem:
    """Read a SYSTEM hive."""
    opened = open_or_gap(data, where, logs)
    if isinstance(opened, Gap):
        return ParsedSystem(where=where, gaps=(opened,))
    return ParsedSystem(**asdict(read_system(opened)), gaps=opened.gaps)


def parse_software(data: bytes, where: Where) -> ParsedSoftware:
    """Read a SOFTWARE hive."""
    opened = open_or_gap(data, where)
    if isinstance(opened, Gap):
        return ParsedSoftware(where=where, gaps=(opened,))
    return ParsedSoftware(**asdict(read_software(opened)), gaps=opened.gaps)
