"""Reading in disk order on a simulated hard disk: what each read costs is counted, so nothing has to wait for it.

The disk gives 150 MB a second. Moving the heads costs a settling time, a way that grows with the square root of the
distance, and half a turn at 7200 rpm; a gap that passes under the heads sooner than that is waited out (the
usual model, as in Ruemmler and Wilkes, "An introduction to disk drive modeling", 1994).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from triage.evidence.source import EvidenceSource
from triage.indicators.load import load_indicators
from triage.model.evidence import EvidenceFormat
from triage.model.gap import Gap
from triage.model.told import Notes
from triage.pipeline.agenda import Agenda, Done, Item
from triage.pipeline.discover import discover
from triage.pipeline.survey import Surveyor
from triage.walk.reader import StreamReader, Window

_BYTES_PER_SECOND = 150e6
_SETTLE_SECONDS = 0.001
_FULL_STROKE_SECONDS = 0.015
_HALF_TURN_SECONDS = 0.5 / 120


class SimulatedDisk(EvidenceSource):
    """A raw image that counts what its reads would cost on a hard disk of its size."""

    def __init__(self, image: Path) -> None:
        super().__init__(image, EvidenceFormat.RAW, [(image, image.stat().st_size)], 512)
        self._heads_at = 0
        self._seconds = 0.0
        self._bytes = 0

    def cost(self, streams: Iterable[Iterator[Window]]) -> float:
        """Read streams; return what that cost as a multiple of a sequential read of the same bytes."""
        self._seconds, self._bytes = 0.0, 0
        for windows in streams:
            for _ in windows:
                pass
        return self._seconds / (self._bytes / _BYTES_PER_SECOND)

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill `view`, and charge for it."""
        self._charge(offset_bytes, len(view))
        return super().read_into(offset_bytes, view)

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return bytes, and charge for them."""
        self._charge(offset_bytes, length_bytes)
        return super().read(offset_bytes, length_bytes)

    def prefetch(self, offset_bytes: int, length_bytes: int) -> None:
        """Do nothing: what is read ahead is read in the same order."""

    def _charge(self, offset_bytes: int, length_bytes: int) -> None:
        gap = offset_bytes - self._heads_at
        if gap != 0:
            way = _FULL_STROKE_SECONDS * (abs(gap) / self.size_bytes) ** 0.5
            move = _SETTLE_SECONDS + way + _HALF_TURN_SECONDS
            self._seconds += min(move, gap / _BYTES_PER_SECOND) if gap > 0 else move
        self._seconds += length_bytes / _BYTES_PER_SECOND
        self._bytes += length_bytes
        self._heads_at = offset_bytes + length_bytes


def cost_of_orders(image: Path) -> dict[str, float]:
    """Return for each order of reading all streams its cost as a multiple of a sequential read of the same bytes."""
    with SimulatedDisk(image) as disk:
        found = discover([disk], _unexpected)
        surveyor = Surveyor(load_indicators(), Notes(lambda _finding: None, lambda _event: None, _unexpected))
        surveys = [
            surveyor.survey(index, one, one.ntfs, begin=lambda _row, _where: False)
            for index, one in enumerate(found)
            if one.ntfs is not None
        ]
        agenda = Agenda(surveys, [disk], Done(), rescue=False)
        costs = {"disk order": _cost(disk, agenda.items())}
        costs["disk order, users' documents first"] = _cost(disk, Agenda(surveys, [disk], Done(), rescue=True).items())
        plans = [(one.ntfs, plan) for one in surveys for plan in one.streams.plans(one.streams.heads)]
        by_path = sorted(plans, key=lambda planned: planned[1].subject.path)
        costs["directory order"] = disk.cost(StreamReader().windows(ntfs, plan) for ntfs, plan in by_path)
        return costs


def _cost(disk: SimulatedDisk, items: Iterable[Item]) -> float:
    reader = StreamReader()
    return disk.cost(reader.windows(item.survey.ntfs, item.plan, item.source) for item in items)


def _unexpected(gap: Gap) -> None:
    raise RuntimeError(f"the measured volume is not sound: {gap.detail}")
