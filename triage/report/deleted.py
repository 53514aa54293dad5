"""`deleted.jsonl`: every deleted stream and what is still to be had of it, one JSON object on each line."""

from __future__ import annotations

import json
from typing import TextIO

import msgspec

from triage.model.deleted import DeletedStream
from triage.model.filetime import filetime_to_iso
from triage.report.interface import CaseContents, Renderer


def write_deleted(case: CaseContents, out: TextIO) -> None:
    """Write each row with its keys, times as in the rest of the report, null where they are not known."""
    for row in case.deleted:
        out.write(json.dumps(keyed(row)) + "\n")


def keyed(row: DeletedStream) -> dict[str, object]:
    """Return a row as it stands in the file."""
    values = msgspec.structs.asdict(row)
    values["bytes"] = msgspec.structs.asdict(row.bytes)
    values["times"] = {name: filetime_to_iso(ticks) for name, ticks in msgspec.structs.asdict(row.times).items()}
    values["deleted"] = filetime_to_iso(row.deleted)
    return values


DELETED = Renderer(file_name="deleted.jsonl", write=write_deleted)
