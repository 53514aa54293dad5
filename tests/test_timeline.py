"""The timeline: which time dates what, in order and nothing lost; how long it took; what its clock was worth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.sample_report import HOSTILE
from triage.model.change import JournalSummary
from triage.model.event import Event, EventKind, EventSource
from triage.model.filetime import canonical_iso, filetime_to_iso, unix_seconds
from triage.model.finding import Finding, FindingKind, Severity
from triage.model.gap import Where
from triage.model.timeline import DoubtKind, MilestoneKind, Timeline
from triage.model.volume import VolumeInfo, WindowsInfo
from triage.report.timeline_words import golden_line
from triage.verdict import pace, timeline
from triage.verdict.chronology import Chronology
from triage.verdict.dating import READINGS, dates_of
from triage.verdict.timeline import build_timeline

DAY = "2017-05-12T"


def at(clock: str) -> str:
    """Return a canonical time on the day of the outbreak."""
    return f"{DAY}{clock}.0000000Z"


def found(kind: FindingKind, path: str, indicator: str = "x", **times: str) -> Finding:
    return Finding(
        id="F1", family="wannacry", kind=kind, indicator=indicator, set="s", severity=Severity.HIGH,
        where=Where(volume="v1", path=path), times=times,
    )  # fmt: skip


def happened(kind: EventKind, time_utc: str, *, family: str | None = None, what: str = "pc") -> Event:
    return Event(
        time_utc=time_utc, kind=kind, source=EventSource.EVENT_LOG, what=what, where=Where(volume="v1"), family=family
    )


def encrypted(number: int, time_utc: str) -> Finding:
    """Return an encrypted file whose other times are its original's."""
    old = "2011-01-01T00:00:00.0000000Z"
    return found(
        FindingKind.ENCRYPTED_FILE, f"Users/a/{number}.doc.WNCRY",
        si_created=old, si_modified=old, si_accessed=old, si_changed=time_utc, fn_created=old,
    )  # fmt: skip


def built(
    findings: Iterable[Finding] = (),
    events: Iterable[Event] = (),
    *,
    volumes: Sequence[VolumeInfo] = (),
    journals: Sequence[JournalSummary] = (),
) -> Timeline:
    return build_timeline(
        Chronology(findings, events), volumes=volumes, journals=journals, examined_utc="2026-11-21T09:00:00Z"
    )


INFECTION = (
    found(FindingKind.DIGEST, "Windows/mssecsvc.exe", si_created=at("07:00:00"), fn_created=at("07:30:00")),
    replace(
        found(FindingKind.SERVICE, "Windows/System32/config/SYSTEM", key_last_written=at("07:31:00")),
        facts={"service": "mssecsvc2.0"},
    ),
    found(FindingKind.KEY_FILE, "ProgramData/x/00000000.pky", fn_created=at("07:44:00")),
    encrypted(1, at("07:45:10")),
    encrypted(2, at("07:45:50")),
    encrypted(3, at("07:47:00")),
    found(FindingKind.RANSOM_NOTE, "Users/a/@Please_Read_Me@.txt", fn_created=at("07:45:11")),
    found(FindingKind.REGISTRY, "Users/a/NTUSER.DAT", "ransom-wallpaper", key_last_written=at("07:48:00")),
)


def test_the_steps_of_an_infection_come_in_order_with_their_sources() -> None:
    """Of a dropped program $FN counts: its $SI comes out of an archive."""
    told = built(INFECTION)
    assert [(one.kind, one.event.time_utc, one.event.source.value) for one in told.milestones] == [
        (MilestoneKind.DROPPED, at("07:30:00"), "$FN"),
        (MilestoneKind.SERVICE_KEY_WRITTEN, at("07:31:00"), "registry"),
        (MilestoneKind.ENCRYPTION_STARTED, at("07:44:00"), "$FN"),
        (MilestoneKind.FIRST_FILE_ENCRYPTED, at("07:45:10"), "$SI"),
        (MilestoneKind.NOTE_WRITTEN, at("07:45:11"), "$FN"),
        (MilestoneKind.LAST_FILE_ENCRYPTED, at("07:47:00"), "$SI"),
    ]
    assert [one.what for one in told.events][:3] == ["mssecsvc.exe", "mssecsvc2.0", "00000000.pky"]
    assert told.not_listed == 0
    assert told.undated == 0


def test_files_encrypted_are_counted_by_the_minute() -> None:
    rate = built(INFECTION).encryption
    assert rate is not None
    assert rate.per_minute == (("2017-05-12T07:45:00Z", 2), ("2017-05-12T07:47:00Z", 1))
    assert (rate.files, rate.first_utc, rate.last_utc) == (3, at("07:45:10"), at("07:47:00"))


def test_an_original_s_times_never_date_the_encryption() -> None:
    """They are copied; without a change time only the creation of the name is left."""
    times = {"si_created", "si_modified", "si_accessed"}
    rows = [row for row in READINGS if row.event is EventKind.FILE_ENCRYPTED]
    assert rows != []
    assert not any(times & set(row.times) for row in rows)
    only_copied = found(FindingKind.ENCRYPTED_FILE, "a.WNCRY", si_created=at("07:00:00"), si_modified=at("07:00:00"))
    told = built([only_copied])
    assert told.encryption is None
    assert told.undated == 1


def test_the_time_of_encryption_is_taken_where_an_examiner_settled_it() -> None:
    settled = replace(encrypted(1, at("09:00:00")), facts={"encrypted_from": "fn-created"})
    settled.times["encrypted"] = at("07:45:00")
    (event,) = built([settled]).events
    assert (event.time_utc, event.source) == (at("07:45:00"), EventSource.FN)


def test_each_run_in_prefetch_is_an_event_and_a_file_s_own_times_are_none() -> None:
    prefetch = found(
        FindingKind.EXECUTION, "Windows/Prefetch/TASKSCHE.EXE-1.pf", run_1=at("08:00:00"), run_2=at("07:00:00")
    )
    shimcache = replace(
        found(FindingKind.EXECUTION, "SYSTEM", file_modified="2010-11-20T09:05:05.0000000Z"),
        facts={"program": r"C:\Windows\tasksche.exe", "noted_in": "shimcache"},
    )
    told = built([prefetch, shimcache])
    assert [(one.kind, one.time_utc) for one in told.events] == [
        (EventKind.PROGRAM_RUN, at("07:00:00")),
        (EventKind.PROGRAM_RUN, at("08:00:00")),
    ]
    assert told.undated == 1


def test_a_cache_of_windows_is_the_source_of_what_it_notes() -> None:
    amcache = replace(
        found(FindingKind.EXECUTION, "Amcache.hve", key_last_written=at("07:40:00")),
        facts={"program": r"C:\ProgramData\x\tasksche.exe", "noted_in": "amcache"},
    )
    (event,) = built([amcache]).events
    assert (event.source, event.what) == (EventSource.AMCACHE, "tasksche.exe")


def test_what_the_journal_tells_of_many_renames_bounds_the_encryption_and_is_no_file() -> None:
    journal = replace(
        found(FindingKind.JOURNAL, "$Extend/$UsnJrnl", "encrypted-rename",
              journal_first=at("07:40:00"), journal_last=at("08:40:00")),
        facts={"renames": "4711"},
    )  # fmt: skip
    told = built([journal, encrypted(1, at("07:45:00"))])
    times = {one.kind: one.event.time_utc for one in told.milestones}
    assert times[MilestoneKind.FIRST_FILE_ENCRYPTED] == at("07:40:00")
    assert times[MilestoneKind.LAST_FILE_ENCRYPTED] == at("08:40:00")
    assert told.encryption is not None
    assert told.encryption.files == 1


def test_low_findings_date_nothing_and_what_any_computer_has_is_no_sign_of_malware() -> None:
    low = replace(INFECTION[0], severity=Severity.LOW)
    told = built(
        [low], [happened(EventKind.SYSTEM_STARTED, at("06:00:00")), happened(EventKind.SHADOWS_DELETED, at("06:30:00"))]
    )
    assert [one.kind for one in told.milestones] == [MilestoneKind.LAST_START]
    assert told.golden_hours is None
    assert told.undated == 0


def test_shadow_copies_deleted_before_the_malware_are_no_milestone() -> None:
    events = [
        happened(EventKind.SHADOWS_DELETED, "2014-01-01T00:00:00.0000000Z"),
        happened(EventKind.SHADOWS_DELETED, at("07:50:00")),
    ]
    (milestone,) = [one for one in built(INFECTION, events).milestones if one.kind is MilestoneKind.SHADOWS_DELETED]
    assert milestone.event.time_utc == at("07:50:00")


def test_a_program_of_windows_is_not_the_first_that_the_malware_ran() -> None:
    events = [happened(EventKind.PROGRAM_RUN, at("07:32:00"), what="vssadmin.exe")]
    assert MilestoneKind.RUN not in {one.kind for one in built(INFECTION, events).milestones}
    events += [happened(EventKind.PROGRAM_RUN, at("07:33:00"), what="tasksche.exe", family="wannacry")]
    (run,) = [one.event for one in built(INFECTION, events).milestones if one.kind is MilestoneKind.RUN]
    assert run.what == "tasksche.exe"


def test_several_findings_of_one_file_are_one_event() -> None:
    twice = (INFECTION[0], replace(INFECTION[0], kind=FindingKind.NAME, indicator="worm-in-windows-directory"))
    assert [one.kind for one in built(twice).events] == [EventKind.PROGRAM_DROPPED]


def test_a_signature_in_a_document_is_no_dropped_program() -> None:
    header = found(FindingKind.YARA, "a.WNCRY", "WannaCry_EncryptedFile_Header", fn_created=at("07:00:00"))
    program = found(FindingKind.YARA, "b.exe", "WannaCry_Worm_Strings", fn_created=at("07:00:00"))
    assert [one.what for one in built([header, program]).events] == ["b.exe"]


# ---- the golden hours


def test_the_golden_hours_go_from_the_first_sign_to_the_last_encrypted_file() -> None:
    golden = built(INFECTION).golden_hours
    assert golden is not None
    assert (golden.started_utc, golden.ended_utc) == (at("07:30:00"), at("07:47:00"))
    assert (golden.used_seconds, golden.off_seconds, golden.estimate_seconds) == (17 * 60, 0, 2 * 60 * 60)


def test_hours_in_which_the_computer_was_off_are_not_used() -> None:
    night = [happened(EventKind.SYSTEM_STOPPED, at("07:35:00")), happened(EventKind.SYSTEM_STARTED, at("07:43:00"))]
    golden = built(INFECTION, night).golden_hours
    assert golden is not None
    assert (golden.used_seconds, golden.off_seconds) == (9 * 60, 8 * 60)


def test_a_computer_that_was_at_work_was_not_off() -> None:
    odd = [happened(EventKind.SYSTEM_STOPPED, at("07:35:00")), happened(EventKind.SYSTEM_STARTED, at("07:46:00"))]
    golden = built(INFECTION, odd).golden_hours
    assert golden is not None
    assert golden.off_seconds == 0


def test_without_an_encrypted_file_the_golden_hours_go_to_the_shutdown() -> None:
    golden = built(INFECTION[:2], [happened(EventKind.SYSTEM_STOPPED, at("07:55:00"))]).golden_hours
    assert golden is not None
    assert golden.used_seconds == 25 * 60


LATER = "2018-05-12T07:45:00.0000000Z"
SERVICE_KEY = INFECTION[1]


def pulled(alive: str, noted: str) -> Event:
    """Return what Windows notes at the start after its plug was pulled."""
    return replace(happened(EventKind.SYSTEM_CRASHED, noted), facts={"last_alive_utc": alive})


@pytest.mark.parametrize("order", ["start-first", "crash-first"])
def test_a_pulled_plug_ends_the_time_that_was_used_when_windows_was_last_alive(order: str) -> None:
    boot, alive = "2017-05-13T07:46:00.0000000Z", at("07:46:00")
    start = happened(EventKind.SYSTEM_STARTED, boot.replace("46:00", "46:02" if order == "crash-first" else "46:00"))
    after = encrypted(4, "2017-05-13T07:47:00.0000000Z")
    golden = built((*INFECTION[:5], after), [pulled(alive, boot.replace("46:00", "46:01")), start]).golden_hours
    assert golden is not None
    off = 24 * 60 * 60 + (order == "crash-first")
    assert (golden.off_seconds, golden.used_seconds) == (off, 24 * 60 * 60 + 17 * 60 - off)


def test_of_a_pulled_plug_only_the_time_after_the_malware_s_last_sign_counts_and_that_once() -> None:
    """Windows notes that it is alive from time to time only; a shutdown on record is not counted again."""
    early = pulled(at("07:40:00"), at("07:46:31"))
    events = [early, happened(EventKind.SYSTEM_STARTED, at("07:46:30"))]
    golden = built(INFECTION, events).golden_hours
    assert golden is not None
    assert golden.off_seconds == 40
    golden = built(INFECTION, [*events, happened(EventKind.SYSTEM_STOPPED, at("07:46:00"))]).golden_hours
    assert golden is not None
    assert golden.off_seconds == 30
    assert built(INFECTION, [pulled(HOSTILE, at("07:46:31"))]).golden_hours == built(INFECTION).golden_hours


def test_without_an_encrypted_file_a_pulled_plug_ends_the_golden_hours() -> None:
    golden = built(INFECTION[:1], [pulled(at("07:55:00"), "2017-05-13T07:00:00.0000000Z")]).golden_hours
    assert golden is not None
    assert (golden.used_seconds, golden.off_seconds) == (25 * 60, 0)


# ---- times that may be too late


def test_the_last_write_of_a_service_s_key_is_no_installation_and_a_first_sign_with_a_doubt() -> None:
    told = built([SERVICE_KEY])
    assert [one.kind for one in told.milestones] == [MilestoneKind.SERVICE_KEY_WRITTEN]
    assert doubts(told) == {DoubtKind.FIRST_SIGN_EARLIER: {"first": at("07:31:00")}}
    assert told.golden_hours is not None
    assert "at least 0 s of 2 h were used" in golden_line(told.golden_hours)
    earlier = built(INFECTION[:2])
    assert doubts(earlier) == {}
    assert earlier.golden_hours is not None
    assert not earlier.golden_hours.at_least


def test_a_key_that_was_written_later_does_not_lengthen_the_golden_hours() -> None:
    late = replace(SERVICE_KEY, times={"key_last_written": LATER})
    golden = built([INFECTION[0], late]).golden_hours
    assert golden is not None
    assert (golden.ended_utc, golden.used_seconds) == (at("07:30:00"), 0)


def test_a_file_whose_rights_were_changed_a_year_later_is_told_beside() -> None:
    told = built((*INFECTION, encrypted(9, LATER)))
    last = [one.event.time_utc for one in told.milestones if one.kind is MilestoneKind.LAST_FILE_ENCRYPTED]
    assert last == [at("07:47:00")]
    assert told.golden_hours == built(INFECTION).golden_hours
    assert told.encryption is not None
    assert (told.encryption.last_utc, told.encryption.files, told.encryption.files_doubtful) == (at("07:47:00"), 4, 1)
    assert told.encryption.per_minute[-1] == ("2017-05-12T07:47:00Z", 1)
    assert doubts(told) == {DoubtKind.CHANGED_LATER: {"count": "1", "first": LATER, "last": LATER}}


def test_a_file_that_the_journal_dates_a_year_later_is_the_last_one_and_with_it_those_before_hold() -> None:
    settled = replace(encrypted(9, LATER), facts={"encrypted_from": "journal-rename"})
    settled.times["encrypted"] = LATER
    told = built((*INFECTION, encrypted(8, "2017-12-01T00:00:00.0000000Z"), settled))
    assert doubts(told) == {}
    assert told.encryption is not None
    assert (told.encryption.last_utc, told.encryption.files_doubtful) == (LATER, 0)


def test_a_night_in_which_the_computer_was_off_is_no_pause_of_the_encryption() -> None:
    night = [
        happened(EventKind.SYSTEM_STOPPED, at("07:50:00")),
        happened(EventKind.SYSTEM_STARTED, "2017-05-13T07:00:00.0000000Z"),
    ]
    morning = (*INFECTION, encrypted(9, "2017-05-13T07:30:00.0000000Z"))
    assert doubts(built(morning, night)) == {}
    assert set(doubts(built(morning))) == {DoubtKind.CHANGED_LATER}


# ---- bounds


def test_a_report_lists_the_steps_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "EVENTS_LISTED", 12)
    monkeypatch.setattr(pace, "MINUTES_LISTED", 2)
    files = [encrypted(number, at(f"07:{45 + number // 10}:{number % 10:02}")) for number in range(30, 100)]
    boots = [happened(EventKind.SYSTEM_STARTED, f"2016-01-{day:02}T08:00:00.0000000Z") for day in range(1, 20)]
    told = built((*INFECTION, *files), boots)
    assert len(told.events) == 12
    assert told.not_listed == sum(told.by_kind.values()) - 12 == len(INFECTION) + len(files) + len(boots) - 12
    assert {one.event.time_utc for one in told.milestones} <= {one.time_utc for one in told.events}
    assert [one for one in told.events if one.kind is EventKind.SETTING_CHANGED] != []
    assert told.encryption is not None
    listed = sum(count for _minute, count in told.encryption.per_minute)
    assert (len(told.encryption.per_minute), listed + told.encryption.files_not_listed) == (2, 73)


# ---- doubts about the clock


def doubts(told: Timeline) -> dict[DoubtKind, dict[str, str]]:
    return {one.kind: one.values for one in told.doubts}


def volume(**windows: object) -> VolumeInfo:
    return VolumeInfo(
        id="v1", evidence=0, offset_bytes=0, length_bytes=1, filesystem="ntfs", examined=True,
        windows=replace(WindowsInfo(), **windows),
    )  # fmt: skip


def test_without_a_reason_there_is_no_doubt() -> None:
    sound = volume(time_zone="UTC", hardware_clock_is_utc=False, installed_utc="2010-01-01T00:00:00.0000000Z")
    assert built(INFECTION, volumes=[sound]).doubts == ()


def test_traces_older_than_windows_and_later_than_the_examination_are_doubted() -> None:
    young = volume(installed_utc=at("07:30:30"))
    told = doubts(built((*INFECTION, encrypted(9, "2031-01-01T00:00:00.0000000Z")), volumes=[young]))
    assert told[DoubtKind.BEFORE_INSTALLATION]["count"] == "1"
    assert told[DoubtKind.IN_THE_FUTURE] == {"volume": "v1", "count": "1", "last": "2031-01-01T00:00:00.0000000Z"}


def test_a_clock_that_was_set_is_doubted() -> None:
    back = JournalSummary(
        volume="v1",
        records=2,
        records_by_version={},
        damaged_bytes=0,
        first_utc=None,
        last_utc=None,
        set_back_seconds=7200,
    )
    step = replace(happened(EventKind.CLOCK_CHANGED, at("07:40:00")), facts={"changed_by_seconds": "-7201"})
    told = doubts(built(INFECTION, [step], journals=[back]))
    assert told[DoubtKind.CLOCK_CHANGED] == {
        "count": "1",
        "first": at("07:40:00"),
        "last": at("07:40:00"),
        "seconds": "7201",
    }
    assert told[DoubtKind.CLOCK_SET_BACK] == {"volume": "v1", "trace": "$UsnJrnl", "seconds": "7200"}


def test_a_log_in_local_time_is_doubted() -> None:
    log = replace(
        found(FindingKind.NETWORK, "Windows/pfirewall.log", "198.51.100.7", first=at("07:40:00"), last=at("07:41:00")),
        facts={"clock": "local time; …", "time_zone": "China Standard Time", "summer_time": "none"},
    )
    told = built([log])
    assert [(one.source, one.what) for one in told.events] == [(EventSource.TEXT_LOG, "198.51.100.7")] * 2
    assert doubts(told) == {DoubtKind.LOCAL_TIME: {"volume": "v1", "count": "2", "time_zone": "China Standard Time"}}
    without_rule = built([replace(log, facts={**log.facts, "summer_time": "unknown"})])
    assert set(doubts(without_rule)) == {DoubtKind.NO_SUMMER_RULE}
    in_utc = replace(log, facts={"clock": "UTC, as the log's header says"})
    assert built([in_utc]).doubts == ()


def test_a_log_whose_records_go_back_in_time_shows_a_clock_that_was_set_back() -> None:
    log = [
        replace(happened(EventKind.SYSTEM_STARTED, at(clock)), facts={"record": number})
        for number, clock in (("9", "07:00:00"), ("10", "08:00:00"), ("11", "07:30:00"))
    ]
    told = doubts(built(INFECTION, log))
    assert told[DoubtKind.CLOCK_SET_BACK] == {"volume": "v1", "trace": "", "seconds": "1800"}
    assert built(INFECTION, log[:2]).doubts == ()


def test_a_second_system_on_the_disk_may_have_set_the_hardware_clock() -> None:
    windows = volume(time_zone="China Standard Time", hardware_clock_is_utc=False)
    linux = VolumeInfo(id="v2", evidence=0, offset_bytes=9, length_bytes=1, filesystem="ext4", examined=False)
    assert doubts(built(INFECTION, volumes=[windows, linux]))[DoubtKind.HARDWARE_CLOCK]["other"] == "ext4"
    assert built(INFECTION, volumes=[volume(hardware_clock_is_utc=True), linux]).doubts == ()


# ---- any findings, any events

MOMENTS = st.one_of(
    st.integers(0, 2**64 - 1).map(lambda ticks: filetime_to_iso(ticks) or ""),
    st.integers(131_390_000_000_000_000, 131_391_000_000_000_000).map(lambda ticks: filetime_to_iso(ticks) or ""),
    st.sampled_from(["", HOSTILE, "2017-02-30T00:00:00.0000000Z", "2017-05-12T07:00:00Z", "٢٠١٧-05-12T07:00:00Z"]),
)
TIME_NAMES = st.sampled_from(sorted({name for row in READINGS for name in row.times} | {"si_accessed", HOSTILE}))
FINDINGS = st.builds(
    Finding,
    family=st.sampled_from(["wannacry", "user"]),
    kind=st.sampled_from(FindingKind),
    indicator=st.sampled_from(["x", "encrypted-rename", "moved-original", "shortcut-batch", "key-state", HOSTILE]),
    set=st.just("s"),
    severity=st.sampled_from(Severity),
    where=st.builds(Where, volume=st.sampled_from([None, "v1"]), path=st.sampled_from([None, "a/b", HOSTILE])),
    times=st.dictionaries(TIME_NAMES, MOMENTS, max_size=5),
    facts=st.dictionaries(
        st.sampled_from(["renames", "service", "noted_in", "encrypted_from"]), st.sampled_from(["1", HOSTILE])
    ),
)
EVENTS = st.builds(
    Event,
    time_utc=MOMENTS,
    kind=st.sampled_from(EventKind),
    source=st.sampled_from(EventSource),
    what=st.sampled_from(["pc", HOSTILE]),
    where=st.just(Where()),
    family=st.sampled_from([None, "wannacry"]),
)


@given(st.lists(FINDINGS, max_size=12), st.lists(EVENTS, max_size=8))
def test_any_findings_and_events_give_a_timeline_in_order_that_adds_up(
    findings: list[Finding], events: list[Event]
) -> None:
    chronology = Chronology(findings, events)
    told = list(chronology)
    assert told == list(chronology)
    assert [one.time_utc for one in told] == sorted(one.time_utc for one in told)
    assert all(canonical_iso(one.time_utc) == one.time_utc for one in told)
    undated = [one for one in findings if dates_of(one) == ()]
    assert all(list(Chronology([one])) for one in findings if dates_of(one))
    assert chronology.undated == len(undated) + sum(canonical_iso(one.time_utc) is None for one in events)
    whole = build_timeline(chronology, volumes=(), journals=(), examined_utc="2026-11-21T09:00:00Z")
    assert whole.by_kind == Counter(one.kind.value for one in told)
    assert list(whole.events) == told
    assert whole.not_listed == 0
    single = sum(one.kind is EventKind.FILE_ENCRYPTED and "renames" not in one.facts for one in told)
    moved = sum(int(one.values["count"]) for one in whole.doubts if one.kind is DoubtKind.CHANGED_LATER)
    in_minutes = 0 if whole.encryption is None else sum(count for _minute, count in whole.encryption.per_minute)
    assert in_minutes + moved == single
    if whole.golden_hours is not None:
        assert whole.golden_hours.used_seconds >= 0
        assert whole.golden_hours.off_seconds >= 0


@given(st.integers(0, 2**63))
def test_times_that_sort_as_text_sort_as_times(ticks: int) -> None:
    text = filetime_to_iso(ticks)
    if text is not None:
        assert canonical_iso(text) == text
        assert unix_seconds(text) == ticks // 10_000_000 - 11_644_473_600


def test_a_time_without_decimals_is_given_them() -> None:
    assert canonical_iso("2017-05-12T07:31:30Z") == at("07:31:30")
    assert canonical_iso("2017-05-12T07:31:30.5Z") == "2017-05-12T07:31:30.5000000Z"
    assert re.fullmatch(r"[0-9T:.Z-]{28}", at("07:31:30"))
