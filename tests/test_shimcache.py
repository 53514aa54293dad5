"""The application compatibility cache of every Windows: written by another hand, read by another parser, damaged."""

from __future__ import annotations

import lzma
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from regipy.plugins.system.external.ShimCacheParser import get_shimcache_entries

from tests.lab.shimcaches import WRITERS, LabProgram, write_10, write_vista, write_xp
from tests.needs import data_path, needs_data
from triage.artefacts.hive import open_hive
from triage.artefacts.shimcache import parse_shimcache, read_shimcaches
from triage.artefacts.shimcache_entry import CacheForm, ShimCache
from triage.artefacts.system import read_system
from triage.model.errors import ParseError
from triage.model.filetime import filetime_to_iso
from triage.model.gap import Where

PROGRAMS = (
    LabProgram(path=r"\??\C:\WINDOWS\mssecsvc.exe", executed=True),
    LabProgram(path=r"C:\ProgramData\xjzilhxs261\tasksche.exe", file_modified=130_000_000_000_000_001),
    LabProgram(path="C:\\Users\\李雷\\\ud800 x\n.exe", executed=True, data=b"\1\2\3\4"),
)
REAL = {
    "plaso/SYSTEM.xz": (CacheForm.WINDOWS_7, 330),
    "regipy/SYSTEM_2.xz": (CacheForm.WINDOWS_8_1, 112),
    "regipy/SYSTEM_WIN_10_1709.xz": (CacheForm.WINDOWS_10, 1024),
}
_FLAGGED = (CacheForm.VISTA, CacheForm.WINDOWS_7, CacheForm.WINDOWS_8, CacheForm.WINDOWS_8_1)
_names = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=40)
_programs = st.builds(
    LabProgram,
    path=_names,
    file_modified=st.integers(0, 2**64 - 1),
    executed=st.booleans(),
    file_bytes=st.integers(4, 2**32 - 1),
    data=st.binary(max_size=40),
)


def paths(cache: ShimCache) -> list[str]:
    return [one.path for one in cache.programs]


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_gives_back_what_was_written(name: str) -> None:
    form, write = WRITERS[name]
    cache = parse_shimcache(write(PROGRAMS))
    assert (cache.form, cache.unreadable) == (form, 0)
    assert [(one.path, one.file_modified) for one in cache.programs] == [
        (one.path, one.file_modified) for one in PROGRAMS
    ]
    expected = [one.executed for one in PROGRAMS] if form in _FLAGGED else [None] * 3
    assert [one.executed for one in cache.programs] == expected
    has_size = form in (CacheForm.XP, CacheForm.SERVER_2003)
    assert [one.file_bytes for one in cache.programs] == ([4_000_000] * 3 if has_size else [None] * 3)
    assert [one.updated > 0 for one in cache.programs] == [form is CacheForm.XP] * 3


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in ("8", "8.1-app")])
def test_another_parser_reads_the_same(name: str) -> None:
    """The witness reads 8.0 as it reads 8.1, and in XP it takes any two zero bytes for the end of a path."""
    data = WRITERS[name][1](PROGRAMS[1::-1])
    theirs = list(get_shimcache_entries(data))  # type: ignore[no-untyped-call]
    assert paths(parse_shimcache(data)) == [one["path"] for one in theirs]


@pytest.mark.parametrize("name", WRITERS)
@given(programs=st.lists(_programs, min_size=1, max_size=6))
def test_whatever_is_written_is_read(name: str, programs: list[LabProgram]) -> None:
    _form, write = WRITERS[name]
    cache = parse_shimcache(write(programs))
    assert cache.unreadable == 0
    assert [(one.path, one.file_modified) for one in cache.programs] == [
        (one.path, one.file_modified) for one in programs
    ]


@given(data=st.binary(max_size=600))
def test_no_bytes_make_it_fail_otherwise(data: bytes) -> None:
    for head in (b"", b"\xef\xbe\xad\xde", b"\xfe\x0f\xdc\xba", b"\xee\x0f\xdc\xba", bytes(128) + b"10ts"):
        try:
            parse_shimcache(head + data)
        except ParseError:
            continue


@pytest.mark.parametrize("name", WRITERS)
def test_of_200_mutations_none_loses_an_entry_in_silence(name: str) -> None:
    _form, write = WRITERS[name]
    sound = write([LabProgram(path=rf"C:\Windows\program-{number}.exe") for number in range(8)])
    random = Random(name)
    for _ in range(200):
        data = bytearray(sound)
        data[random.randrange(4, len(data))] ^= 1 << random.randrange(8)
        try:
            cache = parse_shimcache(bytes(data))
        except ParseError:
            continue
        assert len(cache.programs) + cache.unreadable >= 8 or data[4:12] != sound[4:12]


@pytest.mark.parametrize("name", WRITERS)
def test_a_cache_cut_short_says_what_is_missing(name: str) -> None:
    _form, write = WRITERS[name]
    sound = write(PROGRAMS)
    cache = parse_shimcache(sound[:-1] if name.startswith(("8", "10")) else sound[: len(sound) - 8])
    assert cache.unreadable == 1
    assert len(cache.programs) == 2


def test_behind_a_damaged_entry_the_next_one_is_found() -> None:
    data = bytearray(write_10(PROGRAMS))
    data[52 + 8 : 52 + 12] = b"\xff\xff\xff\x7f"
    cache = parse_shimcache(bytes(data))
    assert (paths(cache), cache.unreadable) == ([one.path for one in PROGRAMS[1:]], 1)


def test_a_count_that_lies_makes_no_entries() -> None:
    data = bytearray(write_vista(PROGRAMS))
    data[4:8] = b"\xff\xff\xff\xff"
    cache = parse_shimcache(bytes(data))
    assert cache.unreadable >= 2**32 - 1 - len(data)
    assert paths(cache)[:3] == [one.path for one in PROGRAMS]


def test_a_narrow_entry_that_looks_like_a_wide_one_is_narrow() -> None:
    """Its time stands where the offset of the path would be, and is one."""
    [program] = parse_shimcache(write_vista([LabProgram(path="abc", file_modified=34)])).programs
    assert (program.path, program.file_modified) == ("abc", 34)


@pytest.mark.parametrize("data", [b"", b"\xff" * 7, bytes(40), b"\xff" * 1000])
def test_what_is_no_cache_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_shimcache(data)


@pytest.mark.parametrize("data", [bytes(128), (52).to_bytes(4, "little") + bytes(48), write_vista(()), write_xp(())])
def test_an_empty_cache_is_no_damage(data: bytes) -> None:
    cache = parse_shimcache(data)
    assert (cache.programs, cache.unreadable) == ((), 0)


@needs_data(*REAL)
@pytest.mark.parametrize("path", REAL)
def test_real_caches_are_those_that_regipy_reads(path: str) -> None:
    hive = open_hive(lzma.decompress(data_path(path).read_bytes()), where=Where(path=path))
    caches = read_shimcaches(hive, read_system(hive).control_sets)
    assert [one.problem for one in caches] == [""] * len(read_system(hive).control_sets)
    key = hive.key(caches[0].key_path)
    value = None if key is None else key.value("AppCompatCache")
    assert value is not None
    ours, (form, count) = caches[0].cache, REAL[path]
    assert ours is not None
    assert (ours.form, len(ours.programs), ours.unreadable) == (form, count, 0)
    theirs = list(get_shimcache_entries(value.data))  # type: ignore[no-untyped-call]
    # Of Windows 10 the witness leaves out what has no time.
    dated = [one for one in ours.programs if one.file_modified > 0 or form is not CacheForm.WINDOWS_10]
    assert [one.path or "None" for one in dated] == [one["path"] for one in theirs]
    moments = [(filetime_to_iso(one.file_modified) or "1601-01-01T00:00:00")[:19] for one in dated]
    assert moments == [one["last_mod_date"].strftime("%Y-%m-%dT%H:%M:%S") for one in theirs]
    if form is not CacheForm.WINDOWS_10:
        assert [str(one.executed) for one in dated] == [one["exec_flag"] for one in theirs]
