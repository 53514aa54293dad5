"""Tells text from noise in the encodings of Windows users: ASCII, UTF-8, UTF-16, GB18030, Big5, code pages.

Every 8-bit encoding keeps the C0 control characters to itself, multi-byte ones too (their trail bytes start
at 0x30), so a stretch without them is text in one of them; random bytes hold one in ten.
"""

from __future__ import annotations

import re

_CONTROLS = bytes(set(range(0x20)) - set(b"\b\t\n\v\f\r\x1a\x1b")) + b"\x7f"
_NOT_CONTROLS = bytes(set(range(256)) - set(_CONTROLS))
_MAX_CONTROL_SHARE = 0.01
_HEAD_SAMPLE_BYTES = 8 * 1024
_WIDE_SAMPLE_BYTES = 2 * 1024
# The malware overwrites a file's last 0x400 bytes first: a sample of that length sees it even when the rest
# stands.
_TAIL_SAMPLE_BYTES = 0x400
_WIDE_ENCODINGS = ("utf-16-le", "utf-16-be")
_MIN_COMMON_SHARE = 0.9
# What wide text consists of: Latin, Greek, Cyrillic, punctuation, kana, CJK, Hangul and full-width forms.
_COMMON = re.compile("[\t\r\n -~\xa0-\u052f\u2010-\u2027\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]+")


def is_text(head: bytes, tail: bytes | None) -> bool:
    """Return whether the first 8 KiB and the last 1 KiB are text; an end that was not read counts as text."""
    front = head[:_HEAD_SAMPLE_BYTES]
    back = (tail or b"")[-_TAIL_SAMPLE_BYTES:]
    if front.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = _WIDE_ENCODINGS[front.startswith(b"\xfe\xff")]
        return _is_wide_text(front[2:], encoding) and _is_wide_text(back.removeprefix(front[:2]), encoding)
    if _is_narrow_text(front):
        return _is_narrow_text(back)
    return any(_is_wide_text(front, encoding) and _is_wide_text(back, encoding) for encoding in _WIDE_ENCODINGS)


def _is_narrow_text(sample: bytes) -> bool:
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return controls <= len(sample) * _MAX_CONTROL_SHARE


def _is_wide_text(sample: bytes, encoding: str) -> bool:
    """A sample may begin or end inside a surrogate pair: unpaired halves pass, and count as uncommon."""
    characters = sample[: min(len(sample) & ~1, _WIDE_SAMPLE_BYTES)].decode(encoding, "surrogatepass")
    return len(_COMMON.sub("", characters)) <= len(characters) * (1 - _MIN_COMMON_SHARE)
