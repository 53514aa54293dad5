"""What people are shown of a report, in order: what weighs most comes first, what is left out is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from triage.model.entry import StreamState
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, Where
from triage.model.ledger import gap_of
from triage.model.report import Coverage, Reconciliation, Report, Witness

ROWS_SHOWN = 200
_WEIGHT = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}


class FindingGroup(Struct, frozen=True, kw_only=True):
    """The findings of one kind: those `shown`, worst first, how many `more`, how many of each severity."""

    kind: FindingKind
    shown: tuple[Finding, ...]
    more: int
    by_severity: tuple[tuple[Severity, int], ...]

    @property
    def count(self) -> int:
        """How many findings there are of this kind."""
        return len(self.shown) + self.more


class GapGroup(Struct, frozen=True, kw_only=True):
    """The gaps of one weight: those `shown` and how many `more` there are."""

    material: bool
    shown: tuple[Gap, ...]
    more: int

    @property
    def count(self) -> int:
        """How many gaps there are of this weight."""
        return len(self.shown) + self.more


class Equation(Struct, frozen=True, kw_only=True):
    """One reconciliation: `parts` add up to `total`, which must equal the independent count `counted`.

    `difference` is None where the independent count could not be taken; `counted_by` is who read `$MFT` for that of
    the streams.
    """

    volume: str
    of_records: bool
    parts: tuple[int, ...]
    counted: int | None
    counted_by: Witness | None = None

    @property
    def total(self) -> int:
        """The sum of the parts."""
        return sum(self.parts)

    @property
    def difference(self) -> int | None:
        """How far the two counts are apart, 0 where the equation holds."""
        return None if self.counted is None else abs(self.total - self.counted)


def group_findings(findings: Iterable[Finding]) -> tuple[FindingGroup, ...]:
    """Group findings by kind; the kind with the worst of them comes first."""
    by_kind: dict[FindingKind, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    for members in by_kind.values():
        members.sort(key=_weight)
    kinds = sorted(by_kind, key=lambda kind: (_weight(by_kind[kind][0]), len(by_kind[kind]), kind))
    return tuple(_group(kind, by_kind[kind]) for kind in kinds)


def group_gaps(gaps: Sequence[Gap]) -> tuple[GapGroup, ...]:
    """Group gaps by weight, material ones first."""
    groups = []
    for material in (True, False):
        members = [gap for gap in gaps if gap.material is material]
        if members:
            shown = tuple(members[:ROWS_SHOWN])
            groups.append(GapGroup(material=material, shown=shown, more=len(members) - len(shown)))
    return tuple(groups)


def reasons(report: Report, limit: int) -> tuple[Sequence[Finding | Gap], int]:
    """Return the first `limit` findings and gaps that carry the verdict, and how many more there are."""
    wanted = report.verdict.reasons[:limit]
    ids = frozenset(wanted)
    by_id: dict[str, Finding | Gap] = {item.id: item for item in report.findings if item.id in ids}
    by_id.update({gap.id: gap for gap in report.gaps if gap.id in ids})
    known = [by_id[reason] for reason in wanted if reason in by_id]
    return known, len(report.verdict.reasons) - len(known)


def count_severities(findings: Iterable[Finding]) -> tuple[tuple[Severity, int], ...]:
    """Return how many findings there are of each severity that occurs, the worst first."""
    counts = Counter(finding.severity for finding in findings)
    return tuple((severity, counts[severity]) for severity in _WEIGHT if counts[severity] > 0)


def equations(reconciliation: Iterable[Reconciliation]) -> tuple[Equation, ...]:
    """Return the two equations of each volume."""
    found: list[Equation] = []
    for one in reconciliation:
        records = (one.base_records, one.extension_records, one.unreadable_records)
        found.append(Equation(volume=one.volume, of_records=True, parts=records, counted=one.bitmap_bits))
        found.append(
            Equation(
                volume=one.volume,
                of_records=False,
                parts=(one.streams,),
                counted=one.data_attributes,
                counted_by=one.counted_by,
            )
        )
    return tuple(found)


def place(where: Where) -> str:
    """Return a place on one line: `v1/Users/a.doc:stream`; empty where there is none."""
    path = f"{where.volume or ''}/{where.path}" if where.path is not None else where.volume or ""
    return f"{path}:{where.stream}" if where.stream else path


def families(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the malware families of the findings that weigh, most findings first."""
    counts = Counter(finding.family for finding in findings if finding.severity is not Severity.LOW)
    return tuple(sorted(counts, key=lambda family: (-counts[family], family)))


def _group(kind: FindingKind, members: Sequence[Finding]) -> FindingGroup:
    shown = tuple(members[:ROWS_SHOWN])
    return FindingGroup(kind=kind, shown=shown, more=len(members) - len(shown), by_severity=count_severities(members))


def _weight(finding: Finding) -> tuple[int, bool]:
    return _WEIGHT[finding.severity], finding.deleted


def is_whole(state: str) -> bool:
    """Say whether nothing is missing of a stream that ended in a state; of a later version's state nobody knows."""
    return state in set(StreamState) and gap_of(StreamState(state)) is None


def content_bytes(coverage: Coverage) -> int:
    """Return how much content there was to read: all but the holes of the file system's own sparse streams."""
    return coverage.bytes_total - coverage.bytes_by_state.get(StreamState.SPARSE_SYSTEM, 0)
