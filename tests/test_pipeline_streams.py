"""Every stream of a disk once, with the right bytes: held against the truth, ntfs-3g, libfsntfs and The Sleuth Kit."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyfsntfs
import pytest

from tests.cases import Case, case_of, examine_here, paths_by_entry, truth_by_name
from tests.conftest import LabDisk
from tests.lab.disk import BuiltDisk, DiskSpec
from tests.lab.mft_edit import set_initialized_size
from tests.lab.mounts import mount_read_only, on_mount
from tests.lab.odd import FORMS_FOLDER, LZX_FILES
from tests.lab.plan import TrueStream, Written, sha256
from tests.lab.tables import Layout
from tests.needs import needs_tool
from triage.evidence.open import open_evidence
from triage.model.entry import FIRST_USER_ENTRY, StreamForm, StreamState
from triage.model.escape import escape_line, unescape_line
from triage.model.gap import GapKind
from triage.model.verdict import Stage
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import read_mft
from triage.walk.paths import ORPHAN_ROOT, Paths
from triage.walk.reader import StreamReader
from triage.walk.streams import Streams

_UNREAD = {
    Written.EFS: (StreamState.EFS_ENCRYPTED, GapKind.EFS_ENCRYPTED),
    Written.REPARSE: (StreamState.REPARSE_POINT, GapKind.REPARSE_POINT),
}
_FORMS = {
    "resident.txt": StreamForm.RESIDENT,
    "empty.txt": StreamForm.RESIDENT,
    "fragmented-3.txt": StreamForm.PLAIN,
    "sparse.bin": StreamForm.SPARSE,
    "all-hole.bin": StreamForm.SPARSE,
    "compressed/mixed.bin": StreamForm.LZNT1,
    "compressed/small.txt": StreamForm.RESIDENT,
    "uninitialised-middle.bin": StreamForm.PLAIN,
    "wof.txt": StreamForm.WOF,
    "wof-xpress4k-small.txt": StreamForm.WOF,
    "wof-lzx-large.txt": StreamForm.WOF,
    "efs.docx": StreamForm.EFS,
}
_ENTRY_MASK = (1 << 48) - 1


@pytest.fixture
def disk(lab_disk: LabDisk) -> BuiltDisk:
    return lab_disk(spec=DiskSpec(oddities=True, layout=Layout.BARE))


@pytest.fixture
def case(disk: BuiltDisk) -> Case:
    return case_of(disk)


def _size_bytes(one: TrueStream) -> int:
    """Return a stream's size on the volume: the raw form of an EFS file, which was written, ends in two more bytes."""
    return one.size_bytes - 2 if one.written is Written.EFS else one.size_bytes


def _unread(one: TrueStream) -> tuple[StreamState, GapKind] | None:
    return _UNREAD.get(one.written) if one.stream == "" else None


def test_every_stream_is_there_once_with_its_digest_or_its_state(disk: BuiltDisk, case: Case) -> None:
    truth = truth_by_name(disk)
    seen: Counter[tuple[str, str]] = Counter()
    for record in case.streams:
        one = truth.get((record.path, record.stream))
        if one is None:
            # What the truth does not name is the volume's own, or the empty stream of a file with named ones only.
            assert record.mft_entry < FIRST_USER_ENTRY, ascii(record.path)
            continue
        seen[one.path, one.stream] += 1
        unread = _unread(one)
        expected = (StreamState.READ, one.sha256) if unread is None else (unread[0], "")
        assert (record.size_bytes, record.state, record.sha256) == (_size_bytes(one), *expected), ascii(record.path)
    assert seen == Counter((one.path, one.stream) for one in disk.streams if not one.deleted)


def test_what_is_not_read_is_a_gap(disk: BuiltDisk, case: Case) -> None:
    expected = {(one.path, unread[1], _size_bytes(one)) for one in disk.streams if (unread := _unread(one)) is not None}
    read_as_streams = {one.path for one in case.streams}
    gaps = [gap for gap in case.gaps(*(kind for _, kind in _UNREAD.values())) if gap.where.path in read_as_streams]
    assert {(gap.where.path, gap.kind, gap.bytes) for gap in gaps} == expected
    assert len(expected) == 2
    assert all(gap.material == (gap.kind is GapKind.EFS_ENCRYPTED) for gap in gaps)


@pytest.mark.parametrize(("name", "form"), _FORMS.items())
def test_each_form_of_storage_is_recognised(case: Case, name: str, form: StreamForm) -> None:
    (record,) = [one for one in case.streams if one.path == f"{FORMS_FOLDER}/{name}" and one.stream == ""]
    assert record.form is form


def test_digest_list_names_every_stream_read_whole_once(disk: BuiltDisk, case: Case) -> None:
    lines = (case.folder / "digests.hashdeep").read_bytes().decode("utf-8").split("\n")
    assert lines[0] == "%%%% HASHDEEP-1.0"
    assert lines[1] == "%%%% size,md5,sha256,filename"
    listed = [line.split(",", 3) for line in lines if line and line[0] not in "%#"]
    names = [unescape_line(name) for *_, name in listed]
    read = [one for one in case.streams if one.sha256]
    assert Counter(names) == Counter(f"v1/{one.path}:{one.stream}".rstrip(":") for one in read)
    by_name = {name: (int(size), digest) for (size, _, digest, _), name in zip(listed, names, strict=True)}
    for one in disk.streams:
        names_of = {f"v1/{path}:{one.stream}".rstrip(":") for path in (one.path, *one.other_paths)}
        found = [by_name[name] for name in names_of & set(by_name)]
        whole = not one.deleted and _unread(one) is None
        assert found == ([(one.size_bytes, one.sha256)] if whole else []), ascii(one.path)
    assert all(escape_line(name) == text[3] for name, text in zip(names, listed, strict=True))


@pytest.mark.parametrize("spec", [DiskSpec(oddities=True), DiskSpec(stage=Stage.FINISHED), DiskSpec(stage=Stage.NONE)])
def test_the_ledger_adds_up(lab_disk: LabDisk, spec: DiskSpec) -> None:
    case = case_of(lab_disk(spec=spec))
    coverage = case.report.coverage
    (reconciliation,) = coverage.reconciliation
    assert sum(coverage.streams_by_state.values()) == coverage.streams == len(case.streams)
    assert sum(coverage.streams_by_form.values()) == coverage.streams
    assert reconciliation.streams == reconciliation.data_attributes == coverage.streams
    assert sum(coverage.bytes_by_state.values()) == coverage.bytes_total == sum(one.size_bytes for one in case.streams)
    assert coverage.bytes_read == sum(one.bytes_read for one in case.streams) == coverage.bytes_by_state["read"]
    records = reconciliation.base_records + reconciliation.extension_records + reconciliation.unreadable_records
    assert records == reconciliation.bitmap_bits
    assert coverage.entries == reconciliation.base_records
    assert Counter(one.state.value for one in case.streams) == coverage.streams_by_state
    assert max(Counter((one.mft_entry, one.stream) for one in case.streams).values()) == 1


@pytest.mark.parametrize("initialized_bytes", [0, 1, 30_000, 65_536, 100_000])
def test_compressed_bytes_past_the_initialised_size_are_zeros(
    disk: BuiltDisk, case: Case, tmp_path: Path, initialized_bytes: int
) -> None:
    copy = Path(shutil.copy(disk.image, tmp_path / "volume.img"))
    path = f"{FORMS_FOLDER}/compressed/mixed.bin"
    (record,) = [one for one in case.streams if one.path == path]
    set_initialized_size(copy, record.mft_entry, "", initialized_bytes)
    with mount_read_only(disk.image, 0) as folder:
        content = (folder / path).read_bytes()
    shown = content[:initialized_bytes].ljust(len(content), b"\0")
    assert sha256(content) == record.sha256 != sha256(shown)
    assert examine_here(copy, tmp_path / "case").digests()[path, ""] == sha256(shown)


def test_only_the_bad_cluster_list_is_left_unread_without_a_gap(case: Case) -> None:
    sparse = [one for one in case.streams if one.state is StreamState.SPARSE_SYSTEM]
    assert [(one.path, one.stream) for one in sparse] == [("$BadClus", "$Bad")]


def _files(folder: Path) -> Iterator[tuple[bytes, int]]:
    """Yield path and MFT entry of each regular file that a mount shows."""
    for place, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            status = os.lstat(os.path.join(place, name))
            if stat.S_ISREG(status.st_mode):
                yield os.path.join(place, name), status.st_ino


def test_ntfs_3g_shows_the_same_content_under_every_link_and_in_every_stream(disk: BuiltDisk, case: Case) -> None:
    ours = {(one.mft_entry, one.stream): one for one in case.streams if one.sha256}
    not_decoded = {one.mft_entry for one in case.streams if one.form in (StreamForm.EFS, StreamForm.WOF)}
    seen: Counter[int] = Counter()
    with mount_read_only(disk.image, 0) as folder:
        for path, entry in _files(folder):
            if entry in not_decoded or (entry, "") not in ours:
                continue
            content = Path(os.fsdecode(path)).read_bytes()
            assert sha256(content) == ours[entry, ""].sha256, ascii(path)
            seen[entry] += 1
        for (entry, stream), one in ours.items():
            if stream and entry >= FIRST_USER_ENTRY and entry not in not_decoded:
                content = Path(os.fsdecode(on_mount(folder, one.path, stream))).read_bytes()
                assert (len(content), sha256(content)) == (one.size_bytes, one.sha256)
    links = {one.path: 1 + len(one.other_paths) for one in disk.streams}
    of_users = {entry: one for (entry, stream), one in ours.items() if not stream and entry >= FIRST_USER_ENTRY}
    truth = truth_by_name(disk)
    # ntfs-3g shows a symbolic link as one, not as a file.
    expected = {
        entry: links[truth[one.path, ""].path]
        for entry, one in of_users.items()
        if truth[one.path, ""].written not in (Written.REPARSE, Written.WOF)
    }
    assert {entry: count for entry, count in seen.items() if entry >= FIRST_USER_ENTRY} == expected


@needs_tool("hashdeep")
def test_hashdeep_finds_no_file_that_is_not_in_the_list(disk: BuiltDisk, case: Case) -> None:
    not_decoded = {one.path for one in case.streams if one.form in (StreamForm.EFS, StreamForm.WOF)}
    command = ("hashdeep", "-x", "-b", "-r", "-k", case.folder / "digests.hashdeep")
    with mount_read_only(disk.image, 0) as folder:
        unknown = subprocess.run((*command, folder), check=False, capture_output=True).stdout.decode()
        hashed = subprocess.run(("hashdeep", "-c", "sha256", "-r", folder), check=False, capture_output=True).stdout
    assert set(unknown.split("\n")) - {""} <= {path.rpartition("/")[2] for path in not_decoded}
    of_mount = {line.split(b",")[1].decode() for line in hashed.splitlines() if line[:1].isdigit()}
    shown = [one for one in case.streams if one.mft_entry >= FIRST_USER_ENTRY and one.form is not StreamForm.WOF]
    assert {one.sha256 for one in shown if one.sha256 and not one.stream} <= of_mount


def _walk_libfsntfs(entry: pyfsntfs.file_entry, path: str) -> Iterator[tuple[str, pyfsntfs.file_entry]]:
    """Yield each path below a directory and its entry, as the directory indexes name them."""
    for below in entry.sub_file_entries:
        # What libfsntfs makes of an unpaired surrogate is no canonical str: equal ones compare as different.
        name = (below.name or "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        if name != ".":
            place = f"{path}/{name}" if path else name
            yield place, below
            yield from _walk_libfsntfs(below, place)


def test_libfsntfs_sees_the_same_paths_streams_sizes_and_content(disk: BuiltDisk, case: Case) -> None:
    ours = {(one.mft_entry, one.stream): (one.size_bytes, one.sha256) for one in case.streams}
    theirs: dict[tuple[int, str], tuple[int, str]] = {}
    paths: dict[int, set[str]] = {}
    volume = pyfsntfs.volume()
    volume.open(str(disk.image))
    try:
        for path, entry in _walk_libfsntfs(volume.get_root_directory(), ""):
            number = entry.file_reference & _ENTRY_MASK
            paths.setdefault(number, set()).add(path)
            if entry.has_default_data_stream():
                readable = entry.size != 0 and LZX_FILES not in path
                theirs[number, ""] = entry.size, sha256(entry.read_buffer(entry.size) if readable else b"")
            for stream in entry.alternate_data_streams:
                content = stream.read_buffer(stream.size) if stream.size and stream.name != "$Bad" else b""
                theirs[number, stream.name] = stream.size, sha256(content)
    finally:
        volume.close()
    unread = {
        (one.mft_entry, one.stream)
        for one in case.streams
        if not one.sha256 or (LZX_FILES in one.path and not one.stream)
    }
    unnamed = {place for place in ours if 12 <= place[0] < 16}  # records that mkntfs allocates without a name
    assert set(theirs) == set(ours) - unnamed
    assert {place: size for place, (size, _) in theirs.items()} == {place: ours[place][0] for place in theirs}
    assert {place: digest for place, (_, digest) in theirs.items() if place not in unread} == {
        place: digest for place, (_, digest) in ours.items() if place not in unread | unnamed
    }
    with open_evidence(str(disk.image)) as source:
        ours_by_entry = paths_by_entry(NtfsVolume(source, "v1"))
    assert ours_by_entry == paths


@needs_tool("fls")
def test_fls_lists_the_same_entries_and_paths(disk: BuiltDisk) -> None:
    listed = subprocess.run(("fls", "-r", "-p", "-u", disk.image), check=True, capture_output=True).stdout
    theirs: set[tuple[int, str]] = set()
    for line in listed.decode("utf-8", "surrogateescape").split("\n"):
        kind, _, path = line.partition(":\t")
        if not path or path.startswith(ORPHAN_ROOT) or kind.startswith("-"):  # "-": left behind in an index
            continue
        number = int(kind.split()[1].partition("-")[0])
        theirs.add((number, path.partition(":")[0].removesuffix("/.")))
    with open_evidence(str(disk.image)) as source:
        ours = {(entry, path) for entry, paths in paths_by_entry(NtfsVolume(source, "v1")).items() for path in paths}
    printable = {(entry, path) for entry, path in ours if path.isprintable()}
    assert printable <= theirs
    assert {entry for entry, _ in theirs} == {entry for entry, _ in ours}
    assert len(printable) > 200
    assert len(theirs) == len(ours)


@pytest.mark.parametrize(("window_bytes", "overlap_bytes"), [(4096, 512), (65_536, 8192), (131_072, 65_536)])
def test_the_bytes_are_the_same_through_windows_of_any_size(
    disk: BuiltDisk, case: Case, window_bytes: int, overlap_bytes: int
) -> None:
    expected = {(one.mft_entry, one.stream): one.sha256 for one in case.streams if one.size_bytes < 2_000_000}
    with open_evidence(str(disk.image)) as source:
        volume = NtfsVolume(source, "v1")
        table = read_mft(volume)
        streams = Streams(volume, table, Paths(table))
        reader = StreamReader(window_bytes, overlap_bytes)
        for plan in streams.plans(streams.heads):
            place = plan.subject.mft_entry, plan.subject.stream
            if place not in expected:
                continue
            digest, end, tail = hashlib.sha256(), 0, b""
            for window in reader.windows(volume, plan):
                assert window.offset_bytes + window.fresh == end
                repeated = bytes(window.view[: window.fresh])
                assert tail.endswith(repeated)
                assert end == 0 or window.fresh == min(overlap_bytes, end)
                digest.update(window.view[window.fresh :])
                end = window.offset_bytes + len(window.view)
                tail = bytes(window.view)
            assert expected[place] in ("", digest.hexdigest()), ascii(plan.subject.path)
            assert reader.bytes_read == end
