"""The commands that look and keep nothing: volumes, folders, files, hives."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click
from tqdm import tqdm

from triage.artefacts.locate import LOG_SUFFIXES
from triage.artefacts.regf_plan import LogFile
from triage.cli.listing import volume_line
from triage.examiners.hive_report import HiveFile, HiveReport, HiveSize, open_hive_file
from triage.examiners.views import FACT as VIEW_FACT
from triage.model.errors import EvidenceError, ExitCode, UsageError
from triage.model.escape import escape_terminal
from triage.model.event import Event
from triage.model.exposure import ControlSetRole
from triage.model.finding import Finding, Severity
from triage.model.gap import Gap, Where
from triage.model.text import _
from triage.pipeline.browse import Browser, parse_address, require_volume
from triage.pipeline.lone_hives import report_hives
from triage.report.document import json_document
from triage.report.exposure import exposure_line, exposure_table


@click.command("list")
@click.argument("evidence", type=click.Path(path_type=Path))
def list_volumes(evidence: Path) -> ExitCode:
    """Show the partitions and volumes of EVIDENCE, and which would be examined."""
    with Browser(evidence) as browser:
        size = tqdm.format_sizeof(browser.evidence.size_bytes, "B")
        _say(f"{evidence}  {browser.evidence.format.value}  {size}")
        for volume in browser.volumes:
            _say(volume_line(volume))
        _warn(browser.gaps)
    return ExitCode.OK


@click.command()
@click.argument("address", metavar="EVIDENCE:VOLUME/PATH")
@click.option("-r", "--recursive", is_flag=True, help="Everything below, too.")
def ls(address: str, recursive: bool) -> ExitCode:
    """List a folder of a volume, named streams too, for example disk.img:v1/Users."""
    place = parse_address(address)
    volume = require_volume(place)
    with Browser(place.evidence) as browser:
        for one in browser.folder(volume, place.path, recursive=recursive):
            kind = "d" if one.is_directory else "-"
            modified = (one.modified or "")[:19]
            leads_to = f"  -> {one.leads_to}" if one.leads_to else ""
            _say(f"{kind} {one.mft_entry:>9} {one.size_bytes:>14} {modified:19}  {one.path}{leads_to}")
        _warn(browser.gaps)
    return ExitCode.OK


@click.command()
@click.argument("address", metavar="EVIDENCE:VOLUME/PATH")
def cat(address: str) -> ExitCode:
    """Write a file (or PATH:STREAM) of a volume to standard output."""
    place = parse_address(address)
    volume = require_volume(place)
    with Browser(place.evidence) as browser:
        for block in browser.content(volume, place.path):
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
    return ExitCode.OK


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A transaction log of the one hive; without it, FILE.LOG, .LOG1 and .LOG2 are taken where they are.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document.")
def hive(files: tuple[Path, ...], logs: tuple[Path, ...], as_json: bool) -> ExitCode:
    """Show what registry hives of one Windows (SYSTEM, SOFTWARE, NTUSER.DAT) say: findings, events, exposure."""
    if logs and len(files) > 1:
        raise UsageError(_("--log goes with one hive only"), hint=_("name the logs like their hives, beside them"))
    report = report_hives([_open_hive(file, logs or _logs_beside(file)) for file in files])
    if as_json:
        click.echo(json_document(report))
    else:
        for one in report.hives:
            _show_hive(one, named=len(files) > 1)
        if report.exposure is not None:
            for line in (exposure_line(report.exposure), *exposure_table(report.exposure)):
                _say(line)
    _warn([gap for one in report.hives for gap in one.gaps])
    if any(finding.severity is not Severity.LOW for one in report.hives for finding in one.findings):
        return ExitCode.INDICATORS_FOUND
    is_open = any(gap.material for one in report.hives for gap in one.gaps)
    return ExitCode.INCONCLUSIVE if is_open else ExitCode.OK


def _open_hive(file: Path, logs: Iterable[Path]) -> HiveFile:
    found = [LogFile(where=Where(path=str(log)), data=_read(log)) for log in logs]
    return open_hive_file(_read(file), str(file), found)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise EvidenceError(_("cannot read {path}: {reason}").format(path=file, reason=error.strerror)) from error


def _logs_beside(file: Path) -> list[Path]:
    """Return the files that are named as logs of a hive, in any case."""
    wanted = {file.name.lower() + suffix for suffix in LOG_SUFFIXES}
    try:
        return sorted(one for one in file.absolute().parent.iterdir() if one.name.lower() in wanted)
    except OSError:
        return []  # the hive itself cannot be read then, and says so


def _show_hive(report: HiveReport, *, named: bool) -> None:
    windows, as_found = report.windows, report.as_found
    rows = (
        (_("file"), report.name if named else None),
        (_("hive"), f"{report.content.value}, {_counts(report.size)}"),
        (_("without its logs"), None if as_found is None else _counts(as_found)),
        (_("computer name"), windows.computer_name),
        (_("Windows"), " ".join(part for part in (windows.product, windows.version, windows.build) if part)),
        (_("time zone"), windows.time_zone),
        (_("current control set"), windows.current_control_set),
        (_("last known good"), windows.last_known_good_control_set),
        (_("hibernation"), _on_or_off(windows.hibernation_enabled)),
        (_("Fast Startup"), _on_or_off(windows.fast_startup_enabled)),
        (_("work directory to look for"), windows.work_directory_name),
    )
    for name, value in rows:
        if value is not None and value != "":
            _say(f"{name}: {value}")
    for number, count in sorted(report.services_by_control_set.items()):
        _say(_("control set {number}: {count} services").format(number=number, count=count))
    for finding in report.findings:
        _show_finding(finding)
    if not report.findings:
        _say(_("no known indicator in this hive"))
    for event in report.events:
        _show_event(event)


def _counts(size: HiveSize) -> str:
    return _("{keys} keys, {values} values").format(keys=size.keys, values=size.values)


def _on_or_off(flag: bool | None) -> str | None:
    return None if flag is None else _("on") if flag else _("off")


def _show_finding(finding: Finding) -> None:
    facts = finding.facts
    place = "\\".join(facts[name] for name in ("key", "value") if name in facts)
    role = facts.get("control_set_role", ControlSetRole.CURRENT)
    marks = [facts[VIEW_FACT]] if VIEW_FACT in facts else []
    marks += [role] if role != ControlSetRole.CURRENT else []
    shown = "".join(f" [{mark}]" for mark in marks)
    _say(f"{finding.severity.value.upper()} {finding.indicator}{shown}: {place}  {finding.excerpt}")
    if "note" in facts:
        _say(f"  {facts['note']}")


def _show_event(event: Event) -> None:
    _say(f"{event.time_utc} {event.kind.value} ({event.source.value}): {event.what}")


def _say(line: str) -> None:
    click.echo(escape_terminal(line))


def _warn(gaps: list[Gap]) -> None:
    for gap in gaps:
        click.echo(escape_terminal(f"triage: {gap.kind.value}: {gap.detail}"), err=True)
