r"""Windows' own firewall in the registry: profiles, and the rules for the ports that worms come in by.

Rules since Windows Vista are one string each (`v2.10|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=445|`): "Firewall
Rule and the Firewall Rule Grammar Rule", [MS-GPFAS] 2.2.2.19; local rules have the same form. Windows XP and 2003 list
open ports instead: `445:TCP:LocalSubNet:Enabled:name`. SMB listens in the kernel (`App=System`), DCOM's endpoint mapper
in the service `RpcSs`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from triage.artefacts.lookup import Lookup
from triage.model.exposure_facts import Firewall, FirewallPolicy, FirewallProfile, PortRule, RuleAction

SMB_PORTS = (139, 445)
RPC_PORT = 135
PORTS = (RPC_PORT, *SMB_PORTS)
PROFILES = ("Domain", "Private", "Public")
OLD_PROFILES = ("Domain", "Standard")

_PROFILE_KEYS = {
    "Domain": "DomainProfile",
    "Private": "StandardProfile",
    "Public": "PublicProfile",
    "Standard": "StandardProfile",
}
_POLICY_KEYS = {"Private": ("PrivateProfile", "StandardProfile")}
_ENABLED = "EnableFirewall"
_NO_EXCEPTIONS = "DoNotAllowExceptions"
_DEFAULT = "DefaultInboundAction"
_VERSION = re.compile(r"v\d+\.\d+", re.ASCII)
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_KEYWORD = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
_NO_TEXT = ("Cc", "Cn", "Co", "Cs")  # categories of what no rule is written with
_TCP = "6"
_LOCAL_PORTS = ("lport", "lport2_10", "lport2_20")
_NO_LIMITS = {
    *("action", "active", "dir", "protocol", "profile", *_LOCAL_PORTS, "app", "svc"),
    *("name", "desc", "embedctxt", "edge", "defer", ""),
}
_ELSEWHERE = re.compile(r"apppkgid|luown|ttk\w*")  # one app of the store, one user's programs, a tunnel (Wi-Fi Direct)
_ACTIONS = {"allow": RuleAction.ALLOW, "bypass": RuleAction.ALLOW, "block": RuleAction.BLOCK}


def read_firewall(services: Lookup) -> Firewall:
    """Read the firewall of one control set from its `Services` key."""
    policy = services.key(r"SharedAccess\Parameters\FirewallPolicy")
    rules = policy.key("FirewallRules")
    is_new = rules.is_there
    names = PROFILES if is_new else OLD_PROFILES
    found = list(_rules(rules)) if is_new else [rule for name in names for rule in _open_ports(policy, name)]
    return Firewall(
        source=policy.source,
        service_start=services.key("MpsSvc" if is_new else "SharedAccess").found("Start"),
        profiles=tuple(_profile(policy.key(_PROFILE_KEYS[name]), name) for name in names),
        rules=tuple(rule for rule in found if rule is not None),
        rules_certain=policy.is_there and rules.is_certain and None not in found,
    )


def read_firewall_policy(software: Lookup) -> FirewallPolicy:
    """Read what group policy sets, from the root of SOFTWARE; empty where there is none."""
    policy = software.key(r"Policies\Microsoft\WindowsFirewall")
    switches = {
        name: switch
        for name in (*PROFILES, "Standard")
        for key in _POLICY_KEYS.get(name, (_PROFILE_KEYS[name],))
        if (switch := policy.key(key).found(_ENABLED)).value is not None
    }
    rules = policy.key("FirewallRules")
    found = list(_rules(rules))
    return FirewallPolicy(
        switches=switches,
        rules=tuple(rule for rule in found if rule is not None),
        rules_certain=rules.is_certain and None not in found,
    )


def _profile(key: Lookup, name: str) -> FirewallProfile:
    return FirewallProfile(
        name=name,
        enabled=key.found(_ENABLED),
        no_exceptions=key.found(_NO_EXCEPTIONS),
        blocks_by_default=key.found(_DEFAULT),
    )


def _rules(key: Lookup) -> Iterator[PortRule | None]:
    """Yield the rules in force for the ports looked at, and None for each that is no rule."""
    for value in key.values():
        fields = _fields(value.text or "")
        if fields is None:
            yield None
        elif (rule := _rule(value.name, fields)) is not None:
            yield rule


def _fields(text: str) -> dict[str, list[str]] | None:
    """Split a rule; None where it is not of the grammar, or lacks what every rule has."""
    version, *rest = text.split("|")
    fields: dict[str, list[str]] = {}
    for field in rest:
        name, _equals, value = field.partition("=")
        fields.setdefault(name.casefold(), []).append(value)
    is_rule = (
        _VERSION.fullmatch(version) is not None
        and rest[-1:] == [""]
        and not any(unicodedata.category(character) in _NO_TEXT for character in text)
        and _one(fields, "Action") in _ACTIONS
        and _one(fields, "Active") in ("true", "false")
        and _one(fields, "Dir") in ("in", "out")
        and all(_RANGE.fullmatch(one) or _KEYWORD.fullmatch(one) for one in _local_ports(fields))
    )
    return fields if is_rule else None


def _one(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name.casefold(), [""])[0].casefold()


def _local_ports(fields: dict[str, list[str]]) -> list[str]:
    return [one for name in _LOCAL_PORTS for one in fields.get(name, ())]


def _rule(name: str, fields: dict[str, list[str]]) -> PortRule | None:
    """Return what a rule says of the ports looked at; None where it says nothing of them, or is not in force."""
    if _one(fields, "Active") != "true" or _one(fields, "Dir") != "in" or _one(fields, "Protocol") not in ("", _TCP):
        return None
    if any(_ELSEWHERE.fullmatch(field) for field in fields):
        return None
    named = _local_ports(fields)
    ports = tuple(port for port in PORTS if _names(named, port) and _is_of_listener(fields, port))
    profiles = [one.casefold() for one in fields.get("profile", PROFILES)]
    limits = [f"{field}={value}" for field, values in fields.items() if field not in _NO_LIMITS for value in values]
    rule = PortRule(
        name=name,
        action=_ACTIONS[_one(fields, "Action")],
        ports=ports,
        profiles=tuple(one for one in PROFILES if one.casefold() in profiles),
        scope=", ".join(limits),
    )
    return rule if ports else None


def _names(named: list[str], port: int) -> bool:
    """Say whether the ports of a rule have one among them; no ports mean all."""
    ranges = [match for one in named if (match := _RANGE.fullmatch(one)) is not None]
    if any(int(match[1]) <= port <= int(match[2] or match[1]) for match in ranges):
        return True
    return not named or (port == RPC_PORT and "rpc-epmap" in map(str.casefold, named))


def _is_of_listener(fields: dict[str, list[str]], port: int) -> bool:
    """Say whether a rule is for the program and the service that listen at a port, or for all."""
    program, service = _one(fields, "App"), _one(fields, "Svc")
    if port == RPC_PORT:
        return (program == "" or program.endswith(r"\svchost.exe")) and service in ("", "*", "rpcss")
    return program in ("", "system") and service == ""


def _open_ports(policy: Lookup, profile: str) -> Iterator[PortRule | None]:
    """Yield the entries of Windows XP for the ports looked at, and None for each that is not of their form."""
    for value in policy.key(rf"{_PROFILE_KEYS[profile]}\GloballyOpenPorts\List").values():
        port, protocol, scope, mode, *_name = [*(value.text or "").split(":", 4), "", "", "", ""]
        if not port.isdecimal() or mode.casefold() not in ("enabled", "disabled"):
            yield None
        elif int(port) in PORTS and protocol.casefold() == "tcp":
            yield PortRule(
                name=value.text or "",
                action=RuleAction.ALLOW if mode.casefold() == "enabled" else RuleAction.OFF,
                ports=(int(port),),
                profiles=(profile,),
                scope="" if scope == "*" else scope,
            )
