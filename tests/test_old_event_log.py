"""Event logs of Windows XP: the same judges, another form; damage."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.old_event_log import OldEvent, write_old_event_log
from tests.test_event_examiner import KNOWN, SUBJECT
from triage.examiners.artefact_file import Surroundings
from triage.examiners.old_event_logs import examine_old_event_log
from triage.model.event import Event, EventKind
from triage.model.finding import Finding, Severity
from triage.model.gap import Gap

TIME = 1_494_576_665
ISO = "2017-05-12T08:11:05.0000000Z"
WORM = "Microsoft Security Center (2.0) Service"
LOG = write_old_event_log(
    [
        OldEvent(source="EventLog", event=0x80001775, time=TIME),
        OldEvent(source="Service Control Manager", event=0x40001B7C, time=TIME, strings=("Themes", "running")),
        OldEvent(source="Service Control Manager", event=0x40001B7C, time=TIME, strings=(WORM, "running")),
        OldEvent(source="Service Control Manager", event=0xC0001B61, time=TIME, strings=("30000", "xjzilhxs261")),
        OldEvent(source="Security", event=592, time=TIME, strings=("2380", r"C:\WINDOWS\tasksche.exe", "4")),
        OldEvent(source="Security", event=517, time=TIME, strings=("SYSTEM", "NT", "0", "joe")),
    ]
)


def examined(log: bytes) -> tuple[list[Finding], list[Event], list[Gap]]:
    surroundings = Surroundings(KNOWN)
    told = list(examine_old_event_log(iter([memoryview(log)]), SUBJECT, surroundings))
    return (
        [finding for one in told for finding in one.findings],
        [event for one in told for event in one.events],
        [gap for one in told for gap in one.gaps],
    )


def test_services_programs_and_starts_are_told() -> None:
    findings, events, gaps = examined(LOG)
    assert [(one.indicator, one.severity, one.times) for one in findings] == [
        ("worm-service-started", Severity.HIGH, {"event": ISO}),
        ("computed-name-service-failed", Severity.HIGH, {"event": ISO}),
        ("installer-in-windows-directory", Severity.HIGH, {"event": ISO}),
    ]
    assert [(one.kind, one.what, one.time_utc) for one in events] == [
        (EventKind.LOG_CLEARED, "Security", ISO),
        (EventKind.SYSTEM_STARTED, "WINXP", ISO),
    ]
    assert events[0].facts["subject_user_name"] == "joe"
    assert not gaps


@pytest.mark.parametrize("cut", [b"", LOG[:30], b"\0" * 500])
def test_what_is_no_log_is_a_gap(cut: bytes) -> None:
    findings, events, gaps = examined(cut)
    assert (findings, events) == ([], [])
    assert gaps[0].detail.startswith("event log: cannot be read")


def test_records_that_are_not_there_are_told() -> None:
    more = bytearray(LOG)
    struct.pack_into("<I", more, 24, 107)
    assert [gap.detail for gap in examined(bytes(more))[2]] == ["event log: of 106 records 100 are not there"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(LOG) - 1), st.binary(min_size=1, max_size=6)), min_size=1, max_size=3))
def test_a_damaged_log_gives_records_or_a_gap(changes: list[tuple[int, bytes]]) -> None:
    log = bytearray(LOG)
    for at, data in changes:
        log[at : at + len(data)] = data
    findings, events, gaps = examined(bytes(log))
    assert findings or events or gaps
