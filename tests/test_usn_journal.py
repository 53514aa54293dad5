"""The parser of the change journal: all versions, any cut into blocks, damage, and real journals of Windows."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.lab.change_journal import CLOSE, CREATE, DELETE, NEW_NAME, OLD_NAME, PAGE_BYTES, LabChange, journal, record
from tests.needs import data_path, needs_data, needs_tool
from triage.artefacts.usn_journal import parse_changes
from triage.model.change import reason_names, source_names, split_reference

_NAMES = st.text(st.characters(), min_size=1, max_size=60).map(
    lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
)
_REFERENCES = st.tuples(st.integers(0, (1 << 48) - 1), st.integers(0, 0xFFFF))
_EXTENTS = st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)), max_size=4).map(tuple)


@st.composite
def _changes(draw: st.DrawFn) -> LabChange:
    version = draw(st.sampled_from((2, 3, 4)))
    return LabChange(
        name="" if version == 4 else draw(_NAMES),
        file=draw(_REFERENCES),
        parent=draw(_REFERENCES),
        reason=draw(st.integers(0, 0xFFFFFFFF)),
        time=0 if version == 4 else draw(st.integers(0, (1 << 63) - 1)),
        source=draw(st.integers(0, 15)),
        attributes=0 if version == 4 else draw(st.integers(0, 0xFFFFFFFF)),
        version=version,
        extents=draw(_EXTENTS) if version == 4 else (),
    )


class _Parsed(Struct):
    """What the parser made of some bytes: the changes by offset, and what it called damaged."""

    changes: dict[int, LabChange]
    damage: list[tuple[int, int]]

    @property
    def damaged_bytes(self) -> int:
        return sum(length for _place, length in self.damage)


def _parse(data: bytes, *, start: int = 0, block_bytes: int = 1 << 20) -> _Parsed:
    parsed = _Parsed({}, [])
    blocks = [data[begin : begin + block_bytes] for begin in range(0, len(data), block_bytes)]
    for columns in parse_changes(start, blocks, lambda place, length: parsed.damage.append((place, length))):
        for row, offset in enumerate(columns.usn.tolist()):
            assert offset not in parsed.changes
            parsed.changes[offset] = LabChange(
                name=columns.names[row],
                file=split_reference(columns.file.item(row)),
                parent=split_reference(columns.parent.item(row)),
                reason=columns.reason.item(row),
                time=columns.time.item(row),
                source=columns.source.item(row),
                attributes=columns.attributes.item(row),
                version=columns.version.item(row),
            )
    return parsed


def _without_extents(changes: list[LabChange]) -> list[LabChange]:
    return [
        LabChange(**{name: getattr(one, name) for name in LabChange.__struct_fields__ if name != "extents"})
        for one in changes
    ]


@given(
    changes=st.lists(_changes(), max_size=60),
    pages=st.integers(0, 1 << 30),
    block_bytes=st.integers(1, 2000).map(lambda words: 8 * words),
)
@settings(max_examples=60)
def test_every_record_is_read_however_the_stream_is_cut(changes: list[LabChange], pages: int, block_bytes: int) -> None:
    start = pages * PAGE_BYTES
    data = journal(changes, start) + bytes(5000)
    parsed = _parse(data, start=start, block_bytes=block_bytes)
    assert list(parsed.changes.values()) == _without_extents(changes)
    assert parsed.damage == []


@given(changes=st.lists(_changes(), min_size=3, max_size=40), data=st.data())
@settings(max_examples=60)
def test_damage_costs_the_records_it_hits_and_is_told(changes: list[LabChange], data: st.DataObject) -> None:
    whole = journal(changes)
    at = data.draw(st.sampled_from(sorted(_parse(whole).changes)))
    length = data.draw(st.integers(1, 300))
    hurt = bytearray(whole)
    hurt[at : at + length] = b"\xff" * len(hurt[at : at + length])
    sound, left = _parse(whole).changes, _parse(bytes(hurt))
    hit = {place for place, change in sound.items() if _overlaps(place, change, at, at + length)}
    assert {place: left.changes[place] for place in sorted(sound.keys() - hit)} == {
        place: sound[place] for place in sorted(sound.keys() - hit)
    }
    assert at not in left.changes
    assert left.damaged_bytes > 0


def _overlaps(place: int, change: LabChange, begin: int, end: int) -> bool:
    room = 64 + 16 * 4 if change.version == 4 else len(record(change, place))
    return place < end and begin < place + room


@given(data=st.binary(max_size=20_000))
@settings(max_examples=60)
def test_any_bytes_at_all_are_taken(data: bytes) -> None:
    parsed = _parse(data)
    assert parsed.damaged_bytes <= len(data)


def test_a_record_that_only_pretends_is_not_taken() -> None:
    sound = record(LabChange(name="report.docx"), 0)
    for place, value in ((0, 0x48), (4, 5), (6, 1), (24, 8), (56, 23), (58, 62)):
        pretender = bytearray(sound)
        pretender[place] = value
        parsed = _parse(bytes(pretender) + record(LabChange(name="next.txt"), len(sound)))
        assert [one.name for one in parsed.changes.values()] == ["next.txt"], place
        assert parsed.damage == [(0, len(sound))]


def test_flags_are_told_by_name() -> None:
    assert reason_names(CREATE | OLD_NAME | CLOSE) == "file-create|rename-old-name|close"
    assert reason_names(NEW_NAME | DELETE | 0x40000008) == "file-delete|rename-new-name|0x40000008"
    assert reason_names(0) == ""
    assert source_names(0x3) == "data-management|auxiliary-data"


class _Real(Struct, frozen=True):
    """A journal of a Windows: what others count in it by version, first and last name, bytes that are no records."""

    path: str
    member: str
    versions: dict[int, int]
    first: str
    last: str
    damaged_bytes: int = 0


_REAL = (
    _Real("plaso/UsnJrnl.raw", "", {2: 19}, "Nieuw - Tekstdocument.txt", ""),
    _Real("msuhanov-dfir_ntfs/usnjrnlj.bin", "", {2: 264, 4: 7}, "New folder", "$TxfLog.blf"),
    _Real("dfir-orc/win7.7z", "usnjrnl_win7", {2: 38014}, "", ""),
    _Real("dfir-orc/winxp.7z", "usnjrnl_winxp", {2: 62}, "", "", damaged_bytes=480),
)


@needs_data()
@needs_tool("7z")
@pytest.mark.parametrize("real", _REAL, ids=lambda real: real.member or real.path)
def test_a_journal_of_windows(real: _Real, tmp_path: Path) -> None:
    path = data_path(real.path)
    if real.member:
        subprocess.run(("7z", "e", "-y", f"-o{tmp_path}", path, real.member), check=True, capture_output=True)
        path = tmp_path / real.member
    data = path.read_bytes()
    for block_bytes in (1 << 20, PAGE_BYTES):
        parsed = _parse(data, block_bytes=block_bytes)
        assert Counter(one.version for one in parsed.changes.values()) == real.versions
        assert parsed.damaged_bytes == real.damaged_bytes
        names = [one.name for one in parsed.changes.values() if one.name]
        assert names[0] == real.first or not real.first
        assert names[-1] == real.last or not real.last
