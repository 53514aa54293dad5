"""The bag, judged by the reference validator and by sha256sum."""

from __future__ import annotations

import subprocess
from pathlib import Path

import bagit
import pytest

from tests.needs import needs_tool
from tests.rescue_samples import save, save_all, subject
from triage.model.errors import RescueError
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.rescue.bag import copy_manifests, write_bag
from triage.rescue.namemap import NAME_MAP, read_lines
from triage.rescue.vault import Vault

FILES = {
    "Users/Li/Documents/报告 100%.docx": b"report",
    "Users/Li/Documents/a\nb\r%0A\\.txt": b"hostile",
    "Users/Li/Desktop/\ud800.txt": b"surrogate",
    "Users/Li/Desktop/empty.txt": b"",
    "Users/Li/Desktop/<b>[/b]\u001b[31m .txt": b"markup",
}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return tmp_path / "bag"


def rescue(bag: Path, files: dict[str, bytes], *, resume: bool = False) -> list[RescuedFile]:
    records: list[RescuedFile] = []
    vault = Vault(bag, on_record=records.append, resume=resume)
    save_all(vault, files)
    vault.record(subject("virus.exe"), RescueOutcome.QUARANTINED)
    vault.close()
    return records


def checked(bag: Path, manifest: str) -> str:
    command = ("sha256sum", "--check", "--strict", "--quiet", manifest)
    return subprocess.run(command, cwd=bag, check=True, capture_output=True, text=True).stdout


@needs_tool("sha256sum")
def test_validators_accept_the_bag(bag: Path) -> None:
    write_bag(bag, rescue(bag, FILES), {"External-Identifier": "case 7\nof May"})
    judged = bagit.Bag(str(bag))
    judged.validate()
    assert (bag / "bagit.txt").read_text() == "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    assert judged.info["External-Identifier"] == "case 7 of May"
    assert judged.info["Payload-Oxum"] == f"{sum(map(len, FILES.values()))}.{len(FILES)}"
    assert len((bag / "manifest-sha256.txt").read_bytes().splitlines()) == len(FILES)
    assert checked(bag, "manifest-sha256.txt") == checked(bag, "tagmanifest-sha256.txt") == ""


@pytest.mark.parametrize("name", ["data/v1/Users/Li/Documents/报告 100％.docx", NAME_MAP, "bag-info.txt"])
def test_validator_sees_what_was_changed(bag: Path, name: str) -> None:
    write_bag(bag, rescue(bag, FILES), {})
    data = bytearray((bag / name).read_bytes())
    data[0] ^= 1
    (bag / name).write_bytes(data)
    with pytest.raises(bagit.BagValidationError, match="validation failed"):
        bagit.Bag(str(bag)).validate()


@needs_tool("sha256sum")
def test_empty_rescue_is_a_valid_bag(bag: Path) -> None:
    write_bag(bag, rescue(bag, {}), {"External-Identifier": "nothing"})
    bagit.Bag(str(bag)).validate()
    assert checked(bag, "tagmanifest-sha256.txt") == ""


def test_name_map_has_a_line_for_each_file_of_the_bag_and_no_other(bag: Path) -> None:
    records: list[RescuedFile] = []
    vault = Vault(bag, on_record=records.append)
    save_all(vault, FILES)
    (part,) = (path for path in bag.glob("*/*/*.part") if path.read_bytes() == b"report")
    part.write_bytes(b"broken")
    vault.close()
    assert len(list(read_lines(bag))) == len(FILES)
    write_bag(bag, records, {})
    lines = {line.path: line.bag_path for line in read_lines(bag)}
    assert set(lines) == set(FILES) - {"Users/Li/Documents/报告 100%.docx"}
    assert {path: (bag / place).read_bytes() for path, place in lines.items()} == {path: FILES[path] for path in lines}
    bagit.Bag(str(bag)).validate()


def test_bag_can_be_closed_again_after_more_was_rescued(bag: Path) -> None:
    records = rescue(bag, {"a.txt": b"first"})
    write_bag(bag, records, {})
    vault = Vault(bag, on_record=records.append, resume=True, done=list(records))
    save(vault, "b.txt", b"second")
    vault.close()
    write_bag(bag, records, {})
    bagit.Bag(str(bag)).validate()
    assert [line.path for line in read_lines(bag)] == ["a.txt", "b.txt"]


def test_same_rescue_gives_the_same_bytes(tmp_path: Path) -> None:
    for bag in (tmp_path / "1", tmp_path / "2"):
        files = FILES if bag.name == "1" else dict(reversed(FILES.items()))
        write_bag(bag, rescue(bag, files), {"Bagging-Date": "2017-05-13"})
    for name in ("bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", NAME_MAP):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_manifests_are_copied_into_the_case(bag: Path, tmp_path: Path) -> None:
    write_bag(bag, rescue(bag, FILES), {})
    for _ in range(2):
        copy_manifests(bag, tmp_path / "rescue-manifest")
    copied = {path.name: path.read_bytes() for path in (tmp_path / "rescue-manifest").iterdir()}
    assert copied == {name: (bag / name).read_bytes() for name in ("manifest-sha256.txt", "tagmanifest-sha256.txt")}


def test_missing_bag_is_named(bag: Path, tmp_path: Path) -> None:
    with pytest.raises(RescueError, match="cannot be copied"):
        copy_manifests(bag, tmp_path / "rescue-manifest")
