"""The report as one JSON document, `report.json`: everything else that a case shows is rendered from it.

Schema `triage-report/1`. ASCII with `\\uXXXX` escapes, so that an unpaired surrogate is its own escape. Keys
stand in the order of the model; each finding, gap and event has a line of its own, for `grep` and for `diff`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import msgspec
from msgspec import Struct

from triage.model.errors import ReportError
from triage.model.finding import Finding
from triage.model.gap import Gap
from triage.model.report import SCHEMA, Report
from triage.model.timeline import Timeline
from triage.report.case_files import REPORT
from triage.report.interface import CaseContents, Renderer

_INDENT = 2


def write_document(report: Report, out: TextIO) -> None:
    """Write `report.json`; findings and gaps go out one by one, without a second copy of them all."""
    for number, key in enumerate(report.__struct_fields__):
        out.write(f'{"," if number else "{"}\n  "{key}": ')
        if key == "findings":
            _write_each(map(json_line, report.findings), out, "  ")
        elif key == "gaps":
            _write_each(map(json_line, report.gaps), out, "  ")
        elif key == "timeline":
            _write_timeline(report.timeline, out)
        else:
            value = msgspec.to_builtins(getattr(report, key))
            out.write(json.dumps(value, indent=_INDENT).replace("\n", "\n  "))
    out.write("\n}\n")


def json_line(item: Finding | Gap) -> str:
    """Return `item` as JSON on one line, its id first."""
    return json.dumps({"id": item.id} | msgspec.to_builtins(item))


def json_document(document: Struct) -> str:
    """Return a document as indented ASCII JSON."""
    return json.dumps(msgspec.to_builtins(document), indent=_INDENT)


def load_report(path: Path) -> Report:
    """Read a `report.json` back, to render it again; unknown keys are passed over. Errors: `ReportError`."""
    try:
        document = json.loads(path.read_bytes())
        if isinstance(document, dict) and document.get("schema") not in (None, SCHEMA):
            raise ReportError(
                f"{path}: its schema is {document['schema']!r}, not {SCHEMA!r}",
                hint="use the version of triage that wrote it",
            )
        return msgspec.convert(document, Report)
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path} is not a report: {error}") from error


def _write_timeline(timeline: Timeline, out: TextIO) -> None:
    """Write each part of the timeline on a line of its own, of milestones, doubts and events each one."""
    for number, key in enumerate(timeline.__struct_fields__):
        out.write(f'{"," if number else "{"}\n    "{key}": ')
        value = getattr(timeline, key)
        if isinstance(value, tuple):
            _write_each((json.dumps(msgspec.to_builtins(item)) for item in value), out, "    ")
        else:
            out.write(json.dumps(msgspec.to_builtins(value)))
    out.write("\n  }")


def _write_each(lines: Iterable[str], out: TextIO, indent: str) -> None:
    """Write a list, a line for each of its items."""
    start = "["
    for line in lines:
        out.write(f"{start}\n{indent}  {line}")
        start = ","
    out.write("[]" if start == "[" else f"\n{indent}]")


def _write(case: CaseContents, out: TextIO) -> None:
    write_document(case.report, out)


DOCUMENT = Renderer(file_name=REPORT, write=_write)
