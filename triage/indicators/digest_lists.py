"""Reads lists of digests in the forms people exchange: CSV, plain, `hash;comment`, sha256sum and hashdeep.

hashdeep's form is described in hashdeep(1), `hash;comment` is that of the signature-base hash lists.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from triage.model.errors import IndicatorError

_MAX_FILE_BYTES = 64 << 20
_ALGORITHM_BY_LENGTH = {32: "md5", 40: "sha1", 64: "sha256"}
_DIGEST_COLUMNS = {"md5": 32, "sha1": 40, "sha256": 64}
_COLUMN_NAMES = {
    "hash": "digest",
    "digest": "digest",
    "filesize": "size",
    "sizebytes": "size",
    "description": "comment",
    "file": "filename",
    "name": "filename",
}
_USED_COLUMNS = frozenset((*_DIGEST_COLUMNS, "digest", "size", "comment"))
_HEX = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_PLAIN_LINE = re.compile(r"([^\s;,]+)(?:\s*[;,]\s*|\s+\*?)?(.*)", re.DOTALL)
_HASHDEEP = "%%%% "


class DigestRow(Struct, frozen=True, kw_only=True):
    """One known file of a list. At least one digest is set, lower-case hexadecimal. `line` counts from 1.

    `columns` holds the further columns of a CSV by their names.
    """

    line: int
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    comment: str = ""
    columns: dict[str, str] = {}


class DigestList(Struct, frozen=True, kw_only=True):
    """A list as read: its rows, and the SHA-256 of the file's bytes for the report."""

    path: Path
    sha256: str
    rows: tuple[DigestRow, ...]


def read_digest_list(path: Path) -> DigestList:
    """Read a list in any of the forms, told apart by its first line that is no comment.

    Raises IndicatorError, naming file, line and reason, for anything that cannot be read as one of them: a
    list read in part would look like a smaller list.
    """
    data = _read(path)
    lines = list(io.StringIO(_decode(path, data), newline=""))
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), None)
    if first is None:
        hint = "give one digest on each line, or a CSV with a header"
        raise IndicatorError(f"{path}: holds no digest", hint=hint)
    if first.startswith(_HASHDEEP):
        rows = tuple(_hashdeep_rows(path, lines))
    elif _is_header(first):
        rows = tuple(_csv_rows(path, lines, _delimiter(first)))
    else:
        rows = tuple(_plain_rows(path, lines))
    if not rows:
        raise IndicatorError(f"{path}: holds no digest below its header", hint="an empty list finds nothing")
    return DigestList(path=path, sha256=sha256(data).hexdigest(), rows=rows)


def _read(path: Path) -> bytes:
    """Return the file's bytes, or raise IndicatorError where it cannot be read or is absurdly large."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise IndicatorError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error
    if len(data) > _MAX_FILE_BYTES:
        raise IndicatorError(f"{path}: larger than {_MAX_FILE_BYTES >> 20} MiB", hint="split the list")
    return data


def _decode(path: Path, data: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark, or UTF-16 with one."""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    hint = "save the list as UTF-8, or as UTF-16 with a byte order mark"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IndicatorError(
            f"{path}, line {line}: not {encoding.removesuffix('-sig').upper()} text", hint=hint
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise IndicatorError(f"{path}, line {line}: holds a NUL character: not a text file", hint=hint)
    return text


def _plain_rows(path: Path, lines: list[str]) -> Iterator[DigestRow]:
    """Yield one row for each line `digest`, `digest;comment`, `digest,comment` or `digest  name`."""
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _PLAIN_LINE.fullmatch(text)
        digest, comment = (match[1], match[2]) if match is not None else (text, "")
        yield _row(path, number, {"digest": digest, "comment": comment})


def _csv_rows(path: Path, lines: list[str], delimiter: str) -> Iterator[DigestRow]:
    """Yield the rows of a CSV (RFC 4180) whose first row names its columns."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for fields in reader:
            if not any(field.strip() for field in fields) or fields[0].lstrip().startswith("#"):
                continue
            if header is None:
                header = [_column(field) for field in fields]
            elif len(fields) > len(header):
                raise _error(path, reader.line_num, f"{len(fields)} fields under a header of {len(header)}")
            else:
                yield _row(path, reader.line_num, dict(zip(header, fields, strict=False)))
    except csv.Error as error:
        raise _error(path, reader.line_num, f"not well-formed CSV: {error}") from error


def _hashdeep_rows(path: Path, lines: list[str]) -> Iterator[DigestRow]:
    """Yield the rows of a hashdeep 1.0 file; its last column, the file's name, may hold commas."""
    header: list[str] | None = None
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if not text.strip() or text.startswith(("#", f"{_HASHDEEP}HASHDEEP-")):
            continue
        if text.startswith(_HASHDEEP):
            header = [_column(field) for field in text.removeprefix(_HASHDEEP).split(",")]
            continue
        if header is None:
            raise _error(path, number, "hashdeep row before the line that names the columns")
        fields = text.split(",", len(header) - 1)
        if len(fields) != len(header):
            raise _error(path, number, f"{len(fields)} fields under a header of {len(header)}")
        yield _row(path, number, dict(zip(header, fields, strict=True)))


def _row(path: Path, line: int, columns: dict[str, str]) -> DigestRow:
    """Check a row's digests and size and build it; a digest's length tells its kind where no column does."""
    found: dict[str, str] = {}
    for name in (*_DIGEST_COLUMNS, "digest"):
        value = columns.get(name, "").strip().lower()
        if value == "":
            continue
        algorithm = _ALGORITHM_BY_LENGTH.get(len(value)) if name == "digest" else name
        if algorithm is None or len(value) != _DIGEST_COLUMNS[algorithm] or _HEX.fullmatch(value) is None:
            wanted = "an MD5, SHA-1 or SHA-256 digest" if name == "digest" else f"a {name} digest"
            raise _error(path, line, f"{value[:80]!a} is not {wanted}")
        found[algorithm] = value
    if not found:
        raise _error(path, line, "no digest in this row")
    return DigestRow(
        line=line,
        md5=found.get("md5"),
        sha1=found.get("sha1"),
        sha256=found.get("sha256"),
        size_bytes=_size(path, line, columns.get("size", "").strip()),
        comment=(columns.get("comment", "").strip() or columns.get("filename", "").strip()),
        columns={name: value for name, value in columns.items() if name not in _USED_COLUMNS and value != ""},
    )


def _size(path: Path, line: int, text: str) -> int | None:
    """Return the size in bytes, None where the row gives none."""
    if text == "":
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 20:
        raise _error(path, line, f"{text[:80]!a} is not a size in bytes")
    return int(text)


def _column(field: str) -> str:
    """Return a column's name without case, blanks and dashes, synonyms made one: `SHA-256` is `sha256`."""
    name = re.sub(r"[\s_-]", "", field).lower()
    return _COLUMN_NAMES.get(name, name)


def _delimiter(header: str) -> str:
    """Return the delimiter that the header uses: comma, semicolon or tab."""
    return max(",;\t", key=header.count)


def _is_header(line: str) -> bool:
    """Tell whether a line names columns: one of them holds digests, and no field is one."""
    fields = [field.strip().strip('"') for field in line.strip().split(_delimiter(line))]
    named = any(_column(field) in (*_DIGEST_COLUMNS, "digest") for field in fields)
    return named and not any(len(field) in _ALGORITHM_BY_LENGTH and _HEX.fullmatch(field) for field in fields)


def _error(path: Path, line: int, reason: str) -> IndicatorError:
    """Return the one error of this room: file, line, reason."""
    hint = "correct the line, or start it with # to leave it out"
    return IndicatorError(f"{path}, line {line}: {reason}", hint=hint)
