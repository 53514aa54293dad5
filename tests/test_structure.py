"""Content against extension: files of real writers fit, the same files cut short or overwritten do not."""

from __future__ import annotations

import bz2
import gzip
import io
import random
import sqlite3
import struct
import subprocess
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from hypothesis import given
from hypothesis import strategies as st

from tests.needs import data_path, needs_data, needs_tool
from triage.examiners.formats import Content
from triage.examiners.structure import CHECKS, WITHOUT_CHECK, fits_extension
from triage.rescue.selection import FIRST_TYPES, SECOND_TYPES

KEPT_BYTES = 64 * 1024
NOISE = random.Random(2017).randbytes(200_000)
REPORT = "二〇一七年五月工作报告：销售额增长。\r\n".encode("gb18030") * 400


def content(data: bytes, *, tail_read: bool = True) -> Content:
    return Content(data[:KEPT_BYTES], data[-KEPT_BYTES:] if tail_read else None, len(data))


def fits(extension: str, data: bytes) -> bool:
    return fits_extension(extension, content(data))


def zip_file(comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", NOISE)
        archive.comment = comment
    return buffer.getvalue()


def tar_file() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("report.txt")
        member.size = len(REPORT)
        archive.addfile(member, io.BytesIO(REPORT))
    return buffer.getvalue()


def sqlite_file(folder: Path) -> bytes:
    database = sqlite3.connect(folder / "made.sqlite3")
    with database:
        database.execute("create table notes (text blob)")
        database.executemany("insert into notes values (?)", [(NOISE[at : at + 500],) for at in range(100)])
    database.close()
    return (folder / "made.sqlite3").read_bytes()


def wav_file() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(8000)
        recording.writeframes(NOISE)
    return buffer.getvalue()


def certificate_store() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return pkcs12.serialize_key_and_certificates(b"k", key, None, None, BestAvailableEncryption(b"secret"))


def mp4_file() -> bytes:
    boxes = (b"ftyp", b"isom\0\0\2\0isomiso2"), (b"mdat", NOISE), (b"moov", bytes(100))
    return b"".join(struct.pack(">L", 8 + len(body)) + name + body for name, body in boxes)


def outlook_file(size_bytes: int = 120_000) -> bytes:
    head = bytearray(NOISE[:size_bytes])
    head[:12] = b"!BDN" + bytes(4) + b"SM" + struct.pack("<H", 23)
    struct.pack_into("<Q", head, 0xB8, size_bytes)
    return bytes(head)


def dbase_file() -> bytes:
    return struct.pack("<BBBBLHH20x", 0x03, 117, 5, 12, 1000, 65, 50) + bytes(33) + b" " * 50_000 + b"\x1a"


MADE: dict[str, Callable[[], bytes]] = {
    "docx": zip_file,
    "xlsm": lambda: zip_file(b"a comment"),
    "odt": zip_file,
    "tar": tar_file,
    "wav": wav_file,
    "p12": certificate_store,
    "mp4": mp4_file,
    "pst": outlook_file,
    "dbf": dbase_file,
    "gz": lambda: gzip.compress(REPORT),
    "bz2": lambda: bz2.compress(REPORT),
    "txt": lambda: REPORT,
    "rtf": lambda: b"{\\rtf1\\ansi " + REPORT + b"}\r\n\0",
    "flv": lambda: b"FLV\x01\x05" + NOISE,
}
#: Types whose structure tells when the end is missing.
CUT_SHOWS = {"docx", "xlsm", "odt", "wav", "p12", "mp4", "pst", "dbf", "rtf"}
#: Types with an end mark: overwriting the last 1 KiB, which the malware does first, shows.
END_SHOWS = {"docx", "xlsm", "odt", "txt", "rtf"}


def test_archive_that_lost_its_middle() -> None:
    data = zip_file()
    assert not fits("zip", data[:50_000] + data[-50_000:])


@pytest.mark.parametrize("extension", MADE)
def test_made_file_fits_and_its_damaged_copies_do_not(extension: str) -> None:
    data = MADE[extension]()
    assert fits(extension, data)
    assert not fits(extension, NOISE[: len(data)])
    assert not fits(extension, bytes(len(data)))
    if extension in CUT_SHOWS:
        assert not fits(extension, data[: len(data) * 9 // 10])
    if extension in END_SHOWS:
        assert not fits(extension, data[:-1024] + NOISE[:1024])


def test_sqlite(tmp_path: Path) -> None:
    data = sqlite_file(tmp_path)
    assert fits("sqlite3", data)
    assert not fits("sqlite3", data[:-4096])
    assert not fits("sqlite3", NOISE)


@needs_tool("convert")
@pytest.mark.parametrize(
    ("extension", "cut_shows"),
    [
        ("jpg", True),
        ("png", True),
        ("gif", True),
        ("bmp", True),
        ("tif", True),
        ("psd", False),
    ],
)
def test_pictures_of_imagemagick(tmp_path: Path, extension: str, cut_shows: bool) -> None:
    path = tmp_path / f"picture.{extension}"
    subprocess.run(("convert", "-size", "400x300", "-seed", "7", "plasma:fractal", path), check=True)
    data = path.read_bytes()
    assert fits(extension, data)
    assert not fits(extension, NOISE)
    assert not fits(extension, bytes(len(data)))
    assert fits(extension, data[: len(data) // 2]) is not cut_shows


@needs_tool("gs")
def test_pdf_of_ghostscript(tmp_path: Path) -> None:
    path = tmp_path / "page.pdf"
    subprocess.run(("gs", "-q", "-sDEVICE=pdfwrite", "-o", path, "-c", "showpage"), check=True)
    data = path.read_bytes()
    assert fits("pdf", data)
    assert fits("pdf", b"junk that a mailer put in front\n" + data)
    assert not fits("pdf", data[: len(data) // 2])
    assert not fits("pdf", data[:-1024] + NOISE[:1024])


@needs_tool("gsf")
def test_compound_file_of_libgsf(tmp_path: Path) -> None:
    (tmp_path / "WordDocument").write_bytes(NOISE)
    subprocess.run(("gsf", "createole", "made.doc", "WordDocument"), cwd=tmp_path, check=True)
    data = (tmp_path / "made.doc").read_bytes()
    for extension in ("doc", "xls", "ppt", "msg", "docx"):
        assert fits(extension, data), extension
    assert not fits("doc", data[: len(data) // 2])
    assert not fits("doc", data[:28] + NOISE[:100] + data[128:])


@needs_tool("7z")
def test_seven_zip(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(NOISE)
    subprocess.run(("7z", "a", "-bd", "made.7z", "noise"), cwd=tmp_path, check=True, capture_output=True)
    data = (tmp_path / "made.7z").read_bytes()
    assert fits("7z", data)
    assert not fits("7z", data[:-1])


@needs_data("plaso/Document.docx")
def test_real_word_document() -> None:
    data = data_path("plaso/Document.docx").read_bytes()
    assert fits("docx", data)
    assert not fits("docx", data[:-100])


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "utf-8-sig",
        "gb18030",
        "big5",
        "shift-jis",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-16-le+bom",
    ],
)
def test_text_in_the_encodings_of_windows_users(encoding: str) -> None:
    bom = b"\xff\xfe" if encoding.endswith("+bom") else b""
    data = bom + ("一二三 report, 十月\r\n" * 3000).encode(encoding.removesuffix("+bom"))
    assert fits("txt", data)
    assert fits("csv", data[:7])
    assert not fits("txt", data[:-1024] + NOISE[:1024])


def test_old_word_files_may_be_anything_word_reads() -> None:
    for data in (b"{\\rtf1 x}", REPORT, zip_file(), b"\xdb\xa5" + NOISE):
        assert fits("doc", data)
    assert not fits("doc", NOISE)


@pytest.mark.parametrize("extension", sorted(CHECKS))
def test_every_type_tells_noise_and_zeros(extension: str) -> None:
    assert not fits(extension, NOISE)
    assert not fits(extension, bytes(5000))


def test_every_target_type_has_a_check_or_is_named_as_having_none() -> None:
    assert not (FIRST_TYPES | SECOND_TYPES) - set(CHECKS) - WITHOUT_CHECK
    assert not WITHOUT_CHECK & set(CHECKS)


def test_type_without_check_fits_unless_it_is_zeros() -> None:
    assert fits("unknown", NOISE)
    assert fits("", b"\0")
    assert not fits("unknown", bytes(5000))


def test_end_that_was_not_read_is_not_held_against_a_file() -> None:
    for extension in ("docx", "txt", "rtf"):
        whole = MADE[extension]()
        assert fits_extension(extension, Content(whole[:KEPT_BYTES], None, len(whole)))


_STARTS = st.sampled_from(
    [make()[:600] for make in MADE.values()] + [bytes.fromhex("d0cf11e0a1b11ae1"), b"BM", b"II*\0", b""]
)


@given(
    extension=st.sampled_from(sorted(CHECKS)),
    start=_STARTS,
    rest=st.binary(max_size=700),
    cut=st.integers(0, 1300),
)
def test_no_content_makes_a_check_fail(extension: str, start: bytes, rest: bytes, cut: int) -> None:
    data = (start + rest)[:cut]
    assert fits(extension, data) in (True, False)
