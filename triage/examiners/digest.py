"""Digests of every stream, and the known files among them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from triage.examiners.places import times_of, where_is
from triage.indicators.digests import disagreements, matched_digests
from triage.indicators.load import Indicators
from triage.model.entry import Subject
from triage.model.finding import Digests, Finding, FindingKind
from triage.model.gap import Gap
from triage.model.indicator import DigestIndicator

_NEW_MD5 = hashlib.md5(usedforsecurity=False)
_NEW_SHA1 = hashlib.sha1(usedforsecurity=False)
_NEW_SHA256 = hashlib.sha256(usedforsecurity=False)


class DigestExaminer:
    """Computes MD5 and SHA-256, and SHA-1 where a loaded list has nothing else for a stream of this size.

    MD5 and SHA-1 are keys into published lists only; integrity rests on SHA-256.
    """

    def __init__(self, indicators: Indicators) -> None:
        self._indicators = indicators
        self._subject: Subject | None = None
        self._length_bytes = 0
        self._md5 = _NEW_MD5.copy()
        self._sha256 = _NEW_SHA256.copy()
        self._sha1: hashlib._Hash | None = None
        self._digests = Digests()

    @property
    def digests(self) -> Digests:
        """Digests of the stream that ended last; those of what was read where it was not complete."""
        return self._digests

    def begin(self, subject: Subject) -> None:
        """Start a stream."""
        self._subject = subject
        self._length_bytes = 0
        self._md5 = _NEW_MD5.copy()  # a third of the time of making one
        self._sha256 = _NEW_SHA256.copy()
        self._sha1 = _NEW_SHA1.copy() if self._indicators.needs_sha1(subject.size_bytes) else None

    def feed(self, window: memoryview, offset_bytes: int, fresh: int) -> None:  # noqa: ARG002
        """Take in the new bytes of one window."""
        new = window[fresh:]
        self._length_bytes += len(new)
        self._md5.update(new)
        self._sha256.update(new)
        if self._sha1 is not None:
            self._sha1.update(new)

    def end(self, *, complete: bool) -> Sequence[Finding | Gap]:
        """Return a finding for each indicator that names this file; none where it was not read whole."""
        sha1 = None if self._sha1 is None else self._sha1.hexdigest()
        self._digests = Digests(md5=self._md5.hexdigest(), sha256=self._sha256.hexdigest(), sha1=sha1)
        if self._subject is None or not complete:
            return ()
        found = self._indicators.digests.match(self._digests, self._length_bytes)
        return tuple(self._finding(self._subject, indicator) for indicator in found)

    def _finding(self, subject: Subject, indicator: DigestIndicator) -> Finding:
        """Return the finding for one indicator; what in it contradicts the stream stands among the facts."""
        matched = matched_digests(indicator, self._digests)
        facts = {
            "description": indicator.description,
            "confidence": indicator.confidence.value,
            "source": indicator.source,
            "matched": ", ".join(matched),
        }
        differing = disagreements(indicator, self._digests, self._length_bytes)
        if differing:
            facts["disagrees"] = ", ".join(differing)
        if self._indicators.known_good.contains(self._digests):
            facts["known_good"] = "yes"
        return Finding(
            family=indicator.family,
            kind=FindingKind.DIGEST,
            indicator=str(getattr(indicator, matched[0])),
            set=indicator.set,
            severity=indicator.severity,
            where=where_is(subject),
            times=times_of(subject.si, subject.fn),
            digests=self._digests,
            facts=facts,
        )
