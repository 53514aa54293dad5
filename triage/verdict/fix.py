"""Is the fix in: the version of srv.sys decides; packages are a second witness, and stand in where there is no file.

Sources: MS17-010 (Microsoft, 2017-03-14), the table of `indicators/ms17_010.py` and what it cites.
"""

from __future__ import annotations

from collections.abc import Iterator

from triage.indicators.ms17_010 import FIX_PUBLISHED_UTC, FixTable
from triage.model.exposure import Check, ExposureRow, ExposureVerdict
from triage.model.exposure_facts import (
    ControlSetSettings,
    Driver,
    DriverState,
    ExposureFacts,
    SoftwareSettings,
    Update,
    UpdateState,
    Version,
)
from triage.model.text import N_

_FIXED = N_("This version of the SMBv1 server holds the fix.")
_FIXED_FROM_RELEASE = N_("This Windows was released with the fix.")
_TOO_OLD = N_("This version of the SMBv1 server does not hold the fix.")
_NEVER_FIXED = N_("No fix was ever made for this Windows without its service pack.")
_UNKNOWN_LINE = N_("This Windows is not in the table of fixed versions.")
_NO_DRIVER = N_("The SMBv1 server is not installed: neither its driver nor its service is there.")
_DRIVER_GONE = N_("The driver is not there although its service is registered or not known: it may have been removed.")
_DRIVER_UNREADABLE = N_("The version of the driver could not be read.")
_INSTALLED = N_("An update that holds the fix is installed.")
_NOTHING_SINCE = N_("No update was installed since the fix was published on 2017-03-14.")
_LATER_MAY_HOLD = N_("None of the listed updates is installed; later ones that hold the fix, too, are not in the list.")
_APRIL_2017 = N_("The security-only updates of April 2017 do not hold the fix.")
_UPDATES_DISAGREE = N_("The installed updates say otherwise; the file decides.")
_UPDATES_DAMAGED = N_("The registry is damaged where this would stand.")
_ONLY_AFTER_RESTART = N_("A fix is prepared and takes effect at the next start of this Windows only.")
_RESTART_PENDING = N_("Updates wait for the next start of this Windows; whether the fix is among them is not known.")
_IN = (UpdateState.INSTALLED, UpdateState.SUPERSEDED)


def fix_rows(facts: ExposureFacts, table: FixTable) -> Iterator[ExposureRow]:
    """Yield the rows of the fix: driver, updates, and what waits for the next start."""
    software = facts.software
    updates = None if software is None else _updates_row(software, table)
    if facts.driver is not None:
        row = _driver_row(facts.driver, facts.settings[:1], table)
        opposite = {ExposureVerdict.EXPOSED, ExposureVerdict.PROTECTED}
        if updates is not None and {row.verdict, updates.verdict} == opposite:
            row = _row(Check.DRIVER, row.verdict, row.value, row.source, *row.reasons, _UPDATES_DISAGREE)
        yield row
    if updates is not None:
        yield updates
    yield from _pending_rows(facts, table)


def _driver_row(driver: Driver, current: tuple[ControlSetSettings, ...], table: FixTable) -> ExposureRow:
    match driver.state:
        case DriverState.VERSION_READ if driver.version is not None:
            return _version_row(driver, driver.version, table)
        case DriverState.MISSING:
            service = current[0].smb1_driver if current else None
            if service is not None and not service.registered and service.start.certain:
                return _row(Check.DRIVER, ExposureVerdict.PROTECTED, "not there", driver.path, _NO_DRIVER)
            return _row(Check.DRIVER, ExposureVerdict.NOT_KNOWN, "not there", driver.path, _DRIVER_GONE)
        case _:
            value = driver.detail or driver.state.value
            return _row(Check.DRIVER, ExposureVerdict.NOT_KNOWN, value, driver.path, _DRIVER_UNREADABLE)


def _version_row(driver: Driver, version: Version, table: FixTable) -> ExposureRow:
    value = as_text(version)
    needed = table.needed(version)
    if needed:
        value += f" (fixed from {needed})"
    if driver.changed_utc is not None:
        value += f", last changed {driver.changed_utc[:10]}"
    verdict, reason = _judge_version(version, table)
    return _row(Check.DRIVER, verdict, value, driver.path, reason)


def _judge_version(version: Version, table: FixTable) -> tuple[ExposureVerdict, str]:
    is_fixed = table.is_fixed(version)
    if is_fixed is None:
        return ExposureVerdict.NOT_KNOWN, _UNKNOWN_LINE
    if is_fixed:
        is_new = version[:3] >= table.fixed_from
        return ExposureVerdict.PROTECTED, _FIXED_FROM_RELEASE if is_new else _FIXED
    return ExposureVerdict.EXPOSED, _TOO_OLD if table.needed(version) else _NEVER_FIXED


def _updates_row(software: SoftwareSettings, table: FixTable) -> ExposureRow:
    """Judge by the updates. That none is listed proves nothing, unless none at all came after the fix."""
    windows = software.version
    holding = [one for one in software.updates if _holds(one, table)]
    installed = [one for one in holding if one.state in _IN]
    trap = [one for one in software.updates if table.updates.get(one.name) is False and one.state in _IN]
    value = ", ".join(dict.fromkeys(_update_text(one) for one in [*holding, *trap])) or "none of the list"
    source = next((one.source for one in [*installed, *holding, *trap]), software.updates_source)
    if windows is not None and windows[:3] >= table.fixed_from:
        value = f"Windows {as_text(windows)}"
        return _row(Check.UPDATES, ExposureVerdict.PROTECTED, value, source, _FIXED_FROM_RELEASE)
    if windows is not None and windows[3] > 0 and table.is_fixed(windows):
        value = f"Windows {as_text(windows)}, {value}"
        return _row(Check.UPDATES, ExposureVerdict.PROTECTED, value, source, _INSTALLED)
    if installed:
        return _row(Check.UPDATES, ExposureVerdict.PROTECTED, value, source, _INSTALLED)
    reasons = (_APRIL_2017,) if trap else ()
    if not software.updates_certain:
        return _row(Check.UPDATES, ExposureVerdict.NOT_KNOWN, value, source, *reasons, _UPDATES_DAMAGED)
    if software.newest_utc is not None and software.newest_utc < FIX_PUBLISHED_UTC:
        value += f", newest {software.newest_utc[:10]}"
        return _row(Check.UPDATES, ExposureVerdict.EXPOSED, value, source, _NOTHING_SINCE)
    return _row(Check.UPDATES, ExposureVerdict.NOT_KNOWN, value, source, *reasons, _LATER_MAY_HOLD)


def _holds(update: Update, table: FixTable) -> bool:
    """Say whether an update brings the fix: as listed, or a rollup that makes a fixed Windows."""
    if update.version is not None:
        return table.is_fixed(update.version) is True
    return table.updates.get(update.name) is True


def _update_text(update: Update) -> str:
    date = "" if update.installed_utc is None else f" {update.installed_utc[:10]}"
    return f"{update.name} {update.state.value}{date}"


def _pending_rows(facts: ExposureFacts, table: FixTable) -> Iterator[ExposureRow]:
    """Yield what the next start would change: another srv.sys, or an update that is prepared."""
    for settings in facts.settings[:1]:
        for rename in settings.replaces_driver:
            source = rf"ControlSet{settings.number:03d}\Control\Session Manager\PendingFileRenameOperations"
            yield _row(Check.PENDING, ExposureVerdict.NOTED, rename, source, _ONLY_AFTER_RESTART)
    if facts.software is None:
        return
    restart = facts.software.restart_pending
    waiting = [one for one in facts.software.updates if one.state is UpdateState.PENDING and _holds(one, table)]
    for update in waiting:
        yield _row(Check.PENDING, ExposureVerdict.NOTED, _update_text(update), update.source, _ONLY_AFTER_RESTART)
    if restart.value is not None and not waiting:
        yield _row(Check.PENDING, ExposureVerdict.NOTED, "RebootPending", restart.source, _RESTART_PENDING)


def as_text(version: Version) -> str:
    """Return `6.1.7601.17514`."""
    return ".".join(map(str, version))


def _row(check: Check, verdict: ExposureVerdict, value: str, source: str, *reasons: str) -> ExposureRow:
    return ExposureRow(check=check, verdict=verdict, value=value, source=source, reasons=reasons)
