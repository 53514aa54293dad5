"""The compute floor: the same bytes from memory through the same digests and rules on two threads, nothing else."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from triage.evidence.open import open_evidence
from triage.examiners.yara_rules import compile_rules
from triage.indicators.load import load_indicators
from triage.model.entry import StreamState
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import read_mft
from triage.walk.paths import Paths
from triage.walk.reader import StreamReader
from triage.walk.streams import Streams

THREADS = 2


class Floor:
    """All streams of a bare NTFS image in memory; needs as much of it."""

    def __init__(self, image: Path) -> None:
        self._rules = compile_rules().rules
        indicators = load_indicators()
        reader = StreamReader()
        self._pieces: list[bytearray] = []
        with open_evidence(image) as source:
            volume = NtfsVolume(source, "v1")
            table = read_mft(volume)
            streams = Streams(volume, table, Paths(table))
            for plan in streams.plans(streams.heads):
                piece = bytearray()
                for window in reader.windows(volume, plan):
                    piece += window.view[window.fresh :]
                if reader.state is StreamState.READ:
                    self._pieces.append(piece)
        self._needs_sha1 = [indicators.needs_sha1(len(piece)) for piece in self._pieces]

    @property
    def bytes(self) -> int:
        """How many bytes are held."""
        return sum(map(len, self._pieces))

    def seconds(self) -> float:
        """Compute everything once; return the wall seconds."""
        pieces = iter(zip(self._pieces, self._needs_sha1, strict=True))
        lock = threading.Lock()
        threads = [threading.Thread(target=self._work, args=(pieces, lock)) for _ in range(THREADS)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started

    def _work(self, pieces: Iterator[tuple[bytearray, bool]], lock: threading.Lock) -> None:
        while True:
            with lock:
                piece, needs_sha1 = next(pieces, (None, False))
            if piece is None:
                return
            hashlib.md5(piece, usedforsecurity=False).hexdigest()
            hashlib.sha256(piece).hexdigest()
            if needs_sha1:
                hashlib.sha1(piece, usedforsecurity=False).hexdigest()
            self._rules.match(data=piece, fast=True, timeout=60)
