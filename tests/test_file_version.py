"""Versions of drivers: read right, held against pefile's own reading and exiftool, and never made up from damage."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

import pefile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.drivers import driver
from tests.needs import needs_tool
from triage.artefacts.file_version import read_file_version
from triage.model.errors import ParseError

WINDOWS_7 = (6, 1, 7601, 17514)
_NUMBER = st.integers(0, 0xFFFF)


@given(st.tuples(_NUMBER, _NUMBER, _NUMBER, _NUMBER))
def test_every_version_is_read_as_pefile_reads_it(version: tuple[int, int, int, int]) -> None:
    data = driver(version)
    assert read_file_version(data) == version
    witness = pefile.PE(data=data)
    [fixed] = witness.VS_FIXEDFILEINFO
    numbers = struct.unpack(">4H", struct.pack(">II", fixed.FileVersionMS, fixed.FileVersionLS))
    assert numbers == version


@needs_tool("exiftool")
def test_numbers_count_and_not_the_text_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "srv.sys"
    path.write_bytes(driver(WINDOWS_7, text="6.3.9600.16384"))
    told = subprocess.run(
        ("exiftool", "-s3", "-FileVersionNumber", "-FileVersion", path), capture_output=True, check=True
    )
    assert told.stdout.decode().split() == ["6.1.7601.17514", "6.3.9600.16384"]
    assert read_file_version(path.read_bytes()) == WINDOWS_7


def test_no_version_where_there_is_none() -> None:
    for data in (b"", b"MZ", b"text " * 1000, bytes(4096)):
        with pytest.raises(ParseError):
            read_file_version(data)


@pytest.mark.parametrize("mark", [struct.pack("<I", 0xFEEF04BD), "VS_VERSION_INFO".encode("utf-16-le")])
def test_resource_without_its_marks_is_none(mark: bytes) -> None:
    whole = driver(WINDOWS_7)
    with pytest.raises(ParseError):
        read_file_version(whole.replace(mark, bytes(len(mark))))


def test_cut_off_driver_has_no_version() -> None:
    whole = driver(WINDOWS_7)
    end_of_numbers = whole.index(struct.pack("<I", 0xFEEF04BD)) + 16
    assert read_file_version(whole[:end_of_numbers]) == WINDOWS_7
    for length in range(end_of_numbers):
        with pytest.raises(ParseError):
            read_file_version(whole[:length])


def test_zeros_over_any_sector_hide_the_version_or_leave_it() -> None:
    whole = driver(WINDOWS_7)
    for start in range(0, len(whole), 64):
        damaged = whole[:start] + bytes(64) + whole[start + 64 :]
        try:
            assert read_file_version(damaged) in (WINDOWS_7, (0, 0, 0, 0))
        except ParseError:
            continue


def test_damage_of_any_kind_is_a_parse_error_at_most() -> None:
    chance, whole = random.Random(2017), driver(WINDOWS_7)
    for _try in range(3000):
        damaged = bytearray(whole)
        for _change in range(chance.randrange(1, 6)):
            place = chance.randrange(len(whole) - 4)
            damaged[place : place + 4] = chance.choice((b"\xff\xff\xff\xff", bytes(4), chance.randbytes(4)))
        try:
            assert len(read_file_version(bytes(damaged))) == 4
        except ParseError:
            continue


def test_directories_that_lead_in_a_circle_end() -> None:
    data = bytearray(driver(WINDOWS_7))
    name = data.index(struct.pack("<II", 16, 24 | 1 << 31)) + 4
    struct.pack_into("<I", data, name, 1 << 31)
    with pytest.raises(ParseError):
        read_file_version(bytes(data))
