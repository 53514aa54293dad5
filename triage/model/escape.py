"""Names on evidence are hostile: one function makes them safe for each place where text goes.

A name can hold line breaks, terminal escapes, characters that reverse the reading order and unpaired
surrogates. Each function returns a single line that encodes as UTF-8. In all of them only what is harmful is
changed, so that a Chinese or Arabic name stays readable.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import quote_from_bytes, unquote_to_bytes

# Control, format (bidi, zero width, tags), surrogate, line and paragraph separator: unseen or harmful on a
# screen.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# What breaks a line or cannot be encoded; format characters do no harm in a file.
_UNWRITABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
# A spreadsheet takes a field that begins so for a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = "=+-@"

_NAME_LIMIT_BYTES = 255
_SUFFIX_DIGITS = 16
# Characters that Windows refuses in a name ([MS-FSCC] 2.1.5).
_REFUSED_IN_NAMES = re.compile(r'[<>:"/\\|?*]')
_RESERVED_NAMES = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])", re.IGNORECASE)
_LOOKS_MAPPED = re.compile(rf"~[0-9a-f]{{{_SUFFIX_DIGITS}}}(?:\.[^.]*)?", re.IGNORECASE)


def escape_terminal(text: str) -> str:
    r"""Return `text` with every character that a reader would not see as `\xNN`, `\uNNNN` or `\UNNNNNNNN`.

    For a terminal, and for HTML before its own markup is escaped. Backslashes stay as they are, for registry
    paths.
    """
    return text if text.isprintable() and text.isascii() else "".join(map(_visible, text))


def escape_log(text: str) -> str:
    r"""Return `text` as `escape_terminal` does, backslashes doubled, so that a log line can be read back."""
    return escape_terminal(text.replace("\\", "\\\\"))


def escape_line(text: str) -> str:
    """Return `text` for a line-based file: control characters, `%` and unpaired surrogates as percent
    triplets of WTF-8.

    `unescape_line` gives the text back. WTF-8 writes an unpaired surrogate as UTF-8 would
    (https://simonsapin.github.io/wtf-8/).
    """
    if text.isascii() and text.isprintable() and "%" not in text:
        return text  # nearly every name, and a hundred thousand of them stand in one list
    return "".join(map(_percent, text))


def unescape_line(line: str) -> str:
    """Return the text that `escape_line` or `escape_csv` was given."""
    return unquote_to_bytes(line).decode("utf-8", "surrogatepass")


def escape_csv(text: str) -> str:
    """Return `text` as a CSV value, which the csv module quotes: as `escape_line`, and never a formula."""
    if text[:1] and text[0] in _FORMULA_STARTS:
        return f"%{ord(text[0]):02X}{escape_line(text[1:])}"
    return escape_line(text)


def safe_name(name: str) -> str:
    """Return `name` as a file name that every file system takes and that `SHA256SUMS` and BagIt need not
    escape.

    Control characters, unpaired surrogates, what Windows refuses or reserves, `.`, `..`, trailing dots and
    spaces and names over 255 bytes of UTF-8 are mapped. A mapped name ends in `~` and 64 bits of the SHA-256
    of the original, before its extension. An original that looks mapped already is mapped too, so that none
    can take another's place.
    """
    safe = "".join("_" if unicodedata.category(character) in _UNWRITABLE else character for character in name)
    safe = _REFUSED_IN_NAMES.sub("_", safe)
    stem = safe.partition(".")[0].rstrip(" ")
    if _RESERVED_NAMES.fullmatch(stem) or safe.strip(". ") == "":
        safe = "_" + safe
    safe = safe.rstrip(". ")
    if safe == name and len(name.encode("utf-8")) <= _NAME_LIMIT_BYTES and not _LOOKS_MAPPED.search(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_SUFFIX_DIGITS]
    stem, dot, extension = safe.rpartition(".")
    if not stem or len(extension.encode("utf-8")) > 32 or extension != extension.strip():
        stem, dot, extension = safe, "", ""
    tail = f"~{digest}{dot}{extension}"
    room_bytes = _NAME_LIMIT_BYTES - len(tail.encode("utf-8"))
    return stem.encode("utf-8")[:room_bytes].decode("utf-8", "ignore") + tail


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN:
        return character
    point = ord(character)
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def _percent(character: str) -> str:
    if character != "%" and unicodedata.category(character) not in _UNWRITABLE:
        return character
    return quote_from_bytes(character.encode("utf-8", "surrogatepass"), safe="")
