"""Which ports Windows' own firewall leaves open, profile by profile.

A block rule that nothing limits wins over every other; else an allow rule opens, were it for some addresses only: the
worm comes from the neighbour. What no rule names is blocked, unless a profile says otherwise ("Windows Defender
Firewall with Advanced Security", Microsoft). What group policy sets wins over what is set locally, and may put local
rules out of force ([MS-GPFAS] 2.2.3). A port is closed only where all that could open it is known and understood.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from triage.model.exposure import Check, ExposureRow, ExposureVerdict, Phrase, phrased
from triage.model.exposure_facts import (
    ControlSetSettings,
    Firewall,
    FirewallPolicy,
    FirewallProfile,
    Found,
    PortRule,
    ProfilePolicy,
    RuleAction,
)
from triage.model.text import N_

PORTS = {Check.PORT_445: 445, Check.PORT_139: 139, Check.PORT_135: 135}
_AUTOMATIC, _DISABLED = 2, 4
_SWITCH = {True: N_("on"), False: N_("off"), None: N_("not known")}
_PROFILES = {
    "Domain": N_("Domain"),
    "Private": N_("Private"),
    "Public": N_("Public"),
    "Standard": N_("Standard"),
}
_PORT_OPEN = N_("The firewall lets connections to this port in, in at least one network profile.")
_PORT_CLOSED = N_("The firewall blocks this port in every network profile.")
_FIREWALL_ON = N_("The firewall is on in every network profile.")
_FIREWALL_OFF = N_("The firewall is off, in at least one network profile or as a whole.")
_NOT_TOLD = N_("The registry does not tell.")
_SERVICE_DISABLED = N_("service disabled")

_IS_OFF = N_("open, firewall off")
_OPEN_BY = N_("open by {name}")
_OPEN_BY_DEFAULT = N_("open, no rule and allowed by default")
_NO_EXCEPTIONS = N_("closed, no exceptions")
_CLOSED_BY = N_("closed by {name}")
_CLOSED_OFF = N_("closed, {name}")
_CLOSED = N_("closed, no rule opens it")
_NOT_KNOWN = N_("not known")
_UNREADABLE = N_("not known, rules unreadable")
_ONLY_LOCAL = N_("closed by local settings, group policy not known")
_FORCE_NOT_KNOWN = N_("not known whether {name} is in force")
_POLICY_OPPOSES = N_("not known, {name} in group policy is against it")


class _Gate(NamedTuple):
    """What one profile does with one port: open or not (None: not known), and why; `name` is the rule that says so."""

    is_open: bool | None
    why: str
    name: str = ""


class _InForce(NamedTuple):
    """One profile as group policy and local settings make it together.

    `rules` are in force, `doubtful` are rules of which that is not known; `is_certain`: there are no others.
    `policy_offs` are open ports that group policy switches off.
    """

    name: str
    is_on: bool | None
    no_exceptions: Found
    blocks_by_default: Found
    rules: tuple[PortRule, ...]
    doubtful: tuple[PortRule, ...]
    policy_offs: tuple[PortRule, ...]
    is_certain: bool


def firewall_rows(settings: ControlSetSettings, policy: FirewallPolicy) -> Iterator[ExposureRow]:
    """Yield a row for the firewall itself and one for each port."""
    firewall = settings.firewall
    profiles = [_in_force(firewall, one, policy) for one in firewall.profiles]
    said = [Phrase(text=_SWITCH[one.is_on], label=_PROFILES[one.name]) for one in profiles]
    if _runs(firewall) is False:
        said.insert(0, Phrase(text=_SERVICE_DISABLED))
    is_open = _any_open(None if one.is_on is None else not one.is_on for one in profiles)
    is_open = None if is_open is False and not policy.is_read else is_open
    yield _row(Check.FIREWALL, said, settings, is_open, {True: _FIREWALL_OFF, False: _FIREWALL_ON})
    for check, port in PORTS.items():
        gates = {one.name: _known(_gate(port, one), policy) for one in profiles}
        said = [Phrase(text=gate.why, of=_of(gate), label=_PROFILES[name]) for name, gate in gates.items()]
        is_open = _any_open(gate.is_open for gate in gates.values())
        yield _row(check, said, settings, is_open, {True: _PORT_OPEN, False: _PORT_CLOSED})


def _known(gate: _Gate, policy: FirewallPolicy) -> _Gate:
    """Return what one may know: that a port is closed only if group policy was read, which could open it."""
    return gate if policy.is_read or gate.is_open is not False else _Gate(None, _ONLY_LOCAL)


def _of(gate: _Gate) -> dict[str, str]:
    return {"name": gate.name} if gate.name else {}


def _in_force(firewall: Firewall, profile: FirewallProfile, policy: FirewallPolicy) -> _InForce:
    """Lay group policy over one local profile; a policy that was not read is as one that sets nothing here."""
    over = policy.profiles.get(profile.name, _no_policy(profile.name))
    switches = over.switches
    of_policy = tuple(one for one in policy.rules if profile.name in one.profiles)
    local = tuple(one for one in firewall.rules if profile.name in one.profiles)
    merges = over.merges_rules if firewall.is_new else over.merges_ports
    kept, doubtful = _merged(local, merges, is_new=firewall.is_new)
    return _InForce(
        name=profile.name,
        is_on=_is_on(_over(switches.enabled, profile.enabled), _runs(firewall)),
        no_exceptions=_over(switches.no_exceptions, profile.no_exceptions),
        blocks_by_default=_over(switches.blocks_by_default, profile.blocks_by_default),
        rules=(*of_policy, *kept),
        doubtful=doubtful,
        policy_offs=tuple(one for one in of_policy if one.action is RuleAction.OFF),
        is_certain=policy.rules_certain and (firewall.rules_certain or (firewall.is_new and merges.value == 0)),
    )


def _no_policy(name: str) -> ProfilePolicy:
    unset = Found(source="")
    switches = FirewallProfile(name=name, enabled=unset, no_exceptions=unset, blocks_by_default=unset)
    return ProfilePolicy(switches=switches, merges_rules=unset, merges_ports=unset)


def _merged(
    local: tuple[PortRule, ...], merges: Found, *, is_new: bool
) -> tuple[tuple[PortRule, ...], tuple[PortRule, ...]]:
    """Return the local rules that are in force, and those of which it is not known.

    Since Windows Vista a policy of 0 puts all of them out of force. Of Windows XP it is told of open ports only, and
    not how it goes with its other switches.
    """
    if merges.value == 1 or (merges.value is None and merges.certain):
        return local, ()
    if is_new and merges.value == 0:
        return (), ()
    return (), local


def _over(policy: Found, local: Found) -> Found:
    """Return the value of group policy where there is one, else the local one; not certain where either is not."""
    if policy.value is not None:
        return policy
    return local if policy.certain else policy


def _runs(firewall: Firewall) -> bool | None:
    """Say whether the services that the firewall needs start by themselves."""
    starts = [one.value for one in firewall.services]
    if _DISABLED in starts:
        return False
    return True if all(start == _AUTOMATIC for start in starts) else None


def _is_on(switch: Found, runs: bool | None) -> bool | None:
    if switch.value == 0 or runs is False:
        return False
    return True if switch.value == 1 and runs is True else None


def _gate(port: int, profile: _InForce) -> _Gate:
    if profile.is_on is not True:
        return _Gate(None, _NOT_KNOWN) if profile.is_on is None else _Gate(True, _IS_OFF)
    if profile.no_exceptions.value == 1:
        return _Gate(False, _NO_EXCEPTIONS)
    rules = [one for one in profile.rules if port in one.ports]
    blocking = next((one for one in rules if one.action is RuleAction.BLOCK and one.scope == ""), None)
    if blocking is not None:
        return _Gate(False, _CLOSED_BY, blocking.name)
    opening = next((one for one in rules if one.action is RuleAction.ALLOW), None)
    against = next((one for one in profile.policy_offs if port in one.ports), None)
    if opening is not None:
        # where group policy switches off what another rule opens, which of them wins is not published for all cases
        return _Gate(True, _OPEN_BY, _named(opening)) if against is None else _Gate(None, _POLICY_OPPOSES, against.name)
    return _without_rule(port, profile, rules)


def _without_rule(port: int, profile: _InForce, rules: list[PortRule]) -> _Gate:
    """Judge a port that no rule surely in force opens or blocks."""
    doubtful = next((one for one in profile.doubtful if port in one.ports and one.action is not RuleAction.OFF), None)
    if doubtful is not None:
        return _Gate(None, _FORCE_NOT_KNOWN, doubtful.name)
    if profile.blocks_by_default.value == 0:
        return _Gate(True, _OPEN_BY_DEFAULT)
    default = profile.blocks_by_default
    is_blocked = default.value == 1 or (default.value is None and default.certain)
    if not (is_blocked and profile.is_certain and profile.no_exceptions.certain):
        return _Gate(None, _UNREADABLE)
    switched_off = next((one for one in rules if one.action is RuleAction.OFF), None)
    return _Gate(False, _CLOSED) if switched_off is None else _Gate(False, _CLOSED_OFF, switched_off.name)


def _named(rule: PortRule) -> str:
    return f"{rule.name} ({rule.scope})" if rule.scope else rule.name


def _any_open(gates: Iterator[bool | None]) -> bool | None:
    """Say whether any of the gates is open; not known where none is but one is not known, or there is no gate."""
    states = list(gates)
    return True if True in states else None if None in states or not states else False


def _row(
    check: Check,
    said: list[Phrase],
    settings: ControlSetSettings,
    is_open: bool | None,
    reasons: Mapping[bool, str],
) -> ExposureRow:
    verdict = {True: ExposureVerdict.EXPOSED, False: ExposureVerdict.MITIGATED, None: ExposureVerdict.NOT_KNOWN}
    return ExposureRow(
        check=check,
        verdict=verdict[is_open],
        value=phrased(said),
        phrases=tuple(said),
        source=settings.firewall.source,
        reasons=(_NOT_TOLD if is_open is None else reasons[is_open],),
        control_set=settings.role,
    )
