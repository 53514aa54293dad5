"""A raw image cut into segments: `disk.001`, `disk.002`, … (also from `.000`) or `disk.aa`, `disk.ab`, …"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from triage.evidence.raw import IMAGE_SECTOR_BYTES
from triage.evidence.source import EvidenceSource
from triage.model.errors import EvidenceError
from triage.model.evidence import EvidenceFormat
from triage.model.text import _

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Three digits as imaging tools write them (four and more after `.999`), two or three letters as `split` does.
_THREE_DIGITS = re.compile(r"[0-9]{3}")
_DIGITS = re.compile(r"[0-9]{3}|[1-9][0-9]{3,5}")
_LETTER_PAIRS = re.compile(r"[a-z]{2,3}|[A-Z]{2,3}")
_WHOLE_IMAGE_SUFFIXES = frozenset({"dd", "raw", "img", "bin", "ima", "iso"})


class _Suffix(NamedTuple):
    """A segment's place: its number, and what tells one numbering from another (`width` 0 for digits)."""

    number: int
    width: int
    upper: bool


class _Segment(NamedTuple):
    path: Path
    number: int
    size_bytes: int


def open_split(path: Path) -> EvidenceSource | None:
    """Open the segmented image whose first segment is `path`; None where the file stands alone.

    Raises `EvidenceError` for a later segment, a missing one, and one of a length that does not fit the
    others.
    """
    suffix = _parse_suffix(path)
    if suffix is None:
        return None
    segments = _siblings(path, suffix)
    first = next((s for s in segments if s.number in _first_numbers(suffix)), None)
    if first is None or first.number < suffix.number:
        _refuse_later_segment(path, suffix, first, segments)
        return None
    run = _contiguous(segments, suffix)
    if len(run) < 2:
        return None
    _check_lengths(run)
    pieces = [(segment.path, segment.size_bytes) for segment in run]
    return EvidenceSource(path, EvidenceFormat.SPLIT, pieces, IMAGE_SECTOR_BYTES)


def _parse_suffix(path: Path) -> _Suffix | None:
    text = path.suffix[1:]
    if _DIGITS.fullmatch(text):
        return _Suffix(int(text), 0, False)
    if _LETTER_PAIRS.fullmatch(text) and text.lower() not in _WHOLE_IMAGE_SUFFIXES:
        number = 0
        for letter in text.lower():
            number = number * len(_LETTERS) + _LETTERS.index(letter)
        return _Suffix(number, len(text), text.isupper())
    return None


def _name_of(path: Path, suffix: _Suffix, number: int) -> Path:
    """Return the path of segment `number` in the numbering of `suffix`."""
    if suffix.width == 0:
        return path.with_suffix(f".{number:03d}")
    text = ""
    for _position in range(suffix.width):
        number, letter = divmod(number, len(_LETTERS))
        text = _LETTERS[letter] + text
    return path.with_suffix("." + (text.upper() if suffix.upper else text))


def _is_three_digits(path: Path) -> bool:
    """Three digits are a segment's number; four may be a year."""
    return bool(_THREE_DIGITS.fullmatch(path.suffix[1:]))


def _first_numbers(suffix: _Suffix) -> tuple[int, ...]:
    """Digits begin at 000 or 001, letters at `a…`."""
    return (0, 1) if suffix.width == 0 else (0,)


def _siblings(path: Path, suffix: _Suffix) -> list[_Segment]:
    """Return the files beside `path` that share its stem and numbering, in order."""
    found = []
    for other in path.parent.iterdir():
        if other.stem != path.stem or not other.is_file():
            continue
        place = _parse_suffix(other)
        if place is not None and (place.width, place.upper) == (suffix.width, suffix.upper):
            found.append(_Segment(other, place.number, other.stat().st_size))
    return sorted(found, key=lambda segment: segment.number)


def _refuse_later_segment(path: Path, suffix: _Suffix, first: _Segment | None, segments: list[_Segment]) -> None:
    """Refuse `path` where others show that it is a later segment; return where it only looks like one."""
    if first is not None and path in {segment.path for segment in _contiguous(segments, suffix)}:
        raise EvidenceError(
            _("{path} is a later segment of a split image").format(path=path),
            hint=_("give its first segment, {first}").format(first=first.path),
        )
    if first is not None or not (_is_three_digits(path) or suffix.width > 0):
        return
    has_neighbour = any(abs(segment.number - suffix.number) == 1 for segment in segments)
    if has_neighbour:
        raise EvidenceError(
            _("{path} is a later segment of a split image whose first segment is missing").format(path=path),
            hint=_("put {first} beside it and give that").format(
                first=_name_of(path, suffix, _first_numbers(suffix)[-1])
            ),
        )


def _contiguous(segments: list[_Segment], suffix: _Suffix) -> list[_Segment]:
    """Return the segments from the first on; `EvidenceError` names one that is missing between others.

    Three digits leave no doubt. Two or three letters are common as a suffix, so after a hole such a file counts as a
    segment only where it is as long as the first one or the hole is a single segment.
    """
    run = [segments[0]]
    for segment in segments[1:]:
        hole = segment.number - run[-1].number - 1
        if hole == 0:
            run.append(segment)
        elif _is_three_digits(segment.path) or hole == 1 or segment.size_bytes == run[0].size_bytes:
            missing = _name_of(segment.path, suffix, run[-1].number + 1)
            raise EvidenceError(
                _("segment {missing} of the split image is missing").format(missing=missing),
                hint=_("put all segments into one folder"),
            )
        else:
            break
    return run


def _check_lengths(run: list[_Segment]) -> None:
    """All segments but the last are equally long; a shorter one would shift all that follows."""
    expected_bytes = run[0].size_bytes
    for segment in run:
        last = segment is run[-1]
        fits = 0 < segment.size_bytes <= expected_bytes if last else segment.size_bytes == expected_bytes > 0
        if not fits:
            raise EvidenceError(
                _("segment {path} has {size} bytes, the first segment {expected}").format(
                    path=segment.path, size=segment.size_bytes, expected=expected_bytes
                ),
                hint=_("copy the segments again from their origin"),
            )
