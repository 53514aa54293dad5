"""Lines of a text file of whatever size, a piece at a time: UTF-8, UTF-16 with or without a mark, or a code page.

What logs say of addresses and names is ASCII, so bytes that are no UTF-8 are taken for Latin-1: no line is lost.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

LONGEST_LINE = 1 << 16
"""Characters after which a line is cut; what follows comes as a line of its own."""

_MARKS = ((codecs.BOM_UTF8, "latin-1"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_LOOKED_AT_BYTES = 64


class LineReader:
    """Turns the pieces of one file into lines without their ends; `cut` counts those that were too long."""

    def __init__(self) -> None:
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_bytes = True
        self._rest = ""
        self.cut = 0

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the lines that end in the next piece. The first piece tells the encoding."""
        if self._decoder is None:
            mark, encoding = _encoding(piece)
            self._is_bytes = encoding == "latin-1"
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")
            piece = piece[len(mark) :]
        *lines, self._rest = (self._rest + self._decoder.decode(piece)).split("\n")
        while len(self._rest) > LONGEST_LINE:
            lines.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
            self.cut += 1
        yield from map(self._line, lines)

    def end(self) -> Iterator[str]:
        """Yield the last line where the file does not end with the end of one."""
        if self._rest:
            yield self._line(self._rest)

    def _line(self, text: str) -> str:
        text = text.rstrip("\r\0")
        if not self._is_bytes or text.isascii():
            return text
        try:
            return text.encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            return text


def _encoding(head: bytes) -> tuple[bytes, str]:
    """Return a file's mark, and how to decode what follows; without one, zeros at every other place tell UTF-16."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return mark, encoding
    looked_at = head[:_LOOKED_AT_BYTES]
    even, odd = looked_at[::2], looked_at[1::2]
    if odd and odd.count(0) == len(odd) and even.count(0) == 0:
        return b"", "utf-16-le"
    if odd and even.count(0) == len(even) and odd.count(0) == 0:
        return b"", "utf-16-be"
    return b"", "latin-1"
