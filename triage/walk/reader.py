"""Reads one stream once, window by window: straight from the source, or through a decoder."""

from __future__ import annotations

from collections.abc import Iterator

from triage.model.entry import StreamForm, StreamState
from triage.model.errors import VolumeError
from triage.model.gap import Gap, GapKind, Where
from triage.volumes.decoder import StreamDecoder
from triage.volumes.extents import MISSING, RUN_LIST_ENDS, BadRange, ExtentReader
from triage.volumes.lznt1 import Lznt1Decoder
from triage.volumes.ntfs import NtfsVolume
from triage.volumes.wof import ReadAt, WofDecoder
from triage.walk.streams import StreamPlan, WofContent

WINDOW_BYTES = 16 << 20
OVERLAP_BYTES = 1 << 20
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

    After `windows` has ended, `bad_ranges`, `bytes_read` and `state` tell how the stream ended.
    """

    def __init__(self, window_bytes: int = WINDOW_BYTES, overlap_bytes: int = OVERLAP_BYTES) -> None:
        self._buffer = memoryview(bytearray(window_bytes))
        self._overlap_bytes = overlap_bytes
        self.bad_ranges: list[BadRange] = []
        self.bytes_read = 0
        self.state = StreamState.READ
        self.reason = ""

    def windows(self, volume: NtfsVolume, plan: StreamPlan) -> Iterator[Window]:
        """Yield the stream's windows in order; none for an empty stream or one that is not read."""
        self.bad_ranges, self.bytes_read, self.reason = [], 0, plan.reason
        self.state = plan.unread or StreamState.READ
        if plan.unread is not None or plan.subject.size_bytes == 0:
            return iter(())
        if plan.wof is not None:
            return self._decoded_wof(volume, plan, plan.wof)
        if plan.resident_offset is not None:
            return self._resident(volume, plan)
        if plan.lznt1 is not None:
            return self._decoded(plan, Lznt1Decoder(volume.source, plan.lznt1), plan.lznt1.covered_bytes)
        return self._extents(volume, plan)

    def gaps(self, plan: StreamPlan) -> list[Gap]:
        """Return what of the stream was not read, one gap a range."""
        subject = plan.subject
        if self.state in _UNREAD_GAPS and not self.bad_ranges:
            kind, missing = _UNREAD_GAPS[self.state], subject.size_bytes - self.bytes_read
            return [Gap(kind=kind, detail=self.reason, where=place(plan), bytes=missing)]
        return [
            Gap(
                kind=bad.kind,
                detail=bad.reason if bad.kind is GapKind.NOT_DECODABLE else f"not readable: {bad.reason}",
                where=place(plan, bad.stream_offset),
                bytes=bad.length_bytes,
            )
            for bad in self.bad_ranges
        ]

    def _resident(self, volume: NtfsVolume, plan: StreamPlan) -> Iterator[Window]:
        size = plan.subject.size_bytes
        value = volume.read_resident(plan.resident_offset or 0, size)
        if value is None:
            self.bad_ranges = [BadRange(0, size, "its MFT record is unreadable")]
            self.state = StreamState.PARTIAL
            return
        self.bytes_read = size
        yield Window(memoryview(value), 0, 0, is_last=True)

    def _extents(self, volume: NtfsVolume, plan: StreamPlan) -> Iterator[Window]:
        reader = ExtentReader(volume.source, plan.extents)
        size = plan.subject.size_bytes
        last = plan.extents[-1]
        if last.volume_offset == MISSING:
            size = last.stream_offset
            reader.bad_ranges.append(BadRange(size, last.length_bytes, RUN_LIST_ENDS, GapKind.RUN_LIST))
            self._settle(plan.subject.size_bytes, reader.bad_ranges)
        position = fresh = 0
        while position < size:
            length = min(len(self._buffer) - fresh, size - position)
            reader.read_into(position, self._buffer[fresh : fresh + length])
            view, offset = self._buffer[: fresh + length], position - fresh
            position += length
            is_last = position >= size
            if is_last:
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

    def _decoded_wof(self, volume: NtfsVolume, plan: StreamPlan, wof: WofContent) -> Iterator[Window]:
        try:
            read_table, read_chunk = _compressed(volume, plan), _compressed(volume, plan)
            size = plan.subject.size_bytes
            decoder = WofDecoder(wof.form, size, wof.compressed_bytes, read_table=read_table, read_chunk=read_chunk)
        except (VolumeError, OSError) as error:
            self.state, self.reason = StreamState.NOT_DECODABLE, f"compressed by CompactOS (WOF): {error}"
            return iter(())
        return self._decoded(plan, decoder, size)

    def _decoded(self, plan: StreamPlan, decoder: StreamDecoder, end: int) -> Iterator[Window]:
        """Through a decoder, which gives zeros for what it cannot decode and goes on, up to the byte `end`."""
        size = plan.subject.size_bytes
        tail = [BadRange(end, size - end, RUN_LIST_ENDS, GapKind.RUN_LIST)] if end < size else []
        self._settle(size, tail)
        position = fresh = 0
        for block in decoder.blocks(self._block_bytes):
            self._buffer[fresh : fresh + len(block)] = block
            view, offset = self._buffer[: fresh + len(block)], position - fresh
            position += len(block)
            if position == end:
                self._settle(size, [*decoder.bad_ranges, *tail])
            yield Window(view, offset, fresh, is_last=position == end)
            fresh = self._keep_tail(fresh + len(block))

    def _keep_tail(self, filled: int) -> int:
        """Move the window's tail to the front of the buffer; return its length."""
        keep = min(self._overlap_bytes, filled)
        self._buffer[:keep] = bytes(self._buffer[filled - keep : filled])
        return keep


def _compressed(volume: NtfsVolume, plan: StreamPlan) -> ReadAt:
    """Return a way to read a plan's compressed bytes, forwards; `OSError` where they are unreadable."""
    if plan.resident_offset is not None and plan.wof is not None:
        value = volume.read_resident(plan.resident_offset, plan.wof.compressed_bytes)
        if value is None:
            raise OSError("its MFT record is unreadable")
        return lambda offset, length: value[offset : offset + length]
    reader = ExtentReader(volume.source, plan.extents)

    def read(offset: int, length: int) -> bytes:
        reader.bad_ranges = []
        data = bytearray(length)
        reader.read_into(offset, memoryview(data))
        if reader.bad_ranges:
            raise OSError(reader.bad_ranges[0].reason)
        return bytes(data)

    return read


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


def is_windowed(plan: StreamPlan, window_bytes: int = WINDOW_BYTES) -> bool:
    """Say whether the stream needs more than one window."""
    through_decoder = plan.subject.form in (StreamForm.LZNT1, StreamForm.WOF)
    return plan.subject.size_bytes > window_bytes - (OVERLAP_BYTES if through_decoder else 0)
