"""Rows of a case that may be a million: deleted streams and changes. They go into side files, not into the journal.

The worker writes one file a volume, whole or not at all, so that a resumed run replaces it; the supervisor, which reads
it as hostile input too, renders it a row at a time. Neither ever holds all rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from triage.model.errors import ReportError
from triage.pipeline.journal import decode_line, encode_line
from triage.report.durable import durable_text

ROWS_FOLDER = "rows"
_NAME = re.compile(r"[a-z]+-v([0-9]+)\.jsonl")
_Row = TypeVar("_Row", bound=Struct)


class RowKind(StrEnum):
    """What the rows of a side file are."""

    DELETED = "deleted"
    CHANGES = "changes"


def write_rows(case_folder: Path, kind: RowKind, volume: str, rows: Iterable[Struct]) -> None:
    """Write the rows of one volume; `ReportError` where there is no space. Rows are asked for one by one."""
    folder = case_folder / ROWS_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    with durable_text(folder / f"{kind}-{volume}.jsonl") as out:
        for row in rows:
            out.write(encode_line(row).decode("ascii") + "\n")


def read_rows(case_folder: Path, kind: RowKind, row_type: type[_Row]) -> Iterator[_Row]:
    """Yield the rows of all volumes; `ReportError` for a line that is none."""
    decoder = msgspec.json.Decoder(row_type)
    for path in sorted((case_folder / ROWS_FOLDER).glob(f"{kind}-v*.jsonl"), key=_volume_number):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield decode_line(line, decoder)
                except (ValueError, msgspec.ValidationError) as error:
                    raise ReportError(f"{path.name}, line {number}, is no row of this version: {error}") from error


def rows_bytes(case_folder: Path) -> int:
    """Return how long the side files are together; what is rendered from them is about as long."""
    return sum(path.stat().st_size for path in (case_folder / ROWS_FOLDER).glob("*.jsonl"))


def drop_torn_rows(case_folder: Path) -> None:
    """Remove what a worker that died left half-written."""
    for path in (case_folder / ROWS_FOLDER).glob(".*.part"):
        path.unlink()


def _volume_number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return -1 if match is None else int(match[1])
