"""The shipped indicators, the user's lists in every form, and the generator of the work directory's name."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.needs import needs_tool
from triage.indicators.digest_lists import read_digest_list
from triage.indicators.digests import DigestTable
from triage.indicators.known_good import KnownGood
from triage.indicators.load import FILES_CSV, load_builtin, load_indicators, load_ioc_file, load_known_good
from triage.indicators.names import load_names
from triage.indicators.work_directory import SHAPE, work_directory_name
from triage.model.errors import ExitCode, IndicatorError
from triage.model.finding import Digests, Finding, FindingKind, Severity
from triage.model.gap import Where
from triage.model.indicator import Confidence, DigestIndicator

FACTS_VARIABLE = "TRIAGE_TEST_FACTS"
SEED_TASKSCHE = "8b2d830d0cf3ad16a547d5b23eca2c6e"
SEED_MSSECSVC = "854455f59776dc27d4934d8979fa7e86"
DATA = b"content"
MD5, SHA1, SHA256 = (hashlib.new(name, DATA).hexdigest() for name in ("md5", "sha1", "sha256"))


def of_builtin(digest: str) -> DigestIndicator:
    found = [one for one in load_builtin().indicators if digest in (one.md5, one.sha1, one.sha256)]
    assert len(found) == 1
    return found[0]


# --- what is shipped ---


def test_shipped_counts() -> None:
    shipped = load_builtin()
    assert shipped.info.count == len(shipped.indicators) == 168
    assert len({one.md5 for one in shipped.indicators} - {None}) == 92
    assert len({one.sha1 for one in shipped.indicators} - {None}) == 38
    assert len({one.sha256 for one in shipped.indicators} - {None}) == 132
    assert shipped.info.sha256 == hashlib.sha256(FILES_CSV.read_bytes()).hexdigest()
    assert all(one.source != "" and one.description != "" for one in shipped.indicators)


@pytest.mark.skipif(FACTS_VARIABLE not in os.environ, reason=f"needs {FACTS_VARIABLE}")
def test_shipped_set_equals_the_published_csv() -> None:
    path = Path(os.environ[FACTS_VARIABLE])
    path = path / "wannacry_files.csv" if path.is_dir() else path
    assert FILES_CSV.read_bytes() == path.read_bytes()
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = [(row["md5"] or None, row["sha1"] or None, row["sha256"] or None, row["size"] or None) for row in rows]
    loaded = [(one.md5, one.sha1, one.sha256, one.size_bytes) for one in load_builtin().indicators]
    assert [(*row[:3], None if row[3] is None else int(row[3])) for row in expected] == loaded
    for row, one in zip(rows, load_builtin().indicators, strict=True):
        assert row["source"].startswith(f"conf={one.confidence.value}")
        assert row["source"].endswith(one.source)


@pytest.mark.parametrize(("digest", "size_bytes"), [(SEED_TASKSCHE, 3432 * 1024), (SEED_MSSECSVC, 3636 * 1024)])
def test_digests_of_the_first_article_are_there(digest: str, size_bytes: int) -> None:
    one = of_builtin(digest)
    assert (one.confidence, one.severity, one.size_bytes) == (Confidence.HIGH, Severity.HIGH, size_bytes)
    table = load_indicators().digests
    assert table.match(Digests(md5=digest, sha256="0" * 64), 5) == (one,)


def test_confidence_sets_severity_but_weak_rows_are_low() -> None:
    assert of_builtin("24d004a104d4d54034dbcffc2a4b19a11f39008a575aa614ea04703480b1022c").severity is Severity.HIGH
    assert of_builtin("509c41ec97bb81b0567b059aa2f50fe8").severity is Severity.MEDIUM
    assert of_builtin("f156781034daea29e43e997a2a09ff4c").severity is Severity.LOW
    tor = of_builtin("e48673680746fbe027e8982f62a83c298d6fb46ad9243de8e79b7e5a24dcd4eb")
    batch = of_builtin("f01b7f52e3cb64f01ddc248eb6ae871775ef7cb4297eba5d230d0345af9a5077")
    note = of_builtin("4a25d98c121bb3bd5b54e0b6a5348f7b09966bffeec30776e5a731813f05d49e")
    for weak in (tor, batch, note):
        assert (weak.confidence, weak.severity) == (Confidence.MEDIUM, Severity.LOW)
    assert sum(one.severity is Severity.LOW for one in load_builtin().indicators if "WEAK" in one.description) == 9


def test_every_shipped_digest_is_found_by_itself() -> None:
    table = load_indicators().digests
    assert len(table) == 168
    for one in load_builtin().indicators:
        for digests in (Digests(md5=one.md5), Digests(sha1=one.sha1), Digests(sha256=one.sha256)):
            if digests != Digests():
                assert one in table.match(digests, 1)


def test_run_loads_the_shipped_sets_and_nothing_else() -> None:
    assert [one.name for one in load_indicators().sets] == ["wannacry_files", "wannacry_names", "wannacry_network"]


def test_separately_named_set_in_the_shipped_form(tmp_path: Path) -> None:
    stand_ins = tmp_path / "lab_stand_ins.csv"
    header = FILES_CSV.read_text(encoding="utf-8").splitlines()[0]
    stand_ins.write_text(f"{header}\n{MD5},,,7,mssecsvc.exe,worm,stand-in,conf=high; made here\n", encoding="utf-8")
    indicators = load_indicators(extra_sets=[stand_ins])
    names = [one.name for one in indicators.sets]
    assert names == ["wannacry_files", "lab_stand_ins", "wannacry_names", "wannacry_network"]
    found = indicators.digests.match(Digests(md5=MD5), 7)
    assert [(one.set, one.family, one.severity, one.source) for one in found] == [
        ("lab_stand_ins", "wannacry", Severity.HIGH, "made here")
    ]
    stand_ins.write_text(f"{header}\n{MD5},,,7,a,b,c,sure\n", encoding="utf-8")
    with pytest.raises(IndicatorError, match=r"lab_stand_ins\.csv, line 2: no confidence"):
        load_indicators(extra_sets=[stand_ins])


# --- SHA-1 only where it is needed ---


def indicator(**values: object) -> DigestIndicator:
    fixed = {"family": "f", "set": "s", "description": "", "source": "", "confidence": "high", "severity": "high"}
    return DigestIndicator(**{**fixed, **values})  # type: ignore[arg-type]


def test_sha1_is_needed_only_where_nothing_else_is_known_and_the_size_fits() -> None:
    assert not DigestTable([indicator(md5=MD5, sha1=SHA1), indicator(sha256=SHA256)]).needs_sha1(7)
    sized = DigestTable([indicator(sha1=SHA1, size_bytes=7)])
    assert sized.needs_sha1(7)
    assert not sized.needs_sha1(8)
    assert DigestTable([indicator(sha1=SHA1)]).needs_sha1(8)
    assert load_indicators().needs_sha1(123)


# --- the user's lists ---

FORMS = {
    "plain": f"# a comment\n\n{MD5}\n  {SHA1.upper()}  \n{SHA256}\n",
    "plain, comma": f"{MD5},a\n{SHA1}, b, c\n{SHA256} ,d\n",
    "hash;comment": f"{MD5};one\n{SHA1};two; and more\n{SHA256}; three\n",
    "sums": f"{MD5}  a file.bin\n{SHA1} *b\n{SHA256}  c\n",
    "CSV": f'Name,MD5,SHA-1,sha_256\n"a, ""b""",{MD5},,\nb,,{SHA1}\n# c,,,\n\nd,,,{SHA256}\n',
    "CSV, semicolons": f"hash;comment\n{MD5};x\n{SHA1};y\n{SHA256};z\n",
    "CSV, tabs": f"digest\tfamily\n{MD5}\tx\n{SHA1}\ty\n{SHA256}\tz\n",
    "hashdeep": (
        "%%%% HASHDEEP-1.0\n%%%% size,md5,sha1,sha256,filename\n## Invoked from: /\n## $ hashdeep\n##\n"
        f"7,{MD5},{SHA1},{SHA256},/a/b, with, commas\n"
    ),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_digests(tmp_path: Path, form: str, line_end: str, encoding: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(FORMS[form].replace("\n", line_end).encode(encoding))
    loaded = load_ioc_file(path)
    table = DigestTable(loaded.indicators)
    for digests in (Digests(md5=MD5), Digests(sha1=SHA1), Digests(sha256=SHA256)):
        assert len(table.match(digests, 7)) == 1
    assert {one.severity for one in loaded.indicators} == {Severity.HIGH}
    assert loaded.info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.info.count == len(loaded.indicators) == (1 if form == "hashdeep" else 3)
    assert KnownGood(load_known_good(path).rows).contains(Digests(sha256=SHA256))


def test_comments_names_sizes_and_families_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"md5,family,size,comment\n{MD5},Petya,7,seen in May\n", encoding="utf-8")
    one = load_ioc_file(path).indicators[0]
    assert (one.family, one.size_bytes, one.description, one.source) == ("petya", 7, "seen in May", "line 2")


@needs_tool("hashdeep")
def test_list_written_by_hashdeep(tmp_path: Path) -> None:
    for name, data in (("a", DATA), ("b, c", b"more"), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
    result = subprocess.run(
        ["hashdeep", "-c", "md5,sha256", "-r", str(tmp_path)], capture_output=True, text=True, check=True
    )
    path = tmp_path / "list.txt"
    path.write_text(result.stdout, encoding="utf-8")
    rows = read_digest_list(path).rows
    assert len(rows) == 3
    assert {(row.size_bytes, row.md5) for row in rows} >= {(7, MD5), (4, hashlib.md5(b"more").hexdigest())}
    assert str(tmp_path / "b, c") in {row.comment for row in rows}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs the program sha256sum")
def test_list_written_by_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    result = subprocess.run(["sha256sum", "-b", "a"], cwd=tmp_path, capture_output=True, check=True)
    (tmp_path / "list").write_bytes(result.stdout)
    row = read_digest_list(tmp_path / "list").rows[0]
    assert (row.sha256, row.comment) == (SHA256, "a")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "holds no digest"),
        (b"# only\n\n", "holds no digest"),
        (b"md5,sha1\n", "holds no digest below its header"),
        (MD5.encode() + b"\nB3N969" + MD5[6:].encode(), "line 2: 'b3n969"),
        (MD5[:-1].encode(), "line 1:"),
        (b"not a list of digests", "line 1: 'not' is not an MD5, SHA-1 or SHA-256 digest"),
        (f"md5,sha1\n{SHA1},\n".encode(), "line 2:"),
        (f"md5,name\n{MD5},a\n,b\n".encode(), "line 3: no digest"),
        (f"md5,name\n{MD5},a,b,c\n".encode(), "line 2: 4 fields under a header of 2"),
        (f'md5,name\n{MD5},"open\n'.encode(), "not well-formed CSV"),
        (f"md5,size\n{MD5},-1\n".encode(), "line 2: '-1' is not a size in bytes"),
        (f"md5,size\n{MD5},{'9' * 5000}\n".encode(), "is not a size in bytes"),
        (MD5.encode() + b"\n" + "中".encode("gbk"), "line 2: not UTF-8 text"),
        (b"\xff\xfea", "not UTF-16 text"),
        (MD5.encode() + b"\n\0", "line 2: holds a NUL"),
        (f"%%%% HASHDEEP-1.0\n7,{MD5},x\n".encode(), "line 2: hashdeep row before"),
        (f"%%%% HASHDEEP-1.0\n%%%% size,md5,filename\n7,{MD5}\n".encode(), "line 3: 2 fields"),
    ],
)
def test_faulty_list_is_named_with_file_line_and_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.list"
    path.write_bytes(data)
    with pytest.raises(IndicatorError) as caught:
        load_ioc_file(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.exit_code is ExitCode.USAGE


def test_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(IndicatorError, match="No such file"):
        load_known_good(tmp_path / "none")
    with pytest.raises(IndicatorError, match="Is a directory"):
        load_ioc_file(tmp_path)


def test_only_line_ends_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "list"
    text = f"{MD5};a\u2028b\x0bc\x85d\n{SHA1};e\r{SHA256}\r\n"
    path.write_text(text, encoding="utf-8", newline="")
    rows = read_digest_list(path).rows
    assert [(row.line, row.comment) for row in rows] == [(1, "a\u2028b\x0bc\x85d"), (2, "e"), (3, "")]


def test_list_with_a_hostile_name(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.csv"))
    path.write_text(MD5, encoding="utf-8")
    assert load_ioc_file(path).info.name == "ioc:\\xff\\xfe.csv"


LINES = st.one_of(
    st.sampled_from(
        [MD5, SHA1, SHA256, "md5,sha1,size", "hash;comment", "%%%% HASHDEEP-1.0", "%%%% size,md5,filename", ""]
    ),
    st.builds(
        "{},{},{}".format, st.sampled_from([MD5, "", "x"]), st.sampled_from([SHA1, "", '"']), st.text(max_size=8)
    ),
    st.text(max_size=40),
)


@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.lists(LINES, max_size=8).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")),
    )
)
def test_any_file_is_either_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.list"
    path.write_bytes(data)
    try:
        rows = read_digest_list(path).rows
    except IndicatorError:
        return
    assert len(rows) > 0
    for row in rows:
        assert any(digest is not None for digest in (row.md5, row.sha1, row.sha256))
    assert [row.line for row in rows] == sorted(row.line for row in rows)


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_no_digest_of_a_list_is_lost(tmp_path_factory: pytest.TempPathFactory, digests: list[bytes], end: str) -> None:
    path = tmp_path_factory.getbasetemp() / "all.list"
    path.write_text(end.join(digest.hex() for digest in digests), encoding="utf-8", newline="")
    assert [row.md5 for row in read_digest_list(path).rows] == [digest.hex() for digest in digests]


# --- the allow-list ---


def finding(kind: FindingKind) -> Finding:
    return Finding(family="f", kind=kind, indicator="i", set="s", severity=Severity.HIGH, where=Where())


def known_good(folder: Path, text: str) -> KnownGood:
    path = folder / "good"
    path.write_text(text, encoding="utf-8")
    return KnownGood(load_known_good(path).rows)


def test_known_good_stream_loses_its_yara_findings_and_says_how_many(tmp_path: Path) -> None:
    good = known_good(tmp_path, SHA256)
    findings = [finding(FindingKind.YARA), finding(FindingKind.NAME), finding(FindingKind.YARA)]
    sifted = good.sift(findings, Digests(md5=MD5, sha256=SHA256))
    assert sifted.dropped == 2
    assert [one.kind for one in sifted.findings] == [FindingKind.NAME]
    assert good.sift(findings, Digests(md5=MD5, sha256="0" * 64)).dropped == 0


def test_indicator_wins_over_the_allow_list(tmp_path: Path) -> None:
    good = known_good(tmp_path, SHA256)
    findings = (finding(FindingKind.YARA), finding(FindingKind.DIGEST))
    assert good.sift(findings, Digests(sha256=SHA256)).findings == findings


def test_known_good_row_counts_by_its_strongest_digest(tmp_path: Path) -> None:
    good = known_good(tmp_path, f"md5,sha256\n{MD5},{SHA256}\n")
    assert not good.contains(Digests(md5=MD5, sha256="0" * 64))
    assert good.contains(Digests(md5="0" * 32, sha256=SHA256))
    assert not good.needs_sha1(7)
    by_sha1 = known_good(tmp_path, f"sha1,size\n{SHA1},7\n")
    assert by_sha1.needs_sha1(7)
    assert not by_sha1.needs_sha1(8)
    assert by_sha1.contains(Digests(sha1=SHA1))
    assert not KnownGood().contains(Digests(sha256=SHA256))


# --- the work directory's name ---


@pytest.mark.parametrize(
    ("computer_name", "expected"),
    [
        ("WIN7-PC", "xjzilhxs261"),
        ("DESKTOP-ABC1234", "eanxvpxzxclsnzy623"),
        ("USER-PC", "yyibsxxiapw107"),
        ("ADMIN-PC", "swjwogwnbof758"),
        ("TEST", "yjahhsjowd352"),
    ],
)
def test_work_directory_names(computer_name: str, expected: str) -> None:
    assert work_directory_name(computer_name) == expected


@given(st.text(alphabet=st.characters(codec=None), max_size=32))
def test_any_computer_name_gives_a_name_of_the_shape(computer_name: str) -> None:
    assert SHAPE.fullmatch(work_directory_name(computer_name)) is not None


def test_case_and_units_beyond_the_basic_plane_count() -> None:
    assert work_directory_name("test") != work_directory_name("TEST")
    assert work_directory_name("PC-\U0001f600") == work_directory_name("PC-\ud83d\ude00")


# --- name rules as data ---


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "Expected"),
        ('name="n"\nrelease="1"\nfamily="f"\nrule=[]', "places"),
        ('name="n"\nrelease="1"\nfamily="f"\nrule=[]\n[places]\na="("', "unterminated"),
        ('name="n"\nrelease="1"\nfamily="f"\n[places]\n[[rule]]\nid="x"\nkind="smell"', "smell"),
    ],
)
def test_faulty_name_rules_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "names.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(IndicatorError, match=reason) as caught:
        load_names(path)
    assert str(path) in str(caught.value)
