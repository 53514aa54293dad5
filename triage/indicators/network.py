"""Names and addresses that WannaCry asks for, with what contact with each of them means.

An address says less than a name: those behind the kill-switch domains belong to hosters and change hands, and Tor's
relays serve everybody. So an address weighs a step less than its source is sure of it.
"""

from __future__ import annotations

import csv
import io
import re
from enum import StrEnum
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from triage.model.errors import IndicatorError
from triage.model.finding import Severity
from triage.model.indicator import Confidence, IndicatorSet


class NetworkKind(StrEnum):
    """What stands behind a name or an address; other rows of the list are not looked for in logs."""

    KILL_SWITCH = "domain_killswitch"
    COMMAND_SERVER = "onion_c2"
    KILL_SWITCH_ADDRESS = "ip_killswitch_sinkhole"
    TOR_RELAY = "ip_tor_relay"


MEANINGS: dict[NetworkKind, str] = {
    NetworkKind.KILL_SWITCH: "the worm asks for this name before it does anything: if a server answers, it stops",
    NetworkKind.COMMAND_SERVER: "a command server in Tor: only a program that speaks Tor can reach it",
    NetworkKind.KILL_SWITCH_ADDRESS: "an address that answered for a kill-switch domain, no command server: "
    "the worm asked, and was perhaps told to stop",
    NetworkKind.TOR_RELAY: "a public relay of Tor: anything that uses Tor may contact it",
}
"""What contact with each means: the fact `meaning` of a finding."""

_OF_NAME = {
    Confidence.HIGH: Severity.HIGH,
    Confidence.MEDIUM: Severity.MEDIUM,
    Confidence.LOW: Severity.LOW,
}
_OF_ADDRESS = {
    Confidence.HIGH: Severity.MEDIUM,
    Confidence.MEDIUM: Severity.LOW,
    Confidence.LOW: Severity.LOW,
}
_ADDRESS_KINDS = (NetworkKind.KILL_SWITCH_ADDRESS, NetworkKind.TOR_RELAY)
_COLUMNS = ["type", "value", "variant", "source"]
_CONFIDENCE = re.compile(r"conf=(high|medium|low)\b[\s;]*", re.ASCII)


class NetworkIndicator(Struct, frozen=True, kw_only=True):
    """One name or address; a port that was published with an address is not looked for."""

    kind: NetworkKind
    value: str
    variant: str
    confidence: Confidence
    severity: Severity
    source: str


class NetworkIndicators(Struct, frozen=True, kw_only=True):
    """A loaded list: names in lower case, addresses as they are usually written."""

    info: IndicatorSet
    family: str
    names: dict[str, NetworkIndicator]
    addresses: dict[str, NetworkIndicator]

    def of_name(self, name: str) -> NetworkIndicator | None:
        """Return what is known of a name or of one above it: what lies below a listed name belongs to the same."""
        labels = name.lower().rstrip(".").split(".")
        candidates = (".".join(labels[first:]) for first in range(len(labels)))
        return next((self.names[one] for one in candidates if one in self.names), None)


def load_network(path: Path, *, family: str, release: str) -> NetworkIndicators:
    """Load a CSV with the columns type, value, variant and source, which starts with `conf=high` or the like.

    Rows of a type that is none of `NetworkKind` are for readers. Raises IndicatorError, naming file and line.
    """
    try:
        data = path.read_bytes()
        reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        rows = [(reader.line_num, fields) for fields in reader]
    except OSError as error:
        raise IndicatorError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise IndicatorError(f"{path}: {error}") from error
    if not rows or rows[0][1] != _COLUMNS:
        raise IndicatorError(f"{path}: its columns are not {', '.join(_COLUMNS)}")
    kinds = set(NetworkKind)
    indicators = [_indicator(path, line, fields) for line, fields in rows[1:] if fields and fields[0] in kinds]
    return NetworkIndicators(
        info=IndicatorSet(name=path.stem, release=release, sha256=sha256(data).hexdigest(), count=len(indicators)),
        family=family,
        names={one.value: one for one in indicators if one.kind not in _ADDRESS_KINDS},
        addresses={one.value: one for one in indicators if one.kind in _ADDRESS_KINDS},
    )


def _indicator(path: Path, line: int, fields: list[str]) -> NetworkIndicator:
    if len(fields) != len(_COLUMNS):
        raise IndicatorError(f"{path}, line {line}: {len(fields)} fields instead of {len(_COLUMNS)}")
    name, value, variant, source = fields
    kind, stated = NetworkKind(name), _CONFIDENCE.match(source)
    if stated is None:
        hint = "start the source with conf=high, conf=medium or conf=low"
        raise IndicatorError(f"{path}, line {line}: no confidence in the column source", hint=hint)
    confidence = Confidence(stated[1])
    if kind in _ADDRESS_KINDS:
        value = _address(path, line, value)
    return NetworkIndicator(
        kind=kind,
        value=value.lower(),
        variant=variant,
        confidence=confidence,
        severity=(_OF_ADDRESS if kind in _ADDRESS_KINDS else _OF_NAME)[confidence],
        source=source[stated.end() :].strip(" ;/"),
    )


def _address(path: Path, line: int, value: str) -> str:
    try:
        return str(ip_address(value.partition(":")[0]))
    except ValueError as error:
        raise IndicatorError(f"{path}, line {line}: {error}") from error
