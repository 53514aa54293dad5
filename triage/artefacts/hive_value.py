"""Registry values, decoded tolerantly: what programs wrote is often odd in length or unterminated."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

from triage.artefacts.regf import decode_utf16


class ValueType(IntEnum):
    """Data types of a value ([MS-RRP] 2.2.9, winnt.h)."""

    NONE = 0
    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    DWORD_BIG_ENDIAN = 5
    LINK = 6
    MULTI_SZ = 7
    QWORD = 11


_LITTLE_ENDIAN = (ValueType.DWORD, ValueType.QWORD)
_TEXT = (ValueType.SZ, ValueType.EXPAND_SZ, ValueType.LINK, ValueType.MULTI_SZ)


class HiveValue(Struct, frozen=True):
    """One value: `name` is "" for a key's default value, `type` any number that stood there."""

    name: str
    type: int
    data: bytes

    @property
    def text(self) -> str | None:
        """The text up to its terminator, lone surrogates kept, an odd last byte dropped; None if not text."""
        strings = self.texts
        return None if strings is None else strings[0] if strings else ""

    @property
    def texts(self) -> tuple[str, ...] | None:
        """The strings of a REG_MULTI_SZ (the one string of the other text types); None if not text."""
        if self.type not in _TEXT:
            return None
        strings = decode_utf16(self.data).split("\0")
        if self.type != ValueType.MULTI_SZ:
            return (strings[0],)
        return tuple(strings[: strings.index("")] if "" in strings else strings)

    @property
    def number(self) -> int | None:
        """The unsigned number of a DWORD or QWORD of whatever length; None if empty or not a number."""
        if not self.data:
            return None
        if self.type in _LITTLE_ENDIAN:
            return int.from_bytes(self.data[: 8 if self.type == ValueType.QWORD else 4], "little")
        return int.from_bytes(self.data[:4], "big") if self.type == ValueType.DWORD_BIG_ENDIAN else None
