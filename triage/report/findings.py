"""`findings.jsonl`: the findings, one JSON object on each line, for `jq`, `grep` and log collectors."""

from __future__ import annotations

from typing import TextIO

from triage.report.document import json_line
from triage.report.interface import CaseContents, Renderer


def write_findings(case: CaseContents, out: TextIO) -> None:
    """Write each finding in the same form as in `report.json`."""
    for finding in case.report.findings:
        out.write(json_line(finding) + "\n")


FINDINGS = Renderer(file_name="findings.jsonl", write=write_findings)
