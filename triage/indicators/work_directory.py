"""The name WannaCry gives its work directory, service and Run value, computed from the computer's name.

So it can be looked for. The generator was read in the decompiled installer (function 0x401225): the product
of the UTF-16 code units seeds the C run-time library's `rand`, which gives 8 to 15 letters and three
digits.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

SHAPE = re.compile(r"[a-z]{8,15}[0-9]{3}", re.ASCII)
"""Shape of every name the generator can give; use with `fullmatch`."""

_USER_TEMP = r"(?:users/[^/]+/appdata/local/temp|documents and settings/[^/]+/local settings/temp)"
_TEMP = rf"temp|(?:windows|winnt)/temp|{_USER_TEMP}"
_MOVED = r"windows\.old(?:\.[0-9]{3})?"  # where a Windows lies over which another one was installed
PARENT_DIRECTORIES = re.compile(rf"|(?:{_MOVED}/)?(?:programdata|intel|{_TEMP})", re.IGNORECASE)
"""Directories in which the installer makes it: ProgramData, Intel, the root, TEMP; use with `fullmatch`."""


def work_directory_name(computer_name: str) -> str:
    """Return the name for a computer; its case matters (NetBIOS names are upper case).

    A host may have been renamed since the infection, so the shape has to be looked for as well.
    """
    seed = 1
    for (unit,) in struct.iter_unpack("<H", computer_name.encode("utf-16-le", "surrogatepass")):
        seed = seed * unit & 0xFFFF_FFFF
    rand = _rand(seed)
    letters = next(rand) % 8 + 8
    name = "".join(chr(ord("a") + next(rand) % 26) for _ in range(letters))
    return name + "".join(str(next(rand) % 10) for _ in range(3))


def _rand(seed: int) -> Iterator[int]:
    """Yield what Microsoft's `rand` gives after `srand(seed)`: a linear congruential generator."""
    state = seed
    while True:
        state = (state * 214_013 + 2_531_011) & 0xFFFF_FFFF
        yield state >> 16 & 0x7FFF
