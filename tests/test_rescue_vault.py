"""The vault: what is reported as rescued is there, whole, under its name; everything else says why not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.rescue_samples import ACCESSED, MODIFIED, MODIFIED_UNIX_NS, save, save_all, sha256, subject
from triage.model.content import ContentJudgement
from triage.model.entry import FileTimes
from triage.model.errors import ReportError, RescueError
from triage.model.rescue import RescuedFile, RescueOutcome
from triage.rescue.committer import BatchLimits
from triage.rescue.filesystem import FileSystem, rename_without_replacing
from triage.rescue.namemap import NAME_MAP, encode_line, read_lines
from triage.rescue.staging import STAGING
from triage.rescue.vault import Vault

FILES = {f"Users/Li/Documents/folder {n % 3}/报告 {n}.docx": f"content {n}".encode() * (n + 1) for n in range(20)}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return tmp_path / "bag"


@pytest.fixture
def records() -> list[RescuedFile]:
    return []


@pytest.fixture
def vault(bag: Path, records: list[RescuedFile]) -> Vault:
    return Vault(bag, on_record=records.append)


def outcomes(records: Iterable[RescuedFile]) -> dict[str, RescueOutcome]:
    return {record.path: record.outcome for record in records}


def payload(bag: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(bag / "data/v1")): path.read_bytes() for path in bag.glob("data/**/*") if path.is_file()
    }


def test_files_lie_in_the_bag_with_their_paths_content_and_times(
    vault: Vault, bag: Path, records: list[RescuedFile]
) -> None:
    save_all(vault, FILES)
    vault.close()
    assert payload(bag) == FILES
    assert {record.path: (record.outcome, record.sha256, record.size_bytes) for record in records} == {
        path: (RescueOutcome.RESCUED, sha256(data), len(data)) for path, data in FILES.items()
    }
    for record in records:
        assert (bag / record.bag_path).stat().st_mtime_ns == MODIFIED_UNIX_NS
        assert (bag / record.bag_path).read_bytes() == FILES[record.path]
    assert not (bag / STAGING).exists()


def test_name_map_keeps_what_the_destination_cannot(vault: Vault, bag: Path) -> None:
    save(vault, "d/a\u0001%.txt", b"hello", stream="other")
    vault.close()
    (line,) = read_lines(bag)
    assert (line.path, line.stream, line.mft_entry, line.dos_attributes) == ("d/a\u0001%.txt", "other", 77, 0x22)
    assert line.si == FileTimes(MODIFIED - 1, MODIFIED, MODIFIED + 1, ACCESSED)
    assert (bag / line.bag_path).read_bytes() == b"hello"


@pytest.mark.parametrize(
    ("judgement", "outcome"),
    [
        (ContentJudgement.PLAIN, RescueOutcome.RESCUED),
        (ContentJudgement.EMPTY, RescueOutcome.RESCUED),
        (ContentJudgement.CONTRADICTS_TYPE, RescueOutcome.DOUBTFUL),
        (ContentJudgement.PREPARED, RescueOutcome.RECOVERABLE),
        (ContentJudgement.ENCRYPTED, RescueOutcome.ENCRYPTED),
        (ContentJudgement.ENCRYPTED_TRUNCATED, RescueOutcome.ENCRYPTED),
        (ContentJudgement.FILLER, RescueOutcome.ENCRYPTED),
    ],
)
def test_judgement_decides_the_outcome(
    vault: Vault, bag: Path, records: list[RescuedFile], judgement: ContentJudgement, outcome: RescueOutcome
) -> None:
    data = b"" if judgement is ContentJudgement.EMPTY else b"some"
    save(vault, "a.doc", data, judgement)
    vault.close()
    (record,) = records
    assert record.outcome is outcome
    assert payload(bag) == ({} if outcome is RescueOutcome.ENCRYPTED else {"a.doc": data})


@pytest.mark.parametrize("complete", [True, False])
def test_copy_in_part_is_incomplete(vault: Vault, bag: Path, records: list[RescuedFile], complete: bool) -> None:
    copy = vault.open(subject("a.doc", 10))
    assert copy is not None
    copy.write(memoryview(b"seven b"))
    copy.finish(sha256(b"seven b"), ContentJudgement.PLAIN, complete=complete)
    vault.close()
    assert outcomes(records) == {"a.doc": RescueOutcome.INCOMPLETE}
    assert records[0].detail.startswith("7 of 10 bytes; its end could not be read and is missing")
    assert payload(bag) == {"a.doc": b"seven b"}


def test_copy_with_zeros_for_what_could_not_be_read_is_incomplete(vault: Vault, records: list[RescuedFile]) -> None:
    copy = vault.open(subject("a.doc", 4))
    assert copy is not None
    copy.write(memoryview(b"a\0\0d"))
    copy.finish(sha256(b"a\0\0d"), ContentJudgement.PLAIN, complete=False)
    vault.close()
    assert [one.detail for one in records] == ["4 of 4 bytes; what could not be read is zeros"]


def test_abandoned_copy_leaves_nothing(vault: Vault, bag: Path, records: list[RescuedFile]) -> None:
    copy = vault.open(subject("virus.doc"))
    assert copy is not None
    copy.write(memoryview(b"12345"))
    copy.abandon(RescueOutcome.QUARANTINED, "matches an indicator")
    copy.write(memoryview(b"more"))
    copy.finish(sha256(b"12345"), ContentJudgement.PLAIN, complete=True)
    assert outcomes(records) == {"virus.doc": RescueOutcome.QUARANTINED}
    vault.record(subject("other.doc"), RescueOutcome.FAILED, "unreadable")
    vault.close()
    assert outcomes(records) == {"virus.doc": RescueOutcome.QUARANTINED, "other.doc": RescueOutcome.FAILED}
    assert payload(bag) == {}


def test_digest_other_than_that_of_the_evidence_is_found_when_read_back(
    vault: Vault, bag: Path, records: list[RescuedFile]
) -> None:
    copy = vault.open(subject("a.doc"))
    assert copy is not None
    copy.write(memoryview(b"12345"))
    copy.finish(sha256(b"12346"), ContentJudgement.PLAIN, complete=True)
    save(vault, "b.doc", b"good")
    vault.close()
    assert outcomes(records) == {"a.doc": RescueOutcome.FAILED, "b.doc": RescueOutcome.RESCUED}
    assert "reads back differently" in records[0].detail
    assert payload(bag) == {"b.doc": b"good"}


def test_copy_that_changes_before_the_commit_is_found(vault: Vault, bag: Path, records: list[RescuedFile]) -> None:
    save(vault, "a.doc", b"x" * 10_000)
    (part,) = (bag / STAGING).glob("*/*.part")
    with part.open("r+b") as other:
        other.seek(5000)
        other.write(b"y")
    vault.close()
    assert outcomes(records) == {"a.doc": RescueOutcome.FAILED}
    assert payload(bag) == {}


def test_file_that_is_too_large_for_the_destination(bag: Path, records: list[RescuedFile]) -> None:
    vault = Vault(bag, on_record=records.append, max_file_bytes=9)
    assert vault.open(subject("large.iso", 10)) is None
    save(vault, "small.doc", b"x" * 9)
    vault.close()
    assert outcomes(records) == {"large.iso": RescueOutcome.FAILED, "small.doc": RescueOutcome.RESCUED}
    assert "no file over 9 bytes" in records[0].detail


def test_time_that_no_destination_can_hold_does_no_harm(vault: Vault, bag: Path) -> None:
    copy = vault.open(subject("a.doc", 1, modified=2**63 - 1))
    assert copy is not None
    copy.write(memoryview(b"x"))
    copy.finish(sha256(b"x"), ContentJudgement.PLAIN, complete=True)
    vault.close()
    assert payload(bag) == {"a.doc": b"x"}


def test_foreign_file_in_the_bag_is_never_overwritten(vault: Vault, bag: Path, records: list[RescuedFile]) -> None:
    (bag / "data/v1").mkdir()
    (bag / "data/v1/a.doc").write_bytes(b"foreign")
    save(vault, "a.doc", b"ours")
    vault.close()
    assert payload(bag) == {"a.doc": b"foreign", "renamed/mft-77.doc": b"ours"}
    assert records[0].bag_path == "data/v1/renamed/mft-77.doc"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENAMETOOLONG, errno.EPERM])
def test_name_that_the_destination_refuses_is_kept_in_the_map_alone(
    vault: Vault, bag: Path, records: list[RescuedFile], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refusing(source: Path, target: Path) -> None:
        if not target.name.isascii():
            raise OSError(number, os.strerror(number))
        rename_without_replacing(source, target)

    monkeypatch.setattr("triage.rescue.committer.rename_without_replacing", refusing)
    save_all(vault, {"d/报告.docx": b"report"})
    vault.close()
    assert payload(bag) == {"renamed/mft-77.docx": b"report"}
    assert records[0].bag_path == "data/v1/renamed/mft-77.docx"
    assert {line.bag_path: line.path for line in read_lines(bag)}[records[0].bag_path] == "d/报告.docx"


class SyncCounter:
    """Counts the syncs, and how many copies stood under temporary names at each."""

    def __init__(self, bag: Path) -> None:
        self.parts_waiting: list[int] = []
        self._bag = bag
        self._sync = FileSystem.sync

    def sync(self, filesystem: FileSystem, new_files: Iterable[Path]) -> None:
        self.parts_waiting.append(len(list((self._bag / STAGING).glob("*/*.part"))))
        self._sync(filesystem, new_files)


@pytest.fixture
def counter(bag: Path, monkeypatch: pytest.MonkeyPatch) -> SyncCounter:
    counter = SyncCounter(bag)
    monkeypatch.setattr(FileSystem, "sync", lambda *arguments: counter.sync(*arguments))
    return counter


def test_many_small_files_share_a_sync(bag: Path, records: list[RescuedFile], counter: SyncCounter) -> None:
    vault = Vault(bag, on_record=records.append, limits=BatchLimits(files=100, seconds=3600))
    save_all(vault, {f"{n}.txt": b"x" for n in range(1000)})
    vault.close()
    assert len(records) == 1000
    assert len(counter.parts_waiting) <= 11


def test_readers_wait_while_the_destination_is_behind(
    bag: Path, records: list[RescuedFile], counter: SyncCounter
) -> None:
    vault = Vault(bag, on_record=records.append, limits=BatchLimits(files=2, seconds=3600))
    files = [{f"{thread}/{n}.txt": b"x" for n in range(60)} for thread in range(2)]
    in_threads(*(lambda files=each: save_all(vault, files) for each in files))
    vault.close()
    assert payload(bag) == files[0] | files[1]
    assert len(records) == 120
    # At most: a batch being committed, two that wait (and are taken as one), one copy in the hands of each
    # thread.
    assert max(counter.parts_waiting) <= 4 + 4 + 2


def in_threads(*calls: Callable[[], None]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_finished_copies_are_committed_without_being_asked(bag: Path) -> None:
    reported = threading.Event()
    vault = Vault(bag, on_record=lambda _: reported.set(), limits=BatchLimits(seconds=0.01))
    save(vault, "a.doc", b"x")
    assert reported.wait(60)
    vault.close()


def test_nothing_is_reported_before_its_name_is_durable(
    bag: Path, records: list[RescuedFile], counter: SyncCounter
) -> None:
    syncs_at_report: list[int] = []
    vault = Vault(bag, on_record=lambda _: syncs_at_report.append(len(counter.parts_waiting)))
    save(vault, "a.doc", b"x")
    vault.close()
    assert syncs_at_report == [2]


def test_failed_sync_fails_what_hangs_on_it_and_ends_the_rescue(
    bag: Path, records: list[RescuedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = threading.Event()

    def report(record: RescuedFile) -> None:
        records.append(record)
        reported.set()

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    vault = Vault(bag, on_record=report, limits=BatchLimits(seconds=0.01))
    monkeypatch.setattr(FileSystem, "sync", fail)
    save(vault, "a.doc", b"x")
    assert reported.wait(60)
    with pytest.raises(RescueError, match="cannot be written: Input/output error"):
        vault.open(subject("b.doc"))
    with pytest.raises(RescueError, match="cannot be written: Input/output error"):
        vault.close()
    assert outcomes(records) == {"a.doc": RescueOutcome.FAILED, "b.doc": RescueOutcome.FAILED}
    assert payload(bag) == {}


def test_name_map_that_cannot_be_written_keeps_no_half_lines(
    bag: Path, records: list[RescuedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device fills up in the middle of the lines: they are taken back, their files fail, the rest stands."""
    reported = threading.Event()

    def report(record: RescuedFile) -> None:
        records.append(record)
        reported.set()

    vault = Vault(bag, on_record=report, limits=BatchLimits(files=1, seconds=0.01))
    write = os.write
    map_writes = 0

    def write_until_full(descriptor: int, data: bytes) -> int:
        nonlocal map_writes
        if Path(f"/proc/self/fd/{descriptor}").resolve() != bag / NAME_MAP:
            return write(descriptor, data)
        map_writes += 1
        if map_writes > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data if map_writes == 1 else data[:20])

    monkeypatch.setattr(os, "write", write_until_full)
    save(vault, "a.doc", b"x")
    assert reported.wait(60)
    save(vault, "b.doc", b"y")
    with pytest.raises(RescueError, match="is full"):
        vault.close()
    assert outcomes(records) == {"a.doc": RescueOutcome.RESCUED, "b.doc": RescueOutcome.FAILED}
    assert [line.path for line in read_lines(bag)] == ["a.doc"]
    assert payload(bag) == {"a.doc": b"x"}


def test_journal_that_cannot_be_written_ends_the_rescue(bag: Path) -> None:
    """Reader threads must not wait for a committer that has given up."""

    def report(_: RescuedFile) -> None:
        raise ReportError("the journal is full")

    vault = Vault(bag, on_record=report, limits=BatchLimits(files=1, seconds=3600))
    with pytest.raises(ReportError, match="the journal is full"):
        save_all(vault, {f"{n}.doc": b"x" for n in range(100)})
    with pytest.raises(ReportError, match="the journal is full"):
        vault.close()
    assert not (bag / STAGING).exists()


def test_program_that_fails_without_closing_its_rescue_ends(bag: Path) -> None:
    program = (
        "from pathlib import Path; from triage.rescue.vault import Vault; Vault(Path({!r}), on_record=print); 1 / 0"
    )
    ended = subprocess.run((sys.executable, "-c", program.format(str(bag))), capture_output=True, text=True, timeout=60)
    assert "ZeroDivisionError" in ended.stderr


def test_sync_that_fails_once_is_tried_again(
    bag: Path, records: list[RescuedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(bag, on_record=records.append)
    failures = [OSError(errno.EIO, "once")]
    sync = FileSystem.sync

    def fail_once(filesystem: FileSystem, new_files: Iterable[Path]) -> None:
        if failures:
            raise failures.pop()
        sync(filesystem, new_files)

    monkeypatch.setattr(FileSystem, "sync", fail_once)
    save(vault, "a.doc", b"x")
    vault.close()
    assert outcomes(records) == {"a.doc": RescueOutcome.RESCUED}


def test_destination_that_is_not_empty_is_refused(bag: Path) -> None:
    bag.mkdir()
    (bag / "something").touch()
    with pytest.raises(RescueError, match="is not empty"):
        Vault(bag, on_record=print)


def test_destination_whose_parent_is_missing_is_refused(bag: Path) -> None:
    with pytest.raises(RescueError, match="No such file or directory"):
        Vault(bag / "deeper", on_record=print)


def test_second_rescue_into_the_same_bag_is_refused(vault: Vault, bag: Path) -> None:
    with pytest.raises(RescueError, match="another rescue"):
        Vault(bag, on_record=print, resume=True)
    save(vault, "a.doc", b"x")
    vault.close()
    assert payload(bag) == {"a.doc": b"x"}


def test_resumed_rescue_redoes_only_what_is_not_done(bag: Path, vault: Vault, records: list[RescuedFile]) -> None:
    save(vault, "a.doc", b"first")
    vault.record(subject("b.doc"), RescueOutcome.INTERRUPTED)
    vault.record(subject("c.doc"), RescueOutcome.ENCRYPTED)
    vault.close()
    again: list[RescuedFile] = []
    resumed = Vault(bag, on_record=again.append, resume=True, done=records)
    assert resumed.open(subject("a.doc")) is None
    assert resumed.open(subject("c.doc")) is None
    save_all(resumed, {"b.doc": b"second", "A.DOC": b"third"})
    resumed.close()
    assert outcomes(again) == {"b.doc": RescueOutcome.RESCUED, "A.DOC": RescueOutcome.RESCUED}
    assert payload(bag) == {"a.doc": b"first", "b.doc": b"second", "A~2.DOC": b"third"}


def test_of_two_lines_for_one_place_the_later_holds(bag: Path, vault: Vault) -> None:
    save(vault, "a.doc", b"second try")
    vault.close()
    (line,) = read_lines(bag)
    (bag / NAME_MAP).write_bytes(encode_line(replace(line, sha256=sha256(b"first try"))) + encode_line(line))
    found: list[RescuedFile] = []
    Vault(bag, on_record=found.append, resume=True).close()
    assert outcomes(found) == {"a.doc": RescueOutcome.RESCUED}
    assert payload(bag) == {"a.doc": b"second try"}


def test_what_was_committed_but_not_reported_is_checked_and_reported(bag: Path, vault: Vault) -> None:
    save_all(vault, {"good.doc": b"good", "bad.doc": b"bad!"})
    vault.close()
    (bag / "data/v1/bad.doc").write_bytes(b"not what it was")
    (bag / STAGING / "0").mkdir(parents=True)
    (bag / STAGING / "0" / "7.part").write_bytes(b"half a fi")
    with (bag / NAME_MAP).open("ab") as lines:
        lines.write(b'{"volume":"v1","path":"torn')
    found: list[RescuedFile] = []
    resumed = Vault(bag, on_record=found.append, resume=True)
    assert outcomes(found) == {"good.doc": RescueOutcome.RESCUED}
    assert payload(bag) == {"good.doc": b"good"}
    save_all(resumed, {"good.doc": b"good", "bad.doc": b"bad!"})
    resumed.close()
    assert outcomes(found) == {"good.doc": RescueOutcome.RESCUED, "bad.doc": RescueOutcome.RESCUED}
    assert len(found) == 2
    assert payload(bag) == {"good.doc": b"good", "bad.doc": b"bad!"}
