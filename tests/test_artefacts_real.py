"""Event logs and prefetch files of real computers: what other parsers say of them, and no false alarm."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from evtx import PyEvtxParser
from msgspec.structs import replace

from tests.needs import data_path, needs_data
from tests.test_event_examiner import KNOWN, SUBJECT
from triage.artefacts.event_chunk import CHUNK_BYTES, FILE_HEADER_BYTES, LogDamage, checksums_hold, read_chunk_header
from triage.artefacts.event_columns import read_columns
from triage.artefacts.event_log import Wanted, read_event_log
from triage.artefacts.event_record import EventRecord
from triage.artefacts.prefetch import read_prefetch
from triage.examiners.artefact_file import Surroundings
from triage.examiners.event_logs import examine_event_log
from triage.examiners.old_event_logs import examine_old_event_log
from triage.examiners.prefetch import examine_prefetch
from triage.examiners.service_events import SERVICE_EVENTS
from triage.examiners.system_events import SYSTEM_EVENTS
from triage.model.event import EventKind
from triage.model.told import Told

SOUND = (
    "plaso/System.evtx.xz",
    "velociraptor/RDPAuth_System.evtx.xz",
    "evtx-omerbenamram/system.evtx.xz",
    "evtx-python-evtx/issue_43.evtx.xz",
    "evtx-python-evtx/dns_log_malformed.evtx.xz",
    "evtx-hayabusa/ID7045-7036_PSexec_service_installation.evtx.xz",
    "evtx-hayabusa/ID7045-Random_service_installation.evtx.xz",
    "evtx-hayabusa/LM_Remote_Service02_7045.evtx.xz",
    "evtx-hayabusa/System_7045_namedpipe_privesc.evtx.xz",
)
DAMAGED = (
    "evtx-omerbenamram/2-vss_7-System.evtx.xz",
    "plaso/System2.evtx.xz",
    "evtx-omerbenamram/sample-with-zero-data-size-event.evtx.xz",
    "evtx-omerbenamram/sample_with_a_bad_chunk_magic.evtx.xz",
    "evtx-omerbenamram/security_bad_string_cache.evtx.xz",
    "evtx-omerbenamram/sysmon.evtx.xz",
)
COUNTS = {
    "plaso/System.evtx.xz": {7045: 12, 6005: 5},
    "velociraptor/RDPAuth_System.evtx.xz": {104: 1, 6005: 1},
    "evtx-omerbenamram/system.evtx.xz": {7045: 57, 104: 2, 6005: 3},
    "evtx-hayabusa/ID7045-7036_PSexec_service_installation.evtx.xz": {7045: 1, 104: 1},
    "evtx-hayabusa/LM_Remote_Service02_7045.evtx.xz": {7045: 3},
}
"""How many records other parsers count of an event that one provider only uses."""
PREFETCH = "ez-prefetch/ez-prefetch.tar.xz"
XP_LOG = "plaso/SysEvent.Evt.xz"
LONGEST_PROGRAM = 29  # of a longer name Windows keeps so many letters
RUN_COUNTS = {
    "Win10_CHROME.EXE-B3BA7868.pf": 20,
    "Win10_DEVENV.EXE-854D7862.pf": 54,
    "XPPro_CALC.EXE-02CD573A.pf": 3,
    "Win2k3_CMD.EXE-087B4001.pf": 3,
    "Win7_DCODEDCODEDCODEDCODEDCODEDCOD-9054DA3F.pf": 5,
}


def unpacked(path: str) -> bytes:
    return lzma.decompress(data_path(path).read_bytes())


def examined(log: bytes) -> list[Told]:
    return list(examine_event_log(iter([memoryview(log)]), SUBJECT, Surroundings(KNOWN)))


def prefetch_files() -> Iterator[tuple[str, bytes]]:
    """Yield the files with the names that Windows gave them; the archive has put the test's folder before."""
    with tarfile.open(data_path(PREFETCH)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".pf") else None
            if file is not None:
                yield Path(member.name).name.partition("TestFiles_")[2], file.read()


@pytest.mark.parametrize("path", [pytest.param(path, marks=needs_data(path)) for path in (*SOUND, *DAMAGED)])
def test_the_event_of_every_record_is_read_off_as_the_library_decodes_it(path: str) -> None:
    """Holds of all sound chunks: what is not decoded is decided by this column."""
    log = unpacked(path)
    for at in range(FILE_HEADER_BYTES, len(log) - CHUNK_BYTES + 1, CHUNK_BYTES):
        chunk = log[at : at + CHUNK_BYTES]
        header = read_chunk_header(chunk)
        if header is None or not checksums_hold(chunk, header):
            continue
        columns, broken = read_columns(np.frombuffer(chunk, np.uint8), np.array([header.end]))
        parser = PyEvtxParser(io.BytesIO(log[:FILE_HEADER_BYTES] + chunk), 1, separate_json_attributes=True)
        decoded = [
            (raw["event_record_id"], msgspec.json.decode(raw["data"])["Event"]["System"]["EventID"])
            for raw in parser.records_json()
        ]
        assert not broken.any()
        assert list(zip(columns.identifier.tolist(), columns.event.tolist(), strict=True)) == decoded


@pytest.mark.parametrize("path", [pytest.param(path, marks=needs_data(path)) for path in COUNTS])
def test_as_many_records_as_other_parsers_count(path: str) -> None:
    wanted = Wanted(events=SERVICE_EVENTS.keys() | SYSTEM_EVENTS.keys(), events_by_text=(), texts=("none",))
    counts = Counter(one.event for one in read_event_log([unpacked(path)], wanted) if isinstance(one, EventRecord))
    assert {event: counts[event] for event in COUNTS[path]} == COUNTS[path]


@pytest.mark.parametrize("path", [pytest.param(path, marks=needs_data(path)) for path in SOUND])
def test_a_real_log_has_no_finding_and_no_damage(path: str) -> None:
    told = examined(unpacked(path))
    assert [finding for one in told for finding in one.findings] == []
    assert [gap for one in told for gap in one.gaps] == []


@pytest.mark.parametrize("path", [pytest.param(path, marks=needs_data(path)) for path in DAMAGED])
def test_a_damaged_log_has_no_finding_and_is_told(path: str) -> None:
    told = examined(unpacked(path))
    assert [finding for one in told for finding in one.findings] == []
    assert any(one.gaps for one in told)


@needs_data("evtx-omerbenamram/2-vss_7-System.evtx.xz")
def test_two_chunks_that_were_never_written_are_told_by_their_records() -> None:
    """A log in a shadow copy: two chunks of zeros, and behind them one that is in use."""
    [gap] = [gap for one in examined(unpacked("evtx-omerbenamram/2-vss_7-System.evtx.xz")) for gap in one.gaps]
    assert gap.detail == "event log: records 1156 to 1417 are not there"
    assert (gap.where.offset_bytes, gap.bytes) == (FILE_HEADER_BYTES + 10 * CHUNK_BYTES, 2 * CHUNK_BYTES)


@needs_data("evtx-omerbenamram/sample-with-zero-data-size-event.evtx.xz")
def test_records_behind_a_bad_one_are_read() -> None:
    """A plain loop over the library's records ends at the first bad one, the third of this log."""
    log = unpacked("evtx-omerbenamram/sample-with-zero-data-size-event.evtx.xz")
    wanted = Wanted(events=SERVICE_EVENTS.keys() | SYSTEM_EVENTS.keys(), events_by_text=(), texts=("none",))
    told = list(read_event_log([log], wanted))
    assert sum(isinstance(one, EventRecord) for one in told) > 50
    [damage] = [one for one in told if isinstance(one, LogDamage)]
    assert "records read: 116" in damage.detail


@needs_data(PREFETCH)
def test_real_prefetch_files_are_read_as_their_owner_says() -> None:
    files = dict(prefetch_files())
    assert len(files) == 54
    read = {name: read_prefetch(data, name.partition("_")[2].lstrip("_")) for name, data in files.items()}
    assert {one.version for one in read.values()} == {17, 23, 26, 30}
    assert {name: read[name].run_count for name in RUN_COUNTS} == RUN_COUNTS
    assert [name for name, one in read.items() if one.damage] == []
    told_whole = [one for one in read.values() if len(one.program) < LONGEST_PROGRAM]
    assert all(one.program_path != one.program for one in told_whole)


@needs_data(PREFETCH)
def test_real_prefetch_files_are_no_finding() -> None:
    dated: set[str] = set()
    for name, data in prefetch_files():
        subject = replace(SUBJECT, path=f"Windows/Prefetch/{name.partition('_')[2].lstrip('_')}")
        for told in examine_prefetch(iter([memoryview(data)]), subject, Surroundings(KNOWN)):
            assert (told.findings, told.gaps) == ((), ())
            dated |= {event.what for event in told.events}
    assert dated == {"cmd.exe"}


@needs_data(XP_LOG)
def test_a_log_of_windows_xp_tells_when_it_ran() -> None:
    told = list(examine_old_event_log(iter([memoryview(unpacked(XP_LOG))]), SUBJECT, Surroundings(KNOWN)))
    events = [event for one in told for event in one.events]
    kinds = Counter(event.kind for event in events)
    assert [finding for one in told for finding in one.findings] == []
    assert kinds[EventKind.SYSTEM_STARTED] >= 24
    assert kinds[EventKind.SYSTEM_STOPPED] >= 18 + 14
    assert {event.what for event in events} == {"WKS-WINXP32BIT"}
    assert min(event.time_utc for event in events) == "2011-08-22T17:02:59.0000000Z"
