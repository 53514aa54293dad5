"""Whether the hole was open: the offline counterpart of an immuniser's check, one row for each thing it rests on.

A row is told with the value as found, its source, and what it means for the hole. What is not known is a verdict too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

_PLACE = re.compile(r"\{(\w+)\}")  # not `str.format`: a report that is read back may hold any text


class Check(StrEnum):
    """What a row is about."""

    DRIVER = "ms17-010-driver"
    UPDATES = "ms17-010-updates"
    PENDING = "ms17-010-pending"
    SMB1_SERVER = "smb1-server"
    SMB1_CLIENT = "smb1-client"
    SERVER_SERVICE = "server-service"
    SMB_DEVICE = "smb-device"
    TRANSPORT = "transport-bind-name"
    NETBIOS = "netbios"
    FIREWALL = "firewall"
    PORT_445 = "port-445"
    PORT_139 = "port-139"
    PORT_135 = "port-135"
    DCOM = "dcom"
    DCOM_PROTOCOLS = "dcom-protocols"


class ExposureVerdict(StrEnum):
    """What a row, or all of them, mean.

    `PROTECTED`: the hole is not there (the fix is in, or what has the hole is not). `MITIGATED`: a setting closes the
    way to it, and could open it again. `NOTED`: told, but it neither opens nor closes anything.
    """

    EXPOSED = "exposed"
    MITIGATED = "mitigated"
    PROTECTED = "protected"
    NOTED = "noted"
    NOT_KNOWN = "not-known"


class ControlSetRole(StrEnum):
    """What Windows does with a control set: start with it, or start with it when asked for the last that worked."""

    CURRENT = "current"
    LAST_KNOWN_GOOD = "last-known-good"
    OTHER = "other"


class Phrase(Struct, frozen=True, kw_only=True):
    """A piece of a row's value that can be translated: `text` has places (`{name}`) for what is `of` the evidence.

    `label` says what the piece is about, a network profile for example; it can be translated, too.
    """

    text: str
    of: dict[str, str] = {}
    label: str = ""


def phrased(phrases: Iterable[Phrase], translate: Callable[[str], str] = str) -> str:
    """Return phrases as one text, in English or as `translate` says them."""
    return "; ".join(_phrased(one, translate) for one in phrases)


def _phrased(phrase: Phrase, translate: Callable[[str], str]) -> str:
    text = _PLACE.sub(lambda place: phrase.of.get(place[1], place[0]), translate(phrase.text)).strip()
    return f"{translate(phrase.label)}: {text}" if phrase.label else text


class ExposureRow(Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    `value` is what was found, in English, and `source` where; `phrases` are the same value in pieces, empty where it
    has no words. `reasons` are whole sentences without parameters, so that they can be translated. `control_set` says
    of what stands in a control set in which; rows of the last known good one are there only where they differ from the
    current one's.
    """

    check: Check
    verdict: ExposureVerdict
    value: str
    source: str
    phrases: tuple[Phrase, ...] = ()
    reasons: tuple[str, ...] = ()
    control_set: ControlSetRole | None = None


class Exposure(Struct, frozen=True, kw_only=True):
    """What one Windows says. `verdict` answers for MS17-010 over the network, `decided_by` are the rows that carry it.

    `volume` is None for lone hives; `windows` is the path of its folder, or what the hives are called.
    """

    volume: str | None
    windows: str
    verdict: ExposureVerdict
    reasons: tuple[str, ...]
    decided_by: tuple[Check, ...]
    rows: tuple[ExposureRow, ...]
