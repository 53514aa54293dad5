"""Event logs: what the product reads of logs that the lab wrote, sound and damaged, beside an independent reader."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence

import pyevtx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.event_log import CHUNK_BYTES, DIRTY, NO_CHECKSUMS, LabEvent, seal_chunk, write_event_log
from triage.artefacts.event_chunk import LogDamage
from triage.artefacts.event_log import Wanted, read_event_log
from triage.artefacts.event_record import EventRecord

TIME = 131_390_502_651_234_560
MANAGER = "Service Control Manager"
HEADER_BYTES = 4096
OTHERS = 500


def installed(service: str) -> LabEvent:
    data = {"ServiceName": service, "ImagePath": rf"C:\{service}.exe", "AccountName": ""}
    return LabEvent(provider=MANAGER, event=7045, time=TIME, data=data)


def state(service: str) -> LabEvent:
    return LabEvent(provider=MANAGER, event=7036, time=TIME, data={"param1": service, "param2": "läuft"})


CLEARED = LabEvent(
    provider="Microsoft-Windows-Eventlog",
    event=104,
    time=TIME,
    user_data="LogFileCleared",
    data={"SubjectUserName": "李雷", "Channel": "System"},
)
EVENTS = [installed("first"), *(state(f"other {number}") for number in range(OTHERS)), state("MsSecSvc2.0"), CLEARED]
LOG = write_event_log(EVENTS)
CHUNKS = (len(LOG) - HEADER_BYTES) // CHUNK_BYTES - 1  # the last one is not in use


def wanted() -> Wanted:
    return Wanted(
        events=[(MANAGER.lower(), 7045), ("microsoft-windows-eventlog", 104)],
        events_by_text=[(MANAGER.lower(), 7036)],
        texts=["mssecsvc"],
    )


def read(data: bytes, *, piece_bytes: int = 1 << 20, threads: int = 1) -> tuple[list[EventRecord], list[LogDamage]]:
    pieces = (data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes))
    told = list(read_event_log(pieces, wanted(), threads=threads))
    records = [one for one in told if isinstance(one, EventRecord)]
    return records, [one for one in told if isinstance(one, LogDamage)]


def events(records: Iterable[EventRecord]) -> list[int]:
    return [record.event for record in records]


def with_chunk(number: int, chunk: bytes, log: bytes = LOG) -> bytes:
    at = HEADER_BYTES + number * CHUNK_BYTES
    return log[:at] + chunk + log[at + CHUNK_BYTES :]


def chunk_of(number: int, log: bytes = LOG) -> bytes:
    return log[HEADER_BYTES + number * CHUNK_BYTES :][:CHUNK_BYTES]


def record_places(chunk: bytes | bytearray) -> Iterator[int]:
    at, end = 512, struct.unpack_from("<I", chunk, 48)[0]
    while at < end:
        yield at
        at += struct.unpack_from("<I", chunk, at + 4)[0]


def test_an_independent_reader_sees_what_the_lab_wrote() -> None:
    log = pyevtx.file()
    log.open_file_object(io.BytesIO(LOG))
    assert (log.get_number_of_records(), log.is_corrupted()) == (len(EVENTS), False)
    first, last = log.get_record(0), log.get_record(len(EVENTS) - 1)
    assert [first.get_string(index) for index in range(3)] == ["first", r"C:\first.exe", None]
    assert (first.get_event_identifier(), first.get_source_name()) == (7045, MANAGER)
    assert (last.get_written_time_as_integer(), last.get_string(0)) == (TIME, "李雷")


def test_wanted_records_are_told_and_no_others() -> None:
    records, damages = read(LOG)
    assert CHUNKS > 1
    assert not damages
    assert events(records) == [7045, 7036, 104]
    first, by_text, last = records
    assert first == EventRecord(
        identifier=1,
        time_utc="2017-05-12T08:11:05.1234560Z",
        provider=MANAGER.lower(),
        event=7045,
        channel="System",
        computer="WIN7-PC",
        data={"ServiceName": "first", "ImagePath": r"C:\first.exe", "AccountName": ""},
        offset_bytes=HEADER_BYTES + 512,
    )
    assert by_text.data == {"param1": "MsSecSvc2.0", "param2": "läuft"}
    assert (last.identifier, last.data) == (len(EVENTS), {"SubjectUserName": "李雷", "Channel": "System"})
    assert struct.unpack_from("<IIQ", LOG, last.offset_bytes) == (0x2A2A, last_size(LOG), len(EVENTS))


def last_size(log: bytes) -> int:
    chunk = chunk_of(CHUNKS - 1, log)
    *_others, last = record_places(chunk)
    return int(struct.unpack_from("<I", chunk, last + 4)[0])


@pytest.mark.parametrize("piece_bytes", [1000, 65_536, 70_000])
def test_pieces_and_threads_make_no_difference(piece_bytes: int) -> None:
    assert read(LOG, piece_bytes=piece_bytes, threads=2) == read(LOG)


def test_an_event_of_another_provider_is_not_wanted() -> None:
    log = write_event_log([LabEvent(provider="Somebody", event=7045, time=TIME, data={"ServiceName": "mssecsvc"})])
    assert read(log) == ([], [])


def test_records_behind_the_end_that_an_old_header_tells_are_read() -> None:
    """A log that was not closed: the chunk's header does not know of its last two records yet."""
    chunk = bytearray(chunk_of(CHUNKS - 1))
    places = list(record_places(chunk))
    first = struct.unpack_from("<Q", chunk, 8)[0]
    last = first + len(places) - 3
    struct.pack_into("<QQQQ", chunk, 8, first, last, first, last)
    struct.pack_into("<I", chunk, 48, places[-2])
    records, damages = read(with_chunk(CHUNKS - 1, seal_chunk(bytes(chunk))))
    assert not damages
    assert {7045, 104} <= set(events(records))
    assert records[-1] == read(LOG)[0][-1]


def test_what_is_left_of_an_earlier_use_of_the_chunk_is_not_told() -> None:
    """Behind the end of its records a chunk may hold older ones."""
    chunk = bytearray(chunk_of(CHUNKS - 1))
    end = struct.unpack_from("<I", chunk, 48)[0]
    old = chunk_of(0)[512:]
    chunk[end:] = old[: CHUNK_BYTES - end]
    assert read(with_chunk(CHUNKS - 1, bytes(chunk))) == read(LOG)


def test_a_record_with_a_false_checksum_is_read_and_the_chunk_told() -> None:
    chunk = bytearray(chunk_of(CHUNKS - 1))
    struct.pack_into("<I", chunk, 52, 0)
    records, damages = read(with_chunk(CHUNKS - 1, bytes(chunk)))
    assert events(records)[-1] == 104
    assert [(one.offset_bytes, one.length_bytes) for one in damages] == [
        (HEADER_BYTES + (CHUNKS - 1) * CHUNK_BYTES, CHUNK_BYTES)
    ]
    assert "its checksums do not hold" in damages[0].detail


def test_around_a_torn_record_all_others_are_read() -> None:
    """Its length is gone, so that nothing leads from it to the next one."""
    chunk = bytearray(chunk_of(CHUNKS - 1))
    places = list(record_places(chunk))
    torn = places[len(places) // 2]
    chunk[torn : torn + 64] = bytes(64)
    records, damages = read(with_chunk(CHUNKS - 1, bytes(chunk)))
    assert events(records)[-1] == 104
    assert f"records read: {len(places) - 1};" in damages[0].detail
    assert "records that are not there: 1" in damages[0].detail


def test_a_chunk_without_its_signature_is_read_all_the_same() -> None:
    log = with_chunk(0, bytes(128) + chunk_of(0)[128:])
    records, damages = read(log)
    assert events(records)[0] == 7045
    assert len(damages) == 1


def test_a_chunk_whose_tables_of_names_and_templates_are_garbage_is_read() -> None:
    chunk = chunk_of(CHUNKS - 1)
    records, damages = read(with_chunk(CHUNKS - 1, chunk[:128] + b"\xff" * 384 + chunk[512:]))
    assert records[-1] == read(LOG)[0][-1]
    assert ["records that could not be decoded" in damage.detail for damage in damages] == [False]


@pytest.mark.parametrize(
    ("damaged", "detail"),
    [
        (with_chunk(0, b"\xff" * CHUNK_BYTES), "no chunk of a log stands here"),
        (with_chunk(0, bytes(CHUNK_BYTES)), f"of {CHUNKS} chunks 1 are not there"),
        (LOG[: HEADER_BYTES + CHUNK_BYTES], f"of {CHUNKS} chunks {CHUNKS - 1} are not there"),
        (b"\0" * 8 + LOG[8:], "no header of an event log"),
        (LOG[:40] + b"\x07" + LOG[41:], "damaged header: its checksum does not hold"),
        (LOG[:1000], f"of {CHUNKS} chunks {CHUNKS} are not there"),
        (b"", "no header of an event log"),
    ],
    ids=["garbage", "zeros", "truncated", "no-header", "header-damaged", "too-short", "empty"],
)
def test_what_is_not_there_is_told(damaged: bytes, detail: str) -> None:
    assert detail in [damage.detail for damage in read(damaged)[1]]


def test_a_log_cut_within_a_chunk_gives_what_stands_of_it() -> None:
    records, damages = read(LOG[: HEADER_BYTES + 5000])
    assert events(records)[0] == 7045
    assert any("damaged chunk" in damage.detail for damage in damages)


def test_a_log_in_use_may_count_too_few_chunks() -> None:
    log = bytearray(write_event_log(EVENTS, flags=DIRTY))
    struct.pack_into("<H", log, 42, 1)
    assert [damage.detail for damage in read(bytes(log))[1]] == ["damaged header: its checksum does not hold"]


def test_a_log_without_checksums_is_sound() -> None:
    log = bytearray(write_event_log(EVENTS, flags=NO_CHECKSUMS))
    for number in range(CHUNKS):
        struct.pack_into("<I", log, HEADER_BYTES + number * CHUNK_BYTES + 52, 0)
    records, damages = read(bytes(log))
    assert (events(records), damages) == ([7045, 7036, 104], [])


def test_a_record_of_an_unknown_pattern_is_decoded() -> None:
    """Its event cannot be read off: here the fourth value is no number of 16 bits, but the text of the event is one."""
    chunk = bytearray(chunk_of(0))
    at = next(record_places(chunk))
    size = struct.unpack_from("<I", chunk, at + 4)[0]
    fourth = bytes.fromhex("02000600") + bytes.fromhex("08000a00")  # the event, then the keywords
    place = chunk.index(fourth, at, at + size)
    chunk[place + 2] = 0x05  # signed
    records, damages = read(with_chunk(0, seal_chunk(bytes(chunk))))
    assert (events(records), damages) == ([7045, 7036, 104], [])


LONG = write_event_log([state(f"other {number}") for number in range(4 * OTHERS)])
LONG_CHUNKS = [LONG[at : at + CHUNK_BYTES] for at in range(HEADER_BYTES, len(LONG) - CHUNK_BYTES, CHUNK_BYTES)]
NUMBERS = [struct.unpack_from("<QQ", chunk, 8) for chunk in LONG_CHUNKS]


def log_of(chunks: Sequence[bytes], *, following: int = 4 * OTHERS + 1) -> bytes:
    """Return a log of these chunks with a header that fits them; `following` is the next record's identifier."""
    head = bytearray(LONG[:HEADER_BYTES])
    struct.pack_into("<Q", head, 24, following)
    struct.pack_into("<H", head, 42, len(chunks))
    struct.pack_into("<I", head, 124, zlib.crc32(head[:120]))
    return bytes(head) + b"".join(chunks)


def numbered_anew(chunk: bytes, first: int) -> bytes:
    """Return a chunk of a log that was cleared: its records are numbered anew, identifiers go on."""
    lowest, highest = struct.unpack_from("<QQ", chunk, 8)
    anew = bytearray(chunk)
    struct.pack_into("<QQ", anew, 8, first, first + highest - lowest)
    return seal_chunk(bytes(anew))


def holes(log: bytes) -> list[tuple[str, int, int]]:
    return [(one.detail, one.offset_bytes, one.length_bytes) for one in read(log)[1]]


def not_there(first: int, last: int) -> str:
    return f"records {first} to {last} are not there"


def test_a_chunk_that_was_cut_out_is_told_by_its_records() -> None:
    assert len(LONG_CHUNKS) > 4
    hole = not_there(*NUMBERS[2])
    assert holes(log_of([*LONG_CHUNKS[:2], *LONG_CHUNKS[3:]])) == [(hole, HEADER_BYTES + 2 * CHUNK_BYTES, 0)]


def test_a_chunk_of_zeros_within_the_log_is_told_by_its_records() -> None:
    log = log_of([*LONG_CHUNKS[:2], bytes(CHUNK_BYTES), *LONG_CHUNKS[3:]])
    hole = (not_there(*NUMBERS[2]), HEADER_BYTES + 2 * CHUNK_BYTES, CHUNK_BYTES)
    assert hole in holes(log)


def test_chunks_cut_off_at_the_end_are_told_by_the_next_record() -> None:
    end = HEADER_BYTES + 2 * CHUNK_BYTES
    assert holes(log_of(LONG_CHUNKS[:2])) == [(not_there(NUMBERS[2][0], NUMBERS[-1][1]), end, 0)]


def test_a_log_that_began_anew_at_its_first_chunk_has_no_hole() -> None:
    assert holes(log_of([*LONG_CHUNKS[3:], *LONG_CHUNKS[1:3]])) == []


def test_a_hole_in_a_log_that_began_anew_is_told() -> None:
    log = log_of([*LONG_CHUNKS[3:], LONG_CHUNKS[0], LONG_CHUNKS[2]])
    assert [hole[0] for hole in holes(log)] == [not_there(*NUMBERS[1])]


def cleared_chunks() -> list[bytes]:
    """Return the chunks of a log that was cleared when its first one was full."""
    before = NUMBERS[0][1]
    later = zip(LONG_CHUNKS[1:], NUMBERS[1:], strict=True)
    return [numbered_anew(chunk, lowest - before) for chunk, (lowest, _highest) in later]


def test_records_of_a_log_that_was_cleared_are_told_as_windows_shows_them() -> None:
    chunks = cleared_chunks()
    assert holes(log_of(chunks)) == []
    del chunks[2]
    assert [hole[0] for hole in holes(log_of(chunks))] == [not_there(*NUMBERS[3])]


@pytest.mark.parametrize("chunks", [LONG_CHUNKS, cleared_chunks()], ids=["usual", "cleared"])
@pytest.mark.parametrize("number", [0, 2])
def test_the_records_of_a_chunk_with_a_damaged_header_are_no_hole(chunks: list[bytes], number: int) -> None:
    damaged = chunks[number][:8] + b"\xff" * 8 + chunks[number][16:]
    details = [hole[0] for hole in holes(log_of([*chunks[:number], damaged, *chunks[number + 1 :]]))]
    assert ["not there" in detail for detail in details] == [False]


@pytest.mark.parametrize("swallowed", [1, 5])
def test_a_record_that_another_one_was_stretched_over_is_told(swallowed: int) -> None:
    """Sizes and checksums fit; only the number is skipped."""
    chunk = bytearray(LONG_CHUNKS[1])
    places = list(record_places(chunk))
    before, end = places[swallowed - 1], places[swallowed + 1]
    struct.pack_into("<I", chunk, before + 4, end - before)
    struct.pack_into("<I", chunk, end - 4, end - before)
    log = log_of([LONG_CHUNKS[0], seal_chunk(bytes(chunk)), *LONG_CHUNKS[2:]])
    detail = f"record {NUMBERS[1][0] + swallowed} is not there"
    assert holes(log) == [(detail, HEADER_BYTES + CHUNK_BYTES + before, 0)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(LOG) - CHUNK_BYTES - 1), st.binary(min_size=1, max_size=12)),
        min_size=1,
        max_size=4,
    )
)
def test_no_mutation_loses_a_record_in_silence(changes: Sequence[tuple[int, bytes]]) -> None:
    """Whatever is overwritten in what is in use: the wanted records are all there as they were, or damage is told."""
    log = bytearray(LOG)
    for at, data in changes:
        log[at : at + len(data)] = data
    records, damages = read(bytes(log[: len(LOG)]))
    assert damages or records == read(LOG)[0]


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=3 * CHUNK_BYTES))
def test_anything_else_is_no_log(data: bytes) -> None:
    records, damages = read(data)
    assert damages
    assert not records
