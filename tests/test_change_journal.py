"""The change journal of a volume: read behind its sparse start, told in the case; what it tells of vanished files."""

from __future__ import annotations

import csv
import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cases import Case, examine_here, run_case
from tests.lab.change_journal import (
    CLOSE,
    CREATE,
    DELETE,
    NEW_NAME,
    OLD_NAME,
    PAGE_BYTES,
    LabChange,
    add_journal,
    journal,
)
from tests.lab.mounts import mount_for_writing
from tests.loops import run, sparse
from tests.mft_editor import MftEditor, attributes, runs
from tests.needs import data_path, needs_data, needs_device, needs_root, needs_tool
from tests.real_images import IMAGES, make_raw
from triage.model.change import Change, reason_names
from triage.model.deleted import DeletedStream, Recoverability
from triage.model.errors import ExitCode
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import GapKind
from triage.model.verdict import Outcome, Stage
from triage.pipeline.rows import RowKind, read_rows

_MIB = 1 << 20
_START = 64 * _MIB
_FIRST_TIME = 131390502650000000
_NEEDS = (needs_root(), needs_tool("mkntfs", "ntfs-3g"), needs_device("/dev/fuse"))


def _needs_volume(test: Callable[..., None]) -> Callable[..., None]:
    for mark in _NEEDS:
        test = mark(test)
    return test


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume with a directory of two files, one of them deleted, on which no journal is yet."""
    path = sparse(tmp_path / "volume.img", 16 * _MIB)
    run("mkntfs", "-F", "-Q", "-q", "-c", "4096", path)
    with mount_for_writing(path) as folder:
        (folder / "Projects").mkdir()
        (folder / "Projects" / "here.docx").write_bytes(b"A" * 5000)
        for name in ("the journal takes its record", "7.WNCRYT"):
            (folder / name).write_bytes(b"B" * 5000)
        for name in ("the journal takes its record", "7.WNCRYT"):
            (folder / name).unlink()
    return path


def _reference(volume: Path, name: str) -> tuple[int, int]:
    """Return entry and sequence number of the record that holds a name."""
    editor = MftEditor(volume)
    wanted = name.encode("utf-16-le")
    entry = next(number for number in range(24, editor.records) if wanted in editor.raw(number))
    return entry, int.from_bytes(editor.raw(entry)[16:18], "little")


def _rename(old: str, new: str, file: tuple[int, int], parent: tuple[int, int], number: int) -> list[LabChange]:
    """Return what NTFS notes of a rename: the old name, the new one, and that it was closed."""
    reasons = ((old, OLD_NAME), (new, NEW_NAME), (new, NEW_NAME | CLOSE))
    time = _FIRST_TIME + number * 10_000_000
    return [LabChange(name=name, file=file, parent=parent, reason=reason, time=time) for name, reason in reasons]


def _changes(case: Case) -> list[Change]:
    return list(read_rows(case.folder, RowKind.CHANGES, Change))


def _journal_findings(case: Case) -> dict[str, Finding]:
    return {one.indicator: one for one in case.findings(FindingKind.JOURNAL)}


@_needs_volume
def test_a_journal_behind_its_sparse_start_is_told_record_by_record(volume: Path, tmp_path: Path) -> None:
    projects = _reference(volume, "Projects")
    here = _reference(volume, "here.docx")
    written = [
        LabChange(name="here.docx", file=here, parent=projects, reason=CREATE | CLOSE, source=1, attributes=0x2020),
        LabChange(name="=1+1\nx \ud800.txt", file=(999, 3), parent=(998, 2), version=3, reason=DELETE | CLOSE),
        LabChange(file=here, parent=projects, version=4, reason=2, time=0, attributes=0, extents=((0, 4096),)),
        *(LabChange(name=f"file {number}.txt", file=(500 + number, 1), parent=projects) for number in range(200)),
    ]
    data = journal(written, _START)
    add_journal(volume, data, _START)
    case = run_case([volume], tmp_path / "case", rescue=False)
    told = _changes(case)
    assert [(one.name, one.version, one.reason, one.time) for one in told] == [
        (one.name, one.version, one.reason, one.time) for one in written
    ]
    assert [one.usn for one in told][:1] == [_START]
    assert told[-1].usn < _START + len(data)
    (summary,) = case.report.journals
    assert (summary.records, summary.damaged_bytes) == (203, 0)
    assert summary.records_by_version == {"2": 201, "3": 1, "4": 1}
    assert (summary.first_utc, summary.last_utc) == (filetime_to_iso(_FIRST_TIME),) * 2
    assert case.gaps(GapKind.CHANGE_JOURNAL) == []
    assert case.findings(FindingKind.JOURNAL) == []
    assert case.exit_code is ExitCode.OK
    with (case.folder / "usn.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 203
    assert lines[0] == {
        "volume": "v1", "usn": str(_START), "time_utc": "2017-05-12T08:11:05.0000000Z",
        "reasons": "file-create|close", "name": "here.docx", "folder": "Projects", "mft_entry": str(here[0]),
        "sequence": str(here[1]), "parent_mft_entry": str(projects[0]), "parent_sequence": str(projects[1]),
        "file_id_high": "0", "parent_id_high": "0", "source": "data-management", "attributes": "0x2020", "version": "2",
    }  # fmt: skip
    assert (lines[1]["name"], lines[1]["folder"]) == ("%3D1+1%0Ax %ED%A0%80.txt", "$OrphanFiles/998-2")
    assert (lines[2]["name"], lines[2]["time_utc"], lines[2]["version"]) == ("", "", "4")
    html = (case.folder / "report.html").read_text()
    assert "203 changes noted in the change journal" in html


@_needs_volume
def test_a_clock_that_was_set_back_shows_in_the_order_of_the_records(volume: Path, tmp_path: Path) -> None:
    second = 10_000_000
    times = [_FIRST_TIME, _FIRST_TIME + 9000 * second, 0, _FIRST_TIME + 1800 * second, _FIRST_TIME + 3600 * second]
    add_journal(volume, journal([LabChange(name="a", time=time) for time in times], _START), _START)
    case = run_case([volume], tmp_path / "case", rescue=False)
    assert case.report.journals[0].set_back_seconds == 7200
    (doubt,) = case.report.timeline.doubts
    assert doubt.values == {"volume": "v1", "trace": "$UsnJrnl", "seconds": "7200"}


@_needs_volume
def test_renames_of_the_encryptor_prove_it_though_its_files_are_gone(volume: Path, tmp_path: Path) -> None:
    projects = _reference(volume, "Projects")
    changes = [
        change
        for number in range(30)
        for change in _rename(f"a{number}.doc.WNCRYT", f"a{number}.doc.WNCRY", (900 + number, 1), projects, number)
    ]
    changes += _rename("big.iso", "big.iso.WNCYR", (950, 1), projects, 50)
    changes += _rename("huge.iso.WNCRYT", "huge.iso.WNCYR", (952, 1), projects, 51)
    changes += _rename("plan.xlsx", "12.WNCRYT", (951, 1), projects, 60)
    add_journal(volume, journal(changes, _START), _START)
    case = examine_here(volume, tmp_path / "case")
    found = _journal_findings(case)
    assert {one.indicator: (one.severity, one.facts["renames"]) for one in found.values()} == {
        "encrypted-rename": (Severity.HIGH, "30"),
        "prepared-rename": (Severity.MEDIUM, "2"),
        "moved-original-rename": (Severity.MEDIUM, "1"),
    }
    encrypted = found["encrypted-rename"]
    assert encrypted.times["journal_first"] == filetime_to_iso(_FIRST_TIME)
    assert encrypted.times["journal_last"] == filetime_to_iso(_FIRST_TIME + 29 * 10_000_000)
    assert encrypted.excerpt == "a0.doc.WNCRYT → a0.doc.WNCRY"
    assert (encrypted.where.path, encrypted.where.stream) == ("$Extend/$UsnJrnl", "$J")
    assert encrypted.where.offset_bytes is not None
    verdict = case.report.verdict
    assert (verdict.outcome, verdict.stage) == (Outcome.INDICATORS_FOUND, Stage.ENCRYPTING)


@_needs_volume
def test_other_renames_to_such_endings_prove_nothing(volume: Path, tmp_path: Path) -> None:
    root = (5, 5)
    changes = _rename("minutes.docx", "minutes.docx.WNCRY", (900, 1), root, 0)
    changes += [LabChange(name="alone.doc.WNCRY", file=(901, 1), parent=root, reason=NEW_NAME | CLOSE)]
    changes += _rename("7.WNCRYT", "8.WNCRYT", (902, 1), root, 1)
    changes += _rename("letter.doc", "letter.old", (903, 1), root, 2)
    add_journal(volume, journal(changes, 0), 0)
    case = examine_here(volume, tmp_path / "case")
    (found,) = case.findings(FindingKind.JOURNAL)
    assert (found.indicator, found.severity, found.facts["renames"]) == ("ending-rename", Severity.LOW, "2")
    assert case.report.verdict.outcome is Outcome.NO_KNOWN_INDICATORS


@_needs_volume
def test_names_that_no_record_has_any_more_come_from_the_journal(volume: Path, tmp_path: Path) -> None:
    projects, (moved, moved_now) = _reference(volume, "Projects"), _reference(volume, "7.WNCRYT")
    here, here_now = _reference(volume, "here.docx")
    gone_folder = (here, here_now - 1) if here_now > 1 else (700, 4)
    changes = [
        *_rename("budget.xlsx", "7.WNCRYT", (moved, moved_now - 1), projects, 0),
        LabChange(name="7.WNCRYT", file=(moved, moved_now - 1), reason=DELETE | CLOSE, time=_FIRST_TIME + 7),
        LabChange(name="old", file=gone_folder, parent=projects, attributes=0x10, reason=DELETE | CLOSE),
        LabChange(name="draft.docx", file=(here, here_now + 5), parent=gone_folder, reason=DELETE | CLOSE),
        LabChange(name="loop", file=(800, 1), parent=(801, 1), attributes=0x10),
        LabChange(name="loop too", file=(801, 1), parent=(800, 1), attributes=0x10),
        LabChange(name="here.docx", file=(here, here_now), parent=projects),
    ]
    add_journal(volume, journal(changes, _START), _START)
    case = run_case([volume], tmp_path / "case", rescue=False)
    rows = list(read_rows(case.folder, RowKind.DELETED, DeletedStream))
    (original,) = [one for one in rows if one.mft_entry == moved and one.stream == ""]
    assert (original.path, original.former_path) == ("7.WNCRYT", "Projects/budget.xlsx")
    assert (original.document, original.deleted) == (True, _FIRST_TIME + 7)
    vanished = {one.path: one for one in rows if one.recoverability is Recoverability.NO_RECORD}
    assert {"Projects/old", "Projects/old/draft.docx"} <= set(vanished)
    assert vanished["Projects/old/draft.docx"].document
    assert vanished["Projects/old"].directory
    assert not vanished["Projects/old"].document
    assert "Projects/here.docx" not in vanished
    assert case.report.deleted is not None
    assert case.report.deleted[0].journal_only == len(vanished) == 4
    lines = map(json.loads, (case.folder / "deleted.jsonl").read_text().splitlines())
    line = next(one for one in lines if one["path"].endswith("draft.docx"))
    assert (line["recoverability"], line["deleted"]) == ("no-record", filetime_to_iso(_FIRST_TIME))


@_needs_volume
def test_damage_and_a_cut_run_list_are_gaps_that_leave_the_verdict_alone(volume: Path, tmp_path: Path) -> None:
    changes = [LabChange(name=f"file {number}.txt", file=(500 + number, 1)) for number in range(400)]
    data = bytearray(journal(changes, _START))
    data[PAGE_BYTES + 96 : PAGE_BYTES + 128] = b"\xff" * 32
    data[3 * PAGE_BYTES : 3 * PAGE_BYTES + 8] = b"\xff" * 8
    add_journal(volume, bytes(data), _START)
    case = examine_here(volume, tmp_path / "case")
    lost = {f"file {number}.txt" for number in range(400)} - {one.name for one in _changes(case)}
    assert 2 <= len(lost) <= 3
    (gap,) = case.gaps(GapKind.CHANGE_JOURNAL)
    assert (gap.material, gap.where.stream) == (False, "$J")
    assert gap.where.offset_bytes is not None
    assert _START + PAGE_BYTES <= gap.where.offset_bytes <= _START + PAGE_BYTES + 96
    assert gap.bytes == case.report.journals[0].damaged_bytes >= 96
    assert "places of the change journal that hold no record: 2" in gap.detail
    assert case.report.verdict.outcome is Outcome.NO_KNOWN_INDICATORS


@_needs_volume
def test_a_journal_behind_the_end_of_its_run_list_is_a_gap(volume: Path, tmp_path: Path) -> None:
    """What is left of the list is the hole before the records."""
    add_journal(volume, journal([LabChange(name="lost.txt")], _START), _START)
    editor, entry = MftEditor(volume), _reference(volume, "$UsnJrnl")[0]
    record = editor.record(entry)
    stream = next(one for one in attributes(record) if one.name == "$J")
    place = stream.offset + stream.field(record, 0x20, "<H")
    record[place + 1 + (record[place] & 15) + (record[place] >> 4)] = 0
    editor.put(entry, record)
    case = examine_here(volume, tmp_path / "case")
    (gap,) = case.gaps(GapKind.CHANGE_JOURNAL)
    assert "cut short" in gap.detail
    assert (gap.where.stream, gap.where.offset_bytes) == ("$J", _START)
    assert gap.bytes is not None
    assert gap.bytes > 0


@_needs_volume
def test_a_record_may_lie_across_two_runs(tmp_path: Path) -> None:
    volume = sparse(tmp_path / "volume.img", 16 * _MIB)
    run("mkntfs", "-F", "-Q", "-q", "-c", "512", volume)
    changes = [LabChange(name=f"file {number}.txt", file=(500 + number, 1)) for number in range(200)]
    add_journal(volume, journal(changes, _START), _START)
    editor = MftEditor(volume)
    record = editor.record(_reference(volume, "$UsnJrnl")[0])
    stream = next(one for one in attributes(record) if one.name == "$J")
    (_hole, _clusters), (cluster, clusters) = runs(record, stream)
    hole, first, second = struct.pack("<BI", 0x04, _START // 512), (0x31, 11), (0x11, clusters - 11)
    pairs = hole + bytes(first) + cluster.to_bytes(3, "little") + bytes(second) + bytes([11, 0])
    place = stream.offset + stream.field(record, 0x20, "<H")
    assert place + len(pairs) <= stream.offset + stream.length
    record[place : place + len(pairs)] = pairs
    editor.put(_reference(volume, "$UsnJrnl")[0], record)
    case = examine_here(volume, tmp_path / "case")
    assert [one.name for one in _changes(case)] == [one.name for one in changes]
    assert case.gaps(GapKind.CHANGE_JOURNAL) == []


@_needs_volume
def test_a_short_journal_inside_its_record_is_read_too(volume: Path, tmp_path: Path) -> None:
    add_journal(volume, journal([LabChange(name="only.txt", file=(500, 1))]), 0)
    case = examine_here(volume, tmp_path / "case")
    assert [one.name for one in _changes(case)] == ["only.txt"]


@needs_data()
@needs_tool("xz", "qemu-img")
def test_the_journal_of_a_windows_volume(tmp_path: Path) -> None:
    (image,) = (one for one in IMAGES if one.tags == ("usnq",))
    case = examine_here(make_raw(image, tmp_path), tmp_path / "case")
    told = _changes(case)
    assert (len(told), told[0].name) == (19, "Nieuw - Tekstdocument.txt")
    assert case.report.journals[0].records == 19
    assert case.report.gaps == ()


def _flags(text: str) -> str:
    """Return fsutil's words for reasons, `0x00001000: Rename: old name`, as ours."""
    return text.partition(": ")[2].lower().replace(" | ", "|").replace(": ", " ").replace(" ", "-")


_FIELDS = re.compile(r"^(\w[\w ]*?) *: (.*)$", re.MULTILINE)


@needs_data()
@_needs_volume
def test_every_record_says_what_fsutil_says(volume: Path, tmp_path: Path) -> None:
    """Windows' own fsutil listed this journal a little earlier; where it grew is not compared."""
    data = data_path("msuhanov-dfir_ntfs/usnjrnlj.bin").read_bytes()
    shutil.copy(volume, tmp_path / "copy.img")
    add_journal(tmp_path / "copy.img", data, 0)
    ours = {one.usn: one for one in _changes(examine_here(tmp_path / "copy.img", tmp_path / "case"))}
    text = data_path("msuhanov-dfir_ntfs/usnjrnlj.fsutil.txt").read_text(encoding="utf-8-sig")
    blocks = [dict(_FIELDS.findall(block)) for block in re.split(r"^(?=Usn  )", text, flags=re.MULTILINE)[1:]]
    assert len(blocks) == 268
    for block in blocks:
        one = ours[int(block["Usn"])]
        assert one.name == block.get("File name", "")
        assert one.reason == int(block["Reason"].split(":")[0], 16)
        assert _flags(block["Reason"]) == reason_names(one.reason)
        assert one.file | one.file_high << 64 == int(block["File ID"], 16)
        assert one.parent | one.parent_high << 64 == int(block["Parent file ID"], 16)
        assert one.source == int(block["Source info"].split(":")[0], 16)
        if one.version != 4:
            assert one.attributes == int(block["File attributes"].split(":")[0], 16)
            moment = filetime_to_iso(one.time) or ""
            assert block["Time stamp"].endswith(moment[14:19])
