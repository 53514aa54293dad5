"""The log of Windows' firewall, `pfirewall.log`: connections it let pass or dropped, where it was told to keep one.

Lines of fields between spaces, `-` for none, in the order that a line `#Fields:` gives; `#Time Format:` says whether
times are local, and nearly always they are. `OPEN` (XP) and the path `SEND` mark what this computer began. A line
`INFO-EVENTS-LOST` says in the field `info` how many events the firewall had no time to write.

Source: "Windows Firewall with Advanced Security: Interpreting the firewall log file" (Microsoft, TechNet).
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

_FIELDS_OF_XP = (
    "date", "time", "action", "protocol", "src-ip", "dst-ip", "src-port", "dst-port", "size", "tcpflags", "tcpsyn",
    "tcpack", "tcpwin", "icmptype", "icmpcode", "info", "path",
)  # fmt: skip
_NEEDED = ("date", "time", "action", "protocol", "dst-ip", "dst-port")
_OUTBOUND_ACTION, _OUTBOUND_PATH = "OPEN", "SEND"
_LONGEST_COUNT = 10  # digits of a 32-bit number
_DROPPED, _LOST = "DROP", "INFO-EVENTS-LOST"


class Connection(Struct, frozen=True, kw_only=True):
    """One outbound connection, or the try of one; `at` is the log's own time, without a zone."""

    at: datetime
    protocol: str
    target: str
    port: int
    dropped: bool


class FirewallLog:
    """Parses one log line by line. `is_local` tells what its header says of its times; `odd` counts lines that are no
    records, the first of them `first_odd` (from 1). `lost` counts the events that were not written, as
    `lost_lines` lines tell; of one that does not say how many, none are counted.
    """

    def __init__(self) -> None:
        self._places = {name: place for place, name in enumerate(_FIELDS_OF_XP)}
        self._number = 0
        self.is_local = True
        self.odd = 0
        self.first_odd = 0
        self.lost = 0
        self.lost_lines = 0

    def outbound(self, line: str) -> Connection | None:
        """Return what a line says, where it is of an outbound connection."""
        self._number += 1
        if not line or line.startswith("#"):
            self._header(line)
            return None
        fields, places = line.split(), self._places
        path = places.get("path", len(fields))
        if len(fields) <= max(places[name] for name in _NEEDED):
            self._note_odd()
            return None
        action = fields[places["action"]].upper()
        if action == _LOST:
            self._note_lost(fields)
            return None
        sent = path < len(fields) and fields[path].upper() == _OUTBOUND_PATH
        port = fields[places["dst-port"]]
        if not (sent or action == _OUTBOUND_ACTION) or port == "-":
            return None
        try:
            return Connection(
                at=datetime.fromisoformat(f"{fields[places['date']]}T{fields[places['time']]}"),
                protocol=fields[places["protocol"]].upper(),
                target=fields[places["dst-ip"]],
                port=int(port),
                dropped=action == _DROPPED,
            )
        except ValueError:
            self._note_odd()
            return None

    def _header(self, line: str) -> None:
        name, _colon, value = line.partition(":")
        if name == "#Fields":
            places = {field: place for place, field in enumerate(value.split())}
            if all(needed in places for needed in _NEEDED):
                self._places = places
        elif name == "#Time Format":
            self.is_local = value.strip().lower() not in ("utc", "gmt")

    def _note_lost(self, fields: list[str]) -> None:
        place = self._places.get("info", len(fields))
        told = fields[place] if place < len(fields) else ""
        self.lost_lines += 1
        self.lost += int(told) if told.isascii() and told.isdecimal() and len(told) <= _LONGEST_COUNT else 0

    def _note_odd(self) -> None:
        self.odd += 1
        self.first_odd = self.first_odd or self._number
