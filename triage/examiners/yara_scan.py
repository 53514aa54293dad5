"""YARA over every window of every stream."""

from __future__ import annotations

from collections.abc import Sequence

import yara
from msgspec import Struct

from triage.examiners.places import times_of, where_is
from triage.examiners.yara_rules import CompiledRules
from triage.model.entry import Subject
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind, Where

_META_FACTS = ("description", "reference", "date", "confidence", "decided_by")
_EXCERPT_BYTES = 64
_LISTED_STRINGS = 8


class _Place(Struct, frozen=True):
    """One string of a rule, met at one offset of the stream."""

    offset_bytes: int
    identifier: str
    data: bytes


class YaraExaminer:
    """Scans window by window; the limit of time is for each window.

    A rule is one finding for a stream, however often and in however many windows it matches; the first
    place gives its offset. A rule whose strings lie in windows far apart is missed, and `filesize` is the
    window's length: findings in streams of more than one window carry the fact `windowed`.
    """

    def __init__(self, rules: CompiledRules, timeout_seconds: int) -> None:
        self._rules = rules
        self._timeout_seconds = timeout_seconds
        self._subject: Subject | None = None
        self._matches: dict[tuple[str, str], yara.Match] = {}
        self._places: dict[tuple[str, str], set[_Place]] = {}
        self._gaps: list[Gap] = []
        self._windows = 0

    def begin(self, subject: Subject) -> None:
        """Start a stream."""
        self._subject = subject
        self._matches = {}
        self._places = {}
        self._gaps = []
        self._windows = 0

    def feed(self, window: memoryview, offset_bytes: int, fresh: int) -> None:  # noqa: ARG002
        """Scan one window, the repeated part too: a pattern may lie across the border."""
        self._windows += 1
        try:
            matches = self._rules.rules.match(
                data=window,
                fast=True,
                timeout=self._timeout_seconds,
                warnings_callback=_go_on,
                console_callback=_ignore,
            )
        except yara.TimeoutError:
            limit = f"rules took longer than {self._timeout_seconds} s"
            self._gaps.append(self._gap(GapKind.YARA_TIMEOUT, limit, window, offset_bytes))
            return
        except yara.Error as error:
            self._gaps.append(self._gap(GapKind.YARA_ERROR, str(error), window, offset_bytes))
            return
        for match in matches:
            self._take(match, offset_bytes)

    def end(self, *, complete: bool) -> Sequence[Finding | Gap]:  # noqa: ARG002
        """Return one finding for each rule that matched, and a gap for each window not scanned to its end."""
        if self._subject is None:
            return ()
        findings = [self._finding(self._subject, key, match) for key, match in self._matches.items()]
        return (*findings, *self._gaps)

    def _take(self, match: yara.Match, offset_bytes: int) -> None:
        """Remember a match and its first places; what two windows share is one place, by its offset."""
        key = (match.namespace, match.rule)
        self._matches.setdefault(key, match)
        places = self._places.setdefault(key, set())
        for string in match.strings:
            for instance in string.instances[:_LISTED_STRINGS]:
                if len(places) >= _LISTED_STRINGS:
                    return
                data = instance.matched_data[:_EXCERPT_BYTES]
                places.add(_Place(offset_bytes + instance.offset, string.identifier, data))

    def _finding(self, subject: Subject, key: tuple[str, str], match: yara.Match) -> Finding:
        """Return the finding for one rule, with what its metadata say."""
        file = self._rules.files[match.namespace]
        places = sorted(self._places[key], key=lambda place: (place.offset_bytes, place.identifier))
        meta = {name.lower(): str(value) for name, value in match.meta.items()}
        facts = {name: value for name, value in meta.items() if name in _META_FACTS}
        if places:
            facts["strings"] = ", ".join(f"{place.identifier} at {place.offset_bytes}" for place in places)
        if self._windows > 1:
            facts["windowed"] = "yes"
        return Finding(
            family=meta.get("family", file.family),
            kind=FindingKind.YARA,
            indicator=match.rule,
            set=file.name,
            severity=_severity(meta.get("severity", ""), file.default),
            where=where_is(subject, places[0].offset_bytes if places else None),
            times=times_of(subject.si, subject.fn),
            excerpt=_printable(places[0].data) if places else "",
            facts=facts,
        )

    def _gap(self, kind: GapKind, reason: str, window: memoryview, offset_bytes: int) -> Gap:
        """Return the gap for a window whose scan was given up."""
        sets = ", ".join(self._rules.files)
        detail = f"not scanned to the end with {sets}: {reason}"
        where = where_is(self._subject, offset_bytes) if self._subject is not None else Where()
        return Gap(kind=kind, detail=detail, where=where, bytes=len(window))


def _severity(stated: str, default: Severity) -> Severity:
    """Return the severity that a rule's metadata state, or the default where they state none that we know."""
    return Severity(stated.lower()) if stated.lower() in set(Severity) else default


def _printable(data: bytes) -> str:
    """Return matched bytes as printable ASCII, everything else as `\\xNN`."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}" for byte in data)


def _go_on(kind: int, where: tuple[str, str, str]) -> int:  # noqa: ARG001  # called by YARA
    """Go on after "too many matches": the rule has matched, only not every place is known."""
    return 0


def _ignore(message: str) -> None:
    """Drop what a rule's `console.log` says: standard output is the report's."""
