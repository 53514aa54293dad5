"""The files of a case: what is in them, that they can be read back, and that hostile names do no harm."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.needs import needs_tool
from tests.sample_report import HOSTILE, contents, finding, sample_digests, sample_findings, sample_report
from triage.model.cleanup import CleanupAction, CleanupPlan, CleanupSection, CleanupStep
from triage.model.errors import ReportError
from triage.model.escape import unescape_line
from triage.model.finding import Digests, Finding, FindingKind, Severity
from triage.model.report import Report, StreamDigest
from triage.model.verdict import Outcome, Stage
from triage.model.volume import HibernationFile
from triage.report.case import RENDERERS, write_case
from triage.report.document import json_line, load_report, write_document
from triage.report.durable import durable_text
from triage.report.text import summary
from triage.report.view import ROWS_SHOWN, group_findings

KEYS = [
    "schema",
    "tool",
    "case",
    "evidence",
    "volumes",
    "findings",
    "gaps",
    "coverage",
    "verdict",
    "rescue",
    "deleted",
    "journals",
    "timeline",
    "cleanup",
    "exposure",
]
FINDING_KEYS = {
    "id", "family", "kind", "indicator", "set", "severity", "where", "times", "digests", "excerpt", "facts", "deleted",
}  # fmt: skip
ONE_CHARACTER_NAMES = st.text(st.characters(), max_size=20).map(
    lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    write_case(tmp_path, contents(sample_report(), iter(sample_digests()), "SHA256:fingerprint"))
    return tmp_path


def as_json(report: Report) -> str:
    out = io.StringIO()
    write_document(report, out)
    return out.getvalue()


def test_every_renderer_writes_its_file(case: Path) -> None:
    names = [renderer.file_name for renderer in RENDERERS]
    assert len(set(names)) == len(names)
    assert sorted(path.name for path in case.iterdir()) == sorted(names)
    assert {"report.json", "report.html", "findings.jsonl", "digests.hashdeep"} <= set(names)


def test_the_document_has_the_keys_of_the_contract() -> None:
    text = as_json(sample_report())
    assert text.isascii()
    document = json.loads(text)
    assert list(document) == KEYS
    assert document["schema"] == "triage-report/1"
    first = document["findings"][0]
    assert set(first) == FINDING_KEYS
    assert next(iter(first)) == "id"
    assert set(first["where"]) == {"volume", "path", "other_paths", "stream", "mft_entry", "offset_bytes"}
    assert {"md5", "sha256"} <= set(first["digests"])
    assert document["findings"][3]["where"]["path"] == HOSTILE
    assert document["verdict"]["stage"] == 4
    assert document["verdict"]["outcome"] == "indicators-found"
    assert document["coverage"]["streams_by_state"] == {"read": 98449, "partial": 1, "reparse-point": 1}
    assert document["evidence"][0]["write_proof"]["unchanged"] is True


@pytest.mark.parametrize("stage", [None, *Stage])
def test_a_document_is_read_back_whole(tmp_path: Path, stage: Stage | None) -> None:
    report = sample_report(stage=stage)
    (tmp_path / "report.json").write_text(as_json(report))
    again = load_report(tmp_path / "report.json")
    assert again == report
    assert again.verdict.stage is stage
    assert as_json(again) == as_json(report)
    assert json.loads(as_json(report))["verdict"]["stage"] == stage


def test_a_report_with_nothing_in_it_is_read_back(tmp_path: Path) -> None:
    report = msgspec.structs.replace(
        sample_report(findings=(), outcome=Outcome.INCONCLUSIVE, stage=None), gaps=(), volumes=(), rescue=None
    )
    (tmp_path / "report.json").write_text(as_json(report))
    assert load_report(tmp_path / "report.json") == report


@given(text=ONE_CHARACTER_NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_survives(tmp_path: Path, text: str) -> None:
    found = (finding(1, FindingKind.NAME, text),)
    (tmp_path / "report.json").write_text(as_json(sample_report(findings=found)))
    assert load_report(tmp_path / "report.json").findings == found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a report"),
        (b"{}", "is not a report"),
        (b"\xff\xfe", "is not a report"),
        (b"[" * 100_000, "is not a report"),
        (b'{"schema": "triage-report/2"}', "schema is 'triage-report/2'"),
    ],
)
def test_what_is_no_report_is_told_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(ReportError, match=message) as raised:
        load_report(tmp_path / "report.json")
    assert "\n" not in str(raised.value)
    with pytest.raises(ReportError, match="cannot read"):
        load_report(tmp_path / "missing.json")


def test_findings_are_written_one_by_one() -> None:
    """What is held back never grows with the findings: each goes out before the next is asked for."""

    class Watched(io.StringIO):
        longest = 0

        def write(self, text: str) -> int:
            self.longest = max(self.longest, len(text))
            return super().write(text)

    out = Watched()
    write_document(sample_report(findings=sample_findings(5000)), out)
    assert out.longest < 3000
    assert len(json.loads(out.getvalue())["findings"]) == 5004


def test_findings_jsonl_has_the_findings_of_the_document(case: Path) -> None:
    lines = (case / "findings.jsonl").read_text(encoding="ascii").splitlines()
    document = json.loads((case / "report.json").read_text(encoding="ascii"))
    assert [json.loads(line) for line in lines] == document["findings"]
    assert lines[0] == json_line(sample_report().findings[0])


def test_hashdeep_form(case: Path) -> None:
    lines = (case / "digests.hashdeep").read_text(encoding="utf-8").split("\n")
    assert lines[:2] == ["%%%% HASHDEEP-1.0", "%%%% size,md5,sha256,filename"]
    rows = [line.split(",", 3) for line in lines if line and not line.startswith(("%", "##"))]
    assert [unescape_line(row[3]) for row in rows] == [stream.name for stream in sample_digests()]
    assert [int(row[0]) for row in rows] == [stream.size_bytes for stream in sample_digests()]
    assert lines[-1] == ""


def test_a_stream_without_digests_is_no_line(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no MD5 and SHA-256"):
        write_case(tmp_path, contents(sample_report(), [StreamDigest(size_bytes=0, digests=Digests(), name="v1/x")]))
    assert not (tmp_path / "digests.hashdeep").exists()


@needs_tool("hashdeep")
def test_hashdeep_accepts_the_list(tmp_path: Path) -> None:
    """The real program audits the files against our list, and finds the one that was changed."""
    names = ["v2/a.txt", "v2/报告, 最终.docx", "v2/sub/c d.bin"]
    (tmp_path / "tree/v2/sub").mkdir(parents=True)
    for name in names:
        (tmp_path / "tree" / name).write_bytes(name.encode())
    streams = [stream_of(tmp_path / "tree", name) for name in names]
    write_case(tmp_path, contents(sample_report(findings=()), streams))
    command = ["hashdeep", "-a", "-vv", "-l", "-r", "-k", str(tmp_path / "digests.hashdeep"), "v2"]
    good = subprocess.run(command, cwd=tmp_path / "tree", capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Audit passed" in good.stdout
    (tmp_path / "tree/v2/a.txt").write_bytes(b"other")
    bad = subprocess.run(command, cwd=tmp_path / "tree", capture_output=True, text=True, check=False)
    assert "Audit failed" in bad.stdout


def stream_of(root: Path, name: str) -> StreamDigest:
    """Return the digests of a file by the stock programs."""

    def digest(program: str) -> str:
        done = subprocess.run([program, "--", name], cwd=root, check=True, capture_output=True, text=True)
        return done.stdout.split()[0].lstrip("\\")

    digests = Digests(md5=digest("md5sum"), sha256=digest("sha256sum"))
    return StreamDigest(size_bytes=(root / name).stat().st_size, digests=digests, name=name)


def test_groups_are_worst_first_and_count_what_they_leave_out() -> None:
    groups = group_findings(sample_findings(230))
    assert [group.kind for group in groups] == [
        FindingKind.DIGEST, FindingKind.SERVICE, FindingKind.ENCRYPTED_FILE, FindingKind.RANSOM_NOTE, FindingKind.NAME,
    ]  # fmt: skip
    assert [group.count for group in groups] == [1, 1, 230, 1, 1]
    assert (len(groups[2].shown), groups[2].more) == (ROWS_SHOWN, 30)


def test_within_a_group_the_worst_comes_first() -> None:
    low, high = (finding(number, FindingKind.NAME, "x", Severity(level)) for number, level in ((1, "low"), (2, "high")))
    assert group_findings((low, high))[0].shown == (high, low)


def test_the_summary_commands_no_terminal() -> None:
    found = (finding(1, FindingKind.NAME, HOSTILE),)
    text = summary(sample_report(findings=found), "SHA256:abc", Path("/cases/1"))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[31m\\x0a<script>" in text
    assert text.splitlines()[0] == "INDICATORS FOUND: WANNACRY"
    assert "Stage: 4 of 5, encrypting (medium confidence: 2 signs speak for it, 1 is missing; stages 4 to 5" in text
    assert "\nSeveral infections (high confidence): key files lie in more than one folder\n" in text
    assert "  1. Do not boot this disk" in text
    assert "SHA256:abc" in text
    assert "/cases/1/report.html" in text


@pytest.mark.parametrize(
    ("outcome", "words"), [(Outcome.INCONCLUSIVE, "INCONCLUSIVE"), (Outcome.NO_KNOWN_INDICATORS, "NO KNOWN")]
)
def test_the_summary_without_findings(outcome: Outcome, words: str) -> None:
    report = msgspec.structs.replace(sample_report(findings=(), outcome=outcome, stage=None), rescue=None)
    text = summary(report, "", Path("case"))
    assert text.startswith(words)
    assert "clean" not in text.lower().replace("clean-up", "")
    assert "Stage: not known" in text


def test_the_summary_tells_what_to_keep_and_where_the_plan_is() -> None:
    report = sample_report()
    windows = msgspec.structs.replace(report.volumes[1].windows, hibernation_file=HibernationFile.HIBERNATED)  # type: ignore[type-var]
    step = CleanupStep(number=1, action=CleanupAction.CLOSE_HOLE)
    plan = CleanupPlan(sections=(CleanupSection(volume="v2", serial="9C3A-11F0", steps=(step,)),))
    volumes = (report.volumes[0], msgspec.structs.replace(report.volumes[1], windows=windows))
    text = summary(msgspec.structs.replace(report, volumes=volumes, cleanup=plan), "", Path("/cases/1"))
    assert "hiberfil.sys of v2: holds the memory of its moment: keep it" in text
    assert "/cases/1/cleanup.html" in text
    assert "cleanup.html" not in summary(report, "", Path("/cases/1"))


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")

    def stop_half_way() -> None:
        with durable_text(tmp_path / "file") as out:
            out.write("new")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stop_half_way()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cannot write"):
        write_case(tmp_path / "missing", contents(sample_report()))
    (tmp_path / "report.json").mkdir()
    with pytest.raises(ReportError, match="cannot write"):
        write_case(tmp_path, contents(sample_report()))


def test_digests_are_read_once(tmp_path: Path) -> None:
    read: list[str] = []

    def digests() -> Iterator[StreamDigest]:
        for stream in sample_digests():
            read.append(stream.name)
            yield stream

    write_case(tmp_path, contents(sample_report(), digests()))
    assert read == [stream.name for stream in sample_digests()]


def test_a_finding_is_one_line_whatever_is_in_it() -> None:
    found: Finding = finding(1, FindingKind.NAME, HOSTILE)
    assert len(json_line(found).splitlines()) == 1
