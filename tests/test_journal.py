"""The journal: what was added comes back, names no encoding holds too; torn lines are dropped, strange ones refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.model.entry import StreamForm, StreamState
from triage.model.errors import ReportError
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Gap, GapKind, Where
from triage.pipeline.journal import (
    FindingRecord,
    GapRecord,
    JournalWriter,
    Record,
    StreamRecord,
    drop_torn_line,
    read_journal,
)

any_text = st.text(st.characters(codec=None, categories=None), max_size=20)


def stream(name: str, number: int = 7) -> StreamRecord:
    return StreamRecord(
        volume="v1",
        mft_entry=number,
        stream=name,
        repeat=0,
        path=name,
        state=StreamState.READ,
        form=StreamForm.PLAIN,
        size_bytes=1,
        bytes_read=1,
        windowed=False,
        md5="a",
        sha256="b",
    )


def write(path: Path, records: list[Record]) -> None:
    journal = JournalWriter(path)
    for record in records:
        journal.add(record)
    journal.close()


@given(any_text)
def test_every_name_comes_back(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    where = Where(volume="v1", path=name, mft_entry=5)
    records: list[Record] = [
        stream(name),
        GapRecord(Gap(kind=GapKind.READ_ERROR, detail=name, where=where, bytes=3)),
        FindingRecord(
            Finding(
                family="wannacry",
                kind=FindingKind.NAME,
                indicator=name,
                set="s",
                severity=Severity.LOW,
                where=where,
                facts={"a": name},
            )
        ),
    ]
    write(path, records)
    assert list(read_journal(path)) == records
    assert path.read_bytes().isascii()


@given(st.integers(0, 400))
def test_a_torn_tail_costs_only_its_own_line(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    records: list[Record] = [stream("x" * 30, number) for number in range(4)]
    write(path, records)
    whole = path.read_bytes()
    torn = whole[: max(len(whole) - cut, 0)]
    path.write_bytes(torn)
    expected = records[: torn.count(b"\n")]
    assert list(read_journal(path)) == expected
    drop_torn_line(path)
    write(path, [stream("after")])
    assert list(read_journal(path)) == [*expected, stream("after")]


@pytest.mark.parametrize(
    "line", ["{}", "[]", '["stream"]', '["elsewhere",1]', "not json", '["gap",{"kind":"no-such"}]']
)
def test_a_line_that_is_no_record_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, [stream("a")])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ReportError, match="line 2"):
        list(read_journal(path))
