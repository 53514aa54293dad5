"""Reads new files back from the device, past the page cache: the only proof that a copy is on it."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

_AHEAD_FILES = 32
_AHEAD_BYTES = 1024 * 1024
_BUFFER_BYTES = 1024 * 1024


def digests_from_device(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the SHA-256 of each file (durable already) in turn, "" for one that cannot be read.

    What the page cache holds of a file is dropped first. The beginnings of the next files are asked for ahead, so
    that small ones do not wait for the device one by one.
    """
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    ahead: deque[int | None] = deque()
    following = iter(paths)
    try:
        for path in following:
            ahead.append(_open_uncached(path))
            if len(ahead) == _AHEAD_FILES:
                yield _digest(ahead.popleft(), buffer)
        while ahead:
            yield _digest(ahead.popleft(), buffer)
    finally:
        for descriptor in ahead:
            if descriptor is not None:
                os.close(descriptor)


def _open_uncached(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.posix_fadvise(descriptor, 0, _AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
    return descriptor


def _digest(descriptor: int | None, buffer: memoryview) -> str:
    """Hash and close."""
    if descriptor is None:
        return ""
    digest = hashlib.sha256()
    try:
        while (length := os.readv(descriptor, [buffer])) > 0:
            digest.update(buffer[:length])
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return digest.hexdigest()
