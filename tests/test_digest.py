"""Digests against coreutils, and what the digest examiner makes of a match."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.needs import needs_tool
from triage.examiners.digest import DigestExaminer
from triage.indicators.load import Indicators, load_indicators
from triage.model.entry import StreamForm, Subject
from triage.model.finding import Finding, FindingKind, Severity

BUILTIN = load_indicators()
DATA = b"not malware\n" * 1000
MD5, SHA1, SHA256 = (hashlib.new(name, DATA).hexdigest() for name in ("md5", "sha1", "sha256"))


def subject(size_bytes: int) -> Subject:
    return Subject(
        volume="v1",
        mft_entry=7,
        sequence=1,
        attribute_id=1,
        path="a/b",
        stream="s",
        size_bytes=size_bytes,
        initialized_bytes=size_bytes,
        form=StreamForm.PLAIN,
    )


def examine(
    indicators: Indicators,
    data: bytes,
    *,
    window_bytes: int = 4096,
    overlap_bytes: int = 0,
    complete: bool = True,
) -> tuple[DigestExaminer, list[Finding]]:
    examiner = DigestExaminer(indicators)
    examiner.begin(subject(len(data)))
    for start in range(0, len(data), window_bytes):
        front = max(start - overlap_bytes, 0)
        examiner.feed(memoryview(data)[front : start + window_bytes], front, start - front)
    results = examiner.end(complete=complete)
    return examiner, [result for result in results if isinstance(result, Finding)]


def with_list(folder: Path, text: str, *, known_good: str | None = None) -> Indicators:
    ioc = folder / "list.csv"
    ioc.write_text(text, encoding="utf-8")
    good = folder / "good.txt"
    good.write_text(known_good or "", encoding="utf-8")
    return load_indicators([ioc], [good] if known_good is not None else [])


@given(data=st.binary(max_size=5000), window_bytes=st.integers(1, 6000), overlap_bytes=st.integers(0, 300))
def test_repeated_bytes_are_hashed_once(data: bytes, window_bytes: int, overlap_bytes: int) -> None:
    window_bytes = max(window_bytes, len(data) // 50 + 1)
    examiner, findings = examine(BUILTIN, data, window_bytes=window_bytes, overlap_bytes=overlap_bytes)
    assert examiner.digests.md5 == hashlib.md5(data).hexdigest()
    assert examiner.digests.sha256 == hashlib.sha256(data).hexdigest()
    assert examiner.digests.sha1 == hashlib.sha1(data).hexdigest()
    assert findings == []


@needs_tool("md5sum", "sha256sum")
def test_digests_are_those_of_coreutils(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    examiner, _ = examine(BUILTIN, DATA)
    for program, digest in (("md5sum", examiner.digests.md5), ("sha256sum", examiner.digests.sha256)):
        result = subprocess.run([program, "f"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert result.stdout.split()[0] == digest


def test_empty_stream_has_digests_and_no_finding(tmp_path: Path) -> None:
    indicators = with_list(tmp_path, hashlib.sha256(b"").hexdigest())
    examiner, findings = examine(indicators, b"")
    assert examiner.digests.sha256 == hashlib.sha256(b"").hexdigest()
    assert findings == []


@pytest.mark.parametrize("digest", [MD5, SHA1, SHA256, SHA256.upper()])
def test_each_kind_of_digest_is_found(tmp_path: Path, digest: str) -> None:
    indicators = with_list(tmp_path, f"{digest};our note")
    _, findings = examine(indicators, DATA)
    assert len(findings) == 1
    finding = findings[0]
    assert (finding.kind, finding.severity, finding.family) == (FindingKind.DIGEST, Severity.HIGH, "user")
    assert (finding.indicator, finding.set) == (digest.lower(), "ioc:list.csv")
    assert (finding.digests.md5, finding.digests.sha256) == (MD5, SHA256)
    assert finding.where.stream == "s"
    assert finding.facts["description"] == "our note"
    assert "disagrees" not in finding.facts


def test_row_that_contradicts_itself_is_reported_and_says_so(tmp_path: Path) -> None:
    indicators = with_list(tmp_path, f"md5,sha256,size\n{MD5},{'0' * 64},12\n")
    _, findings = examine(indicators, DATA)
    assert [finding.indicator for finding in findings] == [MD5]
    assert findings[0].facts["matched"] == "md5"
    assert findings[0].facts["disagrees"] == "sha256, size_bytes"


def test_row_with_several_digests_is_one_finding(tmp_path: Path) -> None:
    indicators = with_list(tmp_path, f"md5,sha1,sha256,size\n{MD5},{SHA1},{SHA256},{len(DATA)}\n")
    _, findings = examine(indicators, DATA)
    assert [finding.indicator for finding in findings] == [SHA256]
    assert findings[0].facts["matched"] == "sha256, sha1, md5"
    assert "disagrees" not in findings[0].facts


def test_stream_that_was_not_read_whole_matches_nothing(tmp_path: Path) -> None:
    indicators = with_list(tmp_path, SHA256)
    _, findings = examine(indicators, DATA, complete=False)
    assert findings == []


def test_known_good_file_that_is_an_indicator_is_still_a_finding(tmp_path: Path) -> None:
    indicators = with_list(tmp_path, SHA256, known_good=SHA256)
    _, findings = examine(indicators, DATA)
    assert findings[0].severity is Severity.HIGH
    assert findings[0].facts["known_good"] == "yes"
