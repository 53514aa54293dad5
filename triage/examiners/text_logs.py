"""The texts in which Windows, or somebody at it, keeps traces of the network, and who examines each: one table."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from triage.examiners.asked_names import DnsExaminer, HostsExaminer
from triage.examiners.clock import Clock
from triage.examiners.firewall import FirewallExaminer
from triage.indicators.network import NetworkIndicators
from triage.model.entry import Subject
from triage.model.told import Told


class LineExaminer(Protocol):
    """Looks at one text line by line."""

    def line(self, text: str) -> None:
        """Take one line."""
        ...

    def end(self) -> Told:
        """Return what the text told."""
        ...


class TextLog(NamedTuple):
    """One kind of text: `path` is held against the whole path from the root in lower case.

    `names` (lower case) are what such files are called; they find the few of a million that are candidates.
    """

    path: re.Pattern[str]
    names: tuple[str, ...]
    examiner: Callable[[Subject, Clock, NetworkIndicators], LineExaminer]


_FIREWALL = ("pfirewall.log", "pfirewall.log.old")
_DNS_SERVER = ("dns.log", "dnsdebug.log")
_DNS_CACHE = ("displaydns.txt", "dnscache.txt", "dns_cache.txt", "ipconfig.txt", "dns.txt")

TEXT_LOGS: tuple[TextLog, ...] = (
    TextLog(re.compile(r"[^/]+/(?:system32/logfiles/firewall/)?pfirewall\.log(?:\.old)?"), _FIREWALL, FirewallExaminer),
    TextLog(re.compile(r"[^/]+/system32/drivers/etc/hosts"), ("hosts",), HostsExaminer),
    TextLog(re.compile(r"[^/]+/system32/dns/[^/]+"), _DNS_SERVER, DnsExaminer),
    TextLog(re.compile(r"(?:.*/)?(?:displaydns|dns_?cache|ipconfig|dns)\.txt"), _DNS_CACHE, DnsExaminer),
)
