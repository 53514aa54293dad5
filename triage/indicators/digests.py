"""Known files by digest: one look-up for each stream, whatever the number of indicators."""

from __future__ import annotations

from collections.abc import Iterable

from triage.model.finding import Digests
from triage.model.indicator import DigestIndicator


class DigestTable:
    """All digest indicators, by MD5, SHA-1 or SHA-256 in one dictionary (their lengths keep them apart)."""

    def __init__(self, indicators: Iterable[DigestIndicator] = ()) -> None:
        rows: dict[str, tuple[DigestIndicator, ...]] = {}
        self._sha1_sizes: set[int] = set()
        self._sha1_of_any_size = False
        self._count = 0
        for indicator in indicators:
            self._count += 1
            for digest in (indicator.md5, indicator.sha1, indicator.sha256):
                if digest is not None:
                    rows[digest] = (*rows.get(digest, ()), indicator)
            if indicator.md5 is None and indicator.sha256 is None:
                if indicator.size_bytes is None:
                    self._sha1_of_any_size = True
                else:
                    self._sha1_sizes.add(indicator.size_bytes)
        self._rows = rows

    def __len__(self) -> int:
        """Return the number of indicators, not of digests."""
        return self._count

    def needs_sha1(self, size_bytes: int) -> bool:
        """Tell whether a stream of this size could match an indicator that is known by SHA-1 alone."""
        return self._sha1_of_any_size or size_bytes in self._sha1_sizes

    def match(self, digests: Digests, size_bytes: int) -> tuple[DigestIndicator, ...]:
        """Return each indicator of which at least one digest equals, in the order in which they were loaded.

        An empty stream matches nothing: its digests say nothing about it. `disagreements` tells where an
        indicator's other values differ.
        """
        if size_bytes == 0:
            return ()
        rows = self._rows
        found: list[DigestIndicator] = []
        for digest in (digests.sha256, digests.sha1, digests.md5):
            if digest is not None and digest in rows:
                found += [indicator for indicator in rows[digest] if indicator not in found]
        return tuple(found)


def matched_digests(indicator: DigestIndicator, digests: Digests) -> tuple[str, ...]:
    """Return the names of the digests in which indicator and stream agree, the strongest first."""
    pairs = _pairs(indicator, digests)
    return tuple(name for name, known, computed in pairs if known is not None and known == computed)


def disagreements(indicator: DigestIndicator, digests: Digests, size_bytes: int) -> tuple[str, ...]:
    """Return what the indicator says and the stream contradicts: names of digests, and `size_bytes`.

    A row that agrees in one digest and not in another was paired wrongly when it was published, or someone
    made a collision: either way the examiner of the case must know.
    """
    pairs = _pairs(indicator, digests)
    names = [name for name, known, computed in pairs if None not in (known, computed) and known != computed]
    if indicator.size_bytes is not None and indicator.size_bytes != size_bytes:
        names.append("size_bytes")
    return tuple(names)


def _pairs(indicator: DigestIndicator, digests: Digests) -> tuple[tuple[str, str | None, str | None], ...]:
    """Return name, known and computed value of each kind of digest, the strongest first."""
    return (
        ("sha256", indicator.sha256, digests.sha256),
        ("sha1", indicator.sha1, digests.sha1),
        ("md5", indicator.md5, digests.md5),
    )
