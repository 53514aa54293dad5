r"""Windows' own firewall in the registry: profiles, and the rules for the ports that worms come in by.

Rules since Windows Vista are one string each (`v2.10|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=445|`): "Firewall
Rule and the Firewall Rule Grammar Rule", [MS-GPFAS] 2.2.2.19; local rules have the same form. Windows XP and 2003 list
open ports instead (`445:TCP:LocalSubNet:Enabled:name`), and have two switches that open more, `Services\FileAndPrint`
and `RemoteAdminSettings` (Windows' templates of group policy); later ones heed all three in group policy. SMB listens
in the kernel (`App=System`), DCOM's endpoint mapper in the service `RpcSs`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from triage.artefacts.lookup import Lookup
from triage.model.exposure_facts import (
    Firewall,
    FirewallPolicy,
    FirewallProfile,
    Found,
    PortRule,
    ProfilePolicy,
    RuleAction,
)

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
_POLICY_KEYS = {"Private": ("PrivateProfile", "StandardProfile")}  # the first that says something counts
_OPENED_BY = {"DomainProfile": ("Domain",), "StandardProfile": ("Standard", "Private", "Public")}
_OPENERS = {r"Services\FileAndPrint": SMB_PORTS, "RemoteAdminSettings": (RPC_PORT, 445)}
_OPEN_PORTS = r"GloballyOpenPorts\List"
_MERGES_RULES = "AllowLocalPolicyMerge"
_MERGES_PORTS = "AllowUserPrefMerge"
_ENABLED = "EnableFirewall"
_NO_EXCEPTIONS = "DoNotAllowExceptions"
_DEFAULT = "DefaultInboundAction"
_VERSION = re.compile(r"v\d+\.\d+", re.ASCII)
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_KEYWORD = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
_NO_TEXT = ("Cc", "Cn", "Co", "Cs")  # categories of what no rule is written with
_TCP, _ANY_PROTOCOL = "6", "256"  # FW_IP_PROTOCOL_ANY, [MS-FASP]
_PROTOCOL = re.compile(r"\d{0,3}", re.ASCII)
_OUR_PROTOCOLS = ("", _TCP, _ANY_PROTOCOL)
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
    found = list(_rules(rules)) if is_new else [*_old_rules(policy)]
    needed = ("MpsSvc", "BFE") if is_new else ("SharedAccess",)  # the Base Filtering Engine does the filtering
    return Firewall(
        source=policy.source,
        is_new=is_new,
        services=tuple(services.key(name).found("Start") for name in needed),
        profiles=tuple(_profile(policy.key(_PROFILE_KEYS[name]), name) for name in names),
        rules=tuple(rule for rule in found if rule is not None),
        rules_certain=policy.is_there and rules.is_certain and None not in found,
    )


def read_firewall_policy(software: Lookup) -> FirewallPolicy:
    """Read what group policy sets, from the root of SOFTWARE: the rules of today and the exceptions of Windows XP."""
    policy = software.key(r"Policies\Microsoft\WindowsFirewall")
    rules = policy.key("FirewallRules")
    found = [*_rules(rules), *_old_rules(policy)]
    return FirewallPolicy(
        profiles={name: _profile_policy(policy, name) for name in (*PROFILES, "Standard")},
        rules=tuple(rule for rule in found if rule is not None),
        rules_certain=rules.is_certain and None not in found,
    )


def _profile_policy(policy: Lookup, name: str) -> ProfilePolicy:
    keys = [policy.key(key) for key in _POLICY_KEYS.get(name, (_PROFILE_KEYS[name],))]
    return ProfilePolicy(
        switches=FirewallProfile(
            name=name,
            enabled=_first(keys, _ENABLED),
            no_exceptions=_first(keys, _NO_EXCEPTIONS),
            blocks_by_default=_first(keys, _DEFAULT),
        ),
        merges_rules=_first(keys, _MERGES_RULES),
        merges_ports=_first([key.key("GloballyOpenPorts") for key in keys], _MERGES_PORTS),
    )


def _first(keys: Sequence[Lookup], name: str) -> Found:
    """Return a value from the first key that has it, or may have had it."""
    found = [key.found(name) for key in keys]
    return next((one for one in found if one.value is not None or not one.certain), found[-1])


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
        and _PROTOCOL.fullmatch(_one(fields, "Protocol")) is not None
        and {one.casefold() for one in fields.get("profile", ())} <= set(map(str.casefold, PROFILES))
        and all(_RANGE.fullmatch(one) or _KEYWORD.fullmatch(one) for one in _local_ports(fields))
    )
    return fields if is_rule else None


def _one(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name.casefold(), [""])[0].casefold()


def _local_ports(fields: dict[str, list[str]]) -> list[str]:
    return [one for name in _LOCAL_PORTS for one in fields.get(name, ())]


def _rule(name: str, fields: dict[str, list[str]]) -> PortRule | None:
    """Return what a rule says of the ports looked at; None where it says nothing of them, or is not in force."""
    if (
        _one(fields, "Active") != "true"
        or _one(fields, "Dir") != "in"
        or _one(fields, "Protocol") not in _OUR_PROTOCOLS
    ):
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


def _old_rules(policy: Lookup) -> Iterator[PortRule | None]:
    """Yield what Windows XP calls exceptions, for the ports looked at, and None for each that is not understood."""
    for key, profiles in _OPENED_BY.items():
        ports = policy.key(key).key(_OPEN_PORTS)
        yield from _open_ports(ports, profiles)
        if not ports.is_certain:
            yield None
        for name, opened in _OPENERS.items():
            yield from _opener(policy.key(key).key(name), name, opened, profiles)


def _open_ports(ports: Lookup, profiles: tuple[str, ...]) -> Iterator[PortRule | None]:
    for value in ports.values():
        port, protocol, scope, mode, *_name = [*(value.text or "").split(":", 4), "", "", "", ""]
        if not port.isdecimal() or mode.casefold() not in ("enabled", "disabled"):
            yield None
        elif int(port) in PORTS and protocol.casefold() == "tcp":
            yield PortRule(
                name=value.text or "",
                action=RuleAction.ALLOW if mode.casefold() == "enabled" else RuleAction.OFF,
                ports=(int(port),),
                profiles=profiles,
                scope="" if scope == "*" else scope,
            )


def _opener(key: Lookup, name: str, ports: tuple[int, ...], profiles: tuple[str, ...]) -> Iterator[PortRule | None]:
    """Yield what a switch for several ports opens; None where it is damaged or neither on nor off."""
    enabled, addresses = key.found("Enabled"), key.found("RemoteAddresses").value
    if enabled.value is None and enabled.certain:
        return
    if enabled.value not in (0, 1):
        yield None
        return
    yield PortRule(
        name=name,
        action=RuleAction.ALLOW if enabled.value == 1 else RuleAction.OFF,
        ports=ports,
        profiles=profiles,
        scope="" if addresses in (None, "*") else str(addresses),
    )
