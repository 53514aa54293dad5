"""An NTFS volume opened read-only: its geometry, the bytes of its `$MFT`, and the way to any stream's content."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator

from triage.evidence.slice import OverlaySource
from triage.model.entry import FileTimes
from triage.model.errors import ParseError, VolumeError
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
from triage.volumes.runs import Run, count_clusters, decode_runs

MFT_ENTRY = 0
VOLUME_ENTRY = 3
BLOCK_RECORDS_BYTES = 4 << 20
_RESIDENT_VALUE = struct.Struct("<IH")
_NONRESIDENT_VALUE = struct.Struct("<H14xQQ")


class NtfsVolume:
    """Geometry and `$MFT` of one volume. `gaps` tells what had to be worked around to open it.

    `mended_source` shows the boot sector that was used in the place of the first.

    Opening tries the first sector, then the backup boot sector in the volume's last; the first record of `$MFT`, then
    its copy in `$MFTMirr`. `VolumeError` when neither pair serves.
    """

    def __init__(self, source: ByteSource, volume_id: str) -> None:
        self.source = source
        self.id = volume_id
        self.gaps: list[Gap] = []
        self.geometry, boot = self._read_boot_sector()
        self.mended_source = source if boot is None else OverlaySource(source, {0: boot})
        self.mft_extents, self.mft_bytes, self._bitmap = self._locate_mft()
        self._mft_starts = [extent.stream_offset for extent in self.mft_extents]

    @property
    def record_count(self) -> int:
        """Records that `$MFT`'s size holds, allocated or not."""
        return self.mft_bytes // self.geometry.record_bytes

    def mft_blocks(self) -> Iterator[tuple[int, bytearray, list[BadRange]]]:
        """Yield `$MFT` in order: number of the first record, the records' bytes, ranges that could not be read."""
        record_bytes = self.geometry.record_bytes
        reader = ExtentReader(self.source, self.mft_extents)
        block_bytes = max(BLOCK_RECORDS_BYTES // record_bytes, 1) * record_bytes
        total = self.record_count * record_bytes
        for offset in range(0, total, block_bytes):
            block = bytearray(min(block_bytes, total - offset))
            reader.bad_ranges = []
            reader.read_into(offset, memoryview(block))
            yield offset // record_bytes, block, reader.bad_ranges

    def read_record(self, entry: int) -> tuple[Records, Attributes]:
        """Read and parse one record, for the few that are wanted a second time."""
        record_bytes = self.geometry.record_bytes
        raw = bytearray(record_bytes)
        ExtentReader(self.source, self.mft_extents).read_into(entry * record_bytes, memoryview(raw))
        return parse_records(raw, record_bytes, entry)

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
        reader = ExtentReader(self.source, extents_of_runs(runs, self.geometry.cluster_bytes, size, initialized))
        reader.read_into(0, memoryview(value))
        return None if reader.bad_ranges else bytes(value)

    def file_name_times(self, entry: int) -> FileTimes | None:
        """Return the times in an entry's `$FILE_NAME`, which are not kept for all entries; None where it has none."""
        record = self._read_fixed_record(entry)
        times = None if record is None else file_name_times(record)
        return None if times is None else FileTimes(*times)

    def _read_fixed_record(self, entry: int) -> bytearray | None:
        raw = bytearray(self.geometry.record_bytes)
        reader = ExtentReader(self.source, self._mft_extents_from(entry * len(raw)))
        reader.read_into(entry * len(raw), memoryview(raw))
        return None if reader.bad_ranges or not apply_fixups_to_record(raw) else raw

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
        reader = ExtentReader(self.source, self._bitmap)
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
        record, attributes, place = self._first_record()
        if place != geometry.mft_cluster:
            self._note_mirror()
        data = _chosen(attributes, AttributeType.DATA)
        if not data or attributes.start_vcn[data[0]] != 0:
            raise VolumeError("the first record of $MFT has no $DATA attribute")
        size = int(attributes.size_bytes[data[0]])
        clusters = -(-size // geometry.cluster_bytes)
        runs = decode_checked(_content(record, attributes, data[0]))
        pieces = self._extension_pieces(size, runs) if count_clusters(runs) < clusters else []
        for piece in pieces:
            runs += piece
        extents = extents_of_runs(runs, geometry.cluster_bytes, size, size)
        if count_clusters(runs) < clusters:
            known = count_clusters(runs) * geometry.cluster_bytes
            self.gaps.append(
                Gap(
                    kind=GapKind.RUN_LIST,
                    detail="$MFT's run list is incomplete: its later records could not be located",
                    where=Where(volume=self.id, path="$MFT", mft_entry=MFT_ENTRY, offset_bytes=known),
                    bytes=size - known,
                )
            )
            extents = extents_of_runs(runs, geometry.cluster_bytes, known, known)
            size = known
        if size < geometry.record_bytes:
            raise VolumeError("$MFT holds no record")
        return extents, size, self._locate_bitmap(record, attributes)

    def _first_record(self) -> tuple[Records, Attributes, int]:
        geometry = self.geometry
        for cluster in (geometry.mft_cluster, geometry.mft_mirror_cluster):
            raw = bytearray(geometry.record_bytes)
            reader = ExtentReader(self.source, [Extent(0, len(raw), cluster * geometry.cluster_bytes)])
            reader.read_into(0, memoryview(raw))
            records, attributes = parse_records(raw, geometry.record_bytes, MFT_ENTRY)
            if records.whole[0] and _chosen(attributes, AttributeType.DATA):
                return records, attributes, cluster
        raise VolumeError("neither $MFT nor $MFTMirr starts with a readable record")

    def _note_mirror(self) -> None:
        where = Where(volume=self.id, path="$MFT", mft_entry=MFT_ENTRY)
        detail = "the first record of $MFT is unreadable; its copy in $MFTMirr was used"
        self.gaps.append(Gap(kind=GapKind.MFT_RECORD, detail=detail, where=where, material=False))

    def _extension_pieces(self, size: int, runs: list[Run]) -> list[list[Run]]:
        """Collect later pieces of `$MFT`'s run list from extension records that the known part already holds."""
        pieces: list[list[Run]] = []
        covered = count_clusters(runs)
        entry = 1
        known = list(runs)
        while (entry + 1) * self.geometry.record_bytes <= covered * self.geometry.cluster_bytes:
            raw = bytearray(self.geometry.record_bytes)
            extents = extents_of_runs(known, self.geometry.cluster_bytes, size, size)
            ExtentReader(self.source, extents).read_into(entry * len(raw), memoryview(raw))
            records, attributes = parse_records(raw, len(raw), entry)
            entry += 1
            if not records.whole[0] or records.base_entry[0] != MFT_ENTRY or records.base_sequence[0] == 0:
                continue
            for index in _chosen(attributes, AttributeType.DATA):
                if int(attributes.start_vcn[index]) == covered:
                    piece = decode_checked(_content(records, attributes, index))
                    pieces.append(piece)
                    known += piece
                    covered += count_clusters(piece)
                    entry = 1
            if covered * self.geometry.cluster_bytes >= size:
                break
        return pieces

    def _locate_bitmap(self, record: Records, attributes: Attributes) -> bytes | list[Extent] | None:
        for index in _chosen(attributes, AttributeType.BITMAP):
            content = _content(record, attributes, index)
            if attributes.resident[index]:
                return content
            size, initialized = int(attributes.size_bytes[index]), int(attributes.initialized_bytes[index])
            return extents_of_runs(decode_checked(content), self.geometry.cluster_bytes, size, initialized)
        return None


def decode_checked(mapping_pairs: bytes) -> list[Run]:
    """Decode the run list of a system attribute without which the volume cannot be opened."""
    try:
        return decode_runs(mapping_pairs)
    except ParseError as error:
        raise VolumeError(f"a system file's run list is damaged: {error}") from error


def _content(records: Records, attributes: Attributes, index: int) -> bytes:
    start = int(attributes.content_offset[index])
    return records.data.reshape(-1)[start : start + int(attributes.content_bytes[index])].tobytes()


def _chosen(attributes: Attributes, kind: AttributeType) -> list[int]:
    """Return the rows of unnamed attributes of one type."""
    return [i for i in range(len(attributes.type)) if attributes.type[i] == kind and attributes.name_bytes[i] == 0]
