"""Reads one stream once, window by window: straight from the source, or through a decoder."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence

from triage.evidence.salvage import BEYOND_END, never
from triage.model.entry import StreamState
from triage.model.errors import EvidenceLostError, VolumeError
from triage.model.gap import Gap, GapKind, Where
from triage.model.ledger import gap_of
from triage.model.source import ByteSource
from triage.volumes.decoder import StreamDecoder
from triage.volumes.extents import MISSING, RUN_LIST_ENDS, BadRange, Extent, ExtentReader, readable_end
from triage.volumes.lznt1 import Lznt1Decoder
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.wof import ReadAt, WofDecoder
from triage.walk.streams import StreamPlan, WofContent

WINDOW_BYTES = 16 << 20
OVERLAP_BYTES = 1 << 20
_LISTED = 256


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

    After `windows` has ended, `bad_ranges`, `bytes_read` and `state` tell how the stream ended; before, `bad_ranges`
    are those met so far.
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
        self._refused = False
        self._extent_readers: list[ExtentReader] = []
        self._buffer = memoryview(mmap.mmap(-1, window_bytes))  # pages are only taken where something is read
        self._overlap_bytes = overlap_bytes
        self.bad_ranges: list[BadRange] = []
        self.bytes_read = 0
        self.state = StreamState.READ
        self.reason = ""

    @property
    def unreadable(self) -> bool:
        """Whether the source refused some of the stream, so that reading it once more may give more."""
        return self._refused or any(one.unreadable for one in self._extent_readers)

    def windows(
        self, volume: NtfsVolume, plan: StreamPlan, source: ByteSource | None = None, *, thorough: bool = False
    ) -> Iterator[Window]:
        """Yield the stream's windows in order; none for an empty stream or one that is not read.

        `source` stands for the volume's bytes where some of them are at hand already. The first pass leaps over
        unreadable ranges; a `thorough` one, for when all else is read, tries each sector.
        """
        self._begin(plan)
        self._thorough = thorough
        if plan.unread is not None or plan.subject.size_bytes == 0:
            return iter(())
        if plan.wof is not None:
            return self._decoded_wof(volume, source or volume.source, plan, plan.wof)
        if plan.resident_offset is not None:
            return self._resident(volume, plan)
        source = source or volume.source
        if plan.lznt1 is not None:
            reader = self._extent_reader(source, plan)
            return self._decoded(plan, Lznt1Decoder(reader, plan.lznt1), plan.lznt1.covered_bytes)
        return self._extents(source, plan)

    def in_memory(self, plan: StreamPlan, view: memoryview) -> Window:
        """Take a stream whose bytes were read already, all of them, as its only window."""
        self._begin(plan)
        self.bytes_read = len(view)
        return Window(view, 0, 0, is_last=True)

    def gaps(self, plan: StreamPlan) -> list[Gap]:
        """Return what of the stream was not read, one gap a range; of very many the last ones together."""
        kind = gap_of(self.state)
        if kind is not None and not self.bad_ranges:
            missing = plan.subject.size_bytes - self.bytes_read
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

    def _begin(self, plan: StreamPlan) -> None:
        self._refused, self._extent_readers = False, []
        self.bad_ranges, self.bytes_read, self.reason = [], 0, plan.reason
        self.state = plan.unread or StreamState.READ

    def _resident(self, volume: NtfsVolume, plan: StreamPlan) -> Iterator[Window]:
        size = plan.subject.size_bytes
        value = volume.read_resident(plan.resident_offset or 0, size)
        if value is None:
            self.bad_ranges = [BadRange(0, size, "its MFT record is unreadable")]
            self.state, self._refused = StreamState.PARTIAL, True
            return
        self.bytes_read = size
        yield Window(memoryview(value), 0, 0, is_last=True)

    def _extents(self, source: ByteSource, plan: StreamPlan) -> Iterator[Window]:
        reader = self._extent_reader(source, plan)
        self.bad_ranges = reader.bad_ranges
        size = readable_end(plan.extents, source.size_bytes)
        reader.bad_ranges += _bad_tail(plan.extents, size)
        if reader.bad_ranges:
            self._settle(plan.subject.size_bytes, reader.bad_ranges)
        position = fresh = 0
        while position < size:
            length = min(len(self._buffer) - fresh, size - position)
            try:
                reader.read_into(position, self._buffer[fresh : fresh + length])
            except EvidenceLostError as error:
                rest = BadRange(position, size - position, error.message)
                self._settle(plan.subject.size_bytes, _with_rest(reader.bad_ranges, rest))
                self._refused = True
                return
            view, offset = self._buffer[: fresh + length], position - fresh
            position += length
            is_last = position >= size
            if is_last:
                self._settle(plan.subject.size_bytes, reader.bad_ranges)
            yield Window(view, offset, fresh, is_last=is_last)
            fresh = self._keep_tail(fresh + length)

    def _extent_reader(self, source: ByteSource, plan: StreamPlan) -> ExtentReader:
        reader = ExtentReader(source, plan.extents, thorough=self._thorough, stop=self._stop)
        self._extent_readers.append(reader)
        return reader

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

    def _decoded_wof(
        self, volume: NtfsVolume, source: ByteSource, plan: StreamPlan, wof: WofContent
    ) -> Iterator[Window]:
        size = plan.subject.size_bytes
        try:
            read_table, read_chunk = (self._compressed(volume, source, plan) for _ in range(2))
            decoder = WofDecoder(wof.form, size, wof.compressed_bytes, read_table=read_table, read_chunk=read_chunk)
        except (VolumeError, OSError) as error:
            self.state, self.reason = StreamState.NOT_DECODABLE, f"compressed by CompactOS (WOF): {error}"
            return iter(())
        return self._decoded(plan, decoder, size)

    def _decoded(self, plan: StreamPlan, decoder: StreamDecoder, end: int) -> Iterator[Window]:
        """Through a decoder, which gives zeros for what it cannot decode and goes on, up to the byte `end`."""
        size = plan.subject.size_bytes
        tail = [BadRange(end, size - end, RUN_LIST_ENDS, GapKind.RUN_LIST)] if end < size else []
        if end == 0:
            self._settle(size, tail)
            return
        self.bad_ranges = decoder.bad_ranges
        position = fresh = 0
        try:
            for block in decoder.blocks(self._block_bytes):
                self._buffer[fresh : fresh + len(block)] = block
                view, offset = self._buffer[: fresh + len(block)], position - fresh
                position += len(block)
                if position == end:
                    self._settle(size, [*decoder.bad_ranges, *tail])
                yield Window(view, offset, fresh, is_last=position == end)
                fresh = self._keep_tail(fresh + len(block))
        except EvidenceLostError as error:
            rest = BadRange(position, size - position, error.message)
            self._settle(size, _with_rest(decoder.bad_ranges, rest))
            self._refused = True

    def _compressed(self, volume: NtfsVolume, source: ByteSource, plan: StreamPlan) -> ReadAt:
        """Return a way to read a plan's compressed bytes, forwards; `OSError` where they are unreadable."""
        if plan.resident_offset is not None and plan.wof is not None:
            value = volume.read_resident(plan.resident_offset, plan.wof.compressed_bytes)
            if value is None:
                self._refused = True
                raise OSError("its MFT record is unreadable")
            return lambda offset, length: value[offset : offset + length]
        reader = self._extent_reader(source, plan)

        def read(offset: int, length: int) -> bytes:
            reader.bad_ranges = []
            data = bytearray(length)
            try:
                reader.read_into(offset, memoryview(data))
            except EvidenceLostError as error:
                self._refused = True
                raise OSError(error.message) from error
            if reader.bad_ranges:
                raise OSError(reader.bad_ranges[0].reason)
            return bytes(data)

        return read

    def _keep_tail(self, filled: int) -> int:
        """Move the window's tail to the front of the buffer; return its length."""
        keep = min(self._overlap_bytes, filled)
        self._buffer[:keep] = bytes(self._buffer[filled - keep : filled])
        return keep


def _with_rest(bad_ranges: list[BadRange], rest: BadRange) -> list[BadRange]:
    """Return the ranges before and behind a stretch that was not read at all, and the stretch."""
    end = rest.stream_offset + rest.length_bytes
    before = [
        bad._replace(length_bytes=min(bad.length_bytes, rest.stream_offset - bad.stream_offset))
        for bad in bad_ranges
        if bad.stream_offset < rest.stream_offset
    ]
    return [*before, rest, *(bad for bad in bad_ranges if bad.stream_offset >= end)]


def _bad_tail(extents: Sequence[Extent], end: int) -> Iterator[BadRange]:
    """Yield what the evidence does not hold of a stream's end: beyond its own end, and where the run list ends."""
    known = extents[-1].stream_offset if extents[-1].volume_offset == MISSING else _size(extents)
    if end < known:
        yield BadRange(end, known - end, BEYOND_END)
    if known < _size(extents):
        yield BadRange(known, _size(extents) - known, RUN_LIST_ENDS, GapKind.RUN_LIST)


def _size(extents: Sequence[Extent]) -> int:
    return extents[-1].stream_offset + extents[-1].length_bytes


def place(plan: StreamPlan, offset_bytes: int | None = None) -> Where:
    """Return where in the evidence a stream, or a byte of it, is."""
    subject = plan.subject
    return Where(
        volume=subject.volume,
        path=subject.path,
        other_paths=subject.other_paths,
        stream=subject.stream or None,
        mft_entry=subject.mft_entry,
        offset_bytes=offset_bytes,
    )
