"""How many clusters are in use before given places of a volume: the bits of `$Bitmap`, counted a window at a time.

Source: "NTFS Documentation" of the Linux-NTFS project, file `$Bitmap`: one bit a cluster, least significant first.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from triage.volumes.mft_records import I64, U64

_WORD_BITS = 64


def used_before(windows: Iterable[memoryview], places: I64) -> I64 | None:
    """Return for each place how many clusters before it are in use; None where the bits end before the last place.

    `windows` are the bitmap's bytes in order, each a multiple of eight but the last; `places` are cluster numbers in
    ascending order. Memory is that of one window, whatever the volume's size.
    """
    counts = np.zeros(len(places), np.int64)
    first_cluster = used = done = 0
    for window in windows:
        words = np.frombuffer(bytes(window) + bytes(-len(window) % 8), "<u8")
        before = np.concatenate([[0], np.cumsum(_ones(words))])
        last = first_cluster + 8 * len(window)
        stop = int(np.searchsorted(places, last, side="right"))
        inside = places[done:stop] - first_cluster
        word, bit = inside // _WORD_BITS, (inside % _WORD_BITS).astype(np.uint64)
        partial = np.append(words, np.uint64(0))[word] & ((np.uint64(1) << bit) - np.uint64(1))
        counts[done:stop] = used + before[word] + _ones(partial)
        used += int(before[-1])
        first_cluster, done = last, stop
    return counts if done == len(places) else None


def _ones(words: U64) -> I64:
    """Count the bits that are set in each word, by halves: pairs, nibbles, bytes, then their sum in the top byte."""
    words = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    words = (words & np.uint64(0x3333333333333333)) + ((words >> np.uint64(2)) & np.uint64(0x3333333333333333))
    words = (words + (words >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((words * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)
