"""`timeline.jsonl` and `timeline.body`: every event, in order; The Sleuth Kit's own program reads the bodyfile."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from urllib.parse import unquote

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import case_of
from tests.conftest import LabDisk
from tests.needs import needs_tool
from tests.sample_report import HOSTILE, sample_chronology, sample_report
from tests.test_timeline import EVENTS, FINDINGS
from triage.model.escape import unescape_line
from triage.model.event import Event, EventKind, EventSource
from triage.model.finding import Finding
from triage.model.gap import Where
from triage.model.timeline import MilestoneKind
from triage.model.verdict import Stage
from triage.report.interface import CaseContents
from triage.report.timeline_files import write_bodyfile, write_jsonl
from triage.report.verify import verify_case
from triage.verdict.chronology import Chronology

NASTY = HOSTILE + "|%7C|"
FIELDS = ("md5", "name", "inode", "mode", "uid", "gid", "size", "atime", "mtime", "ctime", "crtime")


def contents(events: Chronology) -> CaseContents:
    return CaseContents(report=sample_report(()), fingerprint="", events=events)


def body_of(events: Chronology) -> list[dict[str, str]]:
    out = io.StringIO()
    write_bodyfile(contents(events), out)
    assert out.getvalue().endswith("\n") or out.getvalue() == ""
    lines = out.getvalue().split("\n")[:-1]
    return [dict(zip(FIELDS, line.split("|"), strict=True)) for line in lines]


def mactime(body: Path) -> list[list[str]]:
    """Return the rows that `mactime` makes of a bodyfile: time, what it is, MFT entry, name."""
    told = subprocess.run(
        ["mactime", "-b", str(body), "-d", "-y", "-z", "UTC"], capture_output=True, check=True, timeout=60
    )
    assert told.stderr == b""
    rows = [line.split(",", 7) for line in told.stdout.decode().splitlines()[1:]]
    return [[row[0], row[2], row[6], row[7]] for row in rows]


@needs_tool("mactime")
def test_mactime_reads_every_line_with_its_time_and_letter(tmp_path: Path) -> None:
    chronology = sample_chronology(NASTY)
    body = tmp_path / "timeline.body"
    with body.open("w", encoding="utf-8") as out:
        write_bodyfile(contents(chronology), out)
    rows = mactime(body)
    assert len(rows) == len(list(chronology)) == 241
    dropped = next(row for row in rows if "tasksche.exe" in row[3])
    assert dropped[:3] == ["2017-05-12T07:12:31Z", "...b", "1002"]
    assert {row[1] for row in rows if "file-encrypted" in row[3]} == {"..c."}
    assert {row[1] for row in rows if "shadows-deleted" in row[3]} == {"m..."}
    assert all(row[0].startswith("2017-05-12T07:") for row in rows)
    path = unescape_line(dropped[3].strip('"').partition("] ")[2])
    assert path == f"v2/ProgramData/qeriuwjhrf123/tasksche.exe{NASTY}"


@given(st.lists(FINDINGS, max_size=8), st.lists(EVENTS, max_size=8))
def test_any_event_is_one_line_of_eleven_fields_that_gives_its_name_back(
    findings: list[Finding], events: list[Event]
) -> None:
    chronology = Chronology(findings, events)
    lines = body_of(chronology)
    assert len(lines) == len(list(chronology))
    for event, line in zip(chronology, lines, strict=True):
        times = [line[name] for name in FIELDS[7:]]
        assert sum(time != "-1" for time in times) <= 1
        name = unescape_line(unquote(line["name"]))
        assert event.what in name
        assert (event.where.path or "") in name


def test_a_time_of_before_1970_is_kept_as_it_is() -> None:
    early = Event(
        time_utc="1969-12-31T23:59:58.5000000Z", kind=EventKind.SYSTEM_STARTED, source=EventSource.EVENT_LOG, what="pc",
        where=Where(),
    )  # fmt: skip
    (line,) = body_of(Chronology([], [early]))
    assert line["mtime"] == "-2"


def test_each_line_of_the_json_is_an_event_as_the_report_has_it() -> None:
    chronology = sample_chronology(NASTY)
    out = io.StringIO()
    write_jsonl(contents(chronology), out)
    assert out.getvalue().isascii()
    lines = out.getvalue().splitlines()
    assert [msgspec.convert(json.loads(line), Event) for line in lines] == list(chronology)


def test_the_timeline_of_a_case_goes_from_drop_to_last_file_and_is_sealed(lab_disk: LabDisk) -> None:
    case = case_of(lab_disk(Stage.FINISHED))
    timeline = case.report.timeline
    times = {one.kind: one.event.time_utc for one in timeline.milestones}
    steps = (
        MilestoneKind.DROPPED,
        MilestoneKind.SERVICE_INSTALLED,
        MilestoneKind.FIRST_FILE_ENCRYPTED,
        MilestoneKind.LAST_FILE_ENCRYPTED,
    )
    order = [times[kind] for kind in steps]
    assert order == sorted(set(order))
    lines = (case.folder / "timeline.jsonl").read_text("ascii").splitlines()
    assert len(lines) == sum(timeline.by_kind.values()) == len(timeline.events) + timeline.not_listed
    assert [json.loads(line)["time_utc"] for line in lines] == sorted(json.loads(line)["time_utc"] for line in lines)
    assert len((case.folder / "timeline.body").read_text("utf-8").splitlines()) == len(lines)
    assert {"timeline.jsonl", "timeline.body"} <= {
        line.split("  ", 1)[1] for line in (case.folder / "SHA256SUMS").read_text().splitlines()
    }
    assert verify_case(case.folder).problems == ()
    assert timeline.encryption is not None
    assert timeline.golden_hours is not None
