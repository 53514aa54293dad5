"""Names that were asked for, and names that are answered in the file `hosts` → findings.

Whether a kill-switch domain answers decides what the worm does: so contact with it says "it asked", an entry in `hosts`
is somebody's measure, a good or a bad one, and the log of a DNS server tells of other computers than the examined one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from triage.artefacts.dns_text import AskedName, DnsText
from triage.examiners.clock import Clock
from triage.examiners.places import times_of, where_is
from triage.indicators.network import MEANINGS, NetworkIndicator, NetworkIndicators
from triage.model.entry import Subject
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.told import Told

_MOST_LISTED = 20
_BLOCKED = (
    "harmful: the worm stops only where a server answers for this name; sent nowhere, or to this computer without a "
    "web server, it goes on"
)
_REDIRECTED = "a sinkhole or an immunisation: where a web server answers at this address, the worm stops"


@dataclass(slots=True)
class _Mention:
    """All places of one text that name one indicator."""

    said: str
    line: int
    count: int = 0
    asked_by: dict[str, None] = field(default_factory=dict)
    answers: dict[str, None] = field(default_factory=dict)


class DnsExaminer:
    """Takes the lines of a print of the DNS cache, or of a DNS server's debug log."""

    def __init__(self, subject: Subject, clock: Clock, network: NetworkIndicators) -> None:  # noqa: ARG002
        self._subject = subject
        self._network = network
        self._text = DnsText()
        self._number = 0
        self._mentions: dict[str, _Mention] = {}
        self._printed: _Mention | None = None

    def line(self, text: str) -> None:
        """Take one line."""
        self._number += 1
        asked = self._text.asked(text)
        if asked is not None:
            self._printed = self._note(asked)
        elif self._printed is not None:
            address = self._text.answer(text)
            if address is not None:
                _hold(self._printed.answers, address)

    def end(self) -> Told:
        """Return what the text told."""
        return Told(findings=tuple(self._finding(name, one) for name, one in self._mentions.items()))

    def _note(self, asked: AskedName) -> _Mention | None:
        indicator = self._network.of_name(asked.name)
        if indicator is None:
            return None
        mention = self._mentions.setdefault(indicator.value, _Mention(asked.said, self._number))
        mention.count += 1
        if asked.asked_by:
            _hold(mention.asked_by, asked.asked_by)
        return mention

    def _finding(self, name: str, mention: _Mention) -> Finding:
        indicator = self._network.names[name]
        lists = {"asked_by": mention.asked_by, "answers": mention.answers}
        facts = {
            "description": "A listed name in a text that tells which names were asked for",
            "contact": indicator.kind.value,
            "meaning": MEANINGS[indicator.kind],
            "mentions": str(mention.count),
            "line": str(mention.line),
            **{key: ", ".join(values) for key, values in lists.items() if values},
        }
        return _finding(self._subject, self._network, indicator, _severity(indicator, mention), mention.said, facts)


class HostsExaminer:
    """Takes the lines of the file `hosts`."""

    def __init__(self, subject: Subject, clock: Clock, network: NetworkIndicators) -> None:  # noqa: ARG002
        self._subject = subject
        self._network = network
        self._number = 0
        self._findings: list[Finding] = []

    def line(self, text: str) -> None:
        """Take one line: an address, then the names that it answers for."""
        self._number += 1
        address, *names = text.partition("#")[0].split() or [""]
        for name in names:
            indicator = self._network.of_name(name)
            if indicator is not None and len(self._findings) < _MOST_LISTED:
                facts = {
                    "description": "An entry for a listed name in the file hosts: somebody's measure, no trace",
                    "meaning": _BLOCKED if _leads_nowhere(address) else _REDIRECTED,
                    "address": address,
                    "line": str(self._number),
                }
                finding = _finding(self._subject, self._network, indicator, Severity.LOW, text.strip(), facts)
                self._findings.append(finding)

    def end(self) -> Told:
        """Return what the file told."""
        return Told(findings=tuple(self._findings))


def _severity(indicator: NetworkIndicator, mention: _Mention) -> Severity:
    """A text may have come from elsewhere: medium at most; what other computers asked a server for is low."""
    asked_here = all(_leads_nowhere(address) for address in mention.asked_by)
    if not asked_here or indicator.severity is Severity.LOW:
        return Severity.LOW
    return Severity.MEDIUM


def _leads_nowhere(address: str) -> bool:
    """Say whether an address is this computer's own, or none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return parsed.is_loopback or parsed.is_unspecified


def _hold(values: dict[str, None], value: str) -> None:
    """Keep a value, once, in the order of coming, up to a limit."""
    if len(values) < _MOST_LISTED:
        values[value] = None


def _finding(
    subject: Subject,
    network: NetworkIndicators,
    indicator: NetworkIndicator,
    severity: Severity,
    excerpt: str,
    facts: dict[str, str],
) -> Finding:
    return Finding(
        family=network.family,
        kind=FindingKind.NETWORK,
        indicator=indicator.value,
        set=network.info.name,
        severity=severity,
        where=where_is(subject),
        times=times_of(subject.si, None),
        excerpt=excerpt,
        facts={**facts, "confidence": indicator.confidence.value, "source": indicator.source},
    )
