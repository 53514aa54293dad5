"""The user's allow-list: files that are known to be good, so that rules which hit them do not cry wolf."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from triage.indicators.digest_lists import DigestRow
from triage.model.finding import Digests, Finding, FindingKind


class Sifted(Struct, frozen=True, kw_only=True):
    """A stream's findings after the allow-list: what stays, and how many YARA findings were dropped.

    `is_vouched_for` says that the list covers the stream and no indicator names that very file.
    """

    findings: tuple[Finding, ...]
    dropped: int = 0
    is_vouched_for: bool = False


class KnownGood:
    """An allow-list of digests.

    Each row counts by its strongest digest alone (SHA-256, else SHA-1, else MD5), so that a file made to
    collide in MD5 with a good one does not pass where the list knows better. A row takes about 150 bytes of
    memory.
    """

    def __init__(self, rows: Iterable[DigestRow] = ()) -> None:
        self._digests: set[bytes] = set()
        self._sha1_sizes: set[int] = set()
        self._sha1_of_any_size = False
        for row in rows:
            strongest = row.sha256 or row.sha1 or row.md5
            if strongest is None:
                continue
            self._digests.add(bytes.fromhex(strongest))
            if strongest == row.sha1:
                if row.size_bytes is None:
                    self._sha1_of_any_size = True
                else:
                    self._sha1_sizes.add(row.size_bytes)

    def __len__(self) -> int:
        """Return the number of distinct files."""
        return len(self._digests)

    def needs_sha1(self, size_bytes: int) -> bool:
        """Tell whether only SHA-1 could recognise a stream of this size."""
        return self._sha1_of_any_size or size_bytes in self._sha1_sizes

    def contains(self, digests: Digests) -> bool:
        """Tell whether the stream with these digests is on the list."""
        if not self._digests:
            return False
        computed = (digests.sha256, digests.sha1, digests.md5)
        return any(digest is not None and bytes.fromhex(digest) in self._digests for digest in computed)

    def sift(self, findings: Sequence[Finding], digests: Digests) -> Sifted:
        """Drop the YARA findings of one stream if it is known good; nothing else, and say how many.

        An indicator that names the very same file wins: then everything stays. Findings by name stay always,
        for the list vouches for content and not for a place.
        """
        named = any(finding.kind is FindingKind.DIGEST for finding in findings)
        if named or not self.contains(digests):
            return Sifted(findings=tuple(findings))
        kept = tuple(finding for finding in findings if finding.kind is not FindingKind.YARA)
        return Sifted(findings=kept, dropped=len(findings) - len(kept), is_vouched_for=True)
