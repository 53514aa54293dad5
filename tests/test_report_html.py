"""The HTML report: one file, nothing from outside, hostile text harmless, everything said in words."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import msgspec
import pytest

from tests.sample_report import HOSTILE, finding, sample_report
from triage.model.exposure import Exposure
from triage.model.finding import FindingKind
from triage.model.report import Report
from triage.model.text import set_language
from triage.model.verdict import Outcome, Stage
from triage.report.html import write_html
from triage.report.interface import CaseContents

ALLOWED_TAGS = frozenset(
    {
        "html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "div", "span", "p",
        "h1", "h2", "h3", "ol", "li", "dl", "dt", "dd", "table", "colgroup", "col", "thead", "tbody", "tr", "th", "td",
        "bdi", "code", "pre", "br", "ul", "figure", "figcaption", "details", "summary", "svg", "rect",
        "g", "text", "line", "path", "circle",
    }
)  # fmt: skip
VOID_TAGS = frozenset({"meta", "br", "col"})


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order, only the elements that the template has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED_TAGS
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


def render(report: Report) -> str:
    out = io.StringIO()
    write_html(CaseContents(report=report, digests=(), fingerprint="SHA256:of+the/key"), out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language("en")


def test_the_order_is_verdict_then_what_to_do_then_the_rest() -> None:
    words = Page(render(sample_report())).words
    headings = [
        "Indicators found: WannaCry", "stage 4 of 5, encrypting. medium confidence", "What to do",
        "Do not boot this disk",
        "Why this verdict", "Why this stage", "Stage 4, medium confidence: 2 signs speak for it, 1 is missing",
        "stages 4 to 5 are possible", "Phase: late: files are encrypted", "Several infections", "more than one folder",
        "4 Encrypting", "ransom notes there1,212 findings · f1 · f2 · f3 · f5 …", "key files of this infection missing",
        "5 Finished", "Run value of the encryptor could not be looked for · g1", "Evidence",
        "unchanged", "Volumes", "only NTFS volumes are examined", "FRONTDESK-02",
        "Exposure: was the hole open", "v2/Windows exposed", "The hole of MS17-010 is open",
        "MS17-010: version of srv.sys", "fixed from 6.1.7601.23689", "last known good control set",
        "Findings", "30 more in findings.jsonl", "Coverage", "DOES NOT ADD UP", "✓ agree", "✗ differ by 1",
        "Gaps", "Material", "8 sectors cannot be read", "Not material", "Rescued files", "Check it yourself",
        "sha256sum -c SHA256SUMS", "ssh-keygen -Y verify",
        "sha256sum -c manifest-sha256.txt", "SHA256:of+the/key", "How this report was made",
        "wannacry-files", "pytsk3 20260715", "triage-report/1",
    ]  # fmt: skip
    at = 0
    for heading in headings:
        found = words.find(heading, at)
        assert found >= 0, heading
        at = found


def test_nothing_comes_from_outside() -> None:
    page = Page(render(sample_report()))
    assert not [
        item for item in page.attributes if item[1] in ("src", "href", "style", "action") or item[1].startswith("on")
    ]
    style = re.search(r"<style>(.*?)</style>", render(sample_report()), re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_policy_allows_our_style_and_nothing_else() -> None:
    text = render(sample_report())
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(
        value for tag, name, value in Page(text).attributes if tag == "meta" and value.startswith("default-src")
    )
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def hostile_report() -> Report:
    """Return a report with a hostile text in every field that can hold text."""
    evil = HOSTILE + "\"'>&{{7*7}}"
    base = sample_report(findings=(finding(1, FindingKind.NAME, evil),))
    replace = msgspec.structs.replace
    found = replace(
        base.findings[0], indicator=evil, set=evil, family=evil, excerpt=evil, facts={evil: evil}, times={evil: evil},
        digests=replace(base.findings[0].digests, sha256=evil),
    )  # fmt: skip
    judgement = base.verdict.judgement
    assert judgement is not None
    judgement = replace(
        judgement,
        evidence=tuple(replace(one, says=evil, sign=evil, ids=(evil,)) for one in judgement.evidence),
        special=tuple(replace(one, says=evil, ids=(evil,)) for one in judgement.special),
    )
    volume = replace(
        base.volumes[1], label=evil, serial=evil, filesystem=evil,
        windows=replace(base.volumes[1].windows, computer_name=evil, product=evil, time_zone=evil),  # type: ignore[type-var]
    )  # fmt: skip
    proof = base.evidence[0].write_proof
    assert proof is not None
    return replace(
        base,
        findings=(found,),
        volumes=(volume,),
        gaps=tuple(replace(gap, detail=evil) for gap in base.gaps),
        case=replace(base.case, id=evil, examiner=evil, notes=evil, command=(evil, evil), fatal=evil),
        evidence=(
            replace(base.evidence[0], path=evil, write_proof=replace(proof, before={evil: evil}, after={evil: 1})),
        ),
        exposure=tuple(_evil_exposure(one, evil) for one in base.exposure),
        tool=replace(base.tool, libraries={evil: evil}),
        verdict=replace(base.verdict, advice=(evil,), stage_name=evil, judgement=judgement),
        coverage=replace(base.coverage, streams_by_state={evil: 1}),
    )


def _evil_exposure(exposure: Exposure, evil: str) -> Exposure:
    rows = tuple(msgspec.structs.replace(row, value=evil, source=evil, reasons=(evil,)) for row in exposure.rows)
    return msgspec.structs.replace(exposure, windows=evil, reasons=(evil,), rows=rows)


def test_hostile_text_is_shown_and_does_nothing() -> None:
    text = render(hostile_report())
    text.encode("utf-8")
    page = Page(text)
    assert "<script" not in text
    assert not set(text) & set("\x1b\u202e\u2028\ud800\x00")
    assert "{{7*7}}" in page.words
    assert "a\\x1b[31m\\x0a<script>alert(1)</script>\\u202egpj.exe\\ud800/" in page.words


@pytest.mark.parametrize(
    ("outcome", "stage", "words"),
    [
        (Outcome.INCONCLUSIVE, None, "Inconclusive"),
        (Outcome.NO_KNOWN_INDICATORS, Stage.NONE, "No known indicators found"),
        (Outcome.INDICATORS_FOUND, None, "How far it got: not known."),
    ],
)
def test_each_outcome_has_its_words_and_its_colour(outcome: Outcome, stage: Stage | None, words: str) -> None:
    report = msgspec.structs.replace(sample_report(findings=(), outcome=outcome, stage=stage), gaps=(), rescue=None)
    text = render(report)
    page = Page(text)
    assert words in page.words
    assert ("div", "class", f"verdict {outcome.value}") in page.attributes
    assert "No rescue was asked for." in page.words
    assert "None: everything that was enumerated was examined." in page.words
    assert "clean" not in page.words.lower().replace("clean-up", "")


@pytest.mark.parametrize(
    ("unchanged", "words"), [(False, "Something wrote to the evidence"), (None, "The run did not come to its end.")]
)
def test_the_write_proof_is_told_as_it_is(unchanged: bool | None, words: str) -> None:
    report = sample_report()
    proof = report.evidence[0].write_proof
    assert proof is not None
    after = None if unchanged is None else {"size_bytes": 1, "mtime": proof.before["mtime"]}
    changed = msgspec.structs.replace(proof, unchanged=unchanged, after=after)
    evidence = (msgspec.structs.replace(report.evidence[0], write_proof=changed),)
    page = Page(render(msgspec.structs.replace(report, evidence=evidence)))
    assert words in page.words
    assert (("tr", "class", "changed") in page.attributes) is (unchanged is False)


def test_only_all_of_it_is_a_hundred_percent() -> None:
    report = sample_report()
    assert "99.9 %" in Page(render(report)).words
    whole = msgspec.structs.replace(report.coverage, bytes_read=report.coverage.bytes_total)
    assert "100.0 %" in Page(render(msgspec.structs.replace(report, coverage=whole))).words


def test_an_interrupted_run_says_so() -> None:
    report = sample_report()
    stopped = msgspec.structs.replace(report, case=msgspec.structs.replace(report.case, interrupted=True))
    assert "The run was interrupted" in Page(render(stopped)).words
    assert "The run was interrupted" not in Page(render(report)).words
