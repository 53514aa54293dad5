"""A disk with unreadable sectors, or one that vanishes: the readable comes first, the rest is told to the sector."""

from __future__ import annotations

import errno
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import bagit
import msgspec
import pytest
from msgspec import Struct

from tests.command import faulty, report_of, seen, triage, vanishing
from tests.faulty_source import FaultyDisk
from tests.lab.change_journal import LabChange, add_journal, journal
from tests.lab.mounts import mount_for_writing
from tests.loops import run, sparse
from tests.needs import needs_device, needs_root, needs_tool
from tests.test_damaged_demo import RECORD_BYTES, VOLUME_OFFSET
from triage.demo import DEMO_INDICATORS
from triage.evidence.open import open_evidence
from triage.evidence.slice import SliceSource
from triage.model.entry import StreamState
from triage.model.errors import EvidenceLostError
from triage.model.gap import Gap, GapKind
from triage.model.rescue import RescueOutcome
from triage.pipeline import examine as examine_module
from triage.pipeline.agenda import Agenda
from triage.pipeline.board import Board
from triage.pipeline.examination import Equipment
from triage.pipeline.examine import examine
from triage.pipeline.gathered import Gathered, gather, stream_digests
from triage.pipeline.job import Job
from triage.pipeline.journal import (
    JOURNAL_NAME,
    DeferredRecord,
    RescueRecord,
    StreamRecord,
    read_journal,
)
from triage.pipeline.pieces import HeldPieces, Piece
from triage.pipeline.reading import read_again
from triage.pipeline.survey import Survey
from triage.pipeline.traces import Tracer
from triage.report.verify import verify_case
from triage.volumes.ntfs import NtfsVolume
from triage.walk.mft import read_mft
from triage.walk.paths import Paths
from triage.walk.streams import Streams

_DOCUMENT = "Projects/parts.csv.WNCYR"
_PDF = "Users/alice/Documents/contract.pdf"
_SECTOR = 512


def states(gathered: Gathered) -> Counter[str]:
    """Return how many streams ended in which state."""
    ledger, _gaps = gathered.account.close(gathered.enumerations.values())
    return sum((Counter(row.streams_by_state) for row in ledger), Counter())


class Places(Struct, frozen=True, kw_only=True):
    """Where things lie on the bundled disk, in bytes from its start; `first` and `entries` by path."""

    mft: int
    bitmap: int
    first: dict[str, int]
    entries: dict[str, int]
    sizes: dict[str, int]

    def record(self, entry: int) -> int:
        return self.mft + entry * RECORD_BYTES


@pytest.fixture(scope="module")
def places(image: Path) -> Places:
    first, entries, sizes = {}, {}, {}
    with open_evidence(image) as source:
        volume = NtfsVolume(SliceSource(source, VOLUME_OFFSET, source.size_bytes), "v1")
        table = read_mft(volume)
        streams = Streams(volume, table, Paths(table))
        for plan in streams.plans(streams.heads):
            if not plan.subject.stream:
                entries[plan.subject.path] = plan.subject.mft_entry
                sizes[plan.subject.path] = plan.subject.size_bytes
            if plan.extents and not plan.subject.stream:
                first[plan.subject.path] = VOLUME_OFFSET + plan.extents[0].volume_offset
        assert isinstance(volume._bitmap, list)
        bitmap = VOLUME_OFFSET + volume._bitmap[0].volume_offset
        mft = VOLUME_OFFSET + volume.mft_extents[0].volume_offset
    return Places(mft=mft, bitmap=bitmap, first=first, entries=entries, sizes=sizes)


def sectors(*starts: int) -> list[range]:
    return [range(start, start + _SECTOR) for start in starts]


def digests(case: Path) -> set[str]:
    return set((case / "digests.hashdeep").read_text().splitlines())


_needs_nbd = (needs_tool("nbdfuse", "nbdkit", "ddrescuelog", "icat"), needs_device("/dev/fuse"))


@pytest.fixture
def nbd() -> None:
    for need in _needs_nbd:
        if need.args[0]:
            pytest.skip(need.kwargs["reason"])


@pytest.mark.usefixtures("nbd")
def test_unreadable_sectors_cost_what_lay_in_them_and_no_more(
    image: Path, places: Places, undisturbed: Path, tmp_path: Path
) -> None:
    """One in a user's file, one in a record of `$MFT`, the first of `$MFT` itself: the map names exactly these."""
    lost_path = _PDF
    entry = places.entries[lost_path]
    bad = sectors(places.first[_DOCUMENT] + 1024, places.record(entry) + _SECTOR, places.mft)
    case = tmp_path / "case"
    with faulty(image, tmp_path / "disk", bad) as evidence:
        assert triage("run", evidence, "--out", case).code == 10
    report = report_of(case)

    map_file = case / "evidence-1.map"
    subprocess.run(("ddrescuelog", "-t", map_file), check=True, capture_output=True)
    listed = subprocess.run(("ddrescuelog", "-l-", map_file), check=True, capture_output=True, text=True).stdout.split()
    assert [int(one) for one in listed] == sorted(one.start // _SECTOR for one in bad)
    assert subprocess.run(("ddrescuelog", "-l*", map_file), check=True, capture_output=True).stdout == b""
    assert "evidence-1.map" in (case / "SHA256SUMS").read_text()

    gone = {line.rpartition(",")[2] for line in digests(undisturbed) - digests(case)}
    assert gone == {"v1/$MFT", f"v1/{_DOCUMENT}", f"v1/{lost_path}"}
    (told,) = [gap for gap in report.gaps if gap.where.path == _DOCUMENT and gap.kind is GapKind.READ_ERROR]
    assert (told.where.offset_bytes, told.bytes) == (1024, _SECTOR)
    unreadable = [gap.where.mft_entry for gap in report.gaps if gap.kind is GapKind.MFT_RECORD and gap.material]
    assert set(unreadable) == {0, entry}
    assert any("$MFTMirr was used" in gap.detail for gap in report.gaps)

    whole = subprocess.run(
        ("icat", "-o", str(VOLUME_OFFSET // _SECTOR), image, str(places.entries[_DOCUMENT])),
        check=True,
        capture_output=True,
    ).stdout
    copied = (case / "rescue" / "data" / "v1" / _DOCUMENT).read_bytes()
    assert copied == whole[:1024] + bytes(_SECTOR) + whole[1536:]
    (reconciliation,) = report.coverage.reconciliation
    records = reconciliation.base_records + reconciliation.extension_records + reconciliation.unreadable_records
    assert (records, reconciliation.unreadable_records) == (reconciliation.bitmap_bits, 1)
    assert reconciliation.streams == reconciliation.data_attributes == sum(report.coverage.streams_by_state.values())
    assert verify_case(case).problems == ()
    bagit.Bag(str(case / "rescue")).validate()


@pytest.mark.usefixtures("nbd")
def test_errors_that_pass_leave_no_trace(image: Path, places: Places, undisturbed: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    until = f"grep -q '\"deferred\"' '{case / JOURNAL_NAME}'"
    bad = sectors(places.first[_DOCUMENT] + 1024)
    with faulty(image, tmp_path / "disk", bad, until=until) as evidence:
        assert triage("run", evidence, "--out", case).code == 10
    assert any(isinstance(record, DeferredRecord) for record in read_journal(case / JOURNAL_NAME))
    for ours, theirs in zip(seen(case), seen(undisturbed), strict=True):
        assert ours == theirs
    assert not (case / "evidence-1.map").exists()


@pytest.mark.usefixtures("nbd")
@pytest.mark.parametrize("after_reads", [14, 20, 26])
def test_a_disk_that_vanishes_ends_the_run_and_comes_back_with_resume(
    image: Path, undisturbed: Path, tmp_path: Path, after_reads: int
) -> None:
    case, back = tmp_path / "case", tmp_path / "back"
    with vanishing(image, tmp_path / "disk", after_reads=after_reads, back=back) as evidence:
        ran = triage("run", evidence, "--out", case)
        report = report_of(case)
        assert ran.code == 1
        assert report.case.fatal is not None
        assert "cannot be read any more" in report.case.fatal
        assert len(report.gaps) < 20
        assert any(gap.material for gap in report.gaps)
        assert sum(report.coverage.streams_by_state.values()) == report.coverage.streams
        assert verify_case(case).problems == ()
        back.touch()
        assert triage("run", "--resume", case).code == 10
        assert seen(case) == seen(undisturbed)


class Run:
    """The worker's part in this process, its rescue too, over a disk with faults; it can be resumed."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._job = Job(
            evidence=(str(image),),
            case_folder=str(folder),
            rescue_to=str(folder / "rescue"),
            extra_sets=(str(DEMO_INDICATORS),),
        )

    def examine(self, *, resumed: bool = False) -> Gathered:
        examine(msgspec.structs.replace(self._job, resumed=resumed), Board.create())
        return self.gathered()

    def gathered(self) -> Gathered:
        return gather(self.folder / JOURNAL_NAME)

    def records(self) -> list[StreamRecord]:
        return [one for one in read_journal(self.folder / JOURNAL_NAME) if isinstance(one, StreamRecord)]

    def gaps(self, path: str) -> list[Gap]:
        return [gap for gap in self.gathered().gaps if gap.where.path == path]

    def outcomes(self, path: str) -> list[RescueOutcome]:
        journal = read_journal(self.folder / JOURNAL_NAME)
        return [one.file.outcome for one in journal if isinstance(one, RescueRecord) and one.file.path == path]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    return FaultyDisk(monkeypatch)


def test_what_failed_is_read_again_when_all_else_is_done(
    image: Path, places: Places, disk: FaultyDisk, tmp_path: Path
) -> None:
    disk.bad = sectors(places.first[_DOCUMENT] + 1024)
    case = Run(image, tmp_path / "case")
    case.examine()
    records = list(read_journal(tmp_path / "case" / JOURNAL_NAME))
    (put_off,) = [at for at, one in enumerate(records) if isinstance(one, DeferredRecord)]
    booked = [at for at, one in enumerate(records) if isinstance(one, StreamRecord)]
    last = records[booked[-1]]
    assert isinstance(last, StreamRecord)
    assert (last.path, last.state) == (_DOCUMENT, StreamState.PARTIAL)
    assert put_off < booked[-2]
    first = records[put_off]
    assert isinstance(first, DeferredRecord)
    assert first.stream.bytes_read < last.bytes_read == last.size_bytes - _SECTOR
    assert [(gap.where.offset_bytes, gap.bytes) for gap in case.gaps(_DOCUMENT) if gap.kind is GapKind.READ_ERROR] == [
        (1024, _SECTOR)
    ]
    assert case.outcomes(_DOCUMENT) == [RescueOutcome.INCOMPLETE]


def test_a_second_reading_that_gives_less_does_not_count(
    image: Path, places: Places, disk: FaultyDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk gets worse meanwhile: what the first reading gave is kept."""
    start = places.first[_DOCUMENT]
    disk.bad = sectors(start + 1024)

    def worse(equipment: Equipment, agenda: Agenda) -> None:
        disk.bad = [range(start, start + (160 << 10))]
        read_again(equipment, agenda)

    monkeypatch.setattr(examine_module, "read_again", worse)
    case = Run(image, tmp_path / "case")
    case.examine()
    (record,) = [one for one in case.records() if one.path == _DOCUMENT]
    assert record.bytes_read > 0
    copied = (case.folder / "rescue" / "data" / "v1" / _DOCUMENT).read_bytes()
    content = image.read_bytes()[start : start + record.size_bytes]
    (gap,) = [gap for gap in case.gaps(_DOCUMENT) if gap.kind is GapKind.READ_ERROR]
    assert gap.bytes == record.size_bytes - record.bytes_read
    offset = gap.where.offset_bytes or 0
    assert copied == content[:offset] + bytes(gap.bytes) + content[offset + gap.bytes :]


def test_interrupted_before_the_second_reading_nothing_is_lost_or_counted_twice(
    image: Path, places: Places, disk: FaultyDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.bad = sectors(places.first[_DOCUMENT] + 1024)

    def interrupted(equipment: Equipment, agenda: Agenda) -> None:
        equipment.board.ask_to_stop()
        read_again(equipment, agenda)

    case = Run(image, tmp_path / "case")
    with monkeypatch.context() as patch:
        patch.setattr(examine_module, "read_again", interrupted)
        stopped = case.examine()
    assert _DOCUMENT not in {one.path for one in case.records()}
    (enumeration,) = stopped.enumerations.values()
    assert states(stopped).total() == enumeration.reconciliation.streams
    assert states(stopped)[StreamState.INTERRUPTED] == 0
    assert states(stopped)[StreamState.PARTIAL] == 1
    assert len(stopped.deferred) == 1
    assert [gap.kind for gap in case.gaps(_DOCUMENT)] == [GapKind.READ_ERROR]
    assert case.outcomes(_DOCUMENT) == [RescueOutcome.INCOMPLETE]

    disk.bad = []
    resumed = case.examine(resumed=True)
    assert resumed.deferred == {}
    assert states(resumed).total() == enumeration.reconciliation.streams
    assert states(resumed)[StreamState.INTERRUPTED] == 0
    assert states(resumed)[StreamState.PARTIAL] == 0
    assert case.gaps(_DOCUMENT) == []
    assert len([one for one in case.records() if one.path == _DOCUMENT]) == 1


def test_a_disk_that_vanishes_during_the_second_reading(
    image: Path, places: Places, disk: FaultyDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first one gave stands, and is in the bag."""
    disk.bad = sectors(places.first[_DOCUMENT] + 1024)

    def gone(equipment: Equipment, agenda: Agenda) -> None:
        disk.gone = True
        read_again(equipment, agenda)

    monkeypatch.setattr(examine_module, "read_again", gone)
    case = Run(image, tmp_path / "case")
    with pytest.raises(EvidenceLostError):
        case.examine()
    gathered = case.gathered()
    assert len(gathered.deferred) == 1
    assert case.outcomes(_DOCUMENT) == [RescueOutcome.INCOMPLETE]
    assert disk.tries < 100


def test_what_a_resumed_run_reads_whole_is_no_longer_a_gap(
    image: Path, places: Places, disk: FaultyDisk, tmp_path: Path
) -> None:
    """A better cable: a user's file of which nothing could be read is tried again, and the account tells the last."""
    whole = Run(image, tmp_path / "whole").examine()
    start = places.first[_PDF]
    disk.bad = [range(start, start + places.sizes[_PDF] + _SECTOR)]
    case = Run(image, tmp_path / "case")
    failed = case.examine()
    assert states(failed)[StreamState.PARTIAL] == 1
    assert case.outcomes(_PDF) == [RescueOutcome.FAILED]
    assert [gap.kind for gap in case.gaps(_PDF)] == [GapKind.READ_ERROR]
    disk.bad = []
    resumed = case.examine(resumed=True)
    assert (states(resumed), resumed.bytes_read) == (states(whole), whole.bytes_read)
    assert set(resumed.gaps) == set(whole.gaps)
    digests_of = [set(stream_digests(tmp_path / one / JOURNAL_NAME)) for one in ("case", "whole")]
    assert digests_of[0] == digests_of[1]


@pytest.mark.parametrize("reads", [25, 40, 60, 80, 120])
def test_wherever_a_disk_vanishes_the_account_adds_up(
    image: Path, disk: FaultyDisk, tmp_path: Path, reads: int
) -> None:
    case = Run(image, tmp_path / "case")
    whole = Run(image, tmp_path / "whole").examine()
    disk.reads_left = reads
    try:
        case.examine()
    except EvidenceLostError:
        assert disk.gone
    disk.gone, disk.reads_left = False, None
    resumed = case.examine(resumed=True)
    assert states(resumed) == states(whole)
    assert resumed.bytes_read == whole.bytes_read
    assert set(resumed.gaps) == set(whole.gaps)
    assert {file.path: file.outcome for file in resumed.rescued.values()} == {
        file.path: file.outcome for file in whole.rescued.values()
    }


@needs_root()
@needs_tool("mkntfs", "ntfs-3g")
@needs_device("/dev/fuse")
@pytest.mark.parametrize("during", [(HeldPieces, "take"), (Tracer, "trace")], ids=["piece", "trace"])
def test_evidence_lost_at_any_moment_leaves_the_other_evidence_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: tuple[type, str]
) -> None:
    """While a piece of a fragmented file is read ahead, or a change journal."""
    lost, kept = (sparse(tmp_path / name, 24 << 20) for name in ("lost.img", "kept.img"))
    for image in (lost, kept):
        run("mkntfs", "-F", "-Q", "-q", "-c", "4096", image)
        with mount_for_writing(image) as root, (root / "a.dat").open("wb", 0) as a, (root / "b.dat").open("wb", 0) as b:
            for number in range(8):
                file = (a, b)[number % 2]
                file.write(os.urandom(300 << 10))
                os.fsync(file.fileno())
    add_journal(lost, journal([LabChange(name="gone.txt")] * 20_000), 0)
    disk = FaultyDisk(monkeypatch, errno.ENODEV)
    disk.image = lost
    owner, name = during
    method = getattr(owner, name)

    def losing(self: object, one: Piece | Survey) -> None:
        disk.gone = True
        method(self, one)

    monkeypatch.setattr(owner, name, losing)
    folder = tmp_path / "case"
    folder.mkdir()
    job = Job(evidence=(str(lost), str(kept)), case_folder=str(folder), rescue_to=None)
    with pytest.raises(EvidenceLostError):
        examine(job, Board.create())
    assert disk.tries > 0
    gathered = gather(folder / JOURNAL_NAME)
    (row,) = [row for row in gathered.account.close(gathered.enumerations.values())[0] if row.volume == "v2"]
    assert row.streams_by_state.get(StreamState.INTERRUPTED, 0) == 0
    assert row.streams_by_state[StreamState.READ] > 10


def test_an_unreadable_bitmap_of_records_is_told(image: Path, places: Places, disk: FaultyDisk, tmp_path: Path) -> None:
    disk.bad = sectors(places.bitmap)
    case = Run(image, tmp_path / "case")
    gathered = case.examine()
    (enumeration,) = gathered.enumerations.values()
    assert enumeration.reconciliation.bitmap_bits is None
    assert enumeration.reconciliation.streams == enumeration.reconciliation.data_attributes
    assert [gap.detail for gap in gathered.gaps if gap.kind is GapKind.MFT_BITMAP] == ["$MFT:$BITMAP is unreadable"]


def test_records_that_become_readable_are_enumerated_as_ever(
    image: Path, places: Places, disk: FaultyDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece of `$MFT` is put off, and the rest parsed first; rows keep their order."""
    whole = Run(image, tmp_path / "whole").examine()
    disk.bad = sectors(places.record(80), places.record(90) + _SECTOR)
    order: list[int] = []
    blocks = NtfsVolume.mft_blocks

    def noted(volume: NtfsVolume) -> Iterator[object]:
        for block in blocks(volume):
            order.append(block[0])
            if len(order) == 1:
                disk.bad = []
            yield block

    monkeypatch.setattr(NtfsVolume, "mft_blocks", noted)
    case = Run(image, tmp_path / "case")
    healed = case.examine()
    assert len(order) > 1
    assert order[-1] > 0
    assert healed.gaps == whole.gaps
    assert states(healed) == states(whole)
    assert healed.enumerations == whole.enumerations
