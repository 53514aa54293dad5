"""Entries found by what they are called: never one less than by decoding and lowering every name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tests.lab.mounts import mount_for_writing
from tests.lab.volume import make_volume
from tests.needs import needs_tool
from triage.evidence.open import open_evidence
from triage.volumes.ntfs import NtfsVolume
from triage.walk.find import entries_called, find_below
from triage.walk.mft import MftTable, Names, read_mft
from triage.walk.paths import Paths

NAMES = ("tasksche.exe", "m.vbs", "$recycle", "@wanadecryptor@.exe.lnk", "ntuser.dat", "key")
ENDINGS = ("wncry", "bat", ".pf", ".evtx")
_KELVIN = "\u212a"

names = st.one_of(
    st.text(max_size=20),
    st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([name, name.upper(), name.title(), name[:-1]])),
    st.builds("{}.{}".format, st.text(max_size=6), st.sampled_from(["wncry", "WNCRY", "Bat", "pf", "EVTX", "doc"])),
)


class _Table(NamedTuple):
    names: Names


def table_of(called: list[list[str]]) -> MftTable:
    """Return what `entries_called` looks at of a table whose entries have these names."""
    flat = [name.encode("utf-16-le", "surrogatepass") for names in called for name in names]
    lengths = np.array([len(name) for name in flat], np.int64)
    nothing = np.zeros(len(flat), np.int64)
    columns = Names(
        owner=nothing,
        in_use=np.ones(len(flat), np.bool_),
        parent=nothing,
        parent_sequence=nothing.astype(np.uint16),
        namespace=nothing.astype(np.uint8),
        offset=np.cumsum(lengths) - lengths,
        length=lengths,
        first=np.cumsum([0, *map(len, called)]),
        blob=b"".join(flat),
    )
    return cast(MftTable, _Table(columns))


def is_called(name: str) -> bool:
    return name.lower() in NAMES or name.lower().endswith(ENDINGS)


@given(st.lists(st.lists(names, max_size=3), max_size=12))
@example([["TAS" + _KELVIN + "SCHE.EXE"], [_KELVIN + "ey"], [], ["中文.WNCRY"], ["键"]])
def test_no_entry_is_missed(called: list[list[str]]) -> None:
    wanted = {entry for entry, names in enumerate(called) if any(map(is_called, names))}
    assert wanted <= set(entries_called(table_of(called), names=NAMES, endings=ENDINGS).tolist())


@needs_tool("mkntfs", "ntfs-3g")
def test_all_that_lies_below_a_directory_is_found_by_its_parents(tmp_path: Path) -> None:
    """At any depth; what lies in a directory of that name within one once; deleted and unwanted directories never."""
    image = tmp_path / "volume.img"
    make_volume(image, size_bytes=8 << 20, cluster_bytes=4096, offset_bytes=0, label="lab")
    inner = "/".join(f"level {depth}" for depth in range(40))
    wanted = {"A/Tasks/x", "A/Tasks/b/Tasks/y", f"a/TASKS/{inner}/z"}
    with mount_for_writing(image) as root:
        for path in (*wanted, "B/Tasks/x", "A/Tasks.x/x", "A/x", "A/Tasks/gone/file"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(b"content")
        (root / "elsewhere").hardlink_to(root / "A/Tasks/x")
        shutil.rmtree(root / "A/Tasks/gone")
    with open_evidence(image) as source:
        ntfs = NtfsVolume(source, "v1")
        table = read_mft(ntfs)
        found = find_below(
            table, Paths(table), folders=("tasks",), is_wanted=lambda path: path.lower().startswith("a/")
        )
        files = [path for entry, path in found if not table.entries.directory[entry]]
    assert sorted(files) == sorted({*wanted, "elsewhere"})


def test_few_of_many_are_candidates() -> None:
    called = [[f"报告{number}.docx"] for number in range(500)] + [["Report.WNCRY"], ["thumbs.db"]]
    assert entries_called(table_of(called), names=NAMES, endings=ENDINGS).tolist() == [500]
