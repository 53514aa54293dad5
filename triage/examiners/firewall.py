"""The firewall's log → findings: spreading over TCP 445, and contact with listed addresses.

The worm tries every computer of its network, and random ones outside, at TCP 445, many a second. No user does that, but
another worm does, and an administrator's scan: it weighs medium at most. Contact with an address that answered for a
kill-switch domain says that the worm asked, and was perhaps told to stop.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from triage.artefacts.firewall_log import Connection, FirewallLog
from triage.examiners.clock import Clock
from triage.examiners.places import where_is
from triage.indicators.network import MEANINGS, NetworkIndicator, NetworkIndicators
from triage.model.entry import Subject
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind
from triage.model.told import Told

INDICATOR_SET = "wannacry-traffic"
SPREADING = "smb-spreading"
MANY_TARGETS, SOME_TARGETS = 64, 16
"""Different targets at TCP 445 within a minute: from the first number on medium, from the second on low."""

_SMB_PORT = 445
_MINUTE = timedelta(seconds=60)
_MOST_HELD = 100_000


@dataclass(slots=True)
class _Traffic:
    """What connections of one sort add up to; `targets` stops growing at a limit. `example` is the first one's line."""

    example: str
    first: datetime
    last: datetime
    lines: int = 0
    dropped: int = 0
    ports: set[int] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)

    def add(self, connection: Connection) -> None:
        self.first, self.last = min(self.first, connection.at), max(self.last, connection.at)
        self.lines += 1
        self.dropped += connection.dropped
        self.ports.add(connection.port)
        if len(self.targets) < _MOST_HELD:
            self.targets.add(connection.target)


class _Minute:
    """The targets of the last minute, and the most that there ever were in one, with its first moment."""

    def __init__(self) -> None:
        self._tries: deque[tuple[datetime, str]] = deque()
        self._targets: Counter[str] = Counter()
        self.most = 0
        self.busiest: datetime | None = None

    def add(self, at: datetime, target: str) -> None:
        tries, targets = self._tries, self._targets
        if tries and at < tries[-1][0]:  # the clock was set back: what was before is another minute
            tries.clear()
            targets.clear()
        tries.append((at, target))
        targets[target] += 1
        while at - tries[0][0] >= _MINUTE or len(tries) > _MOST_HELD:
            _earlier, old = tries.popleft()
            targets[old] -= 1
            if targets[old] == 0:
                del targets[old]
        if len(targets) > self.most:
            self.most, self.busiest = len(targets), tries[0][0]


class FirewallExaminer:
    """Takes the lines of one log in order."""

    def __init__(self, subject: Subject, clock: Clock, network: NetworkIndicators) -> None:
        self._subject = subject
        self._clock = clock
        self._network = network
        self._log = FirewallLog()
        self._minute = _Minute()
        self._traffic: dict[str, _Traffic] = {}  # by what it would be a finding of: spreading, or a listed address

    def line(self, text: str) -> None:
        """Take one line."""
        connection = self._log.outbound(text)
        if connection is None:
            return
        if connection.port == _SMB_PORT and connection.protocol == "TCP":
            self._take(SPREADING, connection, text)
            self._minute.add(connection.at, connection.target)
        if connection.target in self._network.addresses:
            self._take(connection.target, connection, text)

    def end(self) -> Told:
        """Return what the log told."""
        findings: list[Finding] = []
        for indicator, traffic in self._traffic.items():
            if indicator != SPREADING:
                findings.append(self._contact(self._network.addresses[indicator], traffic))
            elif self._minute.most >= SOME_TARGETS:
                findings.append(self._spreading(traffic))
        gaps: list[Gap] = []
        if self._log.odd > 0:
            detail = f"lines that are no records: {self._log.odd}, the first is line {self._log.first_odd}"
            gaps.append(Gap(kind=GapKind.ARTEFACT, detail=detail, where=where_is(self._subject)))
        if self._log.lost_lines > 0:
            detail = (
                f"events that the firewall did not log: {self._log.lost} (lines that say so: {self._log.lost_lines})"
            )
            gaps.append(Gap(kind=GapKind.ARTEFACT, detail=detail, where=where_is(self._subject)))
        return Told(findings=tuple(findings), gaps=tuple(gaps))

    def _take(self, indicator: str, connection: Connection, line: str) -> None:
        traffic = self._traffic.setdefault(indicator, _Traffic(line, connection.at, connection.at))
        traffic.add(connection)

    def _spreading(self, traffic: _Traffic) -> Finding:
        minute = self._minute
        return self._finding(
            SPREADING,
            INDICATOR_SET,
            Severity.MEDIUM if minute.most >= MANY_TARGETS else Severity.LOW,
            traffic,
            {
                "description": "Many computers were tried at TCP 445 within a minute: so does the worm, so does a scan",
                "most_targets_in_a_minute": str(minute.most),
                "busiest_minute_in_log": "" if minute.busiest is None else minute.busiest.isoformat(" "),
                "targets": str(len(traffic.targets)),
            },
        )

    def _contact(self, indicator: NetworkIndicator, traffic: _Traffic) -> Finding:
        facts = {
            "description": f"A connection to a listed address ({indicator.variant})",
            "contact": indicator.kind.value,
            "meaning": MEANINGS[indicator.kind],
            "confidence": indicator.confidence.value,
            "source": indicator.source,
            "ports": ", ".join(map(str, sorted(traffic.ports)[:20])),
        }
        return self._finding(indicator.value, self._network.info.name, indicator.severity, traffic, facts)

    def _finding(
        self, indicator: str, set_name: str, severity: Severity, traffic: _Traffic, facts: dict[str, str]
    ) -> Finding:
        is_local = self._log.is_local
        moments = {"first": traffic.first, "last": traffic.last}
        times = {name: self._clock.utc(moment, is_local=is_local) for name, moment in moments.items()}
        return Finding(
            family=self._network.family,
            kind=FindingKind.NETWORK,
            indicator=indicator,
            set=set_name,
            severity=severity,
            where=where_is(self._subject),
            times={name: moment for name, moment in times.items() if moment is not None},
            excerpt=traffic.example,
            facts={
                **facts,
                "lines": str(traffic.lines),
                "dropped": str(traffic.dropped),
                **{f"{name}_in_log": moment.isoformat(" ") for name, moment in moments.items()},
                **self._clock.facts(is_local=is_local),
            },
        )
