"""Damage for tests: bytes changed at one place, and many such changes from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator


def patched(data: bytes, at: int, content: bytes) -> bytes:
    return data[:at] + content + data[at + len(content) :]


def mutations(data: bytes, chance: random.Random, count: int) -> Iterator[bytes]:
    """Flip a bit, overwrite a word, zero a sector, or cut the file, in turn."""
    for number in range(count):
        at, kind = chance.randrange(len(data)), number % 4
        if kind == 0:
            yield patched(data, at, bytes([data[at] ^ 1 << chance.randrange(8)]))
        elif kind == 1:
            yield patched(data, at & ~3, chance.choice([bytes(4), b"\xff" * 4, chance.randbytes(4)]))
        else:
            yield patched(data, at & ~511, bytes(512)) if kind == 2 else data[:at]
