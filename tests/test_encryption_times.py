"""When files were encrypted: by the journal, by `$FILE_NAME`, by the record's last change; and what else dates it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyfsntfs
import pytest

from tests.cases import case_of, examine_here, run_case
from tests.conftest import LabDisk
from tests.lab import infection
from tests.lab.change_journal import CLOSE, CREATE, DELETE, NEW_NAME, OLD_NAME, LabChange, add_journal, journal
from tests.lab.disk import plan_files
from tests.lab.hives import HIVE_TOOL, system_hive
from tests.lab.mounts import mount_for_writing
from tests.lab.plan import Kind, LabFile
from tests.lab.volume import fill_volume, make_volume
from tests.lab.wncry import encrypted, make_test_key
from tests.mft_editor import MftEditor
from tests.needs import needs_device, needs_root, needs_tool
from triage.examiners.batches import encryption_started
from triage.examiners.dating import dated
from triage.model.filetime import filetime_to_iso
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where
from triage.model.verdict import Stage

_NEEDS = (needs_root(), needs_tool("mkntfs", "ntfs-3g", HIVE_TOOL), needs_device("/dev/fuse"))
EARLY, LATE, LAST = (f"2017-05-12T07:3{minute}:00.0000000Z" for minute in (1, 2, 3))
ORIGINAL = "2016-01-01T00:00:00.0000000Z"


def _needs_volume(test: Callable[..., None]) -> Callable[..., None]:
    for mark in _NEEDS:
        test = mark(test)
    return test


def planned(lab_disk: LabDisk, stage: Stage, *kinds: Kind) -> list[LabFile]:
    disk = lab_disk(stage)
    return [file for file in plan_files(disk.spec, disk.key) if file.kind in kinds and not file.deleted]


@pytest.mark.parametrize("stage", [Stage.ENCRYPTING, Stage.FINISHED])
def test_the_lab_copies_times_as_the_encryptor_does(lab_disk: LabDisk, stage: Stage) -> None:
    disk = lab_disk(stage)
    volume = pyfsntfs.volume()
    with disk.image.open("rb") as image:
        image.seek(disk.volume_offset_bytes)
        (disk.image.parent / f"{stage}.volume").write_bytes(image.read(disk.volume_bytes))
    volume.open(str(disk.image.parent / f"{stage}.volume"))
    try:
        for file in planned(lab_disk, stage, Kind.ENCRYPTED):
            entry = volume.get_file_entry_by_path("\\" + file.path.replace("/", "\\"))
            assert entry.get_creation_time_as_integer() == file.filetime
            assert entry.get_entry_modification_time_as_integer() == file.changed
            of_names = [one for one in entry.attributes if one.attribute_type == 0x30]
            names = [one for one in of_names if isinstance(one, pyfsntfs.file_name_attribute)]
            assert len(names) >= 1
            assert {one.get_creation_time_as_integer() for one in names} == {file.named}
    finally:
        volume.close()


@pytest.mark.parametrize("stage", [Stage.ENCRYPTING, Stage.FINISHED])
def test_each_encrypted_file_of_the_lab_is_dated(lab_disk: LabDisk, stage: Stage) -> None:
    case = case_of(lab_disk(stage))
    found = {one.where.path: one for one in case.findings(FindingKind.ENCRYPTED_FILE)}
    files = planned(lab_disk, stage, Kind.ENCRYPTED, Kind.PREPARED)
    for file in files:
        finding = found[file.path]
        assert finding.times["encrypted"] == filetime_to_iso(file.named), file.path
        assert finding.times["si_created"] == filetime_to_iso(file.filetime)
        assert finding.facts["encrypted_from"] == "fn-created"
    moments = sorted(file.named for file in files)
    steps = {after - before for before, after in pairwise(moments)}
    assert steps == {infection.FILE_SECONDS * 10_000_000}
    assert moments[0] > infection.STARTED


def test_components_carry_the_archives_times_and_keys_their_own(lab_disk: LabDisk) -> None:
    case = case_of(lab_disk(Stage.ENCRYPTING))
    by_path = {(one.where.path or "").rpartition("/")[2]: one for one in case.findings(FindingKind.NAME)}
    assert by_path["taskdl.exe"].facts["si_before_fn"] == "yes"
    assert by_path["mssecsvc.exe"].facts["si_before_fn"] == "no"
    digests = {(one.where.path or "").rpartition("/")[2]: one for one in case.findings(FindingKind.DIGEST)}
    assert digests["taskse.exe"].facts["si_before_fn"] == "yes"
    keys = {(one.where.path or "").rpartition("/")[2]: one.times for one in case.findings(FindingKind.KEY_FILE)}
    made = filetime_to_iso(infection.STARTED - 50_000_000)
    assert (keys["00000000.pky"]["key_made"], keys["00000000.eky"]["key_made"]) == (made, made)
    assert keys["00000000.res"]["state_made"] == made
    assert keys["00000000.res"]["state_written"] == "2017-05-12T08:11:05.0000000Z"
    assert "key_made" not in keys["00000000.res"]


def test_the_deleted_batch_file_says_when_it_began(lab_disk: LabDisk) -> None:
    findings = case_of(lab_disk(Stage.ENCRYPTING)).findings(FindingKind.NAME)
    [batch] = [one for one in findings if one.indicator == "shortcut-batch-in-work-directory"]
    assert batch.deleted
    assert batch.times["encryption_started"] == filetime_to_iso(infection.STARTED)


# --- which time is taken ---


def finding(kind: FindingKind = FindingKind.ENCRYPTED_FILE, **facts: str) -> Finding:
    return Finding(
        family="wannacry", kind=kind, indicator="x", set="s", severity=Severity.HIGH, where=Where(), facts=facts
    )


@pytest.mark.parametrize(
    ("times", "renamed", "expected"),
    [
        ({"si_created": ORIGINAL, "si_changed": LATE, "fn_created": EARLY}, LAST, (LAST, "journal-rename")),
        ({"si_created": ORIGINAL, "si_changed": LATE, "fn_created": EARLY}, None, (EARLY, "fn-created")),
        ({"si_created": ORIGINAL, "si_changed": LATE, "fn_created": ORIGINAL}, None, (LATE, "si-changed")),
        ({"si_created": LATE, "si_changed": LAST, "fn_created": EARLY}, None, (LAST, "si-changed")),
        ({"si_created": ORIGINAL, "si_changed": LATE}, None, (LATE, "si-changed")),
        ({"fn_created": EARLY}, None, None),
        ({}, None, None),
    ],
)
def test_the_best_time_is_taken(times: dict[str, str], renamed: str | None, expected: tuple[str, str] | None) -> None:
    ticks = None if renamed is None else infection.STARTED + 90 * 10_000_000
    told = dated(finding(), times, ticks)
    assert told.times.items() >= times.items()
    if expected is None:
        assert ("encrypted" in told.times, "encrypted_from" in told.facts) == (False, False)
        return
    assert (told.times["encrypted"], told.facts["encrypted_from"]) == expected
    assert ("encrypted_doubt" in told.facts) is (expected[1] != "journal-rename")


def test_the_malwares_own_container_was_not_encrypted_here() -> None:
    told = dated(finding(role="malware-component"), {"si_changed": LATE, "fn_created": EARLY})
    assert "encrypted" not in told.times


@_needs_volume
@pytest.mark.parametrize("deleted", [False, True])
def test_the_computed_directory_is_found_wherever_it_lies_or_lay(tmp_path: Path, deleted: bool) -> None:
    volume = tmp_path / "volume.img"
    make_volume(volume, size_bytes=16 << 20, cluster_bytes=4096, offset_bytes=0, label="lab")
    with mount_for_writing(volume) as folder:
        config, directory = folder / "Windows" / "System32" / "config", folder / "data" / "xjzilhxs261"
        config.mkdir(parents=True)
        system_hive(config / "SYSTEM", computer_name="WIN7-PC", services=())
        directory.mkdir(parents=True)
        if deleted:
            directory.rmdir()
    [found] = examine_here(volume, tmp_path / "case").findings(FindingKind.WORK_DIRECTORY)
    assert (found.indicator, found.severity) == ("work-directory-computed", Severity.HIGH)
    assert (found.where.path, found.deleted) == ("data/xjzilhxs261", deleted)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("131181494574290.bat", "2017-05-12T07:31:30.0000000Z"),
        ("4501705282403.BAT", "2024-01-15T01:33:23.0000000Z"),
        ("327671494574290.bat", "2017-05-12T07:31:30.0000000Z"),
        ("327681494574290.bat", None),
        ("1494574290.bat", None),
        ("131181494574290.cmd", None),
        ("٣31181494574290.bat", None),
    ],
)
def test_the_epoch_in_a_batch_files_name(name: str, expected: str | None) -> None:
    assert encryption_started(name) == expected


# --- with a change journal ---


def rename(name: str, to: str, file: tuple[int, int], time: int) -> list[LabChange]:
    return [
        LabChange(name=name, file=file, reason=OLD_NAME, time=time),
        LabChange(name=to, file=file, reason=NEW_NAME, time=time),
        LabChange(name=to, file=file, reason=NEW_NAME | CLOSE, time=time),
    ]


def reference(volume: Path, name: str) -> tuple[int, int]:
    editor = MftEditor(volume)
    wanted = name.encode("utf-16-le")
    entry = next(number for number in range(24, editor.records) if wanted in editor.raw(number))
    return entry, int.from_bytes(editor.raw(entry)[16:18], "little")


@_needs_volume
def test_the_journal_dates_a_file_and_names_a_batch_that_left_no_record(tmp_path: Path) -> None:
    volume = tmp_path / "volume.img"
    make_volume(volume, size_bytes=16 << 20, cluster_bytes=4096, offset_bytes=0, label="lab")
    content = encrypted(b"A" * 5000, make_test_key())
    paths = ("a.docx.WNCRY", "b.docx.WNCRY", "ProgramData/xjzilhxs261/t.wnry")
    fill_volume(volume, [LabFile(path=path, content=content, kind=Kind.ENCRYPTED) for path in paths])
    first, work = reference(volume, paths[0]), reference(volume, "xjzilhxs261")
    batch = LabChange(name="131181494574290.bat", file=(900, 2), parent=work, reason=CREATE, time=infection.STARTED)
    elsewhere = LabChange(name="131181494574290.bat", file=(901, 2), reason=DELETE, time=infection.STARTED)
    changes = [
        batch,
        elsewhere,
        *rename("a.docx.WNCRYT", "a.docx.WNCRY", first, infection.STARTED + 70_000_000),
        *rename("b.docx.WNCRYT", "b.docx.WNCRY", (first[0] + 1, 77), infection.STARTED),
        LabChange(name="notes.bat", file=(902, 1), parent=work),
    ]
    add_journal(volume, journal(changes, 0), 0)
    case = run_case([volume], tmp_path / "case", rescue=False)
    found = {one.where.path: one for one in case.findings(FindingKind.ENCRYPTED_FILE)}
    dated_by = {path: one.facts.get("encrypted_from") for path, one in found.items()}
    assert dated_by == {paths[0]: "journal-rename", paths[1]: "si-changed", paths[2]: None}
    assert found[paths[0]].times["encrypted"] == filetime_to_iso(infection.STARTED + 70_000_000)
    batches = {one.excerpt: one for one in case.findings(FindingKind.JOURNAL) if "batch" in one.indicator}
    assert {path: one.severity for path, one in batches.items()} == {
        "ProgramData/xjzilhxs261/131181494574290.bat": Severity.HIGH,
        "131181494574290.bat": Severity.LOW,
    }
    assert {one.times["encryption_started"] for one in batches.values()} == {filetime_to_iso(infection.STARTED)}
