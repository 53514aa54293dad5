"""Names and links as NTFS allows them: case-sensitive folders, what Windows forbids, hard links named all at once."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.cases import Case, examine_here, run_case
from tests.command import here, triage
from tests.lab.mounts import mount_for_writing, mount_with_posix_names
from tests.lab.plan import sha256
from tests.loops import loop_device, mounted, run, sparse
from tests.mft_editor import DATA, MftEditor, attributes
from tests.needs import needs_device, needs_root, needs_tool
from triage.model.finding import FindingKind
from triage.model.gap import GapKind
from triage.model.rescue import RescueOutcome

pytestmark = [needs_root(), needs_tool("mkntfs", "ntfs-3g"), needs_device("/dev/fuse")]
_NAMES = (
    "Report.txt",
    "REPORT.TXT",
    "report.txt",
    "Folder/inside.txt",
    "FOLDER/inside.txt",
    "FOLDER/INSIDE.TXT",
    "a:b.txt",
    "CON",
    "con.txt",
    "trailing dot.",
    "trailing space ",
    'tab\t and \\ and ?*<>|".txt',
    "straße.txt",
    "STRASSE.txt",
    "\ud83d lone high.txt",
    "\udc4d lone low.txt",
)
_KNOWN = b"an inert stand-in for something known\n" * 100
_TEXT = b"minutes of a meeting\n" * 300


def _content(name: str) -> bytes:
    return f"content of {name!a}\n".encode() * 20


@pytest.fixture(scope="module")
def odd_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a volume whose names differ in case only, or are none for Windows; ntfs-3g makes them all."""
    image = sparse(tmp_path_factory.mktemp("names") / "volume.img", 16 << 20)
    run("mkntfs", "-F", "-Q", "-q", image)
    with mount_with_posix_names(image) as folder:
        for name in _NAMES:
            path = os.fsencode(folder) + b"/Users/" + name.encode("utf-8", "surrogatepass")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(_content(name))
    return image


def test_every_name_is_told_apart(odd_names: Path, tmp_path: Path) -> None:
    case = examine_here(odd_names, tmp_path / "case")
    digests = {path: digest for (path, _), digest in case.digests().items() if path.startswith("Users/")}
    assert digests == {f"Users/{name}": sha256(_content(name)) for name in _NAMES}
    assert case.report.gaps == ()


@pytest.mark.parametrize("name", _NAMES, ids=ascii)
def test_each_is_listed_and_given_by_its_name(odd_names: Path, name: str) -> None:
    place = os.fsencode(odd_names) + b":v1/Users/" + name.encode("utf-8", "surrogatepass")
    given = subprocess.run((sys.executable, "-m", "triage", "cat", place), check=True, capture_output=True).stdout
    assert given == _content(name)
    listed = here("ls", place).out
    assert len(listed.splitlines()) == 1
    assert f" {len(_content(name))} " in listed


_DESTINATIONS = [
    pytest.param("mkfs.exfat", "exfat-fuse", id="exfat", marks=needs_tool("mkfs.exfat", "mount.exfat-fuse")),
    pytest.param("mkntfs -F -q -f", "ntfs-3g", id="ntfs"),
]


@needs_device("/dev/loop-control")
@pytest.mark.parametrize(("make", "kind"), _DESTINATIONS)
def test_a_destination_that_knows_no_case_keeps_them_all(odd_names: Path, tmp_path: Path, make: str, kind: str) -> None:
    with loop_device(sparse(tmp_path / "stick", 64 << 20)) as device:
        run(*make.split(), device)
        with mounted(device, tmp_path / "mount", "-t", kind) as stick:
            ran = triage("run", odd_names, "--out", tmp_path / "case", "--rescue-to", stick / "bag", "--quiet")
            assert ran.code == 0, ran.err
            lines = [json.loads(line) for line in (stick / "bag/name-map.jsonl").read_text("utf-8").splitlines()]
            saved = {line["path"]: (stick / "bag" / line["bag_path"]).read_bytes() for line in lines}
            assert saved == {f"Users/{name}": _content(name) for name in _NAMES}
            listed = {path.relative_to(stick / "bag").as_posix() for path in (stick / "bag/data").rglob("*.*")}
            assert len({path.casefold() for path in listed}) == len(listed)
            subprocess.run(("sha256sum", "-c", "--quiet", "manifest-sha256.txt"), cwd=stick / "bag", check=True)


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = sparse(tmp_path_factory.mktemp("links") / "volume.img", 16 << 20)
    run("mkntfs", "-F", "-Q", "-q", image)
    with mount_for_writing(image) as folder:
        for path in ("Users/bob", "Windows/Installer"):  # names stand in the order of their folders' entries
            (folder / path).mkdir(parents=True)
        for content, first, others in (
            (_KNOWN, "Windows/known.bin", ("Users/alice/known.dat", "Users/alice/Documents/known.doc")),
            (_TEXT, "Windows/Installer/minutes.txt", ("Users/alice/Documents/minutes.txt",)),
            (_TEXT, "Users/bob/again.txt", ("Windows/Installer/again.txt",)),
            (_TEXT * 30, "Users/alice/Documents/torn.txt", ("Users/bob/torn too.txt",)),
        ):
            for name in (first, *others):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / first).write_bytes(content)
            for name in others:
                (folder / name).hardlink_to(folder / first)
    return image


@pytest.fixture(scope="module")
def case(linked: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    known = folder / "known.csv"
    known.write_text(
        f"sha256,size,filename,role,source\n{sha256(_KNOWN)},{len(_KNOWN)},known,stand-in,conf=high; a test\n"
    )
    return run_case([linked], folder / "case", sets=[known])


def test_a_file_with_several_names_is_read_once(case: Case) -> None:
    read = Counter(one.mft_entry for one in case.streams if one.path.startswith(("Windows/", "Users/")))
    assert len(read) == 4
    assert set(read.values()) == {1}


def test_a_finding_names_every_link(case: Case) -> None:
    (finding,) = case.findings(FindingKind.DIGEST)
    assert {finding.where.path, *finding.where.other_paths} == {
        "Windows/known.bin",
        "Users/alice/known.dat",
        "Users/alice/Documents/known.doc",
    }
    (line,) = (case.folder / "findings.jsonl").read_text("utf-8").splitlines()
    assert len(json.loads(line)["where"]["other_paths"]) == 2
    page = (case.folder / "report.html").read_text("utf-8")
    assert all(name in page for name in ("Windows/known.bin", "Users/alice/known.dat", "Documents/known.doc"))


def test_what_is_not_rescued_is_named_with_every_link(case: Case) -> None:
    (quarantined,) = case.files(RescueOutcome.QUARANTINED)
    assert len({quarantined.path, *quarantined.other_paths}) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Windows/Installer/minutes.txt", "Users/alice/Documents/minutes.txt"),
        ("Users/bob/again.txt", "Windows/Installer/again.txt"),
    ],
)
def test_a_users_file_is_rescued_though_another_name_is_in_a_system_folder(case: Case, first: str, second: str) -> None:
    names = {first, second}
    (saved,) = [one for one in case.files(RescueOutcome.RESCUED) if names == {one.path, *one.other_paths}]
    assert saved.path == first
    assert (case.bag / saved.bag_path).read_bytes() == _TEXT
    lines = map(json.loads, (case.bag / "name-map.jsonl").read_text("utf-8").splitlines())
    assert names in [{line["path"], *line.get("other_paths", ())} for line in lines]


def test_a_gap_names_every_link(linked: Path, tmp_path: Path) -> None:
    """Its size is said to be more than its clusters hold."""
    image = tmp_path / "volume.img"
    image.write_bytes(linked.read_bytes())
    mft = MftEditor(image)
    for entry in range(64, mft.records):
        if mft.raw(entry)[:4] == b"FILE":
            record = mft.record(entry)
            for one in attributes(record):
                if one.type == DATA and one.non_resident and one.field(record, 0x30, "<Q") == len(_TEXT) * 30:
                    struct.pack_into("<Q", record, one.offset + 0x30, one.field(record, 0x28, "<Q") + 5)
                    mft.put(entry, record)
    (gap,) = examine_here(image, tmp_path / "case").gaps(GapKind.RUN_LIST)
    assert {gap.where.path, *gap.where.other_paths} == {"Users/alice/Documents/torn.txt", "Users/bob/torn too.txt"}
