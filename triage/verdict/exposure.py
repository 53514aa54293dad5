"""Was the hole open: a pure function from what a Windows tells to one row a check, and one answer.

The hole is there unless the fix is in, or the SMBv1 server is not. Where it is there, one closed gate on the worm's
way (the SMBv1 server, the Server service, SMB over TCP, port 445 in the firewall) mitigates it. From nothing follows
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triage.indicators.ms17_010 import FixTable
from triage.model.exposure import Check, ControlSetRole, Exposure, ExposureRow, ExposureVerdict
from triage.model.exposure_facts import ExposureFacts, FirewallPolicy
from triage.model.text import N_
from triage.verdict.firewall import firewall_rows
from triage.verdict.fix import fix_rows
from triage.verdict.smb import dcom_rows, smb_rows

_HOLE = (Check.DRIVER, Check.UPDATES)
_GATES = (Check.SMB1_SERVER, Check.SERVER_SERVICE, Check.SMB_DEVICE, Check.TRANSPORT, Check.PORT_445)

_PROTECTED = N_("MS17-010 is closed: the fix is in, or what it mends is not there.")
_MITIGATED = N_("Nothing shows that the fix is in, but a setting closes the way to the hole.")
_EXPOSED = N_("The hole of MS17-010 is open: the fix is missing, and nothing that was found closes the way to it.")
_NOT_KNOWN = N_("Whether the fix is in is not known, and nothing that was found closes the way to the hole.")
_SOME_NOT_KNOWN = N_("Part of what could close the way is not known.")
_STALE = N_("The last changes to the registry were not written out: settings may have been others at the end.")


def judge_exposure(facts: ExposureFacts, table: FixTable) -> Exposure:
    """Return the rows of one Windows and the answer that they give."""
    rows = tuple(_rows(facts, table))
    current = [row for row in rows if row.control_set is not ControlSetRole.LAST_KNOWN_GOOD]
    verdict, decided_by, reason = _answer(current)
    reasons = [reason]
    told = {row.check for row in current if row.verdict is not ExposureVerdict.NOT_KNOWN}
    if verdict is ExposureVerdict.EXPOSED and not told.issuperset(_GATES):
        reasons.append(_SOME_NOT_KNOWN)
    if facts.is_stale:
        reasons.append(_STALE)
    return Exposure(
        volume=facts.volume,
        windows=facts.windows,
        verdict=verdict,
        reasons=tuple(reasons),
        decided_by=tuple(dict.fromkeys(row.check for row in decided_by)),
        rows=rows,
    )


def _rows(facts: ExposureFacts, table: FixTable) -> Iterator[ExposureRow]:
    yield from fix_rows(facts, table)
    policy = FirewallPolicy() if facts.software is None else facts.software.firewall_policy
    windows = None if facts.software is None else facts.software.version
    if windows is None and facts.driver is not None:
        windows = facts.driver.version
    by_set = [[*smb_rows(one, windows), *firewall_rows(one, policy)] for one in facts.settings]
    for number, rows in enumerate(by_set):
        yield from rows if number == 0 else _differing(rows, by_set[0])
    if facts.software is not None:
        yield from dcom_rows(facts.software)


def _differing(rows: Sequence[ExposureRow], current: Sequence[ExposureRow]) -> Iterator[ExposureRow]:
    """Yield the rows of another control set that say something else than the current one's."""
    said = {row.check: row.value for row in current}
    yield from (row for row in rows if said.get(row.check) != row.value)


def _answer(rows: Sequence[ExposureRow]) -> tuple[ExposureVerdict, list[ExposureRow], str]:
    """Return the verdict, the rows that carry it, and the reason. The file goes before the updates."""
    hole = next((row for row in _of(rows, _HOLE) if row.verdict is not ExposureVerdict.NOT_KNOWN), None)
    if hole is not None and hole.verdict is ExposureVerdict.PROTECTED:
        return ExposureVerdict.PROTECTED, [hole], _PROTECTED
    closed = [row for row in _of(rows, _GATES) if row.verdict is ExposureVerdict.MITIGATED]
    if closed:
        return ExposureVerdict.MITIGATED, closed, _MITIGATED
    if hole is None:
        return ExposureVerdict.NOT_KNOWN, [], _NOT_KNOWN
    return ExposureVerdict.EXPOSED, [hole], _EXPOSED


def _of(rows: Sequence[ExposureRow], checks: Sequence[Check]) -> list[ExposureRow]:
    return [row for check in checks for row in rows if row.check is check]
