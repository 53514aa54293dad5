"""The quick profile: reads what its tables say, lists the rest as excluded, and never reads like a full run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
from collections import Counter
from pathlib import Path

import pytest

from tests.cases import Case, entries_by_path, examine_here, run_case
from tests.command import Hook, here, report_of, said_in, triage
from tests.conftest import LabDisk
from tests.lab import wncry
from tests.lab.mounts import mount_for_writing, on_mount
from tests.lab.plan import Kind, sha256
from tests.lab.volume import make_volume
from tests.mft_editor import DATA, FILE_NAME, MftEditor, attributes
from tests.test_docs import method, rows_of
from tests.test_interrupt import stopped_by
from triage.demo import unpack_demo
from triage.evidence.open import open_evidence
from triage.model.entry import StreamState
from triage.model.errors import ExitCode
from triage.model.finding import FindingKind, Severity
from triage.model.gap import GapKind
from triage.model.profile import Profile
from triage.model.verdict import Outcome, Stage
from triage.pipeline import quick
from triage.pipeline.job import Job, LeftOut, Token
from triage.pipeline.ledger import HEADER_BYTES
from triage.report.verify import verify_case
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import DOS_NAMESPACE, read_mft
from triage.walk.paths import Paths
from triage.walk.streams import Streams

_INFECTED = [stage for stage in Stage if stage is not Stage.NONE]
_SAMPLE = 20
_DOCUMENTS = "Users/bob/Documents"
_LONG = b"\x90" * (3 * HEADER_BYTES)
_PROGRAMS_IN_PLACE = (
    "setup.exe", "Windows/explorer.exe", "Windows/System32/cmd.exe", "Windows/Temp/deep/down/a.scr",
    "ProgramData/maker/tool.bat", "Users/bob/Desktop/game.EXE", "Users/bob/AppData/Roaming/x/y.vbs",
    "$Recycle.Bin/S-1-5-21/gone.com", "elsewhere/abcdefghij123/odd.exe", "Users/bob/run.exe",
    "WinXP/tool.exe", "WinXP/system32/cmd.exe", "WinXP/Temp/deep/a.exe",
)  # fmt: skip
_NOT_IN_PLACE = (
    "Windows/System32/drivers/etc/c.exe", "Windows/System32/kernel.dll", "Program Files/app/app.exe",
    "Windows/servicing/more.exe", "Users/bob/Music/player.exe", "Other/tool.exe", "WinXP/servicing/more.exe",
)  # fmt: skip
_ORDERS = [f"{elsewhere} made {here}" for elsewhere in ("early", "late") for here in ("here", "there")]
_LINKED_PROGRAMS = {f"Windows/System32/{order}.exe": f"{order.split()[0]}/{order}.bin" for order in _ORDERS}
_LINKED_DOCUMENTS = {f"Users/bob/Documents/{order}.docx": f"{order.split()[0]}/{order}.docx" for order in _ORDERS}
_LINKED_HIVES = {f"{order}/system32/config/SYSTEM": f"{order.split()[0]}/{order}.hive" for order in _ORDERS}
_LINKED = _LINKED_PROGRAMS | _LINKED_DOCUMENTS | _LINKED_HIVES
_LINKED_TO_NO_USE = {f"Windows/System32/{order}.dat": f"{order.split()[0]}/{order}.exe" for order in _ORDERS}
_TOOLS_BESIDE_HIVES = [f"{order}/tool.exe" for order in _ORDERS]
_NAMED_STREAMS = {
    ("early/early made here.exe", "run.exe"): True,
    ("late/late made there.exe", "run.exe"): True,
    ("early/early made here.bin", "notes.txt"): False,  # of a program in its place
    ("early/early made here.docx", "run.exe"): False,
}


def _case(image: Path, folder: Path, **options: object) -> Case:
    return examine_here(image, folder, profile=Profile.QUICK, **options)


def _states(case: Case) -> dict[str, StreamState]:
    return {one.path: one.state for one in case.streams if not one.stream}


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory, lab_disk: LabDisk) -> Path:
    """A volume with programs in and out of their places, many documents in some folders, and a disguised program."""
    del lab_disk  # skips where a volume cannot be made
    image = tmp_path_factory.mktemp("quick") / "volume.img"
    make_volume(image, size_bytes=64 << 20, cluster_bytes=4096, offset_bytes=0, label="quick")
    with mount_for_writing(image) as root:
        files = dict.fromkeys((*_PROGRAMS_IN_PLACE, *_NOT_IN_PLACE), b"MZ" + _LONG)
        files |= {f"{_DOCUMENTS}/d{number % 7}/f{number:03}.docx": b"PK\x03\x04" + _LONG for number in range(100)}
        files |= {f"{_DOCUMENTS}/lost/l{number:03}.docx.WNCRY": _encrypted() for number in range(30)}
        files |= {f"{_DOCUMENTS}/short/s{number}.txt": b"short" for number in range(3)}
        for windows in ("WinXP", "Users"):  # the place of the hives makes any folder a Windows, and takes nothing away
            files[f"{windows}/system32/config/notes"] = b""
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
    return image


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory, lab_disk: LabDisk) -> Path:
    """A volume whose files have a second name elsewhere: before the one that counts and behind it, made first or last.

    NTFS sorts the names of a file by the record of their directory.
    """
    del lab_disk  # skips where a volume cannot be made
    image = tmp_path_factory.mktemp("linked") / "volume.img"
    make_volume(image, size_bytes=32 << 20, cluster_bytes=4096, offset_bytes=0, label="linked")
    with mount_for_writing(image) as root:
        (root / "early").mkdir()
        for name in (*_LINKED, *_LINKED_TO_NO_USE, *_TOOLS_BESIDE_HIVES):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "late").mkdir()
        for name in _TOOLS_BESIDE_HIVES:
            (root / name).write_bytes(b"MZ" + _LONG)
        for name, other in (_LINKED | _LINKED_TO_NO_USE).items():
            made, link = (name, other) if "made here" in name else (other, name)
            (root / made).write_bytes(name.encode() + _LONG)
            os.link(root / made, root / link)
        for path, stream in _NAMED_STREAMS:
            Path(os.fsdecode(on_mount(root, path, stream))).write_bytes(stream.encode() + _LONG)
        short = root / "Windows/System32/report.battle"
        short.write_bytes(_LONG)
        os.setxattr(short, "system.ntfs_dos_name", b"REPORT~1.BAT")
    return image


def _row_of(image: Path, path: str) -> int:
    """Return the row of a file's unnamed stream in the enumeration."""
    with open_evidence(str(image)) as source:
        ntfs = NtfsVolume(source, "v1")
        table = read_mft(ntfs)
        head = Streams(ntfs, table, Paths(table)).unnamed_head(entries_by_path(ntfs)[path])
    assert head is not None
    return head


def _entries(image: Path) -> dict[str, int]:
    with open_evidence(str(image)) as source:
        return entries_by_path(NtfsVolume(source, "v1"))


def _encrypted() -> bytes:
    return wncry.header(len(_LONG)) + _LONG


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the sample small."""
    monkeypatch.setattr(quick, "SAMPLE_STREAMS", _SAMPLE)


@pytest.mark.parametrize("stage", _INFECTED)
def test_every_stage_is_found_from_names_hives_and_programs_alone(
    lab_disk: LabDisk, tmp_path: Path, stage: Stage
) -> None:
    disk = lab_disk(stage)
    case = run_case([disk.image], tmp_path / "case", sets=[disk.indicators], profile=Profile.QUICK)
    assert (case.report.verdict.outcome, case.report.verdict.stage) == (Outcome.INDICATORS_FOUND, stage)
    assert case.exit_code is ExitCode.INDICATORS_FOUND
    assert case.report.case.profile is Profile.QUICK
    assert case.report.rescue is None
    by_digest = {one.where.path for one in case.findings(FindingKind.DIGEST)}
    assert by_digest == {one.path for one in disk.of_kind(Kind.STAND_IN)}
    assert verify_case(case.folder).ok


def test_a_healthy_disk_is_inconclusive_and_all_that_was_left_out_is_listed(lab_disk: LabDisk, tmp_path: Path) -> None:
    disk = lab_disk(Stage.NONE)
    case = run_case([disk.image], tmp_path / "case", profile=Profile.QUICK)
    assert (case.report.verdict.outcome, case.exit_code) == (Outcome.INCONCLUSIVE, ExitCode.INCONCLUSIVE)
    assert any("Run the full profile" in one for one in case.report.verdict.advice)
    (row,) = case.report.coverage.ledger
    assert row.balanced is True
    (gap,) = case.report.gaps
    assert (gap.kind, gap.material, gap.where.volume) == (GapKind.EXCLUDED, True, "v1")
    assert gap.detail.startswith(f"{row.streams_by_state['excluded']} streams")
    assert gap.bytes == row.bytes_by_state["excluded"]
    folders = [json.loads(line) for line in (case.folder / "excluded.jsonl").read_text().splitlines()]
    assert sum(one["streams"] for one in folders) == row.streams_by_state["excluded"]
    assert sum(one["bytes"] for one in folders) == gap.bytes
    listed = {one["folder"]: one["streams"] for one in folders}
    read = {(one.path, one.stream) for one in case.streams if one.state is not StreamState.EXCLUDED}
    whole = run_case([disk.image], tmp_path / "full", rescue=False)
    left_out = [one.path for one in whole.streams if (one.path, one.stream) not in read]
    assert listed == Counter(path.rpartition("/")[0] for path in left_out)
    assert (whole.folder / "excluded.jsonl").read_text() == ""


def test_a_quick_run_never_reads_like_a_full_one(lab_disk: LabDisk, tmp_path: Path) -> None:
    ran = triage("run", lab_disk(Stage.NONE).image, "--out", tmp_path / "case", "--profile", "quick")
    assert ran.code == 3
    assert "QUICK PROFILE: " in ran.out
    assert "Rescued: nothing, the quick profile copies no files" in ran.out
    said_in(tmp_path / "case", ["QUICK PROFILE: ", "The quick profile copies no files.", "left out by the profile"])


def test_programs_are_read_in_their_places_and_nowhere_else(volume: Path, tmp_path: Path, few: None) -> None:
    states = _states(_case(volume, tmp_path / "case"))
    assert {path: states.get(path) for path in _PROGRAMS_IN_PLACE} == dict.fromkeys(
        _PROGRAMS_IN_PLACE, StreamState.READ
    )
    assert set(_NOT_IN_PLACE) & set(states) <= {"Users/bob/Music/player.exe"}  # may be sampled


def test_any_name_in_a_place_makes_a_file_one_of_it(linked: Path, tmp_path: Path) -> None:
    entries, case = _entries(linked), _case(linked, tmp_path / "case")
    states = {one.mft_entry: one.state for one in case.streams if not one.stream}
    read = [*_LINKED_PROGRAMS, *_LINKED_HIVES, *_TOOLS_BESIDE_HIVES]
    assert {path: states.get(entries[path]) for path in read} == dict.fromkeys(read, StreamState.READ)
    left_out = [*_LINKED_TO_NO_USE, "Windows/System32/report.battle"]  # by its short name REPORT~1.BAT it is no program
    assert {path: states.get(entries[path]) for path in left_out} == dict.fromkeys(left_out)
    streams = {(one.mft_entry, one.stream) for one in case.streams if one.state is StreamState.READ}
    assert {key: (entries[key[0]], key[1]) in streams for key in _NAMED_STREAMS} == _NAMED_STREAMS
    first_names = {one.path for one in case.streams}
    for kind in (_LINKED_PROGRAMS, _LINKED_HIVES):  # each was met with either name first
        assert {name in first_names for name in kind} == {True, False}
        assert {other in first_names for other in kind.values()} == {True, False}


def test_a_document_is_a_users_by_any_of_its_names(linked: Path, tmp_path: Path) -> None:
    entries, case = _entries(linked), _case(linked, tmp_path / "case")
    found = {one.mft_entry: (one.state, one.bytes_read) for one in case.streams if not one.stream}
    header_read = StreamState.EXCLUDED, HEADER_BYTES
    assert {path: found.get(entries[path]) for path in _LINKED_DOCUMENTS} == dict.fromkeys(
        _LINKED_DOCUMENTS, header_read
    )
    assert {one.path.partition("/")[0] for one in case.streams if one.path.endswith(".docx")} == {"early", "Users"}


def test_a_file_with_several_names_is_left_out_once_in_the_folder_of_its_first(linked: Path, tmp_path: Path) -> None:
    case = run_case([linked], tmp_path / "case", profile=Profile.QUICK)
    whole = run_case([linked], tmp_path / "full", rescue=False)
    read = {(one.path, one.stream) for one in case.streams if one.state is not StreamState.EXCLUDED}
    left_out = [one for one in whole.streams if (one.path, one.stream) not in read]
    folders = [json.loads(line) for line in (case.folder / "excluded.jsonl").read_text().splitlines()]
    assert {one["folder"]: one["streams"] for one in folders} == Counter(
        one.path.rpartition("/")[0] for one in left_out
    )
    assert sum(one["bytes"] for one in folders) == sum(one.size_bytes for one in left_out)
    (row,) = case.report.coverage.ledger
    assert row.balanced is True
    assert row.streams_by_state["excluded"] == len(left_out)


def test_a_short_name_counts_where_it_is_the_only_one(volume: Path, tmp_path: Path) -> None:
    path = "Windows/System32/cmd.exe"
    copy = Path(shutil.copy(volume, tmp_path / "volume.img"))
    mft, entry = MftEditor(copy), _entries(copy)[path]
    record = mft.record(entry)
    (name,) = [one for one in attributes(record) if one.type == FILE_NAME]
    record[name.offset + name.field(record, 0x14, "<H") + 65] = DOS_NAMESPACE
    mft.put(entry, record)
    assert _states(_case(copy, tmp_path / "case"))[path] is StreamState.READ


def test_a_sampled_file_that_is_a_program_is_read_whole_whatever_its_name(volume: Path, tmp_path: Path) -> None:
    """Here the sample holds every user's file."""
    case = _case(volume, tmp_path / "case")
    assert _states(case)["Users/bob/Music/player.exe"] is StreamState.READ
    (one,) = [one for one in case.streams if one.path == "Users/bob/Music/player.exe"]
    assert one.sha256 != ""


def test_headers_are_sampled_over_all_folders_and_only_they_are_read(volume: Path, tmp_path: Path, few: None) -> None:
    case = _case(volume, tmp_path / "case")
    sampled = [one for one in case.streams if one.path.startswith(_DOCUMENTS) and one.state is StreamState.EXCLUDED]
    assert {one.bytes_read for one in sampled} == {HEADER_BYTES}
    documents = [one.path for one in sampled if one.path.endswith(".docx")]
    assert len(documents) <= _SAMPLE
    assert {path.rpartition("/")[0] for path in documents} == {f"{_DOCUMENTS}/d{number}" for number in range(7)}
    again = _case(volume, tmp_path / "again")
    assert {(one.path, one.state) for one in again.streams} == {(one.path, one.state) for one in case.streams}


def test_what_is_missing_behind_a_header_was_never_counted_as_read(volume: Path, tmp_path: Path) -> None:
    """A file that claims to be longer than its run list says."""
    path = f"{_DOCUMENTS}/d0/f000.docx"
    copy = Path(shutil.copy(volume, tmp_path / "volume.img"))
    entry = _entries(copy)[path]
    mft = MftEditor(copy)
    record = mft.record(entry)
    (data,) = [one for one in attributes(record) if one.type == DATA]
    struct.pack_into("<QQQ", record, data.offset + 0x28, *[1 << 20] * 3)
    mft.put(entry, record)
    (one,) = [one for one in _case(copy, tmp_path / "case").streams if one.path == path]
    assert (one.state, one.bytes_read) == (StreamState.EXCLUDED, HEADER_BYTES)


def test_a_file_no_longer_than_its_header_is_read_whole(volume: Path, tmp_path: Path) -> None:
    case = _case(volume, tmp_path / "case")
    short = [one for one in case.streams if one.path.startswith(f"{_DOCUMENTS}/short/")]
    assert {(one.state, one.sha256) for one in short} == {(StreamState.READ, sha256(b"short"))}
    assert len(short) == 3


def test_encrypted_files_are_told_by_header_and_beyond_the_sample_by_name(
    volume: Path, tmp_path: Path, few: None
) -> None:
    case = _case(volume, tmp_path / "case")
    by_header = {one.where.path for one in case.findings(FindingKind.ENCRYPTED_FILE) if one.severity is Severity.HIGH}
    assert len(by_header) == _SAMPLE
    lost = {f"{_DOCUMENTS}/lost/l{number:03}.docx.WNCRY" for number in range(30)}
    told = {one.where.path for one in case.report.findings if one.where.path in lost}
    assert told == lost
    assert case.report.verdict.stage is Stage.ENCRYPTING
    (row,) = case.report.coverage.ledger
    assert row.balanced is True


def test_a_header_that_kills_the_worker_is_left_out(volume: Path, tmp_path: Path) -> None:
    path = f"{_DOCUMENTS}/d3/f003.docx"
    case = _case(volume, tmp_path / "case", left_out=(LeftOut(Token(0, _row_of(volume, path)), "killed"),))
    assert _states(case)[path] is StreamState.WORKER_DIED
    assert [gap.where.path for gap in case.gaps(GapKind.WORKER_DIED)] == [path]
    (row,) = case.report.coverage.ledger
    assert row.balanced is True


def test_a_resumed_run_keeps_its_profile(tmp_path: Path) -> None:
    image, case = unpack_demo(tmp_path), tmp_path / "case"
    hook = Hook(folder=tmp_path, act="wait", at=5)
    stopped_by(signal.SIGINT, "run", image, "--out", case, "--profile", "quick", "--quiet", hook=hook)
    assert report_of(case).coverage.streams_by_state["interrupted"] > 0
    refused = here("run", "--resume", case, "--profile", "full")
    assert (refused.code, refused.error_line.startswith("--profile cannot be given with --resume")) == (2, True)
    assert triage("run", "--resume", case).code == 10
    report = report_of(case)
    assert report.case.profile is Profile.QUICK
    assert "interrupted" not in report.coverage.streams_by_state
    assert report.coverage.ledger[0].balanced is True
    undisturbed = tmp_path / "undisturbed"
    assert triage("run", image, "--out", undisturbed, "--profile", "quick").code == 10
    assert report.coverage == report_of(undisturbed).coverage
    assert (case / "excluded.jsonl").read_text() == (undisturbed / "excluded.jsonl").read_text()


def test_a_rescue_cannot_be_asked_of_the_quick_profile(tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    ran = here("run", image, "--out", tmp_path / "case", "--profile", "quick", "--rescue-to", tmp_path / "saved")
    assert ran.code == 2
    assert ran.error_line.startswith("--profile quick rescues no files")
    assert not (tmp_path / "case").exists()


def test_full_is_the_default() -> None:
    assert Job(evidence=(), case_folder="", rescue_to=None).profile is Profile.FULL


def test_the_places_and_programs_of_the_page_are_those_of_the_code() -> None:
    rows = rows_of(method(), "Place", "Subfolders too")
    below = {"yes": True, "no": False, "all but the home": True}
    assert {place: below[said] for place, said in rows} == {
        place: "/.*" in pattern for place, pattern in quick.PLACES.items()
    }
    assert f"({' '.join(quick.PROGRAM_EXTENSIONS)})" in method().replace("\n", " ")
    assert f"up to {quick.SAMPLE_STREAMS} users' files" in method()
    assert f"first {HEADER_BYTES} bytes" in method()
