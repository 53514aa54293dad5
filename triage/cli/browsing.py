"""The commands that look and keep nothing: volumes, folders, files, hives."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from tqdm import tqdm

from triage.cli.listing import volume_line
from triage.examiners.hive_report import HiveReport, examine_hive_file
from triage.model.errors import EvidenceError, ExitCode
from triage.model.escape import escape_terminal
from triage.model.finding import Severity
from triage.model.gap import Gap
from triage.model.text import _
from triage.pipeline.browse import Browser, parse_address, require_volume


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
@click.argument("file", type=click.Path(path_type=Path))
def hive(file: Path) -> ExitCode:
    """Show what a registry hive (SYSTEM or SOFTWARE) says: Windows, services, findings."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise EvidenceError(_("cannot read {path}: {reason}").format(path=file, reason=error.strerror)) from error
    report = examine_hive_file(data, str(file))
    _show_hive(report)
    _warn(list(report.gaps))
    if any(finding.severity is not Severity.LOW for finding in report.findings):
        return ExitCode.INDICATORS_FOUND
    return ExitCode.INCONCLUSIVE if any(gap.material for gap in report.gaps) else ExitCode.OK


def _show_hive(report: HiveReport) -> None:
    windows = report.windows
    rows = (
        (_("hive"), f"{report.content.value}, {report.keys} keys, {report.values} values"),
        (_("computer name"), windows.computer_name),
        (_("Windows"), " ".join(part for part in (windows.product, windows.version, windows.build) if part)),
        (_("time zone"), windows.time_zone),
        (_("current control set"), windows.current_control_set),
        (_("last known good"), windows.last_known_good_control_set),
        (_("work directory to look for"), windows.work_directory_name),
    )
    for name, value in rows:
        if value is not None and value != "":
            _say(f"{name}: {value}")
    for number, count in sorted(report.services_by_control_set.items()):
        _say(_("control set {number}: {count} services").format(number=number, count=count))
    for finding in report.findings:
        _say(f"{finding.severity.value.upper()} {finding.indicator}: {finding.facts.get('key', '')}  {finding.excerpt}")
    if not report.findings:
        _say(_("no known indicator in this hive"))


def _say(line: str) -> None:
    click.echo(escape_terminal(line))


def _warn(gaps: list[Gap]) -> None:
    for gap in gaps:
        click.echo(escape_terminal(f"triage: {gap.kind.value}: {gap.detail}"), err=True)
