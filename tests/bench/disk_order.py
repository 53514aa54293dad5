"""Reading in disk order on a simulated hard disk: what each read costs is counted, so nothing has to wait for it.

The disk gives 150 MB a second. Moving the heads costs a settling time, a way that grows with the square root of the
distance, and half a turn at 7200 rpm; a gap that passes under the heads sooner than that is waited out (the usual model,
as in Ruemmler and Wilkes, "An introduction to disk drive modeling", 1994).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from triage.evidence.source import EvidenceSource
from triage.indicators.load import load_indicators
from triage.model.evidence import EvidenceFormat
from triage.model.gap import Gap
from triage.pipeline.agenda import Agenda, Done, Item
from triage.pipeline.discover import discover
from triage.pipeline.survey import Surveyor
from triage.walk.reader import StreamReader

_BYTES_PER_SECOND = 150e6
_SETTLE_SECONDS = 0.001
_FULL_STROKE_SECONDS = 0.015
_HALF_TURN_SECONDS = 0.5 / 120


class SimulatedDisk(EvidenceSource):
    """A raw image that counts what its reads would cost on a hard disk of its size; `seconds` is the sum."""

    def __init__(self, image: Path) -> None:
        super().__init__(image, EvidenceFormat.RAW, [(image, image.stat().st_size)], 512)
        self._heads_at = 0
        self.seconds = 0.0
        self.bytes = 0

    def forget(self) -> None:
        """Begin to count anew."""
        self.seconds, self.bytes = 0.0, 0

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

    def sequential_seconds(self) -> float:
        """Return what the bytes read would have cost in one piece."""
        return self.bytes / _BYTES_PER_SECOND

    def _charge(self, offset_bytes: int, length_bytes: int) -> None:
        gap = offset_bytes - self._heads_at
        if gap != 0:
            way = _FULL_STROKE_SECONDS * (abs(gap) / self.size_bytes) ** 0.5
            move = _SETTLE_SECONDS + way + _HALF_TURN_SECONDS
            self.seconds += min(move, gap / _BYTES_PER_SECOND) if gap > 0 else move
        self.seconds += length_bytes / _BYTES_PER_SECOND
        self.bytes += length_bytes
        self._heads_at = offset_bytes + length_bytes


def cost_of_orders(image: Path) -> dict[str, float]:
    """Return for each order of reading all streams its cost as a multiple of a sequential read of the same bytes."""
    with SimulatedDisk(image) as disk:
        found = discover([disk], _unexpected)
        surveyor = Surveyor(load_indicators(), lambda _finding: None, _unexpected)
        surveys = [
            surveyor.survey(index, one, one.ntfs, on_hives=None)
            for index, one in enumerate(found)
            if one.ntfs is not None
        ]
        orders = {
            "disk order": list(Agenda(surveys, [disk], Done(), rescue=False).items()),
            "disk order, users' documents first": list(Agenda(surveys, [disk], Done(), rescue=True).items()),
        }
        orders["directory order"] = sorted(orders["disk order"], key=lambda item: item.plan.subject.path)
        return {name: _cost(disk, items) for name, items in orders.items()}


def _cost(disk: SimulatedDisk, items: Iterable[Item]) -> float:
    disk.forget()
    reader = StreamReader()
    for item in items:
        for _ in reader.windows(item.survey.ntfs, item.plan):
            pass
    return disk.seconds / disk.sequential_seconds()


def _unexpected(gap: Gap) -> None:
    raise RuntimeError(f"the measured volume is not sound: {gap.detail}")
