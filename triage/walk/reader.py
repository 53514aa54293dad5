"""Reads one stream once, window by window, through the fast path or The Sleuth Kit's decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from triage.evidence.salvage import BEYOND_END, never
from triage.model.entry import StreamForm, StreamState
from triage.model.errors import EvidenceLostError, VolumeError
from triage.model.gap import Gap, GapKind, Where
from triage.volumes.extents import MISSING, RUN_LIST_ENDS, BadRange, Extent, ExtentReader
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.wof import ReadAt, WofDecoder
from triage.walk.streams import StreamPlan, WofContent

WINDOW_BYTES = 16 << 20
OVERLAP_BYTES = 1 << 20
_LISTED = 256
_MOST_MISSING_BYTES = 64 << 30
_UNREAD_GAPS = {
    StreamState.EFS_ENCRYPTED: GapKind.EFS_ENCRYPTED,
    StreamState.NOT_DECODABLE: GapKind.NOT_DECODABLE,
    StreamState.REPARSE_POINT: GapKind.REPARSE_POINT,
    StreamState.PARTIAL: GapKind.RUN_LIST,
}


class Window:
    """A stretch of a stream in the reader's buffer; `view[fresh:]` is new, the rest repeats the window before.

    After the one that `is_last` there is nothing more to read, and the reader's account of the stream is complete.
    """

    __slots__ = ("fresh", "is_last", "offset_bytes", "view")

    def __init__(self, view: memoryview, offset_bytes: int, fresh: int, *, is_last: bool) -> None:
        self.view = view
        self.offset_bytes = offset_bytes
        self.fresh = fresh
        self.is_last = is_last


class StreamReader:
    """Owns one buffer and reads one stream at a time; each thread has its own.

    After `windows` has ended, `bad_ranges`, `bytes_read` and `state` tell how the stream ended; `unreadable` says that
    the source refused some of it, so that reading it once more may give more.
    """

    def __init__(
        self,
        window_bytes: int = WINDOW_BYTES,
        overlap_bytes: int = OVERLAP_BYTES,
        *,
        stop: Callable[[], bool] = never,
    ) -> None:
        self._stop = stop
        self._thorough = False
        self.unreadable = False
        self._buffer = memoryview(bytearray(window_bytes))
        self._overlap_bytes = overlap_bytes
        self.bad_ranges: list[BadRange] = []
        self.bytes_read = 0
        self.state = StreamState.READ
        self.reason = ""

    def windows(self, volume: NtfsVolume, plan: StreamPlan, *, thorough: bool = False) -> Iterator[Window]:
        """Yield the stream's windows in order; none for an empty stream or one that is not read.

        The first pass leaps over unreadable ranges; a `thorough` one, for when all else is read, tries each sector.
        """
        self._thorough, self.unreadable = thorough, False
        self.bad_ranges, self.bytes_read, self.reason = [], 0, plan.reason
        self.state = plan.unread or StreamState.READ
        if plan.unread is not None or plan.subject.size_bytes == 0:
            return iter(())
        if plan.wof is not None:
            return self._decoded_wof(volume, plan, plan.wof)
        if plan.resident_offset is not None:
            return self._resident(volume, plan)
        return self._decoded_by_tsk(volume, plan) if plan.through_tsk else self._extents(volume, plan)

    def gaps(self, plan: StreamPlan) -> list[Gap]:
        """Return what of the stream was not read, one gap a range; of very many the last ones together."""
        subject = plan.subject
        if self.state in _UNREAD_GAPS and not self.bad_ranges:
            kind, missing = _UNREAD_GAPS[self.state], subject.size_bytes - self.bytes_read
            return [Gap(kind=kind, detail=self.reason, where=place(plan), bytes=missing)]
        gaps = [
            Gap(
                kind=bad.kind,
                detail=bad.reason if bad.kind is GapKind.NOT_DECODABLE else f"not readable: {bad.reason}",
                where=place(plan, bad.stream_offset),
                bytes=bad.length_bytes,
            )
            for bad in self.bad_ranges[:_LISTED]
        ]
        more = self.bad_ranges[_LISTED:]
        if more:
            last = more[-1]
            detail = f"{len(more)} further ranges, the last at byte {last.stream_offset}: {last.reason}"
            missing = sum(bad.length_bytes for bad in more)
            where = place(plan, more[0].stream_offset)
            gaps.append(Gap(kind=GapKind.READ_ERROR, detail=detail, where=where, bytes=missing))
        return gaps

    def _resident(self, volume: NtfsVolume, plan: StreamPlan) -> Iterator[Window]:
        size = plan.subject.size_bytes
        value = volume.read_resident(plan.resident_offset or 0, size)
        if value is None:
            self.bad_ranges = [BadRange(0, size, "its MFT record is unreadable")]
            self.state, self.unreadable = StreamState.PARTIAL, True
            return
        self.bytes_read = size
        yield Window(memoryview(value), 0, 0, is_last=True)

    def _extents(self, volume: NtfsVolume, plan: StreamPlan) -> Iterator[Window]:
        reader = ExtentReader(volume.source, plan.extents, thorough=self._thorough, stop=self._stop)
        size, cut_off = _readable(plan.extents, volume.source.size_bytes)
        if cut_off:
            reader.bad_ranges += cut_off
            self._settle(plan.subject.size_bytes, reader.bad_ranges)
        position = fresh = 0
        while position < size:
            length = min(len(self._buffer) - fresh, size - position)
            try:
                reader.read_into(position, self._buffer[fresh : fresh + length])
            except EvidenceLostError as error:
                rest = BadRange(position, size - position, error.message)
                self._settle(plan.subject.size_bytes, _with_rest(reader.bad_ranges, rest))
                self.unreadable = True
                return
            view, offset = self._buffer[: fresh + length], position - fresh
            position += length
            is_last = position >= size
            if is_last:
                self.unreadable = reader.unreadable
                self._settle(plan.subject.size_bytes, reader.bad_ranges)
            yield Window(view, offset, fresh, is_last=is_last)
            fresh = self._keep_tail(fresh + length)

    @property
    def _block_bytes(self) -> int:
        """What of a window a decoder fills: all but what is repeated of the window before."""
        return len(self._buffer) - self._overlap_bytes

    def _settle(self, size_bytes: int, bad_ranges: list[BadRange]) -> None:
        self.bad_ranges = bad_ranges
        self.bytes_read = size_bytes - sum(bad.length_bytes for bad in bad_ranges)
        if bad_ranges:
            nothing_decoded = self.bytes_read == 0 and bad_ranges[0].kind is GapKind.NOT_DECODABLE
            self.state = StreamState.NOT_DECODABLE if nothing_decoded else StreamState.PARTIAL
            self.reason = bad_ranges[0].reason

    def _decoded_by_tsk(self, volume: NtfsVolume, plan: StreamPlan) -> Iterator[Window]:
        """Through TSK's decoder. Bytes past the initialised size are zeros, which TSK does not always see to."""
        subject = plan.subject
        size = subject.size_bytes
        position = fresh = 0
        try:
            for block in volume.tsk.stream_blocks(subject.mft_entry, subject.stream, self._block_bytes):
                taken = block[: size - position]
                known = max(min(subject.initialized_bytes - position, len(taken)), 0)
                self._buffer[fresh : fresh + known] = taken[:known]
                self._buffer[fresh + known : fresh + len(taken)] = bytes(len(taken) - known)
                view, offset = self._buffer[: fresh + len(taken)], position - fresh
                position += len(taken)
                self.bytes_read = position
                yield Window(view, offset, fresh, is_last=position >= size)
                fresh = self._keep_tail(fresh + len(taken))
        except VolumeError as error:
            self.unreadable = volume.tsk.unreadable
            self.reason = f"{subject.form.value} stream not decoded: {error}"
        if position < size:
            self.state = StreamState.NOT_DECODABLE if position == 0 else StreamState.PARTIAL
            self.reason = self.reason or f"{subject.form.value} stream ends after {position} of {size} bytes"
            self.bad_ranges = [BadRange(position, size - position, self.reason, GapKind.NOT_DECODABLE)]

    def _decoded_wof(self, volume: NtfsVolume, plan: StreamPlan, wof: WofContent) -> Iterator[Window]:
        """Through our own decoder, which gives zeros for chunks that it cannot decode and goes on."""
        size = plan.subject.size_bytes
        position = fresh = 0
        try:
            read_table, read_chunk = self._compressed(volume, plan), self._compressed(volume, plan)
            decoder = WofDecoder(wof.form, size, wof.compressed_bytes, read_table=read_table, read_chunk=read_chunk)
        except (VolumeError, OSError) as error:
            self.state, self.reason = StreamState.NOT_DECODABLE, f"compressed by CompactOS (WOF): {error}"
            return
        for block in decoder.blocks(self._block_bytes):
            self._buffer[fresh : fresh + len(block)] = block
            view, offset = self._buffer[: fresh + len(block)], position - fresh
            position += len(block)
            if position == size:
                self._settle(size, decoder.bad_ranges)
            yield Window(view, offset, fresh, is_last=position == size)
            fresh = self._keep_tail(fresh + len(block))

    def _compressed(self, volume: NtfsVolume, plan: StreamPlan) -> ReadAt:
        """Return a way to read a plan's compressed bytes, forwards; `OSError` where they are unreadable."""
        if plan.resident_offset is not None and plan.wof is not None:
            value = volume.read_resident(plan.resident_offset, plan.wof.compressed_bytes)
            if value is None:
                self.unreadable = True
                raise OSError("its MFT record is unreadable")
            return lambda offset, length: value[offset : offset + length]
        reader = ExtentReader(volume.source, plan.extents, thorough=self._thorough, stop=self._stop)

        def read(offset: int, length: int) -> bytes:
            reader.bad_ranges = []
            data = bytearray(length)
            try:
                reader.read_into(offset, memoryview(data))
            except EvidenceLostError as error:
                reader.unreadable = True
                raise OSError(error.message) from error
            finally:
                self.unreadable |= reader.unreadable
            if reader.bad_ranges:
                raise OSError(reader.bad_ranges[0].reason)
            return bytes(data)

        return read

    def _keep_tail(self, filled: int) -> int:
        """Move the window's tail to the front of the buffer; return its length."""
        keep = min(self._overlap_bytes, filled)
        self._buffer[:keep] = bytes(self._buffer[filled - keep : filled])
        return keep


def _readable(extents: list[Extent], evidence_bytes: int) -> tuple[int, list[BadRange]]:
    """Return how much of a stream is worth reading, and what is behind: nothing of that is in the evidence.

    So no damaged size or run becomes terabytes of zeros. Where what is missing lies between good parts, these are read
    too, unless so much is missing that it cannot be true.
    """
    end = extents[-1].stream_offset + extents[-1].length_bytes
    if all(one.volume_offset != MISSING and one.volume_offset <= evidence_bytes - one.length_bytes for one in extents):
        return end, []
    missing = 0
    for extent in extents:
        outside = _outside(extent, evidence_bytes)
        missing += outside
        if missing > _MOST_MISSING_BYTES:
            end = extent.stream_offset + extent.length_bytes - outside
            break
    cut_off: list[BadRange] = []
    for extent in reversed(extents):
        outside = _outside(extent, evidence_bytes)
        if extent.stream_offset < end and outside == 0:
            break
        if extent.volume_offset == MISSING:
            cut_off.append(BadRange(extent.stream_offset, outside, RUN_LIST_ENDS, GapKind.RUN_LIST))
            end = min(end, extent.stream_offset)
            continue
        start = max(min(extent.stream_offset + extent.length_bytes - outside, end), extent.stream_offset)
        cut_off.append(BadRange(start, extent.stream_offset + extent.length_bytes - start, BEYOND_END))
        end = start
        if start > extent.stream_offset:
            break
    return end, cut_off[::-1]


def _outside(extent: Extent, evidence_bytes: int) -> int:
    """Return how many of an extent's bytes are not in the evidence."""
    if extent.volume_offset == MISSING:
        return extent.length_bytes
    if extent.volume_offset < 0:
        return 0
    return max(min(extent.volume_offset + extent.length_bytes - evidence_bytes, extent.length_bytes), 0)


def _with_rest(bad_ranges: list[BadRange], rest: BadRange) -> list[BadRange]:
    """Return the ranges before and behind a stretch that was not read at all, and the stretch."""
    end = rest.stream_offset + rest.length_bytes
    before = [
        bad._replace(length_bytes=min(bad.length_bytes, rest.stream_offset - bad.stream_offset))
        for bad in bad_ranges
        if bad.stream_offset < rest.stream_offset
    ]
    return [*before, rest, *(bad for bad in bad_ranges if bad.stream_offset >= end)]


def place(plan: StreamPlan, offset_bytes: int | None = None) -> Where:
    """Return where in the evidence a stream, or a byte of it, is."""
    subject = plan.subject
    return Where(
        volume=subject.volume,
        path=subject.path,
        stream=subject.stream or None,
        mft_entry=subject.mft_entry,
        offset_bytes=offset_bytes,
    )


def is_windowed(plan: StreamPlan, window_bytes: int = WINDOW_BYTES) -> bool:
    """Say whether the stream needs more than one window."""
    through_decoder = plan.subject.form in (StreamForm.LZNT1, StreamForm.WOF)
    return plan.subject.size_bytes > window_bytes - (OVERLAP_BYTES if through_decoder else 0)
