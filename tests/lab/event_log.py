"""Writes event logs (`.evtx`) as Windows Vista and later do, apart from the product, which only reads them.

After J. Metz, "Windows XML Event Log (EVTX) format", and [MS-EVEN6] 2.2.12: chunks of 64 KiB with checksums, records of
binary XML, each an instance of a template that the first record of its kind in the chunk defines. Of the element
`System` the values stand in Windows' own order.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

CHUNK_BYTES = 65_536
_HEADER_BYTES = 4096
_RECORDS_AT = 512
_SIGNATURE = b"\x2a\x2a\0\0"
_EVENT_NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
_STRING, _BYTE, _SHORT, _LONG, _BINARY, _FILETIME = 0x01, 0x04, 0x06, 0x0A, 0x0E, 0x11
_FRAGMENT, _TEMPLATE, _END = b"\x0f\x01\x01\x00", b"\x0c\x01", b"\0"
_FIXED_VALUES = 10
DIRTY, NO_CHECKSUMS = 1, 4


class LabEvent(Struct, frozen=True, kw_only=True):
    """One event; `time` is a FILETIME. Values of `data` without a name are called `param1`, `param2`, ….

    `Binary` holds hexadecimal digits. With `user_data` the values stand in that element of `UserData`.
    """

    provider: str
    event: int
    time: int
    channel: str = "System"
    computer: str = "WIN7-PC"
    data: Mapping[str, str] = {}
    user_data: str = ""


def write_event_log(events: Iterable[LabEvent], *, flags: int = 0, first_identifier: int = 1) -> bytes:
    """Return a log of these events in as many chunks as they need, and one that is not in use yet."""
    chunks: list[bytes] = []
    identifier, pending = first_identifier, list(events)
    while pending:
        chunk, taken = _chunk(pending, identifier, len(chunks))
        chunks.append(chunk)
        pending, identifier = pending[taken:], identifier + taken
    return _file_header(len(chunks), identifier, flags) + b"".join(chunks) + bytes(CHUNK_BYTES)


def seal_chunk(chunk: bytes) -> bytes:
    """Return a chunk with the checksums that fit its content."""
    end = struct.unpack_from("<I", chunk, 48)[0]
    sealed = bytearray(chunk)
    struct.pack_into("<I", sealed, 52, zlib.crc32(sealed[_RECORDS_AT:end]))
    struct.pack_into("<I", sealed, 124, zlib.crc32(sealed[128:_RECORDS_AT], zlib.crc32(sealed[:120])))
    return bytes(sealed)


def _file_header(chunks: int, next_identifier: int, flags: int) -> bytes:
    head = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, max(chunks - 1, 0), next_identifier, 128, 1, 3, 4096, chunks)
    head = head.ljust(120, b"\0")
    return (head + struct.pack("<II", flags, zlib.crc32(head))).ljust(_HEADER_BYTES, b"\0")


def _chunk(events: Sequence[LabEvent], identifier: int, number: int) -> tuple[bytes, int]:
    """Return one chunk and how many events it holds."""
    records, last_at, templates = bytearray(), 0, dict[tuple[str, ...], int]()
    taken = 0
    for event in events:
        at = _RECORDS_AT + len(records)
        record = _record(event, identifier + taken, at, templates)
        if at + len(record) >= CHUNK_BYTES:  # libevtx passes over a record that ends where the chunk does
            break
        records += record
        last_at, taken = at, taken + 1
    last, end = identifier + taken - 1, _RECORDS_AT + len(records)
    head = struct.pack("<8sQQQQIIII", b"ElfChnk\0", identifier, last, identifier, last, 128, last_at, end, 0)
    return seal_chunk((head.ljust(_RECORDS_AT, b"\0") + records).ljust(CHUNK_BYTES, b"\0")), taken


def _record(event: LabEvent, identifier: int, at: int, templates: dict[tuple[str, ...], int]) -> bytes:
    """Return one record; a template is defined where it is used first, and only referred to from then on."""
    kind = (event.user_data, *event.data)
    start = at + 24 + len(_FRAGMENT) + 10
    definition = b""
    if kind not in templates:
        templates[kind] = start
        definition = _definition(kind, start)
    body = _FRAGMENT + _TEMPLATE + struct.pack("<II", templates[kind] & 0xFFFF, templates[kind]) + definition
    body += _values(event, identifier) + _END
    size = -(-(24 + len(body) + 4) // 8) * 8
    head = _SIGNATURE + struct.pack("<IQQ", size, identifier, event.time)
    return (head + body).ljust(size - 4, b"\0") + struct.pack("<I", size)


def _values(event: LabEvent, identifier: int) -> bytes:
    """Return the values of an instance: how many, what each is, then one after the other."""
    values: list[tuple[int, bytes]] = [
        (_BYTE, b"\x04"),
        (_BYTE, b"\0"),
        (_SHORT, bytes(2)),
        (_SHORT, event.event.to_bytes(2, "little")),
        (_LONG, (0x8080000000000000).to_bytes(8, "little")),
        (_FILETIME, event.time.to_bytes(8, "little")),
        (_LONG, identifier.to_bytes(8, "little")),
        (_STRING, _utf16(event.provider)),
        (_STRING, _utf16(event.channel)),
        (_STRING, _utf16(event.computer)),
    ]
    for name, text in event.data.items():
        values.append((_BINARY, bytes.fromhex(text)) if name == "Binary" else (_STRING, _utf16(text)))
    listed = b"".join(struct.pack("<HBB", len(value), kind, 0) for kind, value in values)
    return struct.pack("<I", len(values)) + listed + b"".join(value for _kind, value in values)


class _Writer:
    """Writes binary XML; `at` is where in the chunk it begins. Every name is written where it is used."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.data = bytearray()

    def add(self, data: bytes) -> None:
        self.data += data

    def element(
        self, name: str, attributes: Mapping[str, str | tuple[int, int]], content: Callable[[], None] | None = None
    ) -> None:
        """Write an element; an attribute is a text, or a value of the instance by its number and type."""
        self.add(struct.pack("<BH", 0x41 if attributes else 0x01, 0xFFFF))
        size_at = self._number()
        self._name(name)
        if attributes:
            attributes_at = self._number()
            for number, (key, value) in enumerate(attributes.items(), 1):
                self.add(b"\x46" if number < len(attributes) else b"\x06")
                self._name(key)
                self._attribute(value)
            self._set(attributes_at)
        if content is None:
            self.add(b"\x03")
        else:
            self.add(b"\x02")
            content()
            self.add(b"\x04")
        self._set(size_at)

    def value_element(
        self, name: str, number: int, kind: int, attributes: Mapping[str, str | tuple[int, int]] = {}
    ) -> None:
        """Write an element whose text is a value of the instance."""
        self.element(name, attributes, lambda: self.add(struct.pack("<BHB", 0x0D, number, kind)))

    def _attribute(self, value: str | tuple[int, int]) -> None:
        if isinstance(value, str):
            self.add(struct.pack("<BBH", 0x05, _STRING, len(value)) + _utf16(value))
        else:
            self.add(struct.pack("<BHB", 0x0D, *value))

    def _name(self, name: str) -> None:
        """Write a name right behind the reference to it: next name, hash, length, text."""
        digest = 0
        for letter in name:
            digest = (digest * 65_599 + ord(letter)) & 0xFFFFFFFF
        place = self._at + len(self.data) + 4
        self.add(struct.pack("<IIHH", place, 0, digest & 0xFFFF, len(name)) + _utf16(name) + bytes(2))

    def _number(self) -> int:
        """Leave room for the length of what follows."""
        self.add(bytes(4))
        return len(self.data)

    def _set(self, at: int) -> None:
        struct.pack_into("<I", self.data, at - 4, len(self.data) - at)


def _definition(kind: tuple[str, ...], at: int) -> bytes:
    """Return the definition of a template that stands at `at` in its chunk."""
    xml = _Writer(at + 24)
    xml.add(_FRAGMENT)
    xml.element("Event", {"xmlns": _EVENT_NAMESPACE}, lambda: _event(xml, kind))
    xml.add(_END)
    return struct.pack("<I16sI", 0, struct.pack("<I", at & 0xFFFF) * 4, len(xml.data)) + bytes(xml.data)


def _event(xml: _Writer, kind: tuple[str, ...]) -> None:
    xml.element("System", {}, lambda: _system(xml))
    user_data, names = kind[0], kind[1:]
    if user_data:
        xml.element("UserData", {}, lambda: xml.element(user_data, {}, lambda: _data(xml, names, named=True)))
    elif names:
        xml.element("EventData", {}, lambda: _data(xml, names, named=False))


def _system(xml: _Writer) -> None:
    xml.element("Provider", {"Name": (7, _STRING)})
    xml.value_element("EventID", 3, _SHORT)
    xml.value_element("Level", 0, _BYTE)
    xml.value_element("Task", 2, _SHORT)
    xml.value_element("Keywords", 4, _LONG)
    xml.element("TimeCreated", {"SystemTime": (5, _FILETIME)})
    xml.value_element("EventRecordID", 6, _LONG)
    xml.value_element("Channel", 8, _STRING)
    xml.value_element("Computer", 9, _STRING)


def _data(xml: _Writer, names: Sequence[str], *, named: bool) -> None:
    for number, name in enumerate(names, _FIXED_VALUES):
        if named:
            xml.value_element(name, number, _STRING)
        elif name == "Binary":
            xml.value_element(name, number, _BINARY)
        else:
            xml.value_element("Data", number, _STRING, {} if name.startswith("param") else {"Name": name})


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")
