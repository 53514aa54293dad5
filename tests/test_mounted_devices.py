"""Drive letters: what a Windows calls the partitions of a disk, held against sfdisk and against real hives."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from uuid import UUID

import pytest
from regipy.registry import RegistryHive

from tests.lab.hives import HIVE_TOOL, write_hive
from tests.lab.tables import Layout, assemble
from tests.loops import run, sparse
from tests.needs import needs_data, needs_tool
from tests.test_hive_real import SYSTEMS, unpacked
from triage.artefacts.hive import open_hive
from triage.artefacts.mounted_devices import read_drive_letters
from triage.evidence.open import open_evidence
from triage.model.gap import Where
from triage.model.volume import Partition
from triage.volumes.partitions import find_partitions


def letters_of(path: Path, values: dict[str, bytes]) -> dict[str, str]:
    lines = [
        f'"{name}"=hex(3):{",".join(f"{byte:02x}" for byte in data)}'.replace("\\", "\\\\")
        for name, data in values.items()
    ]
    write_hive(path, {"MountedDevices": lines})
    return read_drive_letters(open_hive(path.read_bytes(), where=Where(path="SYSTEM")))


def partition_of(image: Path) -> Partition:
    with open_evidence(image) as source:
        partitions, _gaps = find_partitions(source)
    return partitions[-1]


@needs_tool(HIVE_TOOL, "sfdisk", "mke2fs")
@pytest.mark.parametrize("layout", [Layout.MBR, Layout.MBR_LOGICAL, Layout.GPT])
def test_a_letter_leads_to_the_partition_that_sfdisk_tells(tmp_path: Path, layout: Layout) -> None:
    image = tmp_path / "disk.img"
    assemble(sparse(tmp_path / "volume", 4 << 20), image, layout)
    table = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    last = table["partitions"][-1]
    if layout is Layout.GPT:
        data = b"DMIO:ID:" + UUID(last["uuid"]).bytes_le
    else:
        data = struct.pack("<IQ", int(table["id"], 16), last["start"] * 512)
    letters = letters_of(tmp_path / "hive", {r"\DosDevices\C:": data, r"\??\Volume{1}": data})
    assert letters == {"C:": partition_of(image).unique_id}


@needs_tool(HIVE_TOOL)
@pytest.mark.parametrize("data", [b"", b"x" * 11, b"DMIO:ID:short", "\\??\\USBSTOR#x".encode("utf-16-le")])
def test_other_devices_have_no_partition(tmp_path: Path, data: bytes) -> None:
    assert letters_of(tmp_path / "hive", {r"\DosDevices\E:": data}) == {}


@needs_tool(HIVE_TOOL)
def test_a_hive_without_letters_has_none(tmp_path: Path) -> None:
    write_hive(tmp_path / "hive", {"Select": []})
    assert read_drive_letters(open_hive((tmp_path / "hive").read_bytes(), where=Where())) == {}


@needs_data(*SYSTEMS)
@pytest.mark.parametrize("path", SYSTEMS)
def test_letters_are_those_that_regipy_reads(path: str, tmp_path: Path) -> None:
    data = unpacked(path)
    (tmp_path / "SYSTEM").write_bytes(data)
    witness = RegistryHive(str(tmp_path / "SYSTEM"))  # type: ignore[no-untyped-call]
    values = witness.get_key("\\MountedDevices").iter_values()  # type: ignore[no-untyped-call]
    theirs = {value.name[-2:] for value in values if value.name.startswith("\\DosDevices\\")}
    ours = read_drive_letters(open_hive(data, where=Where(path=path)))
    assert ours["C:"].startswith(("mbr:", "gpt:"))
    assert ours.keys() <= theirs
