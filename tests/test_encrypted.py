"""The container examiner: true containers, what only looks like them, and streams in windows of any size."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from tests.lab import wncry
from triage.examiners.encrypted import (
    Container,
    ContainerType,
    EncryptedExaminer,
    document_extension,
    parse_container,
)
from triage.model.content import ContentJudgement
from triage.model.entry import StreamForm, Subject
from triage.model.errors import ParseError
from triage.model.finding import Finding, FindingKind, Severity

NOISE = random.Random(2017).randbytes(150_000)
DOCUMENT = "Users/Li/Documents/报告.docx"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return wncry.make_test_key()


def subject(path: str, size_bytes: int, stream: str = "") -> Subject:
    return Subject(
        volume="v1",
        mft_entry=77,
        sequence=1,
        attribute_id=0,
        path=path,
        stream=stream,
        size_bytes=size_bytes,
        initialized_bytes=size_bytes,
        form=StreamForm.PLAIN,
    )


def examine(
    path: str,
    data: bytes,
    *,
    window_bytes: int = 1 << 20,
    overlap_bytes: int = 0,
    read_bytes: int | None = None,
) -> tuple[ContentJudgement, list[Finding], ContentJudgement | None]:
    """Feed a stream in windows; return judgement, findings, and the early judgement after the first window."""
    examiner = EncryptedExaminer()
    examiner.begin(subject(path, len(data)))
    early: ContentJudgement | None = examiner.early_judgement
    until = len(data) if read_bytes is None else read_bytes
    for at in range(0, until, window_bytes):
        start = max(at - overlap_bytes, 0)
        examiner.feed(memoryview(data)[start : min(at + window_bytes, until)], start, at - start)
        if at == 0:
            early = examiner.early_judgement
    found = examiner.end(complete=until == len(data))
    assert all(isinstance(item, Finding) for item in found)
    return examiner.judgement, [item for item in found if isinstance(item, Finding)], early


def test_whole_container_is_a_high_finding_and_the_lab_decrypts_it(key: rsa.RSAPrivateKey) -> None:
    data = wncry.encrypted(NOISE[:100_001], key)
    judgement, (finding,), early = examine(DOCUMENT + ".WNCRY", data)
    assert judgement is early is ContentJudgement.ENCRYPTED
    assert (finding.kind, finding.severity) == (FindingKind.ENCRYPTED_FILE, Severity.HIGH)
    assert finding.where.path == DOCUMENT + ".WNCRY"
    assert finding.facts == {
        "structure": "fits",
        "type": "4",
        "original_size_bytes": "100001",
        "expected_size_bytes": str(len(data)),
        "stored_size_bytes": str(len(data)),
        "truncated": "no",
    }
    assert wncry.decrypted(data, key) == NOISE[:100_001]


def test_name_does_not_matter(key: rsa.RSAPrivateKey) -> None:
    judgement, (finding,), _ = examine("holiday.jpg", wncry.encrypted(b"x", key))
    assert (judgement, finding.severity) == (ContentJudgement.ENCRYPTED, Severity.HIGH)


def test_truncated_container(key: rsa.RSAPrivateKey) -> None:
    judgement, (finding,), early = examine("a.doc.WNCRY", wncry.encrypted(NOISE, key)[:-1])
    assert judgement is early is ContentJudgement.ENCRYPTED_TRUNCATED
    assert (finding.severity, finding.facts["truncated"]) == (Severity.HIGH, "yes")


@pytest.mark.parametrize("length", [12, 100, wncry.HEADER_BYTES - 1])
def test_cut_header(length: int) -> None:
    judgement, (finding,), _ = examine("a.doc.WNCRY", wncry.header(5000)[:length])
    assert judgement is ContentJudgement.ENCRYPTED_TRUNCATED
    assert (finding.severity, finding.facts["structure"]) == (Severity.MEDIUM, "header-cut")


def test_header_alone_and_container_with_more_behind_it_are_less_sure(key: rsa.RSAPrivateKey) -> None:
    for data in (wncry.header(5000), wncry.encrypted(NOISE, key) + b"more"):
        assert examine("a.doc.WNCRY", data)[1][0].severity is Severity.MEDIUM


@pytest.mark.parametrize(
    "note",
    [
        b"WANACRY! is the magic of an encrypted file, followed by the length of the key.\r\n" * 40,
        b"WANACRY!",
        b"WANACRY!\0\1\0",
        wncry.header(5000, kind=wncry.ContainerType.ENCRYPTED)[:0x10C] + b"\x05\0\0\0" + bytes(400),
        wncry.header(1 << 50) + bytes(400),
    ],
    ids=["text", "magic", "cut-before-length", "unknown-type", "impossible-size"],
)
def test_magic_alone_is_a_low_finding(note: bytes) -> None:
    judgement, (finding,), early = examine("analyst/notes", note)
    assert (finding.severity, finding.facts["structure"], early) == (Severity.LOW, "magic-only", None)
    assert judgement is ContentJudgement.PLAIN


@pytest.mark.parametrize("length", [0x10000, 0x10001, 150_000])
def test_prepared_file_is_restorable_without_a_key(length: int) -> None:
    data = wncry.prepared(NOISE[:length])
    judgement, (finding,), early = examine("film.avi.WNCYR", data)
    assert judgement is early is ContentJudgement.PREPARED
    assert (finding.severity, finding.facts["restorable_without_key"]) == (Severity.HIGH, "yes")
    assert wncry.restored(data) == NOISE[:length]


def test_prepared_file_of_another_length_is_doubted_but_not_given_up() -> None:
    judgement, (finding,), _ = examine("film.avi.WNCYR", wncry.prepared(NOISE)[:-1])
    assert judgement is ContentJudgement.CONTRADICTS_TYPE
    assert finding.facts["restorable_without_key"] == "no"


def test_prepared_file_that_is_too_small_to_be_one() -> None:
    data = wncry.header(5, kind=wncry.ContainerType.PREPARED).ljust(0x10005, b"x")
    judgement, (finding,), _ = examine("small.avi.WNCYR", data)
    assert judgement is ContentJudgement.CONTRADICTS_TYPE
    assert finding.facts["restorable_without_key"] == "no"


def test_component_of_the_malware_is_no_users_file(key: rsa.RSAPrivateKey) -> None:
    judgement, (finding,), _ = examine("ProgramData/xjzilhxs261/t.wnry", wncry.encrypted(NOISE[:65536], key))
    assert judgement is ContentJudgement.ENCRYPTED
    assert (finding.severity, finding.facts["role"]) == (Severity.LOW, "malware-component")


def test_encryption_in_progress(key: rsa.RSAPrivateKey) -> None:
    judgement, (finding,), _ = examine(DOCUMENT + ".WNCRYT", wncry.encrypted(NOISE, key)[:70_000])
    assert judgement is ContentJudgement.ENCRYPTED_TRUNCATED
    assert finding.facts["role"] == "encryption-in-progress"


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        ("a.txt.WNCRY", b"plain text\r\n" * 50, ContentJudgement.PLAIN),
        ("a.txt.WNCRY", NOISE, ContentJudgement.CONTRADICTS_TYPE),
        ("a.WNCRY", b"plain text\r\n" * 50, ContentJudgement.CONTRADICTS_TYPE),
        ("$RECYCLE/7.WNCRYT", NOISE, ContentJudgement.PLAIN),
        ("a.txt", NOISE, ContentJudgement.CONTRADICTS_TYPE),
        ("a.dat", NOISE, ContentJudgement.PLAIN),
        ("a.txt", b"", ContentJudgement.EMPTY),
        ("a.doc.WNCRY", b"", ContentJudgement.EMPTY),
    ],
)
def test_what_is_not_in_the_format_is_no_finding(path: str, data: bytes, expected: ContentJudgement) -> None:
    judgement, findings, early = examine(path, data)
    assert (judgement, findings) == (expected, [])
    assert early is (ContentJudgement.EMPTY if data == b"" else None)


def test_filler_is_known_from_its_first_window_where_it_is_named_so() -> None:
    data = b"\x55" * 300_000
    assert examine("Windows/Temp/hibsys.WNCRYT", data, window_bytes=70_000)[::2] == (ContentJudgement.FILLER,) * 2
    assert examine("U.bin", data, window_bytes=70_000)[::2] == (ContentJudgement.PLAIN, None)
    broken = data[:-1] + b"\x54"
    assert examine("Windows/Temp/hibsys.WNCRYT", broken, window_bytes=70_000)[0] is ContentJudgement.PLAIN


def test_stream_that_could_not_be_read_to_its_end(key: rsa.RSAPrivateKey) -> None:
    assert examine("a.doc.WNCRY", wncry.encrypted(NOISE, key), read_bytes=4096)[0] is ContentJudgement.ENCRYPTED
    assert examine("a.txt", b"text\r\n" * 30_000, read_bytes=4096)[0] is ContentJudgement.PLAIN
    assert examine("a.docx", b"PK\3\4" + NOISE, read_bytes=4096)[0] is ContentJudgement.PLAIN
    assert examine("a.docx", b"PK\3\4" + NOISE)[0] is ContentJudgement.CONTRADICTS_TYPE
    assert examine("a.txt", NOISE, read_bytes=0)[1] == []


def test_instance_serves_one_stream_after_the_other(key: rsa.RSAPrivateKey) -> None:
    examiner = EncryptedExaminer()
    for path, data, expected in (
        ("a.txt", wncry.encrypted(NOISE, key), ContentJudgement.ENCRYPTED),
        ("a.txt", b"text\r\n" * 30, ContentJudgement.PLAIN),
        ("a.txt", b"", ContentJudgement.EMPTY),
        ("hibsys.WNCRYT", b"\x55" * 100, ContentJudgement.FILLER),
        ("a.txt", NOISE, ContentJudgement.CONTRADICTS_TYPE),
    ):
        examiner.begin(subject(path, len(data)))
        if data:
            examiner.feed(memoryview(data), 0, 0)
        examiner.end(complete=True)
        assert examiner.judgement is expected


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.docx", "docx"),
        ("a.docx.wncry", "docx"),
        ("a.wncry", "wncry"),
        ("7.wncryt", ""),
        ("a", ""),
        ("a.b.wncyr", "b"),
    ],
)
def test_extension_of_the_original(name: str, extension: str) -> None:
    assert document_extension(name) == extension


_TYPES = (b"\3\0\0\0", b"\4\0\0\0")
_KINDS = st.sampled_from(list(ContainerType))


@given(original=st.integers(0, 1 << 44), kind=_KINDS, rest=st.binary(max_size=40))
def test_header_reads_back_as_it_was_written(original: int, kind: ContainerType, rest: bytes) -> None:
    head = wncry.header(original, kind=wncry.ContainerType(kind)) + rest
    assert parse_container(head) == Container(type=kind, original_bytes=original)


@given(length=st.integers(0, 70_000))
def test_expected_length_is_that_of_a_written_container(key: rsa.RSAPrivateKey, length: int) -> None:
    stored = len(wncry.encrypted(NOISE[:length], key))
    assert Container(type=ContainerType.ENCRYPTED, original_bytes=length).expected_bytes == stored


@given(
    data=st.one_of(
        st.binary(max_size=600),
        st.binary(max_size=600).map(lambda rest: wncry.MAGIC + rest),
        st.binary(min_size=1).map(lambda rest: wncry.header(5) + rest),
    )
)
def test_parser_returns_a_container_or_says_why_not(data: bytes) -> None:
    if data[:12] == wncry.header(0)[:12] and len(data) >= wncry.HEADER_BYTES and data[0x10C:0x110] in _TYPES:
        assert parse_container(data).original_bytes == int.from_bytes(data[0x110:0x118], "little")
    else:
        with pytest.raises(ParseError, match="at offset"):
            parse_container(data)


_STREAMS = st.sampled_from(
    [
        wncry.header(100_000) + NOISE[:100_000],
        wncry.prepared(NOISE[:70_000]),
        b"WANACRY! in a note\r\n" * 500,
        b"\x55" * 9000,
        b"text\r\n" * 20_000 + NOISE[:2000],
        NOISE[:100],
    ]
)


@given(
    data=_STREAMS,
    window_bytes=st.integers(1000, 120_000),
    overlap_bytes=st.integers(0, 999),
    path=st.sampled_from(["a.txt", "b"]),
)
def test_windows_do_not_change_the_judgement(data: bytes, window_bytes: int, overlap_bytes: int, path: str) -> None:
    whole = examine(path, data)
    windowed = examine(path, data, window_bytes=window_bytes, overlap_bytes=overlap_bytes)
    assert windowed[:2] == whole[:2]
