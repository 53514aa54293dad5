"""Places in the bag: original paths kept, hostile names made safe, nothing collides on any destination."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.rescue_samples import subject
from triage.model.entry import Subject
from triage.model.rescue import RescueOutcome
from triage.rescue.namemap import MappedName, decode_line, encode_line, map_name
from triage.rescue.names import BagNames


def places(*paths: str) -> list[str]:
    names = BagNames()
    return [names.place(subject(path)) for path in paths]


def mapped(original: Subject, bag_path: str) -> MappedName:
    return map_name(original, bag_path, 5, "00" * 32, RescueOutcome.RESCUED, "")


def test_path_is_kept() -> None:
    assert places("Users/李明/Documents/报告.docx", "a b.txt") == [
        "data/v1/Users/李明/Documents/报告.docx",
        "data/v1/a b.txt",
    ]


def test_names_that_differ_in_case_alone_are_numbered() -> None:
    assert places("a/X.txt", "A/x.txt", "a/x.TXT", "a/X.txt") == [
        "data/v1/a/X.txt",
        "data/v1/A~2/x.txt",
        "data/v1/a/x~2.TXT",
        "data/v1/a/X~3.txt",
    ]


def test_file_and_folder_never_share_a_name() -> None:
    assert places("a", "A/b") == ["data/v1/a", "data/v1/A~2/b"]
    assert places("A/b", "a", "A/c") == ["data/v1/A/b", "data/v1/a~2", "data/v1/A/c"]


def test_volumes_are_apart() -> None:
    names = BagNames()
    assert [names.place(subject("a", volume=volume)) for volume in ("v1", "v2")] == ["data/v1/a", "data/v2/a"]


def test_named_stream_is_a_file_beside_its_own() -> None:
    names = BagNames()
    assert names.place(subject("d/a.txt", stream="secret")) == "data/v1/d/a.txt~secret"


def test_percent_sign_is_mapped_as_checkers_disagree_on_it() -> None:
    assert places("100%.txt", "100%0A.txt") == ["data/v1/100％.txt", "data/v1/100％0A.txt"]


def test_too_deep_path_keeps_its_name() -> None:
    (place,) = places("/".join(["folder" * 30] * 30) + "/report.docx")
    assert place == "data/v1/long-paths/report.docx"


def test_plain_place_is_ascii_and_keeps_the_type() -> None:
    names = BagNames()
    assert names.place_plainly(subject("目录/报告.docx", mft_entry=9)) == "data/v1/renamed/mft-9.docx"
    assert names.place_plainly(subject("目录/报告.文件", mft_entry=9)) == "data/v1/renamed/mft-9"


def test_places_of_an_earlier_session_stay_taken_and_folders_stay_where_they_are() -> None:
    first = BagNames()
    subjects = [subject("a/x"), subject("A/y")]
    lines = [mapped(each, first.place(each)) for each in subjects]
    second = BagNames()
    second.keep(lines)
    assert second.place(subject("A/z")) == "data/v1/A~2/z"
    assert second.place(subject("a/X")) == "data/v1/a/X~2"


_COMPONENT = st.text(st.characters(codec=None), min_size=1, max_size=255).map(lambda text: text.replace("/", "_"))


@given(paths=st.lists(st.lists(_COMPONENT, min_size=1, max_size=3).map("/".join), max_size=12))
def test_any_names_get_safe_and_different_places(paths: Sequence[str]) -> None:
    found = places(*paths)
    assert len({place.casefold() for place in found}) == len(found)
    for place in found:
        parts = place.split("/")
        assert all(0 < len(part.encode("utf-8")) <= 255 and part not in (".", "..") for part in parts)
        assert not set("\r\n\\%\0") & set(place)
    folders = {
        "/".join(place.split("/")[:depth]).casefold() for place in found for depth in range(1, place.count("/") + 1)
    }
    assert not folders & {place.casefold() for place in found}


@given(path=st.text(st.characters(codec=None), max_size=40), stream=st.text(st.characters(codec=None), max_size=9))
def test_line_of_the_name_map_reads_back(path: str, stream: str) -> None:
    line = mapped(subject(path, stream=stream), "data/v1/x")
    encoded = encode_line(line)
    assert encoded.count(b"\n") == 1
    assert decode_line(encoded) == line
