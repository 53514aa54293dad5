"""Streams of anybody that look like what is left alone: a system stream, a page file, a placeholder."""

from __future__ import annotations

import os
import struct

import pytest

from tests.cases import Case, examine_here
from tests.lab.mounts import mount_for_writing
from tests.loops import run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from triage.model.entry import StreamState
from triage.model.finding import FindingKind, Severity

pytestmark = [needs_root(), needs_tool("mkntfs", "ntfs-3g"), needs_device("/dev/fuse")]
_CONTENT = (b"Content of a program. " * 400)[:8192]
_RULE = 'rule program { strings: $a = "Content of a program" condition: $a }'
_HOLE_BYTES = 1 << 20
_CLOUD = struct.pack("<IHH", 0x9000001A, 4, 0) + b"abcd"
_OFFLINE_ARCHIVE = struct.pack("<I", 0x1020)
_PAGED = "Users/alice/Documents/pagefile.sys"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("lookalikes")
    image = sparse(folder / "volume.img", 16 << 20)
    run("mkntfs", "-F", "-Q", "-q", "-c", "4096", image)
    with mount_for_writing(image) as root:
        for name in ("$J", "$Bad"):
            with open(os.fsencode(root) + b"/:" + os.fsencode(name), "wb") as stream:
                stream.seek(_HOLE_BYTES)
                stream.write(_CONTENT)
        for path in ("pagefile.sys", _PAGED):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(_CONTENT)
        for path, content in {"fetched.exe": _CONTENT, "away.exe": b""}.items():
            with (root / path).open("wb") as file:
                file.write(content)
                file.truncate(len(_CONTENT))
            os.setxattr(root / path, "system.ntfs_attrib", _OFFLINE_ARCHIVE)
            os.setxattr(root / path, "system.ntfs_reparse_data", _CLOUD)
    rule = folder / "program.yar"
    rule.write_text(_RULE)
    return examine_here(image, folder / "case", rules=(str(rule),))


def _state(case: Case, path: str, stream: str = "") -> StreamState:
    (one,) = [one for one in case.streams if (one.path, one.stream) == (path, stream)]
    return one.state


def _severities(case: Case) -> dict[tuple[str | None, str | None], Severity]:
    return {(one.where.path, one.where.stream): one.severity for one in case.findings(FindingKind.YARA)}


@pytest.mark.parametrize("name", ["$J", "$Bad"])
def test_a_sparse_stream_of_the_root_is_read_whatever_its_name(case: Case, name: str) -> None:
    """Only the change journal's and the bad cluster list's own are left alone."""
    assert _state(case, "", name) is StreamState.READ
    assert _state(case, "$BadClus", "$Bad") is StreamState.SPARSE_SYSTEM


def test_only_the_systems_own_containers_weaken_a_finding(case: Case) -> None:
    severities = _severities(case)
    assert severities["pagefile.sys", None] is Severity.LOW
    assert severities[_PAGED, None] is Severity.MEDIUM
    assert {severities["", name] for name in ("$J", "$Bad")} == {Severity.MEDIUM}


def test_a_placeholder_that_has_all_its_clusters_is_read(case: Case) -> None:
    """Tag and attribute say that it is elsewhere, the run list says that it is here."""
    assert _state(case, "fetched.exe") is StreamState.READ
    assert ("fetched.exe", None) in _severities(case)
    assert _state(case, "away.exe") is StreamState.REPARSE_POINT
