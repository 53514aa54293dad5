"""Findings of one hive in its two views: as it lies on the disk, and with its transaction logs replayed.

What only the replay shows happened shortly before the power went; what only the hive as found shows was undone then.
An older copy of a hive is a third witness: what only it shows was removed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec.structs import replace

from triage.model.finding import Finding

FACT = "view"


class View(StrEnum):
    """In which view of its hive a finding was met; the value of its fact `view`."""

    BOTH = "both"
    AS_FOUND = "as-found"
    AFTER_REPLAY = "after-replay"
    OLDER_COPY = "older-copy"


def in_views(after_replay: Sequence[Finding], as_found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings of both views, each once and with the view it was met in.

    One that says the same in both views is at the place where it stands after the replay.
    """
    before = [_said(finding) for finding in as_found]
    after = [_said(finding) for finding in after_replay]
    return (
        *(_marked(one, View.BOTH if _said(one) in before else View.AFTER_REPLAY) for one in after_replay),
        *(_marked(one, View.AS_FOUND) for one in as_found if _said(one) not in after),
    )


def in_older_copy(findings: Iterable[Finding], current: Iterable[Finding]) -> tuple[Finding, ...]:
    """Mark the findings of an older copy, and those of them that the current hive no longer has."""
    there = {_thing(finding) for finding in current}
    return tuple(
        replace(
            finding,
            facts={**finding.facts, FACT: View.OLDER_COPY, "removed_since": str(_thing(finding) not in there).lower()},
        )
        for finding in findings
    )


def _marked(finding: Finding, view: View) -> Finding:
    return replace(finding, facts={**finding.facts, FACT: view})


def _thing(finding: Finding) -> tuple[str, str, str]:
    """Return what a finding is about: the same key and value may say something else at another time."""
    return finding.indicator, finding.facts.get("key", "").casefold(), finding.facts.get("value", "").casefold()


def _said(finding: Finding) -> Finding:
    """Return the finding without its place in the file, which a change elsewhere may move."""
    return replace(finding, where=replace(finding.where, offset_bytes=None))
