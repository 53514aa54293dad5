"""`$MFTMirr`: the second copy of `$MFT`'s first four records, without which nothing of a volume can be found.

Source: "NTFS Documentation" of the Linux-NTFS project, file `$MFTMirr`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from triage.model.gap import Gap, GapKind, Where
from triage.model.source import ByteSource
from triage.volumes.extents import Extent, ExtentReader
from triage.volumes.mft_records import apply_fixups_to_record, parse_records

MIRRORED_RECORDS: Final = 4
_NAMES = ("$MFT", "$MFTMirr", "$LogFile", "$Volume")


class Mirror:
    """The copies that are sound; `taken` are those that have to stand in for records of `$MFT`, as stored."""

    def __init__(self, source: ByteSource, offset_bytes: int, record_bytes: int) -> None:
        size_bytes = MIRRORED_RECORDS * record_bytes
        self._within_evidence = offset_bytes + size_bytes <= source.size_bytes
        extents = [Extent(0, size_bytes, offset_bytes)]
        self._sound = sound_records(source, extents, record_bytes) if self._within_evidence else {}
        self.taken: dict[int, bytes] = {}

    def get(self, entry: int) -> bytes | None:
        """Return the sound copy of a record, None where there is none."""
        return self._sound.get(entry)

    def compare(self, source: ByteSource, mft_extents: list[Extent], record_bytes: int, volume: str) -> Iterator[Gap]:
        """Hold the copies against `$MFT`; take those whose record there is not sound. Yield what does not agree."""
        ours = sound_records(source, mft_extents, record_bytes)
        for entry, name in enumerate(_NAMES):
            copy, own = self._sound.get(entry), ours.get(entry)
            where = Where(volume=volume, path=name, mft_entry=entry)
            if copy is not None and own is None:
                self.taken[entry] = copy
                detail = f"record {entry} of $MFT ({name}) is unreadable or damaged; its copy in $MFTMirr was used"
            elif copy is None and own is not None and self._within_evidence:
                detail = f"the copy of record {entry} of $MFT ({name}) in $MFTMirr is unreadable or damaged"
            elif copy is not None and own is not None and _content(copy) != _content(own):
                detail = f"record {entry} of $MFT ({name}) is not the same in $MFTMirr; that in $MFT was used"
            else:
                continue
            yield Gap(kind=GapKind.MFT_RECORD, detail=detail, where=where, bytes=record_bytes, material=False)


def sound_records(source: ByteSource, extents: list[Extent], record_bytes: int) -> dict[int, bytes]:
    """Return the mirrored records that can be read and are whole, as stored, by entry."""
    raw = bytearray(MIRRORED_RECORDS * record_bytes)
    reader = ExtentReader(source, extents, thorough=True)
    reader.read_into(0, memoryview(raw))
    records, _ = parse_records(raw, record_bytes, 0)
    lost = {
        entry
        for entry in range(MIRRORED_RECORDS)
        for bad in reader.bad_ranges
        if bad.stream_offset < (entry + 1) * record_bytes
        and bad.stream_offset + bad.length_bytes > entry * record_bytes
    }
    return {
        entry: bytes(raw[entry * record_bytes : (entry + 1) * record_bytes])
        for entry in range(MIRRORED_RECORDS)
        if records.whole[entry] and entry not in lost
    }


def _content(stored: bytes) -> bytes:
    """Return what a record says: its bytes in use without the update sequence, which is another one on each write."""
    record = bytearray(stored)
    apply_fixups_to_record(record)
    array, count = (int.from_bytes(record[at : at + 2], "little") for at in (4, 6))
    record[array : array + 2 * count] = bytes(2 * count)
    return bytes(record[: int.from_bytes(record[24:28], "little")])
