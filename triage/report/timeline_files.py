"""`timeline.jsonl` and `timeline.body`: all events of a case in order, for `jq` and for The Sleuth Kit's `mactime`.

The bodyfile has the form of The Sleuth Kit 3 and later (https://wiki.sleuthkit.org, "Body file"):
`MD5|name|inode|mode|UID|GID|size|atime|mtime|ctime|crtime`, times in seconds since 1970. Each event is a line with one
time, in the column that its source fills in a file system; the others are -1, which `mactime` passes over (a 0 it would
show as a date).
"""

from __future__ import annotations

import json
from typing import TextIO

import msgspec

from triage.model.escape import escape_line
from triage.model.event import Event
from triage.model.filetime import unix_seconds
from triage.report.interface import CaseContents, Renderer
from triage.report.view import place

_NO_TIME = "-1"
_ACCESSED, _MODIFIED, _CHANGED, _CREATED = range(4)


def write_jsonl(case: CaseContents, out: TextIO) -> None:
    """Write each event in the same form as in `report.json`."""
    for event in case.events:
        out.write(json.dumps(msgspec.to_builtins(event)) + "\n")


def write_bodyfile(case: CaseContents, out: TextIO) -> None:
    """Write each event as a line of a bodyfile."""
    for event in case.events:
        times = [_NO_TIME] * 4
        times[_column(event)] = str(unix_seconds(event.time_utc))
        out.write(f"0|{_name(event)}|{event.where.mft_entry or 0}|0|0|0|0|{'|'.join(times)}\n")


def _column(event: Event) -> int:
    """Return which of the four times this one is: by its name in the finding; what has none is a modification."""
    name = event.facts.get("time", "")
    if name.endswith("_created"):
        return _CREATED
    return _CHANGED if name.endswith("_changed") else _MODIFIED


def _name(event: Event) -> str:
    """Return what happened and where, escaped as in all line-based files, and once more for `mactime`.

    That takes `|` as the end of a field and decodes percent triplets; a line break it decoded would lose the line.
    """
    text = f"[{event.kind.value}: {event.what}, {event.source.value}] {place(event.where)}".rstrip()
    return escape_line(text).replace("%", "%25").replace("|", "%7C")


TIMELINE = Renderer(file_name="timeline.jsonl", write=write_jsonl)
BODYFILE = Renderer(file_name="timeline.body", write=write_bodyfile)
