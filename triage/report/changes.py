"""`usn.csv`: the records of the change journals, for timelines and spreadsheets.

CSV, because all rows have the same columns and there may be a million: a third of the size of JSON with its keys.
Quoted after RFC 4180; names are escaped so that none breaks a line or is taken for a formula.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from typing import TextIO

from triage.model.change import Change, reason_names, source_names, split_reference
from triage.model.escape import escape_csv
from triage.model.filetime import filetime_to_iso
from triage.report.interface import CaseContents, Renderer

_COLUMNS = (
    "volume", "usn", "time_utc", "reasons", "name", "folder", "mft_entry", "sequence", "parent_mft_entry",
    "parent_sequence", "file_id_high", "parent_id_high", "source", "attributes", "version",
)  # fmt: skip
_reasons = lru_cache(maxsize=4096)(reason_names)


def write_changes(case: CaseContents, out: TextIO) -> None:
    """Write a line for each record, in the order of the journal."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(map(_fields, case.changes))


def _fields(change: Change) -> tuple[str | int, ...]:
    return (
        change.volume,
        change.usn,
        filetime_to_iso(change.time) or "",
        _reasons(change.reason),
        escape_csv(change.name),
        escape_csv(change.folder),
        *split_reference(change.file),
        *split_reference(change.parent),
        change.file_high,
        change.parent_high,
        source_names(change.source),
        f"0x{change.attributes:X}",
        change.version,
    )


CHANGES = Renderer(file_name="usn.csv", write=write_changes)
