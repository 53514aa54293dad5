"""Indicators and where they come from: what a set holds, who published it, how sure it is."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from triage.model.finding import Severity


class Confidence(StrEnum):
    """How well something is founded. An indicator: by several sources, one good source, or a weak one."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class DigestIndicator(Struct, frozen=True, kw_only=True):
    """A known file. At least one digest is set, lower-case hexadecimal; `size_bytes` None where not published."""

    family: str
    set: str
    description: str
    confidence: Confidence
    severity: Severity
    source: str
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None


class IndicatorSet(Struct, frozen=True, kw_only=True):
    """A loaded set as the report names it: `release` is its own version or date, `sha256` that of its file."""

    name: str
    release: str
    sha256: str
    count: int
