"""Which ports Windows' own firewall leaves open, profile by profile.

A block rule that nothing limits wins over every other; else an allow rule opens, were it for some addresses only: the
worm comes from the neighbour. What no rule names is blocked, unless a profile says otherwise ("Windows Defender
Firewall with Advanced Security", Microsoft).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from triage.model.exposure import Check, ExposureRow, ExposureVerdict
from triage.model.exposure_facts import (
    ControlSetSettings,
    Firewall,
    FirewallPolicy,
    FirewallProfile,
    Found,
    PortRule,
    RuleAction,
)
from triage.model.text import N_

PORTS = {Check.PORT_445: 445, Check.PORT_139: 139, Check.PORT_135: 135}
_DISABLED = 4
_SWITCH = {True: "on", False: "off", None: "not known"}
_PORT_OPEN = N_("The firewall lets connections to this port in, in at least one network profile.")
_PORT_CLOSED = N_("The firewall blocks this port in every network profile.")
_FIREWALL_ON = N_("The firewall is on in every network profile.")
_FIREWALL_OFF = N_("The firewall is off, in at least one network profile or as a whole.")
_NOT_TOLD = N_("The registry does not tell.")


class _Gate(NamedTuple):
    """What one profile does with one port: open or not (None: not known), and why."""

    is_open: bool | None
    why: str


def firewall_rows(settings: ControlSetSettings, policy: FirewallPolicy) -> Iterator[ExposureRow]:
    """Yield a row for the firewall itself and one for each port."""
    firewall = settings.firewall
    states = {one.name: _is_on(firewall, one, policy) for one in firewall.profiles}
    value = "; ".join(f"{name} {_SWITCH[state]}" for name, state in states.items())
    if firewall.service_start.value == _DISABLED:
        value = f"service disabled; {value}"
    is_open = _any_open(None if state is None else not state for state in states.values())
    yield _row(Check.FIREWALL, value, firewall, settings, is_open, _FIREWALL_OFF, _FIREWALL_ON)
    for check, port in PORTS.items():
        gates = {one.name: _gate(port, one, states[one.name], firewall, policy) for one in firewall.profiles}
        value = "; ".join(f"{name}: {gate.why}" for name, gate in gates.items())
        is_open = _any_open(gate.is_open for gate in gates.values())
        yield _row(check, value, firewall, settings, is_open, _PORT_OPEN, _PORT_CLOSED)


def _is_on(firewall: Firewall, profile: FirewallProfile, policy: FirewallPolicy) -> bool | None:
    """Say whether a profile's firewall is on: its service has to run, and group policy goes first."""
    if firewall.service_start.value == _DISABLED:
        return False
    switch = policy.switches.get(profile.name, profile.enabled).value
    if not isinstance(switch, int) or not isinstance(firewall.service_start.value, int):
        return None
    return switch != 0


def _gate(port: int, profile: FirewallProfile, is_on: bool | None, firewall: Firewall, policy: FirewallPolicy) -> _Gate:
    if is_on is not True:
        return _Gate(None, "not known") if is_on is None else _Gate(True, "open, firewall off")
    if _is_set(profile.no_exceptions):
        return _Gate(False, "closed, no exceptions")
    rules = [one for one in (*policy.rules, *firewall.rules) if port in one.ports and profile.name in one.profiles]
    blocking = next((one for one in rules if one.action is RuleAction.BLOCK and one.scope == ""), None)
    if blocking is not None:
        return _Gate(False, f"closed by {blocking.name}")
    opening = next((one for one in rules if one.action is RuleAction.ALLOW), None)
    if opening is not None:
        return _Gate(True, f"open by {_named(opening)}")
    if profile.blocks_by_default.value == 0:
        return _Gate(True, "open, no rule and allowed by default")
    if not (firewall.rules_certain and policy.rules_certain and profile.no_exceptions.certain):
        return _Gate(None, "not known, rules unreadable")
    switched_off = next((one for one in rules if one.action is RuleAction.OFF), None)
    return _Gate(False, "closed, no rule opens it" if switched_off is None else f"closed, {switched_off.name}")


def _named(rule: PortRule) -> str:
    return f"{rule.name} ({rule.scope})" if rule.scope else rule.name


def _is_set(found: Found) -> bool:
    return isinstance(found.value, int) and found.value != 0


def _any_open(gates: Iterator[bool | None]) -> bool | None:
    """Say whether any of the gates is open; not known where none is but one is not known, or there is no gate."""
    states = list(gates)
    return True if True in states else None if None in states or not states else False


def _row(
    check: Check,
    value: str,
    firewall: Firewall,
    settings: ControlSetSettings,
    is_open: bool | None,
    if_open: str,
    if_closed: str,
) -> ExposureRow:
    verdict = {
        True: (ExposureVerdict.EXPOSED, if_open),
        False: (ExposureVerdict.MITIGATED, if_closed),
        None: (ExposureVerdict.NOT_KNOWN, _NOT_TOLD),
    }[is_open]
    return ExposureRow(
        check=check,
        verdict=verdict[0],
        value=value,
        source=firewall.source,
        reasons=(verdict[1],),
        control_set=settings.role,
    )
