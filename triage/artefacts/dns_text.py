r"""Names that somebody asked for, in texts: what `ipconfig /displaydns` prints, and the debug log of a DNS server.

`ipconfig` prints, in the language of its Windows, a name on a line of its own, a line of hyphens below it, and then
what the cache holds: addresses stand behind the last colon of a line. The debug log (`System32\dns\dns.log`) has a line
for each packet: the client's address behind `Rcv`, `R` where it is an answer, the name as `(3)www(7)example(3)com(0)`.

Source: "ipconfig" and "DNS logging and diagnostics" (Microsoft).
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from msgspec import Struct

_HYPHENS = re.compile(r"\s*-{10,}\s*")
_VALUE = re.compile(r".*:\s(\S+)\s*")
_PACKET = re.compile(r"\b(?:UDP|TCP)\s+(Rcv|Snd)\s+(\S+)\s+[0-9a-f]{4}\s+(R\s+)?[A-Z]\s", re.IGNORECASE)
_NAME = re.compile(r"(?:\([0-9]{1,2}\)[^()\s]{1,63})+\(0\)")
_LENGTH = re.compile(r"\([0-9]{1,2}\)")
_LONGEST = 512


class AskedName(Struct, frozen=True, kw_only=True):
    """One name that was asked for: by whom, where a server's log tells; `said` is the line that tells it."""

    name: str
    said: str
    asked_by: str = ""


class DnsText:
    """Parses one text line by line, whichever of the two it is; `answers` are of the name that was printed last."""

    def __init__(self) -> None:
        self._before = ""
        self._is_printed = False

    def asked(self, line: str) -> AskedName | None:
        """Return the name that a line says was asked for; of a printed name the line of hyphens below it says so."""
        before, self._before = self._before, line
        if len(line) > _LONGEST:
            return None
        if _HYPHENS.fullmatch(line):
            name = before.strip()
            self._is_printed = 0 < len(name) <= _LONGEST and " " not in name
            return AskedName(name=name, said=name) if self._is_printed else None
        packet = _PACKET.search(line)
        name_in_packet = None if packet is None else _NAME.search(line, packet.end())
        if packet is None or name_in_packet is None or packet[1].lower() != "rcv" or packet[3] is not None:
            return None
        labels = _LENGTH.split(name_in_packet[0])
        return AskedName(name=".".join(label for label in labels if label), said=line.strip(), asked_by=packet[2])

    def answer(self, line: str) -> str | None:
        """Return the address that a line gives for the name that was printed last."""
        value = _VALUE.fullmatch(line) if self._is_printed and len(line) <= _LONGEST else None
        try:
            return None if value is None else str(ip_address(value[1]))
        except ValueError:
            return None
