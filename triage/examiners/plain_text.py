"""Tells text from noise in the encodings of Windows users: ASCII, UTF-8, UTF-16, GB18030, Big5, code pages.

Every 8-bit encoding keeps the C0 control characters to itself, multi-byte ones too (their trail bytes start
at 0x30), so a stretch without them is text in one of them; random bytes hold one in ten.
"""

from __future__ import annotations

import numpy as np

_CONTROLS = bytes(set(range(0x20)) - set(b"\b\t\n\v\f\r\x1a\x1b")) + b"\x7f"
_NOT_CONTROLS = bytes(set(range(256)) - set(_CONTROLS))
_MAX_CONTROL_SHARE = 0.01
_HEAD_SAMPLE_BYTES = 8 * 1024
_WIDE_SAMPLE_BYTES = 2 * 1024
# The malware overwrites a file's last 0x400 bytes first: a sample of that length sees it even when the rest
# stands.
_TAIL_SAMPLE_BYTES = 0x400
_WIDE_CODE_UNITS = ("<u2", ">u2")
_MIN_COMMON_SHARE = 0.9
# What wide text consists of: Latin, Greek, Cyrillic, punctuation, kana, CJK, Hangul and full-width forms.
_COMMON_RANGES = (
    (0x20, 0x7E),
    (0xA0, 0x52F),
    (0x2010, 0x2027),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xFF00, 0xFFEF),
)
_COMMON = np.zeros(0x10000, dtype=np.bool_)
_COMMON[[ord("\t"), ord("\r"), ord("\n")]] = True
for _first, _last in _COMMON_RANGES:
    _COMMON[_first : _last + 1] = True


def is_text(head: bytes, tail: bytes | None) -> bool:
    """Return whether the first 8 KiB and the last 1 KiB are text; an end that was not read counts as text."""
    front = head[:_HEAD_SAMPLE_BYTES]
    back = (tail or b"")[-_TAIL_SAMPLE_BYTES:]
    if front.startswith((b"\xff\xfe", b"\xfe\xff")):
        units = _WIDE_CODE_UNITS[front.startswith(b"\xfe\xff")]
        return _is_wide_text(front[2:], units) and _is_wide_text(back.removeprefix(front[:2]), units)
    if _is_narrow_text(front):
        return _is_narrow_text(back)
    return any(_is_wide_text(front, units) and _is_wide_text(back, units) for units in _WIDE_CODE_UNITS)


def _is_narrow_text(sample: bytes) -> bool:
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return controls <= len(sample) * _MAX_CONTROL_SHARE


def _is_wide_text(sample: bytes, units: str) -> bool:
    """Look at UTF-16 code units; halves of surrogate pairs count as uncommon."""
    code_units = np.frombuffer(sample[: min(len(sample) & ~1, _WIDE_SAMPLE_BYTES)], dtype=units)
    return int(np.count_nonzero(_COMMON[code_units])) >= len(code_units) * _MIN_COMMON_SHARE
