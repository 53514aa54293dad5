"""Loads what a run compares the evidence with, each set with its release and the SHA-256 of its file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

from triage.indicators.digest_lists import DigestList, DigestRow, read_digest_list
from triage.indicators.digests import DigestTable
from triage.indicators.known_good import KnownGood
from triage.indicators.names import NameRules, load_names
from triage.indicators.network import NetworkIndicators, load_network
from triage.model.errors import IndicatorError
from triage.model.finding import Severity
from triage.model.indicator import Confidence, DigestIndicator, IndicatorSet

_DATA = Path(__file__).resolve().parent / "data"
FILES_CSV = _DATA / "wannacry_files.csv"
NAMES_TOML = _DATA / "wannacry_names.toml"
NETWORK_CSV = _DATA / "wannacry_network.csv"
_FAMILY = "wannacry"
_RELEASE = "2026.11"
_USER_FAMILY = "user"
_UNVERSIONED = "unversioned"

_CONFIDENCE = re.compile(r"conf=(high|medium|low)\b[\s;]*", re.ASCII)
_WEAK = re.compile(r"\bWEAK\b|host-dependent|\bvaries\b")
"""Roles whose digest says little: legitimate Tor files, and text that differs from host to host."""

_SEVERITY = {
    Confidence.HIGH: Severity.HIGH,
    Confidence.MEDIUM: Severity.MEDIUM,
    Confidence.LOW: Severity.LOW,
}


class DigestSet(Struct, frozen=True, kw_only=True):
    """A loaded list of known bad files."""

    info: IndicatorSet
    indicators: tuple[DigestIndicator, ...]


class KnownGoodSet(Struct, frozen=True, kw_only=True):
    """A loaded allow-list."""

    info: IndicatorSet
    rows: tuple[DigestRow, ...]


class Indicators(Struct, frozen=True, kw_only=True):
    """All indicators of a run but the YARA rules, and where they come from."""

    digests: DigestTable
    names: NameRules
    network: NetworkIndicators
    known_good: KnownGood
    sets: tuple[IndicatorSet, ...]

    def needs_sha1(self, size_bytes: int) -> bool:
        """Tell whether SHA-1 is worth computing for a stream of this size; MD5 and SHA-256 always are."""
        return self.digests.needs_sha1(size_bytes) or self.known_good.needs_sha1(size_bytes)


def load_indicators(
    ioc: Sequence[Path] = (), known_good: Sequence[Path] = (), extra_sets: Sequence[Path] = ()
) -> Indicators:
    """Load the built-in sets, the user's lists and allow-lists.

    `extra_sets` are CSVs in the form of the built-in one, under their own names: the inert stand-ins of a
    demonstration or a laboratory have no known digest. A run on evidence never passes one. Raises
    IndicatorError.
    """
    names, network = builtin_names(), builtin_network()
    extra = [load_family_csv(path, path.stem) for path in extra_sets]
    bad = [load_builtin(), *extra, *(load_ioc_file(path) for path in ioc)]
    good = [load_known_good(path) for path in known_good]
    return Indicators(
        digests=DigestTable(indicator for one in bad for indicator in one.indicators),
        names=names,
        network=network,
        known_good=KnownGood(row for one in good for row in one.rows),
        sets=(*(one.info for one in bad), names.info, network.info, *(one.info for one in good)),
    )


@cache
def builtin_names() -> NameRules:
    """Return the name rules that come with the tool, read once."""
    return load_names(NAMES_TOML)


@cache
def builtin_network() -> NetworkIndicators:
    """Return the names and addresses that come with the tool, read once."""
    return load_network(NETWORK_CSV, family=_FAMILY, release=_RELEASE)


def load_builtin() -> DigestSet:
    """Load the file digests that come with the tool."""
    return load_family_csv(FILES_CSV, FILES_CSV.stem, release=_RELEASE)


def load_family_csv(path: Path, name: str, *, release: str = _UNVERSIONED) -> DigestSet:
    """Load a CSV with the columns md5, sha1, sha256, size, filename, role, variant, source.

    `source` starts with `conf=high`, `conf=medium` or `conf=low`. Confidence sets severity, one to one, but
    rows that are weak by their nature (see `_WEAK`) are low whatever their confidence.
    """
    listed = read_digest_list(path)
    indicators = tuple(_family_indicator(path, name, row) for row in listed.rows)
    return DigestSet(info=_info(name, release, listed), indicators=indicators)


def load_ioc_file(path: Path) -> DigestSet:
    """Load the user's own list in any form of `read_digest_list`; what users bring is of high severity."""
    listed = read_digest_list(path)
    info = _info(f"ioc:{_safe_name(path)}", _UNVERSIONED, listed)
    indicators = tuple(
        DigestIndicator(
            family=row.columns.get("family", "").strip().lower() or _USER_FAMILY,
            set=info.name,
            description=row.comment,
            confidence=Confidence.HIGH,
            severity=Severity.HIGH,
            source=f"line {row.line}",
            md5=row.md5,
            sha1=row.sha1,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
        )
        for row in listed.rows
    )
    return DigestSet(info=info, indicators=indicators)


def load_known_good(path: Path) -> KnownGoodSet:
    """Load an allow-list in any form of `read_digest_list`."""
    listed = read_digest_list(path)
    return KnownGoodSet(info=_info(f"known-good:{_safe_name(path)}", _UNVERSIONED, listed), rows=listed.rows)


def _family_indicator(path: Path, set_name: str, row: DigestRow) -> DigestIndicator:
    """Turn one row of the family CSV into an indicator."""
    role, variant = row.columns.get("role", ""), row.columns.get("variant", "")
    source = row.columns.get("source", "")
    stated = _CONFIDENCE.match(source)
    if stated is None:
        hint = "start the source with conf=high, conf=medium or conf=low"
        raise IndicatorError(f"{path}, line {row.line}: no confidence in the column source", hint=hint)
    confidence = Confidence(stated[1])
    label = ": ".join(part for part in (row.columns.get("filename", ""), role) if part)
    return DigestIndicator(
        family=_FAMILY,
        set=set_name,
        description=f"{label} ({variant})" if variant else label,
        confidence=confidence,
        severity=Severity.LOW if _WEAK.search(role) else _SEVERITY[confidence],
        source=source[stated.end() :],
        md5=row.md5,
        sha1=row.sha1,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
    )


def _info(name: str, release: str, listed: DigestList) -> IndicatorSet:
    """Return a list as the report names it."""
    return IndicatorSet(name=name, release=release, sha256=listed.sha256, count=len(listed.rows))


def _safe_name(path: Path) -> str:
    """Return the file's name as text that any encoding holds: bytes that are no UTF-8 stand as `\\xNN`."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")
