"""An NTFS volume opened read-only: its geometry, the bytes of its `$MFT`, and the way to any stream's content."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator

import numpy as np

from triage.evidence.slice import OverlaySource
from triage.model.entry import FileTimes
from triage.model.errors import EvidenceLostError, ParseError, VolumeError
from triage.model.gap import Gap, GapKind, Where
from triage.model.source import ByteSource
from triage.volumes.boot_sector import BOOT_SECTOR_BYTES, NtfsGeometry, parse_boot_sector
from triage.volumes.extents import BadRange, Extent, ExtentReader, extents_of_runs
from triage.volumes.mft_records import (
    Attributes,
    AttributeType,
    Records,
    apply_fixups_to_record,
    file_name_times,
    parse_records,
)
from triage.volumes.mirror import Mirror
from triage.volumes.runs import HOLE, Run, count_clusters, decode_runs

MFT_ENTRY = 0
VOLUME_ENTRY = 3
BLOCK_RECORDS_BYTES = 4 << 20
_RESIDENT_VALUE = struct.Struct("<IH")
_NONRESIDENT_VALUE = struct.Struct("<H14xQQ")


class NtfsVolume:
    """Geometry and `$MFT` of one volume. `gaps` tells what had to be worked around to open it.

    `mended_source` shows what was used in the place of a damaged boot sector or first records.

    Opening tries the first sector, then the backup boot sector in the volume's last; the first record of `$MFT`, then
    its copy in `$MFTMirr`. `VolumeError` when neither pair serves.
    """

    def __init__(self, source: ByteSource, volume_id: str) -> None:
        self.source = source
        self.id = volume_id
        self.gaps: list[Gap] = []
        self.geometry, boot = self._read_boot_sector()
        record_bytes, cluster_bytes = self.geometry.record_bytes, self.geometry.cluster_bytes
        self._mirror = Mirror(source, self.geometry.mft_mirror_cluster * cluster_bytes, record_bytes)
        self.mft_extents, self.mft_bytes, self._bitmap = self._locate_mft()
        self._mft_starts = [extent.stream_offset for extent in self.mft_extents]
        self.gaps += self._mirror.compare(source, self.mft_extents, record_bytes, volume_id)
        replaced = {} if boot is None else {0: boot}
        for entry, record in self._mirror.taken.items():
            extent = self._mft_extents_from(entry * record_bytes)[0]
            if extent.volume_offset >= 0:
                replaced[extent.volume_offset + entry * record_bytes - extent.stream_offset] = record
        self.mended_source = OverlaySource(source, replaced) if replaced else source

    @property
    def record_count(self) -> int:
        """Records that `$MFT`'s size holds, allocated or not."""
        return self.mft_bytes // self.geometry.record_bytes

    def mft_blocks(self) -> Iterator[tuple[int, bytearray, list[BadRange]]]:
        """Yield `$MFT` in pieces, each record once: number of the first, the records' bytes, ranges not readable.

        What can be read at once comes first, in order; the rest is tried again sector by sector when all else is safe.
        """
        record_bytes = self.geometry.record_bytes
        block_records = max(BLOCK_RECORDS_BYTES // record_bytes, 1)
        reader = ExtentReader(self.source, self.mft_extents)
        left: list[range] = []
        for first in range(0, self.record_count, block_records):
            records = range(first, min(first + block_records, self.record_count))
            reader.unreadable = False
            block, bad_ranges = self._read_records(reader, records)
            if not reader.unreadable:
                yield first, block, bad_ranges
                continue
            position = first
            for lost in self._records_of(bad_ranges):
                if position < lost.start:
                    yield position, block[(position - first) * record_bytes : (lost.start - first) * record_bytes], []
                left.append(lost)
                position = lost.stop
            if position < records.stop:
                yield position, block[(position - first) * record_bytes :], []
        reader = ExtentReader(self.source, self.mft_extents, thorough=True)
        for lost in left:
            yield lost.start, *self._read_records(reader, lost)

    def _read_records(self, reader: ExtentReader, records: range) -> tuple[bytearray, list[BadRange]]:
        """Read some records, the copies in `$MFTMirr` in place of those that are damaged."""
        record_bytes = self.geometry.record_bytes
        block = bytearray(len(records) * record_bytes)
        reader.bad_ranges = []
        reader.read_into(records.start * record_bytes, memoryview(block))
        bad_ranges = reader.bad_ranges
        for entry, copy in self._mirror.taken.items():
            if entry in records:
                start = (entry - records.start) * record_bytes
                block[start : start + record_bytes] = copy
                bad_ranges = [part for bad in bad_ranges for part in _outside(bad, entry * record_bytes, record_bytes)]
        return block, bad_ranges

    def _records_of(self, bad_ranges: list[BadRange]) -> Iterator[range]:
        """Yield the records that the ranges touch, each once."""
        record_bytes = self.geometry.record_bytes
        stop = 0
        for bad in bad_ranges:
            start = max(bad.stream_offset // record_bytes, stop)
            stop = -(-(bad.stream_offset + bad.length_bytes) // record_bytes)
            if start < stop:
                yield range(start, stop)

    def read_record(self, entry: int) -> tuple[Records, Attributes]:
        """Read and parse one record, for the few that are wanted a second time."""
        reader = ExtentReader(self.source, self.mft_extents, thorough=True)
        block, _ = self._read_records(reader, range(entry, entry + 1))
        return parse_records(block, len(block), entry)

    def read_resident(self, mft_offset: int, length_bytes: int) -> bytes | None:
        """Return a resident value by its place in `$MFT`, fixups applied; None when its record is unreadable now."""
        entry, offset = divmod(mft_offset, self.geometry.record_bytes)
        record = self._read_fixed_record(entry)
        return None if record is None else bytes(record[offset : offset + length_bytes])

    def read_value(self, mft_offset: int, most_bytes: int) -> bytes | None:
        """Return an attribute's value, or so much of it, by the place of its header in `$MFT`, resident or not.

        None when it is unreadable now. The header was found sound by the enumeration.
        """
        entry, start = divmod(mft_offset, self.geometry.record_bytes)
        record = self._read_fixed_record(entry)
        if record is None:
            return None
        if record[start + 8] == 0:
            length, offset = _RESIDENT_VALUE.unpack_from(record, start + 16)
            return bytes(record[start + offset : start + offset + min(length, most_bytes)])
        end = start + int.from_bytes(record[start + 4 : start + 8], "little")
        pairs, size, initialized = _NONRESIDENT_VALUE.unpack_from(record, start + 32)
        try:
            runs = decode_runs(bytes(record[start + pairs : end]))
        except ParseError:
            return None
        value = bytearray(min(size, most_bytes))
        extents = extents_of_runs(runs, self.geometry.cluster_bytes, size, initialized)
        reader = ExtentReader(self.source, extents, thorough=True)
        reader.read_into(0, memoryview(value))
        return None if reader.bad_ranges else bytes(value)

    def file_name_times(self, entry: int) -> FileTimes | None:
        """Return the times in an entry's `$FILE_NAME`, which are not kept for all entries; None where it has none."""
        record = self._read_fixed_record(entry)
        times = None if record is None else file_name_times(record)
        return None if times is None else FileTimes(*times)

    def _read_fixed_record(self, entry: int) -> bytearray | None:
        reader = ExtentReader(self.source, self._mft_extents_from(entry * self.geometry.record_bytes), thorough=True)
        try:
            raw, bad_ranges = self._read_records(reader, range(entry, entry + 1))
        except EvidenceLostError:
            return None
        return None if bad_ranges or not apply_fixups_to_record(raw) else raw

    def _mft_extents_from(self, offset_bytes: int) -> list[Extent]:
        """Return the extents that matter for one read; of a fragmented `$MFT` those before it are left out."""
        first = bisect_right(self._mft_starts, offset_bytes) - 1
        return self.mft_extents[first : first + 2]

    def read_bitmap(self) -> bytes | None:
        """Return `$MFT:$BITMAP`, one bit a record, least significant first; None when it could not be read whole."""
        if self._bitmap is None:
            return None
        if isinstance(self._bitmap, bytes):
            return self._bitmap
        view = bytearray(sum(extent.length_bytes for extent in self._bitmap))
        reader = ExtentReader(self.source, self._bitmap, thorough=True)
        reader.read_into(0, memoryview(view))
        return None if reader.bad_ranges else bytes(view)

    def read_label(self) -> str | None:
        """Return the volume's label from `$Volume`, or None."""
        records, attributes = self.read_record(VOLUME_ENTRY)
        for index in range(len(attributes.type)):
            if attributes.type[index] == AttributeType.VOLUME_NAME and attributes.resident[index]:
                return _content(records, attributes, index).decode("utf-16-le", "replace")
        return None

    def _read_boot_sector(self) -> tuple[NtfsGeometry, bytes | None]:
        first = self._read_sector(0)
        try:
            return parse_boot_sector(first), None
        except ParseError as first_error:
            for offset in (
                self.source.size_bytes - BOOT_SECTOR_BYTES,
                self.source.size_bytes // 4096 * 4096 - 4096,
            ):
                backup = self._read_sector(max(offset, 0))
                try:
                    geometry = parse_boot_sector(backup)
                except ParseError:
                    continue
                detail = f"first sector damaged ({first_error}); the backup boot sector at byte {offset} was used"
                self.gaps.append(
                    Gap(
                        kind=GapKind.BOOT_SECTOR,
                        detail=detail,
                        where=Where(volume=self.id, offset_bytes=0),
                        bytes=BOOT_SECTOR_BYTES,
                        material=False,
                    )
                )
                return geometry, backup
            raise VolumeError(f"no usable NTFS boot sector: {first_error}") from first_error

    def _read_sector(self, offset_bytes: int) -> bytes:
        try:
            return self.source.read(offset_bytes, BOOT_SECTOR_BYTES)
        except OSError:
            return b""

    def _locate_mft(self) -> tuple[list[Extent], int, bytes | list[Extent] | None]:
        """Find `$MFT`'s extents from its own first record, following its extension records where it has some."""
        geometry = self.geometry
        record, attributes = self._first_record()
        data = _chosen(attributes, AttributeType.DATA)
        if not data or attributes.start_vcn[data[0]] != 0:
            raise VolumeError("the first record of $MFT has no $DATA attribute")
        size = int(attributes.size_bytes[data[0]])
        clusters = -(-size // geometry.cluster_bytes)
        runs = decode_checked(_content(record, attributes, data[0]))
        pieces = self._extension_pieces(size, runs) if count_clusters(runs) < clusters else []
        for piece in pieces:
            runs += piece
        known = min(count_clusters(runs) * geometry.cluster_bytes, size)
        if known < size:
            self._note_mft("is incomplete: its later records could not be located", known, size - known)
        if known > self.source.size_bytes:  # bounds what a damaged size costs
            self._note_mft("is longer than the evidence", self.source.size_bytes, known - self.source.size_bytes)
        size = min(known, self.source.size_bytes)
        extents = extents_of_runs(runs, geometry.cluster_bytes, size, size)
        for extent in extents:
            if extent.volume_offset == HOLE:
                detail = "has a hole: what records stood there is not known"
                self._note_mft(detail, extent.stream_offset, extent.length_bytes)
        if size < geometry.record_bytes:
            raise VolumeError("$MFT holds no record")
        return extents, size, self._locate_bitmap(record, attributes)

    def _note_mft(self, what: str, offset_bytes: int, length_bytes: int) -> None:
        where = Where(volume=self.id, path="$MFT", mft_entry=MFT_ENTRY, offset_bytes=offset_bytes)
        detail = f"$MFT's run list {what}"
        self.gaps.append(Gap(kind=GapKind.RUN_LIST, detail=detail, where=where, bytes=length_bytes))

    def _first_record(self) -> tuple[Records, Attributes]:
        geometry = self.geometry
        start = Extent(0, geometry.record_bytes, geometry.mft_cluster * geometry.cluster_bytes)
        own = bytearray(geometry.record_bytes)
        ExtentReader(self.source, [start], thorough=True).read_into(0, memoryview(own))
        for raw in (bytes(own), self._mirror.get(MFT_ENTRY)):
            if raw is None:
                continue
            records, attributes = parse_records(raw, geometry.record_bytes, MFT_ENTRY)
            if records.whole[0] and _chosen(attributes, AttributeType.DATA):
                return records, attributes
        raise VolumeError("neither $MFT nor $MFTMirr starts with a readable record")

    def _extension_pieces(self, size: int, runs: list[Run]) -> list[list[Run]]:
        """Collect later pieces of `$MFT`'s run list from extension records, in blocks of what is known to be `$MFT`.

        Each piece makes more of it known. No more than the evidence holds is looked through, whatever a damaged run
        list claims.
        """
        geometry, source = self.geometry, self.source
        pieces: list[list[Run]] = []
        found: dict[int, bytes] = {}
        known, covered = list(runs), count_clusters(runs)
        position = geometry.record_bytes
        while covered * geometry.cluster_bytes < size:
            end = min(covered * geometry.cluster_bytes, size, source.size_bytes)
            records = min(end - position, BLOCK_RECORDS_BYTES) // geometry.record_bytes
            if records < 1:
                break
            raw = bytearray(records * geometry.record_bytes)
            reader = ExtentReader(source, extents_of_runs(known, geometry.cluster_bytes, size, size), thorough=True)
            reader.read_into(position, memoryview(raw))
            found |= self._pieces_in(raw, position // geometry.record_bytes)
            position += len(raw)
            while (pairs := found.pop(covered, None)) is not None:
                piece = decode_checked(pairs)
                pieces.append(piece)
                known += piece
                covered += count_clusters(piece)
        return pieces

    def _pieces_in(self, raw: bytearray, first_entry: int) -> dict[int, bytes]:
        """Return the mapping pairs of later pieces of `$MFT` that a block of records holds, by their first VCN."""
        records, attributes = parse_records(raw, self.geometry.record_bytes, first_entry)
        is_piece = records.whole & (records.base_entry == MFT_ENTRY) & (records.base_sequence != 0)
        return {
            int(attributes.start_vcn[index]): _content(records, attributes, index)
            for index in _chosen(attributes, AttributeType.DATA)
            if is_piece[attributes.row[index]] and not attributes.resident[index]
        }

    def _locate_bitmap(self, record: Records, attributes: Attributes) -> bytes | list[Extent] | None:
        for index in _chosen(attributes, AttributeType.BITMAP):
            content = _content(record, attributes, index)
            if attributes.resident[index]:
                return content
            size, initialized = int(attributes.size_bytes[index]), int(attributes.initialized_bytes[index])
            if size > self.source.size_bytes:  # a damaged size; nothing of that length is to be held in memory
                return None
            return extents_of_runs(decode_checked(content), self.geometry.cluster_bytes, size, initialized)
        return None


def decode_checked(mapping_pairs: bytes) -> list[Run]:
    """Decode the run list of a system attribute without which the volume cannot be opened."""
    try:
        return decode_runs(mapping_pairs)
    except ParseError as error:
        raise VolumeError(f"a system file's run list is damaged: {error}") from error


def _outside(bad: BadRange, start: int, length_bytes: int) -> Iterator[BadRange]:
    """Yield what of a bad range lies before and behind a stretch."""
    end, bad_end = start + length_bytes, bad.stream_offset + bad.length_bytes
    if bad.stream_offset < start:
        yield bad._replace(length_bytes=min(bad_end, start) - bad.stream_offset)
    if bad_end > end:
        first = max(bad.stream_offset, end)
        yield bad._replace(stream_offset=first, length_bytes=bad_end - first)


def _content(records: Records, attributes: Attributes, index: int) -> bytes:
    start = int(attributes.content_offset[index])
    return records.data.reshape(-1)[start : start + int(attributes.content_bytes[index])].tobytes()


def _chosen(attributes: Attributes, kind: AttributeType) -> list[int]:
    """Return the rows of unnamed attributes of one type."""
    chosen: list[int] = np.flatnonzero((attributes.type == kind) & (attributes.name_bytes == 0)).tolist()
    return chosen
