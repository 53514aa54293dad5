"""The coverage ledger: each stream in one state, each volume's sum held against both independent counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import Case, case_of, examine_here, run_case
from tests.conftest import LabDisk
from tests.lab.disk import DiskSpec
from triage.examiners.digest import DigestExaminer
from triage.examiners.yara_scan import YaraExaminer
from triage.model.entry import StreamForm, StreamState, Subject
from triage.model.finding import Finding, FindingKind
from triage.model.gap import Gap, GapKind, Where
from triage.model.ledger import VolumeLedger, gap_of
from triage.model.report import Reconciliation, Witness
from triage.model.verdict import Outcome, Stage
from triage.pipeline.gathered import gather, stream_digests
from triage.pipeline.journal import JOURNAL_NAME, EnumerationRecord, GapRecord, JournalWriter, StreamRecord
from triage.pipeline.ledger import Account
from triage.verdict.materiality import MATERIAL

_SPECS = [*(DiskSpec(stage=stage) for stage in Stage), DiskSpec(oddities=True)]
_DOCUMENT = "Users/alice/Documents/contract.pdf"
_STREAM_BYTES = 100


def check(row: VolumeLedger, case: Case) -> None:
    """Check that one volume's account is that of its streams, and agrees with both witnesses."""
    streams = [one for one in case.streams if one.volume == row.volume]
    assert row.streams_by_state == Counter(one.state.value for one in streams)
    assert row.streams == sum(row.streams_by_state.values()) == len(streams)
    assert row.bytes == sum(row.bytes_by_state.values()) == sum(one.size_bytes for one in streams)
    assert row.streams_by_state.keys() == row.bytes_by_state.keys()
    assert row.streams == row.enumerated == row.data_attributes
    assert row.records == row.bitmap_bits
    assert row.balanced is True


@pytest.mark.parametrize("spec", _SPECS, ids=lambda spec: f"{spec.stage.name}{'-odd' * spec.oddities}".lower())
def test_each_stream_ends_in_one_state_and_the_sum_is_that_of_both_witnesses(lab_disk: LabDisk, spec: DiskSpec) -> None:
    case = case_of(lab_disk(spec=spec))
    (row,) = case.report.coverage.ledger
    check(row, case)
    assert case.gaps(GapKind.LEDGER) == []


def test_each_volume_has_an_account_of_its_own(lab_disk: LabDisk, tmp_path: Path) -> None:
    disks = [lab_disk(Stage.NONE), lab_disk(Stage.ENCRYPTING)]
    case = run_case([disk.image for disk in disks], tmp_path / "case", rescue=False)
    coverage = case.report.coverage
    assert [row.volume for row in coverage.ledger] == ["v1", "v2"]
    for row in coverage.ledger:
        check(row, case)
    assert coverage.streams_by_state == Counter(one.state.value for one in case.streams)
    assert sum(coverage.bytes_by_state.values()) == coverage.bytes_total


def test_every_state_that_lacks_something_has_a_gap_of_its_kind(lab_disk: LabDisk) -> None:
    """And what was not read is told to the byte."""
    case = case_of(lab_disk(spec=DiskSpec(oddities=True)))
    states = set()
    for one in case.streams:
        there = [gap for gap in case.report.gaps if (gap.where.path, gap.where.stream or "") == (one.path, one.stream)]
        gaps = [gap for gap in there if gap.kind is not GapKind.NOT_RESCUED]
        kind = gap_of(one.state)
        assert (kind is None) == (gaps == []), ascii(one.path)
        if kind is not None:
            states.add(one.state)
            assert sum(gap.bytes or 0 for gap in gaps) == one.size_bytes - one.bytes_read
    assert states >= {StreamState.EFS_ENCRYPTED, StreamState.REPARSE_POINT}


def test_every_state_says_what_it_costs() -> None:
    told = {state: gap_of(state) for state in StreamState}
    whole = {state for state, kind in told.items() if kind is None}
    assert whole == {StreamState.READ, StreamState.KNOWN_GOOD, StreamState.SPARSE_SYSTEM}
    immaterial = {state for state, kind in told.items() if kind is not None and not MATERIAL[kind]}
    assert immaterial == {StreamState.REPARSE_POINT}


def _enumeration(streams: int, counted: int | None, *, records: int = 9, bits: int | None = 9) -> EnumerationRecord:
    seen = Reconciliation(
        volume="v1", base_records=records, extension_records=0, unreadable_records=0, bitmap_bits=bits,
        streams=streams, data_attributes=counted, deleted_entries=0, orphans=0,
        counted_by=None if counted is None else Witness.SLEUTH_KIT,
    )  # fmt: skip
    return EnumerationRecord(seen, streams * _STREAM_BYTES)


def _record(number: int, state: StreamState) -> StreamRecord:
    form = StreamForm.PLAIN
    return StreamRecord("v1", number, "", 0, f"a/{number}", state, form, _STREAM_BYTES, 0, False, "", "")


def _closed(states: list[StreamState], enumeration: EnumerationRecord) -> tuple[VolumeLedger, list[Gap]]:
    account = Account()
    for number, state in enumerate(states):
        account.add(_record(number, state))
    (row,), gaps = account.close([enumeration])
    return row, gaps


@given(st.lists(st.sampled_from(StreamState), max_size=40), st.integers(0, 5))
def test_what_has_no_record_was_not_reached(states: list[StreamState], missing: int) -> None:
    count = len(states) + missing
    row, gaps = _closed(states, _enumeration(count, count))
    assert row.streams == sum(row.streams_by_state.values()) == count
    assert row.bytes == count * _STREAM_BYTES
    expected = Counter(state.value for state in states) + Counter({"interrupted": missing})
    assert row.streams_by_state == expected
    assert row.balanced is True
    told = {gap.kind: gap.bytes for gap in gaps}
    of_volume = {state: kind for state in (StreamState.EXCLUDED, StreamState.INTERRUPTED) if (kind := gap_of(state))}
    assert told == {kind: expected[state] * _STREAM_BYTES for state, kind in of_volume.items() if expected[state]}


@pytest.mark.parametrize("repeat", [0, 1])
def test_a_stream_that_a_resumed_run_reads_whole_counts_as_that(tmp_path: Path, repeat: int) -> None:
    """Its gaps go with its first state, unless another stream of its name shares their place.

    What the enumeration says of its run list, as that its clusters are another's too, stays.
    """
    where = Where(volume="v1", path="a/1", mft_entry=1)
    linked = Gap(kind=GapKind.RUN_LIST, detail="", where=where)
    cut = Gap(kind=GapKind.RUN_LIST, detail="", where=msgspec.structs.replace(where, offset_bytes=50))
    kept = Gap(kind=GapKind.WORKER_DIED, detail="", where=msgspec.structs.replace(where, mft_entry=2))
    died, other = _record(1, StreamState.WORKER_DIED), _record(2, StreamState.WORKER_DIED)
    whole = msgspec.structs.replace(
        died, state=StreamState.READ, bytes_read=_STREAM_BYTES, sha256="5a" * 32, md5="5a" * 16
    )
    journal = JournalWriter(tmp_path / JOURNAL_NAME)
    gone = Gap(kind=GapKind.WORKER_DIED, detail="", where=where)
    for record in (GapRecord(linked), GapRecord(cut), GapRecord(gone), died, GapRecord(kept), other, whole, died):
        journal.add(record)
    if repeat:
        journal.add(msgspec.structs.replace(died, repeat=repeat))
    journal.close()
    gathered = gather(tmp_path / JOURNAL_NAME)
    (row,), _gaps = gathered.account.close([_enumeration(2 + repeat, 2 + repeat)])
    assert row.streams_by_state == {"read": 1, "worker-died": 1 + repeat}
    assert list(gathered.gaps) == ([linked, cut, gone, kept] if repeat else [linked, kept])
    assert gathered.bytes_read == _STREAM_BYTES
    assert [one.name for one in stream_digests(tmp_path / JOURNAL_NAME)] == ["v1/a/1"]


@pytest.mark.parametrize(
    ("enumeration", "differences", "balanced"),
    [
        (_enumeration(3, 3), [], True),
        (_enumeration(3, 5), ["differ by 2"], False),
        (_enumeration(3, 1, bits=12), ["differ by 2", "differ by 3"], False),
        (_enumeration(3, 3, bits=8), ["differ by 1"], False),
        (_enumeration(2, 2), ["differ by 1", "differ by 1"], False),  # more records than streams
        (_enumeration(3, None), [], None),
        (_enumeration(3, 3, bits=None), [], None),
        (_enumeration(3, None, bits=8), ["differ by 1"], False),
    ],
)
def test_what_does_not_add_up_is_a_material_gap_that_says_by_how_much(
    enumeration: EnumerationRecord, differences: list[str], balanced: bool | None
) -> None:
    row, gaps = _closed([StreamState.READ] * 3, enumeration)
    assert row.balanced is balanced
    assert [gap.kind for gap in gaps] == [GapKind.LEDGER] * len(differences)
    assert [gap.detail[gap.detail.index("differ by") :] for gap in gaps] == differences
    assert MATERIAL[GapKind.LEDGER]


def _of_document(method: Callable[..., None], then: Callable[[YaraExaminer, memoryview], None]) -> Callable[..., None]:
    """Return an examiner's `feed` that does something else with one document."""

    def feed(self: YaraExaminer, window: memoryview, offset_bytes: int, fresh: int) -> None:
        method(self, window, offset_bytes, fresh)
        if self._subject is not None and self._subject.path == _DOCUMENT:
            then(self, window)

    return feed


def _run_out_of_time(examiner: YaraExaminer, window: memoryview) -> None:
    examiner._gaps.append(examiner._gap(GapKind.YARA_TIMEOUT, "rules took longer than 60 s", window, 0))


def test_a_stream_on_which_yara_ran_out_of_time_keeps_its_digests(
    lab_disk: LabDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = lab_disk(Stage.NONE)
    monkeypatch.setattr(YaraExaminer, "feed", _of_document(YaraExaminer.feed, _run_out_of_time))
    case = examine_here(disk.image, tmp_path / "case")
    (one,) = [one for one in case.streams if one.path == _DOCUMENT]
    assert (one.state, one.bytes_read) == (StreamState.TIMED_OUT, one.size_bytes)
    assert one.sha256 == disk.stream(_DOCUMENT).sha256
    (row,) = case.report.coverage.ledger
    check(row, case)
    assert row.streams_by_state["timed-out"] == 1
    assert [gap.where.path for gap in case.gaps(GapKind.YARA_TIMEOUT)] == [_DOCUMENT]
    assert case.report.verdict.outcome is Outcome.INCONCLUSIVE


def test_a_stream_on_which_the_program_fails_counts_as_not_examined(
    lab_disk: LabDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = DigestExaminer.begin

    def fail(self: DigestExaminer, subject: Subject) -> None:
        begin(self, subject)
        if subject.path == _DOCUMENT:
            raise RuntimeError("a fault of ours")

    monkeypatch.setattr(DigestExaminer, "begin", fail)
    case = examine_here(lab_disk(Stage.NONE).image, tmp_path / "case")
    (row,) = case.report.coverage.ledger
    check(row, case)
    assert row.streams_by_state["worker-died"] == 1
    assert [gap.where.path for gap in case.gaps(GapKind.INTERNAL)] == [_DOCUMENT]


@pytest.fixture
def on_list(lab_disk: LabDisk, tmp_path: Path) -> Callable[[str], Case]:
    """Examine a healthy disk with one document on the list of good files, and a rule that hits it."""
    disk = lab_disk(Stage.NONE)
    rule, good = tmp_path / "hit.yar", tmp_path / "good.txt"
    rule.write_text('rule Hit { strings: $pdf = "%PDF-" condition: $pdf at 0 }')

    def examined(path: str) -> Case:
        good.write_text(f"{disk.stream(path).sha256}\n")
        return examine_here(disk.image, tmp_path / "case", rules=(str(rule),), known_good=(str(good),))

    return examined


def test_a_known_good_stream_is_read_and_left_out_of_what_yara_says(on_list: Callable[[str], Case]) -> None:
    case = on_list(_DOCUMENT)
    (row,) = case.report.coverage.ledger
    check(row, case)
    known_good = [one for one in case.streams if one.state is StreamState.KNOWN_GOOD]
    assert _DOCUMENT in {one.path for one in known_good}
    assert all(one.sha256 and one.bytes_read == one.size_bytes for one in known_good)
    coverage = case.report.coverage
    assert coverage.known_good_streams == coverage.streams_by_state["known-good"] == len(known_good)
    assert coverage.known_good_dropped == sum(one.dropped for one in known_good) > 0
    hits: list[Finding] = [one for one in case.findings(FindingKind.YARA) if one.indicator == "Hit"]
    assert {one.where.path for one in hits} & {one.path for one in known_good} == set()
    assert case.report.gaps == ()
