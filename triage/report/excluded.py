"""`excluded.jsonl`: what the profile left out, one JSON object for each folder; empty where everything was to be read.

By folder, because a disk has a million files: a file of a listed folder was left out unless `digests.hashdeep` or the
journal has a line for it.
"""

from __future__ import annotations

import json
from typing import TextIO

import msgspec

from triage.report.interface import CaseContents, Renderer


def write_excluded(case: CaseContents, out: TextIO) -> None:
    """Write a line for each folder of which something was left out."""
    for folder in case.excluded:
        out.write(json.dumps(msgspec.to_builtins(folder)) + "\n")


EXCLUDED = Renderer(file_name="excluded.jsonl", write=write_excluded)
