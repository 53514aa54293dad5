"""The commands that look and keep nothing: volumes, folders, files, hives."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from tqdm import tqdm

from triage.artefacts.locate import LOG_SUFFIXES
from triage.artefacts.regf_plan import LogFile
from triage.cli.listing import volume_line
from triage.examiners.hive_report import HiveReport, examine_hive_file
from triage.examiners.views import FACT as VIEW_FACT
from triage.model.errors import EvidenceError, ExitCode
from triage.model.escape import escape_terminal
from triage.model.finding import Finding, Severity
from triage.model.gap import Gap, Where
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
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A transaction log of this hive; without it, FILE.LOG, .LOG1 and .LOG2 are taken where they are.",
)
def hive(file: Path, logs: tuple[Path, ...]) -> ExitCode:
    """Show what a registry hive (SYSTEM, SOFTWARE, NTUSER.DAT) says: Windows, services, findings."""
    found = [LogFile(where=Where(path=str(log)), data=_read(log)) for log in logs or _logs_beside(file)]
    report = examine_hive_file(_read(file), str(file), found)
    _show_hive(report)
    _warn(list(report.gaps))
    if any(finding.severity is not Severity.LOW for finding in report.findings):
        return ExitCode.INDICATORS_FOUND
    return ExitCode.INCONCLUSIVE if any(gap.material for gap in report.gaps) else ExitCode.OK


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


def _show_hive(report: HiveReport) -> None:
    windows, size, as_found = report.windows, report.size, report.as_found
    rows = (
        (_("hive"), f"{report.content.value}, {size.keys} keys, {size.values} values"),
        (_("without its logs"), None if as_found is None else f"{as_found.keys} keys, {as_found.values} values"),
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


def _on_or_off(flag: bool | None) -> str | None:
    return None if flag is None else _("on") if flag else _("off")


def _show_finding(finding: Finding) -> None:
    facts = finding.facts
    place = "\\".join(facts[name] for name in ("key", "value") if name in facts)
    view = f" [{facts[VIEW_FACT]}]" if VIEW_FACT in facts else ""
    _say(f"{finding.severity.value.upper()} {finding.indicator}{view}: {place}  {finding.excerpt}")


def _say(line: str) -> None:
    click.echo(escape_terminal(line))


def _warn(gaps: list[Gap]) -> None:
    for gap in gaps:
        click.echo(escape_terminal(f"triage: {gap.kind.value}: {gap.detail}"), err=True)
