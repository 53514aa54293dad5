"""Is the fix in: the version of srv.sys decides; packages are a second witness, and stand in where there is no file.

Sources: MS17-010 (Microsoft, 2017-03-14), the table of `indicators/ms17_010.py` and what it cites.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from triage.indicators.ms17_010 import FIX_PUBLISHED_UTC, FixTable
from triage.model.exposure import Check, ExposureRow, ExposureVerdict, Phrase, phrased
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
_OTHER_PRODUCT = N_("Updates for another Windows, or for another service pack, do not count.")
_STATES = {
    UpdateState.ABSENT: N_("{update} absent {date}"),
    UpdateState.PENDING: N_("{update} pending {date}"),
    UpdateState.SUPERSEDED: N_("{update} superseded {date}"),
    UpdateState.INSTALLED: N_("{update} installed {date}"),
}
_WINDOWS_10 = 10
_NONE_LISTED = N_("none of the list")
_NEWEST = N_("newest {date}")
_NOT_THERE = N_("not there")
_FIXED_FROM = N_("{version} (fixed from {needed})")
_LAST_CHANGED = N_("last changed {date}")
_DRIVER_STATES = {
    DriverState.UNKNOWN: N_("unknown"),
    DriverState.UNREADABLE: N_("unreadable"),
}
_IN = (UpdateState.INSTALLED, UpdateState.SUPERSEDED)


def fix_rows(facts: ExposureFacts, table: FixTable) -> Iterator[ExposureRow]:
    """Yield the rows of the fix: driver, updates, and what waits for the next start."""
    software = facts.software
    updates = None if software is None else _updates_row(software, table)
    if facts.driver is not None:
        row = _driver_row(facts.driver, facts.settings[:1], table)
        opposite = {ExposureVerdict.EXPOSED, ExposureVerdict.PROTECTED}
        if updates is not None and {row.verdict, updates.verdict} == opposite:
            row = replace(row, reasons=(*row.reasons, _UPDATES_DISAGREE))
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
                return _row(Check.DRIVER, ExposureVerdict.PROTECTED, [_gone()], driver.path, _NO_DRIVER)
            return _row(Check.DRIVER, ExposureVerdict.NOT_KNOWN, [_gone()], driver.path, _DRIVER_GONE)
        case _:
            said = Phrase(text=_DRIVER_STATES.get(driver.state, _DRIVER_STATES[DriverState.UNREADABLE]))
            said = _as_found(driver.detail) if driver.detail else said
            return _row(Check.DRIVER, ExposureVerdict.NOT_KNOWN, [said], driver.path, _DRIVER_UNREADABLE)


def _version_row(driver: Driver, version: Version, table: FixTable) -> ExposureRow:
    needed = table.needed(version)
    said = [
        Phrase(text=_FIXED_FROM, of={"version": as_text(version), "needed": needed})
        if needed
        else _as_found(as_text(version))
    ]
    if driver.changed_utc is not None:
        said.append(Phrase(text=_LAST_CHANGED, of={"date": driver.changed_utc[:10]}))
    verdict, reason = _judge_version(version, table)
    return _row(Check.DRIVER, verdict, said, driver.path, reason)


def _judge_version(version: Version, table: FixTable) -> tuple[ExposureVerdict, str]:
    is_fixed = table.is_fixed(version)
    if is_fixed is None:
        return ExposureVerdict.NOT_KNOWN, _UNKNOWN_LINE
    if is_fixed:
        is_new = version[:3] >= table.fixed_from
        return ExposureVerdict.PROTECTED, _FIXED_FROM_RELEASE if is_new else _FIXED
    return ExposureVerdict.EXPOSED, _TOO_OLD if table.needed(version) else _NEVER_FIXED


def _updates_row(software: SoftwareSettings, table: FixTable) -> ExposureRow:
    """Judge by the updates of this Windows. That none is listed proves nothing, unless none at all came later.

    Its own revision counts from Windows 10 on only, where every update is cumulative: before, an update of April 2017
    that lacks the fix raises it, too.
    """
    windows = software.version
    holding = [one for one in software.updates if _holds(one, windows, table)]
    installed = [one for one in holding if one.state in _IN]
    others = [one for one in software.updates if one not in holding and one.state in _IN and one.version is None]
    by_text = {phrased([one]): one for one in map(_update_said, [*holding, *others])}
    said = list(by_text.values()) or [Phrase(text=_NONE_LISTED)]
    source = next((one.source for one in [*installed, *holding, *others]), software.updates_source)
    judged = _by_windows(windows, table)
    if judged is not None and windows is not None:
        return _row(Check.UPDATES, judged[0], [_as_found(f"Windows {as_text(windows)}"), *said], source, judged[1])
    if installed:
        return _row(Check.UPDATES, ExposureVerdict.PROTECTED, said, source, _INSTALLED)
    reasons = _not_counted(others, windows, table)
    if not software.updates_certain:
        return _row(Check.UPDATES, ExposureVerdict.NOT_KNOWN, said, source, *reasons, _UPDATES_DAMAGED)
    if software.newest_utc is not None and software.newest_utc < FIX_PUBLISHED_UTC:
        said.append(Phrase(text=_NEWEST, of={"date": software.newest_utc[:10]}))
        return _row(Check.UPDATES, ExposureVerdict.EXPOSED, said, source, _NOTHING_SINCE)
    return _row(Check.UPDATES, ExposureVerdict.NOT_KNOWN, said, source, *reasons, _LATER_MAY_HOLD)


def _by_windows(windows: Version | None, table: FixTable) -> tuple[ExposureVerdict, str] | None:
    """Judge by the number of Windows alone; None where it does not decide."""
    if windows is None:
        return None
    if windows[:3] >= table.fixed_from:
        return ExposureVerdict.PROTECTED, _FIXED_FROM_RELEASE
    if table.was_never_fixed(windows):
        return ExposureVerdict.EXPOSED, _NEVER_FIXED
    is_cumulative = windows[0] >= _WINDOWS_10
    return (ExposureVerdict.PROTECTED, _INSTALLED) if is_cumulative and table.is_fixed(windows) else None


def _not_counted(updates: Sequence[Update], windows: Version | None, table: FixTable) -> tuple[str, ...]:
    """Return why installed updates that are in the table do not close the hole."""
    told = {table.holds(one.name, windows) for one in updates}
    return ((_APRIL_2017,) if False in told else ()) + ((_OTHER_PRODUCT,) if None in told else ())


def _holds(update: Update, windows: Version | None, table: FixTable) -> bool:
    """Say whether an update brings the fix to this Windows: as listed for it, or a rollup that makes it a fixed one."""
    if update.version is None:
        return table.holds(update.name, windows) is True
    return windows is not None and update.version[:3] == windows[:3] and table.is_fixed(update.version) is True


def _update_said(update: Update) -> Phrase:
    return Phrase(text=_STATES[update.state], of={"update": update.name, "date": (update.installed_utc or "")[:10]})


def _pending_rows(facts: ExposureFacts, table: FixTable) -> Iterator[ExposureRow]:
    """Yield what the next start would change: another srv.sys, or an update that is prepared."""
    for settings in facts.settings[:1]:
        for rename in settings.replaces_driver:
            source = rf"ControlSet{settings.number:03d}\Control\Session Manager\PendingFileRenameOperations"
            yield _row(Check.PENDING, ExposureVerdict.NOTED, [_as_found(rename)], source, _ONLY_AFTER_RESTART)
    if facts.software is None:
        return
    restart = facts.software.restart_pending
    of_windows = [one for one in facts.software.updates if _holds(one, facts.software.version, table)]
    waiting = [one for one in of_windows if one.state is UpdateState.PENDING]
    for update in waiting:
        yield _row(Check.PENDING, ExposureVerdict.NOTED, [_update_said(update)], update.source, _ONLY_AFTER_RESTART)
    if restart.value is not None and not waiting:
        yield _row(Check.PENDING, ExposureVerdict.NOTED, [_as_found("RebootPending")], restart.source, _RESTART_PENDING)


def as_text(version: Version) -> str:
    """Return `6.1.7601.17514`."""
    return ".".join(map(str, version))


def _as_found(text: str) -> Phrase:
    """Return what is the same in every language."""
    return Phrase(text="{found}", of={"found": text})


def _gone() -> Phrase:
    return Phrase(text=_NOT_THERE)


def _row(check: Check, verdict: ExposureVerdict, said: Sequence[Phrase], source: str, *reasons: str) -> ExposureRow:
    return ExposureRow(
        check=check, verdict=verdict, value=phrased(said), phrases=tuple(said), source=source, reasons=reasons
    )
