"""Side files of rows: whole or not at all, in order, checked line by line; room is kept for what is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases import run_case
from triage.demo import unpack_demo
from triage.model.change import Change
from triage.model.deleted import DeletedStream
from triage.model.errors import ReportError
from triage.pipeline import finish
from triage.pipeline.case_folder import CaseFolder
from triage.pipeline.gathered import Gathered, gather
from triage.pipeline.job import Job
from triage.pipeline.journal import JournalWriter, SessionRecord
from triage.pipeline.resume import first_session
from triage.pipeline.rows import ROWS_FOLDER, RowKind, drop_torn_rows, read_rows, rows_bytes, write_rows


def _change(number: int, volume: str = "v1") -> Change:
    return Change(
        volume=volume, name=f"名\ud800\n{number}", folder="", usn=number, time=1, version=2, file=1 << 63, file_high=0,
        parent=5, parent_high=0, reason=0x80000000, source=0, attributes=0x20,
    )  # fmt: skip


def test_rows_come_back_as_they_were_volume_by_volume(tmp_path: Path) -> None:
    for volume in ("v10", "v2", "v1"):
        write_rows(tmp_path, RowKind.CHANGES, volume, [_change(number, volume) for number in range(3)])
    expected = [_change(number, volume) for volume in ("v1", "v2", "v10") for number in range(3)]
    assert list(read_rows(tmp_path, RowKind.CHANGES, Change)) == expected
    assert list(read_rows(tmp_path, RowKind.DELETED, DeletedStream)) == []
    write_rows(tmp_path, RowKind.CHANGES, "v2", [])  # a resumed run says it anew
    assert {one.volume for one in read_rows(tmp_path, RowKind.CHANGES, Change)} == {"v1", "v10"}


def test_a_file_that_was_not_finished_is_no_file(tmp_path: Path) -> None:
    def cut_off() -> Iterator[Change]:
        yield _change(1)
        raise KeyboardInterrupt

    write_rows(tmp_path, RowKind.CHANGES, "v1", [_change(0)])
    with pytest.raises(KeyboardInterrupt):
        write_rows(tmp_path, RowKind.CHANGES, "v1", cut_off())
    assert list(read_rows(tmp_path, RowKind.CHANGES, Change)) == [_change(0)]
    torn = tmp_path / ROWS_FOLDER / ".changes-v2.jsonl.part"  # what a worker leaves that is killed
    torn.write_bytes(b"[")
    drop_torn_rows(tmp_path)
    assert not torn.exists()


@pytest.mark.parametrize(
    "line", [b"{}", b'["v1"]', b"\xff", b'["v1","n","f","not a number",1,2,3,4,5,6,7,8,9]', b"[" * 9999]
)
def test_what_is_no_row_is_refused_by_place(tmp_path: Path, line: bytes) -> None:
    write_rows(tmp_path, RowKind.CHANGES, "v1", [_change(0)])
    with (tmp_path / ROWS_FOLDER / "changes-v1.jsonl").open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(ReportError, match=r"changes-v1\.jsonl, line 2, is no row"):
        list(read_rows(tmp_path, RowKind.CHANGES, Change))


def test_room_is_kept_for_what_is_rendered_of_them(tmp_path: Path) -> None:
    case = CaseFolder.create(tmp_path / "case")
    case.reserve()
    (reserved,) = case.path.glob(".reserved*")
    before = reserved.stat().st_size
    write_rows(case.path, RowKind.CHANGES, "v1", [_change(number) for number in range(1000)])
    case.reserve()
    assert reserved.stat().st_size == before + 4 * rows_bytes(case.path) > before
    case.close()


def test_a_resumed_run_lists_deleted_entries_only_if_the_first_did(tmp_path: Path) -> None:
    job = Job(evidence=("/e.img",), case_folder=str(tmp_path), rescue_to=None, deleted=False)
    journal = JournalWriter(tmp_path / "journal.jsonl")
    journal.add(SessionRecord(case_id="", examiner="", notes="", started_utc="", command=(), job=job, evidence=()))
    journal.close()
    assert first_session(tmp_path, ()).job.deleted is False


def test_rows_of_a_worker_that_died_are_not_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = unpack_demo(tmp_path)

    def gather_beside_a_torn_file(journal: Path) -> Gathered:
        (journal.parent / ROWS_FOLDER / ".deleted-v2.jsonl.part").write_bytes(b"[")
        return gather(journal)

    monkeypatch.setattr(finish, "gather", gather_beside_a_torn_file)
    case = run_case([image], tmp_path / "case", rescue=False)
    sums = (case.folder / "SHA256SUMS").read_text()
    assert f"  {ROWS_FOLDER}/deleted-v1.jsonl\n" in sums
    assert ".part" not in sums
