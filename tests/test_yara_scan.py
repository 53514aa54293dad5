"""User's rules, windows, limits and errors of the YARA examiner."""

from __future__ import annotations

from pathlib import Path

import pytest

from triage.examiners.yara_rules import CompiledRules, compile_rules
from triage.examiners.yara_scan import YaraExaminer
from triage.model.entry import FileTimes, StreamForm, Subject
from triage.model.errors import ExitCode, IndicatorError
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind

TIMEOUT_SECONDS = 60
NEEDLE = b"needle-in-a-haystack"
RULE = 'rule Needle { meta: %s strings: $needle = "needle-in-a-haystack" condition: $needle }'


def subject(size_bytes: int) -> Subject:
    return Subject(
        volume="v1",
        mft_entry=42,
        sequence=1,
        attribute_id=3,
        path="Users/x/a.bin",
        stream="",
        size_bytes=size_bytes,
        initialized_bytes=size_bytes,
        form=StreamForm.PLAIN,
        si=FileTimes(131_390_368_750_000_001, 0, 0, 0),
    )


def rules_of(folder: Path, source: str, name: str = "user.yar") -> CompiledRules:
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return compile_rules([path])


def scan(examiner: YaraExaminer, data: bytes, window_bytes: int, overlap_bytes: int = 0) -> list[Finding | Gap]:
    """Feed `data` as the reader does: windows that repeat the tail of the one before."""
    examiner.begin(subject(len(data)))
    start = 0
    while start < len(data):
        front = max(start - overlap_bytes, 0)
        end = min(start + window_bytes, len(data))
        examiner.feed(memoryview(bytearray(data[front:end])), front, start - front)
        start = end
    return list(examiner.end(complete=True))


def only_finding(results: list[Finding | Gap]) -> Finding:
    assert len(results) == 1
    finding = results[0]
    assert isinstance(finding, Finding)
    return finding


def test_finding_can_be_reproduced_by_hand(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, RULE % 'severity = "HIGH" family = "demo" description = "d"')
    data = b"\0" * 100 + NEEDLE + b"\n<b>" + b"\xff" * 50
    finding = only_finding(scan(YaraExaminer(rules, TIMEOUT_SECONDS), data, 4096))
    assert (finding.kind, finding.indicator, finding.set) == (FindingKind.YARA, "Needle", "rules:user.yar")
    assert (finding.severity, finding.family) == (Severity.HIGH, "demo")
    assert finding.where.offset_bytes == 100
    assert (finding.where.path, finding.where.stream, finding.where.mft_entry) == ("Users/x/a.bin", None, 42)
    assert finding.facts == {"description": "d", "strings": "$needle at 100"}
    assert finding.times == {"si_created": "2017-05-12T04:27:55.0000001Z"}
    assert finding.excerpt == NEEDLE.decode()


def test_user_rule_without_metadata_is_medium_and_one_with_an_unknown_severity_too(tmp_path: Path) -> None:
    for meta in ('author = "x"', 'severity = "apocalyptic"', "severity = 5"):
        finding = only_finding(scan(YaraExaminer(rules_of(tmp_path, RULE % meta), TIMEOUT_SECONDS), NEEDLE, 4096))
        assert (finding.severity, finding.family) == (Severity.MEDIUM, "user")


def test_pattern_across_the_border_of_two_windows_is_found_once_at_its_place(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, RULE % 'author = "x"')
    data = b"." * 1000 + NEEDLE + b"." * 1000
    for window_bytes in (1005, 1010, 1019, 700):
        finding = only_finding(scan(YaraExaminer(rules, TIMEOUT_SECONDS), data, window_bytes, overlap_bytes=64))
        assert finding.where.offset_bytes == 1000
        assert finding.facts["strings"] == "$needle at 1000"
        assert finding.facts["windowed"] == "yes"
    assert scan(YaraExaminer(rules, TIMEOUT_SECONDS), data, 1010, overlap_bytes=0) == []


def test_pattern_in_the_shared_part_counts_once_and_two_places_are_one_finding(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, RULE % 'author = "x"')
    data = b"." * 940 + NEEDLE + b"." * 2000 + NEEDLE
    finding = only_finding(scan(YaraExaminer(rules, TIMEOUT_SECONDS), data, 1000, overlap_bytes=64))
    assert finding.facts["strings"] == "$needle at 940, $needle at 2960"


def test_excerpt_is_bounded_and_printable(tmp_path: Path) -> None:
    source = "rule Long { strings: $a = /A\\x1b\\[31m\\\\[^z]{500}/ condition: $a }"
    finding = only_finding(
        scan(YaraExaminer(rules_of(tmp_path, source), TIMEOUT_SECONDS), b"A\x1b[31m\\" + b"\n" * 600, 4096)
    )
    assert finding.excerpt.startswith("A\\x1b[31m\\x5c\\x0a\\x0a")
    assert finding.excerpt.isascii()
    assert finding.excerpt.isprintable()
    assert len(finding.excerpt) <= 64 * 4


def test_rule_without_strings_has_no_offset(tmp_path: Path) -> None:
    finding = only_finding(
        scan(YaraExaminer(rules_of(tmp_path, "rule Any { condition: uint8(0) == 0x41 }"), TIMEOUT_SECONDS), b"A", 9)
    )
    assert finding.where.offset_bytes is None
    assert finding.excerpt == ""


def test_timeout_is_a_gap_for_its_window(tmp_path: Path) -> None:
    slow = "rule Slow { condition: uint8(0) == 0x41 and for all i in (1..100000000000) : (i > 0) }"
    results = scan(YaraExaminer(rules_of(tmp_path, slow), timeout_seconds=1), b"." * 10 + b"A" * 10, 10)
    assert len(results) == 1
    gap = results[0]
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.bytes, gap.where.offset_bytes) == (GapKind.YARA_TIMEOUT, 10, 10)
    assert gap.where.path == "Users/x/a.bin"
    assert "longer than 1 s" in gap.detail
    assert "rules:user.yar" in gap.detail


def test_too_many_matches_are_no_error(tmp_path: Path) -> None:
    source = 'rule Many { strings: $a = "aa" condition: #a > 5 }'
    finding = only_finding(scan(YaraExaminer(rules_of(tmp_path, source), TIMEOUT_SECONDS), b"a" * 1_200_000, 2_000_000))
    assert finding.facts["strings"].startswith("$a at 0, $a at 1,")
    assert finding.facts["strings"].count("at") == 8


def test_rules_cannot_write_on_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = 'import "console" rule Talks { condition: console.log("hello") }'
    assert only_finding(scan(YaraExaminer(rules_of(tmp_path, source), TIMEOUT_SECONDS), b"x", 9)).indicator == "Talks"
    assert capfd.readouterr().out == ""


def test_empty_stream_and_next_stream_start_afresh(tmp_path: Path) -> None:
    examiner = YaraExaminer(rules_of(tmp_path, RULE % 'author = "x"'), TIMEOUT_SECONDS)
    assert len(scan(examiner, NEEDLE, 5, overlap_bytes=16)) == 1
    assert scan(examiner, b"", 10) == []
    assert "windowed" not in only_finding(scan(examiner, NEEDLE, 100)).facts


def test_two_files_may_use_one_rule_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.yar").write_text(RULE % 'author = "x"', encoding="utf-8")
    (tmp_path / "b" / "deeper").mkdir()
    (tmp_path / "b" / "deeper" / "more.YARA").write_text(RULE % 'date = "2020-02-02"', encoding="utf-8")
    rules = compile_rules([tmp_path / "a", tmp_path / "b"])
    users = [(one.name, one.release, one.count) for one in rules.sets if one.name.startswith("rules:")]
    assert users == [
        ("rules:same.yar", "unversioned", 1),
        ("rules:deeper/more.YARA", "2020-02-02", 1),
        ("rules:same.yar#2", "unversioned", 1),
    ]
    assert len(scan(YaraExaminer(rules, TIMEOUT_SECONDS), NEEDLE, 100)) == 3


def test_warnings_name_the_file(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "rule Slow { strings: $a = /a.*b/ condition: $a }")
    assert len(rules.warnings) > 0
    assert all(warning.startswith(str(tmp_path / "user.yar")) for warning in rules.warnings)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"rule A {\n condition:\n  nonsense\n}", 'line 3: undefined identifier "nonsense"'),
        (b'rule A { strings: $a = "x"\ncondition: $b }', "line 2: undefined string"),
        (b'include "other.yar"\nrule A { condition: true }', "line 1: includes are disabled"),
        (b"rule A { condition: true }\nrule A { condition: true }", "line 2: duplicated identifier"),
        (b'rule A { condition: filename == "x" }', "line 1: undefined identifier"),
        (b"\n\nrule \xff", "line 3: not UTF-8 text"),
        (b"rule A { condition: true }\n\0rule B { condition: true }", "line 2: holds a NUL character"),
        (b"// nothing\n", "holds no rule"),
        (b"", "holds no rule"),
    ],
)
def test_faulty_rule_is_named_with_file_line_and_reason(tmp_path: Path, source: bytes, reason: str) -> None:
    good, bad = tmp_path / "good.yar", tmp_path / "bad.yar"
    good.write_text("rule Good { condition: true }", encoding="utf-8")
    bad.write_bytes(source)
    with pytest.raises(IndicatorError) as caught:
        compile_rules([good, bad])
    assert str(bad) in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code is ExitCode.USAGE


def test_missing_file_and_folder_without_rules(tmp_path: Path) -> None:
    with pytest.raises(IndicatorError, match="No such file"):
        compile_rules([tmp_path / "none.yar"])
    with pytest.raises(IndicatorError, match="holds no rule file"):
        compile_rules([tmp_path])
