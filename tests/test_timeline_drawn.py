"""The drawn timeline: well-formed whatever the names are, no text over another, every file counted in a bar."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sample_report import HOSTILE, sample_report, sample_timeline
from tests.test_timeline import EVENTS, FINDINGS, INFECTION, at, built, encrypted, found, happened
from triage.model.event import Event, EventKind
from triage.model.finding import Finding, FindingKind
from triage.model.text import set_language
from triage.model.timeline import ClockDoubt, DoubtKind, MilestoneKind, Timeline
from triage.report.html import write_html
from triage.report.interface import CaseContents
from triage.report.timeline_axis import Axis
from triage.report.timeline_lane import WIDTH, Lane, text_width
from triage.report.timeline_svg import Drawing, draw
from triage.report.timeline_words import EVENT_KINDS, MILESTONES, doubt_line, duration

VALUES = ("volume", "count", "time_zone", "other", "first", "last", "seconds", "trace", "installed")


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language("en")


def page_of(timeline: Timeline) -> str:
    out = io.StringIO()
    write_html(CaseContents(report=msgspec.structs.replace(sample_report(()), timeline=timeline), fingerprint=""), out)
    return out.getvalue()


def svg_of(timeline: Timeline) -> ElementTree.Element | None:
    """Return the drawing as an XML parser reads it; None where the page has none."""
    match = re.search(r'<figure class="chart">.*?(<svg.*?</svg>)', page_of(timeline), re.DOTALL)
    return None if match is None else ElementTree.fromstring(match[1])


def drawn(timeline: Timeline) -> Drawing:
    drawing = draw(timeline)
    assert drawing is not None
    return drawing


def lane(drawing: Drawing, name: str) -> Lane:
    return next(one for one in drawing.lanes if one.name == name)


def test_the_steps_stand_in_their_lanes_with_their_times() -> None:
    drawing = drawn(sample_timeline())
    assert [one.name for one in drawing.lanes] == ["Malware", "Encryption", "Shadow copies", "Windows"]
    assert [one.text for one in lane(drawing, "Malware").labels][::-1] == [
        "07:12:08 first program dropped: mssecsvc.exe",
        "07:12:09 service key last written: SYSTEM",
    ]
    assert {one.shape for one in lane(drawing, "Windows").marks} == {"start", "stop", "clock"}
    (shadows,) = lane(drawing, "Shadow copies").marks
    assert "deletion of shadow copies begun: FRONTDESK-02" in shadows.title


def test_every_encrypted_file_is_in_a_bar_and_the_highest_is_told() -> None:
    timeline = sample_timeline()
    drawing = drawn(timeline)
    counts = [int(bar.title.rpartition(" ")[2]) for bar in lane(drawing, "Encryption").bars]
    assert timeline.encryption is not None
    assert sum(counts) == timeline.encryption.files == 231
    assert max(counts) == drawing.highest == timeline.encryption.most_in_a_minute
    assert drawing.bar_minutes == 1
    assert "231 files encrypted, 2017-05-12 07:15:00 UTC to" in page_of(timeline)


def test_over_hours_a_bar_counts_several_minutes() -> None:
    timeline = built([encrypted(number, at(f"{number // 60:02}:{number % 60:02}:00")) for number in range(0, 1400, 7)])
    drawing = drawn(timeline)
    assert drawing.bar_minutes == 10
    assert "A bar counts the files encrypted in 10 minutes; the highest counts 2." in page_of(timeline)
    assert sum(int(bar.title.rpartition(" ")[2]) for bar in lane(drawing, "Encryption").bars) == 200


def test_a_text_at_the_right_edge_stays_in_the_frame() -> None:
    left, right, _line, text = max(boxes(drawn(built(INFECTION))), key=lambda box: box[1])
    assert text == "07:47:00 last file encrypted"
    assert left < right <= WIDTH


def test_ticks_of_short_stretches_do_not_overlap() -> None:
    drops = [
        found(FindingKind.DIGEST, f"{day}.exe", fn_created=f"2017-05-{day}T08:00:00.0000000Z") for day in range(10, 14)
    ]
    drawing = drawn(built(drops))
    assert len(drawing.cuts) == 3
    assert all(after.x - before.x > 60 for before, after in pairwise(drawing.ticks))
    assert next(tick.date for tick in drawing.ticks) == "2017-05-10"


def test_days_in_which_nothing_happened_are_cut_out_and_told() -> None:
    monday = [encrypted(number, f"2017-05-15T08:0{number}:00.0000000Z") for number in range(5)]
    drawing = drawn(built((*INFECTION[:2], *monday)))
    (cut,) = drawing.cuts
    assert duration(cut.seconds) == "3 d"
    assert len(drawing.spans) == 2
    assert drawing.bar_minutes == 1
    assert {tick.date for tick in drawing.ticks if tick.date} == {"2017-05-12", "2017-05-15"}


def test_a_file_whose_time_was_moved_later_is_not_drawn() -> None:
    assert drawn(built((*INFECTION, encrypted(9, "2018-05-12T07:45:00.0000000Z")))) == drawn(built(INFECTION))


def test_what_happened_long_before_is_not_drawn_and_counted() -> None:
    boots = [happened(EventKind.SYSTEM_STARTED, f"2016-01-0{day}T08:00:00.0000000Z") for day in range(1, 4)]
    timeline = built(INFECTION, boots)
    assert drawn(timeline).not_drawn == 3
    assert "3 events long before or after are not drawn." in page_of(timeline)


def test_without_a_dated_trace_there_is_no_drawing_and_the_page_says_so() -> None:
    timeline = built([], [happened(EventKind.SYSTEM_STARTED, at("08:00:00"))])
    assert draw(timeline) is None
    assert svg_of(timeline) is None
    assert "Nothing of the malware is dated." in page_of(timeline)


def test_hostile_names_stay_text() -> None:
    svg = svg_of(sample_timeline(HOSTILE + "\"'>&{{7*7}}"))
    assert svg is not None
    assert {element.tag for element in svg.iter()} <= {"svg", "g", "title", "text", "line", "rect", "path", "circle"}
    told = " ".join(svg.itertext())
    assert "<script>alert(1)</script>" in told
    assert not set(told) & set("\x1b\u202e\u2028\ud800")


def boxes(drawing: Drawing) -> list[tuple[float, float, float, str]]:
    """Return where each label stands: left, right, line, text."""
    return [(one.x, one.x + text_width(one.text), one.y, one.text) for each in drawing.lanes for one in each.labels]


@settings(max_examples=60)
@given(st.lists(FINDINGS, max_size=10), st.lists(EVENTS, max_size=8), st.sampled_from(["en", "zh_CN"]))
def test_any_timeline_is_well_formed_inside_its_frame_and_no_text_covers_another(
    findings: list[Finding], events: list[Event], language: str
) -> None:
    set_language(language)
    timeline = built(findings, events)
    drawing = draw(timeline)
    assert (svg_of(timeline) is None) == (drawing is None)
    if drawing is None:
        return
    for left, right, _line, _text in boxes(drawing):
        assert 0 <= left < right <= WIDTH
    for (left, right, line, _text), (other_left, other_right, other_line, _other) in combinations(boxes(drawing), 2):
        assert line != other_line or right <= other_left or other_right <= left
    for each in drawing.lanes:
        assert all(0 <= mark.x <= WIDTH for mark in each.marks)
        assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH and bar.height > 0 for bar in each.bars)
    assert all(after.x - before.x > 60 for before, after in pairwise(drawing.ticks))


@given(st.lists(st.integers(-(2**33), 253_402_300_799), min_size=1, max_size=40))
def test_the_axis_keeps_the_order_of_times_and_its_frame(moments: list[int]) -> None:
    axis = Axis(moments, 100, 900)
    places = [axis.place(moment) for moment in sorted(moments)]
    assert places == sorted(places)
    assert all(100 <= place <= 900.001 for place in places)
    assert len(axis.spans) == len(list(axis.cuts())) + 1 <= 5
    assert all(tick.x <= 900.001 for tick in axis.ticks())


def test_labels_that_have_no_room_are_left_to_the_table() -> None:
    many = [
        found(kind, f"{kind}.exe", fn_created=at("07:30:00")) for kind in (FindingKind.DIGEST, FindingKind.KEY_FILE)
    ]
    drawing = drawn(built(many))
    assert len(boxes(drawing)) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (3900, "1 h 05 min"), (86400, "1 d"), (277200, "3 d 5 h")],
)
def test_lengths_of_time_in_words(seconds: int, words: str) -> None:
    assert duration(seconds) == words


def test_every_kind_has_its_words() -> None:
    assert EVENT_KINDS.keys() == set(EventKind)
    assert MILESTONES.keys() == set(MilestoneKind)
    for kind in DoubtKind:
        words = doubt_line(ClockDoubt(kind=kind, values=dict.fromkeys(VALUES, "1")))
        assert words not in ("", kind)
        assert "{" not in words
